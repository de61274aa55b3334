package pipelines

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/page"
	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/tokenize"
)

// Coverage is how one tokenizer writes the documents of one source and language.
type Coverage struct {
	Tokenizer string `json:"tokenizer"`
	Source    string `json:"source"`
	Language  string `json:"language"`
	Documents int64  `json:"documents"`
	tokenize.Coverage
	Fertility     float64 `json:"fertility"`
	UnknownRate   float64 `json:"unknown_rate"`
	BytesPerToken float64 `json:"bytes_per_token"`
}

// CoverageReport compares tokenizers on documents.
type CoverageReport struct {
	// Rows stand by source, language and tokenizer; the last are of all documents.
	Rows []Coverage `json:"rows"`
	// Shared is the number of pieces that the first two have both.
	Shared int `json:"shared_pieces"`

	names  []string
	sizes  []int
	curves []page.Series
	sample string
	cuts   []string
}

// CoverageConfig says what to compare on what.
type CoverageConfig struct {
	Data string
	// Tokenizers are names or paths, as OpenTokenizer takes them.
	Tokenizers []string
	// Sources are what is encoded; all when empty. At most Documents of each, those
	// that stand first; all when 0.
	Sources   []string
	Documents int64
	Meter     *progress.Meter
}

// MeasureCoverage encodes documents that no mark covers with each tokenizer.
func MeasureCoverage(ctx context.Context, cfg CoverageConfig) (*CoverageReport, error) {
	fail := func(err error) (*CoverageReport, error) { return nil, fmt.Errorf("measuring tokenizers: %w", err) }
	sources := cfg.Sources
	if len(sources) == 0 {
		var err error
		if sources, err = ingest.Sources(cfg.Data); err != nil {
			return fail(err)
		}
		if len(sources) == 0 {
			return fail(fmt.Errorf("%s has no sources: ingest something first", cfg.Data))
		}
	}
	r := &CoverageReport{names: cfg.Tokenizers}
	var toks []*tokenize.Tokenizer
	var encoders []*tokenize.Encoder
	var uses [][]int64
	for _, name := range cfg.Tokenizers {
		t, err := OpenTokenizer(cfg.Data, name)
		if err != nil {
			return fail(err)
		}
		toks, encoders = append(toks, t), append(encoders, t.NewEncoder())
		r.sizes, uses = append(r.sizes, t.VocabSize()), append(uses, make([]int64, t.VocabSize()))
	}
	rows := map[[2]string][]Coverage{}
	total := make([]Coverage, len(toks))
	cfg.Meter.Begin("encoding documents", "documents", 0, 0)
	var enc tokenize.Encoding
	for _, source := range sources {
		read := int64(0)
		for d, err := range Unmarked(ctx, cfg.Data, source) {
			if err != nil {
				return fail(err)
			}
			if read++; cfg.Documents > 0 && read > cfg.Documents {
				break
			}
			if r.sample == "" && len(d.Text) > 200 {
				r.sample = firstSentences(d.Text, 300)
			}
			key := [2]string{source, d.Language}
			if rows[key] == nil {
				rows[key] = make([]Coverage, len(toks))
			}
			for i, e := range encoders {
				// A text that a tokenizer has no piece for counts as it is: what is
				// missing shows in the bytes of unknown tokens.
				_ = e.EncodeOffsets(&enc, d.Text)
				for _, c := range []*Coverage{&rows[key][i], &total[i]} {
					c.Documents++
					toks[i].Count(&c.Coverage, d.Text, &enc)
				}
				for _, id := range enc.IDs {
					uses[i][id]++
				}
			}
			cfg.Meter.Add(1)
		}
	}
	keys := make([][2]string, 0, len(rows))
	for k := range rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [2]string) int { return strings.Compare(a[0]+"\x00"+a[1], b[0]+"\x00"+b[1]) })
	take := func(source, language string, all []Coverage) {
		for i, c := range all {
			c.Tokenizer, c.Source, c.Language = r.names[i], source, language
			c.Fertility, c.UnknownRate, c.BytesPerToken = c.Coverage.Fertility(), c.Coverage.UnknownRate(), c.Coverage.BytesPerToken()
			r.Rows = append(r.Rows, c)
		}
	}
	for _, k := range keys {
		take(k[0], k[1], rows[k])
	}
	take("all", "", total)
	if len(toks) > 1 {
		for id := range int32(toks[0].VocabSize()) {
			if s := toks[0].Token(id); s != "" {
				if _, ok := toks[1].ID(s); ok {
					r.Shared++
				}
			}
		}
	}
	for i, n := range uses {
		r.curves = append(r.curves, useCurve(r.names[i], n))
		pieces, err := encoders[i].Pieces(nil, r.sample)
		if err != nil {
			return fail(err)
		}
		r.cuts = append(r.cuts, cutText(r.sample, pieces))
	}
	return r, nil
}

