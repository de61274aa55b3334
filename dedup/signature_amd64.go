package dedup

import "golang.org/x/sys/cpu"

//go:noescape
func update8(sig, a, b *uint32, shingles *uint64, n int)

//go:noescape
func update7(sig, a, b *uint32, shingles *uint64, n int)

//go:noescape
func update1(sig, a, b *uint32, shingles *uint64, n int)

// update is updateReference on vectors, where the processor has them.
func (p permutations) update(sig []uint32, shingles []uint64) {
	if !cpu.X86.HasAVX512F || len(shingles) == 0 || len(sig)%signatureLanes != 0 {
		p.updateReference(sig, shingles)
		return
	}
	for at := 0; at < len(sig); {
		left := (len(sig) - at) / signatureLanes
		kernel, vectors := update1, 1
		if left >= 8 {
			kernel, vectors = update8, 8
		} else if left == 7 {
			kernel, vectors = update7, 7
		}
		kernel(&sig[at], &p.a[at], &p.b[at], &shingles[0], len(shingles))
		at += vectors * signatureLanes
	}
}
