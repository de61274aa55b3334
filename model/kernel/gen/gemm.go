package main

import "fmt"

// isa is an instruction set a product is printed for.
type isa struct {
	name string
	// lanes is the number of float32 in a register reg is the letter of.
	lanes int
	reg   string
	// rows and vectors are the height and the width, in registers, of the tile of C
	// that is held in registers.
	rows, vectors int
	// pairs says that the elements of A and B are pairs of bf16, two steps of k.
	pairs bool
}

var (
	avx512 = isa{name: "512", lanes: 16, reg: "Z", rows: 14, vectors: 2}
	avx2   = isa{name: "2", lanes: 8, reg: "Y", rows: 6, vectors: 2}
	// A pair is broadcast like a float32, so the tile is that of AVX-512.
	avx512BF16 = isa{name: "BF16", lanes: 16, reg: "Z", rows: 14, vectors: 2, pairs: true}
)

// gemm prints the micro-kernel: C[rows, cols] (+)= A*B for one packed panel of B,
// in tiles of at most s.rows rows. Registers:
//
//	DI tile, AX first row of A, DX its stride, R12 three strides, R8 step along k
//	R9 first row of C, R10 its stride
//	in the loop over k: BX, SI, R15 rows 0, 5 and 10 of A, CX row of B, R13 step, R11 count
func gemm(p *printer, s isa) {
	p.text("gemm"+s.name+"(t *tile)", 8, 8)
	p.op("MOVQ t+0(FP), DI")
	p.op("MOVQ tile_a(DI), AX")
	p.op("MOVQ tile_ars(DI), DX")
	p.op("SHLQ $2, DX")
	p.op("LEAQ (DX)(DX*2), R12")
	p.op("MOVQ tile_acs(DI), R8")
	p.op("SHLQ $2, R8")
	p.op("MOVQ tile_ldb(DI), R13")
	p.op("SHLQ $2, R13")
	p.op("MOVQ tile_c(DI), R9")
	p.op("MOVQ tile_ldc(DI), R10")
	p.op("SHLQ $2, R10")
	p.op("MOVQ tile_rows(DI), BX")
	p.op("MOVQ BX, rows-8(SP)")
	if s.lanes == 16 {
		p.op("MOVQ tile_cols(DI), CX")
		p.op("MOVQ $1, BX")
		p.op("SHLQ CX, BX")
		p.op("DECQ BX")
		p.op("KMOVW BX, K1")
		p.op("SHRQ $16, BX")
		p.op("KMOVW BX, K2")
	}
	p.op("CMPQ tile_cols(DI), $%d", s.lanes)
	p.op("JLE narrow")
	for _, v := range []int{s.vectors, 1} {
		tag := ""
		if v == 1 {
			tag = "narrow"
			p.line("narrow:")
		}
		p.line("%snext:", tag)
		p.op("MOVQ rows-8(SP), BX")
		p.op("CMPQ BX, $%d", s.rows)
		p.op("JGE %srows%d", tag, s.rows)
		for r := s.rows - 1; r > 0; r-- {
			p.op("CMPQ BX, $%d", r)
			p.op("JEQ %srows%d", tag, r)
		}
		p.op("VZEROUPPER")
		p.op("RET")
		for r := s.rows; r > 0; r-- {
			p.line("%srows%d:", tag, r)
			tileRows(p, s, r, v)
			if r < s.rows {
				p.op("VZEROUPPER")
				p.op("RET")
				continue
			}
			p.op("SUBQ $%d, rows-8(SP)", r)
			if s.lanes == 8 {
				p.op("MOVQ tile_group(DI), BX")
				p.op("LEAQ (AX)(BX*4), AX")
			} else {
				p.op("IMUL3Q $%d, DX, BX", r)
				p.op("ADDQ BX, AX")
			}
			p.op("IMUL3Q $%d, R10, BX", r)
			p.op("ADDQ BX, R9")
			p.op("JMP %snext", tag)
		}
	}
	if s.lanes == 8 {
		masks(p)
		groups(p)
	}
}

// groups prints the copy of a transposed A for AVX2: of k rows of src, each six
// elements go to dst, six beside those of the row before, and the next six group
// elements on. rows is a multiple of six. What lies eight rows on is asked for,
// since no processor foresees a stride as long as a page.
func groups(p *printer) {
	p.text("groups2(dst, src []float32, stride, rows, k, group int)", 0, 80)
	p.op("MOVQ dst_base+0(FP), DI")
	p.op("MOVQ src_base+24(FP), SI")
	p.op("MOVQ stride+48(FP), DX")
	p.op("SHLQ $2, DX")
	p.op("MOVQ rows+56(FP), R8")
	p.op("MOVQ k+64(FP), R9")
	p.op("MOVQ group+72(FP), R10")
	p.op("SHLQ $2, R10")
	p.op("MOVQ DX, R11")
	p.op("SHLQ $3, R11")
	p.op("TESTQ R8, R8")
	p.op("JE end")
	p.line("row:")
	p.op("MOVQ R8, CX")
	p.op("MOVQ SI, AX")
	p.op("MOVQ DI, BX")
	p.line("six:")
	p.op("VMOVUPS (AX), X0")
	p.op("MOVQ 16(AX), R12")
	p.op("PREFETCHT0 (AX)(R11*1)")
	p.op("VMOVUPS X0, (BX)")
	p.op("MOVQ R12, 16(BX)")
	p.op("ADDQ $24, AX")
	p.op("ADDQ R10, BX")
	p.op("SUBQ $6, CX")
	p.op("JNE six")
	p.op("ADDQ DX, SI")
	p.op("ADDQ $24, DI")
	p.op("DECQ R9")
	p.op("JNE row")
	p.line("end:")
	p.op("RET")
}

