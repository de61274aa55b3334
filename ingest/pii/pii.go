// Package pii finds patterns of personal data in texts: addresses, numbers and keys.
// It finds what has the form of them; it does not know names.
package pii

import (
	"net/netip"
	"strings"
)

// Kind is a kind of personal data.
type Kind uint8

// The kinds.
const (
	Email Kind = iota // an address with "@" and a domain
	IP                // a public IPv4 or IPv6 address
	Phone             // an international number with "+", or a North American one
	Card              // 13 to 19 digits of a payment card, whose check digit is right
	Key               // a secret of a known service, or the head of a private key
)

// String returns the kind's name.
func (k Kind) String() string {
	return [...]string{"email", "ip", "phone", "card", "key"}[k]
}

// Span is one find, in bytes of the text.
type Span struct {
	Kind       Kind
	Start, End int
}

// substitutes stand for what was replaced. They are reserved for examples, and Find
// passes over them.
var substitutes = [...]string{Email: "email@example.com", IP: "192.0.2.1", Phone: "555-0100", Card: "0000 0000 0000 0000", Key: "[key]"}

// Replace returns the text with a harmless value of its kind in place of each find,
// and what was found. Where finds stand apart, replacing twice changes nothing more.
func Replace(text string) (string, []Span) {
	spans := Find(nil, text)
	if len(spans) == 0 {
		return text, nil
	}
	var out strings.Builder
	out.Grow(len(text))
	at := 0
	for _, s := range spans {
		out.WriteString(text[at:s.Start])
		out.WriteString(substitutes[s.Kind])
		at = s.End
	}
	out.WriteString(text[at:])
	return out.String(), spans
}

const (
	digit     = 1 << iota
	alpha     // ASCII letters
	hex       // digits of base 16
	local     // of an e-mail address before "@"
	separator // between the digits of a number
	trigger   // where a find may be noticed
)

var classes = func() (t [256]uint8) {
	for c := range 256 {
		var f uint8
		switch b := byte(c); {
		case '0' <= b && b <= '9':
			f = digit | hex | local | trigger
		case 'a' <= b|0x20 && b|0x20 <= 'z':
			f = alpha | local
			if b|0x20 <= 'f' {
				f |= hex
			}
		}
		if strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", byte(c)) >= 0 {
			f |= local
		}
		if strings.IndexByte(" -.()/", byte(c)) >= 0 {
			f |= separator
		}
		if strings.IndexByte("@+(:_-AJ", byte(c)) >= 0 {
			f |= trigger
		}
		t[c] = f
	}
	return t
}()

// Find appends what it finds in a text to dst, in order and without overlap.
func Find(dst []Span, text string) []Span {
	from := 0 // finds begin here or after
	for i := 0; i < len(text); i++ {
		c := text[i]
		if classes[c]&trigger == 0 {
			continue
		}
		s := Span{Start: -1}
		switch c {
		case '@':
			s = email(text, from, i)
		case ':':
			s = ipv6(text, from, i)
		case '_', '-', 'A', 'J':
			s = key(text, from, i)
		case '+', '(':
			if i == 0 || classes[text[i-1]]&(digit|alpha) == 0 {
				s = phone(text, i)
			}
		default:
			if i > 0 && classes[text[i-1]]&(digit|alpha) != 0 || i > 1 && text[i-1] == '.' && classes[text[i-2]]&digit != 0 {
				break
			}
			if s = ipv4(text, i); s.Start < 0 {
				if s = card(text, i); s.Start < 0 {
					s = phone(text, i)
				}
			}
			if s.Start < 0 {
				for i+1 < len(text) && classes[text[i+1]]&digit != 0 {
					i++
				}
			}
		}
		if s.Start >= from {
			dst = append(dst, s)
			from = s.End
			i = s.End - 1
		}
	}
	return dst
}

var none = Span{Start: -1}

const maxLocal, maxDomain = 64, 253

