package pipelines

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/mixer"
)

// labelledRoot makes a labelled source with a tokenizer of its own.
func labelledRoot(t *testing.T, cfg ingest.LabelConfig) string {
	t.Helper()
	cfg.Data = t.TempDir()
	r, err := ingest.MakeLabelled(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Skipped > r.Examples/20 {
		t.Errorf("%v: %d of %d examples were skipped: %+v", cfg.Inputs, r.Skipped, r.Examples+r.Skipped, r.Skips)
	}
	if _, err := Shard(context.Background(), ShardConfig{Data: cfg.Data, Sources: []string{cfg.Source}}); err != nil {
		t.Fatal(err)
	}
	return cfg.Data
}

// checkLabelled compares every sequence of a pass with the text and the label it was
// made of.
func checkLabelled(t *testing.T, data, source, task string) {
	t.Helper()
	ctx := context.Background()
	mix, err := mixer.ParseMix(source)
	if err != nil {
		t.Fatal(err)
	}
	cfg := BatchConfig{Data: data, Mix: mix, Objective: task, SeqLen: 512, BatchSize: 8, Seed: 1}
	b, err := OpenBatches(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, list, err := ingest.ReadLabels(data, source)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]ingest.Labelled{}
	for _, l := range list {
		known[l.ID] = l
	}
	texts := map[string]string{}
	for d, err := range ingest.Documents(ctx, data, source) {
		if err != nil {
			t.Fatal(err)
		}
		texts[d.ID] = d.Text
	}
	squeeze := func(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), "")) }
	seen, cut := map[string]bool{}, 0
	for step := int64(0); step < int64(len(list)+7)/8 && step < 200; step++ {
		batch, err := b.Batch(ctx, step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for i, o := range batch.Origins {
			doc := o.Spans[0].Doc
			l, text := known[doc], texts[doc]
			seen[doc] = true
			tokens := batch.Tokens[batch.SeqBounds[i]:batch.SeqBounds[i+1]]
			whole := len(tokens) < 500
			if !whole {
				cut++
			}
			switch task {
			case "classify", "pair":
				if got := b.Labels.Names[batch.PairLabels[i]]; got != l.Label {
					t.Fatalf("%s of document %s is %q, want %q", task, doc, got, l.Label)
				}
				if task == "pair" && whole {
					n := int(o.Spans[0].End)
					first := strings.NewReplacer("##", "", " ", "").Replace(b.Tokenizer.Decode(tokens[1:1+n], false))
					if want := squeeze(text[:l.First]); utf8.RuneCountInString(first) != utf8.RuneCountInString(want) && !strings.Contains(first, "[unk]") && !strings.Contains(first, "[UNK]") {
						t.Fatalf("the first text of %s is %q, want %q", doc, first, want)
					}
				}
			case "regress":
				if batch.SequenceValues[i] != float32(l.Value) {
					t.Fatalf("document %s has %g, want %g", doc, batch.SequenceValues[i], l.Value)
				}
			case "tag":
				var got []string
				for ; at < len(batch.Predict) && batch.Predict[at] < batch.SeqBounds[i+1]; at++ {
					got = append(got, b.Labels.Names[batch.Labels[at]])
				}
				if whole && !slices.Equal(got, l.Tags) && !strings.ContainsAny(text, "\ufffd\u200b\u00a0\u00ad") {
					t.Fatalf("the tags of %q are %v, want %v", text, got, l.Tags)
				}
			}
		}
	}
	if len(seen) < min(len(list)*9/10, 1500) || cut > len(list)/10 {
		t.Errorf("%d of %d labelled documents were read, %d of them cut", len(seen), len(list), cut)
	}
}

func TestLabelledObjectivesReadTheirLabels(t *testing.T) {
	dir := t.TempDir()
	write := func(name, line string, n int) string {
		var b strings.Builder
		if strings.HasSuffix(name, ".tsv") {
			b.WriteString("text\tsecond\tlabel\n")
		}
		for i := range n {
			word := strings.Repeat(string(rune('a'+i%26)), 1+i%5)
			b.WriteString(strings.NewReplacer("W", word, "N", []string{"1.5", "-2", "0"}[i%3]).Replace(line))
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	table := write("t.tsv", "The W goes. It is W-ing!\tAnother W, it's said.\tN\n", 90)
	tags := write("t.conll", "U.S. x O\nW's x B-N\n-- x O\nend x I-N\n\n", 60)
	for _, task := range ingest.LabelTasks() {
		input := table
		if task == "tag" {
			input = tags
		}
		data := labelledRoot(t, ingest.LabelConfig{Source: "s", Task: task, Inputs: []string{input}})
		checkLabelled(t, data, "s", task)
		for _, other := range ingest.LabelTasks() {
			mix, _ := mixer.ParseMix("s")
			_, err := OpenBatches(context.Background(), BatchConfig{Data: data, Mix: mix, Objective: other, SeqLen: 64, BatchSize: 2})
			if other != task && (err == nil || !strings.Contains(err.Error(), "the labels of s are for "+task)) {
				t.Errorf("labels for %s and objective %s: %v", task, other, err)
			}
		}
	}
}

func TestRealLabelledSets(t *testing.T) {
	root := os.Getenv("TRIBUTARY_DATA")
	if root == "" {
		return
	}
	for _, c := range []ingest.LabelConfig{
		{Source: "agnews", Task: "classify", Text: "1", Label: "2", Inputs: []string{"agnews/train-subset.tsv.gz"}},
		{Source: "cola", Task: "classify", Text: "4", Label: "2", Inputs: []string{"cola/in_domain_train.tsv"}},
		{Source: "rte", Task: "pair", Text: "sentence1", Second: "sentence2", Inputs: []string{"rte/train.tsv.gz"}},
		{Source: "sci", Task: "tag", Inputs: []string{"scibert/ner-sciie/train.conll.gz"}},
		{Source: "cite", Task: "classify", Inputs: []string{"scibert/sci-cite/dev.jsonl.gz"}},
	} {
		for i, path := range c.Inputs {
			c.Inputs[i] = filepath.Join(root, "labelled", path)
		}
		checkLabelled(t, labelledRoot(t, c), c.Source, c.Task)
	}
}
