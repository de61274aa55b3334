package ingest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

// stopAt is a context that is cancelled when somebody asks for the nth time whether
// it is.
type stopAt struct {
	context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	left   int
}

func newStopAt(n int) *stopAt {
	ctx, cancel := context.WithCancel(context.Background())
	return &stopAt{Context: ctx, cancel: cancel, left: n}
}

func (s *stopAt) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left--; s.left <= 0 {
		s.cancel()
	}
	return s.Context.Err()
}

// TestStoppedIsNotDamaged: wherever a run is stopped, it says that it was stopped, and
// does not take what it could not read any more for damage.
func TestStoppedIsNotDamaged(t *testing.T) {
	wiki := dump(page(1, 0, "A", strings.Repeat("Words of a text. ", 40)), page(2, 0, "B", "More words."))
	var gz bytes.Buffer
	z := gzip.NewWriter(&gz)
	if _, err := z.Write(wiki); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for kind, files := range map[string]map[string][]byte{
		"wiki":  {"a.xml.bz2": bunzipped(t, wiki), "b.xml.gz": gz.Bytes(), "c.xml": wiki},
		"books": {"a.txt.bz2": bunzipped(t, []byte("A book.")), "b.txt": []byte("Another book.")},
	} {
		raw := lay(t, files)
		done := false
		for n := 1; !done && n < 2000; n++ {
			ctx := newStopAt(n)
			report, err := ingest.Run(ctx, ingest.Config{Data: t.TempDir(), Inputs: []string{raw}, Kind: kind, Jobs: 1, Log: quiet})
			ctx.cancel()
			switch {
			case err == nil:
				done = true
				if report.Totals.Skipped != 0 {
					t.Errorf("%s, stopped at question %d: %+v", kind, n, report.Totals)
				}
			case !errors.Is(err, context.Canceled):
				t.Fatalf("%s, stopped at question %d: %v", kind, n, err)
			}
		}
		if !done {
			t.Errorf("%s: no run was ever done", kind)
		}
	}
}
