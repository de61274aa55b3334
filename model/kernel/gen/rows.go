package main

// rows prints the functions that need a whole row: layer normalisation, softmax,
// and the decisions of dropout.
func rows(p *printer, s isa) {
	norm(p, s)
	normBackward(p, s)
	softmax(p, s)
	softmaxBackward(p, s)
	philox(p, s)
	transpose(p, s)
}

func norm(p *printer, s isa) {
	k := function(p, s, "normRow(out, sum, x, sub, gain, bias []float32, eps float32) (mean, rstd float32)", 0, 160)
	k.op("MOVQ out_base+0(FP), DI")
	k.op("MOVQ sum_base+24(FP), SI")
	k.op("MOVQ x_base+48(FP), DX")
	k.op("MOVQ sub_base+72(FP), R8")
	k.op("MOVQ sub_len+80(FP), R11")
	k.op("MOVQ gain_base+96(FP), R9")
	k.op("MOVQ bias_base+120(FP), R10")
	k.op("VCVTSI2SSQ R11, X10, X10")
	k.zero(4)
	plain, square := k.label("plain"), k.label("square")
	k.op("MOVQ R11, CX")
	k.op("TESTQ DX, DX")
	k.op("JE %s", plain)
	k.loop("CX", "BX", func(m mask) {
		m.load("R8", 0)
		m.load("DX", 1)
		k.op("VADDPS Z1, Z0, Z0")
		m.store(0, "SI")
		k.op("VADDPS Z0, Z4, Z4")
	})
	k.op("JMP %s", square)
	k.line("%s:", plain)
	k.loop("CX", "BX", func(m mask) {
		m.load("R8", 0)
		m.store(0, "SI")
		k.op("VADDPS Z0, Z4, Z4")
	})
	k.line("%s:", square)
	k.total(4, 1)
	k.op("VDIVSS X10, X4, X4")
	k.op("VMOVSS X4, mean+152(FP)")
	k.op("VBROADCASTSS X4, Z5")
	k.zero(4)
	k.op("MOVQ R11, CX")
	k.loop("CX", "BX", func(m mask) {
		m.load("SI", 0)
		m.sub(5, 0)
		k.op("VFMADD231PS Z0, Z0, Z4")
	})
	k.total(4, 1)
	k.op("VDIVSS X10, X4, X4")
	k.op("VADDSS eps+144(FP), X4, X4")
	k.op("VSQRTSS X4, X4, X4")
	k.set(1, 0)
	k.op("VDIVSS X4, X0, X4")
	k.op("VMOVSS X4, rstd+156(FP)")
	k.op("VBROADCASTSS X4, Z6")
	k.op("MOVQ R11, CX")
	k.loop("CX", "BX", func(m mask) {
		m.load("SI", 0)
		k.op("VSUBPS Z5, Z0, Z0")
		k.op("VMULPS Z6, Z0, Z0")
		m.load("R9", 1)
		m.load("R10", 2)
		k.op("VFMADD213PS Z2, Z1, Z0")
		m.store(0, "DI")
	})
	k.done()
}

