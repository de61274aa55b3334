package records

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/tributary-ml/tributary/ingest/columnar"
)

type nested struct {
	Meta struct {
		Body *string   `parquet:"body,optional"`
		When time.Time `parquet:"when,timestamp(millisecond)"`
	} `parquet:"meta"`
	Sentences []string `parquet:"sentences,list"`
	Key       int64    `parquet:"key"`
	Kind      string   `parquet:"kind,dict"`
}

func parquetFile(t testing.TB, rows int, options ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[nested](&b, append([]parquet.WriterOption{parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(40), parquet.PageBufferSize(256)}, options...)...)
	for i := range rows {
		n := nested{Key: int64(i), Kind: "news"}
		if body := fmt.Sprintf("Body %d %s", i, strings.Repeat("é ", i%50)); i%7 != 0 {
			n.Meta.Body = &body
		}
		n.Meta.When = time.Date(2024, 1, 2, 3, 4, i%60, 0, time.UTC)
		for k := range i % 4 {
			n.Sentences = append(n.Sentences, fmt.Sprintf("S%d.%d", i, k))
		}
		if _, err := w.Write([]nested{n}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRowsOfParquet(t *testing.T) {
	file := parquetFile(t, 150)
	open := func(f Fields) *Parquet {
		p, err := OpenParquet(bytes.NewReader(file), int64(len(file)), f)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	fields := Fields{Text: []string{"meta.body"}, ID: "key", Date: "meta.when", Title: "kind"}
	p := open(fields)
	for i := range 150 {
		row, err := p.Next()
		if i%7 == 0 {
			if !errors.Is(err, ErrNoText) {
				t.Errorf("row %d: %v", i, err)
			}
			continue
		}
		want := Row{Text: fmt.Sprintf("Body %d %s", i, strings.Repeat("é ", i%50)), ID: fmt.Sprint(i), Title: "news", Date: fmt.Sprintf("2024-01-02T03:04:%02dZ", i%60)}
		if err != nil || row != want {
			t.Fatalf("row %d is %+v, %v, want %+v", i, row, err, want)
		}
	}
	if _, err := p.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	p.Close()
	for _, skip := range []int64{0, 1, 39, 40, 41, 100, 149, 150} {
		p := open(Fields{Text: []string{"sentences"}, ID: "key"})
		if err := p.Skip(skip); err != nil {
			t.Fatal(err)
		}
		row, err := p.Next()
		switch {
		case skip == 150 && errors.Is(err, io.EOF):
		case skip%4 == 0 && errors.Is(err, ErrNoText):
		case err == nil && row.ID == fmt.Sprint(skip) && strings.Count(row.Text, "\n\n") == int(skip%4-1) && strings.HasPrefix(row.Text, fmt.Sprintf("S%d.0", skip)):
		default:
			t.Errorf("after %d rows: %+v, %v", skip, row, err)
		}
		p.Close()
	}
	for _, f := range []Fields{{}, {Text: []string{"nothing"}}, {Text: []string{"meta.body"}, ID: "nothing"}} {
		if _, err := OpenParquet(bytes.NewReader(file), int64(len(file)), f); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "meta.body") {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// readAll reads all rows of whatever data is.
func readAll(data []byte, parquet bool) (rows int, err error) {
	var t interface {
		Next() (Row, error)
		Close()
	}
	f := Fields{Text: []string{"meta.body", "sentences"}, ID: "key"}
	if parquet {
		t, err = OpenParquet(bytes.NewReader(data), int64(len(data)), f)
	} else {
		t, err = OpenArrow(bytes.NewReader(data), Fields{Text: []string{"s"}, ID: "n"})
	}
	if err != nil {
		return 0, err
	}
	defer t.Close()
	for rows < 100000 {
		if _, err := t.Next(); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil && !errors.Is(err, ErrNoText) {
			return rows, err
		}
		rows++
	}
	return rows, nil
}

func arrowStream(t testing.TB, rows int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := columnar.NewWriter(&b, []columnar.Field{{Name: "s", Kind: columnar.String}, {Name: "n", Kind: columnar.Integer}, {Name: "l", Kind: columnar.List}}, nil)
	for from := 0; from < rows; from += 10 {
		var s []string
		var n []int64
		var l columnar.Lists
		for i := from; i < from+10; i++ {
			s, n = append(s, fmt.Sprintf("text %d", i)), append(n, int64(i))
			l.Add([]int32{1, 2})
		}
		if err := w.Write(s, n, l); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRowsOfArrow(t *testing.T) {
	stream := arrowStream(t, 30)
	if !columnar.IsArrow(stream) || columnar.IsArrow([]byte("ARROWS are not arrows")) {
		t.Error("an Arrow stream is told wrongly")
	}
	file := append(append([]byte("ARROW1\x00\x00"), stream...), []byte("index ARROW1")...)
	for _, data := range [][]byte{stream, file} {
		a, err := OpenArrow(bytes.NewReader(data), Fields{Text: []string{"s", "l"}, ID: "n"})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Skip(12); err != nil {
			t.Fatal(err)
		}
		for i := 12; i < 30; i++ {
			if row, err := a.Next(); err != nil || row.Text != fmt.Sprintf("text %d\n\n1\n\n2", i) || row.ID != fmt.Sprint(i) {
				t.Fatalf("row %d is %+v, %v", i, row, err)
			}
		}
		if _, err := a.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
		a.Close()
	}
	if _, err := OpenArrow(bytes.NewReader(stream), Fields{}); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "s, n, l") {
		t.Errorf("a stream without a text gives %v", err)
	}
	for cut := range len(stream) {
		if rows, err := readAll(stream[:cut], false); rows > 30 || err == nil && rows%10 != 0 {
			t.Errorf("cut at %d: %d rows, %v", cut, rows, err)
		}
	}
}

// Whatever a damaged file says of lengths, it takes no more memory than that.
func TestDamagedTablesAskForNoMemory(t *testing.T) {
	file := parquetFile(t, 60)
	damaged := 0
	for at := 0; at < len(file); at++ {
		b := bytes.Clone(file)
		b[at] ^= 0xff
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readAll(b, true)
		runtime.ReadMemStats(&after)
		if err != nil {
			damaged++
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 80<<20 {
			t.Errorf("byte %d of %d flipped: %d bytes taken, %v", at, len(b), took, err)
		}
	}
	if damaged < len(file)/10 {
		t.Errorf("of %d flipped bytes %d were found", len(file), damaged)
	}
}

func FuzzTables(f *testing.F) {
	f.Add(parquetFile(f, 12, parquet.Compression(&parquet.Uncompressed)), true)
	f.Add(parquetFile(f, 12, parquet.Compression(&parquet.Snappy)), true)
	f.Add(arrowStream(f, 10), false)
	f.Fuzz(func(_ *testing.T, data []byte, isParquet bool) {
		if len(data) > 1<<16 {
			return
		}
		_, _ = readAll(data, isParquet)
	})
}

func TestLZ4IsRefused(t *testing.T) {
	file := parquetFile(t, 20, parquet.Compression(&parquet.Lz4Raw))
	if rows, err := readAll(file, true); rows != 0 || err == nil || !strings.Contains(err.Error(), "LZ4") {
		t.Errorf("%d rows, %v", rows, err)
	}
}
