package sample

import (
	"fmt"
	"strings"
)

// labelled writes train.tsv and dev.tsv: a line "text<TAB>label" for each
// example, below a header line; the label is the topic.
func (w *writing) labelled() error {
	for _, split := range []struct {
		name string
		n    int
	}{{"train", w.count(2000, 200)}, {"dev", w.count(400, 60)}} {
		var b strings.Builder
		b.WriteString("text\tlabel\n")
		for i := range split.n {
			text, label := w.example(split.name, i)
			fmt.Fprintf(&b, "%s\t%s\n", text, label)
		}
		w.report.Labelled += split.n
		if err := w.writeFile(LabelledDir+"/"+split.name+".tsv", []byte(b.String())); err != nil {
			return err
		}
	}
	return nil
}

// example is one labelled example: two or three sentences and their topic.
func (w *writing) example(split string, i int) (text, label string) {
	r := w.rng("labelled/"+split, i)
	t := &w.topics[r.IntN(len(w.topics))]
	a := newAuthor(r, t, r.IntN(2) == 0)
	return strings.Join(a.paragraph(2+r.IntN(2)), " "), t.name
}