func normBackward(p *printer, s isa) {
	k := function(p, s, "normRowBackward(ds, dout, sum, extra, gain, dgain, dbias []float32, mean, rstd float32)", 0, 176)
	k.op("MOVQ ds_base+0(FP), DI")
	k.op("MOVQ dout_base+24(FP), SI")
	k.op("MOVQ sum_base+48(FP), DX")
	k.op("MOVQ sum_len+56(FP), R11")
	k.op("MOVQ extra_base+72(FP), R12")
	k.op("MOVQ gain_base+96(FP), R8")
	k.op("MOVQ dgain_base+120(FP), R9")
	k.op("MOVQ dbias_base+144(FP), R10")
	k.op("VBROADCASTSS mean+168(FP), Z10")
	k.op("VBROADCASTSS rstd+172(FP), Z11")
	k.op("VCVTSI2SSQ R11, X12, X12")
	k.zero(8)
	k.zero(9)
	k.op("MOVQ R11, CX")
	k.loop("CX", "BX", func(m mask) {
		m.load("DX", 0)
		k.op("VSUBPS Z10, Z0, Z0")
		k.op("VMULPS Z11, Z0, Z0")
		m.load("SI", 1)
		m.load("R9", 2)
		k.op("VFMADD231PS Z0, Z1, Z2")
		m.store(2, "R9")
		m.load("R10", 3)
		k.op("VADDPS Z1, Z3, Z3")
		m.store(3, "R10")
		m.load("R8", 4)
		k.op("VMULPS Z4, Z1, Z1")
		k.op("VADDPS Z1, Z8, Z8")
		k.op("VFMADD231PS Z0, Z1, Z9")
	})
	k.total(8, 1)
	k.total(9, 1)
	k.op("VDIVSS X12, X8, X8")
	k.op("VDIVSS X12, X9, X9")
	k.op("VBROADCASTSS X8, Z8")
	k.op("VBROADCASTSS X9, Z9")
	k.op("MOVQ R11, CX")
	k.loop("CX", "BX", func(m mask) {
		m.load("DX", 0)
		k.op("VSUBPS Z10, Z0, Z0")
		k.op("VMULPS Z11, Z0, Z0")
		m.load("SI", 1)
		m.load("R8", 2)
		k.op("VFMSUB213PS Z8, Z2, Z1")
		k.op("VFNMADD231PS Z9, Z0, Z1")
		k.op("VMULPS Z11, Z1, Z1")
		skip := k.label("skip")
		k.op("TESTQ R12, R12")
		k.op("JE %s", skip)
		m.load("R12", 3)
		k.op("VADDPS Z3, Z1, Z1")
		k.line("%s:", skip)
		m.store(1, "DI")
	})
	k.done()
}

// visible puts into K2, or into Z8 of AVX2 as lanes of ones, the lanes of this
// round whose key is seen: those whose rank, at R9 unless that is zero, is at most
// that of Z15. Z14 is used.
func (k *kern) visible(m mask) {
	all, done := k.label("all"), k.label("seen")
	switch {
	case m.partial && k.avx2():
		k.op("VMOVUPS Z%d, Z8", k.mask)
	case k.avx2():
		k.op("VPCMPEQD Z8, Z8, Z8")
	case m.partial:
		k.op("KMOVW K1, K2")
	default:
		k.op("KXNORW K2, K2, K2")
	}
	k.op("TESTQ R9, R9")
	k.op("JE %s", all)
	switch {
	case k.avx2():
		m.load("R9", 14)
		k.op("VPCMPGTD Z15, Z14, Z14")
		k.op("VPANDN Z8, Z14, Z8")
	case m.partial:
		k.op("VMOVDQU32.Z (R9)(%s*4), K1, Z14", m.at)
		k.op("VPCMPD $2, Z15, Z14, K2, K2")
	default:
		k.op("VMOVDQU32 (R9)(%s*4), Z14", m.at)
		k.op("VPCMPD $2, Z15, Z14, K2, K2")
	}
	k.op("JMP %s", done)
	k.line("%s:", all)
	k.line("%s:", done)
}

// hide sets the lanes of z to zero that visible did not find.
func (k *kern) hide(z int) {
	if k.avx2() {
		k.op("VANDPS Z8, Z%d, Z%d", z, z)
	} else {
		k.op("VMOVAPS.Z Z%d, K2, Z%d", z, z)
	}
}

