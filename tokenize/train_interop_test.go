//go:build interop

package tokenize_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/tokenize"
)

// lines streams the lines of a file, as the reference's trainers read it.
func lines(path string) func(yield func(string, error) bool) {
	return func(yield func(string, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield("", err)
			return
		}
		defer f.Close()
		r := bufio.NewReaderSize(f, 1<<20)
		for {
			s, err := r.ReadString('\n')
			if s != "" && !yield(s, nil) {
				return
			}
			if err != nil {
				return
			}
		}
	}
}

// trainingText is real text where there is some, else made-up.
func trainingText(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "train.txt")
	var b strings.Builder
	if data() != "" {
		for _, s := range collect(t, filepath.Join(data(), "lm"), 1<<20, 200<<10, false) {
			b.WriteString(s)
		}
	} else {
		for i := range 20000 {
			fmt.Fprintf(&b, "The %d lanterns walked, singing éclairs over river %d's stones; number %x burned.\n", i, i%17, i*i)
		}
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// theirs trains with the reference.
func theirs(t *testing.T, kind, text, target string, size int) (use struct {
	CPU  float64 `json:"cpu_s"`
	Wall float64 `json:"wall_s"`
	Peak float64 `json:"peak_mib"`
}) {
	t.Helper()
	cmd := script(t, "train.py", kind, text, strconv.Itoa(size), target)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("train.py %s: %v", kind, err)
	}
	if err := json.Unmarshal(out, &use); err != nil {
		t.Fatal(err)
	}
	return use
}

// model reads the pieces and merges of a tokenizer.json.
func model(t *testing.T, path string) (vocab map[string]int, merges []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var form struct {
		Model struct {
			Vocab  map[string]int
			Merges [][]string
		}
	}
	if err := json.Unmarshal(data, &form); err != nil {
		t.Fatal(err)
	}
	for _, m := range form.Model.Merges {
		merges = append(merges, strings.Join(m, " "))
	}
	return form.Model.Vocab, merges
}

