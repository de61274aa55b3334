package pipelines

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/shards"
	"github.com/tributary-ml/tributary/tokenize"
)

// Trace says where a sequence of a step came from.
type Trace struct {
	Step     int64 `json:"step"`
	Sequence int   `json:"sequence"`
	// Index is the number of the sample in the mixed stream and Epoch the pass over
	// its source.
	Index  int64        `json:"index"`
	Epoch  int64        `json:"epoch"`
	Parts  []TracePart  `json:"parts"`
	Tokens []TraceToken `json:"tokens,omitempty"`
}

// TracePart is a part of a document that a sequence holds.
type TracePart struct {
	Source   string `json:"source"`
	Document string `json:"document"`
	// The part is the tokens FirstToken to LastToken of the whole document.
	FirstToken int32 `json:"first_token"`
	LastToken  int32 `json:"last_token"`
	// Place is the record the document was made of.
	Place *shards.Place `json:"place,omitempty"`
	// The tokens came from the bytes [FirstByte, EndByte) of the document's text, which
	// are Text; these are known where the documents lie beside the shards.
	FirstByte *int   `json:"first_byte,omitempty"`
	EndByte   *int   `json:"end_byte,omitempty"`
	Text      string `json:"text,omitempty"`
}

// TraceToken is a position of a sequence.
type TraceToken struct {
	Position int `json:"position"`
	// Shown is the token the model sees, and Asked what it must say there, if anything.
	Shown string `json:"shown"`
	Asked string `json:"asked,omitempty"`
	// Part is the part the token stands in, -1 for tokens that frame texts. Token is its
	// number in the document and [FirstByte, EndByte) its bytes in the document's text,
	// which are Text.
	Part      int    `json:"part"`
	Token     int32  `json:"token,omitempty"`
	FirstByte int    `json:"first_byte,omitempty"`
	EndByte   int    `json:"end_byte,omitempty"`
	Text      string `json:"text,omitempty"`
}

// ErrNoSequence means that a step has fewer sequences.
var ErrNoSequence = errors.New("the step has fewer sequences")

// Trace finds where a step's sequence came from, each of its tokens when tokens is
// true.
func (b *Batches) Trace(ctx context.Context, step int64, sequence int, tokens bool) (*Trace, error) {
	batch, err := b.Batch(ctx, step, 0, 1)
	if err != nil {
		return nil, err
	}
	if sequence < 0 || sequence >= batch.Sequences() {
		return nil, fmt.Errorf("sequence %d of step %d, which has the sequences 0 to %d: %w", sequence, step, batch.Sequences()-1, ErrNoSequence)
	}
	o := batch.Origins[sequence]
	var ids []string
	for _, s := range o.Spans {
		ids = append(ids, s.Doc)
	}
	places, err := b.places(ctx, o.Source, ids)
	if err != nil {
		return nil, err
	}
	texts, err := b.texts(ctx, o.Source, ids)
	if err != nil {
		return nil, err
	}
	t := &Trace{Step: step, Sequence: sequence, Index: o.Index, Epoch: o.Epoch}
	for _, s := range o.Spans {
		p := TracePart{Source: o.Source, Document: s.Doc, FirstToken: s.Start, LastToken: s.End - 1}
		if place, ok := places[s.Doc]; ok {
			p.Place = &place
		}
		if x, ok := texts[s.Doc]; ok && int(s.End) <= len(x.spans) && s.Start < s.End {
			from, to := x.bytes(s.Start, s.End)
			p.FirstByte, p.EndByte, p.Text = &from, &to, x.text[from:to]
		}
		t.Parts = append(t.Parts, p)
	}
	if tokens {
		err = b.traceTokens(t, batch, sequence, o.Spans, texts)
	}
	return t, err
}

// places finds the records of documents.
func (b *Batches) places(ctx context.Context, source string, ids []string) (map[string]shards.Place, error) {
	set, err := b.OpenSet(ctx, source)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	return set.Places(ctx, ids...)
}

// tracedText is a document's text with the bytes of its tokens.
type tracedText struct {
	text  string
	spans []tokenize.Span
}

// bytes returns the bytes of tokens.
func (x tracedText) bytes(start, end int32) (from, to int) {
	from = x.spans[start].Start
	for _, s := range x.spans[start:end] {
		to = max(to, s.End)
	}
	return from, max(from, to)
}

