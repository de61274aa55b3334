package dedup

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tributary-ml/tributary/ingest"
)

// realData is the directory of real data to test on, "" when there is none.
func realData(t testing.TB) string {
	dir := os.Getenv("TRIBUTARY_DATA")
	if dir == "" {
		t.Log("TRIBUTARY_DATA names no directory: nothing to compare with")
	}
	return dir
}

func readGzip(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.LimitReader(z, 1<<28))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// adjustedRand is the adjusted Rand index of two clusterings of the same items
// (Hubert and Arabie 1985).
func adjustedRand(a, b map[string]string) float64 {
	pairs := func(n float64) float64 { return n * (n - 1) / 2 }
	both, as, bs := map[[2]string]float64{}, map[string]float64{}, map[string]float64{}
	for id := range a {
		both[[2]string{a[id], b[id]}]++
		as[a[id]]++
		bs[b[id]]++
	}
	var index, sa, sb float64
	for _, n := range both {
		index += pairs(n)
	}
	for _, n := range as {
		sa += pairs(n)
	}
	for _, n := range bs {
		sb += pairs(n)
	}
	expected := sa * sb / pairs(float64(len(a)))
	return (index - expected) / ((sa+sb)/2 - expected)
}

// clustersOf gives each document the one that stays for it.
func clustersOf(t testing.TB, dir, source string, ids []string) map[string]string {
	out := map[string]string{}
	for _, id := range ids {
		out[id] = id
	}
	for _, m := range marksOf(t, dir, source) {
		out[m.ID] = m.Kept
	}
	return out
}

func TestLabelledNearDuplicates(t *testing.T) {
	data := realData(t)
	if data == "" {
		return
	}
	for _, name := range []string{"articles_100", "articles_1000"} {
		base := filepath.Join(data, "neardup", "minhash-articles", name)
		dir := t.TempDir()
		var docs []ingest.Document
		var ids []string
		truth := map[string]string{}
		lines := bufio.NewScanner(strings.NewReader(readGzip(t, base+".train.gz")))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			id, text, _ := strings.Cut(lines.Text(), " ")
			docs, ids = append(docs, doc(id, text)), append(ids, id)
			truth[id] = id
		}
		gold, err := os.ReadFile(base + ".truth")
		if err != nil {
			t.Fatal(err)
		}
		pairs := 0
		for line := range strings.Lines(string(gold)) {
			if f := strings.Fields(line); len(f) == 2 {
				truth[f[1]] = truth[f[0]]
				pairs++
			}
		}
		writeDocuments(t, dir, "articles", docs...)
		r, err := MinHash(context.Background(), Config{Data: dir}, options(t, "threshold:0.5"))
		if err != nil {
			t.Fatal(err)
		}
		ari := adjustedRand(clustersOf(t, dir, "articles", ids), truth)
		t.Logf("%s: %d documents, %d gold pairs, %d marked, adjusted Rand index %.4f", name, len(docs), pairs, r.Marked(), ari)
		if ari < 0.8 {
			t.Errorf("%s: adjusted Rand index %.4f", name, ari)
		}
	}
}

