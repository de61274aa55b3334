package main

import "fmt"

// The assembler has no AVX512_BF16, so its instructions are printed as bytes. All
// work on whole 512-bit registers without a mask (Intel SDM, volume 2, section 2.7,
// and the instructions' own pages).
var (
	// VDPBF16PS adds to each float32 of the destination the products of two pairs.
	vdpbf16ps = evex{"VDPBF16PS", 0xf3, 0x52}
	// VCVTNEPS2BF16 rounds 16 float32 to half a register. VCVTNE2PS2BF16 would do two
	// registers at once, but Bochs, the only place to try it, has it wrong.
	vcvtneps2bf16 = evex{"VCVTNEPS2BF16", 0xf3, 0x72}
)

// evex is an instruction of three registers in map 0F38 with W clear.
type evex struct {
	name           string
	prefix, opcode byte
}

// encode returns the instruction's bytes; the operands are in the assembler's
// order, the destination last.
func (e evex) encode(rm, vvvv, reg int) [6]byte {
	not := func(r, bit int) byte { return byte(^r >> bit & 1) }
	pp := map[byte]byte{0x66: 1, 0xf3: 2, 0xf2: 3}[e.prefix]
	return [6]byte{
		0x62,
		not(reg, 3)<<7 | not(rm, 4)<<6 | not(rm, 3)<<5 | not(reg, 4)<<4 | 2,
		byte(^vvvv&15)<<3 | 1<<2 | pp,
		2<<5 | not(vvvv, 4)<<3,
		e.opcode,
		3<<6 | byte(reg&7)<<3 | byte(rm&7),
	}
}

// text returns the line that makes the assembler emit the instruction.
func (e evex) text(rm, vvvv, reg int) string {
	b := e.encode(rm, vvvv, reg)
	operands := fmt.Sprintf("Z%d, Z%d, Z%d", rm, vvvv, reg)
	if e == vcvtneps2bf16 {
		operands = fmt.Sprintf("Z%d, Y%d", rm, reg)
	}
	return fmt.Sprintf("LONG $0x%02x%02x%02x%02x; WORD $0x%02x%02x // %s %s", b[3], b[2], b[1], b[0], b[5], b[4], e.name, operands)
}

// round16 prints the rounding of a register to the lower half of the same.
func round16(p *printer, z int) { p.op("%s", vcvtneps2bf16.text(z, 0, z)) }

// bf16 prints what makes pairs of bf16 of float32, for factors of products.
func bf16(p *printer) {
	pairs(p)
	interleave(p)
}

// pairs prints the rounding of a row whose neighbours are multiplied together: 32
// numbers a round.
func pairs(p *printer) {
	p.text("pairs512(dst, src []float32)", 0, 48)
	p.op("MOVQ dst_base+0(FP), DI")
	p.op("MOVQ src_base+24(FP), SI")
	p.op("MOVQ src_len+32(FP), CX")
	p.op("SUBQ $32, CX")
	p.op("JLT tail")
	p.line("loop:")
	p.op("VMOVUPS (SI), Z0")
	p.op("VMOVUPS 64(SI), Z1")
	round16(p, 0)
	round16(p, 1)
	p.op("VMOVUPS Y0, (DI)")
	p.op("VMOVUPS Y1, 32(DI)")
	p.op("ADDQ $128, SI")
	p.op("ADDQ $64, DI")
	p.op("SUBQ $32, CX")
	p.op("JGE loop")
	p.line("tail:")
	p.op("ADDQ $32, CX")
	p.op("JE end")
	// Zeros come where there is nothing, so an odd last number has one beside it.
	p.op("MOVQ $-1, AX")
	p.op("BZHIQ CX, AX, BX")
	p.op("KMOVW BX, K1")
	p.op("SHRQ $16, BX")
	p.op("KMOVW BX, K2")
	p.op("INCQ CX")
	p.op("SHRQ $1, CX")
	p.op("BZHIQ CX, AX, BX")
	p.op("KMOVW BX, K3")
	p.op("VMOVUPS.Z (SI), K1, Z0")
	p.op("VMOVUPS.Z 64(SI), K2, Z1")
	round16(p, 0)
	round16(p, 1)
	p.op("VINSERTI64X4 $1, Y1, Z0, Z0")
	p.op("VMOVUPS Z0, K3, (DI)")
	p.line("end:")
	p.op("VZEROUPPER")
	p.op("RET")
}

// interleave prints the rounding of two rows whose elements of one column are
// multiplied together; instead of a second row that is not there come zeros.
func interleave(p *printer) {
	p.text("interleave512(dst, x, y []float32)", 0, 72)
	p.op("MOVQ dst_base+0(FP), DI")
	p.op("MOVQ x_base+24(FP), SI")
	p.op("MOVQ x_len+32(FP), CX")
	p.op("MOVQ y_base+48(FP), DX")
	p.op("MOVQ $-1, AX")
	p.op("XORQ R8, R8")
	p.op("CMPQ y_len+56(FP), $0")
	p.op("CMOVQEQ R8, AX")
	p.op("CMOVQEQ SI, DX")
	p.op("KMOVW AX, K2")
	p.op("MOVQ $-1, AX")
	var order []uint32
	for i := range uint32(16) {
		order = append(order, i|(i+32)<<16)
	}
	p.op("VMOVUPS %s, Z3", p.table(order))
	p.op("SUBQ $16, CX")
	p.op("JLT tail")
	p.line("loop:")
	p.op("VMOVUPS (SI), Z0")
	p.op("VMOVUPS.Z (DX), K2, Z1")
	round16(p, 0)
	round16(p, 1)
	p.op("VPERMT2W Z1, Z3, Z0")
	p.op("VMOVUPS Z0, (DI)")
	p.op("ADDQ $64, SI")
	p.op("ADDQ $64, DX")
	p.op("ADDQ $64, DI")
	p.op("SUBQ $16, CX")
	p.op("JGE loop")
	p.line("tail:")
	p.op("ADDQ $16, CX")
	p.op("JE end")
	p.op("BZHIQ CX, AX, BX")
	p.op("KMOVW BX, K1")
	p.op("KANDW K1, K2, K2")
	p.op("VMOVUPS.Z (SI), K1, Z0")
	p.op("VMOVUPS.Z (DX), K2, Z1")
	round16(p, 0)
	round16(p, 1)
	p.op("VPERMT2W Z1, Z3, Z0")
	p.op("VMOVUPS Z0, K1, (DI)")
	p.line("end:")
	p.op("VZEROUPPER")
	p.op("RET")
}
