//go:build interop

package tokenize_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize"
)

// scripts is where the Python side lies.
const scripts = "../interop/tokenizers"

// python returns an interpreter with the packages of requirements.txt, in a
// virtual environment that is made on first use outside the source tree: in
// $TRIBUTARY_CACHE, or tributary in the user's cache directory.
func python(t *testing.T) string {
	t.Helper()
	base := os.Getenv("TRIBUTARY_CACHE")
	if base == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		base = filepath.Join(cache, "tributary")
	}
	requirements := filepath.Join(scripts, "requirements.txt")
	want, err := os.ReadFile(requirements)
	if err != nil {
		t.Fatal(err)
	}
	venv := filepath.Join(base, "tokenizers")
	bin := filepath.Join(venv, "bin", "python")
	stamp := filepath.Join(venv, "requirements.txt")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == string(want) {
		return bin
	}
	for _, args := range [][]string{{"python3", "-m", "venv", venv}, {bin, "-m", "pip", "install", "-q", "-r", requirements}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	if err := os.WriteFile(stamp, want, 0o644); err != nil {
		t.Fatal(err)
	}
	return bin
}

// script is the command that runs one of the Python scripts.
func script(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.Command(python(t), append([]string{filepath.Join(scripts, name)}, args...)...)
}

// data is the directory of real texts and vocabularies, "" when there is none.
func data() string { return os.Getenv("TRIBUTARY_DATA") }

// TestGoldenLoads makes the golden files again and reads them.
func TestGoldenLoads(t *testing.T) {
	dir := t.TempDir()
	if out, err := script(t, "golden.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("golden.py: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tokenizer.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("golden.py made %d files, %v", len(files), err)
	}
	for _, f := range files {
		if _, err := tokenize.Open(f); err != nil {
			t.Error(err)
		}
	}
}

// TestTrainedLoads: what we train loads there, with the same ids and offsets.
func TestTrainedLoads(t *testing.T) {
	texts := func(yield func(string, error) bool) {
		for i := range 3000 {
			if !yield(fmt.Sprintf("The %d lanterns walked, singing éclairs over river %d's stones!", i, i%17), nil) {
				return
			}
		}
	}
	ctx := context.Background()
	wordPiece, err := tokenize.TrainWordPiece(ctx, texts, tokenize.TrainOptions{VocabSize: 500, Lowercase: true})
	if err != nil {
		t.Fatal(err)
	}
	bpe, err := tokenize.TrainBPE(ctx, texts, tokenize.TrainOptions{VocabSize: 700})
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]*tokenize.Tokenizer{"wordpiece": wordPiece, "bpe": bpe} {
		dir := t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		compare(t, name, filepath.Join(dir, "tokenizer.json"), tok, []string{"The 12 lanterns, singing", "éclairs über ÉCLAIRS", "x\n\n  y\t12's [MASK]"})
	}
}

// TestRealVocabularies compares over all texts under TRIBUTARY_DATA.
func TestRealVocabularies(t *testing.T) {
	if data() == "" {
		t.Log("TRIBUTARY_DATA is not set: nothing to compare")
		return
	}
	dir := t.TempDir()
	if out, err := script(t, "vocabularies.py", filepath.Join(data(), "tokenizers"), dir).CombinedOutput(); err != nil {
		t.Fatalf("vocabularies.py: %v\n%s", err, out)
	}
	texts := collect(t, data(), 1<<20, 4<<10, true)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d vocabularies, %v", len(files), err)
	}
	for _, file := range files {
		tok, err := tokenize.Open(file)
		if err != nil {
			t.Error(err)
			continue
		}
		compare(t, filepath.Base(file), file, tok, texts)
	}
}

// head reads up to n bytes of a file, unpacked if it is packed.
func head(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if filepath.Ext(path) == ".gz" {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(r, n))
}

// collect reads the first bytes of text files under dir, up to limit bytes, as
// pages and, with lines, as lines too.
func collect(t *testing.T, dir string, limit int, each int64, lines bool) []string {
	t.Helper()
	var out []string
	size := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || size > limit {
			return err
		}
		plain := strings.TrimSuffix(path, ".gz")
		switch filepath.Ext(plain) {
		case ".txt", ".md", ".json", ".jsonl", ".tsv", ".wiki", ".xml":
		default:
			return nil
		}
		content, err := head(path, each)
		if err != nil {
			t.Logf("%s is passed over: %v", path, err)
			return nil
		}
		text := strings.ToValidUTF8(string(content), "")
		size += len(text)
		out = append(out, text)
		if lines {
			for line := range strings.Lines(text) {
				out = append(out, line)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// compare encodes texts here and there. Texts that spell out a control token are
// left out: the reference's Unigram model gives the control token for it.
func compare(t *testing.T, name, file string, tok *tokenize.Tokenizer, texts []string) {
	t.Helper()
	texts = slices.DeleteFunc(slices.Clone(texts), func(s string) bool {
		return slices.ContainsFunc(tok.Added(), func(a tokenize.AddedToken) bool { return a.Special && strings.Contains(s, a.Content) })
	})
	input := filepath.Join(t.TempDir(), "texts.jsonl")
	f, err := os.Create(input)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for _, s := range texts {
		if err := enc.Encode(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := script(t, "encode.py", file, input)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := tok.NewEncoder()
	var mine tokenize.Encoding
	dec := json.NewDecoder(bufio.NewReader(out))
	bad, tokens := 0, 0
	started := time.Now()
	for _, s := range texts {
		var theirs struct {
			IDs     []int32
			Offsets []int
			Words   []int32
		}
		if err := dec.Decode(&theirs); err != nil {
			t.Fatalf("%s: reading the reference's answer: %v", name, err)
		}
		if err := e.EncodeOffsets(&mine, s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		tokens += len(mine.IDs)
		if slices.Equal(mine.IDs, theirs.IDs) && slices.Equal(charOffsets(s, mine.Spans), theirs.Offsets) && slices.Equal(mine.Words, theirs.Words) {
			continue
		}
		if bad++; bad <= 3 {
			t.Errorf("%s: %.200q differs", name, s)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: encode.py: %v", name, err)
	}
	t.Logf("%s: %d texts, %d tokens, %d differ (%v)", name, len(texts), tokens, bad, time.Since(started).Round(time.Millisecond))
}

// charOffsets counts spans in characters.
func charOffsets(s string, spans []tokenize.Span) []int {
	at := make([]int, len(s)+1)
	n := 0
	for i := range len(s) {
		if utf8.RuneStart(s[i]) {
			n++
		}
		at[i] = n - 1
	}
	at[len(s)] = n
	out := make([]int, 0, 2*len(spans))
	for _, p := range spans {
		out = append(out, at[p.Start], at[p.End])
	}
	return out
}
