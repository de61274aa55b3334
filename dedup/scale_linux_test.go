package dedup

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/ingest"
)

// peakMemory is the most that was resident of this process.
func peakMemory(t testing.TB) (peak int64) {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			if _, err := fmt.Sscan(rest, &peak); err != nil {
				t.Fatal(err)
			}
			return peak << 10
		}
	}
	t.Fatal("/proc/self/status names no peak")
	return 0
}

// knownCorpus writes documents of 150 random words in three paragraphs, of which it
// is known what is there twice: of ten, one is an earlier one with two words changed
// and one an earlier one as it is.
func knownCorpus(t testing.TB, dir string, documents int) (near, same int, bytes int64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 33))
	vocabulary := make([]string, 50_000)
	for i := range vocabulary {
		vocabulary[i] = fmt.Sprintf("%x", rng.Uint64()>>(16+rng.IntN(32)))
	}
	w, err := ingest.NewWriter(dir, "web")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	var old [][150]uint16
	for i := range documents {
		var words [150]uint16
		switch kind := i % 10; {
		case kind >= 8 && len(old) > 0:
			// Each old one is repeated once, so that what is marked is known.
			last := len(old) - 1
			k := rng.IntN(len(old))
			words = old[k]
			old[k] = old[last]
			old = old[:last]
			if same++; kind == 8 {
				words[37], words[112] = uint16(rng.IntN(50_000)), uint16(rng.IntN(50_000))
				near++
				same--
			}
		default:
			for k := range words {
				words[k] = uint16(rng.IntN(50_000))
			}
			if len(old) < 200_000 {
				old = append(old, words)
			}
		}
		var b strings.Builder
		for k, x := range words {
			if k > 0 && k%50 == 0 {
				b.WriteString("\n\n")
			} else if k > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(vocabulary[x])
		}
		bytes += int64(b.Len())
		if err := w.Add(&ingest.Document{ID: fmt.Sprintf("%09d", i), Text: b.String(), URL: fmt.Sprintf("http://example.org/%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return near, same, bytes
}

// TestPeakMemory runs rules in processes of their own, over ten times as much text
// as they are allowed of memory, and holds what was resident at most against what
// is when the same documents are only read; and what they mark against what is known
// to be there twice. DEDUP_DOCUMENTS=1000000 DEDUP_MEMORY_MB=128 are the figures of
// the documentation.
func TestPeakMemory(t *testing.T) {
	memory := int64(2 << 20)
	if s := os.Getenv("DEDUP_MEMORY_MB"); s != "" {
		if _, err := fmt.Sscan(s, &memory); err != nil {
			t.Fatal(err)
		}
		memory <<= 20
	}
	names := []string{"read", RuleExact, RuleMinHash, RuleSubstring, RuleParagraph, RuleExactRaw, RuleURL, RuleLine, RuleParagraphBloom, RuleDecontaminate}
	if name := os.Getenv("DEDUP_PEAK_RULE"); name != "" {
		childOfPeak(t, name, memory)
		return
	}
	documents := 16_000
	if s := os.Getenv("DEDUP_DOCUMENTS"); s != "" {
		if _, err := fmt.Sscan(s, &documents); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	near, same, bytes := knownCorpus(t, dir, documents)
	if bytes < 10*memory {
		t.Fatalf("%d bytes of text are less than ten times %d", bytes, memory)
	}
	var reading int64
	for _, name := range names {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPeakMemory$", "-test.v", "-test.timeout=3h")
		cmd.Env = append(os.Environ(), "DEDUP_PEAK_RULE="+name, "DEDUP_PEAK_DATA="+dir)
		out, err := cmd.CombinedOutput()
		var peak, marked int64
		var wall, cpu float64
		for line := range strings.Lines(string(out)) {
			if _, rest, ok := strings.Cut(line, "PEAK "); ok && err == nil {
				_, err = fmt.Sscan(rest, &peak, &marked, &wall, &cpu)
			}
		}
		if err != nil || peak == 0 {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		t.Logf("%s: %d documents, %.1f MB: peak %.1f MB with a bound of %.1f MB, %.1f s of processor time, %.1f s; %d marked",
			name, documents, float64(bytes)/1e6, float64(peak)/1e6, float64(memory)/1e6, cpu, wall, marked)
		if name == "read" {
			reading = peak
			continue
		}
		if limit := reading + memory + 10<<20; peak > limit {
			t.Errorf("%s: %d bytes were resident, want at most %d: %d for reading alone, %d of memory and 10 MiB", name, peak, limit, reading, memory)
		}
		want := int64(same + near)
		switch {
		case (name == RuleExact || name == RuleExactRaw) && marked != int64(same):
			t.Errorf("%s marks %d documents, want %d", name, marked, same)
		// A pair of similarity 0.87 is nominated with a chance of 0.9999.
		case slices.Contains([]string{RuleMinHash, RuleSubstring, RuleParagraph, RuleLine}, name) && (marked > want || marked < want-1-want/1000):
			t.Errorf("%s marks %d documents, want %d", name, marked, want)
		}
	}
}

// childOfPeak runs one rule and prints what it took.
func childOfPeak(t *testing.T, name string, memory int64) {
	dir := os.Getenv("DEDUP_PEAK_DATA")
	// As the command does.
	debug.SetMemoryLimit(memory + 16<<20)
	began, cpu := time.Now(), processorTime()
	var marked int64
	if name == "read" {
		for _, err := range ingest.Texts(context.Background(), dir, "web") {
			if err != nil {
				t.Fatal(err)
			}
		}
	} else {
		r, err := everyRule(t)[name](context.Background(), Config{Data: dir, MemoryBytes: memory, Jobs: 2})
		if err != nil {
			t.Fatal(err)
		}
		marked = r.Marked()
		if left, err := filepath.Glob(filepath.Join(marksDir(dir, "web"), ".spill*")); err != nil || len(left) > 0 {
			t.Errorf("left %v (%v)", left, err)
		}
	}
	fmt.Printf("PEAK %d %d %.2f %.2f\n", peakMemory(t), marked, time.Since(began).Seconds(), (processorTime() - cpu).Seconds())
}
