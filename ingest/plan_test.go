package ingest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
)

func TestSplicedPiecesReadAsOne(t *testing.T) {
	data := []byte("0123456789abcdefghij")
	s := &spliced{bytes.NewReader(data), []piece{{0, 3}, {5, 6}, {10, 20}}}
	if err := iotest.TestReader(io.NewSectionReader(s, 0, 14), []byte("0125abcdefghij")); err != nil {
		t.Error(err)
	}
}

// What a sample of pieces predicts of documents and text is near what there is.
func TestAPlanReadsPiecesOfLargeInputs(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	var lines, xml bytes.Buffer
	n := int64(0)
	xml.WriteString("<mediawiki xml:lang=\"en\"><siteinfo><sitename>W</sitename></siteinfo>\n")
	for i := 0; lines.Len() < 3<<20; i++ {
		text := prose(rng, 200)
		fmt.Fprintf(&lines, "{\"text\":%q}\n", text)
		fmt.Fprintf(&xml, "<page><title>P%d</title><ns>0</ns><id>%d</id><revision><id>%d</id><text>%s</text></revision></page>\n", i, i+1, i+1, text)
		n++
	}
	for name, content := range map[string][]byte{"l.jsonl": lines.Bytes(), "d.xml": xml.Bytes()} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := MakePlan(context.Background(), Config{Data: t.TempDir(), Inputs: []string{path}, Log: quietly, sample: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if p.SampleBytes >= p.InputBytes || p.Documents < n*9/10 || p.Documents > n*11/10 {
			t.Errorf("%s: %d documents are predicted of %d: %+v", name, p.Documents, n, p)
		}
	}
}
