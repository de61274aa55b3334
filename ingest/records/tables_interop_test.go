//go:build interop

package records_test

import (
	"bufio"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/records"
)

// Tables as pyarrow and datasets write them, in every compression and layout that
// their options have for texts, give the rows that they were made of.
func TestTablesOfPyarrowAndDatasets(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	python, err := exec.Command("sh", filepath.Join(root, "interop", "shards", "python.sh")).Output()
	if err != nil {
		t.Fatalf("the peers are not installed: %v", err)
	}
	dir := t.TempDir()
	cmd := exec.Command(strings.TrimSpace(string(python)), filepath.Join(root, "interop", "ingest", "tables.py"), dir)
	cmd.Env = append(os.Environ(), "HF_HOME="+t.TempDir(), "HF_HUB_OFFLINE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wants, err := filepath.Glob(filepath.Join(dir, "*.want.jsonl"))
	if err != nil || len(wants) < 40 {
		t.Fatalf("%d tables, %v", len(wants), err)
	}
	for _, path := range wants {
		name := strings.TrimSuffix(filepath.Base(path), ".want.jsonl")
		var want []string
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			var row struct{ Text, ID *string }
			if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
				t.Fatal(err)
			}
			if row.Text != nil {
				want = append(want, *row.ID+" "+strings.TrimSpace(*row.Text))
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		cfg := ingest.Config{Data: t.TempDir(), Source: "s", Inputs: []string{filepath.Join(dir, name)}, Log: slog.New(slog.DiscardHandler)}
		if strings.HasPrefix(name, "struct") {
			cfg.Fields = records.Fields{Text: []string{"doc.body"}}
		}
		report, err := ingest.Run(t.Context(), cfg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for d, err := range ingest.Documents(t.Context(), cfg.Data, "s") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, d.Revision+" "+d.Text)
		}
		sort.Strings(got)
		sort.Strings(want)
		if len(got) != len(want) {
			t.Errorf("%s: %d rows of %d: %+v", name, len(got), len(want), report.Totals)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: row %q is %q", name, want[i], got[i])
				break
			}
		}
	}
}
