package dedup

import "golang.org/x/sys/cpu"

// A kernel folds n shingles into so many lanes of the signature.
type kernel struct {
	lanes int
	fold  func(sig, a, b *uint32, shingles *uint64, n int)
}

//go:noescape
func update8(sig, a, b *uint32, shingles *uint64, n int)

//go:noescape
func update7(sig, a, b *uint32, shingles *uint64, n int)

//go:noescape
func update1(sig, a, b *uint32, shingles *uint64, n int)

//go:noescape
func update7x8(sig, a, b *uint32, shingles *uint64, n int)

//go:noescape
func update2x8(sig, a, b *uint32, shingles *uint64, n int)

// The kernels of each instruction set, the widest first; the last divides
// signatureLanes.
var (
	kernelsAVX512 = []kernel{{128, update8}, {112, update7}, {16, update1}}
	kernelsAVX2   = []kernel{{56, update7x8}, {16, update2x8}}
)

// update is updateReference on vectors, where the processor has them.
func (p permutations) update(sig []uint32, shingles []uint64) {
	switch {
	case cpu.X86.HasAVX512F:
		p.updateBy(kernelsAVX512, sig, shingles)
	case cpu.X86.HasAVX2:
		p.updateBy(kernelsAVX2, sig, shingles)
	default:
		p.updateReference(sig, shingles)
	}
}

// updateBy covers the signature with kernels so that no lanes are left over that
// none of them can take.
func (p permutations) updateBy(kernels []kernel, sig []uint32, shingles []uint64) {
	if len(sig)%signatureLanes != 0 {
		p.updateReference(sig, shingles)
		return
	}
	if len(shingles) == 0 {
		return
	}
	least := kernels[len(kernels)-1]
	for at := 0; at < len(sig); {
		left := len(sig) - at
		k := least
		for _, wider := range kernels {
			// Two of 56 lanes are whole registers of signatureLanes, one is not.
			if rest := left - wider.lanes; rest >= 0 && (rest%least.lanes == 0 || rest >= wider.lanes && (rest-wider.lanes)%least.lanes == 0) {
				k = wider
				break
			}
		}
		k.fold(&sig[at], &p.a[at], &p.b[at], &shingles[0], len(shingles))
		at += k.lanes
	}
}
