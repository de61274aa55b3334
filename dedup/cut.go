package dedup

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// repeat says that the units start..end of a document stand at another place too.
type repeat struct {
	start, end int64
	like       uint32
	at         int64 // where it begins there
}

// cut turns the repeats of each document into marks.
func (r *substringRun) cut(ctx context.Context) error {
	c := &cutter{r: r, doc: newUnitText(r), other: newUnitText(r)}
	kept := newBitset(len(r.docs))
	var rank uint32
	var repeats []repeat
	flush := func() error {
		if len(repeats) == 0 {
			return nil
		}
		defer func() { repeats = repeats[:0] }()
		return c.document(rank, repeats, kept)
	}
	for rec, err := range r.spans.All(ctx) {
		if err != nil {
			return err
		}
		if len(rec.Key) != 8 || len(rec.Value) != 12 {
			return errSpilled
		}
		if at := binary.BigEndian.Uint32(rec.Key); at != rank || len(repeats) == 0 {
			if err := flush(); err != nil {
				return err
			}
			rank = at
		}
		x := repeat{
			start: int64(binary.BigEndian.Uint32(rec.Key[4:])), end: int64(binary.BigEndian.Uint32(rec.Value)),
			like: binary.BigEndian.Uint32(rec.Value[4:]), at: int64(binary.BigEndian.Uint32(rec.Value[8:])),
		}
		// The surroundings of neighbouring places are most often one repeat.
		joined := false
		for i := len(repeats) - 1; i >= max(0, len(repeats)-8) && !joined; i-- {
			y := &repeats[i]
			if y.like == x.like && y.start-y.at == x.start-x.at && y.end >= x.start {
				y.end, joined = max(y.end, x.end), true
			}
		}
		if !joined {
			repeats = append(repeats, x)
		}
	}
	if err := flush(); err != nil {
		return err
	}
	r.run.report.Groups = int64(kept.count())
	return nil
}

// cutter makes the marks of one document after the other.
type cutter struct {
	r          *substringRun
	doc, other *unitText
}

// document marks what repeats, ascending by start, cover, with as few marks as
// that takes. Every mark begins and ends at the edge of a word.
func (c *cutter) document(rank uint32, repeats []repeat, kept *bitset) error {
	if err := c.doc.load(rank); err != nil {
		return err
	}
	// What lies before covered is done. Of the repeats that begin at or before it,
	// best reaches farthest: up to end, when it is cut back to the edge of a word.
	covered, end := int64(-1), int64(-1)
	best := repeat{start: -1, end: -1}
	for i := 0; ; {
		for ; i < len(repeats) && repeats[i].start <= covered; i++ {
			x := repeats[i]
			if x.end > best.end || x.end == best.end && cmp.Or(cmp.Compare(x.like, best.like), cmp.Compare(x.at, best.at)) < 0 {
				best, end = x, -1
			}
		}
		if best.end > covered && end < 0 {
			for end = best.end; end > covered && !c.doc.endsWord(end); {
				end--
			}
		}
		switch {
		case end > covered:
			x := repeat{start: covered, end: end, like: best.like, at: best.at + covered - best.start}
			if err := c.mark(rank, x, kept); err != nil {
				return err
			}
			covered = end
		case i < len(repeats):
			for covered = repeats[i].start; !c.doc.startsWord(covered); {
				covered++
			}
		default:
			return nil
		}
	}
}

