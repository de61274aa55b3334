package pipelines

import "testing"

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{"256MiB": 256 << 20, "1.5 GB": 15e8, "4096": 4096, "0": 0, "10B": 10} {
		got, err := ParseSize(s)
		if err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", s, got, err, want)
		}
		if back, err := ParseSize(FormatSize(got)); err != nil || back != got {
			t.Errorf("FormatSize(%d) = %q, which reads as %d, %v", got, FormatSize(got), back, err)
		}
	}
	for _, s := range []string{"", "big", "-1", "1XB", "NaN", "1e300GB", "Inf"} {
		if n, err := ParseSize(s); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", s, n)
		}
	}
}
