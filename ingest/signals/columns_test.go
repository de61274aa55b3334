package signals

import (
	"reflect"
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// TestColumns: every field is a column of a kind that all who use signals know, under a
// name that no other column of documents or shards has and that an expression can use.
func TestColumns(t *testing.T) {
	word := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	taken := map[string]bool{}
	for _, name := range []string{
		"id", "source", "title", "author", "url", "language", "file", "offset", "record", "revision", "date", "text", // documents
		"tokens", "sentence_ends", "length", "marks", // shards
		"kept", "marked", "in", "not", "and", "or", "matches", "contains", "let", "nil", "true", "false", "len", "sum", "mean", "count", // expressions
	} {
		taken[name] = true
	}
	for i, c := range Columns() {
		field := reflect.TypeFor[Signals]().Field(i)
		if !field.IsExported() || !word.MatchString(c.Name) || taken[c.Name] {
			t.Errorf("field %s has column %q, which is taken, hidden or no word", field.Name, c.Name)
		}
		if c.Kind != reflect.Int64 && c.Kind != reflect.Float32 && c.Kind != reflect.String {
			t.Errorf("field %s is of kind %s", field.Name, c.Kind)
		}
		taken[c.Name] = true
	}
	if len(Columns()) < 60 {
		t.Errorf("there are %d columns", len(Columns()))
	}
}

// TestAppendDecode: what is spilled comes back, and nothing shorter is taken for it.
func TestAppendDecode(t *testing.T) {
	m := NewMeter()
	rapid.Check(t, func(t *rapid.T) {
		want := m.Measure(text(t), "en")
		b := want.Append(nil)
		var got Signals
		rest, ok := got.Decode(append(b[:len(b):len(b)], "rest"...))
		if !ok || string(rest) != "rest" || got != want {
			t.Fatalf("%+v, %v, rest %q; want %+v", got, ok, rest, want)
		}
		if _, ok := got.Decode(b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); ok {
			t.Fatal("a part is taken for the whole")
		}
	})
}

// TestFloat: a share is compared as the decimal that it would be written as, and the
// order of shares stays.
func TestFloat(t *testing.T) {
	for _, c := range []struct {
		part, whole int64
		want        float64
	}{{1, 10, 0.1}, {3, 10, 0.3}, {67, 100, 0.67}, {1, 100, 0.01}, {12, 100, 0.12}, {0, 5, 0}, {5, 5, 1}, {1, 2, 0.5}} {
		if got := Float(share(c.part, c.whole)); got != c.want {
			t.Errorf("%d of %d is %v, want %v", c.part, c.whole, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float32().Draw(t, "a"), rapid.Float32().Draw(t, "b")
		if a < b && Float(a) >= Float(b) || float32(Float(a)) != a {
			t.Fatalf("%v and %v are compared as %v and %v", a, b, Float(a), Float(b))
		}
		// And by thresholds of four places as exact fractions are.
		whole := rapid.Int64Range(1, 1<<14).Draw(t, "whole")
		part := rapid.Int64Range(0, whole).Draw(t, "part")
		limit := rapid.Int64Range(0, 1000).Draw(t, "limit")
		if got, want := Float(share(part, whole)) > float64(limit)/1000, part*1000 > limit*whole; got != want {
			t.Fatalf("%d/%d > %d/1000: %v", part, whole, limit, got)
		}
	})
}
