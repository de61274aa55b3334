package pii

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFind(t *testing.T) {
	for text, want := range map[string]string{
		"write to jane.doe@mail.org today":                   "email jane.doe@mail.org",
		"from 8.8.8.8 on":                                    "ip 8.8.8.8",
		"call +49 30 1234567 now":                            "phone +49 30 1234567",
		"card 4111 1111 1111 1111 expires":                   "card 4111 1111 1111 1111",
		"card 4111 1111 1111 1112 has a wrong check digit":   "",
		"version 1.2.3, in 1984, for 3.14 and 10,000 people": "",
		"at home (192.168.0.1) nobody is found":              "",
		"a@b":                                                "",
	} {
		var got []string
		for _, s := range Find(nil, text) {
			got = append(got, s.Kind.String()+" "+text[s.Start:s.End])
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q has %q, want %q", text, got, want)
		}
	}
}

// TestReplace: spans ascend within the text, and what was replaced is not found again.
func TestReplace(t *testing.T) {
	parts := rapid.SampledFrom([]string{"me@mail.org", "8.8.4.4", "2001:4860:4860::8888", "+1 212 736 5000", "4111111111111111", " ", ", ", "x", "@", ".", "é", "1", "-", "\xff"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(parts, 0, 40).Draw(t, "text"), rapid.SampledFrom([]string{"", " ", " | "}).Draw(t, "between"))
		out, spans := Replace(text)
		last := 0
		for _, s := range spans {
			if s.Start < last || s.End <= s.Start || s.End > len(text) {
				t.Fatalf("%q: spans %v", text, spans)
			}
			last = s.End
		}
		if again, _ := Replace(out); again != out && strings.Contains(text, " | ") {
			t.Fatalf("%q becomes %q, and that %q", text, out, again)
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("me@mail.org +49 30 1234567 8.8.8.8 4111 1111 1111 1111 AKIA")
	f.Fuzz(func(t *testing.T, text string) {
		last := 0
		for _, s := range Find(nil, text) {
			if s.Start < last || s.End <= s.Start || s.End > len(text) {
				t.Fatalf("%q: %+v", text, s)
			}
			last = s.End
		}
	})
}
