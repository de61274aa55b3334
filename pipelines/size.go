package pipelines

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// ParseSize reads a number of bytes: "256MiB", "1.5GB", "4096".
func ParseSize(s string) (int64, error) {
	number, factor := strings.TrimSpace(s), int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v < 0 || v*float64(factor) >= math.MaxInt64 || v != v {
		return 0, fmt.Errorf("%q is no size: want a number with KiB, MiB, GiB, KB, MB or GB", s)
	}
	return int64(v * float64(factor)), nil
}

// FormatSize writes a number of bytes so that ParseSize reads it back.
func FormatSize(n int64) string {
	for _, u := range []int{3, 2, 1, 0} {
		if unit := sizeUnits[u]; n > 0 && n%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", n/unit.bytes, unit.name)
		}
	}
	return strconv.FormatInt(n, 10)
}
