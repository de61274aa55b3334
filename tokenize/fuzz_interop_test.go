//go:build interop

package tokenize_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize"
)

// TestFuzzedStrings compares ids and offsets on made-up strings: those that
// TRIBUTARY_FUZZ asks for in all, 100,000 when it is not set; TRIBUTARY_FUZZ_SEED
// gives other strings. The vocabularies are those of TRIBUTARY_DATA, or the small
// ones of testdata/golden.
func TestFuzzedStrings(t *testing.T) {
	number := func(name string, otherwise int) int {
		s := os.Getenv(name)
		if s == "" {
			return otherwise
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	count, seed := number("TRIBUTARY_FUZZ", 100_000), number("TRIBUTARY_FUZZ_SEED", 0)
	dir := t.TempDir()
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	if data() != "" {
		if out, err := script(t, "vocabularies.py", filepath.Join(data(), "tokenizers"), dir).CombinedOutput(); err != nil {
			t.Fatalf("vocabularies.py: %v\n%s", err, out)
		}
		real, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, real...)
	}
	if len(files) == 0 {
		t.Fatal("there are no vocabularies")
	}
	var strings, tokens, differ int
	for i, file := range files {
		s, k, d := fuzzOne(t, dir, file, uint64(seed)<<16|uint64(i), count/len(files)+1)
		strings, tokens, differ = strings+s, tokens+k, differ+d
	}
	t.Logf("%d strings, %d tokens, %d differ", strings, tokens, differ)
}

// fuzzPieces are what made-up strings are of, beside characters at random.
var fuzzPieces = strings.Split("the| the|ing|a|e|é|e\u0301| |  |\n|\r\n|\t|\u00a0|\u3000|\u200b|\u200d|\ufeff|'s|'|''|``|\"|.|,|!?|…|#|##|[|]|<|>|_|-|—|1|12|2024|٣|½|ﬁ|ǆ|İ|ß|ẞ|Σ|ς|한|\u1112\u1161|日本|の|か\u3099|。|中|ไทย|हि|न\u093c|क्ष|العربية|\u0600|\u064b|👩|\u200d🚀|🏳\ufe0f|🇩🇪|\U0001f3fd|▁|Ġ|Ċ|\x00|\x1a|\x7f|\u0085|\u00ad|\u2028|\u0345|\U000e0001|\U0010ffff|\ufffd|𝔘|x|Z|Ω|я|Ж|ъ", "|")

// madeUp makes strings that are valid UTF-8, of characters at random, awkward ones
// and pieces of a vocabulary.
type madeUp struct {
	r      *rand.Rand
	pieces []string
}

// newMadeUp takes pieces of tok at random.
func newMadeUp(tok *tokenize.Tokenizer, seed uint64) *madeUp {
	m := &madeUp{r: rand.New(rand.NewPCG(seed, 21))}
	for range 20_000 {
		id := int32(m.r.IntN(tok.VocabSize()))
		if s := strings.ToValidUTF8(tok.Decode([]int32{id}, true), ""); s != "" && !tok.IsSpecial(id) {
			m.pieces = append(m.pieces, s)
		}
	}
	return m
}

func (m *madeUp) next() string {
	r := m.r
	var b strings.Builder
	for range 1 + r.IntN(20) {
		switch r.IntN(10) {
		case 0:
			c := rune(r.IntN(0x3000))
			b.WriteRune(c)
		case 1:
			c := rune(r.IntN(utf8.MaxRune + 1))
			if r.IntN(4) > 0 {
				c &= 0xffff
			}
			if c < 0xd800 || c > 0xdfff {
				b.WriteRune(c)
			}
		case 2:
			b.WriteByte(byte(r.IntN(128)))
		case 3:
			for range r.IntN(9) {
				b.WriteByte(byte('a' + r.IntN(26)))
			}
		case 4, 5:
			b.WriteString(m.pieces[r.IntN(len(m.pieces))])
		case 6:
			// Something again and again, now and then long enough for a word that is
			// not kept.
			s := fuzzPieces[r.IntN(len(fuzzPieces))]
			if r.IntN(2) == 0 {
				s = m.pieces[r.IntN(len(m.pieces))]
			}
			for range 2 + r.IntN(5)*r.IntN(5) {
				b.WriteString(s)
			}
		default:
			b.WriteString(fuzzPieces[r.IntN(len(fuzzPieces))])
		}
	}
	return b.String()
}

// strings makes count strings that differ and that spell out no control token.
func (m *madeUp) strings(tok *tokenize.Tokenizer, count int) []string {
	var control []string
	for _, a := range tok.Added() {
		if a.Special {
			control = append(control, a.Content)
		}
	}
	seen := make(map[string]bool, count)
	all := make([]string, 0, count)
	for len(all) < count {
		s := m.next()
		if seen[s] || strings.ContainsAny(s, "<[") && slices.ContainsFunc(control, func(c string) bool { return strings.Contains(s, c) }) {
			continue
		}
		seen[s] = true
		all = append(all, s)
	}
	return all
}

func fuzzOne(t *testing.T, dir, file string, seed uint64, count int) (strings, tokens, differ int) {
	t.Helper()
	tok, err := tokenize.Open(file)
	if err != nil {
		t.Error(err)
		return 0, 0, 0
	}
	all := newMadeUp(tok, seed).strings(tok, count)
	input := filepath.Join(dir, "fuzz.bin")
	f, err := os.Create(input)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var head [4]byte
	for _, s := range all {
		binary.LittleEndian.PutUint32(head[:], uint32(len(s)))
		if _, err := w.Write(append(head[:], s...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := script(t, "fuzz.py", file, input)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReaderSize(out, 1<<20)
	e := tok.NewEncoder()
	var mine tokenize.Encoding
	var room []byte
	var alone []int32
	var once sync.Once
	for i, s := range all {
		if _, err := io.ReadFull(answers, head[:]); err != nil {
			t.Fatalf("%s: text %d: the reference's answer: %v", file, i, err)
		}
		n := int(binary.LittleEndian.Uint32(head[:]))
		if len(room) < 12*n {
			room = make([]byte, 24*n)
		}
		if _, err := io.ReadFull(answers, room[:12*n]); err != nil {
			t.Fatalf("%s: text %d: the reference's answer: %v", file, i, err)
		}
		if err := e.EncodeOffsets(&mine, s); err != nil {
			once.Do(func() { t.Logf("%s: %+q: %v", file, s, err) })
		}
		tokens += n
		number := func(k int) int { return int(int32(binary.LittleEndian.Uint32(room[4*k:]))) }
		same := n == len(mine.IDs)
		for k := 0; same && k < n; k++ {
			same = number(k) == int(mine.IDs[k])
		}
		if alone = e.Encode(alone[:0], s); same && !slices.Equal(alone, mine.IDs) {
			t.Errorf("%s: %+q: %v with offsets, %v without", filepath.Base(file), s, mine.IDs, alone)
		}
		if same {
			offsets := charOffsets(s, mine.Spans)
			for k := 0; same && k < 2*n; k++ {
				same = number(n+k) == offsets[k]
			}
		}
		if !same {
			if differ++; differ <= 3 {
				theirs := make([]int, 3*n)
				for k := range theirs {
					theirs[k] = number(k)
				}
				t.Errorf("%s: %+q: %v %v, the reference %v %v", filepath.Base(file), s, mine.IDs, charOffsets(s, mine.Spans), theirs[:n], theirs[n:])
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: fuzz.py: %v", file, err)
	}
	t.Logf("%s: %d strings, %d tokens, %d differ (%v)", filepath.Base(file), len(all), tokens, differ, time.Since(started).Round(time.Millisecond))
	return len(all), tokens, differ
}
