package main

// expTerms are the coefficients, highest first, of (exp(r)-1-r)/r^2 for r within
// half a logarithm of two of zero.
var expTerms = []float64{
	0.00019891981314, 0.00139345419283, 0.00833331002423, 0.0416664568097, 0.166666666825, 0.500000001429,
}

// erfcScale and erfcTerms fit erfc(z)*exp(z*z) = t*P(t), t = 1/(1+erfcScale*z),
// for z from 0 to 9.4, to 7.5e-8 relative to 1/t; highest coefficient first.
const erfcScale = 0.3275911

var erfcTerms = []float64{
	-0.145208295978, 0.514012474902, -0.436443103638, 0.482139062875,
	0.00961531738831, 0.210884770473, 0.179888492128, 0.185111206646,
}

const (
	halfRoot   = 0.7071067811865476 // sqrt(1/2)
	normalPeak = 0.3989422804014327 // 1/sqrt(2*pi)
	geluRoot   = 0.7978845608028654 // sqrt(2/pi)
	geluCube   = 0.044715
)

// elementwise prints the functions that go along rows.
func elementwise(p *printer, s isa) {
	gelu(p, s)
	geluTanh(p, s)
	vocabulary(p, s)
	arithmetic(p, s)
	sums(p, s)
	adam(p, s)
}

// gelu prints x = x*Phi(x) and d = Phi(x) + x*phi(x).
func gelu(p *printer, s isa) {
	k := function(p, s, "gelu(x, d []float32)", 0, 48)
	k.op("MOVQ x_base+0(FP), DI")
	k.op("MOVQ x_len+8(FP), CX")
	k.op("MOVQ d_base+24(FP), SI")
	k.loop("CX", "BX", func(m mask) {
		m.load("DI", 0)
		k.op("VANDPS %s, Z0, Z1", k.bits(0x7fffffff))
		k.set(1, 2)
		k.op("VFMADD132PS %s, Z2, Z1", k.c(erfcScale*halfRoot))
		k.op("VDIVPS Z1, Z2, Z1")
		k.op("VMULPS Z0, Z0, Z2")
		k.op("VMULPS %s, Z2, Z2", k.c(-0.5))
		k.exp(2, 3, 4)
		// Half of erfc(|x|/sqrt 2), which is Phi(-|x|).
		k.set(erfcTerms[0]/2, 3)
		for _, c := range erfcTerms[1:] {
			k.op("VFMADD213PS %s, Z1, Z3", k.c(c/2))
		}
		k.op("VMULPS Z1, Z3, Z3")
		k.op("VMULPS Z2, Z3, Z3")
		if k.avx2() {
			k.set(1, 4)
			k.op("VSUBPS Z3, Z4, Z4")
			k.op("VBLENDVPS Z0, Z3, Z4, Z4")
		} else {
			k.op("VPMOVD2M Z0, K2")
			k.op("VSUBPS Z3, %s, Z4", k.c(1))
			k.op("VMOVAPS Z3, K2, Z4")
		}
		k.op("VMULPS %s, Z2, Z2", k.c(normalPeak))
		k.op("VFMADD213PS Z4, Z0, Z2")
		k.op("VMULPS Z0, Z4, Z4")
		m.store(4, "DI")
		skip := k.label("skip")
		k.op("TESTQ SI, SI")
		k.op("JE %s", skip)
		m.store(2, "SI")
		k.line("%s:", skip)
	})
	k.done()
}