func email(text string, from, at int) Span {
	start := at
	for start > from && at-start < maxLocal && classes[text[start-1]]&local != 0 {
		start--
	}
	for start < at && classes[text[start]]&(digit|alpha) == 0 && text[start] != '_' {
		start++ // dots, quotes and the like belong to the sentence
	}
	if start == at || text[at-1] == '.' {
		return none
	}
	end, label, dots := at+1, at+1, 0
	for ; end < len(text) && end-at <= maxDomain; end++ {
		c := text[end]
		if c == '.' && end > label && end+1 < len(text) && classes[text[end+1]]&(digit|alpha) != 0 {
			dots++
			label = end + 1
			continue
		}
		if classes[c]&(digit|alpha) == 0 && (c != '-' || end == label) {
			break
		}
	}
	for end > label && text[end-1] == '-' {
		end--
	}
	if dots == 0 || end-label < 2 || classes[text[label]]&alpha == 0 {
		return none
	}
	switch strings.ToLower(text[at+1 : end]) {
	case "example.com", "example.org", "example.net": // RFC 2606
		return none
	}
	return Span{Email, start, end}
}

func ipv4(text string, i int) Span {
	end, parts := i, 0
	for parts < 4 {
		if parts > 0 {
			if end >= len(text) || text[end] != '.' {
				return none
			}
			end++
		}
		first, n := end, 0
		for end < len(text) && classes[text[end]]&digit != 0 && end-first < 3 {
			n = 10*n + int(text[end]-'0')
			end++
		}
		if end == first || n > 255 {
			return none
		}
		parts++
	}
	if end < len(text) && (classes[text[end]]&(digit|alpha) != 0 || text[end] == '.' && end+1 < len(text) && classes[text[end+1]]&digit != 0) {
		return none
	}
	return address(text, i, end)
}

func ipv6(text string, from, at int) Span {
	start, end := at, at+1
	for start > from && at-start < 5 && (classes[text[start-1]]&hex != 0 || text[start-1] == ':') {
		start--
	}
	for end < len(text) && end-start < 46 && (classes[text[end]]&hex != 0 || text[end] == ':') {
		end++
	}
	if start > 0 && classes[text[start-1]]&(digit|alpha) != 0 || end < len(text) && classes[text[end]]&(digit|alpha) != 0 || strings.Count(text[start:end], ":") < 3 {
		return none
	}
	return address(text, start, end)
}

// documentation are the networks of RFC 5737 and RFC 3849.
var documentation = [...]netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("240.0.0.0/4"),
}

// address is a find when the address is public.
func address(text string, start, end int) Span {
	a, err := netip.ParseAddr(text[start:end])
	if err != nil || !a.IsGlobalUnicast() || a.IsPrivate() {
		return none
	}
	for _, p := range documentation {
		if p.Contains(a) {
			return none
		}
	}
	return Span{IP, start, end}
}

// number reads digits with at most max separators between two of them.
func number(text string, i, most, separators int) (digits []byte, groups []int, end int) {
	gap := 0
	group := 0
	end = i
	for ; i < len(text); i++ {
		switch f := classes[text[i]]; {
		case f&digit != 0:
			if len(digits) == most {
				return nil, nil, i
			}
			if gap > 0 && group > 0 {
				groups = append(groups, group)
				group = 0
			}
			digits = append(digits, text[i])
			group++
			gap = 0
			end = i + 1
		case f&separator != 0 && gap < separators:
			gap++
		default:
			if f&alpha != 0 && end == i {
				return nil, nil, i
			}
			return digits, append(groups, group), end
		}
	}
	return digits, append(groups, group), end
}

