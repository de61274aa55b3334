package dedup

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

// plain is the similarity by definition, with strings for shingles.
func plain(a, b string, n int) float64 {
	set := func(text string) map[string]bool {
		words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == ' ' || r == '.' || r == '\n' })
		out := map[string]bool{}
		for i := 0; i+n <= len(words); i++ {
			out[strings.Join(words[i:i+n], " ")] = true
		}
		return out
	}
	x, y := set(a), set(b)
	common := 0
	for s := range x {
		if y[s] {
			common++
		}
	}
	return float64(common) / float64(len(x)+len(y)-common)
}

// planted makes pairs of documents of known similarity: each pair shares its
// first words and has own ones after them. The level of pair i is levels[i%len].
func planted(pairs int, levels []float64, seed uint64) []ingest.Document {
	rng := rand.New(rand.NewPCG(seed, 7))
	word := func() string { return fmt.Sprintf("w%x", rng.Uint64()) }
	var docs []ingest.Document
	for i := range pairs {
		// With c common and x own shingles each, J = c/(c+2x).
		const total = 120
		level := levels[i%len(levels)]
		own := int(math.Round(total * (1 - level) / (1 + level)))
		var common []string
		for range total - own + 4 {
			common = append(common, word())
		}
		for k := range 2 {
			words := slices.Clone(common)
			for range own {
				words = append(words, word())
			}
			docs = append(docs, ingest.Document{ID: fmt.Sprintf("%06d-%d", i, k), Text: strings.Join(words, " ") + "."})
		}
	}
	return docs
}

func options(t testing.TB, preset string) MinHashOptions {
	t.Helper()
	o, err := MinHashPreset(preset)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestPlantedCorpusFollowsTheTheory(t *testing.T) {
	levels := []float64{0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1}
	const perLevel = 150
	docs := planted(perLevel*len(levels), levels, 1)
	dir := t.TempDir()
	writeDocuments(t, dir, "web", docs...)
	text := map[string]string{}
	for _, d := range docs {
		text[d.ID] = d.Text
	}
	// Below its threshold a preset finds nothing; the lower one shows the curve.
	for _, c := range []struct {
		preset    string
		threshold float64
	}{{"fineweb", 0.4}, {"threshold:0.8", 0.8}} {
		preset := c.preset
		o := options(t, preset)
		o.Threshold = c.threshold
		if _, err := MinHash(context.Background(), Config{Data: dir}, o); err != nil {
			t.Fatal(err)
		}
		found := make([]float64, len(levels))
		for _, m := range marksOf(t, dir, "web") {
			score := plain(text[m.ID], text[m.Kept], o.NGram)
			if score < o.Threshold || math.Abs(score-m.Score) > 1e-12 {
				t.Fatalf("%s was marked for %s with %g at threshold %g: the similarity is %g", m.ID, m.Kept, m.Score, o.Threshold, score)
			}
			if m.ID[:6] != m.Kept[:6] {
				t.Fatalf("%s was marked for %s", m.ID, m.Kept)
			}
			var pair int
			if _, err := fmt.Sscanf(m.ID, "%d-", &pair); err != nil {
				t.Fatal(err)
			}
			found[pair%len(levels)] += 1.0 / perLevel
		}
		var all, expected float64
		for i := range levels {
			level := plain(docs[2*i].Text, docs[2*i+1].Text, o.NGram)
			want := 0.0
			if level >= o.Threshold {
				want = CollisionProbability(level, o.Bands, o.Rows)
			}
			all, expected = all+found[i]/float64(len(levels)), expected+want/float64(len(levels))
			t.Logf("%s, threshold %.2f: similarity %.3f: found %.4f, analytic %.4f", preset, o.Threshold, level, found[i], want)
			if sd := math.Sqrt(want * (1 - want) / perLevel); math.Abs(found[i]-want) > 4*sd+2.0/perLevel {
				t.Errorf("similarity %.3f: found %.4f of the pairs, the analytic curve says %.4f", level, found[i], want)
			}
		}
		if math.Abs(all-expected) > 0.01 {
			t.Errorf("%s, threshold %.2f: recall %.4f, analytic %.4f", preset, o.Threshold, all, expected)
		}
	}
}

func TestMinHashMarksDependOnTheDocumentsAlone(t *testing.T) {
	docs := planted(300, []float64{0.7, 0.85, 0.95, 1}, 2)
	for i := range 200 {
		docs = append(docs, ingest.Document{ID: fmt.Sprintf("t%03d", i), Text: docs[i%7].Text})
	}
	rng := rand.New(rand.NewPCG(1, 1))
	rng.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
	rule := func(ctx context.Context, cfg Config) (*Report, error) {
		o := options(t, "threshold:0.8")
		o.Anchors = 2
		return MinHash(ctx, cfg, o)
	}
	want := marksDigest(t, docs, Config{Jobs: 1}, rule)
	if marksDigest(t, docs, Config{Jobs: 4, MemoryBytes: 1}, rule) != want {
		t.Error("workers or memory change the marks")
	}
	half := len(docs) / 2
	slices.Reverse(docs[:half])
	slices.Reverse(docs[half:])
	if marksDigest(t, docs, Config{Jobs: 2}, rule) != want {
		t.Error("the order of ingestion changes the marks")
	}
}

func TestEveryMarkIsProvenAgainstADocumentThatStays(t *testing.T) {
	// A chain: each text shares 85 % with the next, the ends nothing. Transitive
	// closure would keep one of them.
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(5, 5))
	words := make([]string, 100)
	for i := range words {
		words[i] = fmt.Sprintf("w%x", rng.Uint64())
	}
	var docs []ingest.Document
	text := map[string]string{}
	for i := range 60 {
		d := doc(fmt.Sprintf("%03d", i), strings.Join(words, " "))
		docs = append(docs, d)
		text[d.ID] = d.Text
		words = words[8:]
		for range 8 {
			words = append(words, fmt.Sprintf("w%x", rng.Uint64()))
		}
	}
	writeDocuments(t, dir, "web", docs...)
	o := options(t, "threshold:0.8")
	r, err := MinHash(context.Background(), Config{Data: dir}, o)
	if err != nil {
		t.Fatal(err)
	}
	marks := marksOf(t, dir, "web")
	gone := map[string]bool{}
	for _, m := range marks {
		gone[m.ID] = true
	}
	for _, m := range marks {
		if gone[m.Kept] {
			t.Errorf("%s was marked for %s, which was marked as well", m.ID, m.Kept)
		}
		if s := plain(text[m.ID], text[m.Kept], 5); s < 0.8 || s != m.Score {
			t.Errorf("%s was marked for %s: similarity %g, score %g", m.ID, m.Kept, s, m.Score)
		}
	}
	if len(marks) != 30 || r.Largest != 2 {
		t.Errorf("%d of 60 links of the chain were marked, the largest cluster has %d", len(marks), r.Largest)
	}
}