// texts reads documents. Where they do not lie beside the shards, or are others than
// the shards were made of, there are none.
func (b *Batches) texts(ctx context.Context, source string, ids []string) (map[string]tracedText, error) {
	set, err := b.OpenSet(ctx, source)
	if err != nil {
		return nil, err
	}
	inputs := set.Manifest().Inputs
	if err := set.Close(); err != nil {
		return nil, err
	}
	docs, err := ingest.DocumentsManifest(b.Data, source)
	if err != nil || docs.Digest() != inputs["documents"] {
		return nil, nil
	}
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	out := map[string]tracedText{}
	enc := b.Tokenizer.NewEncoder()
	for d, err := range ingest.Documents(ctx, b.Data, source) {
		if err != nil {
			return nil, err
		}
		if !wanted[d.ID] {
			continue
		}
		spans, err := shards.Spans(enc, d.Text)
		if err != nil {
			return nil, fmt.Errorf("document %s: %w", d.ID, err)
		}
		if out[d.ID] = (tracedText{strings.Clone(d.Text), spans}); len(out) == len(wanted) {
			break
		}
	}
	return out, nil
}

// traceTokens lays the tokens of a sequence over those of its parts.
func (b *Batches) traceTokens(t *Trace, batch *masking.Batch, sequence int, spans []masking.Span, texts map[string]tracedText) error {
	from, to := batch.SeqBounds[sequence], batch.SeqBounds[sequence+1]
	specials := b.Tokenizer.Specials()
	cls, sep := specials.Cls, specials.Sep
	if cls < 0 {
		cls = specials.Bos
	}
	if sep < 0 {
		sep = specials.Eos
	}
	hidden := b.hidden(batch, sequence, sep)
	part, at := 0, int32(0)
	if len(spans) > 0 {
		at = spans[0].Start
	}
	// advance goes on by n tokens of the parts.
	advance := func(n int) error {
		for ; n > 0; n-- {
			if part == len(spans) {
				return fmt.Errorf("sequence %d of step %d has more tokens than the parts it is made of", sequence, t.Step)
			}
			for at++; part < len(spans) && at >= spans[part].End; {
				if part++; part < len(spans) {
					at = spans[part].Start
				}
			}
		}
		return nil
	}
	for p := from; p < to; p++ {
		token := TraceToken{Position: int(p - from), Shown: b.Tokenizer.Token(batch.Tokens[p]), Part: -1}
		j, asked := slices.BinarySearch(batch.Predict, p)
		switch {
		case asked && batch.Values != nil:
			token.Asked = fmt.Sprint(batch.Values[j])
		case asked && batch.Classes > 0:
			token.Asked = fmt.Sprint("class ", batch.Labels[j])
			if b.Labels != nil {
				token.Asked = b.Labels.Names[batch.Labels[j]]
			}
		case asked:
			token.Asked = b.Tokenizer.Token(batch.Labels[j])
		}
		n := 1
		if length, ok := hidden[batch.Tokens[p]]; ok { // a sentinel, or the name of a denoiser
			token.Asked, n = length.text, length.tokens
		} else if id := batch.Tokens[p]; (id == cls || id == sep) && (batch.Ranks != nil || !asked) {
			// A token that is asked for at its own place may show as any other.
			t.Tokens = append(t.Tokens, token)
			continue
		}
		if n > 0 && part < len(spans) {
			token.Part, token.Token = part, at
			first := spans[part]
			if x, ok := texts[first.Doc]; ok && int(at)+n <= len(x.spans) {
				token.FirstByte, token.EndByte = x.bytes(at, min(at+int32(n), first.End))
				token.Text = x.text[token.FirstByte:token.EndByte]
			}
		}
		if err := advance(n); err != nil {
			return err
		}
		t.Tokens = append(t.Tokens, token)
	}
	if part < len(spans) {
		return fmt.Errorf("sequence %d of step %d has fewer tokens than the parts it is made of", sequence, t.Step)
	}
	return nil
}

// hiddenRun is what a sentinel stands for.
type hiddenRun struct {
	tokens int
	text   string
}

