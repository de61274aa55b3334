package trainer

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// card writes the model card.
func card(e *Exported) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	c := e.Model.Config()
	params := 0
	for _, x := range e.Model.Params() {
		params += len(x.Data)
	}
	task := "fill-mask"
	if c.ModelType == "gpt2" {
		task = "text-generation"
	}
	p("---\nlibrary_name: transformers\npipeline_tag: %s\ntags: [%s, tributary]\n---\n", task, c.ModelType)
	p("# %s\n", oneLine(e.Name))
	p("A %s of %d layers and width %d with %d parameters and a vocabulary of %d, pre-trained by Tributary.\n",
		c.Architecture(), c.NumHiddenLayers, c.HiddenSize, params, c.VocabSize)
	p("## Use\n\n```python\nfrom transformers import AutoModelForPreTraining, AutoTokenizer\n\n" +
		"model = AutoModelForPreTraining.from_pretrained(\".\")\ntokenizer = AutoTokenizer.from_pretrained(\".\")\n```\n")
	s := e.State
	if s == nil {
		p("## Training\n\nThis model was not trained by the program that wrote it.")
		return b.Bytes()
	}
	l, r := s.Lineage, s.Recipe
	p("## Training\n")
	p("| | |\n|---|---|")
	row := func(name, value string) {
		if value != "" {
			p("| %s | %s |", name, oneLine(value))
		}
	}
	row("mix", code(l.Mix))
	row("objective", code(l.Objective))
	steps := fmt.Sprintf("%d of %d", s.Step, r.Steps)
	if r.Budget > 0 {
		steps = fmt.Sprintf("%d in %v", s.Step, r.Budget)
	}
	row("steps", fmt.Sprintf("%s (%d updates, %d skipped, %d rollbacks)", steps, s.Updates, s.Skipped, s.Rollbacks))
	if l.Sequences > 0 {
		row("batch", strings.TrimSpace(fmt.Sprintf("%d sequences of at most %d tokens %s", l.Sequences, l.Length, l.Ramp)))
	}
	row("seen", fmt.Sprintf("%d sequences, %d tokens, %d predictions", s.Sequences, s.Tokens, s.Targets))
	o := r.Optimizer
	row("optimiser", fmt.Sprintf("%s, learning rate %g, betas %g and %g, epsilon %g, decay %g, clip %g",
		o.Kind, o.LR, o.Beta1, o.Beta2, o.Epsilon, o.Decay, o.Clip))
	if r.EMA > 0 {
		row("weights", fmt.Sprintf("their running mean, of decay %g", r.EMA))
	}
	row("began from", code(l.Init))
	row("schedule", fmt.Sprintf("%s, %d steps of warm-up", r.Schedule.Kind, r.Schedule.Warmup))
	row("precision of products", cmp.Or(l.Precision, "fp32"))
	row("seed", fmt.Sprint(r.Seed))
	row("tokenizer", l.Tokenizer)
	row("tokenizer digest", code(e.Tokenizer.Digest()))
	p("\n## Data\n\n| source | tokens seen | share | digest of shards and marks |\n|---|---|---|---|")
	names := slices.Collect(maps.Keys(l.Data))
	names = append(names, slices.Collect(maps.Keys(s.SourceTokens))...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		p("| %s | %d | %.2f %% | %s |", oneLine(name), s.SourceTokens[name],
			100*float64(s.SourceTokens[name])/float64(max(1, s.Tokens)), code(l.Data[name]))
	}
	p("\n## Losses\n\nCross-entropies in nats.\n\n| on | token loss | token accuracy | pair loss | pair accuracy | predictions |\n|---|---|---|---|---|---|")
	figuresRow := func(on string, f Figures) {
		pair := "| |"
		if f.Pairs > 0 {
			pair = fmt.Sprintf("| %.4f | %.2f %%", f.PairLoss, 100*f.PairAccuracy)
		}
		p("| %s | %.4f | %.2f %% %s | %d |", oneLine(on), f.TokenLoss, 100*f.TokenAccuracy, pair, f.Targets)
	}
	if s.Train != nil {
		figuresRow("training, the last steps", *s.Train)
	}
	if h := s.Heldout; h != nil {
		for _, f := range h.Sources {
			if f.Source != "" {
				figuresRow("held-out "+f.Source, f.Figures)
			}
		}
		figuresRow(fmt.Sprintf("held-out, all, after %d steps", h.Step), h.All)
	}
	if u := s.Baseline; u != nil {
		p("\nFrom the tokens' frequencies alone a model would reach a loss of %.4f and an accuracy of %.2f %% on the held-out predictions; "+
			"the entropy of the training tokens is %.4f, that of the held-out labels themselves %.4f.",
			u.UnigramLoss, 100*u.UnigramAccuracy, u.UnigramEntropy, u.LabelEntropy)
		if h := s.Heldout; h != nil {
			where := "below"
			if h.All.TokenLoss >= math.Min(u.UnigramEntropy, u.LabelEntropy) {
				where = "not below"
			}
			p("The held-out token loss of %.4f is %s both entropies.", h.All.TokenLoss, where)
		}
	}
	p("\n## Limits\n\nThe model knows what its sources say, with their errors and slants, in the languages they are written in. " +
		"It was not evaluated on any task, nor checked for harmful output; its text length is bounded by its position embeddings.")
	return b.Bytes()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "`", "'") + "`"
}

// oneLine keeps a value inside its table cell.
func oneLine(s string) string {
	return strings.NewReplacer("\n", " ", "\r", " ", "|", `\|`).Replace(s)
}