// geluTanh prints x = x*s and its derivative, s = 1/(1+exp(-2*u)) being half of
// 1+tanh(u), u = sqrt(2/pi)*(x+0.044715*x^3).
func geluTanh(p *printer, s isa) {
	k := function(p, s, "geluTanh(x, d []float32)", 0, 48)
	k.op("MOVQ x_base+0(FP), DI")
	k.op("MOVQ x_len+8(FP), CX")
	k.op("MOVQ d_base+24(FP), SI")
	k.loop("CX", "BX", func(m mask) {
		m.load("DI", 0)
		k.op("VMULPS Z0, Z0, Z1")
		k.set(-2*geluRoot, 2)
		k.op("VFMADD231PS %s, Z1, Z2", k.c(-2*geluRoot*geluCube))
		k.op("VMULPS Z0, Z2, Z2")
		// Beyond 80 the sigmoid is zero or one, and exp must not overflow.
		k.op("VMINPS %s, Z2, Z2", k.c(80))
		k.exp(2, 3, 4)
		k.set(1, 3)
		k.op("VADDPS Z3, Z2, Z2")
		k.op("VDIVPS Z2, Z3, Z2")
		// d = s + x*s*(1-s)*2*sqrt(2/pi)*(1+3*0.044715*x^2)
		k.op("VSUBPS Z2, Z3, Z3")
		k.op("VMULPS Z2, Z0, Z0")
		k.set(2*geluRoot, 4)
		k.op("VFMADD132PS %s, Z4, Z1", k.c(6*geluRoot*geluCube))
		k.op("VMULPS Z3, Z1, Z1")
		k.op("VFMADD213PS Z2, Z0, Z1")
		m.store(0, "DI")
		skip := k.label("skip")
		k.op("TESTQ SI, SI")
		k.op("JE %s", skip)
		m.store(1, "SI")
		k.line("%s:", skip)
	})
	k.done()
}

// silu prints x = x*s and its derivative s*(1+x*(1-s)), s = 1/(1+exp(-x)).
func silu(p *printer, s isa) {
	k := function(p, s, "silu(x, d []float32)", 0, 48)
	k.op("MOVQ x_base+0(FP), DI")
	k.op("MOVQ x_len+8(FP), CX")
	k.op("MOVQ d_base+24(FP), SI")
	k.loop("CX", "BX", func(m mask) {
		m.load("DI", 0)
		k.op("VMULPS %s, Z0, Z2", k.c(-1))
		// Beyond 80 the sigmoid is zero, and exp must not overflow.
		k.op("VMINPS %s, Z2, Z2", k.c(80))
		k.exp(2, 3, 4)
		k.set(1, 3)
		k.op("VADDPS Z3, Z2, Z2")
		k.op("VDIVPS Z2, Z3, Z2")
		k.op("VMULPS Z2, Z0, Z0")
		m.store(0, "DI")
		skip := k.label("skip")
		k.op("TESTQ SI, SI")
		k.op("JE %s", skip)
		k.op("VSUBPS Z2, Z3, Z1")
		k.op("VFMADD213PS Z2, Z0, Z1")
		m.store(1, "SI")
		k.line("%s:", skip)
	})
	k.done()
}

// roundBF16 prints dst = src rounded to the upper half of its bits, to nearest and
// ties to even.
func roundBF16(p *printer, s isa) {
	k := function(p, s, "roundBF16(dst, src []float32)", 0, 48)
	k.op("MOVQ dst_base+0(FP), DI")
	k.op("MOVQ src_base+24(FP), SI")
	k.op("MOVQ src_len+32(FP), CX")
	k.loop("CX", "BX", func(m mask) {
		m.load("SI", 0)
		k.op("VPSRLD $16, Z0, Z1")
		k.op("VPAND %s, Z1, Z1", k.bits(1))
		k.op("VPADDD %s, Z1, Z1", k.bits(0x7fff))
		k.op("VPADDD Z0, Z1, Z1")
		// Rounding must not carry out of what is not a number.
		k.op("VCMPPS $3, Z0, Z0, Z2")
		k.op("VPOR %s, Z0, Z0", k.bits(1<<22))
		k.op("VBLENDVPS Z2, Z0, Z1, Z1")
		k.op("VPAND %s, Z1, Z1", k.bits(0xffff0000))
		m.store(1, "DI")
	})
	k.done()
}

