package kernel

import "slices"

// EmbedArgs describes the sum of the embeddings of Rows tokens: row i of Out is
// Word[Tokens[i]] + Position[Positions[i]] + Segment[Segments[i]]. Segment may
// be nil. All matrices have Cols columns and no gaps.
type EmbedArgs struct {
	Cols                    int
	Word, Position, Segment []float32
	Tokens, Positions       []int32
	Segments                []uint8
	Out                     []float32
}

// rowsPerItem is how many rows one item of a row-wise operation takes.
const rowsPerItem = 64

// Embed runs a.
func Embed(p *Pool, a EmbedArgs) {
	p.begin()
	p.embed = embedTask{a, p}
	p.run((len(a.Tokens)+rowsPerItem-1)/rowsPerItem, &p.embed)
	p.embed = embedTask{}
	p.end("embedding forward", 0, 8*float64(len(a.Tokens))*float64(a.Cols))
}

type embedTask struct {
	EmbedArgs
	p *Pool
}

func (t *embedTask) do(_, item int) {
	n := t.Cols
	for i := item * rowsPerItem; i < min(len(t.Tokens), (item+1)*rowsPerItem); i++ {
		out := t.Out[i*n : (i+1)*n]
		w := t.Word[int(t.Tokens[i])*n:][:n]
		q := t.Position[int(t.Positions[i])*n:][:n]
		t.p.ops.sum(out, w, q)
		if t.Segment != nil {
			t.p.ops.add(out, t.Segment[int(t.Segments[i])*n:][:n])
		}
	}
}

// ScatterKey names row of a source that ScatterAdd adds to row id of the
// destination.
func ScatterKey(id int32, row int) uint64 { return uint64(uint32(id))<<32 | uint64(uint32(row)) }

// ScatterAdd adds, for each key, a row of src to a row of dst, both of cols
// columns. The keys are sorted in place, so that each destination row is summed
// by one worker in the order of the source rows.
func ScatterAdd(p *Pool, dst, src []float32, cols int, keys []uint64) {
	p.begin()
	slices.Sort(keys)
	p.scatter = scatterTask{p, dst, src, cols, keys}
	p.run((len(keys)+rowsPerItem-1)/rowsPerItem, &p.scatter)
	p.scatter = scatterTask{}
	p.end("embedding backward", 0, 12*float64(len(keys))*float64(cols))
}

type scatterTask struct {
	p        *Pool
	dst, src []float32
	cols     int
	keys     []uint64
}

// do takes the destination rows whose first key is among the item's keys.
func (t *scatterTask) do(_, item int) {
	first, last := item*rowsPerItem, min(len(t.keys), (item+1)*rowsPerItem)
	for first < last && first > 0 && t.keys[first]>>32 == t.keys[first-1]>>32 {
		first++
	}
	n := t.cols
	for i := first; i < last; {
		id := t.keys[i] >> 32
		dst := t.dst[int(id)*n:][:n]
		for ; i < len(t.keys) && t.keys[i]>>32 == id; i++ {
			src := t.src[int(uint32(t.keys[i]))*n:][:n]
			t.p.ops.add(dst, src)
		}
	}
}

// GatherRows copies row index[i] of src to row i of dst, both of cols columns.
func GatherRows(p *Pool, dst, src []float32, cols int, index []int32) {
	p.begin()
	p.rows = rowsTask{p, dst, src, cols, index, false}
	p.run((len(index)+rowsPerItem-1)/rowsPerItem, &p.rows)
	p.rows = rowsTask{}
	p.end("rows", 0, 8*float64(len(index))*float64(cols))
}

// AddRows adds row i of src to row index[i] of dst, both of cols columns. No
// index may occur twice.
func AddRows(p *Pool, dst, src []float32, cols int, index []int32) {
	p.begin()
	p.rows = rowsTask{p, dst, src, cols, index, true}
	p.run((len(index)+rowsPerItem-1)/rowsPerItem, &p.rows)
	p.rows = rowsTask{}
	p.end("rows", 0, 8*float64(len(index))*float64(cols))
}

type rowsTask struct {
	p        *Pool
	dst, src []float32
	cols     int
	index    []int32
	add      bool
}

func (t *rowsTask) do(_, item int) {
	n := t.cols
	for i := item * rowsPerItem; i < min(len(t.index), (item+1)*rowsPerItem); i++ {
		at := int(t.index[i])
		if !t.add {
			copy(t.dst[i*n:(i+1)*n], t.src[at*n:(at+1)*n])
			continue
		}
		dst, src := t.dst[at*n:(at+1)*n], t.src[i*n:(i+1)*n]
		t.p.ops.add(dst, src)
	}
}
