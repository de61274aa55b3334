package records

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRecordsOfJSON(t *testing.T) {
	guess, named := Fields{}, Fields{Text: []string{"meta.body"}, ID: "meta.key", URL: "links.1.href"}
	for _, c := range []struct {
		fields   Fields
		in, want string // Text|ID|Title|URL|Date|Language, or the error
	}{
		{guess, `{"text":"a","id":7,"title":"T","url":"u","date":"2020","lang":"en"}`, "a|7|T|u|2020|en"},
		{guess, ` {"id" : "x" , "content" : "b\n\u00e9\ud83d\ude00\/\"\\" } `, "b\né😀/\"\\|x||||"},
		{guess, `{"content":"second","text":"first"}`, "first|||||"},
		{guess, `{"text":null,"content":"second"}`, "second|||||"},
		{guess, `{"text":"old","text":"new"}`, "new|||||"},
		{guess, `{"text":["a","b"],"authors":["x","y"]}`, "a\n\nb|||||"},
		{guess, `{"text":"a","meta":{"url":"u","text":"no"},"score":NaN,"n":-1.5e+10}`, "a|||u||"},
		{guess, `{"text":"\ud800 half","x":[[],{},[{"a":[1,2,{"b":null}]}]]}`, "\ufffd half|||||"},
		{guess, "{\"text\":\"bad \xff byte\"}", "bad \ufffd byte|||||"},
		{guess, `{"text":""}`, "|||||"},
		{guess, `{}`, ErrNoText.Error()},
		{guess, `{"body2":"x"}`, ErrNoText.Error()},
		{guess, `{"text":null}`, ErrNoText.Error()},
		{guess, `{"text":{"a":"b"}}`, ErrNotText.Error()},
		{guess, `{"text":5}`, ErrNotText.Error()},
		{guess, `{"text":["a",1]}`, ErrNotText.Error()},
		{guess, `{"text":"a"`, ErrSyntax.Error()},
		{guess, `{"text":"a`, ErrSyntax.Error()},
		{guess, `{"text":"a"}{`, ErrSyntax.Error()},
		{guess, `{"text":"a",}`, ErrSyntax.Error()},
		{guess, `{"text" "a"}`, ErrSyntax.Error()},
		{guess, `{"text":"\x"}`, ErrSyntax.Error()},
		{guess, `{"text":tru}`, ErrSyntax.Error()},
		{guess, `["a"]`, ErrSyntax.Error()},
		{guess, `"a"`, ErrSyntax.Error()},
		{guess, ``, ErrSyntax.Error()},
		{guess, `{"text":"a","x":` + strings.Repeat("[", 10000), ErrSyntax.Error()},
		{named, `{"meta":{"body":"b","key":"k"},"links":[{"href":"0"},{"href":"1"}],"text":"no"}`, "b|k||1||"},
		{named, `{"meta.body":"dotted","text":"no"}`, "dotted|||||"},
		{named, `{"text":"no"}`, ErrNoText.Error()},
		{Fields{Text: []string{"q", "a"}}, `{"a":"answer","q":"question"}`, "question\n\nanswer|||||"},
		{Fields{Text: []string{"q", "a"}}, `{"a":"answer"}`, "answer|||||"},
	} {
		row, err := NewDecoder(c.fields).Decode([]byte(c.in))
		got := strings.Join([]string{row.Text, row.ID, row.Title, row.URL, row.Date, row.Language}, "|")
		if err != nil {
			got = err.Error()
			for _, cause := range []error{ErrSyntax, ErrNoText} {
				if errors.Is(err, cause) {
					got = cause.Error()
				}
			}
		}
		if got != c.want {
			t.Errorf("%.60s gives %q, want %q", c.in, got, c.want)
		}
	}
}

// anyJSON draws a JSON value as Go has it.
func anyJSON(t *rapid.T, depth int) any {
	kinds := 6
	if depth > 3 {
		kinds = 4
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return rapid.String().Draw(t, "s")
	case 1:
		return rapid.Float64Range(-1e9, 1e9).Draw(t, "f")
	case 2:
		return rapid.Bool().Draw(t, "b")
	case 3:
		return nil
	case 4:
		var list []any
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			list = append(list, anyJSON(t, depth+1))
		}
		return list
	}
	m := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "n") {
		m[rapid.SampledFrom([]string{"text", "id", "x", "é", "a.b", ""}).Draw(t, "key")] = anyJSON(t, depth+1)
	}
	return m
}

