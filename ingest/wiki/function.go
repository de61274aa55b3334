package wiki

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// functions are MediaWiki's parser functions, by name in lower case. They get
// their arguments expanded and trimmed. Those that depend on the time, on other
// pages or on modules give nothing.
var functions = parserFunctions()

func arg(a []string, i int) string {
	if i < len(a) {
		return a[i]
	}
	return ""
}

func parserFunctions() map[string]func(p *preprocessor, a []string) {
	nothing := func(*preprocessor, []string) {}
	m := map[string]func(p *preprocessor, a []string){
		"#if": func(p *preprocessor, a []string) {
			if a[0] != "" {
				p.spend(arg(a, 1))
			} else {
				p.spend(arg(a, 2))
			}
		},
		"#ifeq": func(p *preprocessor, a []string) {
			if sameValue(a[0], arg(a, 1)) {
				p.spend(arg(a, 2))
			} else {
				p.spend(arg(a, 3))
			}
		},
		"#ifexpr": func(p *preprocessor, a []string) {
			if v, err := evaluate(a[0]); err == nil && v != 0 {
				p.spend(arg(a, 1))
			} else if err == nil {
				p.spend(arg(a, 2))
			}
		},
		"#iferror": func(p *preprocessor, a []string) {
			if strings.Contains(a[0], `class="error"`) {
				p.spend(arg(a, 1))
			} else if len(a) > 2 {
				p.spend(a[2])
			} else {
				p.spend(a[0])
			}
		},
		"#ifexist": func(p *preprocessor, a []string) { p.spend(arg(a, 1)) },
		"#switch":  func(p *preprocessor, a []string) { p.spend(switchCase(a)) },
		"#expr": func(p *preprocessor, a []string) {
			if v, err := evaluate(a[0]); err == nil {
				p.spend(formatValue(v))
			}
		},
		"#tag": func(p *preprocessor, a []string) {
			switch strings.ToLower(a[0]) {
			case "ref":
				p.footnote(arg(a, 1))
			case "nowiki", "pre", "math", "syntaxhighlight":
				p.literal(unescape(arg(a, 1)))
			}
		},
		"formatnum": func(p *preprocessor, a []string) {
			if flag := strings.ToUpper(arg(a, 1)); flag == "R" || flag == "NOSEP" {
				p.spend(a[0])
				return
			}
			p.spend(p.ex.formatNumber(a[0]))
		},
		"lc":      func(p *preprocessor, a []string) { p.spend(strings.ToLower(a[0])) },
		"uc":      func(p *preprocessor, a []string) { p.spend(strings.ToUpper(a[0])) },
		"lcfirst": func(p *preprocessor, a []string) { p.spend(mapFirst(a[0], unicode.ToLower)) },
		"ucfirst": func(p *preprocessor, a []string) { p.spend(mapFirst(a[0], unicode.ToUpper)) },
		"plural": func(p *preprocessor, a []string) {
			n, err := strconv.ParseFloat(strings.ReplaceAll(a[0], ",", ""), 64)
			if (err == nil && n == 1) || len(a) < 3 {
				p.spend(arg(a, 1))
			} else {
				p.spend(a[len(a)-1])
			}
		},
		"grammar":     func(p *preprocessor, a []string) { p.spend(arg(a, 1)) },
		"gender":      func(p *preprocessor, a []string) { p.spend(arg(a, len(a)-1)) },
		"padleft":     func(p *preprocessor, a []string) { p.spend(pad(a) + a[0]) },
		"padright":    func(p *preprocessor, a []string) { p.spend(a[0] + pad(a)) },
		"#formatdate": func(p *preprocessor, a []string) { p.spend(a[0]) },
		"#dateformat": func(p *preprocessor, a []string) { p.spend(a[0]) },
		"ns":          nothing,
		"#titleparts": func(p *preprocessor, a []string) { p.spend(a[0]) },
		"#language": func(p *preprocessor, a []string) {
			p.spend(languageNames[strings.ToLower(a[0])])
		},
		"#invoke": nothing, "#time": nothing, "#timel": nothing, "#ifexists": nothing, "#property": nothing, "#statements": nothing, "#lst": nothing, "#section": nothing, "#section-h": nothing,
		"#babel": nothing, "#coordinates": nothing, "#related": nothing, "#seo": nothing, "#assessment": nothing, "fullurl": nothing, "localurl": nothing, "canonicalurl": nothing, "filepath": nothing,
		"urlencode": nothing, "anchorencode": nothing, "displaytitle": nothing, "defaultsort": nothing, "defaultsortkey": nothing, "defaultcategorysort": nothing, "int": nothing,
	}
	for _, name := range []string{"sortierung", "clédetri", "ordina", "ordenar", "sorting", "sortuj", "сортировка", "сортиране", "ordenación", "standardsortering", "saklārtošana", "mặcđịnhxếp", "xếpmặcđịnh", "κλείδα_ταξινόμησης", "κλείδα ταξινόμησης", "デフォルトソート"} {
		m[name] = nothing
	}
	return m
}

func mapFirst(s string, f func(rune) rune) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 || r == utf8.RuneError {
		return s
	}
	return string(f(r)) + s[size:]
}

// pad returns what {{padleft:text|length|with}} adds.
func pad(a []string) string {
	n, err := strconv.Atoi(arg(a, 1))
	with := arg(a, 2)
	if with == "" {
		with = "0"
	}
	n -= utf8.RuneCountInString(a[0])
	if err != nil || n <= 0 || n > 500 {
		return ""
	}
	runes := []rune(strings.Repeat(with, n/utf8.RuneCountInString(with)+1))
	return string(runes[:n])
}

// sameValue compares as #ifeq does: numbers by value.
func sameValue(a, b string) bool {
	if a == b {
		return true
	}
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err == nil && err2 == nil && x == y
}

// switchCase chooses the branch of {{#switch: value | a | b = text | #default = other}}.
func switchCase(a []string) string {
	value := a[0]
	last := ""
	matched, fallback := false, false
	other := ""
	for i, c := range a[1:] {
		key, text, found := strings.Cut(c, "=")
		key = strings.TrimSpace(key)
		if !found {
			last = c
			if i == len(a)-2 {
				other = last
				break
			}
			matched = matched || sameValue(c, value)
			fallback = fallback || c == "#default"
			continue
		}
		text = strings.TrimSpace(text)
		if matched || sameValue(key, value) {
			return text
		}
		if fallback || key == "#default" {
			other = text
			fallback = false
		}
	}
	return other
}

// variable resolves a name without arguments that MediaWiki fills in itself.
func (p *preprocessor) variable(key string) (string, bool) {
	switch key {
	case "pagename", "fullpagename", "pagenamee", "fullpagenamee", "basepagename", "subpagename", "articlepagename", "rootpagename", "subjectpagename":
		title := p.title
		if key == "pagename" || key == "basepagename" {
			if prefix, rest, found := strings.Cut(title, ":"); found {
				if _, known := p.ex.prefix[strings.ToLower(prefix)]; known {
					title = rest
				}
			}
		}
		return title, true
	case "sitename":
		return p.ex.site.Name, true
	case "sitelanguage", "contentlanguage", "contentlang":
		return p.ex.language, true
	}
	return "", false
}