func TestMinHashOnHardDocuments(t *testing.T) {
	dir := t.TempDir()
	var docs []ingest.Document
	same := strings.Repeat("the same sentence is in every one of these documents of the crawl ", 5)
	for i := range 3000 {
		docs = append(docs, doc(fmt.Sprintf("m%04d", i), same+"\n"+strings.Repeat("!", i%3)))
	}
	docs = append(docs,
		doc("r1", strings.Repeat("word ", 5000)), doc("r2", strings.Repeat("word ", 4000)),
		doc("p1", "... --- ..."), doc("p2", "... --- ...!"), doc("p3", "\n"),
		doc("s1", "Two words"), doc("s2", "two words"), doc("s3", "two other"),
		doc("z1", strings.Repeat("東京は日本の首都です。", 5)), doc("z2", strings.Repeat("東京は日本の首都です。", 5)+"大阪"))
	writeDocuments(t, dir, "web", docs...)
	o := options(t, "threshold:0.7")
	o.AlarmSize = 100
	r, err := MinHash(context.Background(), Config{Data: dir}, o)
	if err != nil {
		t.Fatal(err)
	}
	var got []Mark
	for _, m := range marksOf(t, dir, "web") {
		if m.ID[0] != 'm' {
			got = append(got, m)
		}
	}
	if s, want := short(got), "r2<web/r1(near) s2<web/s1(same words) z2<web/z1(near)"; s != want {
		t.Errorf("marks: %s, want %s", s, want)
	}
	var f MinHashFigures
	if err := json.Unmarshal(r.Figures, &f); err != nil {
		t.Fatal(err)
	}
	if r.Marked() != 2999+3 || r.Largest != 3000 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "m0001") || f.Wordless != 3 || f.SameWords != 3000 {
		t.Errorf("report %+v, figures %+v", r, f)
	}
	again, err := MinHash(context.Background(), Config{Data: dir}, o)
	if err != nil || !again.Skipped || again.Marked() != r.Marked() || string(again.Figures) != string(r.Figures) || len(again.Warnings) != 1 {
		t.Errorf("a second run: %+v (%v)", again, err)
	}
	if entries, err := os.ReadDir(marksDir(dir, "web")); err != nil || len(entries) != 2 {
		t.Errorf("the marks lie in %v (%v)", entries, err)
	}
}

func TestMinHashOptions(t *testing.T) {
	for _, bad := range []string{"", "threshold", "threshold:0", "threshold:1.5", "threshold:NaN", "fineweb2"} {
		if _, err := MinHashPreset(bad); err == nil {
			t.Errorf("preset %q was accepted", bad)
		}
	}
	good := options(t, "fineweb")
	for _, spoil := range []func(*MinHashOptions){
		func(o *MinHashOptions) { o.NGram = 0 },
		func(o *MinHashOptions) { o.Threshold = math.NaN() },
		func(o *MinHashOptions) { o.Bands = 0 },
		func(o *MinHashOptions) { o.Rows = 1 << 40 },
		func(o *MinHashOptions) { o.Bands = 1 << 40 },
	} {
		o := good
		spoil(&o)
		dir := t.TempDir()
		writeDocuments(t, dir, "web", doc("a", "b"))
		if _, err := MinHash(context.Background(), Config{Data: dir}, o); err == nil {
			t.Errorf("options %+v were accepted", o)
		}
	}
}

func ExampleMinHash() {
	dir, err := os.MkdirTemp("", "data")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	w, err := ingest.NewWriter(dir, "news")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Abort()
	report := strings.Repeat("The council met on Monday and voted on the new bridge over the river. ", 3)
	for i, text := range []string{report + "It rained.", report + "It rained all day.", "Something else happened elsewhere."} {
		if err := w.Add(&ingest.Document{ID: fmt.Sprint("report-", i), Text: text}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if _, err := w.Commit(); err != nil {
		fmt.Println(err)
		return
	}
	options, err := MinHashPreset("threshold:0.7")
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := MinHash(context.Background(), Config{Data: dir}, options); err != nil {
		fmt.Println(err)
		return
	}
	for m, err := range Marks(context.Background(), dir, "news") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s stays for %s: %s\n", m.Kept, m.ID, m.Reason)
	}
	// Output: report-1 stays for report-0: Jaccard similarity 0.889 of the sets of word 5-grams, at or above 0.7
}
