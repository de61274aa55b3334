package main

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

// kern prints one function on the registers of an instruction set, which are
// written Z; op writes the letter the set has. AVX-512 keeps constants in registers
// from the top, loaded before the body; AVX2, which has half as many registers,
// reads them from memory.
type kern struct {
	*printer
	s      isa
	outer  *printer
	name   string
	frame  int
	args   int
	consts map[uint32]int
	order  []uint32
	// mask is the register that AVX2 keeps the last round's mask in.
	mask int
}

// function begins a function; its body is printed to the kern and ended by done.
// The name in the signature gets the set's suffix.
func function(p *printer, s isa, signature string, frame, args int) *kern {
	body := &printer{labels: p.labels, consts: map[string]uint32{}, wide: p.wide}
	name, rest, _ := strings.Cut(signature, "(")
	return &kern{
		printer: body, s: s, outer: p, name: name + s.name + "(" + rest, frame: frame, args: args,
		consts: map[uint32]int{}, mask: 15,
	}
}

func (k *kern) avx2() bool { return k.s.lanes == 8 }

var register = regexp.MustCompile(`\bZ(\d+)\b`)

// op prints one instruction.
func (k *kern) op(format string, args ...any) {
	k.printer.op("%s", register.ReplaceAllString(fmt.Sprintf(format, args...), k.s.reg+"$1"))
}

func (k *kern) done() {
	k.op("VZEROUPPER")
	k.op("RET")
	k.outer.labels, k.outer.wide = k.labels, k.wide
	k.outer.text(k.name, k.frame, k.args)
	for i, v := range k.order {
		k.outer.op("VBROADCASTSS %s, Z%d", k.outer.u32(v), 31-i)
	}
	k.outer.buf.Write(k.buf.Bytes())
}

// c returns an operand that holds a constant in every lane: it may only stand
// first in an instruction.
func (k *kern) c(v float64) string { return k.bits(math.Float32bits(float32(v))) }

func (k *kern) bits(v uint32) string {
	if k.avx2() {
		return k.table([]uint32{v, v, v, v, v, v, v, v})
	}
	r, ok := k.consts[v]
	if !ok {
		r = 31 - len(k.order)
		k.consts[v] = r
		k.order = append(k.order, v)
	}
	return fmt.Sprintf("Z%d", r)
}

// set puts a constant into every lane of z.
func (k *kern) set(v float64, z int) {
	if k.avx2() {
		k.op("VMOVUPS %s, Z%d", k.c(v), z)
	} else {
		k.op("VMOVAPS %s, Z%d", k.c(v), z)
	}
}

// loop prints body for every register's worth of n elements (a register,
// destroyed), at is the register that counts the elements done. The last,
// partial, round runs under a mask: body prints its memory operands by load and
// store.
func (k *kern) loop(n, at string, body func(m mask)) {
	loop, tail, done := k.label("loop"), k.label("tail"), k.label("done")
	k.op("XORQ %s, %s", at, at)
	k.op("SUBQ $%d, %s", k.s.lanes, n)
	k.op("JLT %s", tail)
	k.line("%s:", loop)
	body(mask{k: k, at: at})
	k.op("ADDQ $%d, %s", k.s.lanes, at)
	k.op("SUBQ $%d, %s", k.s.lanes, n)
	k.op("JGE %s", loop)
	k.line("%s:", tail)
	k.op("ADDQ $%d, %s", k.s.lanes, n)
	k.op("JE %s", done)
	if k.avx2() {
		k.lowLanes(n)
	} else {
		k.lowBits(n, "K1")
	}
	body(mask{k: k, at: at, partial: true})
	k.line("%s:", done)
}

// lowBits sets a mask register to n ones; n is destroyed. AX is used.
func (k *kern) lowBits(n, to string) {
	k.op("MOVQ $-1, AX")
	k.op("BZHIQ %s, AX, AX", n)
	k.op("KMOVW AX, %s", to)
}

// lowLanes sets the lanes below n of the mask; n is destroyed. AX is used.
func (k *kern) lowLanes(n string) {
	k.op("LEAQ masks<>+32(SB), AX")
	k.op("SHLQ $2, %s", n)
	k.op("SUBQ %s, AX", n)
	k.op("VMOVUPS (AX), Z%d", k.mask)
}

// masks prints the table of lowLanes.
func masks(p *printer) {
	p.line("")
	for i := range 16 {
		v := uint32(0)
		if i < 8 {
			v = 0xffffffff
		}
		p.line("DATA masks<>+%d(SB)/4, $0x%08x", i*4, v)
	}
	p.line("GLOBL masks<>(SB), RODATA|NOPTR, $64")
}

// mask prints memory operands of a round, whole or partial.
type mask struct {
	k       *kern
	at      string
	partial bool
	skip    int
}

// offset returns the operands i registers on.
func (m mask) offset(i int) mask {
	m.skip = i * 4 * m.k.s.lanes
	return m
}

