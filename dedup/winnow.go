package dedup

import "encoding/binary"

// winnow chooses positions of a sequence by its content: of each window of w
// consecutive k-grams the one of the least hash, the rightmost of equals. So any
// two equal stretches of w+k-1 units have a chosen k-gram in common, at the same
// place in both (Schleimer, Wilkerson and Aiken, "Winnowing", SIGMOD 2003); on
// random text two of w+1 positions are chosen.
type winnow struct {
	k, w  int
	width int      // bytes of a unit: 1 or 4
	power uint64   // shingleBase^(k-1)
	ring  []uint64 // hashes by position modulo its length, a power of two
}

// newWinnow returns the sampler that finds all repeats of length units.
func newWinnow(length, width int) *winnow {
	k := max(length/3, 1)
	s := &winnow{k: k, w: length - k + 1, width: width, power: 1}
	for range k - 1 {
		s.power *= shingleBase
	}
	n := 1
	for n < s.w {
		n *= 2
	}
	s.ring = make([]uint64, n)
	return s
}

func (s *winnow) unit(units []byte, i int) uint64 {
	if s.width == 1 {
		return uint64(units[i]) + 1
	}
	return uint64(binary.LittleEndian.Uint32(units[4*i:])) + 1
}

// each calls f with the chosen positions, ascending, and the hashes of their
// k-grams. Sequences shorter than a window have none.
func (s *winnow) each(units []byte, f func(at int, hash uint64) error) error {
	n := len(units) / s.width
	if n < s.w+s.k-1 {
		return nil
	}
	h := uint64(0)
	for i := range s.k - 1 {
		h = h*shingleBase + s.unit(units, i)
	}
	mask := len(s.ring) - 1
	least, last := -1, -1
	leastHash := uint64(0)
	for i := 0; i+s.k <= n; i++ {
		h = h*shingleBase + s.unit(units, i+s.k-1)
		x := mix64(h)
		h -= s.unit(units, i) * s.power
		s.ring[i&mask] = x
		if least < 0 || x <= leastHash {
			least, leastHash = i, x
		} else if least <= i-s.w {
			least, leastHash = i, x
			for j := i - 1; j > i-s.w; j-- {
				if s.ring[j&mask] < leastHash {
					least, leastHash = j, s.ring[j&mask]
				}
			}
		}
		if i >= s.w-1 && least != last {
			last = least
			if err := f(least, leastHash); err != nil {
				return err
			}
		}
	}
	return nil
}
