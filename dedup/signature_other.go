//go:build !amd64

package dedup

func (p permutations) update(sig []uint32, shingles []uint64) { p.updateReference(sig, shingles) }
