package ingest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"
)

func laid(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func countOf(counts []Count, name string) (n int64) {
	for _, c := range counts {
		if strings.Contains(c.Name, name) {
			n += c.Count
		}
	}
	return n
}

func TestGzipWithTrailingGarbage(t *testing.T) {
	xml := "<mediawiki xml:lang=\"en\"><page><title>T</title><ns>0</ns><id>1</id><revision><id>2</id><text>Some text.</text></revision></page></mediawiki>"
	for name, content := range map[string]string{"b.txt.gz": "Some text.", "d.xml.gz": xml, "l.jsonl.gz": "{\"text\":\"Some text.\"}\n"} {
		half := len(content) / 2
		packed := append(pack(t, "gz", []byte(content[:half])), pack(t, "gz", []byte(content[half:]))...) // two members
		for garbage, told := range map[string]int64{"": 0, "\x00\x00\x00": 0, "garbage after the end": 1, "\x1e": 1} {
			dir := laid(t, map[string][]byte{name: append(bytes.Clone(packed), garbage...)})
			report, err := Run(context.Background(), Config{Data: t.TempDir(), Inputs: []string{filepath.Join(dir, name)}, Log: quietly})
			if err != nil || report.Totals.Documents != 1 || report.Totals.Chars != 10 || countOf(report.Totals.Repairs, "behind the end")+countOf(report.Totals.Damage, "behind the end") != told {
				t.Errorf("%s with %q behind: %v, %+v", name, garbage, err, report)
			}
		}
	}
}

// A shelf of books in several encodings, one of which changes its own in the midst.
func TestMixedEncodings(t *testing.T) {
	text := "Der Bär läuft über die Brücke. "
	latin := func(s string) (out []byte) {
		for _, r := range s {
			out = append(out, byte(r))
		}
		return out
	}
	wide := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(strings.Repeat(text, 20))) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	dir := laid(t, map[string][]byte{
		"a.txt": latin(strings.Repeat(text, 20)), "b.txt": []byte(strings.Repeat(text, 20)), "c.txt": wide, "d.txt": append([]byte(strings.Repeat(text, 20)), latin("Und: für.")...),
	})
	data := t.TempDir()
	report, err := Run(context.Background(), Config{Data: data, Inputs: []string{dir}, Kind: KindText, Log: quietly})
	if err != nil || report.Totals.Documents != 4 || len(report.Totals.Encodings) < 3 {
		t.Fatalf("%v, %+v", err, report)
	}
	want := strings.TrimSpace(strings.Repeat(text, 20))
	i := 0
	for d, err := range Documents(context.Background(), data, KindText) {
		if err != nil {
			t.Fatal(err)
		}
		if i < 3 && d.Text != want || !strings.HasPrefix(d.Text, want[:100]) && i == 3 {
			t.Errorf("%s: %q", d.File, d.Text)
		}
		i++
	}
	if countOf(report.Totals.Repairs, "U+FFFD") == 0 {
		t.Errorf("what is in no encoding is not told of: %+v", report.Totals.Repairs)
	}
}

func TestAFileThatGrowsWhileItIsRead(t *testing.T) {
	lines := strings.Repeat("{\"text\":\"A line that was there.\"}\n", 100)
	path := filepath.Join(laid(t, map[string][]byte{"l.jsonl": []byte(lines)}), "l.jsonl")
	cfg := Config{Data: t.TempDir(), Inputs: []string{path}, Log: quietly}
	cfg.began = func(string, int64) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(strings.Repeat("{\"text\":\"Grown.\"}\n", 50)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	report, err := Run(context.Background(), cfg)
	if err != nil || report.Totals.Documents != 100 || countOf(report.Totals.Damage, "changed while") != 1 {
		t.Errorf("%v, %+v", err, report)
	}
}

// TestUnprivilegedChild runs as a user who may not read everything.
func TestUnprivilegedChild(t *testing.T) {
	dir := os.Getenv("TRIBUTARY_TEST_LOCKED")
	if dir == "" {
		t.Log("runs as a child of TestDirectoriesThatMayNotBeRead")
		return
	}
	report, err := Run(context.Background(), Config{Data: filepath.Join(dir, "data"), Inputs: []string{filepath.Join(dir, "in")}, Log: quietly})
	if err != nil || report.Totals.Documents != 1 || countOf(report.Totals.Skips, causeUnreadable) != 2 {
		t.Errorf("%v, %+v", err, report)
	}
	if _, err := Run(context.Background(), Config{Data: filepath.Join(dir, "data"), Inputs: []string{filepath.Join(dir, "in", "locked")}, Source: "x", Log: quietly}); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a directory that may not be read gives %v", err)
	}
}

