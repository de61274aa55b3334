//go:build interop && linux

package dedup

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

// peerResults is what interop/dedup/results.py finds.
type peerResults struct {
	Clusters []int
	Removed  []int
	Jaccard  []float64
	Rensa    []float64
	Repeats  [][][2]int
	Rates    map[string]float64
}

func askPeers(t *testing.T, request map[string]any) (r peerResults) {
	t.Helper()
	dir := t.TempDir()
	here := filepath.Join("..", "interop", "dedup")
	install := exec.Command("sh", filepath.Join(here, "python.sh"))
	install.Stderr = os.Stderr
	python, err := install.Output()
	if err != nil {
		t.Fatalf("the peers cannot be installed: %v", err)
	}
	b, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	in, out := filepath.Join(dir, "in.json"), filepath.Join(dir, "out.json")
	if err := os.WriteFile(in, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(strings.TrimSpace(string(python)), filepath.Join(here, "results.py"), in, out)
	if log, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if b, err = os.ReadFile(out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// plainWords makes texts of words of letters only, which every peer splits alike.
func plainWords(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r - '0' + 'g'
		}
		return r
	}, text)
}

// repeatingTexts are texts of random words, some of which hold the same passages.
func repeatingTexts(seed uint64) []string {
	rng := rand.New(rand.NewPCG(seed, 8))
	passage := func(words int) string {
		var b strings.Builder
		for range words {
			for range 3 + rng.IntN(6) {
				b.WriteByte(byte('a' + rng.IntN(26)))
			}
			b.WriteByte(' ')
		}
		return b.String()
	}
	var passages []string
	for range 12 {
		passages = append(passages, passage(10+rng.IntN(60)))
	}
	var texts []string
	for range 40 {
		text := passage(rng.IntN(80))
		for range rng.IntN(3) {
			p := passages[rng.IntN(len(passages))]
			from := rng.IntN(20)
			text += p[from:len(p)-rng.IntN(20)] + passage(5+rng.IntN(50))
		}
		texts = append(texts, text+"x")
	}
	return texts
}

// TestAgainstPeers runs datatrove's MinHash, rensa and a suffix array over the same
// texts, and compares what is found and how fast.
func TestAgainstPeers(t *testing.T) {
	levels := []float64{0.5, 0.65, 0.75, 0.8, 0.85, 0.9, 0.95, 1}
	const perLevel = 40
	docs := planted(perLevel*len(levels), levels, 21)
	var near []string
	var pairs [][2]int
	for i := range docs {
		docs[i].Text = plainWords(docs[i].Text)
		near = append(near, docs[i].Text)
		if i%2 == 0 {
			pairs = append(pairs, [2]int{i, i + 1})
		}
	}
	var speed strings.Builder
	rng := rand.New(rand.NewPCG(5, 5))
	vocabulary := strings.Fields(repeatingTexts(9)[0] + repeatingTexts(10)[1] + repeatingTexts(11)[2])
	for speed.Len() < 400_000 {
		speed.WriteString(vocabulary[rng.IntN(len(vocabulary))] + " ")
	}
	texts := repeatingTexts(3)
	const length = 100
	peer := askPeers(t, map[string]any{"near": near, "pairs": pairs, "repeats": texts, "length": length, "speed": speed.String()})
	t.Run("near", func(t *testing.T) { compareNear(t, docs, levels, pairs, &peer) })
	t.Run("repeats", func(t *testing.T) { compareRepeats(t, texts, length, &peer) })
	t.Run("speed", func(t *testing.T) { compareSpeed(t, speed.String(), &peer) })
}

// compareNear holds the marks against the exact similarities that follow from
// datatrove's shingles, and what each finds against the theory.
func compareNear(t *testing.T, docs []ingest.Document, levels []float64, pairs [][2]int, peer *peerResults) {
	dir := t.TempDir()
	writeDocuments(t, dir, "web", docs...)
	o := options(t, "fineweb")
	if _, err := MinHash(context.Background(), Config{Data: dir}, o); err != nil {
		t.Fatal(err)
	}
	marked := map[string]Mark{}
	for _, m := range marksOf(t, dir, "web") {
		marked[m.ID] = m
	}
	ours, theirs := make([]int, len(levels)), make([]int, len(levels))
	found, falsely := 0, 0
	perms := newPermutations(o.Bands*o.Rows, o.Seed)
	s := newShingler(o.NGram)
	sign := func(text string) []uint32 {
		sig := make([]uint32, len(perms.a))
		resetSignature(sig)
		s.hashWords(text)
		s.each(make([]uint64, 0, 1<<10), func(c []uint64) { perms.update(sig, c) })
		return sig
	}
	for i, p := range pairs {
		j := peer.Jaccard[i]
		a, b := &docs[p[0]], &docs[p[1]]
		m, ok := marked[a.ID]
		if !ok {
			m, ok = marked[b.ID]
		}
		if ok {
			found++
			ours[i%len(levels)]++
			if math.Abs(m.Score-j) > 1e-9 || j < o.Threshold || m.Kept != a.ID && m.Kept != b.ID {
				t.Errorf("pair %d: mark %+v, by datatrove's shingles the similarity is %.6f", i, m, j)
			}
		}
		if c := peer.Clusters[p[0]]; c >= 0 && c == peer.Clusters[p[1]] {
			theirs[i%len(levels)]++
			if j < o.Threshold {
				falsely++
			}
		}
		// Both estimates are means of 112 draws.
		bound := 5*math.Sqrt(j*(1-j)/112) + 0.01
		x, y := sign(a.Text), sign(b.Text)
		equal := 0
		for k := range x {
			if x[k] == y[k] {
				equal++
			}
		}
		if e := float64(equal) / float64(len(x)); math.Abs(e-j) > bound {
			t.Errorf("pair %d of similarity %.3f: our signatures say %.3f", i, j, e)
		}
		if math.Abs(peer.Rensa[i]-j) > bound {
			t.Errorf("pair %d of similarity %.3f: rensa says %.3f", i, j, peer.Rensa[i])
		}
	}
	if found != len(marked) {
		t.Errorf("%d marks, of which %d are of planted pairs", len(marked), found)
	}
	per := len(pairs) / len(levels)
	for k, level := range levels {
		j := peer.Jaccard[k]
		p := CollisionProbability(j, o.Bands, o.Rows)
		slack := 4*math.Sqrt(float64(per)*p*(1-p)) + 2
		t.Logf("similarity %.3f: expected %.1f of %d, nominated and proven %d, datatrove %d", j, p*float64(per), per, ours[k], theirs[k])
		if math.Abs(float64(theirs[k])-p*float64(per)) > slack {
			t.Errorf("datatrove finds %d of %d pairs of similarity %.2f: it was asked for something else than we think", theirs[k], per, level)
		}
		want := p * float64(per)
		if j < o.Threshold {
			want, slack = 0, 0
		}
		if math.Abs(float64(ours[k])-want) > slack {
			t.Errorf("%d of %d pairs of similarity %.2f are marked, want about %.1f", ours[k], per, level, want)
		}
	}
	t.Logf("datatrove removes %d documents, %d of them below the threshold of %g; we remove %d, none below it", len(peer.Removed), falsely, o.Threshold, len(marked))
}

