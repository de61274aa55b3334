//go:build interop

package webpage

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// python returns the Python that has the pinned peers.
func python(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("sh", filepath.Join("..", "..", "interop", "ingest", "python.sh"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the peers cannot be installed: %v", err)
	}
	return strings.TrimSpace(string(out))
}

type peerTexts struct {
	Texts   map[string]string
	Seconds float64
	Pages   int
}

// trafilatura runs the peer over pages.
func trafilatura(t *testing.T, pages map[string][]byte) peerTexts {
	t.Helper()
	dir := t.TempDir()
	for name, data := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python(t), filepath.Join("..", "..", "interop", "ingest", "html_peer.py"), dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var p peerTexts
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAgainstTrafilatura compares texts and times on the labelled pages, or, where
// there are none, on a page of our own.
func TestAgainstTrafilatura(t *testing.T) {
	root := os.Getenv("TRIBUTARY_DATA")
	if root == "" {
		peer := trafilatura(t, map[string][]byte{"a.html": []byte(article)})
		ours, err := Extract([]byte(article), "")
		if err != nil {
			t.Fatal(err)
		}
		if f1, _, _ := shingleScore(map[string]string{"a.html": peer.Texts["a.html"]}, map[string]string{"a.html": ours.Text}); f1 < 0.9 {
			t.Errorf("the two texts of one article agree by %.2f:\n%s\n\n%s", f1, ours.Text, peer.Texts["a.html"])
		}
		return
	}
	for _, g := range labelled(t, root) {
		texts, took := g.extractAll(t)
		peer := trafilatura(t, g.pages)
		f1, p, r := g.score(texts)
		theirs, tp, tr := g.score(peer.Texts)
		ratio := peer.Seconds / took.Seconds()
		t.Logf("%s: F1 %.4f (precision %.4f, recall %.4f), %.0f pages/cpu-s; trafilatura %.4f (%.4f, %.4f), %.1f pages/cpu-s; %.0f times as fast",
			g.name, f1, p, r, float64(len(g.pages))/took.Seconds(), theirs, tp, tr, float64(peer.Pages)/peer.Seconds, ratio)
		if f1 < theirs-0.005 || ratio < 8 {
			t.Errorf("%s: F1 %.4f against %.4f at %.1f times the speed", g.name, f1, theirs, ratio)
		}
	}
}
