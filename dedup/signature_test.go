package dedup

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestVectorKernelIsTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 400).Draw(t, "functions")
		shingles := rapid.SliceOfN(rapid.Uint64(), 0, 60).Draw(t, "shingles")
		p := newPermutations(n, rapid.Uint64().Draw(t, "seed"))
		got, want := make([]uint32, len(p.a)), make([]uint32, len(p.a))
		resetSignature(got)
		resetSignature(want)
		half := len(shingles) / 2
		p.update(got, shingles[:half])
		p.update(got, shingles[half:])
		p.updateReference(want, shingles)
		if !slices.Equal(got, want) {
			t.Fatalf("%d functions, %d shingles: the kernels differ", n, len(shingles))
		}
	})
}

// The share of equal places in two signatures estimates the similarity of the
// sets (Broder 1997).
func TestSignaturesEstimateSimilarity(t *testing.T) {
	const functions, sets, size = 128, 40, 400
	p := newPermutations(functions, 1)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, want := range []float64{0.1, 0.5, 0.8, 0.95} {
		common := int(math.Round(2 * size * want / (1 + want)))
		equal := 0
		for range sets {
			a := make([]uint64, size)
			for i := range a {
				a[i] = rng.Uint64()
			}
			b := slices.Clone(a)
			for i := common; i < size; i++ {
				b[i] = rng.Uint64()
			}
			x, y := make([]uint32, functions), make([]uint32, functions)
			resetSignature(x)
			resetSignature(y)
			p.update(x, a)
			p.update(y, b)
			for i := range x {
				if x[i] == y[i] {
					equal++
				}
			}
		}
		got := float64(equal) / functions / sets
		if sd := math.Sqrt(want * (1 - want) / functions / sets); math.Abs(got-want) > 5*sd {
			t.Errorf("similarity %.2f is estimated as %.4f (standard deviation %.4f)", want, got, sd)
		}
	}
}

func TestCollisionProbability(t *testing.T) {
	// The published figure of the 14 x 8 preset at 0.8 is 0.924.
	for s, want := range map[float64]float64{0.7: 0.564, 0.75: 0.772, 0.8: 0.924, 0.85: 0.988, 0: 0, 1: 1} {
		if got := CollisionProbability(s, 14, 8); math.Abs(got-want) > 0.0006 {
			t.Errorf("14 x 8 at %.2f: %.4f, want %.3f", s, got, want)
		}
	}
	for _, threshold := range []float64{0.5, 0.7, 0.8, 0.9, 0.95} {
		b, r := ChooseBands(threshold, 128)
		if p := CollisionProbability(threshold, b, r); p < 0.99 || b*r > 128 {
			t.Errorf("threshold %.2f: %d x %d finds a pair with probability %.4f", threshold, b, r, p)
		}
	}
	if b, r := ChooseBands(0.8, 128); b != 21 || r != 6 {
		t.Errorf("threshold 0.8: %d x %d", b, r)
	}
}

func TestWords(t *testing.T) {
	s := newShingler(2)
	count := func(text string) int { s.hashWords(text); return len(s.words) }
	for text, want := range map[string]int{
		"": 0, " .,;!\n": 0, "one": 1, "One two-three": 3, "naïve café": 2, "cafe\u0301": 1, "R2D2 4 5": 3,
		"東京は大きい": 6, "abc東京def": 4, "สวัสดี": 6, "ΑΒΓ αβγ": 2,
	} {
		if got := count(text); got != want {
			t.Errorf("%q has %d words, want %d", text, got, want)
		}
	}
	same := func(a, b string) bool {
		s.hashWords(a)
		d := s.digest()
		s.hashWords(b)
		return d == s.digest()
	}
	if !same("The end.", "the END") || same("the end", "end the") || same("a", "a a") || !same("", "!") {
		t.Error("digests of words")
	}
}

// Scripts without spaces are cut into words by what they say, not by where it
// stands, so that a change moves no words but those around it.
func TestSegmentation(t *testing.T) {
	s := newShingler(5)
	s.segment = true
	var text []rune
	rng := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		text = append(text, rune(0x4e00+rng.IntN(3000)))
	}
	words := func(t string) []uint64 { s.hashWords(t); return slices.Clone(s.words) }
	all := words(string(text))
	if n := len(all); n < 900 || n > 1100 {
		t.Errorf("2000 characters are %d words", n)
	}
	later := words("前言" + string(text[:1000]) + "改" + string(text[1001:]))
	if !slices.Equal(all[len(all)-400:], later[len(later)-400:]) {
		t.Error("a change far before moves the words")
	}
	set := map[uint64]bool{}
	for _, w := range all {
		set[w] = true
	}
	missing := 0
	for _, w := range later {
		if !set[w] {
			missing++
		}
	}
	if missing > 6 {
		t.Errorf("one change makes %d new words", missing)
	}
	if a, b := words("abc"+string(text[:9])+"def ghi"), words("abc "+string(text[:9])+" def, ghi"); !slices.Equal(a, b) {
		t.Error("words of letters beside others")
	}
	if len(words("กิกิ")) > 2 {
		t.Error("a mark was cut from its character")
	}
	if j := Jaccard(string(text), string(text[:1000])+"改"+string(text[1001:]), 5); j < 0.97 {
		t.Errorf("one changed character of 2000: similarity %.3f", j)
	}
}