func TestStringsAreThoseOfTheStandardLibrary(t *testing.T) {
	d := NewDecoder(Fields{Text: []string{"a.text"}})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		in, err := json.Marshal(map[string]any{"a": map[string]any{"text": text, "more": anyJSON(t, 0)}, "z": anyJSON(t, 0)})
		if err != nil {
			t.Fatal(err)
		}
		row, err := d.Decode(in)
		if err != nil || row.Text != text {
			t.Fatalf("%s gives %q, %v", in, row.Text, err)
		}
		// What the standard library refuses is refused.
		cut := in[:rapid.IntRange(0, len(in)-1).Draw(t, "cut")]
		if _, err := d.Decode(cut); err == nil {
			t.Fatalf("%s passes", cut)
		}
	})
}

func all(t testing.TB, in string, limit int) (got []string) {
	t.Helper()
	lines := NewLines(iotest{strings.NewReader(in)}, limit)
	for {
		l, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if l.TooLong {
			got = append(got, fmt.Sprintf("%d:too long", l.Offset))
			continue
		}
		if !strings.HasPrefix(in[l.Offset:], string(l.Data)) {
			t.Errorf("%q: offset %d is not that of %q", in, l.Offset, l.Data)
		}
		got = append(got, string(bytes.TrimSpace(l.Data)))
	}
}

// iotest gives few bytes at a time.
type iotest struct{ r io.Reader }

func (i iotest) Read(p []byte) (int, error) { return i.r.Read(p[:min(len(p), 7)]) }

func TestRecordsAreFound(t *testing.T) {
	for in, want := range map[string][]string{
		"{\"a\":1}\n\n{\"b\":2}\r\n{\"c\":3}":          {`{"a":1}`, `{"b":2}`, `{"c":3}`},
		"\ufeff{\"a\":1}\n":                            {`{"a":1}`},
		"[{\"a\":[1]},{\"b\":\"]}\\\"\"}]\n":           {`{"a":[1]}`, `{"b":"]}\""}`},
		"[\n  {\"a\": 1},\n  {\"b\": 2}\n]\n":          {`{"a": 1}`, `{"b": 2}`},
		"{\n \"a\": {\n\"x\":1}\n}\n{\n \"b\": 2\n}\n": {"{\n \"a\": {\n\"x\":1}\n}", "{\n \"b\": 2\n}"},
		"{\"torn\n{\"b\":2}\n":                         {`{"torn`, `{"b":2}`},
		"":                                             nil,
		"[]":                                           nil,
		"{\"long\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}\n{\"b\":2}\n": {"0:too long", `{"b":2}`},
		"[{\"a\":1},oops,{\"b\":2}": {`{"a":1}`, `oops,{"b":2}`},
	} {
		if got := all(t, in, 30); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
	if IsJSON([]byte("{{template}} text")) || IsJSON([]byte("[1, 2]")) || IsJSON([]byte("{a}")) || !IsJSON([]byte("\ufeff [ {\n\"a\" : 1")) {
		t.Error("what begins records of JSON is told wrongly")
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"text":"a\u00e9","id":1}`, `{"text":["a"],"m":{"text":"x"}}`, `{"a":[1,{"b":null}],"text":"\ud83d\ude00"}`, `{"text":"`, "[{\"text\":1}]"} {
		f.Add([]byte(s))
	}
	d := NewDecoder(Fields{})
	f.Fuzz(func(t *testing.T, data []byte) {
		row, err := d.Decode(data)
		var v map[string]any
		if json.Unmarshal(data, &v) == nil && errors.Is(err, ErrSyntax) && !bytes.Contains(data, []byte("[[[[")) && !bytes.Contains(data, []byte("{{")) && len(data) < 500 {
			t.Errorf("%q is JSON, but gives %v", data, err)
		}
		if s, n := validString(row.Text); n > 0 {
			t.Errorf("%q gives %q", data, s)
		}
		lines := NewLines(bytes.NewReader(data), 100)
		for {
			if _, err := lines.Next(); err != nil {
				break
			}
		}
	})
}
