package main

import (
	"fmt"
	"math"
)

// kern prints one function on AVX-512 registers. Constants get registers from
// the top and are loaded before the body.
type kern struct {
	*printer
	outer  *printer
	name   string
	frame  int
	args   int
	consts map[uint32]int
	order  []uint32
}

// function begins a function; its body is printed to the kern and ended by done.
func function(p *printer, signature string, frame, args int) *kern {
	body := &printer{labels: p.labels, consts: map[string]uint32{}}
	return &kern{printer: body, outer: p, name: signature, frame: frame, args: args, consts: map[uint32]int{}}
}

func (k *kern) done() {
	k.op("VZEROUPPER")
	k.op("RET")
	k.outer.labels = k.labels
	k.outer.text(k.name, k.frame, k.args)
	for i, v := range k.order {
		k.outer.op("VBROADCASTSS %s, Z%d", k.outer.u32(v), 31-i)
	}
	k.outer.buf.Write(k.buf.Bytes())
}

// c returns the register that holds a constant in every lane.
func (k *kern) c(v float64) string { return k.bits(math.Float32bits(float32(v))) }

func (k *kern) bits(v uint32) string {
	r, ok := k.consts[v]
	if !ok {
		r = 31 - len(k.order)
		k.consts[v] = r
		k.order = append(k.order, v)
	}
	return fmt.Sprintf("Z%d", r)
}

// loop prints body for every 16 elements of n (a register, destroyed), at is the
// register that counts the elements done. The last, partial, round runs under
// the mask K1: body prints its memory operands by load and store.
func (k *kern) loop(n, at string, body func(m mask)) {
	loop, tail, done := k.label("loop"), k.label("tail"), k.label("done")
	k.op("XORQ %s, %s", at, at)
	k.op("SUBQ $16, %s", n)
	k.op("JLT %s", tail)
	k.line("%s:", loop)
	body(mask{k, at, false})
	k.op("ADDQ $16, %s", at)
	k.op("SUBQ $16, %s", n)
	k.op("JGE %s", loop)
	k.line("%s:", tail)
	k.op("ADDQ $16, %s", n)
	k.op("JE %s", done)
	k.lowBits(n, "K1")
	body(mask{k, at, true})
	k.line("%s:", done)
}

// lowBits sets a mask register to n ones; n is destroyed. AX is used.
func (k *kern) lowBits(n, to string) {
	k.op("MOVQ $-1, AX")
	k.op("BZHIQ %s, AX, AX", n)
	k.op("KMOVW AX, %s", to)
}

// mask prints memory operands of a round, whole or partial.
type mask struct {
	k       *kern
	at      string
	partial bool
}

func (m mask) load(base string, z int) {
	if m.partial {
		m.k.op("VMOVUPS.Z (%s)(%s*4), K1, Z%d", base, m.at, z)
	} else {
		m.k.op("VMOVUPS (%s)(%s*4), Z%d", base, m.at, z)
	}
}

func (m mask) store(z int, base string) {
	if m.partial {
		m.k.op("VMOVUPS Z%d, K1, (%s)(%s*4)", z, base, m.at)
	} else {
		m.k.op("VMOVUPS Z%d, (%s)(%s*4)", z, base, m.at)
	}
}

// masked prints an instruction whose last operand is a register that keeps its
// old value in the lanes beyond the end.
func (m mask) merged(op string, args string, z int) {
	if m.partial {
		m.k.op("%s %s, K1, Z%d", op, args, z)
	} else {
		m.k.op("%s %s, Z%d", op, args, z)
	}
}

func (k *kern) zero(z int) { k.op("VPXORD Z%d, Z%d, Z%d", z, z, z) }

// total adds the lanes of z up; the sum is in lane 0. t is scratch.
func (k *kern) total(z, t int) {
	k.fold("VADDPS", z, t)
}

// fold reduces the lanes of z to lane 0 with an instruction.
func (k *kern) fold(op string, z, t int) {
	k.op("VEXTRACTF64X4 $1, Z%d, Y%d", z, t)
	k.op("%s Y%d, Y%d, Y%d", op, t, z, z)
	k.op("VEXTRACTF128 $1, Y%d, X%d", z, t)
	k.op("%s X%d, X%d, X%d", op, t, z, z)
	k.op("VPERMILPS $14, X%d, X%d", z, t)
	k.op("%s X%d, X%d, X%d", op, t, z, z)
	k.op("VPERMILPS $1, X%d, X%d", z, t)
	k.op("%s X%d, X%d, X%d", op, t, z, z)
}

// exp replaces z by its exponential, to 1e-7 relative; t and u are scratch.
// 2^n*exp(r), r within half a logarithm of two of zero; below -104 it is zero or
// the least positive number. The polynomial is a Chebyshev fit of (exp(r)-1-r)/r^2.
func (k *kern) exp(z, t, u int) {
	const high = 0.693359375
	k.op("VMAXPS %s, Z%d, Z%d", k.c(-104), z, z)
	k.op("VMULPS %s, Z%d, Z%d", k.c(math.Log2E), z, t)
	k.op("VRNDSCALEPS $8, Z%d, Z%d", t, t)
	k.op("VFNMADD231PS %s, Z%d, Z%d", k.c(high), t, z)
	k.op("VFNMADD231PS %s, Z%d, Z%d", k.c(math.Ln2-high), t, z)
	k.op("VMOVAPS %s, Z%d", k.c(expTerms[0]), u)
	for _, c := range expTerms[1:] {
		k.op("VFMADD213PS %s, Z%d, Z%d", k.c(c), z, u)
	}
	k.op("VFMADD213PS %s, Z%d, Z%d", k.c(1), z, u)
	k.op("VFMADD213PS %s, Z%d, Z%d", k.c(1), z, u)
	k.op("VSCALEFPS Z%d, Z%d, Z%d", t, u, z)
}
