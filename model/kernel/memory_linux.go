package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// adviseHuge asks for huge pages within n bytes at p. That the system declines is
// no error.
func adviseHuge(p unsafe.Pointer, n int) {
	skip := int(-uintptr(p) & (hugePage - 1))
	if whole := (n - skip) &^ (hugePage - 1); whole > 0 {
		_ = unix.Madvise(unsafe.Slice((*byte)(unsafe.Add(p, skip)), whole), unix.MADV_HUGEPAGE)
	}
}

func mapBytes(n int) []byte {
	x, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	_ = unix.Madvise(x, unix.MADV_HUGEPAGE)
	return x
}

func unmapBytes(x []byte) { _ = unix.Munmap(x) }