func card(text string, i int) Span {
	if text[i] < '3' || text[i] > '6' {
		return none // the networks of cards for payment begin with these
	}
	digits, _, end := number(text, i, 19, 1)
	if len(digits) < 13 || strings.ContainsAny(text[i:end], "./()") {
		return none
	}
	sum := 0
	for j := range digits { // Luhn
		d := int(digits[len(digits)-1-j] - '0')
		if j%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	if sum%10 != 0 {
		return none
	}
	return Span{Card, i, end}
}

func phone(text string, i int) Span {
	start := i
	if text[i] == '+' {
		if i+1 >= len(text) || text[i+1] < '1' || text[i+1] > '9' {
			return none
		}
		digits, _, end := number(text, i+1, 15, 2) // E.164
		if len(digits) < 8 {
			return none
		}
		return Span{Phone, start, end}
	}
	if text[i] == '(' {
		if i+1 >= len(text) || classes[text[i+1]]&digit == 0 {
			return none
		}
		i++
	}
	digits, groups, end := number(text, i, 11, 2)
	switch {
	case len(groups) == 4 && groups[0] == 1 && digits[0] == '1' && len(digits) == 11:
		digits, groups = digits[1:], groups[1:]
	case len(digits) != 10:
		return none
	}
	if len(groups) != 3 || groups[0] != 3 || groups[1] != 3 || digits[0] < '2' || digits[3] < '2' {
		return none
	}
	if open := strings.IndexByte(text[start:end], '('); (open >= 0) != strings.Contains(text[start:end], ")") {
		return none
	}
	return Span{Phone, start, end}
}

// secrets are the forms of keys: what they begin with, where in that the trigger
// lies, and how many characters follow.
var secrets = [...]struct {
	prefix   string
	trigger  int
	min, max int
}{
	{"AKIA", 0, 16, 16}, {"ASIA", 0, 16, 16}, {"AIza", 0, 35, 35},
	{"ghp_", 3, 36, 36}, {"gho_", 3, 36, 36}, {"ghs_", 3, 36, 36}, {"ghu_", 3, 36, 36}, {"github_pat_", 6, 40, 120},
	{"sk-", 2, 20, 200}, {"sk_live_", 2, 16, 120}, {"rk_live_", 2, 16, 120}, {"hf_", 2, 30, 40},
	{"xoxb-", 4, 20, 120}, {"xoxp-", 4, 20, 120}, {"xoxa-", 4, 20, 120}, {"glpat-", 5, 20, 64},
}

func key(text string, from, at int) Span {
	for _, s := range secrets {
		start := at - s.trigger
		if start < from || text[at] != s.prefix[s.trigger] || !strings.HasPrefix(text[start:], s.prefix) || start > 0 && inKey(text[start-1]) {
			continue
		}
		end := start + len(s.prefix)
		first := end
		digits := false
		for end < len(text) && inKey(text[end]) && end-first <= s.max {
			digits = digits || classes[text[end]]&digit != 0
			end++
		}
		if end-first >= s.min && end-first <= s.max && digits {
			return Span{Key, start, end}
		}
	}
	const head = "-----BEGIN "
	if rest, ok := strings.CutPrefix(text[at:], head); ok {
		if kind, _, closed := strings.Cut(rest[:min(len(rest), 64)], "-----"); closed && strings.HasSuffix(kind, "PRIVATE KEY") {
			return Span{Key, at, at + len(head) + len(kind) + len("-----")}
		}
	}
	if text[at] == 'J' && at >= from+2 && text[at-2:at] == "ey" && (at == 2 || !inKey(text[at-3])) {
		// A JSON Web Token: three parts in base 64, the first two of which are objects.
		end, dots := at+1, 0
		for end < len(text) && (inKey(text[end]) || text[end] == '.' && dots < 2) && end-at < 4096 {
			if text[end] == '.' {
				dots++
			}
			end++
		}
		if dots == 2 && end-at > 40 && strings.Contains(text[at:end], ".eyJ") {
			return Span{Key, at - 2, end}
		}
	}
	return none
}

func inKey(c byte) bool { return classes[c]&(digit|alpha) != 0 || c == '_' || c == '-' }
