package ingest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

func labelled(t *testing.T, name, content string, cfg LabelConfig) (string, *LabelReport, error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if strings.HasSuffix(name, ".gz") {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		content = b.String()
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Data, cfg.Source, cfg.Inputs = filepath.Join(dir, "data"), "s", []string{path}
	r, err := MakeLabelled(context.Background(), cfg)
	return cfg.Data, r, err
}

func TestLabelledExamples(t *testing.T) {
	for _, c := range []struct {
		name, content string
		cfg           LabelConfig
		want, skips   string
	}{
		{"a.tsv", "\xef\xbb\xbftext\tlabel\nA b.\tred\nC d.\tblue\r\n\nonly\n\tred\nE\t\n", LabelConfig{Task: "classify"},
			"A b.|red 0; C d.|blue 0", "no label 1, no text 1, the line has too few columns 1"},
		{"a.tsv.gz", "A\t1\nB\t0\n", LabelConfig{Task: "classify", Text: "1", Label: "2"}, "A|1 0; B|0 0", ""},
		{"a.csv", "label,text\nx,\"one, two\"\ny,\"broken\nz,three\n", LabelConfig{Task: "classify"}, "one, two|x 0; three|z 0", "the line has too few columns 1"},
		{"a.jsonl", `{"text":"T é","label":true}` + "\n{\n" + `{"text":1,"label":"x"}` + "\n" + `{"text":"U","label":2}` + "\n", LabelConfig{Task: "classify"},
			"T é|true 0; U|2 0", "a field is missing or of another type 1, not a JSON object 1"},
		{"a.tsv", "q\ts1\ts2\tsame\n1\tOne.\tTwo.\tyes\n2\t\tx\tno\n", LabelConfig{Task: "pair", Text: "s1", Second: "s2", Label: "same"},
			"One.\n\nTwo.|yes 4", "one of the two texts is empty 1"},
		{"a.jsonl", `{"text":"A","label":1.5}` + "\n" + `{"text":"A","label":"nan"}` + "\n" + `{"text":"B","label":"-2"}`, LabelConfig{Task: "regress"},
			"A|1.5 0; B|-2 0", "the label is no number 1"},
		{"a.conll", "-DOCSTART- -X- O\n\nU.S. NN O\nrules VB B-x\n\nbad\nx O\n\nEnd . O\n", LabelConfig{Task: "tag"},
			"U.S. rules|[O B-x] 0; End|[O] 0", "not as many tags as words 1"},
		{"a.jsonl", `{"tokens":["a","b"],"tags":["O","X"]}` + "\n" + `{"tokens":["a b"],"tags":["O"]}`, LabelConfig{Task: "tag", Text: "tokens", Label: "tags"},
			"a b|[O X] 0", "a field is missing or of another type 1"},
	} {
		data, r, err := labelled(t, c.name, c.content, c.cfg)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		m, labels, err := ReadLabels(data, "s")
		if err != nil || m.Task != c.cfg.Task || int64(len(labels)) != r.Examples {
			t.Errorf("%s: %+v, %d labels, %v", c.name, m, len(labels), err)
			continue
		}
		texts := map[string]string{}
		for d, err := range Documents(context.Background(), data, "s") {
			if err != nil {
				t.Fatal(err)
			}
			texts[d.ID] = d.Text
		}
		var got, skips []string
		for _, l := range labels {
			value := l.Label
			if c.cfg.Task == "tag" {
				value = fmt.Sprint(l.Tags)
			} else if c.cfg.Task == "regress" {
				value = fmt.Sprint(l.Value)
			}
			got = append(got, fmt.Sprintf("%s|%s %d", texts[l.ID], value, l.First))
		}
		for _, s := range r.Skips {
			skips = append(skips, fmt.Sprint(s.Name, " ", s.Count))
		}
		if strings.Join(got, "; ") != c.want || strings.Join(skips, ", ") != c.skips {
			t.Errorf("%s of %s:\n%s\nskipped %s", c.cfg.Task, c.name, strings.Join(got, "; "), strings.Join(skips, ", "))
		}
	}
}

func TestLabelsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		name, content string
		cfg           LabelConfig
		want          string
	}{
		{"a.tsv", "text\tkind\nx\ty\n", LabelConfig{Task: "classify"}, `no column "label"`},
		{"a.xml", "x", LabelConfig{Task: "classify"}, "nothing of its format"},
		{"a.tsv", "text\tlabel\n", LabelConfig{Task: "classify"}, "none can be read"},
		{"a.tsv", "", LabelConfig{Task: "clasify"}, `no task "clasify"`},
		{"a.jsonl", strings.Repeat("x", maxExample+2), LabelConfig{Task: "classify"}, "longer than"},
		{"a.tsv.gz", "text\tlabel\n", LabelConfig{Task: "pair"}, `no column "second"`},
	} {
		data, _, err := labelled(t, c.name, c.content, c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
		if _, _, err := ReadLabels(data, "s"); err == nil {
			t.Errorf("%s: there are labels", c.name)
		}
	}
}

func TestDamagedLabelsAreNamed(t *testing.T) {
	data, _, err := labelled(t, "a.tsv", "text\tlabel\nA\tx\n", LabelConfig{Task: "classify"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(LabelsDir(data, "s"), labelsFile)
	if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadLabels(data, "s"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("damaged labels: %v", err)
	}
}