// The scanner of whole blocks must find the words that the plain one finds.
func TestWordsOfBlocksAreThoseOfCharacters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.SampledFrom([]string{
			"a", "Bc", "0", "word", "LongerWord", "seventeenletters1", " ", " ", ". ", "\n", "\x10", "@[`{", "é", "Ü", "東京", "\u0301",
			strings.Repeat("x", 63), strings.Repeat("Y", 64), strings.Repeat("z9", 70), "________", "abcdefgh", "abcdefghi",
		}), 0, 120).Draw(t, "pieces")
		text := strings.Join(pieces, "")
		s := newShingler(5)
		s.hashWords(text)
		got := slices.Clone(s.words)
		bounds := s.wordBounds(text)
		if len(bounds) != len(s.words) {
			t.Fatalf("%q: %d words, %d bounds", text, len(s.words), len(bounds))
		}
		for i, b := range bounds {
			one := newShingler(5)
			if one.hashWords(text[b[0]:b[1]]); len(one.words) != 1 || one.words[0] != s.words[i] {
				t.Fatalf("%q: word %d is not %q", text, i, text[b[0]:b[1]])
			}
		}
		if !slices.Equal(got, s.words) {
			t.Fatalf("%q: %d words by blocks, %d by characters", text, len(got), len(s.words))
		}
	})
}

func TestShinglesAreThoseOfWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(t, "n")
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "cc", "d1"}), 0, 40).Draw(t, "words")
		s := newShingler(n)
		s.hashWords(strings.Join(words, " "))
		if len(s.words) != len(words) {
			t.Fatalf("%d words of %d", len(s.words), len(words))
		}
		var rolled []uint64
		s.each(make([]uint64, 0, rapid.IntRange(1, 9).Draw(t, "chunk")), func(c []uint64) { rolled = append(rolled, c...) })
		windows := map[string]uint64{}
		want := 0
		for i := 0; i+min(n, len(words)) <= len(words) && len(words) > 0; i++ {
			window := strings.Join(words[i:i+min(n, len(words))], " ")
			want++
			if h, ok := windows[window]; ok && h != rolled[i] {
				t.Fatalf("window %q has two shingles", window)
			}
			windows[window] = rolled[i]
		}
		set := s.set(make([]uint64, 0, 16), nil)
		if len(rolled) != want || len(set) != len(windows) || !slices.IsSorted(set) {
			t.Fatalf("%d shingles of %d windows, %d distinct of %d", len(rolled), want, len(set), len(windows))
		}
	})
}

func TestJaccard(t *testing.T) {
	for _, c := range []struct {
		a, b string
		n    int
		want float64
	}{
		{"a b c d", "a b c d", 2, 1},
		{"a b c d", "A, b; c d!", 2, 1},
		{"a b c d", "a b c e", 2, 2.0 / 4},
		{"a b c", "x y z", 1, 0},
		{"a", "a", 5, 1},
		{"", "", 5, 0},
		{"a b", "", 5, 0},
	} {
		if got := Jaccard(c.a, c.b, c.n); got != c.want {
			t.Errorf("Jaccard(%q, %q, %d) = %g, want %g", c.a, c.b, c.n, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) []uint64 {
			s := rapid.SliceOfN(rapid.Uint64Range(0, 60), 0, 50).Draw(t, name)
			slices.Sort(s)
			return slices.Compact(s)
		}
		a, b := draw("a"), draw("b")
		want := 0
		for _, x := range a {
			if slices.Contains(b, x) {
				want++
			}
		}
		need := rapid.IntRange(0, 50).Draw(t, "need")
		got := overlap(a, b, need)
		if want >= need && got != want || got > want || got >= need && got != want {
			t.Fatalf("overlap %d with need %d, want %d", got, need, want)
		}
	})
}

func benchmarkText(words int) string {
	rng := rand.New(rand.NewPCG(3, 4))
	var b strings.Builder
	for i := range words {
		n := 1 + rng.IntN(9)
		for range n {
			b.WriteByte(byte('a' + rng.IntN(26)))
		}
		if i%12 == 11 {
			b.WriteString(".\n")
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func BenchmarkSignature(b *testing.B) {
	text := benchmarkText(50_000)
	for _, kernel := range []string{"vector", "scalar"} {
		b.Run(fmt.Sprintf("kernel=%s", kernel), func(b *testing.B) {
			p := newPermutations(112, 1)
			update := p.update
			if kernel == "scalar" {
				update = p.updateReference
			}
			s := newShingler(5)
			sig := make([]uint32, 112)
			chunk := make([]uint64, 0, 1<<10)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				resetSignature(sig)
				s.hashWords(text)
				s.each(chunk, func(c []uint64) { update(sig, c) })
			}
		})
	}
	b.Run("shingling", func(b *testing.B) {
		s := newShingler(5)
		chunk := make([]uint64, 0, 1<<10)
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			s.hashWords(text)
			s.each(chunk, func([]uint64) {})
		}
	})
}