func (c *cutter) mark(rank uint32, p repeat, kept *bitset) error {
	r := c.r
	if err := c.other.load(p.like); err != nil {
		return err
	}
	n := p.end - p.start
	if p.at < 0 || p.at+n > c.other.count() || !bytes.Equal(c.doc.part(p.start, p.end), c.other.part(p.at, p.at+n)) {
		// Two hashes of 64 bits were equal by accident, or the program is wrong.
		r.cfg.Log.Warn("two stretches that seemed equal are not; neither is marked", "rule", RuleSubstring, "document", rank, "unit", p.start)
		r.dropped++
		return nil
	}
	kept.add(p.like)
	start, end := c.doc.bytes(p.start, p.end)
	from, to := c.other.bytes(p.at, p.at+n)
	source, id, err := r.name(rank)
	if err != nil {
		return err
	}
	keptSource, keptID, err := r.name(p.like)
	if err != nil {
		return err
	}
	r.spansOut++
	unit := "bytes"
	if r.width == 4 {
		unit = "tokens"
	}
	return r.run.add(source, &Mark{
		ID: id, Source: r.cfg.Sources[source], Rule: RuleSubstring, Kind: "substring",
		Kept: keptID, KeptSource: r.cfg.Sources[keptSource], Score: 1, Start: start, End: end, KeptStart: from, KeptEnd: to,
		Reason: fmt.Sprintf("these %d %s stand at bytes %d to %d of the document kept", n, unit, from, to),
	}, end-start)
}

// name returns the source and the id of a document.
func (r *substringRun) name(rank uint32) (source int, id string, err error) {
	b, err := r.names.get(int(rank), nil)
	if err != nil {
		return 0, "", err
	}
	if len(b) < 11 {
		return 0, "", errSpilled
	}
	return int(binary.BigEndian.Uint16(b)), string(b[10 : len(b)-1]), nil
}

// unitText holds the text and the units of one document.
type unitText struct {
	r                         *substringRun
	rank                      int64
	texts, tokens, ends       *spoolReader
	text, unitBytes, unitEnds []byte
	width                     int
}

func newUnitText(r *substringRun) *unitText {
	u := &unitText{r: r, rank: -1, texts: r.text.reader(), width: r.width}
	if r.width == 4 {
		u.tokens, u.ends = r.tokens.reader(), r.bounds.reader()
	}
	return u
}

func (u *unitText) load(rank uint32) (err error) {
	if u.rank == int64(rank) {
		return nil
	}
	u.rank = -1
	d := u.r.docs[rank]
	if u.text, err = u.texts.read(u.text[:0], d.text, int(d.textBytes)); err != nil {
		return err
	}
	u.unitBytes = u.text
	if u.width == 4 {
		// Cloned, because text and units must not share memory.
		if u.unitBytes, err = u.tokens.read(nil, 4*d.tokens, 4*int(d.count)); err != nil {
			return err
		}
		if u.unitEnds, err = u.ends.read(u.unitEnds[:0], 16*d.tokens, 16*int(d.count)); err != nil {
			return err
		}
	}
	u.rank = int64(rank)
	return nil
}

func (u *unitText) count() int64 { return int64(len(u.unitBytes) / u.width) }

func (u *unitText) part(from, to int64) []byte {
	return u.unitBytes[from*int64(u.width) : to*int64(u.width)]
}

// bytes bounds units in the text.
func (u *unitText) bytes(from, to int64) (start, end int64) {
	if u.width == 1 {
		return from, to
	}
	return int64(binary.LittleEndian.Uint64(u.unitEnds[16*from:])), int64(binary.LittleEndian.Uint64(u.unitEnds[16*(to-1)+8:]))
}

// startsWord reports whether a span may begin with a unit, endsWord whether it may
// end before it.
func (u *unitText) startsWord(i int64) bool {
	if i >= u.count() {
		return true
	}
	at, _ := u.bytes(i, i+1)
	return wordEdge(u.text, int(at))
}

func (u *unitText) endsWord(i int64) bool {
	if i <= 0 {
		return true
	}
	_, at := u.bytes(i-1, i)
	return wordEdge(u.text, int(at))
}

// wordEdge reports whether a text may be cut at a byte: between two characters that
// are not both of one word.
func wordEdge(text []byte, at int) bool {
	if at <= 0 || at >= len(text) {
		return true
	}
	if !utf8.RuneStart(text[at]) {
		return false
	}
	after, _ := utf8.DecodeRune(text[at:])
	if unicode.Is(unicode.M, after) || after == 0x200d {
		return false // it changes the character before
	}
	before, _ := utf8.DecodeLastRune(text[:at])
	inWord := func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.Is(unicode.M, c) }
	return before != 0x200d && (!inWord(before) || !inWord(after) || spaceless(before) || spaceless(after))
}
