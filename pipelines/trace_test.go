package pipelines

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
)

// Every token of every objective's batches leads to the bytes of a document's text that
// it was made of, after a change of weights too, and from there back to its step.
func TestEveryTokenIsTracedThereAndBack(t *testing.T) {
	data := servedRoot(t)
	ctx := context.Background()
	for _, objective := range slices.Concat(masking.Objectives(), masking.LabelledObjectives(), []string{"task:replace:ltr:denoise", "task:mask:bidirectional:tfidf", "task:bert:rtl:tf"}) {
		cfg := servedConfig(t, data, objective)
		if len(cfg.Mix) > 1 {
			cfg.Mix[1].Where = "words > 50"
			cfg.Stages = []mixer.Stage{{From: 10, Mix: mixer.Mix{{Name: "wiki", Where: "words > 50", Weight: 1}, {Name: "books", Weight: 2}}}}
		}
		b, err := OpenBatches(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		texts := map[string]string{}
		for _, source := range []string{"wiki", "books", "labelled-" + objective} {
			for d, err := range ingest.Documents(ctx, data, source) {
				if err != nil {
					if strings.HasPrefix(source, "labelled") {
						break
					}
					t.Fatal(err)
				}
				texts[d.ID] = d.Text
			}
		}
		traced := 0
		for _, at := range []struct {
			step     int64
			sequence int
		}{{0, 3}, {9, 1}, {11, 6}} {
			found, err := b.Trace(ctx, at.step, at.sequence, true)
			if err != nil {
				t.Fatalf("%s: %v", objective, err)
			}
			batch, err := b.Batch(ctx, at.step, 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			if n := int(batch.SeqBounds[at.sequence+1] - batch.SeqBounds[at.sequence]); len(found.Tokens) != n {
				t.Fatalf("%s: %d of %d tokens are traced", objective, len(found.Tokens), n)
			}
			for _, x := range found.Tokens {
				if x.Part < 0 {
					continue
				}
				part := found.Parts[x.Part]
				whole := texts[part.Document]
				if x.Token < part.FirstToken || x.Token > part.LastToken || whole[x.FirstByte:x.EndByte] != x.Text || x.FirstByte < *part.FirstByte || x.EndByte > *part.EndByte {
					t.Fatalf("%s: token %+v of part %+v", objective, x, part)
				}
				var tokens []string
				for _, id := range b.Tokenizer.NewEncoder().Encode(nil, x.Text) {
					tokens = append(tokens, strings.TrimPrefix(b.Tokenizer.Token(id), "##"))
				}
				said := strings.Join(tokens, "")
				want := x.Shown
				// What a position of BERT's kin shows is changed; what it asks for is the text.
				if x.Asked != "" && batch.Ranks == nil && batch.Values == nil && batch.Classes == 0 || batch.TargetBounds != nil && x.Asked != "" {
					want = x.Asked
				}
				plain := strings.NewReplacer("##", "", " ", "").Replace(want)
				if strings.Contains(objective, ":") || want == "[UNK]" || strings.Contains(said, "[UNK]") {
					traced++ // the grid changes what is shown where it does not ask
					continue
				}
				if plain != said && plain != strings.Join(strings.Fields(x.Text), "") {
					t.Fatalf("%s: token %q stands at bytes %d to %d of %s, which are %q", objective, want, x.FirstByte, x.EndByte, part.Document, x.Text)
				}
				traced++
			}
			// And back: the last token of each part is used in this step.
			for _, part := range found.Parts {
				uses, err := b.WhereUsed(ctx, UsesConfig{Documents: []string{part.Document}, Byte: *part.EndByte - 1, From: at.step, To: at.step + 1, Built: true}, func() {})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(uses, func(u mixer.Use) bool { return u.Index == found.Index && u.Span.End-1 == part.LastToken }) {
					t.Fatalf("%s: %+v is not among the uses %+v", objective, part, uses)
				}
			}
		}
		if traced < 9 {
			t.Errorf("%s: %d tokens were traced", objective, traced)
		}
		if _, err := b.Trace(ctx, 0, 1000, false); !errors.Is(err, ErrNoSequence) {
			t.Errorf("sequence 1000: %v", err)
		}
	}
}

// What is computed of uses is what building every batch finds, but for second parts
// that come from elsewhere.
func TestComputedUsesAreThoseThatAreBuilt(t *testing.T) {
	data := servedRoot(t)
	ctx := context.Background()
	for _, objective := range []string{"gpt", "roberta", "spanbert", "t5", "bert"} {
		cfg := servedConfig(t, data, objective)
		cfg.Stages = []mixer.Stage{{From: 20, Mix: mixer.Mix{{Name: "wiki", Weight: 3}, {Name: "books", Weight: 2}}}}
		b, err := OpenBatches(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		found, err := b.Trace(ctx, 25, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		ask := UsesConfig{Documents: []string{found.Parts[0].Document}, Byte: -1, From: 3, To: 60}
		computed, err := b.WhereUsed(ctx, ask, nil)
		if err != nil {
			t.Fatal(err)
		}
		steps := 0
		ask.Built = true
		built, err := b.WhereUsed(ctx, ask, func() { steps++ })
		if err != nil {
			t.Fatal(err)
		}
		if steps != 57 || len(built) == 0 || objective == "bert" && len(built) < len(computed) || objective != "bert" && !slices.Equal(computed, built) {
			t.Errorf("%s: %d steps; computed %+v, built %+v", objective, steps, computed, built)
		}
		for _, u := range computed {
			if !slices.ContainsFunc(built, func(v mixer.Use) bool { return v.Index == u.Index }) && objective != "bert" {
				t.Errorf("%s: %+v is not built", objective, u)
			}
		}
	}
	b, err := OpenBatches(ctx, servedConfig(t, data, "gpt"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.WhereUsed(ctx, UsesConfig{Documents: []string{"nobody"}, Byte: -1, To: 5}, nil); err == nil || !strings.Contains(err.Error(), "no source of the mix has document nobody") {
		t.Errorf("a document that is not there: %v", err)
	}
	found, err := b.Trace(ctx, 0, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.WhereUsed(ctx, UsesConfig{Documents: []string{found.Parts[0].Document}, Byte: 1 << 30, To: 5}, nil); err == nil || !strings.Contains(err.Error(), "no token of document") {
		t.Errorf("a byte that is not there: %v", err)
	}
}
