package webpage

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/html/atom"
)

// The headings of what follows a text: as they are, and as they begin.
var afterExact = phrases(`related|related article|related articles|related posts|related post|related stories|related story|related news|related content|
related topics|related links|recommended|recommended for you|read more|read next|read also|also read|comments|comment|responses|replies|about the author|
see also|most read|most popular|popular posts|latest news|latest posts|latest articles|post a comment|newsletter|
comentários|artigos relacionados|posts relacionados|notícias relacionadas|conteúdo relacionado|leia também|leia mais|
kommentare|kommentar|ähnliche artikel|ähnliche beiträge|ähnliche themen|verwandte artikel|verwandte themen|auch interessant|mehr zum thema|
kommentar schreiben|kommentar hinterlassen|kommentar verfassen|
à lire aussi|lire aussi|articles liés|articles similaires|article similaire|commentaires|commentaire|
artículos relacionados|noticias relacionadas|entradas relacionadas|comentarios|articoli correlati|commenti|leggi anche|
lees ook|reacties|関連記事|コメント|相关文章|相關文章|комментарии|похожие статьи`)

var afterBeginning = []string{
	"more from ", "more stories", "more news", "more posts", "more articles", "you may also ", "you might also ", "you may like", "you might like",
	"leave a comment", "leave a reply", "share this", "sign up ", "subscribe ", "follow us", "join the conversation", "join the discussion",
	"você pode gostar", "você também pode", "deixe um ", "deixe uma ", "deixe o seu ",
	"das könnte ", "mehr aus ", "mehr von ", "weitere artikel", "weitere beiträge", "weitere themen", "weitere meldungen", "weitere nachrichten",
	"schreibe einen kommentar", "schreib einen kommentar", "lesen sie auch",
	"sur le même sujet", "sur le même thème", "laisser un commentaire", "vous aimerez ", "dans la même rubrique", "lo más leído", "te recomendamos", "te puede interesar", "también te puede", "deja un ", "deja una ", "lascia un commento",
	"potrebbe interessarti", "ti potrebbe", "zobacz też", "zobacz także", "czytaj też", "czytaj także", "читайте также", "смотрите также",
}

func phrases(list string) map[string]bool {
	m := map[string]bool{}
	for _, p := range strings.Split(list, "|") {
		m[strings.TrimSpace(p)] = true
	}
	return m
}

// leadsAway reports whether a heading is one of what follows a text, whatever
// number stands before it, as in "3 comments".
func leadsAway(heading string) bool {
	const longest = 80
	if len(heading) > longest {
		return false
	}
	h := strings.ToLower(strings.TrimFunc(heading, func(r rune) bool { return !unicode.IsLetter(r) }))
	if afterExact[h] {
		return true
	}
	for _, b := range afterBeginning {
		if strings.HasPrefix(h, b) {
			return true
		}
	}
	return false
}

// cutTail cuts a text where a heading leads away from it, unless paragraphs beside
// those before it come after, or most of the text does and is not of teasers: then
// the heading only interrupts.
func cutTail(all []block) []block {
	beside := map[*node]float64{} // scores by the element around the paragraphs
	var most *node
	before := 0.0
	for i := range all {
		b := &all[i]
		if most != nil && (b.heading || b.chars < 60) && leadsAway(b.text) {
			beneath, after := false, 0.0
			paragraphs, headlines := 0, 0
			for j := i + 1; j < len(all) && !beneath; j++ {
				next := &all[j]
				beneath = next.score > 40 && (next.node.parent == most || next.node == most || !b.heading && next.node.parent == b.node.parent)
				if next.score > 0 {
					after += next.score
					paragraphs++
				} else if next.linked > 0 {
					headlines++
				}
			}
			if !beneath && (after < before || after < 4*before && 2*headlines > paragraphs) {
				return all[:i]
			}
		}
		if b.score > 0 {
			before += b.score
			for _, n := range [...]*node{b.node, b.node.parent} {
				beside[n] += b.score
				if most == nil || beside[n] > beside[most] {
					most = n
				}
			}
		}
	}
	return all
}

// textShare is the least share of the best score that an element named for its
// text must have to be taken for it.
const textShare = 0.3

// climb goes from an element to those around it while they add paragraphs to its
// text: an article in several parts, of which something else between them made
// the best alone score higher than all together.
func (e *extraction) climb(c *candidate) {
	if c.node == nil {
		return
	}
	have := 0.0
	for i := c.from; i < c.to; i++ {
		have += e.blocks[i].paragraph()
	}
	more := 0.0
	from, to := c.from, c.to
	for n := c.node.parent; n != nil && n.tag != atom.Body; n = n.parent {
		if n.to == 0 {
			continue
		}
		for ; from > int(n.from); from-- {
			more += e.blocks[from-1].paragraph()
		}
		for ; to < int(n.to); to++ {
			more += e.blocks[to].paragraph()
		}
		if more > climbShare*have {
			c.node, c.from, c.to = n, from, to
			have, more = have+more, 0
		}
	}
}