// A page of 2 GB and a line of half a GB take little memory.
func TestEndlessRecordsTakeLittleMemory(t *testing.T) {
	for _, c := range []struct {
		name, head, tail, cause string
		size                    int64
	}{
		{"l.jsonl", "{\"text\":\"", "\"}\n{\"text\":\"After.\"}\n", causeTooLarge, 512 << 20},
		{"d.xml", "<mediawiki><page><title>T</title><ns>0</ns><id>1</id><revision><id>2</id><text>", "</text></revision></page><page><title>U</title><ns>0</ns><id>3</id><revision><id>4</id><text>After.</text></revision></page></mediawiki>", "page too long", 2 << 30},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		// What is between is a hole in the file: NUL bytes that take no room on disk.
		if _, err := f.WriteString(c.head); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(c.tail), c.size); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		w := newWatch()
		report, err := Run(context.Background(), Config{Data: t.TempDir(), Inputs: []string{path}, Log: quietly, Jobs: 2})
		_, peak := w.end()
		if err != nil || report.Totals.Documents != 1 || countOf(report.Totals.Skips, c.cause) != 1 {
			t.Errorf("%s: %v, %+v", c.name, err, report)
		}
		if peak > 500<<20 {
			t.Errorf("%s: %d bytes of memory", c.name, peak)
		}
		runtime.GC()
	}
}

func TestWordsForWhatIsNotRead(t *testing.T) {
	arc := []byte("filedesc://x.arc 0.0.0.0 20080101000000 text/plain 76\n1 0 Org\n")
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"a.arc": {arc, "ARC archive"}, "a.arc.gz": {pack(t, "gz", arc), "ARC archive"}, "d.xml.xz": {[]byte("\xfd7zXZ\x00\x00"), "packed with xz"}, "d.7z": {[]byte("7z\xbc\xaf\x27\x1c\x00\x04"), "packed with xz or 7z"},
	} {
		_, err := Run(context.Background(), Config{Data: t.TempDir(), Inputs: []string{filepath.Join(laid(t, map[string][]byte{name: c.data}), name)}, Log: quietly})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

func TestStructureIsKeptAsOffsets(t *testing.T) {
	dir := laid(t, map[string][]byte{"b.txt": []byte("Chapter 1\n\nMail me at jo.doe@example.org. It is short.\n\n\nChapter 2\n\nThe end.\n")})
	for _, replaced := range []bool{false, true} {
		data := t.TempDir()
		if _, err := Run(context.Background(), Config{Data: data, Inputs: []string{dir}, Kind: KindBooks, Log: quietly, ReplacePII: replaced}); err != nil {
			t.Fatal(err)
		}
		for d, err := range Documents(context.Background(), data, KindBooks) {
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, at := range d.Chapters {
				got = append(got, d.Text[at:at+9])
			}
			from := int32(0)
			for _, to := range d.ParagraphEnds {
				got = append(got, strings.TrimSpace(d.Text[from:to])[:3])
				from = to
			}
			for _, to := range d.SentenceEnds {
				got = append(got, d.Text[to-1:to])
			}
			if want := "[Chapter 1 Chapter 2 Cha Mai Cha The 1 . . 2 .]"; fmt.Sprint(got) != want {
				t.Errorf("replaced %v: %v of %q, want %s", replaced, got, d.Text, want)
			}
		}
	}
}