func firstSentences(s string, n int) string {
	s = strings.Join(strings.Fields(s[:min(len(s), 4*n)]), " ")
	s = strings.ToValidUTF8(s[:min(len(s), n)], "")
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		s = s[:i]
	}
	return s
}

// cutText writes a text with a bar between its pieces.
func cutText(text string, pieces []tokenize.Piece) string {
	var b strings.Builder
	last := 0
	for i, p := range pieces {
		if i > 0 && p.Start >= last {
			b.WriteString(text[last:p.Start] + "|")
			last = p.Start
		}
		if p.End > last {
			b.WriteString(text[last:p.End])
			last = p.End
		}
	}
	return b.String() + text[last:]
}

// useCurve is the share of all tokens that the most used pieces have, by how many.
func useCurve(name string, uses []int64) page.Series {
	slices.SortFunc(uses, func(a, b int64) int {
		if a != b {
			if a > b {
				return -1
			}
			return 1
		}
		return 0
	})
	total := 0.0
	for _, n := range uses {
		total += float64(n)
	}
	s := page.Series{Name: name}
	sum := 0.0
	step := max(1, len(uses)/200)
	for i, n := range uses {
		sum += float64(n)
		if total > 0 && (i%step == 0 || i == len(uses)-1) {
			s.X, s.Y = append(s.X, float64(i+1)), append(s.Y, 100*sum/total)
		}
	}
	return s
}

// WriteHTML writes the report as a page.
func (r *CoverageReport) WriteHTML(w io.Writer) error {
	p := page.New("Tokenizers: " + strings.Join(r.names, ", "))
	for i, name := range r.names {
		p.Para(fmt.Sprintf("%s: %s ids.", name, page.Number(float64(r.sizes[i]))))
	}
	if len(r.names) > 1 {
		p.Para(fmt.Sprintf("%s pieces are in both of the first two.", page.Number(float64(r.Shared))))
	}
	p.Heading("Compression")
	head := []string{"source", "language", "tokenizer", "documents", "bytes", "tokens", "bytes a token", "tokens a word", "unknown, %"}
	var table [][]string
	var labels []string
	var values, fertility []float64
	for _, c := range r.Rows {
		table = append(table, []string{c.Source, c.Language, c.Tokenizer, page.Number(float64(c.Documents)), page.Number(float64(c.Bytes)),
			page.Number(float64(c.Tokens)), fmt.Sprintf("%.3f", c.BytesPerToken), fmt.Sprintf("%.3f", c.Fertility), fmt.Sprintf("%.3f", 100*c.UnknownRate)})
		labels = append(labels, strings.Join(strings.Fields(c.Source+" "+c.Language+" "+c.Tokenizer), " "))
		values, fertility = append(values, c.BytesPerToken), append(fertility, c.Fertility)
	}
	p.Table("Documents that no mark covers", head, table)
	p.Bars("Compression: more is better", "", "bytes a token", labels, values)
	p.Bars("Fertility: less is better", "", "tokens a word", labels, fertility)
	p.Heading("Use of the vocabulary")
	p.Lines("How much of the text the most used pieces write", "pieces, most used first", "tokens, %", r.curves...)
	if r.sample != "" {
		p.Heading("One text, cut by each")
		for i, cut := range r.cuts {
			p.Para(r.names[i])
			p.Pre(cut)
		}
	}
	_, err := p.WriteTo(w)
	return err
}