func vocabulary(p *printer, s isa) {
	k := function(p, s, "biasMax(row, top []float32, bias float32)", 0, 52)
	k.op("MOVQ row_base+0(FP), DI")
	k.op("MOVQ row_len+8(FP), CX")
	k.op("MOVQ top_base+24(FP), SI")
	k.op("VBROADCASTSS bias+48(FP), Z1")
	k.loop("CX", "BX", func(m mask) {
		m.load("DI", 0)
		k.op("VADDPS Z1, Z0, Z0")
		m.store(0, "DI")
		m.load("SI", 2)
		k.op("VMAXPS Z2, Z0, Z2")
		m.store(2, "SI")
	})
	k.done()

	k = function(p, s, "expSum(row, top, total []float32)", 0, 72)
	k.op("MOVQ row_base+0(FP), DI")
	k.op("MOVQ row_len+8(FP), CX")
	k.op("MOVQ top_base+24(FP), SI")
	k.op("MOVQ total_base+48(FP), DX")
	k.loop("CX", "BX", func(m mask) {
		m.load("DI", 0)
		m.load("SI", 1)
		k.op("VSUBPS Z1, Z0, Z0")
		k.exp(0, 1, 2)
		m.store(0, "DI")
		m.load("DX", 3)
		k.op("VADDPS Z0, Z3, Z3")
		m.store(3, "DX")
	})
	k.done()

	k = function(p, s, "scaleSum(row, factor []float32) float32", 0, 52)
	k.op("MOVQ row_base+0(FP), DI")
	k.op("MOVQ row_len+8(FP), CX")
	k.op("MOVQ factor_base+24(FP), SI")
	k.zero(2)
	k.loop("CX", "BX", func(m mask) {
		m.load("DI", 0)
		m.load("SI", 1)
		k.op("VMULPS Z1, Z0, Z0")
		m.store(0, "DI")
		k.op("VADDPS Z0, Z2, Z2")
	})
	k.total(2, 1)
	k.op("VMOVSS X2, ret+48(FP)")
	k.done()
}

func arithmetic(p *printer, s isa) {
	for _, f := range []struct{ name, op string }{{"add(x, y []float32)", "VADDPS"}, {"mul(x, y []float32)", "VMULPS"}} {
		k := function(p, s, f.name, 0, 48)
		k.op("MOVQ x_base+0(FP), DI")
		k.op("MOVQ x_len+8(FP), CX")
		k.op("MOVQ y_base+24(FP), SI")
		k.loop("CX", "BX", func(m mask) {
			m.load("DI", 0)
			m.load("SI", 1)
			k.op("%s Z1, Z0, Z0", f.op)
			m.store(0, "DI")
		})
		k.done()
	}

	k := function(p, s, "scale(x []float32, factor float32)", 0, 28)
	k.op("MOVQ x_base+0(FP), DI")
	k.op("MOVQ x_len+8(FP), CX")
	k.op("VBROADCASTSS factor+24(FP), Z1")
	k.loop("CX", "BX", func(m mask) {
		m.load("DI", 0)
		k.op("VMULPS Z1, Z0, Z0")
		m.store(0, "DI")
	})
	k.done()

	k = function(p, s, "sum(dst, x, y []float32)", 0, 72)
	k.op("MOVQ dst_base+0(FP), DI")
	k.op("MOVQ dst_len+8(FP), CX")
	k.op("MOVQ x_base+24(FP), SI")
	k.op("MOVQ y_base+48(FP), DX")
	k.loop("CX", "BX", func(m mask) {
		m.load("SI", 0)
		m.load("DX", 1)
		k.op("VADDPS Z1, Z0, Z0")
		m.store(0, "DI")
	})
	k.done()

	k = function(p, s, "drop(dst, src []float32, words []uint16, scale float32)", 0, 76)
	k.op("MOVQ dst_base+0(FP), DI")
	k.op("MOVQ src_base+24(FP), SI")
	k.op("MOVQ src_len+32(FP), CX")
	k.op("MOVQ words_base+48(FP), DX")
	k.op("VBROADCASTSS scale+72(FP), Z1")
	k.loop("CX", "BX", func(m mask) {
		if k.avx2() {
			m.kept(2)
			m.load("SI", 0)
			k.op("VMULPS Z1, Z0, Z0")
			k.op("VANDPS Z2, Z0, Z0")
		} else {
			k.op("MOVQ BX, R8")
			k.op("SHRQ $3, R8")
			k.op("KMOVW (DX)(R8*1), K2")
			m.load("SI", 0)
			k.op("VMULPS.Z Z1, Z0, K2, Z0")
		}
		m.store(0, "DI")
	})
	k.done()
}

