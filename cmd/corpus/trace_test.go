package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/pipelines"
)

// lines writes a dump of JSON lines whose texts stand in it as they are, and share
// notices that rules mark.
func lines(t *testing.T, dir, name string, seed uint64, documents int) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	sentence := func(n int) string {
		var words []string
		for range n {
			words = append(words, string([]byte{byte('a' + r.IntN(26)), byte('a' + r.IntN(26)), byte('a' + r.IntN(26))}))
		}
		return strings.Join(words, " ") + "."
	}
	notice := sentence(20) + " " + sentence(15)
	var dump strings.Builder
	for i := range documents {
		text := sentence(30) + " " + sentence(8+i%9) + `\n\n` + notice + `\n\n` + sentence(25) + " " + sentence(12)
		fmt.Fprintf(&dump, "{\"text\": \"%s\"}\n", text)
	}
	writeFile(t, dir, name, dump.String())
	return []byte(dump.String())
}

// From a batch back to the bytes of the dump, through masks, pairs, packing, the mix,
// predicates, cuts and a change of weights; and from those bytes forward to the batch.
func TestTraceToTheDumpAndBack(t *testing.T) {
	dir := t.TempDir()
	dumps := map[string][]byte{"a.jsonl": lines(t, dir, "a.jsonl", 1, 70), "b.jsonl": lines(t, dir, "b.jsonl", 2, 50)}
	must(t, dir, "ingest", "a.jsonl", "--source", "a", "--quiet")
	must(t, dir, "ingest", "b.jsonl", "--source", "b", "--quiet")
	must(t, dir, "dedup", "--paragraph", "--quiet")
	must(t, dir, "shard", "--quiet")
	mix := []string{"--mix", "a[words > 90 && cut(\"paragraph\")]:1,b:2", "--stage", "8=a[words > 90 && cut(\"paragraph\")]:5,b:1", "--seq-len", "48", "--batch", "6", "--quiet"}
	cutParts, fromA := 0, 0
	for i, c := range []struct {
		flags          []string
		step, sequence int
	}{
		{[]string{"--objective", "bert"}, 3, 0}, {[]string{"--objective", "bert", "--whole-words"}, 9, 5},
		{[]string{"--objective", "gpt"}, 12, 2}, {[]string{"--objective", "gpt", "--packing", "best-fit", "--isolate"}, 4, 1},
		{[]string{"--objective", "xlnet"}, 11, 3}, {[]string{"--objective", "spanbert", "--seed", "9"}, 40, 4},
	} {
		flags := append(append([]string{}, mix...), c.flags...)
		var found pipelines.Trace
		out := must(t, dir, append([]string{"trace", "--json", "--tokens", "--step", fmt.Sprint(c.step), "--sequence", fmt.Sprint(c.sequence)}, flags...)...)
		if err := json.Unmarshal([]byte(out), &found); err != nil {
			t.Fatal(err)
		}
		if len(found.Tokens) == 0 || len(found.Parts) == 0 {
			t.Fatalf("%v: %s", flags, out)
		}
		for _, x := range found.Tokens {
			if x.Part < 0 {
				continue
			}
			part := found.Parts[x.Part]
			dump := dumps[part.Place.File]
			at := int(part.Place.Offset) + len(`{"text": "`)
			// A line end is two bytes in the dump and one in the text.
			line := string(dump[part.Place.Offset:])
			line = line[:strings.IndexByte(line, '\n')]
			if n := strings.Count(line, "\n"); n != 0 || !strings.HasPrefix(line, `{"text": "`) {
				t.Fatalf("offset %d of %s does not begin a record: %q", part.Place.Offset, part.Place.File, line)
			}
			read := 0
			for read < x.FirstByte {
				if dump[at] == '\\' {
					at++
				}
				at++
				read++
			}
			if got := string(dump[at : at+len(x.Text)]); got != x.Text || got == "" {
				t.Fatalf("%v: token %+v: the dump has %q", c.flags, x, got)
			}
			want := x.Shown
			if x.Asked != "" && c.flags[1] != "gpt" {
				want = x.Asked
			}
			if piece := strings.TrimPrefix(want, "##"); piece != x.Text && want != "[UNK]" {
				t.Fatalf("%v: token %q at byte %d of %s, which is %q", c.flags, want, at, part.Place.File, x.Text)
			}
		}
		for j, part := range found.Parts {
			if part.Source == "a" {
				fromA++
			}
			if j > 0 && part.Document == found.Parts[j-1].Document && part.FirstToken > found.Parts[j-1].LastToken+1 {
				cutParts++
			}
			var uses struct {
				Uses []struct{ Step, Sample int64 }
			}
			out := must(t, dir, append([]string{"where-used", part.Document, "--json", "--byte", fmt.Sprint(*part.FirstByte), "--from", fmt.Sprint(c.step), "--to", fmt.Sprint(c.step + 1), "--built"}, flags...)...)
			if err := json.Unmarshal([]byte(out), &uses); err != nil {
				t.Fatal(err)
			}
			hit := false
			for _, u := range uses.Uses {
				hit = hit || u.Step == int64(c.step) && (u.Sample == int64(c.sequence) || i == 3) // isolated: a sample is several sequences
			}
			if !hit {
				t.Fatalf("%v: byte %d of %s is used in %+v", flags, *part.FirstByte, part.Document, uses)
			}
		}
	}
	if cutParts == 0 || fromA == 0 {
		t.Errorf("%d parts follow a cut and %d are of source a: this tests nothing", cutParts, fromA)
	}
	if code, _, errs := corpus(t, dir, append([]string{"trace", "--step", "1", "--sequence", "6"}, mix...)...); code != 2 || !strings.Contains(errs, "has the sequences 0 to 5") {
		t.Errorf("sequence 6 of 6: exit %d, %q", code, errs)
	}
	if code, _, errs := corpus(t, dir, append([]string{"where-used", "nobody"}, mix...)...); code != 1 || !strings.Contains(errs, "nobody") {
		t.Errorf("a document that is not there: exit %d, %q", code, errs)
	}
	testServe(t, dir, mix)
}

// testServe asks a server for a step, interrupts it, and starts one on its socket again.
func testServe(t *testing.T, dir string, mix []string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	if code, _, errs := corpus(t, dir, append([]string{"serve", "--listen", "0.0.0.0:0"}, mix...)...); code != 1 || !strings.Contains(errs, "needs a token") {
		t.Errorf("serving beyond this machine: exit %d, %q", code, errs)
	}
	socket := filepath.Join(dir, "s")
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		cmd := exec.CommandContext(ctx, path, append([]string{"serve", "--socket", socket}, mix...)...)
		cmd.Dir, cmd.Stderr = dir, os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var conn net.Conn
		for conn, err = net.Dial("unix", socket); err != nil && ctx.Err() == nil; conn, err = net.Dial("unix", socket) {
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "9 8 0 1\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(bufio.NewReader(conn))
		if err != nil || !strings.Contains(string(answer), "is no request") {
			t.Errorf("a bad request is answered %q, %v", answer, err)
		}
		conn.Close()
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
			t.Errorf("an interrupted server ends with %v", err)
		}
		cancel()
	}
}
