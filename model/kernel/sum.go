package kernel

// sumCols is how many columns one item of a column-wise sum takes.
const sumCols = 64

// sumRows is how many rows are summed before they are added to the total.
const sumRows = 64

// AddColumnSums adds to dst the sums of the columns of x, a matrix of rows rows
// and cols columns.
func AddColumnSums(p *Pool, dst []float32, x Mat, rows, cols int) {
	p.begin()
	p.sums = sumTask{p: p, kind: columnSumming, dst: dst, x: x, rows: rows, n: cols, partial: p.sums.partial}
	p.run((cols+sumCols-1)/sumCols, &p.sums)
	p.sums = sumTask{partial: p.sums.partial}
	p.end("bias gradient", 0, 4*float64(rows)*float64(cols))
}

// squareChunk is how many elements are summed before they are added to the total
// of SumSquares.
const squareChunk = 1 << 14

// SumSquares returns the sum of the squares of x's elements.
func SumSquares(p *Pool, x []float32) float64 {
	p.begin()
	chunks := (len(x) + squareChunk - 1) / squareChunk
	partial := p.sums.partial
	if cap(partial) < chunks {
		partial = make([]float64, chunks)
	}
	partial = partial[:chunks]
	p.sums = sumTask{p: p, kind: squareSums, x: Mat{Data: x}, partial: partial}
	p.run(chunks, &p.sums)
	var total float64
	for _, v := range partial {
		total += v
	}
	p.sums = sumTask{partial: partial}
	p.end("sum of squares", 0, 4*float64(len(x)))
	return total
}

// Clear sets x to zero.
func Clear(p *Pool, x []float32) {
	p.begin()
	p.sums = sumTask{p: p, kind: clearing, x: Mat{Data: x}, partial: p.sums.partial}
	p.run((len(x)+squareChunk-1)/squareChunk, &p.sums)
	p.sums = sumTask{partial: p.sums.partial}
	p.end("clear", 0, 4*float64(len(x)))
}

// Multiply multiplies the elements of x by those of y.
func Multiply(p *Pool, x, y []float32) {
	p.begin()
	p.sums = sumTask{p: p, kind: multiplying, dst: y, x: Mat{Data: x}, partial: p.sums.partial}
	p.run((len(x)+squareChunk-1)/squareChunk, &p.sums)
	p.sums = sumTask{partial: p.sums.partial}
	p.end("multiply", 0, 12*float64(len(x)))
}

// Product sets dst to x*y, element by element.
func Product(p *Pool, dst, x, y []float32) { product(p, "product", dst, x, y, false) }

// ProductGrad sets dst to the gradient of a factor, that of the product times the
// other factor, or adds it.
func ProductGrad(p *Pool, dst, grad, other []float32, add bool) {
	product(p, "product backward", dst, grad, other, add)
}

func product(p *Pool, op string, dst, x, y []float32, add bool) {
	p.begin()
	p.sums = sumTask{p: p, kind: productOf, dst: dst, x: Mat{Data: x}, y: y, add: add, partial: p.sums.partial}
	p.run((len(x)+squareChunk-1)/squareChunk, &p.sums)
	p.sums = sumTask{partial: p.sums.partial}
	p.end(op, 0, 12*float64(len(x)))
}

type sumKind uint8

const (
	columnSumming sumKind = iota
	squareSums
	clearing
	multiplying
	productOf
)

type sumTask struct {
	p       *Pool
	kind    sumKind
	dst     []float32
	x       Mat
	y       []float32
	add     bool
	rows, n int
	partial []float64
}

func (t *sumTask) do(worker, item int) {
	if t.kind != columnSumming {
		x := t.x.Data[item*squareChunk : min(len(t.x.Data), (item+1)*squareChunk)]
		switch t.kind {
		case clearing:
			clear(x)
		case multiplying:
			t.p.ops.mul(x, t.dst[item*squareChunk:][:len(x)])
		case productOf:
			at := item * squareChunk
			dst := t.dst[at : at+len(x)]
			if t.add {
				dst = t.p.scratch[worker].floats(9, len(x))
			}
			copy(dst, x)
			t.p.ops.mul(dst, t.y[at:])
			if t.add {
				t.p.ops.add(t.dst[at:at+len(x)], dst)
			}
		case squareSums:
			t.partial[item] = t.p.ops.sumSquares(x)
		}
		return
	}
	first := item * sumCols
	cols := min(sumCols, t.n-first)
	if t.rows > 0 {
		t.p.ops.columnSums(t.dst[first:first+cols], t.x.Data[first:], t.x.Stride, t.rows)
	}
}

// columnSums adds the sums of at most sumCols columns of x to dst.
func columnSums(dst, x []float32, stride, rows int) {
	for i := 0; i < rows; i += sumRows {
		var sum [sumCols]float32
		for r := i; r < min(rows, i+sumRows); r++ {
			for j, v := range x[r*stride:][:len(dst)] {
				sum[j] += v
			}
		}
		for j := range dst {
			dst[j] += sum[j]
		}
	}
}

// add adds y to x.
func add(x, y []float32) {
	y = y[:len(x)]
	for i, v := range y {
		x[i] += v
	}
}

// mul multiplies x by y.
func mul(x, y []float32) {
	y = y[:len(x)]
	for i, v := range y {
		x[i] *= v
	}
}

// scale multiplies x by factor.
func scale(x []float32, factor float32) {
	for i := range x {
		x[i] *= factor
	}
}

// sum sets dst to x+y.
func sum(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i, v := range x {
		dst[i] = v + y[i]
	}
}

func dot(x, y []float32) float32 {
	y = y[:len(x)]
	var s float32
	for i, v := range x {
		s += v * y[i]
	}
	return s
}

func sumSquares(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}
