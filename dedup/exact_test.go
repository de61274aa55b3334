package dedup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

func writeDocuments(t testing.TB, dir, source string, docs ...ingest.Document) {
	t.Helper()
	w, err := ingest.NewWriter(dir, source)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range docs {
		if err := w.Add(&docs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func doc(id, text string) ingest.Document { return ingest.Document{ID: id, Text: text} }

func marksOf(t testing.TB, dir, source string) []Mark {
	t.Helper()
	var out []Mark
	for m, err := range Marks(context.Background(), dir, source) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

func short(marks []Mark) string {
	var b strings.Builder
	for _, m := range marks {
		fmt.Fprintf(&b, "%s<%s/%s(%s) ", m.ID, m.KeptSource, m.Kept, m.Kind)
	}
	return strings.TrimSpace(b.String())
}

func TestExactKeepsOneOfEachText(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "books",
		doc("b1", "A text."), doc("b2", "  A\n\ntext. "), doc("b3", "a text."), doc("b0", "A text."),
		doc("b5", "Caf\u00e9"), doc("b4", "Cafe\u0301"))
	writeDocuments(t, dir, "wiki", doc("a1", "A text."), doc("a2", "Another."), doc("a3", "Another.\n"))
	cfg := Config{Data: dir, Sources: []string{"books", "wiki"}}
	r, err := Exact(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := short(marksOf(t, dir, "books")), "b1<books/b0(raw) b2<books/b0(normalised) b5<books/b4(normalised)"; got != want {
		t.Errorf("books: %s, want %s", got, want)
	}
	if got, want := short(marksOf(t, dir, "wiki")), "a1<books/b0(raw) a3<wiki/a2(normalised)"; got != want {
		t.Errorf("wiki: %s, want %s", got, want)
	}
	if r.Groups != 3 || r.Largest != 4 || r.Marked() != 5 || r.Sources[0].Documents != 6 {
		t.Errorf("report %+v", r)
	}
	if want := []SourceCount{{"books", 1}, {"wiki", 1}}; !slices.Equal(r.Sources[1].KeptIn, want) {
		t.Errorf("wiki's marks: %v, want %v", r.Sources[1].KeptIn, want)
	}

	again, err := Exact(context.Background(), cfg)
	if err != nil || !again.Skipped {
		t.Fatalf("a second run: %+v (%v)", again, err)
	}
	again.Skipped = false
	if !reflect.DeepEqual(again, r) {
		t.Errorf("the second run reports %+v, the first %+v", again, r)
	}

	// The source that is named first keeps its document.
	cfg.Sources = []string{"wiki", "books"}
	if _, err := Exact(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if got, want := short(marksOf(t, dir, "wiki")), "a3<wiki/a2(normalised)"; got != want {
		t.Errorf("wiki, named first: %s, want %s", got, want)
	}

	if _, err := ExactRaw(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, m := range marksOf(t, dir, "books") {
		rules = append(rules, m.Rule+":"+m.ID)
	}
	if want := "[exact:b0 exact:b1 exact:b2 exact:b5 exact-raw:b0 exact-raw:b1]"; fmt.Sprint(rules) != want {
		t.Errorf("two rules: %v, want %s", rules, want)
	}
	for _, source := range cfg.Sources {
		entries, err := os.ReadDir(marksDir(dir, source))
		if err != nil || len(entries) != 3 {
			t.Errorf("the marks of %s lie in %v (%v)", source, entries, err)
		}
	}
}

func marksDigest(t testing.TB, docs []ingest.Document, cfg Config, rule func(context.Context, Config) (*Report, error)) string {
	t.Helper()
	cfg.Data = t.TempDir()
	half := len(docs) / 2
	writeDocuments(t, cfg.Data, "books", docs[:half]...)
	writeDocuments(t, cfg.Data, "wiki", docs[half:]...)
	if _, err := rule(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, s := range []string{"books", "wiki"} {
		m, err := store.ReadManifest(marksDir(cfg.Data, s))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range m.Files {
			keys = append(keys, f.SHA256)
		}
	}
	return fmt.Sprint(keys)
}

func TestExactMarksDependOnTheDocumentsAlone(t *testing.T) {
	docs := make([]ingest.Document, 4000)
	for i := range docs {
		docs[i] = doc(fmt.Sprintf("%04d", i*7919%4000), fmt.Sprintf("Text %d.", i%1500))
	}
	want := marksDigest(t, docs, Config{Jobs: 1}, Exact)
	if marksDigest(t, docs, Config{Jobs: 5, MemoryBytes: 1}, Exact) != want {
		t.Error("workers or memory change the marks")
	}
	slices.Reverse(docs[:2000])
	slices.Reverse(docs[2000:])
	if marksDigest(t, docs, Config{Jobs: 2}, Exact) != want {
		t.Error("the order of ingestion changes the marks")
	}
}

func TestOneDocumentManyTimes(t *testing.T) {
	dir := t.TempDir()
	docs := make([]ingest.Document, 20_000)
	for i := range docs {
		docs[i] = doc(fmt.Sprintf("%06d", i), "Accept all cookies?")
	}
	writeDocuments(t, dir, "web", docs...)
	r, err := Exact(context.Background(), Config{Data: dir, MemoryBytes: 1 << 18})
	if err != nil {
		t.Fatal(err)
	}
	if r.Marked() != 19_999 || r.Largest != 20_000 || r.Spilled == 0 {
		t.Errorf("report %+v", r)
	}
}

func TestTheSameIDTwiceKeepsTheDocument(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "web", doc("a", "Text."), doc("a", "Text."), doc("b", "Text."))
	if _, err := Exact(context.Background(), Config{Data: dir}); err != nil {
		t.Fatal(err)
	}
	if got := short(marksOf(t, dir, "web")); got != "b<web/a(raw)" {
		t.Errorf("marks: %s", got)
	}
}

func TestBadConfigurations(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "web", doc("a", "Text."))
	for _, sources := range [][]string{{"web", "web"}, {"absent"}, {"../web"}, {""}} {
		if _, err := Exact(context.Background(), Config{Data: dir, Sources: sources}); err == nil {
			t.Errorf("sources %q were accepted", sources)
		}
	}
	if _, err := Exact(context.Background(), Config{Data: t.TempDir()}); !errors.Is(err, ingest.ErrNoSource) {
		t.Errorf("an empty data root gives %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Exact(ctx, Config{Data: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run gives %v", err)
	}
	if got := marksOf(t, dir, "web"); got != nil {
		t.Errorf("a cancelled run left the marks %v", got)
	}
	if entries, _ := os.ReadDir(marksDir(dir, "web")); len(entries) != 0 {
		t.Errorf("a cancelled run left %v", entries)
	}
}

func TestDamagedMarksAreNamed(t *testing.T) {
	dir := t.TempDir()
	docs := make([]ingest.Document, 300)
	for i := range docs {
		docs[i] = doc(fmt.Sprintf("%03d", i), fmt.Sprint("Text ", i%100))
	}
	writeDocuments(t, dir, "web", docs...)
	if key, err := MarksKey(dir, "web"); err != nil || key != "" {
		t.Errorf("the key of no marks is %q (%v)", key, err)
	}
	if _, err := Exact(context.Background(), Config{Data: dir}); err != nil {
		t.Fatal(err)
	}
	if key, err := MarksKey(dir, "web"); err != nil || len(key) != 64 {
		t.Errorf("the key of marks is %q (%v)", key, err)
	}
	m, err := store.ReadManifest(marksDir(dir, "web"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(marksDir(dir, "web"), m.Files[0].Path)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(good); at += 13 {
		bad := slices.Clone(good)
		bad[at] ^= 0x41
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		var failed error
		for _, err := range Marks(context.Background(), dir, "web") {
			failed = err
		}
		var damaged *store.DamagedError
		if !errors.As(failed, &damaged) || damaged.Path != path {
			t.Fatalf("byte %d flipped: %v", at, failed)
		}
		// Behind the checksum, damage is an error or goes unnoticed, and no panic.
		for _, err := range markFile(context.Background(), path) {
			if err != nil && !errors.As(err, &damaged) {
				t.Fatalf("byte %d flipped: %v", at, err)
			}
		}
	}
	if err := os.WriteFile(path, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(marksDir(dir, "web"), store.ManifestName), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := MarksKey(dir, "web"); err == nil {
		t.Error("a broken manifest has a key")
	}
}

func TestFields(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""}, {" \t\n", ""}, {"a", "a"}, {" a  b\u00a0c\u2003", "a|b|c"}, {"ä ö", "ä|ö"},
	} {
		var got []string
		for from, to := range fields(c.text) {
			got = append(got, c.text[from:to])
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("fields of %q: %q", c.text, got)
		}
	}
}

func TestNormalisedDigestIsThatOfTheFields(t *testing.T) {
	h := newTextHasher()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a", "bc", " ", "  ", "\n", "\x01", "é", "\u00a0", "\u2003", "\u0301", "\u0085"})).Draw(t, "pieces"), "")
		var words []string
		nfc := norm.NFC.String(text)
		for from, to := range fields(nfc) {
			words = append(words, nfc[from:to])
		}
		if h.normalised(text) != h.raw(strings.Join(words, " ")) {
			t.Fatalf("%q is not digested as %q", text, words)
		}
	})
}

func FuzzNormalisedDigest(f *testing.F) {
	f.Add("A text.\n\nOf two  paragraphs.")
	f.Add("Cafe\u0301 \u00a0")
	h := newTextHasher()
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		want := h.normalised(text)
		if h.normalised(" "+strings.ReplaceAll(text, " ", "\n ")+"\t") != want {
			t.Errorf("more white space changes the digest of %q", text)
		}
		if h.normalised(text+"x") == want {
			t.Errorf("another letter does not change the digest of %q", text)
		}
	})
}

func ExampleExact() {
	dir, err := os.MkdirTemp("", "data")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	w, err := ingest.NewWriter(dir, "notes")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Abort()
	for i, text := range []string{"One text.", "Another text.", "One\ntext."} {
		if err := w.Add(&ingest.Document{ID: fmt.Sprint("note-", i), Text: text}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if _, err := w.Commit(); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := Exact(context.Background(), Config{Data: dir}); err != nil {
		fmt.Println(err)
		return
	}
	for m, err := range Marks(context.Background(), dir, "notes") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.ID, "repeats", m.Kept)
	}
	// Output: note-2 repeats note-0
}
