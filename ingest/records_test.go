package ingest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/columnar"
	"github.com/tributary-ml/tributary/ingest/records"
)

func jsonLines(from, to int) []byte {
	var b bytes.Buffer
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "{\"meta\":{\"url\":\"HTTPS://Site.example:443/%d#x\"},\"text\":\"Text %d.\\nIt is \\u00e9.\",\"id\":\"r%d\",\"lang\":\"de-AT\"}\n", i, i, i)
	}
	return b.Bytes()
}

func zstded(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

func TestLinesOfJSONBecomeDocuments(t *testing.T) {
	lines := jsonLines(0, 5)
	lines = append(lines, "{\"text\": \"torn\n{\"id\":1}\n{\"text\":[1]}\n{\"text\":\" \"}\nnot at all\n{\"text\":\"last\"}"...)
	for name, data := range map[string][]byte{
		"a.jsonl": lines, "a.jsonl.gz": gzipped(t, lines), "a.ndjson.bz2": bunzipped(t, lines), "a.json.zst": zstded(t, lines), "unnamed": lines,
	} {
		raw := lay(t, map[string][]byte{name: data})
		dataDir := t.TempDir()
		report := run(t, ingest.Config{Data: dataDir, Inputs: []string{filepath.Join(raw, name)}})
		docs := texts(t, dataDir, "jsonl")
		if report.Kind != ingest.KindJSONL || len(docs) != 6 || report.Totals.Records != 11 {
			t.Fatalf("%s: %d documents: %+v", name, len(docs), report.Totals)
		}
		d := docs[3]
		if d.Text != "Text 3.\nIt is é." || d.URL != "https://site.example/3" || d.Revision != "r3" || d.Language != "de" || d.Record != 3 ||
			d.Offset != int64(3*len(jsonLines(0, 1))) || d.ID != ingest.NewID("jsonl", name, "3/r3") || docs[5].Text != "last" {
			t.Errorf("%s: %+v", name, d)
		}
		for cause, n := range map[string]int64{"broken record": 2, "no text field": 1, "text field is no string": 1, "no text": 1} {
			if counted(report.Totals.Skips, cause) != n {
				t.Errorf("%s: cause %q: %+v", name, cause, report.Totals.Skips)
			}
		}
		for _, s := range report.Totals.Skips {
			if s.Name == "broken record" && (s.Example.Record != 5 || s.Example.Offset != int64(len(jsonLines(0, 5)))) {
				t.Errorf("%s: the place of a broken record is %+v", name, s.Example)
			}
		}
	}
}

func TestRecordsLongerThanTheLimit(t *testing.T) {
	lines := jsonLines(0, 1)
	lines = append(lines, fmt.Sprintf("{\"text\":\"%s\"}\n{\"text\":\"%s\"}\n", strings.Repeat("x", 1500), strings.Repeat("x", 5000))...)
	raw := lay(t, map[string][]byte{"a.jsonl": append(lines, jsonLines(1, 2)...)})
	report := run(t, ingest.Config{Data: t.TempDir(), Inputs: []string{raw}, MaxRecordBytes: 1000})
	if report.Totals.Documents != 2 || counted(report.Totals.Skips, "file too large") != 2 {
		t.Errorf("%+v", report.Totals)
	}
}

type article struct {
	ID      int64  `parquet:"id"`
	Content string `parquet:"content"`
	Date    string `parquet:"date,optional"`
}

func parquetBytes(t testing.TB, from, to int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[article](&b, parquet.MaxRowsPerRowGroup(20))
	for i := from; i < to; i++ {
		if _, err := w.Write([]article{{int64(i), fmt.Sprintf("Article %d is %s.", i, strings.Repeat("long ", i%9)), "2024-01-01"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func arrowBytes(t testing.TB, rows ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := columnar.NewWriter(&b, []columnar.Field{{Name: "text", Kind: columnar.String}}, nil)
	if err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A directory as the datasets library saves and publishes them.
func TestDirectoriesOfDataSets(t *testing.T) {
	raw := lay(t, map[string][]byte{
		"saved/dataset_dict.json": []byte(`{"splits": ["train", "test"]}`), "saved/train/dataset_info.json": []byte("{\n  \"citation\": \"\"\n}"),
		"saved/train/state.json": []byte("{\n  \"_data_files\": []\n}"), "saved/train/data-00000-of-00002.arrow": arrowBytes(t, "One.", "Two."),
		"saved/train/data-00001-of-00002.arrow": arrowBytes(t, "Three."), "saved/test/data-00000-of-00001.arrow": arrowBytes(t, "Four."),
		"hub/README.md": []byte("---\nlicense: x\n---\n# Card"), "hub/data/train-00000-of-00002.parquet": parquetBytes(t, 0, 50), "hub/data/train-00001-of-00002.parquet": parquetBytes(t, 50, 70),
		"hub/LICENSE.txt": []byte("Anyone may."),
	})
	data := t.TempDir()
	report := run(t, ingest.Config{Data: data, Inputs: []string{filepath.Join(raw, "saved")}})
	if docs := texts(t, data, "arrow"); len(docs) != 4 || docs[1].Text != "One." || docs[3].File != "train/data-00001-of-00002.arrow" || counted(report.Totals.Skips, "file of another kind") != 3 {
		t.Errorf("%d documents: %+v", len(docs), report.Totals)
	}
	report = run(t, ingest.Config{Data: data, Inputs: []string{filepath.Join(raw, "hub")}})
	docs := texts(t, data, "parquet")
	if len(docs) != 70 || docs[65].Text != "Article 65 is long long ." || docs[65].Revision != "65" || docs[65].Record != 15 || docs[65].Date != "2024-01-01" {
		t.Errorf("%d documents: %+v", len(docs), report.Totals)
	}
	cut := parquetBytes(t, 0, 50)
	raw = lay(t, map[string][]byte{"a.parquet": cut[:len(cut)-100], "b.parquet": parquetBytes(t, 0, 3)})
	report = run(t, ingest.Config{Data: t.TempDir(), Inputs: []string{raw}})
	if report.Totals.Documents != 3 || counted(report.Totals.Skips, "damaged compression") != 1 {
		t.Errorf("a cut file gives %+v", report.Totals)
	}
	_, err := ingest.Run(t.Context(), ingest.Config{Data: t.TempDir(), Inputs: []string{raw}, Fields: records.Fields{Text: []string{"body"}}, Log: quiet})
	if err == nil || !strings.Contains(err.Error(), `no column "body"`) || !strings.Contains(err.Error(), "content") {
		t.Errorf("a column that is not there gives %v", err)
	}
}

func TestPatternsAndStandardInput(t *testing.T) {
	raw := lay(t, map[string][]byte{"x/a.jsonl": jsonLines(0, 2), "y/a.jsonl": jsonLines(2, 5), "y/note.txt": []byte("x")})
	data := t.TempDir()
	report := run(t, ingest.Config{Data: data, Inputs: []string{filepath.Join(raw, "*", "a.json*")}})
	if docs := texts(t, data, "jsonl"); len(docs) != 5 || docs[0].File != "x/a.jsonl" || docs[4].File != "y/a.jsonl" {
		t.Errorf("%+v", report.Totals)
	}
	if _, err := ingest.Run(t.Context(), ingest.Config{Data: data, Inputs: []string{filepath.Join(raw, "*.zip")}, Log: quiet}); err == nil || !strings.Contains(err.Error(), "nothing matches") {
		t.Errorf("a pattern that nothing matches gives %v", err)
	}
	for range 2 {
		spooled, remove, err := ingest.Spool(t.Context(), data, bytes.NewReader(gzipped(t, jsonLines(0, 3))))
		if err != nil {
			t.Fatal(err)
		}
		report, err := ingest.Run(t.Context(), ingest.Config{Data: data, Inputs: []string{"-"}, Stdin: spooled, Source: "piped", Log: quiet})
		remove()
		if err != nil || report.Totals.Documents != 3 || report.Inputs[0].File != "stdin" {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(data, ".stdin*")); len(left) > 0 {
		t.Errorf("what was spooled is left: %v", left)
	}
	if _, _, err := ingest.Spool(t.Context(), data, strings.NewReader("")); err == nil {
		t.Error("an empty standard input passes")
	}
}

// Every kind is read from a server as it is from a disk.
func TestFarInputs(t *testing.T) {
	files := map[string][]byte{
		"a.jsonl.gz": gzipped(t, jsonLines(0, 3)), "b.parquet": parquetBytes(t, 0, 50), "c.arrow": arrowBytes(t, "Row."),
		"d.xml.bz2": bunzipped(t, dump(page(1, 0, "One", "Text one."), page(2, 0, "Two", "Text two."))), "e.warc.wet.gz": gzipped(t, wet(1, "Text of a page.")),
		"f.txt": []byte("A text. It is short."),
	}
	asked, broken := 0, false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		data, ok := files[strings.TrimPrefix(r.URL.Path, "/dir/")]
		if !ok || broken && r.Method == http.MethodGet {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf("\"%d\"", len(data)))
		http.ServeContent(w, r, r.URL.Path, time.Unix(1e9, 0), bytes.NewReader(data))
	}))
	defer server.Close()
	for name, content := range files {
		local, far := t.TempDir(), t.TempDir()
		path := filepath.Join(lay(t, map[string][]byte{name: content}), name)
		a := run(t, ingest.Config{Data: local, Inputs: []string{path}})
		b := run(t, ingest.Config{Data: far, Inputs: []string{server.URL + "/dir/" + name + "?key=secret"}})
		if a.Kind != b.Kind || a.Totals.Documents == 0 {
			t.Errorf("%s: %+v, from afar %+v", name, a, b)
		}
		want, got := texts(t, local, a.Kind), texts(t, far, b.Kind)
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%s: the documents differ from those of a far file", name)
		}
		manifest, err := os.ReadFile(filepath.Join(ingest.DocumentsDir(far, b.Kind), ingest.ReportName))
		if err != nil || bytes.Contains(manifest, []byte("secret")) {
			t.Errorf("%s: the report shows the key (%v)", name, err)
		}
		before := asked
		if again := run(t, ingest.Config{Data: far, Inputs: []string{server.URL + "/dir/" + name}}); !again.UpToDate || asked-before > 6 {
			t.Errorf("%s: a second run makes %d requests: %+v", name, asked-before, again.Totals)
		}
	}
	if _, err := ingest.Run(t.Context(), ingest.Config{Data: t.TempDir(), Inputs: []string{server.URL + "/dir/none.jsonl"}, Log: quiet}); err == nil {
		t.Error("a file that is not there passes")
	}
	// What keeps a file from being read is no fault of its records.
	broken = true
	for _, name := range []string{"a.jsonl.gz", "b.parquet", "e.warc.wet.gz", "f.txt"} {
		kind := map[string]string{"a": "jsonl", "b": "parquet", "e": "web", "f": "text"}[name[:1]]
		_, err := ingest.Run(t.Context(), ingest.Config{Data: t.TempDir(), Inputs: []string{server.URL + "/dir/" + name}, Kind: kind, Log: quiet})
		if err == nil || strings.Contains(err.Error(), "gave no document") {
			t.Errorf("%s from a server that fails: %v", name, err)
		}
	}
}