// rowOf returns the address of row r of five-row groups at BX, SI and R15.
func rowOf(r int) string {
	base := [...]string{"BX", "SI", "R15"}[r/5]
	offset := [...]string{"", "(DX*1)", "(DX*2)", "(R12*1)", "(DX*4)"}[r%5]
	return "(" + base + ")" + offset
}

// tileRows prints the product of r rows of A with v registers of columns.
func tileRows(p *printer, s isa, r, v int) {
	acc := func(i, j int) string { return fmt.Sprintf("%s%d", s.reg, i*v+j) }
	n := r * v
	bReg := func(j int) string { return fmt.Sprintf("%s%d", s.reg, n+j) }
	free := map[int]int{16: 32, 8: 16}[s.lanes] - n - v
	aReg := func(i int) string { return fmt.Sprintf("%s%d", s.reg, n+v+i%min(free, 4)) }
	for i := range n {
		if s.lanes == 16 {
			p.op("VPXORD Z%d, Z%d, Z%d", i, i, i)
		} else {
			p.op("VXORPS Y%d, Y%d, Y%d", i, i, i)
		}
	}
	p.op("MOVQ AX, BX")
	if r > 5 {
		p.op("LEAQ (AX)(DX*4), SI")
		p.op("ADDQ DX, SI")
	}
	if r > 10 {
		p.op("LEAQ (SI)(DX*4), R15")
		p.op("ADDQ DX, R15")
	}
	if s.lanes == 8 {
		// C is far from the last tile's; ask for it before the products.
		p.op("MOVQ R9, CX")
		for i := range r {
			p.op("PREFETCHT0 (CX)")
			if i < r-1 {
				p.op("ADDQ R10, CX")
			}
		}
	}
	p.op("MOVQ tile_b(DI), CX")
	p.op("MOVQ tile_k(DI), R11")
	loop, done := p.label("k"), p.label("c")
	p.op("TESTQ R11, R11")
	p.op("JE %s", done)
	p.op("PCALIGN $32")
	p.line("%s:", loop)
	for j := range v {
		p.op("VMOVUPS %d(CX), %s", j*s.lanes*4, bReg(j))
	}
	for i := range r {
		p.op("VBROADCASTSS %s, %s", rowOf(i), aReg(i))
		for j := range v {
			if s.pairs {
				p.op("%s", vdpbf16ps.text(n+j, n+v+i%min(free, 4), i*v+j))
			} else {
				p.op("VFMADD231PS %s, %s, %s", bReg(j), aReg(i), acc(i, j))
			}
		}
	}
	p.op("ADDQ R8, BX")
	if r > 5 {
		p.op("ADDQ R8, SI")
	}
	if r > 10 {
		p.op("ADDQ R8, R15")
	}
	p.op("ADDQ R13, CX")
	p.op("DECQ R11")
	p.op("JNE %s", loop)
	p.line("%s:", done)
	if s.lanes == 8 {
		storeTile2(p, r, v, acc, bReg(0), aReg(0))
		return
	}
	store := p.label("store")
	p.op("MOVQ R9, BX")
	p.op("CMPB tile_add(DI), $0")
	p.op("JEQ %s", store)
	for i := range r {
		for j := range v {
			p.op("VMOVUPS.Z %d(BX), K%d, %s", j*64, j+1, bReg(0))
			p.op("VADDPS %s, %s, %s", bReg(0), acc(i, j), acc(i, j))
		}
		if i < r-1 {
			p.op("ADDQ R10, BX")
		}
	}
	p.op("MOVQ R9, BX")
	p.line("%s:", store)
	for i := range r {
		for j := range v {
			p.op("VMOVUPS %s, K%d, %d(BX)", acc(i, j), j+1, j*64)
		}
		if i < r-1 {
			p.op("ADDQ R10, BX")
		}
	}
}

// storeTile2 prints the end of an AVX2 tile: whole registers are stored as they
// are, and only the last register of a panel's end under a mask, which some
// processors do in microcode. m and t are scratch.
func storeTile2(p *printer, r, v int, acc func(i, j int) string, m, t string) {
	partial, done := p.label("partial"), p.label("done")
	p.op("MOVQ tile_cols(DI), SI")
	p.op("CMPQ SI, $%d", 8*v)
	p.op("JNE %s", partial)
	for _, whole := range []bool{true, false} {
		if !whole {
			p.line("%s:", partial)
			p.op("LEAQ masks<>+%d(SB), R11", 32*v)
			p.op("SHLQ $2, SI")
			p.op("SUBQ SI, R11")
			p.op("VMOVUPS (R11), %s", m)
		}
		store := p.label("store")
		p.op("MOVQ R9, BX")
		p.op("CMPB tile_add(DI), $0")
		p.op("JEQ %s", store)
		for i := range r {
			for j := range v {
				if !whole && j == v-1 {
					p.op("VMASKMOVPS %d(BX), %s, %s", j*32, m, t)
					p.op("VADDPS %s, %s, %s", t, acc(i, j), acc(i, j))
				} else {
					p.op("VADDPS %d(BX), %s, %s", j*32, acc(i, j), acc(i, j))
				}
			}
			if i < r-1 {
				p.op("ADDQ R10, BX")
			}
		}
		p.op("MOVQ R9, BX")
		p.line("%s:", store)
		for i := range r {
			for j := range v {
				if !whole && j == v-1 {
					p.op("VMASKMOVPS %s, %s, %d(BX)", acc(i, j), m, j*32)
				} else {
					p.op("VMOVUPS %s, %d(BX)", acc(i, j), j*32)
				}
			}
			if i < r-1 {
				p.op("ADDQ R10, BX")
			}
		}
		if whole {
			p.op("JMP %s", done)
		}
	}
	p.line("%s:", done)
}
