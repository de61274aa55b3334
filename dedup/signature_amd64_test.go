package dedup

import (
	"slices"
	"testing"

	"golang.org/x/sys/cpu"
	"pgregory.net/rapid"
)

// Every kernel that this processor can run, not only the one that update chooses.
func TestEachVectorKernelIsTheReference(t *testing.T) {
	sets := map[string][]kernel{}
	if cpu.X86.HasAVX512F {
		sets["AVX-512"] = kernelsAVX512
	}
	if cpu.X86.HasAVX2 {
		sets["AVX2"] = kernelsAVX2
	}
	for name, kernels := range sets {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				n := rapid.IntRange(1, 400).Draw(t, "functions")
				shingles := rapid.SliceOfN(rapid.Uint64(), 0, 60).Draw(t, "shingles")
				p := newPermutations(n, rapid.Uint64().Draw(t, "seed"))
				got, want := make([]uint32, len(p.a)), make([]uint32, len(p.a))
				resetSignature(got)
				resetSignature(want)
				p.updateBy(kernels, got, shingles)
				p.updateReference(want, shingles)
				if !slices.Equal(got, want) {
					t.Fatalf("%d functions, %d shingles: the kernel differs", n, len(shingles))
				}
			})
		})
	}
}