// TestTrainedAlike: BPE learns the reference's merges in the same order, WordPiece
// nearly the same pieces, and Unigram a vocabulary that writes the text in about as few tokens.
func TestTrainedAlike(t *testing.T) {
	text := trainingText(t)
	dir := t.TempDir()
	for _, kind := range []string{tokenize.KindBPE, tokenize.KindWordPiece, tokenize.KindUnigram} {
		const size = 4000
		target := filepath.Join(dir, kind+".json")
		theirs(t, kind, text, target, size)
		mine, err := tokenize.Train(context.Background(), kind, lines(text), tokenize.TrainOptions{VocabSize: size, Lowercase: kind == tokenize.KindWordPiece})
		if err != nil {
			t.Fatal(err)
		}
		own := filepath.Join(dir, "own-"+kind)
		if err := mine.Save(own); err != nil {
			t.Fatal(err)
		}
		if kind == tokenize.KindUnigram {
			other, err := tokenize.Open(target)
			if err != nil {
				t.Fatal(err)
			}
			var a, b tokenize.Coverage
			ea, eb := mine.NewEncoder(), other.NewEncoder()
			for s, err := range lines(text) {
				if err != nil {
					t.Fatal(err)
				}
				if err := ea.Cover(&a, s); err != nil {
					t.Fatal(err)
				}
				if err := eb.Cover(&b, s); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("unigram: %d pieces and %d tokens, the reference %d and %d (%.4f x); unknown %d and %d",
				mine.VocabSize(), a.Tokens, other.VocabSize(), b.Tokens, float64(a.Tokens)/float64(b.Tokens), a.Unknown, b.Unknown)
			if float64(a.Tokens) > 1.02*float64(b.Tokens) {
				t.Errorf("unigram: %d tokens, the reference's vocabulary needs %d", a.Tokens, b.Tokens)
			}
			continue
		}
		vocab, merges := model(t, filepath.Join(own, "tokenizer.json"))
		wantVocab, wantMerges := model(t, target)
		if kind == tokenize.KindWordPiece {
			// The reference gives the pieces "##x" of the alphabet their ids in the order
			// of a hash table, and breaks ties between pairs by these: each of its runs
			// ends with a slightly different vocabulary. Ours is like that of some run.
			best := 0
			for run := 0; run < 10 && best < len(wantVocab)*98/100; run++ {
				if run > 0 {
					theirs(t, kind, text, target, size)
					wantVocab, _ = model(t, target)
				}
				shared := 0
				for s := range wantVocab {
					if _, ok := vocab[s]; ok {
						shared++
					}
				}
				t.Logf("wordpiece: %d of %d pieces are the reference's", shared, len(wantVocab))
				best = max(best, shared)
			}
			if best < len(wantVocab)*98/100 {
				t.Errorf("wordpiece: %d of %d pieces are the reference's", best, len(wantVocab))
			}
			continue
		}
		differ := 0
		for s, id := range wantVocab {
			if have, ok := vocab[s]; !ok || have != id {
				if differ++; differ <= 3 {
					t.Errorf("%s: piece %q has id %d there, %d (%v) here", kind, s, id, have, ok)
				}
			}
		}
		if len(vocab) != len(wantVocab) || strings.Join(merges, "\n") != strings.Join(wantMerges, "\n") {
			t.Errorf("%s: %d pieces and %d merges, want %d and %d, in the same order", kind, len(vocab), len(merges), len(wantVocab), len(wantMerges))
		}
		t.Logf("%s: %d pieces, %d differ; %d merges", kind, len(vocab), differ, len(merges))
	}
}

// TestTransformersLoads: transformers gives the ids that we do for the directories
// that our trainers write.
func TestTransformersLoads(t *testing.T) {
	text := trainingText(t)
	samples := []string{"The 12 lanterns, singing", "éclairs über ÉCLAIRS 日本", "x y  12's", "numbers burned in the river"}
	for _, kind := range tokenize.Kinds() {
		o := tokenize.TrainOptions{VocabSize: 1500, Lowercase: kind != tokenize.KindBPE}
		if kind == tokenize.KindBPE {
			o.Specials = tokenize.RobertaSpecials()
		}
		tok, err := tokenize.Train(context.Background(), kind, lines(text), o)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), kind)
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		program := `
import json, sys
from transformers import AutoTokenizer
t = AutoTokenizer.from_pretrained(sys.argv[1])
print(json.dumps({"ids": [t(s)["input_ids"] for s in json.loads(sys.argv[2])], "mask": t.mask_token_id, "pad": t.pad_token_id, "unk": t.unk_token_id}))
`
		list, err := json.Marshal(samples)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(python(t), "-c", program, dir, string(list))
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", kind, err, errs.String())
		}
		var got struct {
			IDs            [][]int32
			Mask, Pad, Unk *int32
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		e := tok.NewEncoder()
		var enc tokenize.Encoding
		for i, s := range samples {
			if err := e.EncodeFramed(&enc, s, nil); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(enc.IDs) != fmt.Sprint(got.IDs[i]) {
				t.Errorf("%s: %q: ids %v, transformers %v", kind, s, enc.IDs, got.IDs[i])
			}
		}
		sp := tok.Specials()
		for role, both := range map[string][2]int32{"mask": {sp.Mask, number(got.Mask)}, "pad": {sp.Pad, number(got.Pad)}, "unk": {sp.Unk, number(got.Unk)}} {
			if both[0] != both[1] {
				t.Errorf("%s: the %s token is %d here and %d there", kind, role, both[0], both[1])
			}
		}
	}
}

func number(p *int32) int32 {
	if p == nil {
		return -1
	}
	return *p
}

// TestTrainingSpeed trains BPE with 32,000 pieces on the text that TRIBUTARY_TRAIN
// names (interop/tokenizers/corpus.py writes one), here and there in turns.
func TestTrainingSpeed(t *testing.T) {
	text := os.Getenv("TRIBUTARY_TRAIN")
	if text == "" {
		t.Log("TRIBUTARY_TRAIN is not set: nothing is timed")
		return
	}
	kind := os.Getenv("TRIBUTARY_KIND")
	if kind == "" {
		kind = tokenize.KindBPE
	}
	const size = 32000
	before, started := cpu(), time.Now()
	tok, err := tokenize.Train(context.Background(), kind, lines(text), tokenize.TrainOptions{VocabSize: size, Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	mine, wall := cpu()-before, time.Since(started).Seconds()
	peak := peakMiB(t)
	use := theirs(t, kind, text, filepath.Join(t.TempDir(), "t.json"), size)
	fmt.Printf("| %s | %d pieces | %.1f cpu-s, %.1f s, %.0f MiB | tokenizers %.1f cpu-s, %.1f s, %.0f MiB | %.1f x, %.1f x, %.2f of its memory |\n",
		kind, tok.VocabSize(), mine, wall, peak, use.CPU, use.Wall, use.Peak, use.CPU/mine, use.Wall/wall, peak/use.Peak)
}

// peakMiB is the peak memory of this process so far.
func peakMiB(t *testing.T) float64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var kib float64
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				t.Fatal(err)
			}
			return kib / 1024
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
