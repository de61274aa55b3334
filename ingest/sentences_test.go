package ingest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

func sentences(text string) []string {
	var out []string
	start := 0
	for _, end := range ingest.SentenceEnds(text, nil) {
		out = append(out, strings.TrimSpace(text[start:end]))
		start = end
	}
	return out
}

func TestSentences(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"  \n ", ""},
		{"No end", "No end"},
		{"One. Two! Three? Four", "One.|Two!|Three?|Four"},
		{"One. \n", "One."},
		{"Mr. Bennet met Dr. J. H. Watson at St. Mary's. They talked.", "Mr. Bennet met Dr. J. H. Watson at St. Mary's.|They talked."},
		{"He lived in the U.S. The army left. The U.S. Army stayed.", "He lived in the U.S.|The army left.|The U.S. Army stayed."},
		{"It cost 3.14 dollars. See no. 7 there. Is it No. He left.", "It cost 3.14 dollars.|See no. 7 there.|Is it No.|He left."},
		{`"What?" he asked. "Go!" She went.`, `"What?" he asked.|"Go!"|She went.`},
		{"He said (so it seems.) Then he left.", "He said (so it seems.)|Then he left."},
		{"A heading\n\nA line\nthat goes on. Next", "A heading|A line\nthat goes on.|Next"},
		{"A list:\n- one\n- two\n1. three\n2. four", "A list:|- one|- two|1. three|2. four"},
		{"Wait... what? Yes… no. And so... The end.", "Wait... what?|Yes… no.|And so...|The end."},
		{"我来了。你好吗？好！", "我来了。|你好吗？|好！"},
		{"Er kam. Äpfel fielen. Óscar rió.", "Er kam.|Äpfel fielen.|Óscar rió."},
		{"Apples, pears, etc. are fruit. Apples, etc. The rest.", "Apples, pears, etc. are fruit.|Apples, etc.|The rest."},
		{"a \xff bb. C \xe3", "a \xff bb.|C \xe3"},
	} {
		if got := strings.Join(sentences(c.text), "|"); got != c.want {
			t.Errorf("%q gives\n %q, want\n %q", c.text, got, c.want)
		}
	}
}

func checkEnds(t *testing.T, text string) {
	ends := ingest.SentenceEnds(text, []int{-7})
	if ends[0] != -7 {
		t.Fatal("what stood in dst was changed")
	}
	ends = ends[1:]
	if (len(ends) == 0) != (text == "") {
		t.Fatalf("%q has %d ends", text, len(ends))
	}
	last := 0
	for _, e := range ends {
		if e <= last {
			t.Fatalf("%q: ends %v do not ascend", text, ends)
		}
		last = e
	}
	if last != len(text) {
		t.Fatalf("%q: the last end is %d of %d", text, last, len(text))
	}
}

func FuzzSentenceEnds(f *testing.F) {
	for _, s := range []string{"", " ", "A. B", "x\n\ny", "我。", "Mr. X", "\n\n\n", "…", "a.\xff", "1. 2. 3."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { checkEnds(t, text) })
}

func BenchmarkSentenceEnds(b *testing.B) {
	text := strings.Repeat("It was the best of times, said Mr. Dickens; it was the worst of times. Was it? It was, in the year 1775 of our Lord, the U.S. not yet born.\n\n", 1000)
	b.SetBytes(int64(len(text)))
	var ends []int
	for b.Loop() {
		ends = ingest.SentenceEnds(text, ends[:0])
	}
}

func ExampleSentenceEnds() {
	text := "Dr. Watson came. It rained!\n\nThe end"
	start := 0
	for _, end := range ingest.SentenceEnds(text, nil) {
		fmt.Printf("%q\n", text[start:end])
		start = end
	}
	// Output:
	// "Dr. Watson came."
	// " It rained!"
	// "\n\nThe end"
}
