package webpage

import (
	"strings"
	"unicode"
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
	"sur le même sujet", "sur le même thème", "laisser un commentaire", "te puede interesar", "también te puede", "deja un ", "deja una ", "lascia un commento",
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
				beneath = next.score > 40 && (next.node.parent == most || next.node == most)
				if next.score > 0 {
					after += next.score
					paragraphs++
				} else if next.linked > 0 {
					headlines++
				}
			}
			if !beneath && (after < before || 2*headlines > paragraphs) {
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

// chosen returns the blocks of the best subtree that belong to the text.
func (e *extraction) chosen() []block {
	c := &e.best
	if e.named.node != nil && e.named.score > textShare*c.score {
		c = &e.named
	}
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
	// A short block between two that are kept is one of them, as in a dialogue.
	near := func(i, step int) bool {
		for j := i + step; j >= 0 && j < len(all); j += step {
			if all[j].bad {
				return false
			}
			if !all[j].heading {
				return keep[j] && all[j].score > 0
			}
		}
		return false
	}
	var also []int
	for i := range all {
		b := &all[i]
		if !keep[i] && !b.bad && !b.heading && 2*b.linked < b.chars && near(i, -1) && near(i, 1) {
			also = append(also, i)
		}
	}
	for _, i := range also {
		keep[i] = true
	}
	// A heading is kept with what it heads.
	for i := len(all) - 1; i >= 0; i-- {
		b := &all[i]
		if b.heading && !b.bad && 2*b.linked <= b.chars && i+1 < len(all) && keep[i+1] {
			keep[i] = true
		}
	}
	var out []block
	for i, k := range keep {
		if k {
			out = append(out, all[i])
		}
	}
	return out
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