// climbShare is how much more text an element must have than the one in it.
const climbShare = 0.25

// paragraph is the score of a block that is a whole paragraph, and of no other.
func (b *block) paragraph() float64 {
	if b.bad || b.item || b.row || b.score < 60 {
		return 0
	}
	return b.score
}

// chosen returns the blocks of the best subtree that belong to the text.
func (e *extraction) chosen() []block {
	c := &e.best
	if e.named.node != nil && e.named.score > textShare*c.score {
		c = &e.named
	}
	e.climb(c)
	all := cutTail(e.blocks[c.from:c.to])
	keep := make([]bool, len(all))
	for i := range all {
		b := &all[i]
		if b.bad || b.heading {
			continue
		}
		density := float64(b.linked) / float64(b.chars)
		switch {
		case b.score > 0:
			keep[i] = true
		case b.pre, b.row && density < 0.5:
			keep[i] = true
		case b.item && density < 0.5 && (b.chars >= 15 || endsSentence(b.text)):
			keep[i] = true
		}
	}
	keepBetween(all, keep)
	// A heading is kept with what it heads.
	headed := false
	for i := len(all) - 1; i >= 0; i-- {
		b := &all[i]
		switch {
		case keep[i]:
			headed = true
		case b.bad: // a caption, say, between a heading and its text
		case headed && 2*b.linked <= b.chars && (b.heading || introduces(b.text)):
			keep[i] = true
		default:
			headed = false
		}
	}
	out := e.lead(c)
	for i, k := range keep {
		if k {
			out = append(out, all[i])
		}
	}
	return e.sparse(out)
}

// introduces reports whether a line says that another follows.
func introduces(s string) bool {
	return strings.HasSuffix(s, ":") || strings.HasSuffix(s, ",") || strings.HasSuffix(s, "：")
}

// maxLead is how many blocks may stand between the title over a text and it.
const maxLead = 24

// lead returns the paragraphs between the title of an article and its text, where
// the two are in elements of their own.
func (e *extraction) lead(c *candidate) (out []block) {
	for i := c.from - 1; i >= max(0, c.from-maxLead); i-- {
		b := &e.blocks[i]
		if b.node.tag == atom.H1 {
			slices.Reverse(out)
			return out
		}
		if b.paragraph() > 0 {
			out = append(out, *b)
		}
	}
	return nil
}

// maxBetween is how many short blocks in a row may stand between two that are
// kept, to be kept as well.
const maxBetween = 12

// keepBetween keeps short blocks between those of a text, as in a dialogue or
// under a picture, unless there are many of them or they are links.
func keepBetween(all []block, keep []bool) {
	last := -1 // the last block of text
	for i := range all {
		b := &all[i]
		if !keep[i] || b.score <= 0 {
			continue
		}
		if n := i - last - 1; last >= 0 && n > 0 {
			short := 0
			for j := last + 1; j < i; j++ {
				if in := &all[j]; !in.bad && !in.heading && !keep[j] {
					short++
				}
			}
			for j := last + 1; j < i && short <= maxBetween; j++ {
				if in := &all[j]; !in.bad && !in.heading && 2*in.linked < in.chars {
					keep[j] = true
				}
			}
		}
		last = i
	}
}

// scant is how many characters of text make it worth while to look whether a
// page says more in another way than in paragraphs.
const scant = 400

// sparse returns the blocks of the element that its name or kind says to hold the
// text, where what was chosen is little: a page of headings, lists and short
// lines has no paragraph to be told by.
func (e *extraction) sparse(blocks []block) []block {
	if sum(blocks) >= scant || e.main == nil {
		return blocks
	}
	var out []block
	for _, b := range cutTail(e.blocks[e.main.from:e.main.to]) {
		if !b.bad && 2*b.linked < b.chars {
			out = append(out, b)
		}
	}
	if sum(out) > 2*sum(blocks) {
		return out
	}
	return blocks
}

func sum(blocks []block) int {
	n := 0
	for i := range blocks {
		n += blocks[i].chars
	}
	return n
}

// render joins the blocks to a text.
func render(blocks []block) string {
	var out strings.Builder
	for i := range blocks {
		b := &blocks[i]
		if i > 0 {
			before := &blocks[i-1]
			if b.item && before.item || b.row && before.row {
				out.WriteByte('\n')
			} else {
				out.WriteString("\n\n")
			}
		}
		if b.item && !b.pre {
			out.WriteString("- ")
		}
		out.WriteString(b.text)
	}
	return out.String()
}