// Digital editions of eight novels, of 1994 to today: the group of a document is the
// novel. They are as near as editions are, not copies, so that the threshold must be
// below 0.8.
func TestEditionsOfNovels(t *testing.T) {
	data := realData(t)
	if data == "" {
		return
	}
	f, err := os.Open(filepath.Join(data, "neardup", "gutenberg-editions.tar.zst"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(1<<27))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := untarFrom(t, z, func(name string) string { return strings.TrimPrefix(name, "./") })
	truth := map[string]string{}
	var docs []ingest.Document
	var ids []string
	for line := range strings.Lines(files["groups.tsv"]) {
		file, group, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if text, ok := files[file]; ok {
			docs, ids, truth[file] = append(docs, doc(file, text)), append(ids, file), group
		}
	}
	if len(docs) != 38 {
		t.Fatalf("%d editions", len(docs))
	}
	dir := t.TempDir()
	writeDocuments(t, dir, "editions", docs...)
	for _, preset := range []string{"threshold:0.8", "fineweb", "threshold:0.5"} {
		r, err := MinHash(context.Background(), Config{Data: dir}, options(t, preset))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range marksOf(t, dir, "editions") {
			if truth[m.ID] != truth[m.Kept] {
				t.Errorf("%s: %s and %s are different novels", preset, m.ID, m.Kept)
			}
		}
		ari := adjustedRand(clustersOf(t, dir, "editions", ids), truth)
		t.Logf("38 editions of 8 novels, %s: %d marked, adjusted Rand index %.4f", preset, r.Marked(), ari)
		if preset == "threshold:0.5" && ari < 0.8 {
			t.Errorf("adjusted Rand index %.4f", ari)
		}
	}
}

// Licences and lines of documents of a course, with the answers that it expects.
func TestCourseFixtures(t *testing.T) {
	data := realData(t)
	if data == "" {
		return
	}
	f, err := os.Open(filepath.Join(data, "neardup", "cs336-dedup-fixtures.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := untarFrom(t, z, func(name string) string { return strings.TrimPrefix(name, "./") })
	dir := t.TempDir()
	var fuzzy []ingest.Document
	for _, name := range []string{"pytorch", "rails_mit", "react_mit"} {
		fuzzy = append(fuzzy, doc(name, files["documents_with_fuzzy_duplicates/"+name+"_license.txt"]))
	}
	writeDocuments(t, dir, "fuzzy", fuzzy...)
	if _, err := MinHash(context.Background(), Config{Data: dir}, options(t, "threshold:0.8")); err != nil {
		t.Fatal(err)
	}
	if marks := marksOf(t, dir, "fuzzy"); len(marks) != 1 || marks[0].ID == "pytorch" || marks[0].Kept == "pytorch" {
		t.Errorf("licences: %s", short(marks))
	}
}

func TestNoUnrelatedBookIsADuplicate(t *testing.T) {
	data := realData(t)
	if data == "" {
		return
	}
	dir := t.TempDir()
	var docs []ingest.Document
	paths, err := filepath.Glob(filepath.Join(data, "books", "*", "*.txt.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		docs = append(docs, doc(filepath.Base(filepath.Dir(p))+"/"+filepath.Base(p), strings.ToValidUTF8(readGzip(t, p), "?")))
	}
	if len(docs) == 0 {
		t.Fatal("no books")
	}
	writeDocuments(t, dir, "books", docs...)
	for _, preset := range []string{"fineweb", "threshold:0.8", "threshold:0.5"} {
		r, err := MinHash(context.Background(), Config{Data: dir}, options(t, preset))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d books, %d marked; figures %s", preset, len(docs), r.Marked(), r.Figures)
		for _, m := range marksOf(t, dir, "books") {
			t.Logf("  %s stays for %s: %s", m.Kept, m.ID, m.Reason)
			if !slices.ContainsFunc(titleWords(m.ID), func(w string) bool { return slices.Contains(titleWords(m.Kept), w) }) {
				t.Errorf("%s and %s are not editions of one book", m.ID, m.Kept)
			}
		}
	}
}

// titleWords returns the words of a file's name that may tell a book.
func titleWords(path string) []string {
	words := strings.FieldsFunc(strings.ToLower(filepath.Base(path)), func(r rune) bool { return r < 'a' || r > 'z' })
	return slices.DeleteFunc(words, func(w string) bool { return len(w) < 4 || w == "from" })
}

// Clough and Stevenson's answers: the more of the source an answer takes over,
// the more similar it must come out.
func TestSimilarityFollowsTheDegreeOfReuse(t *testing.T) {
	data := realData(t)
	if data == "" {
		return
	}
	files := untar(t, filepath.Join(data, "neardup", "clough-stevenson-short-answers.tar.gz"))
	sum, n := map[string]float64{}, map[string]float64{}
	for line := range strings.Lines(files["file_information.csv"]) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) != 3 || f[0] == "File" || f[2] == "orig" {
			continue
		}
		sum[f[2]] += Jaccard(files[f[0]], files["orig_task"+f[1]+".txt"], 3)
		n[f[2]]++
	}
	var means []string
	last := -1.0
	for _, degree := range []string{"non", "heavy", "light", "cut"} {
		mean := sum[degree] / n[degree]
		means = append(means, fmt.Sprintf("%s %.3f", degree, mean))
		if mean <= last {
			t.Errorf("answers of degree %q have mean similarity %.3f, those before %.3f", degree, mean, last)
		}
		last = mean
	}
	t.Log(means)
}

func untar(t testing.TB, path string) map[string]string {
	t.Helper()
	return untarFrom(t, strings.NewReader(readGzip(t, path)), filepath.Base)
}

func untarFrom(t testing.TB, in io.Reader, name func(string) string) map[string]string {
	t.Helper()
	r := tar.NewReader(in)
	out := map[string]string{}
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.LimitReader(r, 1<<24))
		if err != nil {
			t.Fatal(err)
		}
		out[name(h.Name)] = strings.ToValidUTF8(string(b), "?")
	}
}