func sums(p *printer, s isa) {
	k := function(p, s, "dot(x, y []float32) float32", 0, 52)
	k.op("MOVQ x_base+0(FP), DI")
	k.op("MOVQ x_len+8(FP), CX")
	k.op("MOVQ y_base+24(FP), SI")
	k.zero(2)
	k.loop("CX", "BX", func(m mask) {
		m.load("DI", 0)
		m.load("SI", 1)
		k.op("VFMADD231PS Z1, Z0, Z2")
	})
	k.total(2, 1)
	k.op("VMOVSS X2, ret+48(FP)")
	k.done()

	// Squares are summed in double precision, half a register at a time.
	k = function(p, s, "sumSquares(x []float32) float64", 0, 32)
	k.op("MOVQ x_base+0(FP), DI")
	k.op("MOVQ x_len+8(FP), CX")
	for i := 4; i < 6; i++ {
		k.zero(i)
	}
	k.loop("CX", "BX", func(m mask) {
		m.load("DI", 0)
		if k.avx2() {
			k.op("VCVTPS2PD X0, Z1")
			k.op("VEXTRACTF128 $1, Z0, X0")
			k.op("VCVTPS2PD X0, Z2")
		} else {
			k.op("VCVTPS2PD Y0, Z1")
			k.op("VEXTRACTF64X4 $1, Z0, Y0")
			k.op("VCVTPS2PD Y0, Z2")
		}
		k.op("VFMADD231PD Z1, Z1, Z4")
		k.op("VFMADD231PD Z2, Z2, Z5")
	})
	k.op("VADDPD Z5, Z4, Z4")
	if !k.avx2() {
		k.op("VEXTRACTF64X4 $1, Z4, Y0")
		k.op("VADDPD Y0, Y4, Y4")
	}
	k.op("VEXTRACTF128 $1, Y4, X0")
	k.op("VADDPD X0, X4, X4")
	k.op("VPERMILPD $1, X4, X0")
	k.op("VADDPD X0, X4, X4")
	k.op("VMOVSD X4, ret+24(FP)")
	k.done()

	if k.avx2() {
		columnSums2(p, s)
		return
	}
	// Sums of at most 64 columns, 64 rows at a time before they are added to dst.
	k = function(p, s, "columnSums(dst, x []float32, stride, rows int)", 0, 64)
	k.op("MOVQ dst_base+0(FP), DI")
	k.op("MOVQ dst_len+8(FP), CX")
	k.op("MOVQ x_base+24(FP), SI")
	k.op("MOVQ stride+48(FP), DX")
	k.op("SHLQ $2, DX")
	k.op("MOVQ rows+56(FP), R8")
	k.op("MOVQ $-1, AX")
	k.op("BZHIQ CX, AX, AX")
	for i := range 4 {
		k.op("KMOVW AX, K%d", i+1)
		k.op("SHRQ $16, AX")
	}
	for i := range 4 {
		k.op("VMOVUPS.Z %d(DI), K%d, Z%d", i*64, i+1, 8+i)
	}
	blocks, rows, end := k.label("blocks"), k.label("rows"), k.label("end")
	k.op("TESTQ R8, R8")
	k.op("JE %s", end)
	k.line("%s:", blocks)
	k.op("MOVQ $64, R9")
	k.op("CMPQ R8, R9")
	k.op("CMOVQLT R8, R9")
	k.op("SUBQ R9, R8")
	for i := range 4 {
		k.zero(i)
	}
	k.line("%s:", rows)
	for i := range 4 {
		k.op("VMOVUPS.Z %d(SI), K%d, Z%d", i*64, i+1, 4+i)
		k.op("VADDPS Z%d, Z%d, Z%d", 4+i, i, i)
	}
	k.op("ADDQ DX, SI")
	k.op("DECQ R9")
	k.op("JNE %s", rows)
	for i := range 4 {
		k.op("VADDPS Z%d, Z%d, Z%d", i, 8+i, 8+i)
	}
	k.op("TESTQ R8, R8")
	k.op("JNE %s", blocks)
	k.line("%s:", end)
	for i := range 4 {
		k.op("VMOVUPS Z%d, K%d, %d(DI)", 8+i, i+1, i*64)
	}
	k.done()
}

