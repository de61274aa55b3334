package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/ingest/store"
)

// binary builds the command once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "corpus-test")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "corpus")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// corpus runs the binary in dir and returns its exit status and output.
func corpus(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	code, out, errs := corpus(t, dir, args...)
	if code != 0 {
		t.Fatalf("corpus %q: exit %d\n%s", args, code, errs)
	}
	return out
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWayFromSampleToShards(t *testing.T) {
	dir := t.TempDir()
	must(t, dir, "sample", "raw", "--scale", "0.05", "--quiet")
	var ingested struct {
		Sources []struct {
			Source string `json:"source"`
			Totals struct {
				Documents, Skipped int64
			} `json:"totals"`
		} `json:"sources"`
	}
	out := must(t, dir, "ingest", "raw/wiki.xml.bz2", "raw/books", "raw/crawl.warc.wet.gz", "--json", "--quiet")
	if err := json.Unmarshal([]byte(out), &ingested); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, s := range ingested.Sources {
		got[s.Source] = s.Totals.Documents
		if s.Totals.Skipped == 0 {
			t.Errorf("%s: nothing was skipped, and there are broken records", s.Source)
		}
	}
	if got["wiki"] != 55 || got["books"] != 5 || got["web"] != 63 {
		t.Errorf("documents: %v, want 55 wiki, 5 books, 63 web", got)
	}
	if out := must(t, dir, "dedup", "--exact"); !strings.Contains(out, "exact: 19 documents marked") {
		t.Errorf("dedup says\n%s\nwant the 19 planted copies", out)
	}
	_, _, notice := corpus(t, dir, "shard")
	if !strings.Contains(notice, "training wp30k") {
		t.Errorf("shard without a tokenizer says %q", notice)
	}
	var inspection struct {
		Rows    int64
		Columns []struct{ Name string }
	}
	out = must(t, dir, "inspect", "data/wiki/shards/wp30k/part-00000.parquet", "--json")
	if err := json.Unmarshal([]byte(out), &inspection); err != nil || inspection.Rows != 55 || len(inspection.Columns) < 5 {
		t.Errorf("inspect says %+v, %v", inspection, err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("the sailor mends the net"), 0o600); err != nil {
		t.Fatal(err)
	}
	var encoded struct{ IDs []int }
	out = must(t, dir, "tokenizer", "encode", text, "--json")
	if err := json.Unmarshal([]byte(out), &encoded); err != nil || len(encoded.IDs) != 5 {
		t.Errorf("encode says %q, %v", out, err)
	}
	ids := must(t, dir, "tokenizer", "encode", text)
	if err := os.WriteFile(text, []byte(ids), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := must(t, dir, "tokenizer", "decode", text); out != "the sailor mends the net\n" {
		t.Errorf("decode says %q", out)
	}
	if code, _, errs := corpus(t, dir, "tokenizer", "decode", writeFile(t, dir, "ids", "5 99999999")); code != 1 || !strings.Contains(errs, "99999999") {
		t.Errorf("an id out of range gives exit %d, %q", code, errs)
	}
	if out := must(t, dir, "tokenizer", "encode", writeFile(t, dir, "control", "mend [MASK]"), "--pieces", "--allow-special"); out != "mend| [MASK]|\n" {
		t.Errorf("encode --pieces says %q", out)
	}
	must(t, dir, "tokenizer", "train", "--type", "unigram", "--vocab-size", "500", "--mix", "wiki:0.8,books:0.2", "--sample", "200KiB", "--name", "uni", "--quiet")
	var compared struct {
		Rows []struct {
			Source, Tokenizer string
			Tokens            int64
		} `json:"rows"`
	}
	out = must(t, dir, "tokenizer", "compare", "wp30k", "uni", "--source", "wiki", "--report", filepath.Join(dir, "compare.html"), "--json", "--quiet")
	if err := json.Unmarshal([]byte(out), &compared); err != nil || len(compared.Rows) != 4 || compared.Rows[0].Tokens == 0 {
		t.Errorf("compare says %s, %v", out, err)
	}
	if html, err := os.ReadFile(filepath.Join(dir, "compare.html")); err != nil || !bytes.Contains(html, []byte("<svg")) {
		t.Errorf("the report has no plot (%v)", err)
	}
	must(t, dir, "stats")
	must(t, dir, "verify")
	part := filepath.Join(dir, "data/wiki/shards/wp30k/part-00000.parquet")
	data, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(part, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := corpus(t, dir, "verify"); code != 1 || !strings.Contains(out, part[len(dir)+1:]) {
		t.Errorf("a flipped bit: exit %d, %s", code, out)
	}
}

func TestWrongUsage(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "ingest"},
		{[]string{"ingst"}, 2, `did you mean "ingest"?`},
		{[]string{"ingest"}, 2, "missing an input"},
		{[]string{"ingest", "x", "--kind", "wikki"}, 2, "did you mean wiki?"},
		{[]string{"ingest", "absent.xml"}, 1, "absent.xml"},
		{[]string{"ingest", "."}, 1, ""},
		{[]string{"dedup"}, 2, "--exact"},
		{[]string{"dedup", "--exact"}, 1, "no documents"},
		{[]string{"shard", "--shard-size", "big"}, 2, "big"},
		{[]string{"tokenizer", "train", "--type", "morse"}, 2, "morse"},
		{[]string{"sample", "x", "--scale", "0"}, 2, "--scale"},
		{[]string{"run", "absent.yaml"}, 1, "absent.yaml"},
		{[]string{"verify"}, 1, ""},
	} {
		code, _, errs := corpus(t, dir, c.args...)
		if code != c.code || !strings.Contains(errs, c.says) || errs == "" {
			t.Errorf("corpus %q: exit %d, %q; want %d and %q", c.args, code, errs, c.code, c.says)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("failed commands left %v (%v)", entries, err)
	}
}

func TestWrongExperimentSaysWhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.yaml"), []byte("sources:\n  wiki: {ingets: {from: [a]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := corpus(t, dir, "run", "x.yaml")
	if code != 2 || !strings.Contains(errs, `x.yaml:2:10: sources.wiki: unknown key "ingets"; did you mean "ingest"?`) {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// experiment is a small one whose every stage takes long enough to be killed in.
const experiment = `
sources:
  wiki:  {ingest: {kind: wiki,  from: [raw/wiki.xml.bz2]}}
  books: {ingest: {kind: books, from: [raw/books]}}
  web:   {ingest: {kind: web,   from: [raw/crawl.warc.wet.gz]}}
dedup: {exact: {}}
tokenizer: {name: wp, vocab_size: 1000}
`

// digests hashes every file that counts below dir by its manifest.
func digests(t *testing.T, dir string) string {
	t.Helper()
	var parts []any
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != store.ManifestName {
			return err
		}
		m, err := store.ReadManifest(filepath.Dir(path))
		if err != nil {
			return err
		}
		if err := m.Verify(filepath.Dir(path)); err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		parts = append(parts, name, m.Digest())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) < 2*10 {
		t.Fatalf("only %d manifests below %s", len(parts)/2, dir)
	}
	return store.Key(parts...)
}

// TestKilledAtAnyMoment kills the experiment at seeded random moments, 50 in all,
// runs the same command again until it is done, and compares every file with
// those of a run that nobody disturbed.
func TestKilledAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	must(t, dir, "sample", "raw", "--scale", "0.05", "--quiet")
	if err := os.WriteFile(filepath.Join(dir, "x.yaml"), []byte(experiment), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	must(t, dir, "run", "x.yaml", "--quiet", "--data", "whole")
	whole := time.Since(began)
	want := digests(t, filepath.Join(dir, "whole"))

	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	kills, round := 0, 0
	for ; kills < 50; round++ {
		if round == 200 {
			t.Fatalf("only %d kills in %d rounds of %v: the moments are badly chosen", kills, round, whole)
		}
		data := fmt.Sprintf("data%d", round)
		for done := false; !done; {
			cmd := exec.Command(path, "run", "x.yaml", "--quiet", "--data", data)
			cmd.Dir = dir
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			finished := make(chan error, 1)
			go func() { finished <- cmd.Wait() }()
			moment := time.Duration(r.Float64() * 1.1 * float64(whole))
			select {
			case err := <-finished:
				if err != nil {
					t.Fatalf("the same command after %d kills: %v", kills, err)
				}
				done = true
			case <-time.After(moment):
				if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Fatal(err)
				}
				if err := <-finished; err == nil {
					done = true
				} else {
					kills++
				}
			}
		}
		if got := digests(t, filepath.Join(dir, data)); got != want {
			t.Fatalf("round %d ended with other bytes (%d kills so far)", round, kills)
		}
		if err := os.RemoveAll(filepath.Join(dir, data)); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills in %d rounds; an undisturbed run takes %v", kills, round, whole)
}

// TestCtrlC interrupts the experiment and goes on.
func TestCtrlC(t *testing.T) {
	dir := t.TempDir()
	must(t, dir, "sample", "raw", "--scale", "0.3", "--quiet")
	if err := os.WriteFile(filepath.Join(dir, "x.yaml"), []byte(experiment), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, wait := range []time.Duration{20 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond, 160 * time.Millisecond} {
		cmd := exec.Command(path, "run", "x.yaml", "--quiet")
		cmd.Dir = dir
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(wait)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		switch code := cmd.ProcessState.ExitCode(); code {
		case 130:
			if !strings.Contains(errs.String(), "interrupted; run the same command again to go on") {
				t.Errorf("interrupted after %v, it says %q", wait, errs.String())
			}
		case 0, -1: // done already, or the signal came before it was listened to
		default:
			t.Errorf("interrupted after %v: exit %d, %v, %s", wait, code, err, errs.String())
		}
	}
	must(t, dir, "run", "x.yaml", "--quiet")
}
