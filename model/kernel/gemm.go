package kernel

// Mat is a row-major matrix: element (i, j) is Data[i*Stride+j]. Its shape is
// said by whoever uses it.
type Mat struct {
	Data   []float32
	Stride int
}

// Activation is what a Gemm applies to its result.
type Activation uint8

// The activations.
const (
	None Activation = iota
	// GELU is x*Phi(x), Phi being the normal distribution function (Hendrycks and
	// Gimpel 2016, the exact form).
	GELU
	// GELUTanh is x/2*(1+tanh(sqrt(2/pi)*(x+0.044715*x^3))) (ibid., section 2).
	GELUTanh
	// Tanh is the hyperbolic tangent.
	Tanh
	// SiLU is x/(1+exp(-x)); times another product it is SwiGLU (Shazeer 2020).
	SiLU
	// ReLU is max(x, 0).
	ReLU
)

// Form says which of a Gemm's factors are transposed.
type Form uint8

// The forms: of C[m,n] = A*B, what is stored.
const (
	// NN stores A as [m,k] and B as [k,n].
	NN Form = iota
	// NT stores A as [m,k] and B as [n,k]; a linear layer's forward pass.
	NT
	// TN stores A as [k,m] and B as [k,n]; a weight's gradient.
	TN
)

// GemmArgs describes C = epilogue(op(A)*op(B)).
type GemmArgs struct {
	// Op names the product in profiles.
	Op      string
	Form    Form
	M, N, K int
	A, C    Mat
	// B is the second factor. More than one part means that they are stacked along
	// the rows as stored, all of the same number of rows: the query, key and value
	// weights of a layer make one product.
	B      [3]Mat
	BParts int
	// Precision is what the elements of A and B are rounded to.
	Precision Precision

	// Accumulate adds the product to C. Excludes the rest of the epilogue.
	Accumulate bool
	// Bias holds one slice of N/BParts elements per part; a nil one adds nothing.
	Bias [3][]float32
	// Act is applied to the biased product. With it, C receives the activation and
	// Deriv, when its Data is not nil, the activation's derivative.
	Act   Activation
	Deriv Mat
	// Mul, when its Data is not nil, multiplies the result element by element.
	Mul Mat

	// around, unless nil, is told of each block of rows when its work begins and
	// when it ends, on the worker that does it. The blocks are blockRows high and
	// as wide as C.
	around    rowWork
	blockRows int
}

// rowWork is what is done to rows of a product's operands while they are in
// cache: to A's before the product and to C's after it.
type rowWork interface {
	before(block int)
	after(block int)
}

const (
	// kBlock is how many products a register tile sums before it is added to C.
	// It fixes the order of every sum, so it is the same for all jobs.
	kBlock = 256
	// rowBlock is the number of rows of A that stay in the second-level cache.
	rowBlock = 252
	// colBlock bounds the columns of C that a task goes over once for each kBlock,
	// so that they stay in the second-level cache.
	colBlock = 512
)

// tile is the work of one call of a micro-kernel: C[rows, cols] (+)= A*B, where
// element (i, l) of A is at a[i*ars+l*acs], each mr rows group elements after those
// before (a kernel that does not copy A has group at mr*ars), and B is one panel of at most nr
// columns, row l at b[l*ldb], all nr of them there to be read. Strides count
// elements. For a micro-kernel on bf16 an element of A and B is a pair along the
// depth, and k counts pairs; see bf16.go.
type tile struct {
	a        []float32
	ars, acs int
	b        []float32
	ldb      int
	c        []float32
	ldc      int
	rows     int
	cols     int
	k        int
	add      bool
	group    int
}

// setA says where A lies, not copied.
func (t *tile) setA(mr int, a []float32, ars, acs int) {
	t.a, t.ars, t.acs, t.group = a, ars, acs, mr*ars
}

