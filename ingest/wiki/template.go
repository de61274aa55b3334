package wiki

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// argument is one argument of a template; positional ones are named "1", "2"...
type argument struct {
	key, value string
}

// rule says what a template gives. A rule without function is a template body:
// wikitext in which {{{1}}} and {{{name|default}}} stand for arguments.
type rule struct {
	body string
	f    func(p *preprocessor, a arguments)
}

// arguments of one call.
type arguments []argument

// get returns the first of the named arguments that is not empty.
func (a arguments) get(keys ...string) string {
	for _, key := range keys {
		for i := len(a) - 1; i >= 0; i-- {
			if a[i].key == key && a[i].value != "" {
				return a[i].value
			}
		}
	}
	return ""
}

// positional returns the values of the arguments without name, in order.
func (a arguments) positional() []string {
	var values []string
	for i := range a {
		if isNumber(a[i].key) {
			values = append(values, a[i].value)
		}
	}
	return values
}

func isNumber(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

var numberNames = func() (names [64]string) {
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}()

func numberName(n int) string {
	if n < len(numberNames) {
		return numberNames[n]
	}
	return strconv.Itoa(n)
}

// call resolves the template whose inside begins at start, after its braces,
// and puts what it gives in its place.
func (p *preprocessor) call(start, seps int) {
	p.stats.Templates++
	nameEnd := len(p.out)
	if len(p.seps) > seps {
		nameEnd = p.seps[seps].at
	}
	name := bytes.TrimSpace(p.out[start:nameEnd])
	p.key = appendLower(p.key[:0], string(name))
	if colon := bytes.IndexByte(p.key, ':'); colon > 0 && p.prefixed(start, seps, nameEnd, colon) {
		return
	}
	r, ok := p.ex.rules[string(p.key)]
	if !ok && nameEnd == len(p.out) {
		if text, known := p.variable(string(p.key)); known {
			p.out = p.out[:start-2]
			p.spend(text)
			return
		}
	}
	if !ok {
		r, ok = p.ex.family(string(p.key), string(name))
	}
	if !ok && disambiguation[string(p.key)] {
		p.stats.Disambiguation = true
	}
	if !ok || p.depth >= maxDepth || p.budget <= 0 {
		if p.ex.opts.ListDropped && p.depth == 0 {
			p.stats.Dropped = append(p.stats.Dropped, string(p.key))
		}
		p.out = p.out[:start-2]
		return
	}
	base := len(p.stack)
	full := string(p.out[start:])
	number := 0
	for k := seps; k < len(p.seps); k++ {
		from, to := p.seps[k].at+1-start, len(full)
		if k+1 < len(p.seps) {
			to = p.seps[k+1].at - start
		}
		if eq := p.seps[k].equals; eq >= 0 {
			p.stack = append(p.stack, argument{key: trimmed(full[from : eq-start]), value: trimmed(full[eq-start+1 : to])})
			continue
		}
		number++
		p.stack = append(p.stack, argument{key: numberName(number), value: trimmed(full[from:to])})
	}
	p.out = p.out[:start-2]
	before := len(p.out)
	p.depth++
	args := arguments(p.stack[base:len(p.stack):len(p.stack)])
	if r.f != nil {
		r.f(p, args)
	} else {
		p.body(r.body, args)
	}
	p.depth--
	p.stack = p.stack[:base]
	if len(p.out) > before {
		p.stats.Expanded++
	}
}

// body appends the expansion of a template body.
func (p *preprocessor) body(body string, args arguments) {
	switch body {
	case "1", "2", "3":
		p.spend(args.get(body))
		return
	case "last":
		if values := args.positional(); len(values) > 0 {
			p.spend(values[len(values)-1])
		}
		return
	}
	if p.budget -= len(body); p.budget <= 0 {
		return
	}
	saved := p.args
	p.args = args
	p.expand(body)
	p.args = saved
}

// prefixed handles names with a colon: parser functions and names that spell
// out their namespace. It says whether it has resolved the call.
func (p *preprocessor) prefixed(start, seps, nameEnd, colon int) bool {
	prefix := string(bytes.TrimSpace(p.key[:colon]))
	if f, ok := p.ex.functions[prefix]; ok {
		inside := string(p.out[start:])
		parts := p.parts[:0]
		from := strings.IndexByte(inside, ':') + 1
		for k := seps; k < len(p.seps); k++ {
			parts = append(parts, trimmed(inside[from:p.seps[k].at-start]))
			from = p.seps[k].at - start + 1
		}
		parts = append(parts, trimmed(inside[from:]))
		p.parts = parts
		p.out = p.out[:start-2]
		n := len(p.out)
		f(p, parts)
		if len(p.out) > n {
			p.stats.Expanded++
		}
		return true
	}
	if prefix == "subst" || prefix == "safesubst" || prefix == "msg" || p.ex.prefix[prefix] == 10 {
		p.key = slices.Clone(bytes.TrimSpace(p.key[colon+1:]))
		return false
	}
	return false
}

// family finds rules for templates of which there is one for each language or
// ordinal: lang-fr, 2e, XIXe siècle.
func (ex *Extractor) family(key, name string) (rule, bool) {
	if code, ok := strings.CutPrefix(key, "lang-"); ok {
		language := languageNames[code]
		return rule{f: func(p *preprocessor, a arguments) {
			text := a.get("1", "text")
			if text == "" {
				return
			}
			if language != "" && ex.language == "en" && a.get("label") != "none" {
				p.spend(language + ": ")
			}
			p.spend(text)
			if tr := a.get("2", "translit"); tr != "" {
				p.spend(", " + tr)
			}
			if lit := a.get("3", "lit"); lit != "" {
				p.spend(", lit. '" + lit + "'")
			}
		}}, true
	}
	if strings.HasPrefix(key, "ipa-") {
		return rule{body: "&#91;{{{1|}}}&#93;"}, true
	}
	if frenchOrdinal(name) {
		return rule{f: func(p *preprocessor, _ arguments) { p.spend(name) }}, true
	}
	return rule{}, false
}

// frenchOrdinal recognises names that are their own text: "1er", "XIXe siècle",
// "IIe millénaire av. J.-C.", "1er janvier".
func frenchOrdinal(name string) bool {
	i := 0
	for i < len(name) && ('0' <= name[i] && name[i] <= '9' || strings.IndexByte("IVXLC", name[i]) >= 0) {
		i++
	}
	if i == 0 {
		return false
	}
	for _, suffix := range []string{"er", "re", "e", "ème", "es"} {
		if rest, ok := strings.CutPrefix(name[i:], suffix); ok && (rest == "" || rest[0] == ' ') {
			return true
		}
	}
	return false
}
