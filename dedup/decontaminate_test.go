package dedup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

func taskItems(items ...TaskItem) iter.Seq2[TaskItem, error] {
	return func(yield func(TaskItem, error) bool) {
		for _, it := range items {
			if !yield(it, nil) {
				return
			}
		}
	}
}

func TestDecontaminate(t *testing.T) {
	var question []string
	for i := range 40 {
		question = append(question, fmt.Sprintf("word%d", i))
	}
	q := strings.Join(question, " ")
	part := strings.Join(question[5:25], ", ")
	dir := t.TempDir()
	writeDocuments(t, dir, "web",
		doc("whole", "Before it. "+strings.ToUpper(q)+"! And after it."),
		doc("part", "Ünder the "+part+" there is more. And again: "+part+"."),
		doc("twelve", strings.Join(question[:12], " ")+" and so on"),
		doc("clean", "Nothing of this is in any task, however long the sentence may be made to be by its author."),
		doc("short", "Yes, no."))
	items := []TaskItem{{"quiz", "q1", q}, {"quiz", "q2", "yes no"}, {"quiz", "q3", "..."}, {"other", "o1", q + " other words follow here to make it longer than the other one is by a lot of words"}}
	rule := func(ctx context.Context, cfg Config) (*Report, error) {
		return Decontaminate(ctx, cfg, taskItems(items...), DecontaminateOptions{})
	}
	r, err := rule(context.Background(), Config{Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for d, err := range ingest.Documents(context.Background(), dir, "web") {
		if err != nil {
			t.Fatal(err)
		}
		text[d.ID] = d.Text
	}
	var got []string
	for _, m := range marksOf(t, dir, "web") {
		if m.KeptSource != "quiz" {
			continue
		}
		covered := "*"
		if !m.Whole() {
			covered = text[m.ID][m.Start:m.End]
		}
		got = append(got, fmt.Sprintf("%s %s %s %.2f %s", m.ID, m.Kind, m.Kept, m.Score, covered))
	}
	want := []string{
		"part overlap q1 0.29 " + part,
		"part overlap q1 0.29 " + part,
		"short item q2 1.00 *",
		"short overlap q2 1.00 Yes, no",
		"whole item q1 1.00 *",
		"whole near q1 0.88 *",
		"whole overlap q1 1.00 " + strings.ToUpper(q),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("marks\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var f DecontaminateFigures
	if err := json.Unmarshal(r.Figures, &f); err != nil {
		t.Fatal(err)
	}
	if f.Items != 4 || len(f.Tasks) != 2 || f.TooShort != 1 || f.Wordless != 1 || len(f.Found) != 3 || f.Found[1] != (ItemReport{"quiz", "q1", beginning(q), 2, 1, 36. / 41}) {
		t.Errorf("figures %+v", f)
	}
	if again, err := rule(context.Background(), Config{Data: dir}); err != nil || !again.Skipped || string(again.Figures) != string(r.Figures) {
		t.Errorf("a second run: %+v (%v)", again, err)
	}
	items = items[:1]
	if other, err := rule(context.Background(), Config{Data: dir}); err != nil || other.Skipped {
		t.Errorf("a run with other items: %+v (%v)", other, err)
	}
}

func TestDecontaminateMarksDependOnTheInputAlone(t *testing.T) {
	docs := planted(200, []float64{0.5, 0.9}, 9)
	var items []TaskItem
	for i := 0; i < len(docs); i += 7 {
		items = append(items, TaskItem{"task", docs[i].ID, docs[i].Text})
	}
	rule := func(ctx context.Context, cfg Config) (*Report, error) {
		return Decontaminate(ctx, cfg, taskItems(items...), DecontaminateOptions{NGram: 8})
	}
	want := marksDigest(t, docs, Config{Jobs: 1}, rule)
	if marksDigest(t, docs, Config{Jobs: 5, MemoryBytes: 1}, rule) != want {
		t.Error("workers or memory change the marks")
	}
}

func TestBadTaskItems(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "web", doc("a", "Text."))
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		items iter.Seq2[TaskItem, error]
		opt   DecontaminateOptions
	}{
		"none":     {items: taskItems()},
		"an error": {items: func(yield func(TaskItem, error) bool) { yield(TaskItem{}, broken) }},
		"n":        {items: taskItems(TaskItem{Text: "x"}), opt: DecontaminateOptions{NGram: -1}},
		"share":    {items: taskItems(TaskItem{Text: "x"}), opt: DecontaminateOptions{Whole: -1}},
	} {
		if _, err := Decontaminate(context.Background(), Config{Data: dir}, c.items, c.opt); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
