//go:build amd64 || arm64

package tokenize

// prefetch asks for the memory of a set without waiting for it.
//
//go:noescape
func prefetch(p *shortSet)