func (m mask) of(base string) string {
	if m.skip != 0 {
		base = fmt.Sprintf("%d(%s)", m.skip, base)
	} else {
		base = "(" + base + ")"
	}
	return base + "(" + m.at + "*4)"
}

func (m mask) load(base string, z int) {
	switch {
	case m.partial && m.k.avx2():
		m.k.op("VMASKMOVPS %s, Z%d, Z%d", m.of(base), m.k.mask, z)
	case m.partial:
		m.k.op("VMOVUPS.Z %s, K1, Z%d", m.of(base), z)
	default:
		m.k.op("VMOVUPS %s, Z%d", m.of(base), z)
	}
}

func (m mask) store(z int, base string) {
	switch {
	case m.partial && m.k.avx2():
		m.k.op("VMASKMOVPS Z%d, Z%d, %s", z, m.k.mask, m.of(base))
	case m.partial:
		m.k.op("VMOVUPS Z%d, K1, %s", z, m.of(base))
	default:
		m.k.op("VMOVUPS Z%d, %s", z, m.of(base))
	}
}

// sub prints x -= y, zero in the lanes beyond the end.
func (m mask) sub(y, x int) {
	switch {
	case m.partial && m.k.avx2():
		m.k.op("VSUBPS Z%d, Z%d, Z%d", y, x, x)
		m.k.op("VANDPS Z%d, Z%d, Z%d", m.k.mask, x, x)
	case m.partial:
		m.k.op("VSUBPS.Z Z%d, Z%d, K1, Z%d", y, x, x)
	default:
		m.k.op("VSUBPS Z%d, Z%d, Z%d", y, x, x)
	}
}

// kept puts this round's decisions of dropout, the words at DX, into z of AVX2 as
// lanes of ones, or into K3. R8 is used.
func (m mask) kept(z int) {
	k := m.k
	k.op("MOVQ %s, R8", m.at)
	k.op("SHRQ $3, R8")
	if !k.avx2() {
		k.op("KMOVW (DX)(R8*1), K3")
		return
	}
	sel := k.table([]uint32{1, 2, 4, 8, 16, 32, 64, 128})
	k.op("MOVBLZX (DX)(R8*1), R8")
	k.op("VMOVD R8, X%d", z)
	k.op("VPBROADCASTD X%d, Z%d", z, z)
	k.op("VPAND %s, Z%d, Z%d", sel, z, z)
	k.op("VPCMPEQD %s, Z%d, Z%d", sel, z, z)
}

func (k *kern) zero(z int) {
	if k.avx2() {
		k.op("VXORPS Z%d, Z%d, Z%d", z, z, z)
	} else {
		k.op("VPXORD Z%d, Z%d, Z%d", z, z, z)
	}
}

// total adds the lanes of z up; the sum is in lane 0. t is scratch.
func (k *kern) total(z, t int) {
	k.fold("VADDPS", z, t)
}

// fold reduces the lanes of z to lane 0 with an instruction.
func (k *kern) fold(op string, z, t int) {
	if !k.avx2() {
		k.op("VEXTRACTF64X4 $1, Z%d, Y%d", z, t)
		k.op("%s Y%d, Y%d, Y%d", op, t, z, z)
	}
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
	if k.avx2() {
		// In this order what is not a number stays so.
		k.set(-104, t)
		k.op("VMAXPS Z%d, Z%d, Z%d", z, t, z)
	} else {
		k.op("VMAXPS %s, Z%d, Z%d", k.c(-104), z, z)
	}
	k.op("VMULPS %s, Z%d, Z%d", k.c(math.Log2E), z, t)
	if k.avx2() {
		k.op("VROUNDPS $8, Z%d, Z%d", t, t)
	} else {
		k.op("VRNDSCALEPS $8, Z%d, Z%d", t, t)
	}
	k.op("VFNMADD231PS %s, Z%d, Z%d", k.c(high), t, z)
	k.op("VFNMADD231PS %s, Z%d, Z%d", k.c(math.Ln2-high), t, z)
	k.set(expTerms[0], u)
	for _, c := range expTerms[1:] {
		k.op("VFMADD213PS %s, Z%d, Z%d", k.c(c), z, u)
	}
	k.op("VFMADD213PS %s, Z%d, Z%d", k.c(1), z, u)
	k.op("VFMADD213PS %s, Z%d, Z%d", k.c(1), z, u)
	if !k.avx2() {
		k.op("VSCALEFPS Z%d, Z%d, Z%d", t, u, z)
		return
	}
	// Two factors, each a normal number, so that the product may be none.
	k.op("VCVTPS2DQ Z%d, Z%d", t, t)
	k.op("VPSRAD $1, Z%d, Z%d", t, z)
	k.op("VPSUBD Z%d, Z%d, Z%d", z, t, t)
	for _, r := range []int{z, t} {
		k.op("VPADDD %s, Z%d, Z%d", k.bits(127), r, r)
		k.op("VPSLLD $23, Z%d, Z%d", r, r)
	}
	k.op("VMULPS Z%d, Z%d, Z%d", u, z, z)
	k.op("VMULPS Z%d, Z%d, Z%d", t, z, z)
}
