//go:build !amd64 && !arm64

package tokenize

// prefetch does nothing where we do not know how to.
func prefetch(*shortSet) {}
