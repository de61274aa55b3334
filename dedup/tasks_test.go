package dedup

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readItems(path string, fields ...string) (string, error) {
	var out []string
	for it, err := range TaskItems(context.Background(), []string{path}, fields) {
		if err != nil {
			return "", err
		}
		out = append(out, fmt.Sprintf("%s/%s=%q", it.Task, it.ID, it.Text))
	}
	return strings.Join(out, " "), nil
}

func TestTaskItemsOfEachFormat(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("one\n\ntwo\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string
		fields     []string
		want       string
	}{
		{"quiz.jsonl", "\ufeff{\"id\": 7, \"q\": \"who\", \"choices\": [\"a\", {\"b\": \"c\"}], \"label\": 1}\n\n{\"task\": \"other\", \"q\": \"why\"}", nil, `quiz/7="who\na\nc" other/2="why"`},
		{"quiz.jsonl", `{"id": "x", "q": "who", "deep": {"q": "what", "r": "not"}}`, []string{"q"}, `quiz/x="who\nwhat"`},
		{"quiz.json", ` [{"q": "a"}, "b"] `, nil, `quiz/1="a" quiz/2="b"`},
		{"quiz.json", `{"q": "a"} {"q": "b"}`, nil, `quiz/1="a" quiz/2="b"`},
		{"quiz.json", ``, nil, ``},
		{"quiz.csv", "id,q,a\n1,\"who, when\",you\n2,why\n", nil, `quiz/1="who, when\nyou" quiz/2="why"`},
		{"quiz.tsv", "q\ta\nhe said \"no\tx\n", []string{"q"}, `quiz/1="he said \"no"`},
		{"quiz.txt.gz", packed.String(), nil, `quiz/1="one" quiz/2="two"`},
	} {
		got, err := readItems(writeFile(t, c.name, c.text), c.fields...)
		if err != nil || got != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
	}
	for name, text := range map[string]string{
		"a.jsonl": `{"q": "a"`, "b.jsonl": "{} {}", "c.json": `[{"q": "a"}, {`, "d.json": `{"q": ` + strings.Repeat("[", 100),
		"e.csv": "a,b\n\"x", "f.txt": "\x1f\x8b\x00", "g.jsonl": "{\"a\": 1}\n" + strings.Repeat("x", maxItemBytes+1),
	} {
		if got, err := readItems(writeFile(t, name, text)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s gives %s (%v)", name, got, err)
		}
	}
	if _, err := readItems(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("an absent file was read")
	}
	for it, err := range TaskItems(context.Background(), []string{writeFile(t, "a.txt", "1\n2\n3")}, nil) {
		if err != nil || it.Text != "1" {
			t.Errorf("the first item is %+v (%v)", it, err)
		}
		break
	}
}

func FuzzTaskItems(f *testing.F) {
	for _, s := range []string{`{"id": 1, "q": "who"}`, `[{"a": ["b"]}]`, "a,b\n1,2\n", "line\n"} {
		for kind := range 5 {
			f.Add(kind, s)
		}
	}
	f.Fuzz(func(t *testing.T, kind int, text string) {
		ext := []string{".jsonl", ".json", ".csv", ".tsv", ".txt"}[uint(kind)%5]
		path := filepath.Join(t.TempDir(), "task"+ext)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n := 0
		for it, err := range TaskItems(context.Background(), []string{path}, nil) {
			if err == nil && (it.ID == "" || it.Task == "") {
				t.Fatalf("an item without a name: %+v", it)
			}
			if n++; n > len(text)+2 {
				t.Fatal("more items than bytes")
			}
		}
	})
}

// Examples that are short, reworded a little or inside a longer text are found.
func TestDecontaminateFindsShortAndNearItems(t *testing.T) {
	question := "The quick brown fox jumps over the lazy dog while the patient farmer counts his seven white geese near the old stone bridge at dawn"
	dir := t.TempDir()
	writeDocuments(t, dir, "web",
		doc("inside", "Some introduction that has nothing to do with it.\n\n"+strings.Replace(question, "seven", "eleven", 1)+".\n\nAnd an end."),
		doc("short", "Let me ask: what is the capital city of the country France, and why?"),
		doc("clean", "The quick brown fox is an animal. What is the capital of it?"))
	items := []TaskItem{{"quiz", "long", question}, {"quiz", "short", "What is the capital city of the country France?"}, {"quiz", "tiny", "What is"}}
	r, err := Decontaminate(context.Background(), Config{Data: dir}, taskItems(items...), DecontaminateOptions{NGram: 20, Near: 0.6})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range marksOf(t, dir, "web") {
		got = append(got, fmt.Sprintf("%s %s %s %.2f %v", m.ID, m.Kind, m.Kept, m.Score, m.Whole()))
	}
	want := "inside near long 0.62 false|short item short 1.00 true|short overlap short 1.00 false"
	if strings.Join(got, "|") != want {
		t.Errorf("marks %s, want %s", strings.Join(got, "|"), want)
	}
	if r.Marked() != 2 {
		t.Errorf("report %+v", r)
	}
}
