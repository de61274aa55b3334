package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/tributary-ml/tributary/ingest/sample"
	"github.com/tributary-ml/tributary/ingest/store"
)

var quietly = slog.New(slog.NewTextHandler(io.Discard, nil))

func smallParts(p *partWriter) {
	p.cuts = cuts{partDocuments: 7, partBytes: 1 << 20, groupDocuments: 3, groupBytes: 1 << 20}
}

// layTexts writes n small texts, and returns their directory.
func layTexts(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		text := strings.Repeat(fmt.Sprintf("Text %d has words. ", i), 1+i%50)
		if i%11 == 0 {
			text = ""
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.txt", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// layCrawl writes a crawl of n pages, and returns its path.
func layCrawl(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		text := strings.Repeat(fmt.Sprintf("Page %d has words. ", i), 1+i%50)
		fmt.Fprintf(&b, "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://site.example/%d\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n", i, len(text), text)
	}
	path := filepath.Join(t.TempDir(), "crawl.warc.wet")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func treeDigest(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for _, e := range entries {
		if e.Name() == TimingName {
			continue // it differs from run to run
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(h, e.Name(), len(data))
		h.Write(data)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestAStoppedRunGoesOn(t *testing.T) {
	inputs := []string{layTexts(t, 45), layCrawl(t, 45)}
	for k, kind := range []string{KindText, KindWeb} {
		cfg := Config{Data: t.TempDir(), Inputs: inputs[k : k+1], Kind: kind, Log: quietly, Jobs: 3, adjust: smallParts}
		if _, err := Run(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
		want := treeDigest(t, DocumentsDir(cfg.Data, kind))
		boom := errors.New("boom")
		for _, stop := range []int{1, 4} {
			cfg.Data = t.TempDir()
			files := 0
			cfg.adjust = func(p *partWriter) {
				smallParts(p)
				save := p.onPart
				p.onPart = func() error {
					if err := save(); err != nil {
						return err
					}
					if files++; files == stop {
						return boom
					}
					return nil
				}
			}
			_, err := Run(context.Background(), cfg)
			if err == nil {
				break
			}
			if !errors.Is(err, boom) {
				t.Fatal(err)
			}
			if _, err := store.ReadManifest(DocumentsDir(cfg.Data, kind)); err == nil {
				t.Fatal("a stopped run left a manifest")
			}
			written := 0
			cfg.adjust = func(p *partWriter) {
				smallParts(p)
				p.create = func(path string) (partFile, error) { written++; return createPart(path) }
			}
			report, err := Run(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := treeDigest(t, DocumentsDir(cfg.Data, kind)); got != want {
				t.Fatalf("%s stopped after part %d ends with other bytes: %+v", kind, stop, report.Totals)
			}
			if stop > 0 && written+stop > 7 {
				t.Errorf("%s stopped after part %d wrote %d parts again", kind, stop, written)
			}
		}
	}
}

// TestKilledChild is the program that TestKilledAtAnyMoment kills.
func TestKilledChild(t *testing.T) {
	data, input := os.Getenv("TRIBUTARY_TEST_DATA"), os.Getenv("TRIBUTARY_TEST_INPUT")
	if data == "" {
		t.Log("runs as a child of TestKilledAtAnyMoment")
		return
	}
	kind := os.Getenv("TRIBUTARY_TEST_KIND")
	_, err := Run(context.Background(), Config{Data: data, Inputs: []string{input}, Kind: kind, Log: quietly, Jobs: 2, adjust: smallParts})
	if err != nil {
		t.Fatal(err)
	}
}

// TestKilledAtAnyMoment kills runs over every kind of input, goes on, and compares
// what is there at last with what one run leaves.
func TestKilledAtAnyMoment(t *testing.T) {
	raw := t.TempDir()
	if _, err := sample.Write(context.Background(), raw, sample.Options{Seed: 1, Scale: 0.1}); err != nil {
		t.Fatal(err)
	}
	var lines, rows bytes.Buffer
	type row struct {
		Text string `parquet:"text"`
	}
	w := parquet.NewGenericWriter[row](&rows, parquet.MaxRowsPerRowGroup(20))
	for i := range 70 {
		text := strings.Repeat(fmt.Sprintf("Page %d has words. ", i), 1+i%50)
		fmt.Fprintf(&lines, "{\"text\": %q}\n", text)
		if _, err := w.Write([]row{{text}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"l.jsonl": lines.Bytes(), "p.parquet": rows.Bytes()} {
		if err := os.WriteFile(filepath.Join(raw, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for kind, input := range map[string]string{
		KindText: layTexts(t, 70), KindWiki: filepath.Join(raw, "wiki.xml.bz2"), KindBooks: filepath.Join(raw, "books"),
		KindWeb: filepath.Join(raw, "crawl.warc.wet.gz"), KindJSONL: filepath.Join(raw, "l.jsonl"), KindParquet: filepath.Join(raw, "p.parquet"),
	} {
		t.Run(kind, func(t *testing.T) { killAndGoOn(t, kind, input) })
	}
}

func killAndGoOn(t *testing.T, kind, input string) {
	whole := t.TempDir()
	cfg := Config{Data: whole, Inputs: []string{input}, Kind: kind, Log: quietly, adjust: smallParts}
	report, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if report.Totals.Documents == 0 {
		t.Fatal("no documents: there is nothing to kill")
	}
	want := treeDigest(t, DocumentsDir(whole, kind))
	rng := rand.New(rand.NewPCG(1, 2))
	data := t.TempDir()
	killed, finished := 0, 0
	length := time.Minute // of a run that is left alone, known after the first
	for killed < 7 && finished < 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
		cmd.Env = append(os.Environ(), "TRIBUTARY_TEST_DATA="+data, "TRIBUTARY_TEST_INPUT="+input, "TRIBUTARY_TEST_KIND="+kind)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started, after := time.Now(), length
		if finished > 0 {
			after = time.Duration(rng.Int64N(int64(length)))
		}
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		err := cmd.Wait()
		timer.Stop()
		if err != nil {
			killed++
			continue
		}
		finished++
		length = time.Since(started)
		if got := treeDigest(t, DocumentsDir(data, kind)); got != want {
			t.Fatalf("killed %d times, the run ends with other bytes", killed)
		}
		data = t.TempDir()
	}
	cfg.Data = data
	if _, err := Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := treeDigest(t, DocumentsDir(data, kind)); got != want {
		t.Errorf("killed %d times, the last run ends with other bytes", killed)
	}
	t.Logf("killed %d times, finished %d times", killed, finished)
}

// A run that is killed after its manifest and before it has tidied up is tidied up
// after by the next; what is left of other work stays.
func TestAFinishedRunIsTidiedUp(t *testing.T) {
	cfg := Config{Data: t.TempDir(), Inputs: []string{layTexts(t, 20)}, Kind: KindText, Log: quietly, adjust: smallParts}
	if _, err := Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	dir := DocumentsDir(cfg.Data, KindText)
	want := treeDigest(t, dir)
	m, err := store.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{m.Key, "another"} {
		if err := writeJSON(filepath.Join(dir, resumeName), resume{Key: key}); err != nil {
			t.Fatal(err)
		}
		partial := filepath.Join(dir, "part-00001.parquet.partial-7")
		if err := os.WriteFile(partial, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		report, err := Run(context.Background(), cfg)
		if err != nil || !report.UpToDate {
			t.Fatalf("the second run: %+v, %v", report, err)
		}
		if same := treeDigest(t, dir) == want; same != (key == m.Key) {
			t.Errorf("with the key %q of what was stopped: as before is %v", key, same)
		}
	}
}

// fullDisk fails after a number of bytes.
type fullDisk struct {
	partFile
	left int
}

func (f *fullDisk) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, syscall.ENOSPC
	}
	return f.partFile.Write(p)
}

func TestAFullDiskIsAnErrorAndTheRunGoesOnLater(t *testing.T) {
	input := layTexts(t, 60)
	cfg := Config{Data: t.TempDir(), Inputs: []string{input}, Log: quietly, Kind: KindText, adjust: smallParts}
	if _, err := Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	want := treeDigest(t, DocumentsDir(cfg.Data, KindText))
	cfg.Data = t.TempDir()
	for _, room := range []int{0, 100, 3000} {
		cfg.adjust = func(p *partWriter) {
			smallParts(p)
			p.create = func(path string) (partFile, error) {
				f, err := createPart(path)
				if strings.HasSuffix(path, "00005.parquet") {
					f = &fullDisk{f, room}
				}
				return f, err
			}
		}
		if _, err := Run(context.Background(), cfg); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "part-00005") {
			t.Fatalf("a full disk gives %v", err)
		}
		entries, err := os.ReadDir(DocumentsDir(cfg.Data, KindText))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.Contains(e.Name(), "partial") || e.Name() == store.ManifestName {
				t.Errorf("a full disk left %s", e.Name())
			}
		}
	}
	cfg.adjust = smallParts
	if _, err := Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if treeDigest(t, DocumentsDir(cfg.Data, KindText)) != want {
		t.Error("after a full disk the run ends with other bytes")
	}
}