// compareRepeats: no byte is marked that the suffix array does not give, and what it
// gives beyond is parts of words.
func compareRepeats(t *testing.T, texts []string, length int, peer *peerResults) {
	dir := t.TempDir()
	var docs []ingest.Document
	number := map[string]int{}
	for i, text := range texts {
		docs = append(docs, doc(fmt.Sprintf("d%03d", i), text))
		number[docs[i].ID] = i
	}
	writeDocuments(t, dir, "web", docs...)
	if _, err := Substring(context.Background(), Config{Data: dir}, SubstringOptions{Length: length, All: true}); err != nil {
		t.Fatal(err)
	}
	ours := make([][]bool, len(texts))
	for i, text := range texts {
		ours[i] = make([]bool, len(text))
	}
	for _, m := range marksOf(t, dir, "web") {
		for b := m.Start; b < m.End; b++ {
			ours[number[m.ID]][b] = true
		}
	}
	both, partial := 0, 0
	for i, text := range texts {
		theirs := make([]bool, len(text))
		for _, r := range peer.Repeats[i] {
			for b := r[0]; b < r[1]; b++ {
				theirs[b] = true
			}
		}
		run := 0
		for b := range text {
			switch {
			case ours[i][b] && !theirs[b]:
				t.Fatalf("text %d: byte %d is marked, and stands nowhere else", i, b)
			case theirs[b] && !ours[i][b]:
				run++
				partial++
			default:
				if ours[i][b] {
					both++
				}
				run = 0
			}
			if run > 9 { // the longest word and the space after it
				t.Fatalf("text %d: at byte %d, %d bytes of a repeat are not marked", i, b, run)
			}
		}
	}
	t.Logf("%d bytes are marked by both, %d parts of words by the suffix array alone", both, partial)
	if both < 5000 {
		t.Errorf("only %d bytes were compared", both)
	}
}

// compareSpeed compares rates by processor time. The goals are far below what was
// measured, so that a busy machine does not fail it.
func compareSpeed(t *testing.T, text string, peer *peerResults) {
	o := options(t, "fineweb")
	perms := newPermutations(o.Bands*o.Rows, o.Seed)
	sig := make([]uint32, len(perms.a))
	s := newShingler(o.NGram)
	chunk := make([]uint64, 0, 1<<10)
	const times = 20
	began := processorTime()
	for range times {
		resetSignature(sig)
		s.hashWords(text)
		s.each(chunk, func(c []uint64) { perms.update(sig, c) })
	}
	signing := times * float64(len(text)) / 1e6 / (processorTime() - began).Seconds()
	dir := t.TempDir()
	var docs []ingest.Document
	for r := range 20 { // more of it, so that there is something to measure
		for piece := range slices.Chunk([]byte(text), 4096) {
			docs = append(docs, ingest.Document{ID: fmt.Sprintf("%02d-%06d", r, len(docs)), Text: fmt.Sprint("copy ", r, " ") + string(piece)})
		}
	}
	size := 0
	for i := range docs {
		size += len(docs[i].Text)
	}
	writeDocuments(t, dir, "web", docs...)
	began = processorTime()
	if _, err := MinHash(context.Background(), Config{Data: dir}, o); err != nil {
		t.Fatal(err)
	}
	whole := float64(size) / 1e6 / (processorTime() - began).Seconds()
	t.Logf("signing, MB per processor second: %.1f, rensa %.2f (%.1f x), datatrove %.3f (%.0f x)",
		signing, peer.Rates["rensa"], signing/peer.Rates["rensa"], peer.Rates["datatrove"], signing/peer.Rates["datatrove"])
	t.Logf("documents in to marks out: %.1f, datatrove's four stages %.3f (%.0f x)", whole, peer.Rates["stages"], whole/peer.Rates["stages"])
	for _, c := range []struct {
		name        string
		ratio, want float64
	}{
		{"signing beside rensa", signing / peer.Rates["rensa"], 2},
		{"signing beside datatrove", signing / peer.Rates["datatrove"], 30},
		{"everything beside datatrove's stages", whole / peer.Rates["stages"], 15},
	} {
		if c.ratio < c.want {
			t.Errorf("%s: %.1f x, want %g x", c.name, c.ratio, c.want)
		}
	}
}