// Gemm runs the product g describes on the pool.
func Gemm(p *Pool, g GemmArgs) {
	t := &p.gemm
	t.GemmArgs = g
	t.p = p
	if g.BParts == 0 {
		t.BParts = 1
	}
	if g.M == 0 || g.N == 0 {
		return
	}
	p.begin()
	nr := p.ops.nr
	t.panels = (g.N + nr - 1) / nr
	// Whole panels of a B that is stored row by row can be read in place. Where the
	// second-level cache has few ways that pays for few rows of A only.
	t.pairs = g.Precision == BF16 && p.ops.blockPairs != nil
	t.direct = g.Precision == FP32 && g.Form != NT && t.BParts == 1 && g.N%nr == 0 && (!p.ops.copies || g.M < 4*p.ops.mr)
	t.ars, t.acs = g.A.Stride, 1
	if g.Form == TN {
		t.ars, t.acs = 1, g.A.Stride
	}
	// Blocks of the output: large, so that what is read of A and B is reused, but
	// enough of them to keep all workers busy to the end.
	t.rowBlocks = (g.M + rowBlock - 1) / rowBlock
	t.colBlocks = (g.N + colBlock - 1) / colBlock
	for t.rowBlocks*t.colBlocks < 3*p.jobs && p.jobs > 1 {
		if g.M/t.rowBlocks >= 8*p.ops.mr {
			t.rowBlocks *= 2
		} else if 2*t.colBlocks <= t.panels {
			t.colBlocks *= 2
		} else {
			break
		}
	}
	t.rowBlock = roundUp((g.M+t.rowBlocks-1)/t.rowBlocks, p.ops.mr)
	t.rowBlocks = (g.M + t.rowBlock - 1) / t.rowBlock
	if g.around != nil {
		t.rowBlock, t.colBlocks = g.blockRows, 1
		t.rowBlocks = (g.M + t.rowBlock - 1) / t.rowBlock
	}
	// What only one item reads it packs itself, a block at a time.
	t.inner = !t.direct && g.Form != NT && t.rowBlocks == 1
	if !t.direct && !t.inner {
		t.packed = grow(t.packed, t.panels*nr*t.depth(g.K))
		t.phase = packB
		p.run(t.panels, t)
	}
	t.phase = multiply
	p.run(t.rowBlocks*t.colBlocks, t)
	p.end(g.Op, 2*float64(g.M)*float64(g.N)*float64(g.K), 4*(float64(g.M)*float64(g.N)+float64(g.M)*float64(g.K)+float64(g.N)*float64(g.K)))
	t.GemmArgs = GemmArgs{}
}

type gemmPhase uint8

const (
	packB gemmPhase = iota
	multiply
)

type gemmTask struct {
	GemmArgs
	p                              *Pool
	phase                          gemmPhase
	ars, acs                       int
	panels                         int
	direct, inner, pairs           bool
	packed                         []float32
	rowBlock, rowBlocks, colBlocks int
}

func (t *gemmTask) do(worker, item int) {
	s := t.p.scratch[worker]
	if t.phase == packB {
		t.pack(s, item)
		return
	}
	t.multiply(s, item)
}

// depth returns how many elements k steps of the sum are as they are packed.
func (t *gemmTask) depth(k int) int {
	if t.pairs {
		return (k + 1) / 2
	}
	return k
}

// pack lays panel j of B out as the micro-kernel reads it: nr columns, one row
// of k after the other, zeros where the matrix ends.
func (t *gemmTask) pack(s *scratch, j int) {
	nr, depth := t.p.ops.nr, t.depth(t.K)
	dst := t.packed[j*nr*depth : (j+1)*nr*depth]
	if t.Form != NT {
		t.packRows(dst, j, 0, t.K)
		return
	}
	first := j * nr
	cols := min(nr, t.N-first)
	part := t.N / t.BParts
	for c := 0; c < nr; {
		n := first + c
		if c >= cols {
			for l := range depth {
				clear(dst[l*nr+c : (l+1)*nr])
			}
			break
		}
		b := &t.B[n/part]
		rows := min(cols-c, part-n%part)
		x := b.Data[n%part*b.Stride:]
		if t.pairs {
			t.p.ops.packPairsT(s.floats(0, nr*pairStride), dst[c:], x, b.Stride, rows, t.K)
		} else {
			t.p.ops.packT(dst[c:], x, b.Stride, rows, t.K)
		}
		c += rows
	}
	t.round(dst)
}

// round rounds what was packed and is not in pairs, which are rounded already.
func (t *gemmTask) round(x []float32) {
	if t.Precision == BF16 && !t.pairs {
		t.p.ops.roundBF16(x, x)
	}
}