// softmax prints s = exp(scale*s-top) over the seen keys, zero elsewhere, and
// returns top and the sum; then those that dropout drops become zero.
func softmax(p *printer, s isa) {
	k := function(p, s, "softmax(s []float32, words []uint16, ranks []int32, rank int32, scale float32) (top, sum float32)", 0, 88)
	k.op("MOVQ s_base+0(FP), DI")
	k.op("MOVQ s_len+8(FP), R11")
	k.op("MOVQ words_base+24(FP), DX")
	k.op("MOVQ ranks_base+48(FP), R9")
	k.op("MOVL rank+72(FP), AX")
	k.broadcast("AX", 15)
	k.op("VBROADCASTSS scale+76(FP), Z13")
	if k.avx2() {
		k.mask = 9
		k.op("VMOVUPS %s, Z7", k.bits(0xff800000))
		k.op("VMOVAPS Z7, Z4")
	} else {
		k.op("VMOVAPS %s, Z4", k.bits(0xff800000))
	}
	k.op("MOVQ R11, CX")
	k.loop("CX", "BX", func(m mask) {
		k.visible(m)
		m.load("DI", 0)
		k.op("VMULPS Z13, Z0, Z0")
		if k.avx2() {
			k.op("VBLENDVPS Z8, Z0, Z7, Z0")
			k.op("VMAXPS Z0, Z4, Z4")
		} else {
			k.op("VMAXPS Z0, Z4, K2, Z4")
		}
	})
	k.fold("VMAXPS", 4, 1)
	k.op("VMOVSS X4, top+80(FP)")
	k.op("VBROADCASTSS X4, Z5")
	k.zero(6)
	k.op("MOVQ R11, CX")
	k.loop("CX", "BX", func(m mask) {
		k.visible(m)
		m.load("DI", 0)
		k.op("VFMSUB132PS Z13, Z5, Z0")
		k.exp(0, 1, 2)
		k.hide(0)
		k.op("VADDPS Z0, Z6, Z6")
		skip := k.label("skip")
		k.op("TESTQ DX, DX")
		k.op("JE %s", skip)
		m.kept(1)
		if k.avx2() {
			k.op("VANDPS Z1, Z0, Z0")
		} else {
			k.op("VMOVAPS.Z Z0, K3, Z0")
		}
		k.line("%s:", skip)
		m.store(0, "DI")
	})
	k.total(6, 1)
	k.op("VMOVSS X6, sum+84(FP)")
	k.done()
}

// softmaxBackward prints, with w = exp(scale*p-norm) over the seen keys and keep
// the factor of those that dropout keeps:
//
//	g = w*(g*keep-delta)*scale
//	p = w*keep
func softmaxBackward(p *printer, s isa) {
	k := function(p, s, "softmaxBackward(p, g []float32, words []uint16, ranks []int32, rank int32, scale, norm, delta, keep float32)", 0, 116)
	k.op("MOVQ p_base+0(FP), DI")
	k.op("MOVQ p_len+8(FP), CX")
	k.op("MOVQ g_base+24(FP), SI")
	k.op("MOVQ words_base+48(FP), DX")
	k.op("MOVQ ranks_base+72(FP), R9")
	k.op("MOVL rank+96(FP), AX")
	k.broadcast("AX", 15)
	k.op("VBROADCASTSS scale+100(FP), Z13")
	k.op("VBROADCASTSS norm+104(FP), Z12")
	k.op("VBROADCASTSS delta+108(FP), Z11")
	k.op("VBROADCASTSS keep+112(FP), Z10")
	k.mask = 9
	k.loop("CX", "BX", func(m mask) {
		k.visible(m)
		m.load("DI", 0)
		k.op("VFMSUB132PS Z13, Z12, Z0")
		k.exp(0, 1, 2)
		k.hide(0)
		m.load("SI", 3)
		skip := k.label("skip")
		k.op("VMOVAPS Z0, Z4")
		k.op("TESTQ DX, DX")
		k.op("JE %s", skip)
		m.kept(1)
		if k.avx2() {
			k.op("VANDPS Z10, Z1, Z1")
			k.op("VMULPS Z1, Z3, Z3")
			k.op("VMULPS Z1, Z0, Z4")
		} else {
			k.op("VMULPS.Z Z10, Z3, K3, Z3")
			k.op("VMULPS.Z Z10, Z0, K3, Z4")
		}
		k.line("%s:", skip)
		m.store(4, "DI")
		k.op("VSUBPS Z11, Z3, Z3")
		k.op("VMULPS Z13, Z0, Z0")
		k.op("VMULPS Z0, Z3, Z3")
		m.store(3, "SI")
	})
	k.done()
}

