package ingest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

func TestTheAuditTellsWhatWasLost(t *testing.T) {
	raw := lay(t, map[string][]byte{"d.xml": dump(
		page(1, 0, "One", "Area {{convert|12|km}} of {{unheard of|3}} and {{unheard of|4}}; &lt;math&gt;x^2&lt;/math&gt; in १९४७.\n{|\n|&lt;math&gt;y&lt;/math&gt;\n|}"),
		page(2, 0, "Two (disambiguation)", "'''Two''' may mean:\n* [[One]]\n* [[Three]]\n{{disambiguation}}"),
		page(3, 1, "Talk:One", "No."), page(4, 0, "Four", "#REDIRECT [[One]]"))})
	data := t.TempDir()
	report := run(t, ingest.Config{Data: data, Inputs: []string{raw}})
	c := report.Totals
	if c.Records != 4 || c.Documents != 2 || c.Formulas != 2 || c.Disambiguations != 1 {
		t.Errorf("%+v", c)
	}
	// 12, the miles it makes, 2, and the four of Devanagari.
	docs := texts(t, data, "wiki")
	digits := int64(0)
	for _, r := range docs[0].Text + docs[1].Text {
		if r >= '0' && r <= '9' || r >= '०' && r <= '९' {
			digits++
		}
	}
	if c.Digits != digits || digits < 7 || c.SourceDigits < 9 || c.SourceBytes < 100 {
		t.Errorf("digits %d of %d, counted %d; %d bytes", digits, c.SourceDigits, c.Digits, c.SourceBytes)
	}
	if counted(c.Templates, "unheard of") != 2 || counted(c.Templates, "convert") != 0 {
		t.Errorf("templates %+v", c.Templates)
	}
	n := int64(0)
	for _, k := range c.Lengths {
		n += k
	}
	if n != 2 {
		t.Errorf("lengths %v", c.Lengths)
	}
	timing := report.Timing
	if timing == nil || timing.Seconds <= 0 || timing.PeakMemory <= 0 || timing.DiskBytes <= 0 || len(timing.Slowest) != 1 || timing.Slowest[0].File != "d.xml" {
		t.Errorf("timing %+v", timing)
	}
	var b bytes.Buffer
	hostile := *report
	hostile.Source = "<script>alert(1)</script>"
	if err := ingest.WritePage(&b, &hostile); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"unheard of", "<td>One", "d.xml", "disambiguation pages", "formulas", "&lt;script&gt;", "peak memory"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	for _, bad := range []string{"<script", "http://", "https://"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	read, err := ingest.ReadReport(data, "wiki")
	if err != nil || read.Timing == nil || fmt.Sprint(read.Totals.Templates) == "" {
		t.Errorf("read again: %+v, %v", read, err)
	}
}

func TestNamesThatInputsMakeUpAreBounded(t *testing.T) {
	var pages []string
	for i := range 60 {
		var b strings.Builder
		for k := range 100 {
			fmt.Fprintf(&b, "{{t%d-%s}} ", i*100+k, strings.Repeat("x", 200))
		}
		pages = append(pages, page(i, 0, fmt.Sprintf("P%d", i), "Text. "+b.String()))
	}
	report := run(t, ingest.Config{Data: t.TempDir(), Inputs: []string{lay(t, map[string][]byte{"d.xml": dump(pages...)})}})
	total, longest := int64(0), 0
	for _, c := range report.Totals.Templates {
		total += c.Count
		longest = max(longest, len(c.Name))
	}
	if n := len(report.Totals.Templates); n > 5001 || n < 4000 || total != 6000 || longest > 100 || counted(report.Totals.Templates, "(others)") < 900 {
		t.Errorf("%d names, %d calls, the longest name has %d bytes", n, total, longest)
	}
}

func TestAPlanIsComparedWithItsRun(t *testing.T) {
	var pages []string
	for i := range 300 {
		pages = append(pages, page(i, 0, fmt.Sprintf("P%d", i), strings.Repeat(fmt.Sprintf("Words of page %d. ", i), 50)))
	}
	var crawl []byte
	for i := range 50 {
		crawl = append(crawl, gzipped(t, wet(i, fmt.Sprintf("Page %d has some words.", i)))...)
	}
	for name, content := range map[string][]byte{
		"d.xml.bz2": bunzipped(t, dump(pages...)), "c.warc.gz": crawl, "l.jsonl": jsonLines(0, 200), "p.parquet": parquetBytes(t, 0, 200), "b.txt": []byte("One text."), "a.arrow": arrowBytes(t, "A.", "B."),
	} {
		cfg := ingest.Config{Data: t.TempDir(), Inputs: []string{filepath.Join(lay(t, map[string][]byte{name: content}), name)}, Source: "s", Log: quiet}
		plan, err := ingest.MakePlan(t.Context(), cfg)
		if err != nil {
			t.Fatal(name, err)
		}
		if names, err := ingest.Sources(cfg.Data); err != nil || len(names) > 0 {
			t.Errorf("%s: a plan leaves the sources %v, %v", name, names, err)
		}
		report := run(t, cfg)
		// So small an input is its own sample.
		if plan.Documents != report.Totals.Documents || plan.TextBytes != report.Totals.Bytes || plan.InputBytes != int64(len(content)) || plan.Seconds <= 0 || plan.PeakMemory <= 0 {
			t.Errorf("%s: planned %+v, was %+v", name, plan, report.Totals)
		}
		if report.Timing.Plan == nil || report.Timing.Plan.Key != plan.Key || len(report.Timing.Compared()) != 4 {
			t.Errorf("%s: the run does not know its plan: %+v", name, report.Timing)
		}
		left, err := filepath.Glob(filepath.Join(ingest.DocumentsDir(cfg.Data, "s"), ".plan*"))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: the plan leaves %v", name, left)
		}
		cfg.Replace, cfg.MaxRecordBytes = true, 1<<20
		if again := run(t, cfg); again.Timing.Plan != nil {
			t.Errorf("%s: a run with other options takes the plan for its own", name)
		}
		var m struct {
			Files []struct{ Path string }
		}
		data, err := os.ReadFile(filepath.Join(ingest.DocumentsDir(cfg.Data, "s"), "manifest.json"))
		if err != nil || json.Unmarshal(data, &m) != nil || len(m.Files) != 1 {
			t.Errorf("%s: %s, %v", name, data, err)
		}
	}
}
