package kernel

import (
	"math"

	"github.com/tributary-ml/tributary/mixer/counter"
)

// Dropout says which elements of an activation are zeroed in training. The
// decision for an element is a pure function of the key, its row and its column,
// so it depends on no order of work. The zero value keeps everything.
type Dropout struct {
	// Key is the key of the operation (its layer, its place in it, the step).
	Key counter.Key
	// P is the probability that an element is zeroed. It is rounded to a multiple
	// of 2^-16; what is kept is scaled so that the mean is exact.
	P float32
}

// Words returns how many 16-bit words hold the decisions for a row of n
// elements.
func (d Dropout) Words(n int) int {
	if !d.on() {
		return 0
	}
	return (n + 127) / 128 * 8
}

func (d Dropout) threshold() uint32 {
	return uint32(min(65535, math.Round(float64(d.P)*65536)))
}

func (d Dropout) on() bool { return d.P > 0 && d.threshold() > 0 }

// scale returns the factor of the elements that are kept.
func (d Dropout) scale() float32 {
	return float32(65536 / float64(65536-d.threshold()))
}

// dropoutBits fills words with the decisions for a row: bit i of word w is set
// when element 16*w+i is kept. Elements 128*g to 128*g+127 come from the blocks
// 16*g to 16*g+15 of the key: word 8*g+2*q+s takes its bit i from half s (low,
// high) of number q of block 16*g+i.
func dropoutBits(words []uint16, k0, k1 uint32, row uint64, threshold uint32) {
	key := counter.KeyOf(k0, k1)
	for g := 0; g < len(words); g += 8 {
		w := words[g : g+8 : g+8]
		clear(w)
		for i := range 16 {
			b := key.Block(row, uint64(g/8*16+i))
			for q, v := range b {
				if v&0xffff >= threshold {
					w[2*q] |= 1 << i
				}
				if v>>16 >= threshold {
					w[2*q+1] |= 1 << i
				}
			}
		}
	}
}

// bits fills words with the decisions for a row.
func (d Dropout) bits(o *ops, words []uint16, row uint64) {
	k0, k1 := d.Key.Words()
	o.dropoutBits(words, k0, k1, row, d.threshold())
}

// drop sets dst to src with the elements dropped that words drops.
func drop(dst, src []float32, words []uint16, scale float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		if words[i>>4]>>(i&15)&1 != 0 {
			dst[i] = v * scale
		} else {
			dst[i] = 0
		}
	}
}
