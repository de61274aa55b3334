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
	for i, file := range files {
		fuzzOne(t, dir, file, uint64(seed)<<16|uint64(i), count/len(files)+1)
	}
}

// fuzzPieces are what made-up strings are of, beside characters at random.
var fuzzPieces = strings.Split("the| the|ing|a|e|é|e\u0301| |  |\n|\r\n|\t|\u00a0|\u3000|\u200b|\u200d|\ufeff|'s|'|''|``|\"|.|,|!?|…|#|##|[|]|<|>|_|-|—|1|12|2024|٣|½|ﬁ|ǆ|İ|ß|ẞ|Σ|ς|한|\u1112\u1161|日本|の|か\u3099|。|中|ไทย|हि|न\u093c|क्ष|العربية|\u0600|\u064b|👩|\u200d🚀|🏳\ufe0f|🇩🇪|\U0001f3fd|▁|Ġ|Ċ|\x00|\x1a|\x7f|\u0085|\u00ad|\u2028|\u0345|\U000e0001|\U0010ffff|\ufffd|𝔘|x|Z|Ω|я|Ж|ъ", "|")

// madeUp makes a string that is valid UTF-8.
func madeUp(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(24) {
		switch r.IntN(8) {
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
		default:
			b.WriteString(fuzzPieces[r.IntN(len(fuzzPieces))])
		}
	}
	return b.String()
}

func fuzzOne(t *testing.T, dir, file string, seed uint64, count int) {
	t.Helper()
	tok, err := tokenize.Open(file)
	if err != nil {
		t.Error(err)
		return
	}
	input := filepath.Join(dir, "fuzz.bin")
	f, err := os.Create(input)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	generate := func() *rand.Rand { return rand.New(rand.NewPCG(seed, 20)) }
	spells := func(s string) bool {
		for _, a := range tok.Added() {
			if a.Special && strings.Contains(s, a.Content) {
				return true
			}
		}
		return false
	}
	r := generate()
	var head [4]byte
	for range count {
		s := madeUp(r)
		if spells(s) {
			s = ""
		}
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
	bad, tokens := 0, 0
	var once sync.Once
	r = generate()
	for i := range count {
		s := madeUp(r)
		if spells(s) {
			s = ""
		}
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
			if bad++; bad <= 3 {
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
	t.Logf("%s: %d strings, %d tokens, %d differ (%v)", filepath.Base(file), count, tokens, bad, time.Since(started).Round(time.Millisecond))
}
