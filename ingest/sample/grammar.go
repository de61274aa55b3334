package sample

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// author writes the sentences of one document with a small phrase-structure
// grammar: clauses of noun, verb and prepositional phrases whose number and
// tense agree, with words that fit each other (see topic).
type author struct {
	r    *rand.Rand
	t    *topic
	past bool
	cast []person
	// last is what the previous sentence was about, for pronouns.
	last phrase
}

// phrase is a noun phrase: its text, its grammatical number, the pronoun that
// stands for it, and the agent or thing at its head (-1 when it is not one).
type phrase struct {
	text         string
	plural       bool
	pronoun      string
	agent, thing int
}

type person struct {
	name   string
	female bool
	// agent is the person's trade, an index into the topic's agents.
	agent int
}

func (p person) pronoun() string {
	if p.female {
		return "she"
	}
	return "he"
}

func newAuthor(r *rand.Rand, t *topic, past bool) *author {
	a := &author{r: r, t: t, past: past, last: phrase{agent: -1, thing: -1}}
	for range 2 {
		a.cast = append(a.cast, a.newPerson())
	}
	return a
}

func (a *author) newPerson() person {
	female := a.r.IntN(2) == 0
	return person{givenName(a.r, female) + " " + familyName(a.r), female, a.r.IntN(len(a.t.agents))}
}

func (a *author) chance(percent int) bool { return a.r.IntN(100) < percent }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// thingPhrase is a noun phrase about thing i, with one of its own qualities.
func (a *author) thingPhrase(i int) phrase {
	th := a.t.things[i]
	p := phrase{plural: a.chance(35), pronoun: "it", agent: -1, thing: i}
	p.text = a.determine(th.noun, a.quality(th, 55), p.plural)
	if p.plural {
		p.pronoun = "they"
	}
	return p
}

func (a *author) quality(th thing, percent int) string {
	if !a.chance(percent) {
		return ""
	}
	return pick(a.r, th.qualities)
}

// determine puts a determiner that agrees in number before adjective and noun.
func (a *author) determine(noun, adjective string, isPlural bool) string {
	head := noun
	if isPlural {
		head = plural(noun)
	}
	if adjective != "" {
		head = adjective + " " + head
	}
	switch n := a.r.IntN(10); {
	case n < 5:
		return "the " + head
	case isPlural:
		return pick(a.r, []string{"these", "many", "several", "two", "some"}) + " " + head
	case n < 8:
		return article(head) + " " + head
	default:
		return pick(a.r, []string{"this", "every", "each", "another"}) + " " + head
	}
}

// agentPhrase is a noun phrase about someone who acts: a trade or a person.
func (a *author) agentPhrase() phrase {
	if a.last.agent >= 0 && a.chance(30) {
		p := a.last
		p.text = p.pronoun
		return p
	}
	if a.chance(25) {
		who := pick(a.r, a.cast)
		name := who.name
		if a.chance(60) {
			name, _, _ = strings.Cut(name, " ")
		}
		return phrase{name, false, who.pronoun(), who.agent, -1}
	}
	i := a.r.IntN(len(a.t.agents))
	p := phrase{plural: a.chance(35), pronoun: "they", agent: i, thing: -1}
	adjective := ""
	if a.chance(20) {
		adjective = pick(a.r, []string{"old", "young", "careful", "patient", "clever"})
	}
	p.text = a.determine(a.t.agents[i], adjective, p.plural)
	return p
}

// act is what agent i does: mostly one of its two usual acts.
func (a *author) act(i int) act {
	if i >= 0 && a.chance(85) {
		return a.t.acts[(2*i+a.r.IntN(2))%len(a.t.acts)]
	}
	return pick(a.r, a.t.acts)
}

// verb puts a base form into the document's tense, agreeing with the subject.
func (a *author) verb(base string, subject phrase) string {
	switch {
	case a.past:
		return past(base)
	case subject.plural || subject.pronoun == "they" && subject.text == "they":
		return base
	default:
		return third(base)
	}
}

