package shards

import (
	"errors"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/tokenize"
)

// Spans returns the bytes of a document's text that each of its tokens came from, in
// the order of its tokens in a shard.
func Spans(enc OffsetEncoder, text string) ([]tokenize.Span, error) {
	var spans []tokenize.Span
	var e tokenize.Encoding
	from := 0
	for _, to := range ingest.SentenceEnds(text, nil) {
		if err := enc.EncodeOffsets(&e, text[from:to]); err != nil && !errors.Is(err, tokenize.ErrNoUnknown) {
			return nil, err
		}
		for _, s := range e.Spans {
			spans = append(spans, tokenize.Span{Start: s.Start + from, End: s.End + from})
		}
		from = to
	}
	return spans, nil
}
