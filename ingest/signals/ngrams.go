package signals

// grams finds repetitions in a sequence of tokens.
//
// An n-gram that is there twice is made of two (n-1)-grams that are each there
// twice. So only bigrams are looked up at every place, and longer ones at the places
// that the level below has left; a place's n-gram is named by the numbers of its two
// (n-1)-grams, which makes equal names mean equal tokens.
type grams struct {
	table table
	place []uint32 // where an n-gram lies that is there more than once
	id    []uint32 // its number
	begin []uint32 // code points before each token, and after the last
	seen  []uint32
}

// measure fills in the shares of n-grams in a text of chars code points, given the
// numbers of its tokens, how often the tokens of each number are there, and the code
// points of tokens before each.
func (g *grams) measure(s *Signals, ids, counts, begin []uint32, chars int64) {
	g.begin = begin
	g.place, g.id = g.place[:0], g.id[:0]
	for i, id := range ids {
		if counts[id] > 1 {
			g.place = append(g.place, uint32(i))
			g.id = append(g.id, id)
		}
	}
	total := float32(chars)
	for n, to := range [...]*float32{2: &s.Top2gram, 3: &s.Top3gram, 4: &s.Top4gram} {
		if to == nil || len(ids) < n {
			continue
		}
		*to = float32(g.next(n)) / total
	}
	for i, to := range [...]*float32{&s.Dup5gram, &s.Dup6gram, &s.Dup7gram, &s.Dup8gram, &s.Dup9gram, &s.Dup10gram} {
		n := 5 + i
		if len(g.place) < 2 {
			break // and none of the longer ones is there twice
		}
		g.next(n)
		*to = float32(g.repeated(n)) / total
	}
}

// next goes from the (n-1)-grams to the n-grams and returns the length of the most
// frequent of these, the first of them where several are, with spaces between its
// tokens, times how often it is there.
func (g *grams) next(n int) (top int64) {
	g.table.reset()
	kept := 0
	for i := 0; i+1 < len(g.place); i++ {
		p := g.place[i]
		if g.place[i+1] != p+1 {
			continue
		}
		id := g.table.add(uint64(g.id[i])<<32 | uint64(g.id[i+1]))
		g.place[kept], g.id[kept] = p, id // kept <= i
		kept++
	}
	var best, most uint32
	for id, c := range g.table.counts {
		if c > most {
			best, most = uint32(id), c
		}
	}
	if most < 2 {
		// All are there once: the first of the text counts.
		g.place, g.id = g.place[:0], g.id[:0]
		return int64(g.begin[n]-g.begin[0]) + int64(n-1)
	}
	all := kept
	kept = 0
	for i := range all {
		id := g.id[i]
		if id == best && top == 0 {
			p := int(g.place[i])
			top = (int64(g.begin[p+n]-g.begin[p]) + int64(n-1)) * int64(most)
		}
		if g.table.counts[id] > 1 {
			g.place[kept], g.id[kept] = g.place[i], id
			kept++
		}
	}
	g.place, g.id = g.place[:kept], g.id[:kept]
	return top
}

// repeated returns the code points of the n-grams that came before.
func (g *grams) repeated(n int) (chars int64) {
	clear(g.seen)
	for len(g.seen) < len(g.table.counts) {
		g.seen = append(g.seen, 0)
	}
	from := uint32(0)
	for i, p := range g.place {
		if p < from {
			continue
		}
		if g.seen[g.id[i]] == 0 {
			g.seen[g.id[i]] = 1
			continue
		}
		chars += int64(g.begin[int(p)+n] - g.begin[p])
		from = p + uint32(n)
	}
	return chars
}