func (a *author) be(subject phrase) string {
	isPlural := subject.plural || subject.text == "they"
	switch {
	case a.past && isPlural:
		return "were"
	case a.past:
		return "was"
	case isPlural:
		return "are"
	default:
		return "is"
	}
}

// where is a prepositional phrase; near is a number that ties it to what is done.
func (a *author) where(near int) string {
	p := a.t.places[near%len(a.t.places)]
	if a.chance(25) {
		p = pick(a.r, a.t.places)
	}
	return p.preposition + " the " + p.noun
}

func (a *author) when() string {
	if a.past {
		return pick(a.r, []string{"that morning", "yesterday", "in the evening", "long ago", "after the storm", "in the spring"})
	}
	return pick(a.r, []string{"every day", "in the morning", "at night", "during the summer", "once a year", "on Sundays"})
}

// does is a verb phrase with an object for the subject, with the given chance
// (in percent) of a place.
func (a *author) does(subject phrase, placePercent int) string {
	act := a.act(subject.agent)
	s := a.verb(act.verb, subject) + " " + a.thingPhrase(pick(a.r, act.objects)).text
	if a.chance(placePercent) {
		s += " " + a.where(act.objects[0])
	}
	return s
}

// moves is an intransitive verb phrase for a thing.
func (a *author) moves(subject phrase) string {
	s := a.verb(pick(a.r, a.t.things[subject.thing].motions), subject)
	if a.chance(40) {
		s += " " + pick(a.r, []string{"slowly", "quickly", "again", "without warning", "at last"})
	}
	return s
}

func (a *author) anyThing() phrase { return a.thingPhrase(a.r.IntN(len(a.t.things))) }

// clause is a main clause without capital or full stop.
func (a *author) clause() string {
	switch n := a.r.IntN(100); {
	case n < 45: // transitive
		who := a.agentPhrase()
		a.last = who
		return who.text + " " + a.does(who, 60)
	case n < 60: // intransitive
		what := a.anyThing()
		a.last = what
		return what.text + " " + a.moves(what) + " " + a.where(what.thing)
	case n < 70: // copular
		what := a.anyThing()
		a.last = what
		th := a.t.things[what.thing]
		if len(th.qualities) > 1 && a.chance(50) {
			what.text = a.determine(th.noun, "", what.plural)
			return what.text + " " + a.be(what) + " both " + th.qualities[0] + " and " + th.qualities[1]
		}
		what.text = a.determine(th.noun, "", what.plural)
		return what.text + " " + a.be(what) + " very " + pick(a.r, th.qualities)
	case n < 80: // passive
		i := a.r.IntN(len(a.t.agents))
		act := a.act(i)
		what := a.thingPhrase(pick(a.r, act.objects))
		a.last = what
		return what.text + " " + a.be(what) + " " + past(act.verb) + " by the " + plural(a.t.agents[i]) + " " + a.where(act.objects[0])
	case n < 88: // modal
		who := a.agentPhrase()
		act := a.act(who.agent)
		a.last = who
		modal := pick(a.r, []string{"must", "can", "should"})
		if a.past {
			modal = pick(a.r, []string{"had to", "could", "would"})
		}
		return who.text + " " + modal + " " + act.verb + " " + a.thingPhrase(pick(a.r, act.objects)).text
	case n < 94: // existential
		what := a.anyThing()
		th := a.t.things[what.thing]
		what.text = pick(a.r, th.qualities) + " " + th.noun
		if what.plural {
			what.text = pick(a.r, []string{"many", "several", "two", "some"}) + " " + plural(what.text)
		} else {
			what.text = article(what.text) + " " + what.text
		}
		a.last = what
		return "there " + a.be(what) + " " + what.text + " " + a.where(what.thing)
	default: // both ... and
		i := a.r.IntN(len(a.t.agents))
		who := phrase{plural: true, pronoun: "they", agent: i, thing: -1}
		a.last = who
		return "both the " + a.t.agents[i] + " and the " + a.t.agents[(i+1)%len(a.t.agents)] + " " + a.does(who, 50)
	}
}

