//go:build interop

package tokenize_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tributary-ml/tributary/tokenize"
)

// TestSpeed prints the table of docs/results/tokenize.md: MB of text a second of
// processor time, one thread, medians over rounds that take turns with the
// reference. It needs TRIBUTARY_DATA and TRIBUTARY_SPEED=1.
func TestSpeed(t *testing.T) {
	if data() == "" || os.Getenv("TRIBUTARY_SPEED") == "" {
		t.Log("TRIBUTARY_DATA or TRIBUTARY_SPEED is not set: nothing is timed")
		return
	}
	dir := t.TempDir()
	vocabularies := filepath.Join(data(), "tokenizers")
	if out, err := script(t, "vocabularies.py", vocabularies, dir).CombinedOutput(); err != nil {
		t.Fatalf("vocabularies.py: %v\n%s", err, out)
	}
	var text strings.Builder
	for _, s := range collect(t, filepath.Join(data(), "lm"), 1<<20, 200<<10, false) {
		text.WriteString(s)
	}
	prose := text.String()
	file := filepath.Join(dir, "prose.txt")
	if err := os.WriteFile(file, []byte(prose), 0o644); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(prose, "\n")
	var documents []string
	for chunk := range slices.Chunk(lines, 100) {
		documents = append(documents, strings.Join(chunk, ""))
	}
	theirs := func(name string) float64 {
		out, err := script(t, "bench.py", name, file, "1").Output()
		if err != nil {
			t.Fatalf("bench.py %s: %v", name, err)
		}
		fields := strings.Fields(string(out))
		speed, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return speed
	}
	const rounds = 3
	fmt.Println("| vocabulary | ids | ids and offsets | reference | ids, ratio | offsets, ratio |\n|---|---|---|---|---|---|")
	for _, c := range [][3]string{
		{"bert-base-uncased", "", ""}, {"gpt2", "", ""}, {"gpt2-llama3-pattern", "", ""}, {"t5-base", "", ""}, {"llama2", "", ""},
		{"gpt2", filepath.Join(vocabularies, "r50k_base.tiktoken"), "tiktoken"},
		{"t5-base", filepath.Join(vocabularies, "t5-base", "spiece.model"), "sentencepiece"},
	} {
		tok, err := tokenize.Open(filepath.Join(dir, c[0]+".json"))
		if err != nil {
			t.Fatal(err)
		}
		other, name := c[1], "tokenizers"
		if other == "" {
			other = filepath.Join(dir, c[0]+".json")
		} else {
			name = c[2]
		}
		e := tok.NewEncoder()
		var ids []int32
		var enc tokenize.Encoding
		var a, b, r []float64
		for range rounds {
			a = append(a, speed(prose, func() {
				for _, d := range documents {
					ids = e.Encode(ids[:0], d)
				}
			}))
			b = append(b, speed(prose, func() {
				for _, d := range documents {
					if err := e.EncodeOffsets(&enc, d); err != nil {
						t.Fatal(err)
					}
				}
			}))
			r = append(r, theirs(other))
		}
		x, y, z := median(a), median(b), median(r)
		fmt.Printf("| %s | %.1f | %.1f | %s %.2f | %.1f x | %.1f x |\n", c[0], x, y, name, z, x/z, y/z)
	}
	tok, err := tokenize.Open(filepath.Join(dir, "gpt2.json"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("\n| input of 1 MB, GPT-2 ids | time a byte, prose = 1 |\n|---|---|")
	e := tok.NewEncoder()
	var ids []int32
	base := 0.0
	for _, c := range [][2]string{
		{"prose", prose}, {"one letter", strings.Repeat("a", 1<<20)}, {"emoji", strings.Repeat("😀", 1<<18)}, {"random bytes", noise(1 << 20)},
	} {
		var all []float64
		for range rounds {
			all = append(all, speed(c[1], func() { ids = e.Encode(ids[:0], c[1]) }))
		}
		if base == 0 {
			base = median(all)
		}
		fmt.Printf("| %s | %.1f |\n", c[0], base/median(all))
	}
}

func noise(n int) string {
	out := make([]byte, n)
	state := uint64(1)
	for i := range out {
		state = state*6364136223846793005 + 1442695040888963407
		out[i] = byte(state >> 56)
	}
	return string(out)
}

// speed returns the MB of text a second of processor time.
func speed(text string, f func()) float64 {
	before := cpu()
	f()
	return float64(len(text)) / 1e6 / (cpu() - before)
}

func cpu() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
