package dedup

import (
	"context"
	"math"
	"strings"
	"testing"
)

func TestPageOfWhatWasFound(t *testing.T) {
	dir := t.TempDir()
	docs := planted(60, []float64{0.85, 1}, 21)
	writeDocuments(t, dir, "books", docs[:60]...)
	writeDocuments(t, dir, "web", append(docs[60:], doc("copy", docs[0].Text), doc("evil", docs[2].Text+" <script>alert(1)</script>"))...)
	cfg := Config{Data: dir}
	var reports []*Report
	for _, rule := range []func(context.Context, Config) (*Report, error){
		Exact,
		func(ctx context.Context, c Config) (*Report, error) {
			o := options(t, "threshold:0.8")
			o.AlarmSize = 2
			return MinHash(ctx, c, o)
		},
		substringRule(SubstringOptions{Length: 100}),
	} {
		r, err := rule(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
	}
	var b strings.Builder
	if err := WritePage(context.Background(), cfg, reports, &b); err != nil {
		t.Fatal(err)
	}
	html := b.String()
	for _, want := range []string{"Rule exact", "Rule minhash", "Rule substring", "<svg", "share nominated", "Clusters by size", "The largest clusters", "copy of web", "Alarm: document"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(html, "<script>alert") || strings.Contains(html, "http://") && strings.Contains(html, "src=") {
		t.Error("the page runs what a document says, or needs something from elsewhere")
	}
	var again strings.Builder
	if err := WritePage(context.Background(), cfg, reports, &again); err != nil || again.String() != html {
		t.Errorf("a second page is another one (%v)", err)
	}
}

func TestCollisionCurveIsTheAnalyticOne(t *testing.T) {
	for _, preset := range []string{"fineweb", "threshold:0.8"} {
		s, measured, analytic := CollisionCurve(options(t, preset))
		for i := range s {
			sd := math.Sqrt(analytic[i]*(1-analytic[i])/400) + 1./400
			if math.Abs(measured[i]-analytic[i]) > 4.5*sd {
				t.Errorf("%s: pairs of similarity %.3f collide with %.4f, the curve says %.4f", preset, s[i], measured[i], analytic[i])
			}
		}
	}
}