// sentence is one or two clauses with a capital and a full stop.
func (a *author) sentence() string {
	var s string
	switch n := a.r.IntN(100); {
	case n < 55:
		s = a.clause()
	case n < 65:
		s = a.when() + " " + a.clause()
	case n < 78:
		s = a.clause() + ", " + pick(a.r, []string{"and", "but", "because", "so"}) + " " + a.clause()
	case n < 88:
		s = pick(a.r, []string{"when", "before", "after", "while"}) + " " + a.clause() + ", " + a.clause()
	case n < 94:
		i := a.r.IntN(len(a.t.agents))
		who := phrase{agent: i, thing: -1, pronoun: "they"}
		who.text = a.determine(a.t.agents[i], "", false)
		a.last = who
		s = who.text + " who " + a.does(who, 0) + " also " + a.does(who, 60)
	default:
		who := a.agentPhrase()
		a.last = who
		s = who.text + " not only " + a.does(who, 0) + " but also " + a.does(who, 0)
	}
	return capital(s) + "."
}

// paragraph is some sentences about one topic.
func (a *author) paragraph(sentences int) []string {
	out := make([]string, 0, sentences)
	a.last = phrase{agent: -1, thing: -1}
	for range sentences {
		out = append(out, a.sentence())
	}
	return out
}

// year is a year number as text, in the document's past.
func (a *author) year() string { return strconv.Itoa(1700 + a.r.IntN(250)) }

func isVowel(c byte) bool { return strings.IndexByte("aeiou", c) >= 0 }

func endsInConsonantY(s string) bool {
	n := len(s)
	return n > 1 && s[n-1] == 'y' && !isVowel(s[n-2])
}

func hisses(s string) bool {
	for _, end := range []string{"s", "x", "z", "ch", "sh"} {
		if strings.HasSuffix(s, end) {
			return true
		}
	}
	return false
}

// plural is the regular plural of a noun; third is the same rule on verbs.
func plural(noun string) string {
	switch {
	case endsInConsonantY(noun):
		return noun[:len(noun)-1] + "ies"
	case hisses(noun):
		return noun + "es"
	default:
		return noun + "s"
	}
}

func third(verb string) string { return plural(verb) }

// past is the regular past (and past participle) of a verb.
func past(verb string) string {
	switch {
	case strings.HasSuffix(verb, "e"):
		return verb + "d"
	case endsInConsonantY(verb):
		return verb[:len(verb)-1] + "ied"
	default:
		return verb + "ed"
	}
}

func article(next string) string {
	if isVowel(next[0]) {
		return "an"
	}
	return "a"
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

var (
	onsets = []string{"b", "br", "d", "f", "g", "gr", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v", "w", "z"}
	nuclei = []string{"a", "e", "i", "o", "u", "ei", "ö", "é"}
	codas  = []string{"l", "n", "r", "s", "m", "nd", "rk", "lt"}
)

// syllable is one made-up syllable; letters outside ASCII are rare.
func syllable(r *rand.Rand, closed bool) string {
	n := len(nuclei)
	if r.IntN(12) > 0 {
		n -= 2
	}
	s := pick(r, onsets) + nuclei[r.IntN(n)]
	if closed {
		s += pick(r, codas)
	}
	return s
}

func givenName(r *rand.Rand, female bool) string {
	if female {
		return capital(syllable(r, true) + pick(r, onsets) + "a")
	}
	return capital(syllable(r, false) + pick(r, onsets) + "o" + pick(r, []string{"", "n", "r"}))
}

func familyName(r *rand.Rand) string {
	return capital(syllable(r, true) + pick(r, []string{"sen", "mann", "ski", "vik", "bard", "wood"}))
}

func townName(r *rand.Rand) string {
	return capital(syllable(r, true) + pick(r, []string{"ford", "haven", "mark", "wick", "dale", "mere", "stad", "bury"}))
}