// philox prints Philox4x32-10 on as many counters at a time as a register has
// lanes, and the comparison of each 16-bit half with the threshold.
func philox(p *printer, s isa) {
	k := function(p, s, "dropoutBits(words []uint16, k0, k1 uint32, row uint64, threshold uint32)", 0, 44)
	move, and := "VMOVDQA32", "VPANDD"
	if k.avx2() {
		move, and = "VMOVDQA", "VPAND"
	}
	k.op("MOVQ words_base+0(FP), DI")
	k.op("MOVQ words_len+8(FP), CX")
	k.op("SHRQ $3, CX")
	k.op("MOVQ row+32(FP), AX")
	k.broadcast("AX", 10)
	k.op("SHRQ $32, AX")
	k.broadcast("AX", 11)
	k.op("MOVL threshold+40(FP), AX")
	k.broadcast("AX", 12)
	if k.avx2() {
		k.op("VMOVUPS %s, Z13", k.table([]uint32{0, 1, 2, 3, 4, 5, 6, 7}))
	} else {
		k.op("VMOVDQU32 lanes<>(SB), Z13")
	}
	k.op("MOVL k0+24(FP), R8")
	k.op("MOVL k1+28(FP), R9")
	m0, m1 := k.bits(0xD2511F53), k.bits(0xCD9E8D57)
	w0, w1 := k.bits(0x9E3779B9), k.bits(0xBB67AE85)
	step, low := k.bits(uint32(s.lanes)), k.bits(0xffff)
	loop, done := k.label("loop"), k.label("done")
	k.op("TESTQ CX, CX")
	k.op("JE %s", done)
	if !k.avx2() {
		k.op("MOVQ $0xaaaa, AX")
		k.op("KMOVW AX, K1")
	}
	k.line("%s:", loop)
	// Two rounds of eight counters make the words that one of sixteen makes.
	for half := range 16 / s.lanes {
		// Z0 to Z3 are the counter, Z4 and Z5 the key.
		k.op("%s Z13, Z0", move)
		k.zero(1)
		k.op("%s Z10, Z2", move)
		k.op("%s Z11, Z3", move)
		k.broadcast("R8", 4)
		k.broadcast("R9", 5)
		// odd puts the odd lanes of Z7 into z.
		odd := func(z int) {
			if k.avx2() {
				k.op("VPBLENDD $0xaa, Z7, Z%d, Z%d", z, z)
			} else {
				k.op("VMOVDQA32 Z7, K1, Z%d", z)
			}
		}
		product := func(x string, mul string, hi, lo int) {
			// The products of the even and the odd lanes, put together again.
			k.op("VPMULUDQ %s, %s, Z6", mul, x)
			k.op("VPSRLQ $32, %s, Z7", x)
			k.op("VPMULUDQ %s, Z7, Z7", mul)
			k.op("VPSRLQ $32, Z6, Z%d", hi)
			odd(hi)
			k.op("%s Z6, Z%d", move, lo)
			k.op("VPSLLQ $32, Z7, Z7")
			odd(lo)
		}
		xor := func(a, b, z int) {
			if k.avx2() {
				k.op("VPXOR Z%d, Z%d, Z%d", a, z, z)
				k.op("VPXOR Z%d, Z%d, Z%d", b, z, z)
			} else {
				k.op("VPTERNLOGD $0x96, Z%d, Z%d, Z%d", a, b, z)
			}
		}
		for range 10 {
			product("Z0", m0, 8, 9)
			product("Z2", m1, 14, 15)
			xor(4, 1, 14)
			xor(5, 3, 8)
			k.op("%s Z14, Z0", move)
			k.op("%s Z15, Z1", move)
			k.op("%s Z8, Z2", move)
			k.op("%s Z9, Z3", move)
			k.op("VPADDD %s, Z4, Z4", w0)
			k.op("VPADDD %s, Z5, Z5", w1)
		}
		for i := range 4 {
			k.op("%s %s, Z%d, Z6", and, low, i)
			k.op("VPSRLD $16, Z%d, Z7", i)
			if k.avx2() {
				// Below the threshold is dropped.
				for z := 6; z < 8; z++ {
					k.op("VPCMPGTD Z%d, Z12, Z%d", z, z)
					k.op("VMOVMSKPS Z%d, AX", z)
					k.op("XORL $0xff, AX")
					k.op("MOVB AX, %d(DI)", i*4+(z-6)*2+half)
				}
				continue
			}
			k.op("VPCMPUD $5, Z12, Z6, K2")
			k.op("VPCMPUD $5, Z12, Z7, K3")
			k.op("KMOVW K2, %d(DI)", i*4)
			k.op("KMOVW K3, %d(DI)", i*4+2)
		}
		k.op("VPADDD %s, Z13, Z13", step)
	}
	k.op("ADDQ $16, DI")
	k.op("DECQ CX")
	k.op("JNE %s", loop)
	k.line("%s:", done)
	k.done()
	if k.avx2() {
		return
	}
	p.line("")
	for i := range 16 {
		p.line("DATA lanes<>+%d(SB)/4, $%d", i*4, i)
	}
	p.line("GLOBL lanes<>(SB), RODATA|NOPTR, $64")
}