// adam prints one step of AdamW; the constants lie in c in the order b1, c1, b2,
// c2, lr, root, eps, keep, scale.
func adam(p *printer, s isa) {
	k := function(p, s, "adamW(w, g, m, v []float32, c *adamConstants)", 0, 104)
	k.op("MOVQ w_base+0(FP), DI")
	k.op("MOVQ w_len+8(FP), CX")
	k.op("MOVQ g_base+24(FP), SI")
	k.op("MOVQ m_base+48(FP), DX")
	k.op("MOVQ v_base+72(FP), R8")
	k.op("MOVQ c+96(FP), R9")
	// The constants lie in the registers from r.
	r := 10
	if k.avx2() {
		r = 4
	}
	for i := range 9 {
		k.op("VBROADCASTSS %d(R9), Z%d", i*4, r+i)
	}
	k.loop("CX", "BX", func(m mask) {
		m.load("SI", 0)
		k.op("VMULPS Z%d, Z0, Z0", r+8)
		m.load("DX", 1)
		k.op("VMULPS Z%d, Z1, Z1", r)
		k.op("VFMADD231PS Z%d, Z0, Z1", r+1)
		m.store(1, "DX")
		m.load("R8", 2)
		k.op("VMULPS Z0, Z0, Z0")
		k.op("VMULPS Z%d, Z2, Z2", r+2)
		k.op("VFMADD231PS Z%d, Z0, Z2", r+3)
		m.store(2, "R8")
		k.op("VSQRTPS Z2, Z2")
		k.op("VFMADD213PS Z%d, Z%d, Z2", r+6, r+5)
		k.op("VMULPS Z%d, Z1, Z1", r+4)
		k.op("VDIVPS Z2, Z1, Z1")
		m.load("DI", 3)
		k.op("VFMSUB213PS Z1, Z%d, Z3", r+7)
		m.store(3, "DI")
	})
	k.done()
}

// columnSums2 prints the same sums for AVX2: four registers of columns at a time,
// and what is left by one.
func columnSums2(p *printer, s isa) {
	k := function(p, s, "columnSums(dst, x []float32, stride, rows int)", 0, 64)
	k.op("MOVQ dst_base+0(FP), DI")
	k.op("MOVQ dst_len+8(FP), CX")
	k.op("MOVQ x_base+24(FP), SI")
	k.op("MOVQ stride+48(FP), DX")
	k.op("SHLQ $2, DX")
	for _, n := range []int{4, 1} {
		next, skip := k.label("columns"), k.label("skip")
		k.line("%s:", next)
		k.op("CMPQ CX, $%d", map[int]int{4: 4 * k.s.lanes, 1: 1}[n])
		k.op("JLT %s", skip)
		if n == 1 {
			whole := k.label("whole")
			k.op("MOVQ CX, BX")
			k.op("CMPQ BX, $%d", k.s.lanes)
			k.op("JLE %s", whole)
			k.op("MOVQ $%d, BX", k.s.lanes)
			k.line("%s:", whole)
			k.lowLanes("BX")
		}
		m := mask{k: k, at: "BX", partial: n == 1}
		k.op("XORQ BX, BX")
		for i := range n {
			m.offset(i).load("DI", 8+i)
		}
		blocks, rows := k.label("blocks"), k.label("rows")
		k.op("MOVQ rows+56(FP), R8")
		k.op("MOVQ SI, R10")
		k.line("%s:", blocks)
		k.op("MOVQ $64, R9")
		k.op("CMPQ R8, R9")
		k.op("CMOVQLT R8, R9")
		k.op("SUBQ R9, R8")
		for i := range n {
			k.zero(i)
		}
		k.line("%s:", rows)
		for i := range n {
			m.offset(i).load("R10", 4+i)
			k.op("VADDPS Z%d, Z%d, Z%d", 4+i, i, i)
		}
		k.op("ADDQ DX, R10")
		k.op("DECQ R9")
		k.op("JNE %s", rows)
		for i := range n {
			k.op("VADDPS Z%d, Z%d, Z%d", i, 8+i, 8+i)
		}
		k.op("TESTQ R8, R8")
		k.op("JNE %s", blocks)
		for i := range n {
			m.offset(i).store(8+i, "DI")
		}
		k.op("ADDQ $%d, DI", n*k.s.lanes*4)
		k.op("ADDQ $%d, SI", n*k.s.lanes*4)
		k.op("SUBQ $%d, CX", n*k.s.lanes)
		k.op("JMP %s", next)
		k.line("%s:", skip)
	}
	k.done()
}
