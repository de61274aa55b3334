package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/tributary-ml/tributary/ingest/bzip2"
	"github.com/tributary-ml/tributary/ingest/columnar"
)

// prose makes n words that do not pack well.
func prose(rng *rand.Rand, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "w%d ", rng.IntN(1<<20))
		if i%12 == 11 {
			b.WriteString(". ")
		}
	}
	return b.String()
}

func pack(t testing.TB, how string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch how {
	case "bz2":
		w := bzip2.NewWriter(&b, 1)
		_, err = w.Write(data)
		err = errors.Join(err, w.Close())
	case "gz":
		w := gzip.NewWriter(&b)
		_, err = w.Write(data)
		err = errors.Join(err, w.Close())
	case "zst":
		w, werr := zstd.NewWriter(&b)
		_, err = w.Write(data)
		err = errors.Join(werr, err, w.Close())
	default:
		return data
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bigInputs are one file of each kind, of some 160 records.
func bigInputs(t testing.TB) map[string][]byte {
	rng := rand.New(rand.NewPCG(3, 4))
	const n = 160
	var xml, lines, members, plain bytes.Buffer
	xml.WriteString("<mediawiki xml:lang=\"en\"><siteinfo><sitename>W</sitename><base>https://w.example/wiki/Main</base></siteinfo>\n")
	var table bytes.Buffer
	type row struct {
		Text string `parquet:"text"`
	}
	rows := parquet.NewGenericWriter[row](&table, parquet.MaxRowsPerRowGroup(40))
	var arrow bytes.Buffer
	stream := columnar.NewWriter(&arrow, []columnar.Field{{Name: "text", Kind: columnar.String}}, nil)
	for i := range n {
		text := prose(rng, 150)
		title := fmt.Sprintf("Page %d", i)
		if i%9 == 0 {
			title = "Talk:" + title
		}
		fmt.Fprintf(&xml, "<page><title>%s</title><ns>%d</ns><id>%d</id><revision><id>%d</id><text>%s {{drop me|%d}}</text></revision></page>\n", title, i%9/8, i+1, i+500, text, i)
		if i%13 == 0 {
			lines.WriteString("{\"text\": broken\n")
		}
		fmt.Fprintf(&lines, "{\"id\":%d,\"text\":%q}\n", i, text)
		record := fmt.Sprintf("WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://site.example/%d\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n", i, len(text), text)
		plain.WriteString(record)
		members.Write(pack(t, "gz", []byte(record)))
		if _, err := rows.Write([]row{{text}}); err != nil {
			t.Fatal(err)
		}
		if err := stream.Write([]string{text, text + " again."}); err != nil {
			t.Fatal(err)
		}
	}
	xml.WriteString("</mediawiki>\n")
	if err := errors.Join(rows.Close(), stream.Close()); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"w.xml": xml.Bytes(), "w.xml.bz2": pack(t, "bz2", xml.Bytes()), "w.xml.gz": pack(t, "gz", xml.Bytes()), "w.xml.zst": pack(t, "zst", xml.Bytes()),
		"l.jsonl": lines.Bytes(), "l.jsonl.bz2": pack(t, "bz2", lines.Bytes()), "l.jsonl.zst": pack(t, "zst", lines.Bytes()),
		"c.warc": plain.Bytes(), "c.warc.gz": members.Bytes(), "t.parquet": table.Bytes(), "t.arrow": arrow.Bytes(),
		"flipped.xml.bz2": flip(pack(t, "bz2", xml.Bytes())),
	}
}

// flip damages a block in the midst of a file.
func flip(data []byte) []byte {
	data[len(data)*2/5] ^= 0x10
	return data
}

// A run that was stopped inside a file goes on there, for any number of workers,
// and ends with the bytes, the report included, of one that was not.
func TestAStoppedRunGoesOnInsideItsFile(t *testing.T) {
	for name, content := range bigInputs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			parts := func(p *partWriter) {
				p.cuts = cuts{partDocuments: 30, partBytes: 1 << 20, groupDocuments: 10, groupBytes: 1 << 20}
			}
			var want string
			var kind string
			for _, jobs := range []int{1, 3} {
				cfg := Config{Data: t.TempDir(), Inputs: []string{path}, Log: quietly, Jobs: jobs, adjust: parts}
				report, err := Run(context.Background(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				kind = report.Kind
				got := treeDigest(t, DocumentsDir(cfg.Data, kind))
				if want == "" {
					want = got
				}
				if got != want {
					t.Errorf("%d workers write other bytes than 1", jobs)
				}
			}
			boom := errors.New("boom")
			cfg := Config{Data: t.TempDir(), Inputs: []string{path}, Log: quietly, Jobs: 3}
			cfg.adjust = func(p *partWriter) {
				parts(p)
				save := p.onPart
				p.onPart = func() error {
					if err := save(); err != nil {
						return err
					}
					if len(p.files) == 3 {
						return boom
					}
					return nil
				}
			}
			if _, err := Run(context.Background(), cfg); !errors.Is(err, boom) {
				t.Fatal(err)
			}
			began := int64(-1)
			cfg.adjust, cfg.Jobs = parts, 2
			cfg.began = func(_ string, offset int64) { began = offset }
			report, err := Run(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := treeDigest(t, DocumentsDir(cfg.Data, kind)); got != want {
				t.Errorf("a stopped run ends with other bytes: %+v", report.Totals)
			}
			seekable := strings.HasSuffix(name, "l") || strings.HasSuffix(name, "bz2")
			if least := int64(len(content)) / 4; began >= 0 && seekable && began < least && !strings.HasPrefix(name, "flipped") {
				t.Errorf("after 3 of 5 parts reading begins at byte %d of %d", began, len(content))
			}
		})
	}
}