// packRows lays rows k to k+n of panel j of a B that is stored row by row out.
func (t *gemmTask) packRows(dst []float32, j, k, n int) {
	nr := t.p.ops.nr
	first := j * nr
	cols := min(nr, t.N-first)
	part := t.K / t.BParts
	if t.pairs {
		row := func(l int) []float32 {
			b := &t.B[l/part]
			return b.Data[l%part*b.Stride+first:][:cols]
		}
		for l := k; l < k+n; l += 2 {
			var next []float32
			if l+1 < k+n {
				next = row(l + 1)
			}
			t.p.ops.interleave(dst[:nr], row(l), next)
			clear(dst[cols:nr])
			dst = dst[nr:]
		}
		return
	}
	defer t.round(dst[:n*nr])
	for l := k; l < k+n; {
		b := &t.B[l/part]
		rows := min(k+n, (l/part+1)*part) - l
		src := b.Data[l%part*b.Stride+first:]
		if cols == 16 && nr == 16 {
			for i := range rows {
				*(*[16]float32)(dst[i*16:]) = *(*[16]float32)(src[i*b.Stride:])
			}
		} else {
			for i := range rows {
				row := dst[i*nr : i*nr+nr]
				clear(row[copy(row, src[i*b.Stride:][:cols]):])
			}
		}
		dst = dst[rows*nr:]
		l += rows
	}
}

// packT sets dst[l*nr+r] to src[r*stride+l] for rows rows, at most nr, and k
// columns.
func (o *ops) packT(dst, src []float32, stride, rows, k int) {
	r := 0
	if o.transpose != nil {
		whole := k &^ 15
		for ; r+16 <= rows; r += 16 {
			o.transpose(dst[r:], src[r*stride:], stride, whole)
			for i := r; i < r+16; i++ {
				for l := whole; l < k; l++ {
					dst[l*o.nr+i] = src[i*stride+l]
				}
			}
		}
	}
	for ; r < rows; r++ {
		for l, v := range src[r*stride:][:k] {
			dst[l*o.nr+r] = v
		}
	}
}

// pairStride is the distance of the rows of pairs that packPairsT makes on the way.
const pairStride = kBlock/2 + 16

// packPairsT is packT of pairs: dst[l*nr+r] becomes the pair of src[r*stride+2l] and
// the element after it. buf holds nr*pairStride elements.
func (o *ops) packPairsT(buf, dst, src []float32, stride, rows, k int) {
	for l := 0; l < k; l += kBlock {
		n := min(kBlock, k-l)
		for r := range rows {
			o.pairs(buf[r*pairStride:][:(n+1)/2], src[r*stride+l:][:n])
		}
		o.packT(dst[l/2*o.nr:], buf, pairStride, rows, (n+1)/2)
	}
}

func (t *gemmTask) multiply(s *scratch, item int) {
	o := t.p.ops
	block, depth := o.block, t.depth(t.K)
	if t.pairs {
		block = o.blockPairs
	}
	nr := o.nr
	rb, cb := item%t.rowBlocks, item/t.rowBlocks
	row := rb * t.rowBlock
	rows := min(t.rowBlock, t.M-row)
	panel, lastPanel := t.panels*cb/t.colBlocks, t.panels*(cb+1)/t.colBlocks
	col, cols := panel*nr, min(t.N, lastPanel*nr)-panel*nr
	if t.around != nil {
		t.around.before(rb)
		defer t.around.after(rb)
	}
	w := &s.tile
	w.ldb, w.ldc = nr, t.C.Stride
	if t.direct {
		w.ldb = t.B[0].Stride
	}
	for k := 0; k < t.K || k == 0; k += kBlock {
		n := min(kBlock, t.K-k)
		w.k = t.depth(n)
		w.add = t.Accumulate || k > 0
		var inner []float32
		if t.inner {
			inner = s.floats(1, (lastPanel-panel)*w.k*nr)
			for j := panel; j < lastPanel; j++ {
				t.packRows(inner[(j-panel)*w.k*nr:], j, k, n)
			}
		}
		for first := row; first < row+rows; first += rowBlock {
			w.rows = min(rowBlock, row+rows-first)
			t.takeA(s, first, k, n, lastPanel-panel)
			for j := panel; j < lastPanel; j++ {
				switch {
				case t.direct:
					w.b = t.B[0].Data[k*w.ldb+j*nr:]
				case t.inner:
					w.b = inner[(j-panel)*w.k*nr:]
				default:
					w.b = t.packed[(j*depth+t.depth(k))*nr:]
				}
				w.c = t.C.Data[first*t.C.Stride+j*nr:]
				w.cols = min(nr, t.N-j*nr)
				block(w)
			}
		}
	}
	t.epilogue(row, rows, col, cols)
}

