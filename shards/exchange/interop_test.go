//go:build interop

package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func python(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("../../interop/shards/python.sh")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("no Python to compare with: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func digest(t *testing.T, list func(func(Record, error) bool)) string {
	t.Helper()
	h, n := sha256.New(), 0
	for r, err := range list {
		if err != nil {
			t.Fatal(err)
		}
		var b []byte
		for _, x := range r.Tokens {
			b = binary.LittleEndian.AppendUint32(b, uint32(x))
		}
		h.Write(append(b, '|'))
		n++
	}
	return fmt.Sprintf("%d %x", n, h.Sum(nil))
}

// What we write opens in the real libraries with equal contents, and what they
// write in ours.
func TestRealLibraries(t *testing.T) {
	py := python(t)
	set, want := made(t, records(14))
	for _, f := range formats() {
		t.Run(f.name, func(t *testing.T) {
			ask := func(what, dir string) string {
				cmd := exec.Command(py, "../../interop/shards/exchange.py", what, f.name, dir)
				var messages strings.Builder
				cmd.Stderr = &messages
				cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "HF_DATASETS_OFFLINE=1")
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s %s: %v\n%s", what, f.name, err, messages.String())
				}
				return strings.TrimSpace(string(out))
			}
			ours := filepath.Join(t.TempDir(), "ours")
			if _, err := Export(context.Background(), set, f.name, ours, Options{VocabSize: vocab, Tokenizer: "words", FileBytes: 1 << 19}); err != nil {
				t.Fatal(err)
			}
			if got, want := ask("read", ours), digest(t, all(want)); got != want {
				t.Errorf("the real library reads %s, we wrote %s", got, want)
			}
			theirs := filepath.Join(t.TempDir(), "theirs")
			if want, got := ask("write", theirs), digest(t, Read(theirs, f.name)); got != want {
				t.Errorf("we read %s, the real library wrote %s", got, want)
			}
		})
	}
}
