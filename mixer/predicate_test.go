package mixer

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest/signals"
	"github.com/tributary-ml/tributary/shards"
)

func openMix(t *testing.T, dir, mix string) (*Mixer, error) {
	t.Helper()
	o := openOptions(dir, mix)
	o.HeldoutFraction = 0
	m, err := Open(context.Background(), o)
	if err == nil {
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return m, err
}

func TestPredicatesChooseDocuments(t *testing.T) {
	// Record r has 1 + r%9 sentences, alike for r modulo 300, so that nothing is a
	// duplicate until dedup finds otherwise: the text names r.
	dir := buildRoot(t, 1)
	kept := func(mix string) int64 {
		t.Helper()
		m, err := openMix(t, dir, mix)
		if err != nil {
			t.Fatal(err)
		}
		c := m.Tasks()[0].Census
		return c.Documents - c.Marked
	}
	for mix, want := range map[string]int64{
		`wiki`:                        300,
		`wiki[record < 10]`:           10,
		`wiki[words > 25]`:            165,
		`wiki[words > 25 && kept]`:    165,
		`wiki[record in 5..7]`:        3,
		`wiki[file == "dump"]`:        300,
		`wiki[let n = length; n > 6]`: 266,
		`wiki[id matches "^[0-9]"]`:   kept(`wiki[id < ":"]`),
	} {
		if got := kept(mix); got != want {
			t.Errorf("%s keeps %d documents, want %d", mix, got, want)
		}
	}
}

// TestSignalsInPredicates: every signal is known by its name, to predicates and to
// curricula, and a name that is nearly one is told which.
func TestSignalsInPredicates(t *testing.T) {
	dir := buildRoot(t, 1)
	census := func(mix string) Census {
		t.Helper()
		m, err := openMix(t, dir, mix)
		if err != nil {
			t.Fatalf("%s: %v", mix, err)
		}
		return m.Tasks()[0].Census
	}
	for _, c := range signals.Columns() {
		where := c.Name + " >= 0 || " + c.Name + " < 0"
		if c.Kind == reflect.String {
			where = c.Name + ` != "none"`
		}
		if got := census("wiki[" + where + "]"); got.Marked != 0 {
			t.Errorf("%s: %+v", where, got)
		}
	}
	all := census("wiki")
	low, high := census(`wiki[compressibility <= 0.7]`), census(`wiki[compressibility > 0.7]`)
	if low.Marked == 0 || high.Marked == 0 || low.Marked+high.Marked != all.Documents {
		t.Errorf("split by a share: %+v and %+v of %+v", low, high, all)
	}
	_, err := openMix(t, dir, `wiki[dup_line_char < 0.1]`)
	if err == nil || !strings.Contains(err.Error(), `did you mean "dup_line_chars"?`) {
		t.Errorf("a misspelt signal: %v", err)
	}
	for signal, ok := range map[string]bool{"compressibility": true, "compresibility": false} {
		o := openOptions(dir, "wiki")
		c, err := ParseCurriculum("wiki " + signal + " 0:0.7*3 2:inf")
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Unfold([]Curriculum{c}); err != nil {
			t.Fatal(err)
		}
		m, err := Open(context.Background(), o)
		switch {
		case err == nil && ok:
			err = m.Close()
		case err != nil && !ok && strings.Contains(err.Error(), `did you mean "compressibility"?`):
			err = nil
		}
		if err != nil {
			t.Errorf("a curriculum by %s: %v", signal, err)
		}
	}
}

func TestPredicatesSeeMarks(t *testing.T) {
	dir := buildRoot(t, 1)
	if _, err := dedup.Exact(context.Background(), dedup.Config{Data: dir, Sources: []string{"wiki"}}); err != nil {
		t.Fatal(err)
	}
	var marked int64
	for mark, err := range dedup.Marks(context.Background(), dir, "wiki") {
		if err != nil {
			t.Fatal(err)
		}
		if mark.Whole() {
			marked++
		}
	}
	for mix, want := range map[string]int64{
		`wiki`: marked, `wiki[words > 0]`: marked, `wiki[!marked("exact")]`: marked, `wiki[kept]`: marked, `wiki[!marked()]`: marked,
		`wiki[kept || marked("exact")]`: 0,
	} {
		m, err := openMix(t, dir, mix)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Tasks()[0].Census.Marked; got != want {
			t.Errorf("%s leaves out %d documents, want %d", mix, got, want)
		}
	}
	if _, err := openMix(t, dir, `wiki[!marked("exakt")]`); err == nil || !strings.Contains(err.Error(), `did you mean "exact"`) {
		t.Errorf("a rule that was not run gives %v", err)
	}
}

func TestBadPredicatesAreClearErrors(t *testing.T) {
	dir := buildRoot(t, 1)
	for mix, want := range map[string]string{
		`wiki[wrods > 5]`:           `did you mean "words"`,
		`wiki[words >]`:             "unexpected token",
		`wiki[words]`:               "bool",
		`wiki[words > "many"]`:      "mismatched types",
		`wiki[now().Year() > 2020]`: "now",
		`wiki[marked("exact")]`:     `no rule "exact"`,
	} {
		if _, err := openMix(t, dir, mix); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", mix, err, want)
		}
	}
	var empty *EmptyError
	if _, err := openMix(t, dir, `wiki[words > 1000000]`); !errors.As(err, &empty) || !strings.Contains(err.Error(), "of its 300 documents 300 are left out by marks or the predicate") {
		t.Errorf("a predicate that nothing meets gives %v", err)
	}
	if _, err := newMixer(Options{Mix: Mix{{Name: "wiki", Where: "true", Weight: 1}}}, threeSources()); err == nil {
		t.Error("shards that take no predicate took one")
	}
	if _, err := openMix(t, dir, `raw[words > 1]`); !errors.Is(err, shards.ErrNoShards) {
		t.Errorf("a source that is not sharded gives %v", err)
	}
}

// A source may stand in a mix several times, each time with other documents.
func TestOneSourceUnderTwoPredicates(t *testing.T) {
	m, err := openMix(t, buildRoot(t, 1), `wiki[record < 150]:0.5,wiki[record >= 150]:0.5`)
	if err != nil {
		t.Fatal(err)
	}
	seen := [2]map[string]bool{{}, {}}
	for step := range int64(50) {
		for _, s := range samples(t, m, step, 0, 1) {
			for _, span := range s.Spans {
				seen[s.Task][span.Doc] = true
			}
		}
	}
	for id := range seen[0] {
		if seen[1][id] {
			t.Fatalf("document %s is in both components", id)
		}
	}
	if len(seen[0]) < 100 || len(seen[1]) < 100 {
		t.Errorf("%d and %d documents were read", len(seen[0]), len(seen[1]))
	}
}
