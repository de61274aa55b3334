//go:build !amd64

package kernel

// Available reports whether this processor can run the set.
func (s Set) Available() bool { return s == Reference }

func opsOf(Set) *ops { return &referenceOps }
