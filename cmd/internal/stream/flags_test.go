package stream

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
)

func TestConfigRefusesWhatMakesNoBatches(t *testing.T) {
	for _, c := range []struct{ flags, want string }{
		{"", "--mix is missing"},
		{"--mix books:-1", "--mix"},
		{"--mix books:1 --objective nothing", "--objective"},
		{"--mix books:1 --seq-len 7", "--seq-len 7"},
		{"--mix books:1 --batch 0", "--batch 0"},
		{"--mix books:1 --heldout 1", "--heldout 1"},
		{"--mix books:0.3,wiki:0.7 --cut none --allow-missing --cache-size 1GiB", ""},
	} {
		var s Flags
		cmd := &cobra.Command{Use: "batches"}
		s.Add(cmd)
		if err := cmd.ParseFlags(strings.Fields(c.flags)); err != nil {
			t.Fatal(err)
		}
		cfg, err := s.Config(cmd, &cli.Env{Data: "data"})
		switch {
		case c.want == "" && (err != nil || !cfg.AllowMissing || cfg.CacheBytes != 1<<30):
			t.Errorf("%q gives %+v, error %v", c.flags, cfg, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q gives the error %v, want one of %s", c.flags, err, c.want)
		}
	}
}
