package tokenize

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// benchText reads prose from TRIBUTARY_DATA, or makes some up.
func benchText(b *testing.B) string {
	b.Helper()
	dir := os.Getenv("TRIBUTARY_DATA")
	if dir == "" {
		return strings.Join(prose(2000), "")
	}
	f, err := os.Open(filepath.Join(dir, "books", "gutenberg", "pg2701-Moby-Dick-Or-The-Whale.txt.gz"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		b.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		b.Fatal(err)
	}
	return string(raw)
}

// benchTokenizers are the families: real vocabularies from TRIBUTARY_DATA, else
// the small ones of the tests.
func benchTokenizers(b *testing.B) map[string]*Tokenizer {
	b.Helper()
	files := map[string]string{"wordpiece": "testdata/golden/wordpiece.tokenizer.json", "bytes": "testdata/golden/gpt2.tokenizer.json",
		"bpe": "testdata/golden/llama2.tokenizer.json", "unigram": "testdata/golden/unigram.tokenizer.json"}
	if dir := os.Getenv("TRIBUTARY_DATA"); dir != "" {
		dir = filepath.Join(dir, "tokenizers")
		files = map[string]string{"wordpiece": filepath.Join(dir, "bert-base-uncased"), "bytes": filepath.Join(dir, "gpt2"),
			"bpe": filepath.Join(dir, "llama2"), "unigram": filepath.Join(dir, "t5-base")}
	}
	all := map[string]*Tokenizer{}
	for name, file := range files {
		t, err := Open(file)
		if err != nil {
			b.Fatal(err)
		}
		all[name] = t
	}
	return all
}

// adversaries are texts that are hard to cut, of n bytes.
func adversaries(n int) map[string]string {
	random := make([]byte, n)
	state := uint64(1)
	for i := range random {
		state = state*6364136223846793005 + 1442695040888963407
		random[i] = byte(state >> 56)
	}
	return map[string]string{"letter": strings.Repeat("a", n), "emoji": strings.Repeat("😀", n/4), "random": string(random)}
}

// BenchmarkFamilies reports the megabytes a second of processor time: machines
// are shared.
func BenchmarkFamilies(b *testing.B) {
	text := benchText(b)
	var documents []string
	for i := 0; i < len(text); i += 8 << 10 {
		documents = append(documents, strings.ToValidUTF8(text[i:min(i+8<<10, len(text))], ""))
	}
	inputs := map[string][]string{"prose": documents}
	for name, text := range adversaries(1 << 20) {
		inputs[name] = []string{text}
	}
	for family, t := range benchTokenizers(b) {
		e := t.NewEncoder()
		for input, documents := range inputs {
			size := 0
			for _, d := range documents {
				size += len(d)
			}
			report := func(b *testing.B, before float64) {
				b.ReportMetric(float64(size)*float64(b.N)/1e6/(processorSeconds()-before), "cpu-MB/s")
			}
			b.Run(family+"/"+input+"/ids", func(b *testing.B) {
				b.SetBytes(int64(size))
				before := processorSeconds()
				var ids []int32
				for b.Loop() {
					for _, d := range documents {
						ids = e.Encode(ids[:0], d)
					}
				}
				report(b, before)
			})
			b.Run(family+"/"+input+"/offsets", func(b *testing.B) {
				b.SetBytes(int64(size))
				before := processorSeconds()
				var enc Encoding
				for b.Loop() {
					for _, d := range documents {
						if err := e.EncodeOffsets(&enc, d); err != nil {
							b.Fatal(err)
						}
					}
				}
				report(b, before)
			})
		}
	}
}

func processorSeconds() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

// BenchmarkLoaded reports the memory of a loaded tokenizer with one Encoder that
// has encoded text.
func BenchmarkLoaded(b *testing.B) {
	dir := os.Getenv("TRIBUTARY_DATA")
	if dir == "" {
		b.Log("TRIBUTARY_DATA is not set: nothing is loaded")
		return
	}
	text := benchText(b)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		t, err := Open(filepath.Join(dir, "tokenizers", "gpt2"))
		if err != nil {
			b.Fatal(err)
		}
		e := t.NewEncoder()
		e.Encode(nil, text[:100_000])
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
		runtime.KeepAlive(e)
	}
}
