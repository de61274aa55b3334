package masking

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/bits"
)

// Digest identifies the content of any number of sequences: the sum, modulo
// 2^256, of a SHA-256 of each. The order in which they are added does not matter,
// so that the digests of all ranks' parts add up to that of the whole step, and
// those of steps to that of a range.
type Digest [4]uint64

// Add adds the sequences of another digest.
func (d *Digest) Add(o Digest) {
	var carry uint64
	for i := range d {
		d[i], carry = bits.Add64(d[i], o[i], carry)
	}
}

// String returns 64 hex digits.
func (d Digest) String() string {
	var b [32]byte
	for i, v := range d {
		binary.BigEndian.PutUint64(b[24-8*i:], v)
	}
	return hex.EncodeToString(b[:])
}

// Digest returns the digest of all that the model sees of the batch, with the
// step and each sequence's place in the stream.
func (b *Batch) Digest() Digest {
	var sum Digest
	var text []byte
	at, noise := 0, 0
	for i := range b.Sequences() {
		from, to := b.SeqBounds[i], b.SeqBounds[i+1]
		text = binary.LittleEndian.AppendUint64(text[:0], uint64(b.Step))
		text = binary.LittleEndian.AppendUint64(text, uint64(b.Origins[i].Index))
		text = appendInts(text, b.Tokens[from:to])
		text = append(text, b.Segments[from:to]...)
		if b.Ranks != nil {
			text = appendInts(text, b.Ranks[from:to])
		}
		first := at
		for at < len(b.Predict) && b.Predict[at] < to {
			at++
		}
		text = binary.LittleEndian.AppendUint32(text, uint32(at-first))
		for j := first; j < at; j++ {
			text = binary.LittleEndian.AppendUint32(text, uint32(b.Predict[j]-from))
		}
		if b.Values == nil {
			text = appendInts(text, b.Labels[first:at])
		}
		if b.TwoStream {
			text = append(text, 2)
		}
		if b.SpanStarts != nil {
			for j := first; j < at; j++ {
				text = binary.LittleEndian.AppendUint32(text, uint32(b.SpanStarts[j]-from))
				text = binary.LittleEndian.AppendUint32(text, uint32(b.SpanEnds[j]-from))
			}
		}
		if b.TargetBounds != nil {
			text = appendInts(text, b.Targets[b.TargetBounds[i]:b.TargetBounds[i+1]])
		}
		if b.PairLabels != nil {
			text = appendInts(text, b.PairLabels[i:i+1])
		}
		if b.Classes != 0 {
			text = appendInts(append(text, 3), []int32{b.Classes})
		}
		if b.Values != nil {
			text = appendFloats(append(text, 4), b.Values[first:at])
		}
		if b.Noise != nil {
			text = append(text, 5)
			for ; noise < len(b.Noise) && b.Noise[noise] < to; noise++ {
				text = binary.LittleEndian.AppendUint32(text, uint32(b.Noise[noise]-from))
			}
		}
		if b.SequenceClasses != 0 {
			text = appendInts(append(text, 6), []int32{b.SequenceClasses})
		}
		if b.SequenceValues != nil {
			text = appendFloats(append(text, 7), b.SequenceValues[i:i+1])
		}
		if b.Partners != nil {
			text = appendInts(append(text, 8), b.Partners[i:i+1])
		}
		hash := sha256.Sum256(text)
		var d Digest
		for j := range d {
			d[j] = binary.LittleEndian.Uint64(hash[8*j:])
		}
		sum.Add(d)
	}
	return sum
}

// appendInts appends a list so that no two lists of lists look alike.
func appendInts(dst []byte, list []int32) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(list)))
	for _, v := range list {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(v))
	}
	return dst
}

func appendFloats(dst []byte, list []float32) []byte {
	for _, v := range list {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
	}
	return dst
}
