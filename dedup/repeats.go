package dedup

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"
)

// place is a sampled place: the document and the unit in it.
type place struct {
	rank, at uint32
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.at, b.at))
}

// apart reports whether stretches at two places may repeat each other: they must
// not overlap.
func (r *substringRun) apart(a, b place) bool {
	return a.rank != b.rank || max(a.at, b.at)-min(a.at, b.at) >= uint32(r.opt.Length)
}

// findRepeats passes over the sampled places by k-gram. Places of the same
// surroundings repeat the first of them; of the others, those are compared that
// have the k-gram.
func (r *substringRun) findRepeats(ctx context.Context) (err error) {
	if r.spans, err = r.sorter("spans", r.cfg.scaled(r.cfg.MemoryBytes/4, r.recordBytes)); err != nil {
		return err
	}
	r.cfg.Meter.Begin("comparing repeats: "+RuleSubstring, "places", r.sampled, 0)
	g, ctx := errgroup.WithContext(ctx)
	groups := make(chan []place, 64*r.cfg.Jobs)
	for range r.cfg.Jobs {
		g.Go(func() error {
			c := newComparer(r)
			for places := range groups {
				if err := c.compare(places); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(groups)
		return r.eachGroup(ctx, func(places []place) error {
			select {
			case groups <- places:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	return g.Wait()
}

// eachGroup gives f the places of each k-gram that stands at several, one for each
// surroundings and those that overlap that one.
func (r *substringRun) eachGroup(ctx context.Context, f func([]place) error) error {
	w := newWinnow(r.opt.Length, r.width)
	var gram, around []byte
	var group []place
	var first, last place
	size, inGroup := 0, 0
	var pending []place // of these surroundings, too near to the first
	endAround := func() error {
		if size == 0 {
			return nil
		}
		group = append(group, first)
		group = append(group, pending...)
		if r.opt.All && last != first {
			// The last one is what the first ones repeat.
			for _, p := range append(pending, first) {
				if r.apart(p, last) {
					if err := r.addSurroundings(w, p, last); err != nil {
						return err
					}
				}
			}
			if !slices.Contains(pending, last) {
				group = append(group, last)
			}
		}
		size, pending = 0, pending[:0]
		if len(group) >= maxSurroundings {
			// What the k-gram has of places beyond is compared with the first half.
			r.crowded++
			half := slices.Clone(group[:maxSurroundings/2])
			if err := f(slices.Clone(group)); err != nil {
				return err
			}
			group = append(group[:0], half...)
		}
		return nil
	}
	endGroup := func() error {
		if err := endAround(); err != nil {
			return err
		}
		if inGroup > 1 {
			r.repeated += int64(inGroup)
		}
		if len(group) > 1 {
			if err := f(slices.Clone(group)); err != nil {
				return err
			}
		}
		group, inGroup = group[:0], 0
		return nil
	}
	n := int64(0)
	for rec, err := range r.samples.All(ctx) {
		if err != nil {
			return err
		}
		if len(rec.Key) != 24 {
			return errSpilled
		}
		p := place{binary.BigEndian.Uint32(rec.Key[16:]), binary.BigEndian.Uint32(rec.Key[20:])}
		if !bytes.Equal(gram, rec.Key[:8]) {
			if err := endGroup(); err != nil {
				return err
			}
			gram, around = append(gram[:0], rec.Key[:8]...), around[:0]
		}
		if !bytes.Equal(around, rec.Key[8:16]) || size == 0 {
			if err := endAround(); err != nil {
				return err
			}
			around, first = append(around[:0], rec.Key[8:16]...), p
		} else if r.apart(first, p) {
			if err := r.addSurroundings(w, p, first); err != nil {
				return err
			}
		} else {
			pending = append(pending, p)
		}
		size++
		inGroup++
		last = p
		if n++; n%(1<<14) == 0 {
			r.cfg.Meter.Add(1 << 14)
		}
	}
	return endGroup()
}

// addSurroundings marks all the windows of a place that have its k-gram.
func (r *substringRun) addSurroundings(w *winnow, p, like place) error {
	from := max(0, int64(p.at)-int64(w.w)+1)
	to := min(int64(r.docs[p.rank].count), int64(p.at)+int64(r.opt.Length))
	return r.addSpan(p, like, from-int64(p.at), to-int64(p.at))
}

// addSpan records that the units from..to around p stand around like, too.
func (r *substringRun) addSpan(p, like place, from, to int64) error {
	var key [8]byte
	var value [12]byte
	binary.BigEndian.PutUint32(key[:], p.rank)
	binary.BigEndian.PutUint32(key[4:], uint32(int64(p.at)+from))
	binary.BigEndian.PutUint32(value[:], uint32(int64(p.at)+to))
	binary.BigEndian.PutUint32(value[4:], like.rank)
	binary.BigEndian.PutUint32(value[8:], uint32(int64(like.at)+from))
	return r.spans.Add(key[:], value[:])
}

// comparer compares the places of one k-gram. It is the scratch memory of one
// goroutine.
//
// Of a place s the windows of Length units that have the k-gram begin at s-o, for
// o from 0 up to w-1. A node of the comparison is a range of o: the windows of it
// have a core in common, and all of them lie in a span. Places whose spans are
// equal need no more comparison; those whose cores are not, neither. The others
// are compared by halves of the range.
type comparer struct {
	r      *substringRun
	w      *winnow
	in     *spoolReader
	places []place
	// The surroundings of place i are held[i], of which its k-gram begins at
	// left[i], in units. Many are read when they are needed.
	text  []byte
	held  [][]byte
	left  []int32
	right []int32 // units from the k-gram's begin to the end
	buf   []byte
}

// heldBytes is how much of surroundings is held at once.
const heldBytes = 2 << 20

func newComparer(r *substringRun) *comparer {
	return &comparer{r: r, w: newWinnow(r.opt.Length, r.width), in: r.unitsOf().reader()}
}

func (c *comparer) compare(places []place) error {
	slices.SortFunc(places, comparePlaces)
	c.places = slices.Compact(places)
	c.left, c.right, c.held, c.text = c.left[:0], c.right[:0], c.held[:0], c.text[:0]
	total := 0
	for _, p := range c.places {
		left := min(int(p.at), c.w.w-1)
		right := min(int(c.r.docs[p.rank].count)-int(p.at), c.r.opt.Length)
		c.left, c.right = append(c.left, int32(left)), append(c.right, int32(right))
		total += (left + right) * c.r.width
	}
	if total <= heldBytes {
		c.text = slices.Grow(c.text, total)
		for i, p := range c.places {
			from := len(c.text)
			var err error
			if c.text, err = c.read(c.text, i, p, -int(c.left[i]), int(c.right[i])); err != nil {
				return err
			}
			c.held = append(c.held, c.text[from:])
		}
	}
	all := make([]int32, len(c.places))
	for i := range all {
		all[i] = int32(i)
	}
	return c.node(0, c.w.w-1, all)
}

func (c *comparer) read(dst []byte, i int, p place, from, to int) ([]byte, error) {
	return c.in.read(dst, c.r.at(p.rank)+int64(int(p.at)+from)*int64(c.r.width), (to-from)*c.r.width)
}

// view is the units from..to around place i. It is valid until the next call.
func (c *comparer) view(i int32, from, to int) ([]byte, error) {
	if len(c.held) > 0 {
		left := int(c.left[i])
		return c.held[i][(left+from)*c.r.width : (left+to)*c.r.width], nil
	}
	var err error
	c.buf, err = c.read(c.buf[:0], int(i), c.places[i], from, to)
	return c.buf, err
}

// pairwise is how many places are compared each with each.
const pairwise = 4

func (c *comparer) node(low, high int, places []int32) error {
	if len(c.held) > 0 && len(places) <= pairwise {
		return c.pairs(places)
	}
	// The places that have a window of the range.
	in := make([]int32, 0, len(places))
	for _, i := range places {
		if max(0, c.r.opt.Length-int(c.right[i])) <= high && int(c.left[i]) >= low {
			in = append(in, i)
		}
	}
	keep, err := c.spansOf(low, high, in)
	if err != nil || low == high || len(keep) < 2 {
		return err
	}
	middle := (low + high) / 2
	for _, half := range [2][2]int{{low, middle}, {middle + 1, high}} {
		groups, err := c.coresOf(half[0], half[1], keep)
		if err != nil {
			return err
		}
		for _, g := range groups {
			if err := c.node(half[0], half[1], g); err != nil {
				return err
			}
		}
	}
	return nil
}

// spansOf compares the spans of the range, marks those that repeat another one,
// and returns the places that must be compared more closely.
func (c *comparer) spansOf(low, high int, places []int32) (keep []int32, err error) {
	type ends struct{ first, last int32 }
	seen := make(map[uint64]ends, len(places))
	hashes := make([]uint64, len(places))
	for k, i := range places {
		from, to := c.spanOf(i, low, high)
		b, err := c.view(i, from, to)
		if err != nil {
			return nil, err
		}
		h := xxh3.HashSeed(b, uint64(-from))
		hashes[k] = h
		e, ok := seen[h]
		if !ok {
			e.first = i
		}
		e.last = i
		seen[h] = e
	}
	for k, i := range places {
		e := seen[hashes[k]]
		from, to := c.spanOf(i, low, high)
		like := int32(-1)
		switch {
		case e.first < i && c.r.apart(c.places[e.first], c.places[i]):
			like = e.first
		case c.r.opt.All && e.last > i && c.r.apart(c.places[e.last], c.places[i]):
			like = e.last
		}
		if like >= 0 {
			if err := c.r.addSpan(c.places[i], c.places[like], int64(from), int64(to)); err != nil {
				return nil, err
			}
		}
		if like < 0 || i == e.first || c.r.opt.All && i == e.last {
			keep = append(keep, i)
		}
	}
	return keep, nil
}

// spanOf bounds what the windows of place i cover that begin high up to low units
// before it.
func (c *comparer) spanOf(i int32, low, high int) (from, to int) {
	return -min(high, int(c.left[i])), min(c.r.opt.Length-low, int(c.right[i]))
}

// coresOf groups the places that have a window of the range by what all windows of
// it have in common. Groups of one are left out.
func (c *comparer) coresOf(low, high int, places []int32) ([][]int32, error) {
	number := map[uint64]int{}
	var groups [][]int32
	for _, i := range places {
		if max(0, c.r.opt.Length-int(c.right[i])) > high || int(c.left[i]) < low {
			continue
		}
		b, err := c.view(i, -low, c.r.opt.Length-high)
		if err != nil {
			return nil, err
		}
		h := xxh3.Hash(b)
		g, ok := number[h]
		if !ok {
			g = len(groups)
			number[h] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return slices.DeleteFunc(groups, func(g []int32) bool { return len(g) < 2 }), nil
}

// pairs compares each place with each.
func (c *comparer) pairs(places []int32) error {
	for a, i := range places {
		for _, j := range places[a+1:] {
			p, q := c.places[i], c.places[j]
			if !c.r.apart(p, q) {
				continue
			}
			x, y := c.held[i], c.held[j]
			w := c.r.width
			left := commonSuffix(x[:int(c.left[i])*w], y[:int(c.left[j])*w]) / w
			right := commonPrefix(x[int(c.left[i])*w:], y[int(c.left[j])*w:]) / w
			if left+right < c.r.opt.Length {
				continue
			}
			if err := c.r.addSpan(q, p, int64(-left), int64(right)); err != nil {
				return err
			}
			if c.r.opt.All {
				if err := c.r.addSpan(p, q, int64(-left), int64(right)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for i+8 <= n && binary.LittleEndian.Uint64(a[i:]) == binary.LittleEndian.Uint64(b[i:]) {
		i += 8
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func commonSuffix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for i+8 <= n && binary.LittleEndian.Uint64(a[len(a)-i-8:]) == binary.LittleEndian.Uint64(b[len(b)-i-8:]) {
		i += 8
	}
	for i < n && a[len(a)-1-i] == b[len(b)-1-i] {
		i++
	}
	return i
}
