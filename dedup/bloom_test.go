package dedup

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

func TestBloomMarksWhatParagraphFinds(t *testing.T) {
	var docs []ingest.Document
	for i := range 300 {
		var paragraphs []string
		for k := range 5 {
			paragraphs = append(paragraphs, fmt.Sprintf("Paragraph number %d of the text.", (i*5+k)*7919%1000))
		}
		docs = append(docs, doc(fmt.Sprintf("d%03d", i), strings.Join(paragraphs, "\n\n")))
	}
	o, err := BloomFor(2000, 1e-9, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	rule := func(ctx context.Context, cfg Config) (*Report, error) { return ParagraphBloom(ctx, cfg, o) }
	if a, b := marksDigest(t, docs, Config{Jobs: 1}, rule), marksDigest(t, docs, Config{Jobs: 4, MemoryBytes: 1}, rule); a != b {
		t.Error("workers or memory change the marks")
	}
	dir := t.TempDir()
	writeDocuments(t, dir, "web", docs...)
	r, err := rule(context.Background(), Config{Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	var f BloomFigures
	if err := json.Unmarshal(r.Figures, &f); err != nil || f.Paragraphs != 1500 || f.Distinct != 1000 {
		t.Errorf("figures %+v (%v), want 1000 distinct of 1500", f, err)
	}
	if n := len(marksOf(t, dir, "web")); n != 500 {
		t.Errorf("%d marks, want 500", n)
	}
}

// The stated rate is the measured one.
func TestBloomRate(t *testing.T) {
	o, err := BloomFor(5000, 0.02, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBloom(o)
	if err != nil {
		t.Fatal(err)
	}
	h := newTextHasher()
	for i := range 5000 {
		b.add(h.raw(fmt.Sprint("seen ", i)))
	}
	for i := range 5000 {
		if !b.add(h.raw(fmt.Sprint("seen ", i))) {
			t.Fatal("a key that was added is not there")
		}
	}
	rate := b.rate()
	if rate > 0.02 {
		t.Errorf("the rate is %.4f, 0.02 was asked for", rate)
	}
	// A small filter, so that there are many wrong answers to count.
	small, err := newBloom(BloomOptions{Bits: 1 << 16, Hashes: 3, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20000 {
		small.add(h.raw(fmt.Sprint("seen ", i)))
	}
	rate = small.rate()
	wrong := 0
	const n = 20000
	for i := range n {
		if small.has(h.raw(fmt.Sprint("new ", i))) {
			wrong++
		}
	}
	if got := float64(wrong) / n; math.Abs(got-rate) > 5*math.Sqrt(rate*(1-rate)/n) {
		t.Errorf("the filter is wrong of %.4f, it says %.4f", got, rate)
	}
	for _, bad := range []BloomOptions{{Bits: 1000, Hashes: 1}, {Bits: 1 << 16}, {Bits: 1 << 50, Hashes: 1}, {Bits: 1 << 16, Hashes: 99}} {
		if _, err := newBloom(bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	if _, err := BloomFor(1<<40, 1e-6, 1<<20); err == nil {
		t.Error("a filter larger than the memory was accepted")
	}
	if _, err := BloomFor(0, 0.1, 1<<20); err == nil {
		t.Error("a filter for nothing was accepted")
	}
}
