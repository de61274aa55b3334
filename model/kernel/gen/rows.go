package main

// rows prints the functions that need a whole row: layer normalisation, softmax,
// and the decisions of dropout.
func rows(p *printer) {
	norm(p)
	normBackward(p)
	softmax(p)
	softmaxBackward(p)
	philox(p)
	transpose(p)
}

func norm(p *printer) {
	k := function(p, "normRow512(out, sum, x, sub, gain, bias []float32, eps float32) (mean, rstd float32)", 0, 160)
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
		if m.partial {
			k.op("VSUBPS.Z Z5, Z0, K1, Z0")
		} else {
			k.op("VSUBPS Z5, Z0, Z0")
		}
		k.op("VFMADD231PS Z0, Z0, Z4")
	})
	k.total(4, 1)
	k.op("VDIVSS X10, X4, X4")
	k.op("VADDSS eps+144(FP), X4, X4")
	k.op("VSQRTSS X4, X4, X4")
	k.op("VMOVAPS %s, Z0", k.c(1))
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

func normBackward(p *printer) {
	k := function(p, "normRowBackward512(ds, dout, sum, extra, gain, dgain, dbias []float32, mean, rstd float32)", 0, 176)
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

// visible puts into K2 the lanes of this round whose key is seen: those whose
// rank, at R9 unless that is zero, is at most that of Z15.
func (k *kern) visible(m mask) {
	all, done := k.label("all"), k.label("seen")
	if m.partial {
		k.op("KMOVW K1, K2")
	} else {
		k.op("KXNORW K2, K2, K2")
	}
	k.op("TESTQ R9, R9")
	k.op("JE %s", all)
	if m.partial {
		k.op("VMOVDQU32.Z (R9)(%s*4), K1, Z14", m.at)
	} else {
		k.op("VMOVDQU32 (R9)(%s*4), Z14", m.at)
	}
	k.op("VPCMPD $2, Z15, Z14, K2, K2")
	k.op("JMP %s", done)
	k.line("%s:", all)
	k.line("%s:", done)
}

// softmax prints s = exp(scale*s-top) over the seen keys, zero elsewhere, and
// returns top and the sum; then those that dropout drops become zero.
func softmax(p *printer) {
	k := function(p, "softmax512(s []float32, words []uint16, ranks []int32, rank int32, scale float32) (top, sum float32)", 0, 88)
	k.op("MOVQ s_base+0(FP), DI")
	k.op("MOVQ s_len+8(FP), R11")
	k.op("MOVQ words_base+24(FP), DX")
	k.op("MOVQ ranks_base+48(FP), R9")
	k.op("MOVL rank+72(FP), AX")
	k.op("VPBROADCASTD AX, Z15")
	k.op("VBROADCASTSS scale+76(FP), Z13")
	k.op("VMOVAPS %s, Z4", k.bits(0xff800000))
	k.op("MOVQ R11, CX")
	k.loop("CX", "BX", func(m mask) {
		k.visible(m)
		m.load("DI", 0)
		k.op("VMULPS Z13, Z0, Z0")
		k.op("VMAXPS Z0, Z4, K2, Z4")
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
		k.op("VMOVAPS.Z Z0, K2, Z0")
		k.op("VADDPS Z0, Z6, Z6")
		skip := k.label("skip")
		k.op("TESTQ DX, DX")
		k.op("JE %s", skip)
		k.op("MOVQ BX, R8")
		k.op("SHRQ $3, R8")
		k.op("KMOVW (DX)(R8*1), K3")
		k.op("VMOVAPS.Z Z0, K3, Z0")
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
func softmaxBackward(p *printer) {
	k := function(p, "softmaxBackward512(p, g []float32, words []uint16, ranks []int32, rank int32, scale, norm, delta, keep float32)", 0, 116)
	k.op("MOVQ p_base+0(FP), DI")
	k.op("MOVQ p_len+8(FP), CX")
	k.op("MOVQ g_base+24(FP), SI")
	k.op("MOVQ words_base+48(FP), DX")
	k.op("MOVQ ranks_base+72(FP), R9")
	k.op("MOVL rank+96(FP), AX")
	k.op("VPBROADCASTD AX, Z15")
	k.op("VBROADCASTSS scale+100(FP), Z13")
	k.op("VBROADCASTSS norm+104(FP), Z12")
	k.op("VBROADCASTSS delta+108(FP), Z11")
	k.op("VBROADCASTSS keep+112(FP), Z10")
	k.loop("CX", "BX", func(m mask) {
		k.visible(m)
		m.load("DI", 0)
		k.op("VFMSUB132PS Z13, Z12, Z0")
		k.exp(0, 1, 2)
		k.op("VMOVAPS.Z Z0, K2, Z0")
		m.load("SI", 3)
		skip := k.label("skip")
		k.op("VMOVAPS Z0, Z4")
		k.op("TESTQ DX, DX")
		k.op("JE %s", skip)
		k.op("MOVQ BX, R8")
		k.op("SHRQ $3, R8")
		k.op("KMOVW (DX)(R8*1), K3")
		k.op("VMULPS.Z Z10, Z3, K3, Z3")
		k.op("VMULPS.Z Z10, Z0, K3, Z4")
		k.line("%s:", skip)
		m.store(4, "DI")
		k.op("VSUBPS Z11, Z3, Z3")
		k.op("VMULPS Z13, Z0, Z0")
		k.op("VMULPS Z0, Z3, Z3")
		m.store(3, "SI")
	})
	k.done()
}

// philox prints Philox4x32-10 on sixteen counters at a time, and the comparison
// of each 16-bit half with the threshold.
func philox(p *printer) {
	k := function(p, "dropoutBits512(words []uint16, k0, k1 uint32, row uint64, threshold uint32)", 0, 44)
	k.op("MOVQ words_base+0(FP), DI")
	k.op("MOVQ words_len+8(FP), CX")
	k.op("SHRQ $3, CX")
	k.op("MOVQ row+32(FP), AX")
	k.op("VPBROADCASTD AX, Z10")
	k.op("SHRQ $32, AX")
	k.op("VPBROADCASTD AX, Z11")
	k.op("MOVL threshold+40(FP), AX")
	k.op("VPBROADCASTD AX, Z12")
	k.op("VMOVDQU32 lanes<>(SB), Z13")
	k.op("MOVL k0+24(FP), R8")
	k.op("MOVL k1+28(FP), R9")
	m0, m1 := k.bits(0xD2511F53), k.bits(0xCD9E8D57)
	w0, w1 := k.bits(0x9E3779B9), k.bits(0xBB67AE85)
	step, low := k.bits(16), k.bits(0xffff)
	loop, done := k.label("loop"), k.label("done")
	k.op("TESTQ CX, CX")
	k.op("JE %s", done)
	k.op("MOVQ $0xaaaa, AX")
	k.op("KMOVW AX, K1")
	k.line("%s:", loop)
	// Z0 to Z3 are the counter, Z4 and Z5 the key.
	k.op("VMOVDQA32 Z13, Z0")
	k.zero(1)
	k.op("VMOVDQA32 Z10, Z2")
	k.op("VMOVDQA32 Z11, Z3")
	k.op("VPBROADCASTD R8, Z4")
	k.op("VPBROADCASTD R9, Z5")
	product := func(x string, mul string, hi, lo int) {
		// The products of the even and the odd lanes, put together again.
		k.op("VPMULUDQ %s, %s, Z6", mul, x)
		k.op("VPSRLQ $32, %s, Z7", x)
		k.op("VPMULUDQ %s, Z7, Z7", mul)
		k.op("VPSRLQ $32, Z6, Z%d", hi)
		k.op("VMOVDQA32 Z7, K1, Z%d", hi)
		k.op("VMOVDQA32 Z6, Z%d", lo)
		k.op("VPSLLQ $32, Z7, Z7")
		k.op("VMOVDQA32 Z7, K1, Z%d", lo)
	}
	for range 10 {
		product("Z0", m0, 8, 9)
		product("Z2", m1, 14, 15)
		k.op("VPTERNLOGD $0x96, Z4, Z1, Z14")
		k.op("VPTERNLOGD $0x96, Z5, Z3, Z8")
		k.op("VMOVDQA32 Z14, Z0")
		k.op("VMOVDQA32 Z15, Z1")
		k.op("VMOVDQA32 Z8, Z2")
		k.op("VMOVDQA32 Z9, Z3")
		k.op("VPADDD %s, Z4, Z4", w0)
		k.op("VPADDD %s, Z5, Z5", w1)
	}
	for i := range 4 {
		k.op("VPANDD %s, Z%d, Z6", low, i)
		k.op("VPSRLD $16, Z%d, Z7", i)
		k.op("VPCMPUD $5, Z12, Z6, K2")
		k.op("VPCMPUD $5, Z12, Z7, K3")
		k.op("KMOVW K2, %d(DI)", i*4)
		k.op("KMOVW K3, %d(DI)", i*4+2)
	}
	k.op("VPADDD %s, Z13, Z13", step)
	k.op("ADDQ $16, DI")
	k.op("DECQ CX")
	k.op("JNE %s", loop)
	k.line("%s:", done)
	k.done()
	p.line("")
	for i := range 16 {
		p.line("DATA lanes<>+%d(SB)/4, $%d", i*4, i)
	}
	p.line("GLOBL lanes<>(SB), RODATA|NOPTR, $64")
}

// transpose prints dst[c*32+r] = src[r*stride+c] for sixteen rows and n columns, a
// multiple of sixteen.
func transpose(p *printer) {
	k := function(p, "transpose512(dst, src []float32, stride, n int)", 0, 64)
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
