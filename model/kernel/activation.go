package kernel

import "math"

// gelu replaces x by its GELU and sets d, unless it is empty, to the derivative.
func gelu(x, d []float32) {
	for i, v := range x {
		u := float64(v)
		phi := 0.5 * math.Erfc(-u/math.Sqrt2)
		x[i] = float32(u * phi)
		if len(d) > 0 {
			d[i] = float32(phi + u*math.Exp(-0.5*u*u)/math.Sqrt(2*math.Pi))
		}
	}
}

// geluTanh does the same for the tanh form.
func geluTanh(x, d []float32) {
	const c, e = 0.7978845608028654, 0.044715
	for i, v := range x {
		u := float64(v)
		t := math.Tanh(c * (u + e*u*u*u))
		x[i] = float32(0.5 * u * (1 + t))
		if len(d) > 0 {
			d[i] = float32(0.5*(1+t) + 0.5*u*(1-t*t)*c*(1+3*e*u*u))
		}
	}
}

func tanh(x, d []float32) {
	for i, v := range x {
		t := math.Tanh(float64(v))
		x[i] = float32(t)
		if len(d) > 0 {
			d[i] = float32(1 - t*t)
		}
	}
}

// silu replaces x by x/(1+exp(-x)).
func silu(x, d []float32) {
	for i, v := range x {
		u := float64(v)
		s := 1 / (1 + math.Exp(-u))
		x[i] = float32(u * s)
		if len(d) > 0 {
			d[i] = float32(s * (1 + u*(1-s)))
		}
	}
}

// relu replaces what is negative by zero.
func relu(x, d []float32) {
	for i, v := range x {
		x[i] = max(v, 0)
		if len(d) > 0 {
			d[i] = 0
			if v > 0 {
				d[i] = 1
			}
		}
	}
}

func (o *ops) activate(a Activation, x, d []float32) {
	switch a {
	case GELU:
		o.gelu(x, d)
	case GELUTanh:
		o.geluTanh(x, d)
	case Tanh:
		tanh(x, d)
	case SiLU:
		o.silu(x, d)
	case ReLU:
		relu(x, d)
	}
}