// broadcast puts the low half of a general register into every lane of z.
func (k *kern) broadcast(r string, z int) {
	if k.avx2() {
		k.op("VMOVD %s, X%d", r, z)
		k.op("VPBROADCASTD X%d, Z%d", z, z)
	} else {
		k.op("VPBROADCASTD %s, Z%d", r, z)
	}
}

// transpose prints dst[c*32+r] = src[r*stride+c] for sixteen rows and n columns, a
// multiple of sixteen.
func transpose(p *printer, s isa) {
	if s.lanes == 8 {
		transpose2(p, s)
		return
	}
	k := function(p, s, "transpose(dst, src []float32, stride, n int)", 0, 64)
	k.op("MOVQ dst_base+0(FP), DI")
	k.op("MOVQ src_base+24(FP), SI")
	k.op("MOVQ stride+48(FP), DX")
	k.op("SHLQ $2, DX")
	k.op("MOVQ n+56(FP), CX")
	k.op("LEAQ (DX)(DX*2), R8")
	loop, done := k.label("loop"), k.label("done")
	k.op("SHRQ $4, CX")
	k.op("JE %s", done)
	k.line("%s:", loop)
	k.op("MOVQ SI, BX")
	for r := range 16 {
		at := [...]string{"(BX)", "(BX)(DX*1)", "(BX)(DX*2)", "(BX)(R8*1)"}[r%4]
		k.op("VMOVUPS %s, Z%d", at, r)
		if r%4 == 3 {
			k.op("LEAQ (BX)(DX*4), BX")
		}
	}
	// Pairs of rows, then fours within each quarter of a register.
	for q := range 4 {
		a, b, c, d := 4*q, 4*q+1, 4*q+2, 4*q+3
		k.op("VUNPCKLPS Z%d, Z%d, Z%d", b, a, 16)
		k.op("VUNPCKHPS Z%d, Z%d, Z%d", b, a, 17)
		k.op("VUNPCKLPS Z%d, Z%d, Z%d", d, c, 18)
		k.op("VUNPCKHPS Z%d, Z%d, Z%d", d, c, 19)
		k.op("VUNPCKLPD Z18, Z16, Z%d", a)
		k.op("VUNPCKHPD Z18, Z16, Z%d", b)
		k.op("VUNPCKLPD Z19, Z17, Z%d", c)
		k.op("VUNPCKHPD Z19, Z17, Z%d", d)
	}
	// Z(4q+j) holds, in quarter i, column 4i+j of rows 4q to 4q+3.
	for j := range 4 {
		k.op("VSHUFF32X4 $0x44, Z%d, Z%d, Z16", 4+j, j)
		k.op("VSHUFF32X4 $0xee, Z%d, Z%d, Z17", 4+j, j)
		k.op("VSHUFF32X4 $0x44, Z%d, Z%d, Z18", 12+j, 8+j)
		k.op("VSHUFF32X4 $0xee, Z%d, Z%d, Z19", 12+j, 8+j)
		k.op("VSHUFF32X4 $0x88, Z18, Z16, Z20")
		k.op("VSHUFF32X4 $0xdd, Z18, Z16, Z21")
		k.op("VSHUFF32X4 $0x88, Z19, Z17, Z22")
		k.op("VSHUFF32X4 $0xdd, Z19, Z17, Z23")
		for i := range 4 {
			k.op("VMOVUPS Z%d, %d(DI)", 20+i, (4*i+j)*128)
		}
	}
	k.op("ADDQ $64, SI")
	k.op("ADDQ $2048, DI")
	k.op("DECQ CX")
	k.op("JNE %s", loop)
	k.line("%s:", done)
	k.done()
}

