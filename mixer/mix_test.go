package mixer

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestParseMix(t *testing.T) {
	for text, want := range map[string]Mix{
		"books:0.3,wiki:0.7":      {{Name: "books", Weight: 0.3}, {Name: "wiki", Weight: 0.7}},
		" books : 3 , wiki : 7 ":  {{Name: "books", Weight: 3}, {Name: "wiki", Weight: 7}},
		"wiki":                    {{Name: "wiki", Weight: 1}},
		"wiki[words > 100]:2,web": {{Name: "wiki", Where: "words > 100", Weight: 2}, {Name: "web", Weight: 1}},
		`web[language in ["en", "x],y:"]]:1e-3`: {
			{Name: "web", Where: `language in ["en", "x],y:"]`, Weight: 1e-3}},
	} {
		got, err := ParseMix(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseMix(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestParseMixSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "no source",
		"books:0.3,":        "no name",
		",books":            "no name",
		"books:-1":          "must be positive",
		"books:0":           "leave the source out",
		"books:NaN":         "must be finite",
		"books:+Inf":        "must be finite",
		"books:1e999":       "must be finite",
		"books:much":        "no number",
		"books:":            "no number",
		"books:1,books:2":   "named twice",
		"../books:1":        "no name of a source",
		"wiki[words > 1:2":  "not closed",
		"wiki[ ]:2":         "is empty",
		"wiki[words > 1]2":  "was expected",
		"wiki[a == ']]:2,b": "not closed",
	} {
		_, err := ParseMix(text)
		var mixErr *MixError
		if !errors.As(err, &mixErr) || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseMix(%q): error %v, want a MixError with %q", text, err, want)
		}
	}
}

func TestCheckFindsWhatNoTextHolds(t *testing.T) {
	for _, m := range []Mix{nil, {{Name: "a", Weight: math.NaN()}}, {{Name: "", Weight: 1}}, {{Name: "a/b", Weight: 1}},
		{{Name: "a", Weight: 1}, {Name: "a", Weight: 2}}} {
		if m.Check() == nil {
			t.Errorf("Check of %v found nothing", m)
		}
	}
}

func FuzzParseMix(f *testing.F) {
	for _, s := range []string{"books:0.3,wiki:0.7", "wiki[a > 1 && b == \"x]\"]:2", "a[`]`]", "a:0x1p-3,b:1_0", "[", "a[[]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMix(text)
		if err != nil {
			return
		}
		if err := m.Check(); err != nil {
			t.Fatalf("%q parses but: %v", text, err)
		}
		again, err := ParseMix(m.String())
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%q parses to %+v, written %q, read again as %+v, %v", text, m, m.String(), again, err)
		}
	})
}

func ExampleParseMix() {
	m, err := ParseMix("books:3,wiki[words > 100]:7")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range m {
		fmt.Printf("%s %q %g\n", c.Name, c.Where, c.Weight)
	}
	// Output:
	// books "" 3
	// wiki "words > 100" 7
}