// takeA has the worker's tile read the rows and columns of A it is about to
// multiply, copied when that pays: rows a power of two apart share the few ways
// of a cache, and a column of a transposed A is far apart.
func (t *gemmTask) takeA(s *scratch, row, k, n, panels int) {
	w, o := &s.tile, t.p.ops
	a := t.A.Data[row*t.ars+k*t.acs:]
	switch {
	case t.pairs && t.Form == TN:
		buf := s.floats(0, w.rows*w.k)
		for l := 0; l < n; l += 2 {
			var next []float32
			if l+1 < n {
				next = a[(l+1)*t.acs:][:w.rows]
			}
			o.interleave(buf[l/2*w.rows:][:w.rows], a[l*t.acs:][:w.rows], next)
		}
		w.setA(o.mr, buf, 1, w.rows)
	case t.pairs:
		stride := w.k + 16
		buf := s.floats(0, w.rows*stride)
		for i := range w.rows {
			o.pairs(buf[i*stride:][:w.k], a[i*t.ars:][:n])
		}
		w.setA(o.mr, buf, stride, 1)
	case t.Form == TN && o.groups != nil:
		// Groups of rows side by side, no power of two apart.
		w.group = o.mr*w.k + 16
		buf := s.floats(0, (w.rows+o.mr-1)/o.mr*w.group)
		whole := w.rows / o.mr * o.mr
		o.groups(buf, a, t.acs, whole, w.k, w.group)
		for l := 0; whole < w.rows && l < w.k; l++ {
			copy(buf[whole/o.mr*w.group+l*o.mr:][:o.mr], a[l*t.acs+whole:l*t.acs+w.rows])
		}
		t.round(buf)
		w.a, w.ars, w.acs = buf, 1, o.mr
	case t.Form == TN:
		buf := s.floats(0, w.rows*w.k)
		for l := range w.k {
			copy(buf[l*w.rows:(l+1)*w.rows], a[l*t.acs:])
		}
		t.round(buf)
		w.setA(o.mr, buf, 1, w.rows)
	case t.Precision == BF16, o.copies && panels > 3 && t.ars%512 == 0:
		stride := w.k + 16
		buf := s.floats(0, w.rows*stride)
		for i := range w.rows {
			to, from := buf[i*stride:i*stride+w.k], a[i*t.ars:][:w.k]
			if t.Precision == BF16 {
				o.roundBF16(to, from)
			} else {
				copy(to, from)
			}
		}
		w.setA(o.mr, buf, stride, 1)
	default:
		w.setA(o.mr, a, t.ars, t.acs)
	}
}

// epilogue finishes a block of C while it is in cache.
func (t *gemmTask) epilogue(row, rows, col, cols int) {
	if t.Accumulate || t.Bias[0] == nil && t.Act == None && t.Mul.Data == nil {
		return
	}
	part := t.N / t.BParts
	for i := row; i < row+rows; i++ {
		c := t.C.Data[i*t.C.Stride+col:][:cols]
		for j := 0; j < cols; {
			q := (col + j) / part
			end := min(cols, (q+1)*part-col)
			if b := t.Bias[q]; b != nil {
				t.p.ops.add(c[j:end], b[col+j-q*part:][:end-j])
			}
			j = end
		}
		if t.Act != None {
			var d []float32
			if t.Deriv.Data != nil {
				d = t.Deriv.Data[i*t.Deriv.Stride+col:][:cols]
			}
			t.p.ops.activate(t.Act, c, d)
		}
		if t.Mul.Data != nil {
			t.p.ops.mul(c, t.Mul.Data[i*t.Mul.Stride+col:][:cols])
		}
	}
}

// referenceBlock is the specification of a micro-kernel.
func referenceBlock(t *tile) {
	for i := 0; i < t.rows; i += 2 {
		a0 := t.a[i*t.ars:]
		a1 := a0
		if i+1 < t.rows {
			a1 = t.a[(i+1)*t.ars:]
		}
		var s [2][4]float32
		s[0], s[1] = dot2x4(a0, a1, t.b, t.acs, t.ldb, t.k)
		for r := range min(2, t.rows-i) {
			c := t.c[(i+r)*t.ldc:][:t.cols]
			for j := range c {
				if t.add {
					c[j] += s[r][j]
				} else {
					c[j] = s[r][j]
				}
			}
		}
	}
}

func dot2x4(a0, a1, b []float32, acs, ldb, k int) (u, v [4]float32) {
	var u0, u1, u2, u3, v0, v1, v2, v3 float32
	p := 0
	for l := range k {
		x, y := a0[p], a1[p]
		q := (*[4]float32)(b[l*ldb:])
		u0 += x * q[0]
		u1 += x * q[1]
		u2 += x * q[2]
		u3 += x * q[3]
		v0 += y * q[0]
		v1 += y * q[1]
		v2 += y * q[2]
		v3 += y * q[3]
		p += acs
	}
	return [4]float32{u0, u1, u2, u3}, [4]float32{v0, v1, v2, v3}
}

func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return Floats(n + n/8)
	}
	return s[:n]
}
