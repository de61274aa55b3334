//go:build !amd64

package kernel

// Available reports whether this processor can run the set.
func (s Set) Available() bool { return s == Reference }

// hasBF16 says that the processor multiplies bf16 in a way this package could use.
const hasBF16 = false

func opsOf(Set) *ops { return &referenceOps }
