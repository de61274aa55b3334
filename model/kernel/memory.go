package kernel

import "unsafe"

// hugePage is the size from which memory is asked for in huge pages: a product
// goes over thousands of rows, each on a page of its own otherwise.
const hugePage = 2 << 20

// Floats returns n zeros, aligned to a cache line, in huge pages where the system
// has them to give.
func Floats(n int) []float32 {
	const line = 64
	x := make([]float32, n+line/4-1)
	at := 0
	if n > 0 {
		at = int(-uintptr(unsafe.Pointer(unsafe.SliceData(x))) % line / 4)
	}
	x = x[at : at+n : at+n]
	if n*4 >= hugePage {
		adviseHuge(unsafe.Pointer(unsafe.SliceData(x)), n*4)
	}
	return x
}

// Map returns at least n bytes of zeros outside the garbage collector's heap, so
// that they neither delay a collection nor are moved to a swap of its making, in
// huge pages where the system has them. Unmap gives them back. It returns nil for
// less than a huge page and where there is no such memory; make some then.
func Map(n int) []byte {
	if n < hugePage {
		return nil
	}
	return mapBytes((n + hugePage - 1) &^ (hugePage - 1))
}

// Unmap gives back what Map returned. Nothing may read it afterwards.
func Unmap(x []byte) {
	if x != nil {
		unmapBytes(x)
	}
}
