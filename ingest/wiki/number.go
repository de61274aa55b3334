package wiki

import (
	"strconv"
	"strings"
)

// separators are how a language groups the digits of a number.
type digitSeparators struct {
	group, point string
	least        int // digits before the point from which on they are grouped
}

func (ex *Extractor) separators() digitSeparators {
	switch ex.language {
	case "de", "nl", "it", "el", "da", "id", "tr", "ro", "hr", "sl", "vi", "is", "gl", "eu":
		return digitSeparators{".", ",", 4}
	case "es", "pt", "ca":
		if ex.language == "es" || ex.language == "pt" {
			return digitSeparators{" ", ",", 5}
		}
		return digitSeparators{".", ",", 4}
	case "fr", "ru", "uk", "cs", "sk", "sv", "fi", "no", "nb", "nn", "hu", "be", "bg", "lv", "lt", "et", "eo", "br":
		return digitSeparators{" ", ",", 4}
	case "pl":
		return digitSeparators{" ", ",", 5}
	}
	return digitSeparators{",", ".", 4}
}

// formatNumber groups the digits of s as the site's language does. What is no
// number is left as it is.
func (ex *Extractor) formatNumber(s string) string {
	return group(s, ex.separators())
}

func group(s string, sep digitSeparators) string {
	sign, digits := "", s
	switch {
	case strings.HasPrefix(s, "-"):
		sign, digits = "-", s[1:]
	case strings.HasPrefix(s, "−"):
		sign, digits = "−", s[len("−"):]
	case strings.HasPrefix(s, "+"):
		sign, digits = "+", s[1:]
	}
	whole, fraction, point := strings.Cut(digits, ".")
	if !isNumber(whole) || fraction != "" && !isNumber(fraction) {
		return s
	}
	var b strings.Builder
	b.WriteString(sign)
	if len(whole) < sep.least {
		b.WriteString(whole)
	} else {
		for i := range len(whole) {
			if i > 0 && (len(whole)-i)%3 == 0 {
				b.WriteString(sep.group)
			}
			b.WriteByte(whole[i])
		}
	}
	if point {
		b.WriteString(sep.point)
		b.WriteString(fraction)
	}
	return b.String()
}

// val is {{val|value|plus|minus|e=exponent|u=unit}}.
func (p *preprocessor) val(a arguments) {
	values := a.positional()
	if len(values) == 0 {
		return
	}
	s := a.get("p") + p.ex.formatNumber(values[0])
	switch {
	case len(values) > 2 && values[1] != "" && values[2] != "":
		s += "+" + strings.TrimPrefix(values[1], "+") + " −" + strings.TrimLeft(values[2], "-−")
	case len(values) > 1 && values[1] != "" && isNumeric(values[1]):
		s += "±" + values[1]
	}
	if e := a.get("e"); e != "" {
		s += "×10^" + e
	}
	s += a.get("s")
	if u := a.get("u", "ul", "unit"); u != "" {
		s += " " + u
		if per := a.get("up", "upl"); per != "" {
			s += "/" + per
		}
	} else if len(values) > 1 && !isNumeric(values[1]) {
		s += " " + values[1] // fr: {{nombre|12|habitants}}
	}
	p.spend(s)
}

func isNumeric(s string) bool {
	_, err := strconv.ParseFloat(strings.ReplaceAll(strings.ReplaceAll(s, "−", "-"), ",", ""), 64)
	return err == nil
}

// unit is {{unité|12|km|2}}: a number, then units and their powers.
func (p *preprocessor) unit(a arguments) {
	values := a.positional()
	if len(values) == 0 {
		return
	}
	s := p.ex.formatNumber(values[0])
	for _, k := range []string{"e", "x"} {
		if e := a.get(k); e != "" {
			s += "×10^" + e
		}
	}
	for i := 1; i < len(values); i++ {
		switch {
		case values[i] == "":
		case isNumeric(values[i]):
			if values[i] != "1" {
				s += "^" + values[i]
			}
		case strings.HasPrefix(values[i], "/"):
			s += values[i]
		default:
			s += " " + values[i]
		}
	}
	if u := a.get("u", "ul"); u != "" {
		s += " " + u
	}
	p.spend(s)
}

// coord is {{coord|51|30|N|0|7|W|display=inline}}. A place that is only shown
// beside the title is not part of the text.
func (p *preprocessor) coord(a arguments) {
	display := strings.ToLower(a.get("display"))
	if display == "title" || display == "t" {
		return
	}
	var parts []string
	for _, v := range a.positional() {
		if strings.ContainsAny(v, ":_") {
			break
		}
		if v != "" {
			parts = append(parts, v)
		}
	}
	if len(parts) == 2 && isNumeric(parts[0]) && isNumeric(parts[1]) {
		lat, north := strings.CutPrefix(strings.ReplaceAll(parts[0], "−", "-"), "-")
		lon, east := strings.CutPrefix(strings.ReplaceAll(parts[1], "−", "-"), "-")
		p.spend(lat + "°" + pick(north, "S", "N") + " " + lon + "°" + pick(east, "W", "E"))
		return
	}
	var b strings.Builder
	marks := []string{"°", "′", "″"}
	k := 0
	for _, v := range parts {
		switch {
		case isNumeric(v) && k < len(marks):
			b.WriteString(v + marks[k])
			k++
		case len(v) == 1 && strings.Contains("NSEWOLnsewo", v):
			b.WriteString(v)
			if k > 0 && strings.Contains("NSns", v) {
				b.WriteByte(' ')
			}
			k = 0
		}
	}
	p.spend(strings.TrimSpace(b.String()))
}

func pick(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

var englishMonths = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}

// date joins year, month and day, as numbers or words, to what English reads
// month first unless df is given; elsewhere day, month, year.
func (p *preprocessor) date(a arguments) {
	y, m, d := a.get("1"), a.get("2"), a.get("3")
	if m == "" || !isNumber(y) && !isNumber(d) {
		p.spend(strings.TrimSpace(y + " " + m + " " + d))
		return
	}
	if n, err := strconv.Atoi(m); err == nil && n >= 1 && n <= 12 && p.ex.language == "en" {
		m = englishMonths[n-1]
	} else if err == nil {
		switch p.ex.language {
		case "ja", "zh":
			p.spend(y + "年" + m + "月")
			if d != "" {
				p.spend(d + "日")
			}
		case "de", "fi", "cs", "sk", "no", "nb", "da", "pl", "ru", "uk", "tr":
			p.spend(strings.TrimPrefix(d+"."+m+"."+y, "."))
		default:
			p.spend(strings.TrimPrefix(d+"/"+m+"/"+y, "/"))
		}
		return
	}
	switch {
	case d == "" || !isNumber(d):
		p.spend(m + " " + y)
	case a.get("4") != "" && a.get("4") != "no" || p.ex.language != "en":
		p.spend(d + " " + m + " " + y)
	default:
		p.spend(m + " " + d + ", " + y)
	}
}

// age is the age, in years, at the date 4, 5, 6 of who was born on 1, 2, 3.
// Without that date it would change with the day of reading, and is left out.
func (p *preprocessor) age(a arguments) {
	var n [7]int
	for i := 1; i <= 6; i++ {
		v, err := strconv.Atoi(a.get(numberName(i)))
		if err != nil {
			if i == 1 || i == 4 {
				return
			}
			v = 0
		}
		n[i] = v
	}
	years := n[4] - n[1]
	if n[5] < n[2] || n[5] == n[2] && n[6] < n[3] {
		years--
	}
	if years >= 0 {
		p.spend(strconv.Itoa(years))
	}
}
