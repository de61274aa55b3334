package trainer

import (
	"math"
	"strings"

	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
)

// hidden reports whether a parameter is a matrix inside the trunk, of which Muon
// makes the step orthogonal: not an embedding and not a classifier.
func hidden(p *model.Param) bool {
	if len(p.Shape) != 2 || min(p.Shape[0], p.Shape[1]) < 4 {
		return false
	}
	for _, part := range []string{"embeddings.", ".wte.", ".wpe.", "cls.seq_relationship"} {
		if strings.Contains(p.Name, part) {
			return false
		}
	}
	return true
}

// The coefficients of the iteration that makes a matrix orthogonal, and the
// number of its rounds (Jordan et al. 2024).
var newtonSchulz = [3]float32{3.4445, -4.7750, 2.0315}

const newtonSchulzRounds = 5

func (a *optimizer) muon(i int, p *model.Param, lr, decay, scale float64) {
	m, u := a.slots[0].data[i], a.take(0, len(p.Data))
	const b = muonMomentum
	gs := float32(scale)
	a.chunks(len(m), func(lo, hi int) {
		for j := lo; j < hi; j++ {
			g := p.Grad[j] * gs
			m[j] = b*m[j] + (1-b)*g
			u[j] = b*m[j] + (1-b)*g // Nesterov's look ahead
		}
	})
	a.orthogonal(u, p.Shape[0], p.Shape[1])
	// An orthogonal matrix has elements of the root mean square 1/sqrt(max(rows,
	// columns)); AdamW's steps have about 0.2.
	step := float32(lr * 0.2 * math.Sqrt(float64(max(p.Shape[0], p.Shape[1]))))
	keep := float32(1 - lr*decay)
	a.chunks(len(m), func(lo, hi int) {
		for j := lo; j < hi; j++ {
			p.Data[j] = keep*p.Data[j] - step*u[j]
		}
	})
}

// orthogonal replaces the matrix x, [rows, cols], by about the nearest one whose
// singular values are all alike.
func (a *optimizer) orthogonal(x []float32, rows, cols int) {
	norm := math.Sqrt(kernel.SumSquares(a.pool, x))
	if norm == 0 {
		return
	}
	f := float32(1 / norm)
	for j := range x {
		x[j] *= f
	}
	// The products are taken on the smaller side.
	n, tall := min(rows, cols), rows > cols
	gram, poly, next := a.take(1, n*n), a.take(2, n*n), a.take(3, len(x))
	mat := func(d []float32, stride int) kernel.Mat { return kernel.Mat{Data: d, Stride: stride} }
	for range newtonSchulzRounds {
		g := kernel.GemmArgs{Op: "muon", Form: kernel.NT, M: n, N: n, K: cols, A: mat(x, cols), B: [3]kernel.Mat{mat(x, cols)}, C: mat(gram, n)}
		if tall {
			g.Form, g.K = kernel.TN, rows
		}
		kernel.Gemm(a.pool, g)
		kernel.Gemm(a.pool, kernel.GemmArgs{
			Op: "muon", Form: kernel.NN, M: n, N: n, K: n, A: mat(gram, n), B: [3]kernel.Mat{mat(gram, n)}, C: mat(poly, n),
		})
		for j := range poly {
			poly[j] = newtonSchulz[1]*gram[j] + newtonSchulz[2]*poly[j]
		}
		g = kernel.GemmArgs{Op: "muon", Form: kernel.NN, M: rows, N: cols, K: n, A: mat(poly, n), B: [3]kernel.Mat{mat(x, cols)}, C: mat(next, cols)}
		if tall {
			g.A, g.B[0] = mat(x, cols), mat(poly, n)
		}
		kernel.Gemm(a.pool, g)
		for j := range x {
			x[j] = newtonSchulz[0]*x[j] + next[j]
		}
	}
}
