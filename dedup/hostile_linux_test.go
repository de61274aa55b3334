package dedup

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// everyRule is each rule with options for small texts.
func everyRule(t testing.TB) map[string]func(context.Context, Config) (*Report, error) {
	bloom, err := BloomFor(10_000, 1e-6, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(context.Context, Config) (*Report, error){
		RuleExact: Exact, RuleExactRaw: ExactRaw, RuleURL: URL,
		RuleParagraph: func(ctx context.Context, c Config) (*Report, error) { return Paragraph(ctx, c, 3) },
		RuleLine:      func(ctx context.Context, c Config) (*Report, error) { return Line(ctx, c, 3) },
		RuleMinHash: func(ctx context.Context, c Config) (*Report, error) {
			return MinHash(ctx, c, options(t, "threshold:0.8"))
		},
		RuleSubstring:      substringRule(SubstringOptions{Length: 64}),
		RuleParagraphBloom: func(ctx context.Context, c Config) (*Report, error) { return ParagraphBloom(ctx, c, bloom) },
		RuleDecontaminate: func(ctx context.Context, c Config) (*Report, error) {
			return Decontaminate(ctx, c, taskItems(TaskItem{"quiz", "1", "which of the words of the text is the one that was asked for by the teacher"}), DecontaminateOptions{})
		},
	}
}

// Whatever the texts, each rule ends, marks nothing of what stays for nothing, and
// keeps one of each.
func TestEveryRuleOnHostileTexts(t *testing.T) {
	docs := []ingest.Document{
		doc("space", " "), doc("newlines", "\n\n\n"), doc("dots", strings.Repeat(".", 5000)), doc("dots2", strings.Repeat("!?", 2500)),
		doc("word", strings.Repeat("word ", 20_000)), doc("word2", strings.Repeat("word ", 19_000)), doc("letters", strings.Repeat("x", 50_000)),
		doc("nul", strings.Repeat("\x00", 500)), doc("unknown", strings.Repeat("\ufffd", 900)),
		doc("lines", strings.Repeat("the same line again\n", 2000)), doc("marks", strings.Repeat("\u0301", 4000)), doc("joiner", strings.Repeat("a\u200d", 900)),
		doc("chinese", strings.Repeat("東京都", 2000)), doc("same", "One text."), doc("same2", "One text."),
	}
	// Empty documents and wrong UTF-8 do not get as far.
	w, err := ingest.NewWriter(t.TempDir(), "web")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, text := range []string{"", "a \xff\xfe b \xc3 c", "caf\xc3"} {
		if err := w.Add(&ingest.Document{ID: "bad", Text: text}); err == nil {
			t.Errorf("a document with the text %q was taken", text)
		}
	}
	for name, rule := range everyRule(t) {
		dir := t.TempDir()
		writeDocuments(t, dir, "web", docs...)
		r, err := rule(context.Background(), Config{Data: dir, MemoryBytes: 1 << 20})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := r.Sources[0].Documents; n != int64(len(docs)) {
			t.Errorf("%s saw %d documents of %d", name, n, len(docs))
		}
		size := map[string]int64{}
		for d, err := range ingest.Documents(context.Background(), dir, "web") {
			if err != nil {
				t.Fatal(err)
			}
			size[d.ID] = int64(len(d.Text))
		}
		whole := map[string]bool{}
		for _, m := range marksOf(t, dir, "web") {
			if m.End > size[m.ID] || m.Start > m.End || m.KeptEnd > size[m.Kept] && name != RuleDecontaminate {
				t.Errorf("%s: mark %+v lies outside its text", name, m)
			}
			if m.Whole() {
				whole[m.ID] = true
			}
		}
		if whole["same"] && whole["same2"] {
			t.Errorf("%s removes both of two equal texts", name)
		}
	}
}

// One document again and again: one stays. The full million is for those who ask:
// DEDUP_COPIES=1000000.
func TestOneDocumentAMillionTimes(t *testing.T) {
	copies := 5000
	if s := os.Getenv("DEDUP_COPIES"); s != "" {
		if _, err := fmt.Sscan(s, &copies); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	w, err := ingest.NewWriter(dir, "web")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	text := planted(1, []float64{1}, 8)[0].Text
	for i := range copies {
		if err := w.Add(&ingest.Document{ID: fmt.Sprintf("%08d", i), Text: text, URL: "http://example.org/"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	for name, rule := range everyRule(t) {
		if name == RuleDecontaminate {
			continue
		}
		began := time.Now()
		r, err := rule(context.Background(), Config{Data: dir, MemoryBytes: 16 << 20})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := r.Marked(); got != int64(copies-1) {
			t.Errorf("%s marks %d documents of %d", name, got, copies)
		}
		t.Logf("%s: %d copies in %v", name, copies, time.Since(began).Round(time.Millisecond))
	}
}

// A disk that is full while a rule spills is an error that says so, and the next
// run ends with the marks of one that was not disturbed. The file size limit of the
// process stands for the disk.
func TestFullDisk(t *testing.T) {
	if os.Getenv("DEDUP_FULL_DISK") == "" {
		// In a process of its own: the limit is that of all files.
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), "DEDUP_FULL_DISK=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestFullDisk") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeDocuments(t, dir, "web", planted(300, []float64{0.9}, 2)...)
	small := old
	small.Cur = 20_000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	rules := everyRule(t)
	for _, name := range []string{RuleExact, RuleMinHash, RuleSubstring} {
		_, err := rules[name](context.Background(), Config{Data: dir, MemoryBytes: 1})
		if err == nil || !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), "writing") {
			t.Errorf("%s on a full disk: %v", name, err)
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{RuleExact, RuleMinHash, RuleSubstring} {
		if _, err := rules[name](context.Background(), Config{Data: dir, MemoryBytes: 1}); err != nil {
			t.Errorf("%s afterwards: %v", name, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(marksDir(dir, "web"), ".spill*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v (%v)", left, err)
	}
}

// A damaged block of spooled texts is named.
func TestADamagedSpoolIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s, err := newSpool(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	var want []byte
	for i := range 3000 {
		p := []byte(strings.Repeat(fmt.Sprint(i, " "), i%17))
		if at, err := s.append(p); err != nil || at != int64(len(want)) {
			t.Fatal(at, err)
		}
		want = append(want, p...)
	}
	if err := s.seal(); err != nil {
		t.Fatal(err)
	}
	r := s.reader()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		at := rng.IntN(len(want))
		n := rng.IntN(len(want) - at + 1)
		if got, err := r.read(nil, int64(at), n); err != nil || string(got) != string(want[at:at+n]) {
			t.Fatalf("%d bytes at %d: %v", n, at, err)
		}
	}
	if _, err := r.read(nil, int64(len(want)), 1); err == nil {
		t.Error("a byte after the end was read")
	}
	if _, err := s.f.WriteAt([]byte{'x', 'y'}, 9000); err != nil {
		t.Fatal(err)
	}
	var damaged *store.DamagedError
	if _, err := s.reader().read(nil, 0, len(want)); !errors.As(err, &damaged) || damaged.Path != path {
		t.Errorf("a damaged spool: %v", err)
	}
}

// A run that was damaged while a rule was at work stops the rule.
func TestADamagedSpillStopsTheSort(t *testing.T) {
	dir := t.TempDir()
	s, err := extsort.New(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 5000 {
		if err := s.Add(fmt.Append(nil, i), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := filepath.Glob(filepath.Join(dir, "run-*"))
	if err != nil || len(runs) == 0 {
		t.Fatalf("runs %v (%v)", runs, err)
	}
	if err := os.Truncate(runs[0], 100); err != nil {
		t.Fatal(err)
	}
	var damaged *store.DamagedError
	for _, err = range s.All(context.Background()) {
		if err != nil {
			break
		}
	}
	if !errors.As(err, &damaged) {
		t.Errorf("a damaged run gives %v", err)
	}
}

// A document of a hundred megabytes is for those who ask: DEDUP_LARGE=100.
func TestLargeDocuments(t *testing.T) {
	size := 4
	if s := os.Getenv("DEDUP_LARGE"); s != "" {
		if _, err := fmt.Sscan(s, &size); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for b.Len() < size<<20 {
		fmt.Fprintf(&b, "w%x ", rng.Uint32())
		if rng.IntN(50) == 0 {
			b.WriteString("\n\n")
		}
	}
	dir := t.TempDir()
	writeDocuments(t, dir, "web", doc("a", b.String()), doc("b", b.String()+"more"), doc("c", "short"))
	for name, rule := range everyRule(t) {
		began := time.Now()
		r, err := rule(context.Background(), Config{Data: dir, MemoryBytes: 16 << 20})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if (name == RuleMinHash || name == RuleSubstring || name == RuleParagraph) && r.Marked() != 1 {
			t.Errorf("%s marks %d documents", name, r.Marked())
		}
		t.Logf("%s: two documents of %d MB in %v", name, size, time.Since(began).Round(time.Millisecond))
	}
}