// transpose2 prints the same for AVX2, dst[c*16+r], in squares of eight.
func transpose2(p *printer, s isa) {
	k := function(p, s, "transpose(dst, src []float32, stride, n int)", 0, 64)
	k.op("MOVQ dst_base+0(FP), DI")
	k.op("MOVQ src_base+24(FP), SI")
	k.op("MOVQ stride+48(FP), DX")
	k.op("SHLQ $2, DX")
	k.op("MOVQ n+56(FP), CX")
	k.op("LEAQ (DX)(DX*2), R8")
	loop, done := k.label("loop"), k.label("done")
	k.op("SHRQ $3, CX")
	k.op("JE %s", done)
	k.line("%s:", loop)
	k.op("MOVQ SI, BX")
	for half := range 2 {
		for r := range 8 {
			at := [...]string{"(BX)", "(BX)(DX*1)", "(BX)(DX*2)", "(BX)(R8*1)"}[r%4]
			k.op("VMOVUPS %s, Z%d", at, r)
			if r%4 == 3 {
				k.op("LEAQ (BX)(DX*4), BX")
			}
		}
		for q := range 4 {
			k.op("VUNPCKLPS Z%d, Z%d, Z%d", 2*q+1, 2*q, 8+2*q)
			k.op("VUNPCKHPS Z%d, Z%d, Z%d", 2*q+1, 2*q, 9+2*q)
		}
		// Z(4q+j) holds, in half i, column 4i+j of rows 4q to 4q+3.
		for q := range 2 {
			for j := range 2 {
				k.op("VUNPCKLPD Z%d, Z%d, Z%d", 10+4*q+j, 8+4*q+j, 4*q+2*j)
				k.op("VUNPCKHPD Z%d, Z%d, Z%d", 10+4*q+j, 8+4*q+j, 4*q+2*j+1)
			}
		}
		for j := range 4 {
			k.op("VPERM2F128 $0x20, Z%d, Z%d, Z8", 4+j, j)
			k.op("VPERM2F128 $0x31, Z%d, Z%d, Z9", 4+j, j)
			k.op("VMOVUPS Z8, %d(DI)", j*64+half*32)
			k.op("VMOVUPS Z9, %d(DI)", (4+j)*64+half*32)
		}
	}
	k.op("ADDQ $32, SI")
	k.op("ADDQ $512, DI")
	k.op("DECQ CX")
	k.op("JNE %s", loop)
	k.line("%s:", done)
	k.done()
}
