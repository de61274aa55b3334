package tensor

// Block is a part of a network that can be computed again.
type Block interface {
	// Forward returns the block's results. It must do the same each time, and read
	// no other tensor of the tape whose gradient matters than its inputs.
	Forward(in [2]*Tensor) [2]*Tensor
}

// Recompute returns what f makes of its inputs, some of which may be nil, without
// keeping what it computes on the way: going backwards, f is run again (Chen et al.
// 2016). Without gradients it only runs f.
func (t *Tape) Recompute(f Block, in [2]*Tensor) [2]*Tensor {
	if !t.grads {
		return f.Forward(in)
	}
	r := t.again.next()
	*r = recomputation{f: f, in: in}
	// The results' memory comes first, so that what comes after can be given back;
	// how much they need is known after f has run once.
	t.grads = false
	m := t.marks()
	out := f.Forward(in)
	t.grads = true
	for i, x := range out {
		if x != nil {
			r.kept[i] = t.gradient(len(x.Data))
			copy(r.kept[i], x.Data)
		}
	}
	t.releaseTo(m)
	for i, x := range out {
		if x == nil {
			continue
		}
		y := t.New(x.Rows, x.Cols)
		copy(y.Data, r.kept[i])
		t.spare = append(t.spare, r.kept[i])
		r.out[i] = y
	}
	for _, x := range in {
		if x != nil {
			x.readers++
		}
	}
	t.record(r)
	return r.out
}

type recomputation struct {
	f       Block
	in, out [2]*Tensor
	kept    [2][]float32
}

func (r *recomputation) backward(t *Tape) {
	n, m := len(t.ops), t.marks()
	out := r.f.Forward(r.in)
	for i, x := range out {
		if x == nil || r.out[i].Grad == nil {
			continue
		}
		x.Grad, x.seen = r.out[i].Grad, true
		r.out[i].Grad = nil
	}
	t.backwardTo(n)
	t.releaseTo(m)
}

// marks are the places of the slabs whose pieces only recorded operations read.
type marks struct{ floats, words, ints, keys mark }

func (t *Tape) marks() marks {
	return marks{t.floats.mark(), t.words.mark(), t.ints.mark(), t.keys.mark()}
}

func (t *Tape) releaseTo(m marks) {
	t.floats.release(m.floats)
	t.words.release(m.words)
	t.ints.release(m.ints)
	t.keys.release(m.keys)
}