// hidden returns the runs of tokens that sentinels of an encoder's sequence stand for,
// by the sentinel; tokens that name a denoiser stand for none. Nil for objectives without.
func (b *Batches) hidden(batch *masking.Batch, sequence int, sep int32) map[int32]hiddenRun {
	if batch.TargetBounds == nil {
		return nil
	}
	out := map[int32]hiddenRun{}
	sentinels := map[int32]bool{}
	for i := 0; ; i++ {
		id, ok := b.Tokenizer.ID(fmt.Sprintf("<extra_id_%d>", i))
		if !ok {
			break
		}
		sentinels[id] = true
	}
	for _, mode := range []string{"[R]", "[S]", "[X]"} {
		if id, ok := b.Tokenizer.ID(mode); ok && batch.Tokens[batch.SeqBounds[sequence]] == id {
			out[id] = hiddenRun{}
		}
	}
	targets := batch.Targets[batch.TargetBounds[sequence]:batch.TargetBounds[sequence+1]]
	for i := 0; i < len(targets); {
		if !sentinels[targets[i]] {
			i++
			continue
		}
		j := i + 1
		for j < len(targets) && !sentinels[targets[j]] && (j < len(targets)-1) { // the last is the end token
			j++
		}
		var text []string
		n := 0
		for _, id := range targets[i+1 : j] {
			text = append(text, b.Tokenizer.Token(id))
			if id != sep { // which parts documents
				n++
			}
		}
		out[targets[i]] = hiddenRun{n, strings.Join(text, " ")}
		i = j
	}
	return out
}

// UsesConfig says what WhereUsed looks for.
type UsesConfig struct {
	// Source is the documents' source; it is found when it is empty.
	Source    string
	Documents []string
	// Byte looks for the token of this byte of the documents' texts alone; negative for
	// any.
	Byte int
	// From and To bound the steps; To is not included.
	From, To int64
	// Built has all batches of the steps built, which also finds what objectives take
	// beside their samples, such as the second part of a random pair.
	Built bool
}

// WhereUsed finds the samples that hold tokens of documents, in the order of the
// stream.
func (b *Batches) WhereUsed(ctx context.Context, cfg UsesConfig, done func()) ([]mixer.Use, error) {
	if cfg.Source == "" {
		if err := b.findSource(ctx, &cfg); err != nil {
			return nil, err
		}
	}
	tokens := map[string]int32{}
	if cfg.Byte >= 0 {
		texts, err := b.texts(ctx, cfg.Source, cfg.Documents)
		if err != nil {
			return nil, err
		}
		for _, id := range cfg.Documents {
			x, ok := texts[id]
			if !ok {
				return nil, fmt.Errorf("the text of document %s is not at hand: bytes are known where the documents lie that the shards were made of", id)
			}
			n := sort.Search(len(x.spans), func(i int) bool { return x.spans[i].End > cfg.Byte })
			if n == len(x.spans) || x.spans[n].Start > cfg.Byte {
				return nil, fmt.Errorf("no token of document %s comes from byte %d of its %d", id, cfg.Byte, len(x.text))
			}
			tokens[id] = int32(n)
		}
	}
	var uses []mixer.Use
	var err error
	if cfg.Built {
		uses, err = b.builtUses(ctx, cfg, done)
	} else {
		uses, err = b.Mixer().Uses(ctx, cfg.Source, cfg.Documents, cfg.From, cfg.To)
	}
	if err != nil || cfg.Byte < 0 {
		return uses, err
	}
	return slices.DeleteFunc(uses, func(u mixer.Use) bool {
		n := tokens[u.Span.Doc]
		return n < u.Span.Start || n >= u.Span.End
	}), nil
}

// findSource finds the source of the documents.
func (b *Batches) findSource(ctx context.Context, cfg *UsesConfig) error {
	for _, task := range b.Mixer().Tasks() {
		places, err := b.places(ctx, task.Name, cfg.Documents)
		if err != nil {
			return err
		}
		if len(places) > 0 {
			cfg.Source = task.Name
			return nil
		}
	}
	return fmt.Errorf("no source of the mix has document %s", strings.Join(cfg.Documents, " or "))
}

// builtUses builds batches and looks for documents in them.
func (b *Batches) builtUses(ctx context.Context, cfg UsesConfig, done func()) ([]mixer.Use, error) {
	var uses []mixer.Use
	to := cfg.To
	if steps, ends := b.Mixer().Steps(); ends {
		to = min(to, steps)
	}
	for step := cfg.From; step < to; step++ {
		batch, err := b.Batch(ctx, step, 0, 1)
		if err != nil {
			return nil, err
		}
		for _, o := range batch.Origins {
			for _, span := range o.Spans {
				if o.Source == cfg.Source && slices.Contains(cfg.Documents, span.Doc) {
					uses = append(uses, mixer.Use{Step: step, Index: o.Index, Sample: o.Index - b.Mixer().First(step), Task: o.Task, Epoch: o.Epoch, Position: o.Position, Span: span})
				}
			}
		}
		batch.Release()
		done()
	}
	return uses, nil
}
