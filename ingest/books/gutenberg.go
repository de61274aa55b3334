package books

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const (
	maxHeaderLines  = 600 // a header with its small print is shorter
	maxMarkerLines  = 4   // a marker of three stars may run over so many lines
	maxFrontBlocks  = 14  // paragraphs before the book proper that may be credits
	maxNoteBlocks   = 40
	tailShare       = 8 // notes to the transcription stand in the last eighth
	minTailLines    = 120
	maxInlineNote   = 4000
	maxHeaderFields = 80
)

const gutenbergName = `proje[ck]t gutenberg|gutenberg[- ]proje[ck]t|proyecto gutenberg|projet gutenberg|progetto gutenberg|projecto gutenberg`

var (
	gutenberg = regexp.MustCompile(`(?i)` + gutenbergName)
	// The words for "end", at the head of a line that names the project.
	endWord = regexp.MustCompile(`(?i)^[* ]*(the )?(end|ende|fin|final|fine|einde|fim|loppu|slut|koniec|konec|конец)\b`)
	endLine = regexp.MustCompile(endWord.String() + `\s+(\S+\s+){0,3}(` + gutenbergName + `)`)
	// The first line of a text whose header has no marker.
	headLine = regexp.MustCompile(`(?i)^\W*(the )?(` + gutenbergName + `)['’]?s? (e-?(book|text)|edition|of|presents)\b`)
	// The line that ends the small print of old texts.
	smallPrintEnd = regexp.MustCompile(`(?i)^\s*\*\s*END\s*\*?\s*THE SMALL PRINT|^\s*\*END\*|^\s*\*{3,}\s*END OF THE SMALL PRINT`)
	field         = regexp.MustCompile(`^(Title|Author|Language|Titel|Titre|Título|Titolo|Auteur|Autor|Autore|Autorin|Verfasser|Sprache|Langue|Idioma|Lingua|Taal|Kieli|Tekijä)\s*:\s*(.*)$`)

	credit = regexp.MustCompile(`(?i)^\W*(produced by|e-?text (was )?(prepared|produced|scanned)|(this|the) (e-?text|e-?book|electronic (text|edition|version)) (was|is|has been)?\s*(first )?(produced|prepared|created|scanned|transcribed|typed|converted)|prepared by|transcribed (from|by)|scanned (by|and)|text file produced|html (version|file) (by|produced)|digitized by|distributed proofread|updated by|(produit|préparé|numérisé) par|(erstellt|produziert|vorbereitet) von|produ(ç|c)ão|prodotto da|geproduceerd door|produzido por|this file was produced|(with )?special thanks to|note: (project gutenberg|there is|images? of the)|note: .{0,80}(html version|illustrations)|\(?this (file|book) was)`)
	site   = regexp.MustCompile(`(?i)gutenberg\.(org|net)|pgdp\.net|promo\.net/pg|distributed\s+proofread`)

	transcriber = regexp.MustCompile(`(?i)^\W*((original )?transcriber[’']?s?[’']?s? (foot)?notes?|transcription notes?|anmerkungen? (zur|der) transkription|notes? (du|de la|sur la) transcript(eur|rice|ion)|nota (do|del|de la|della|da) trans?crip(tor|tora|ción|cao|ção)|nota del (trascrittore|revisore)|note? di trascrizione|opmerkingen? van de bewerker|opmerking(en)? bij de transcriptie|au lecteur (de la|sur la) transcription|huomautus(ia)? (tekstiin)?sähkö)`)
	inlineNote  = regexp.MustCompile(`(?i)^\[(transcriber[’']?s?[’']? notes?|transcription note|anmerkung(en)? (zur|der) transkription|note (du|de) transcripteur|nota del trascrittore)`)
	plate       = regexp.MustCompile(`(?i)^\[(illustration|abbildung|illustrazione|ilustración)s?\s*\]`)
)

// strip takes what Project Gutenberg added away, and what its header says of the
// book along.
func (b *Book) strip(lines []string) []string {
	start, end := b.bounds(lines)
	header := lines[:min(start, maxHeaderLines)]
	if start == 0 && b.Gutenberg {
		header = lines[:min(len(lines), maxHeaderFields)]
	}
	if b.Gutenberg {
		b.fields(header)
	}
	lines = lines[start:end]
	if b.Gutenberg {
		lines = dropFront(lines)
	}
	lines = dropTail(lines)
	return dropInline(lines)
}

// bounds returns where the book proper begins and ends.
func (b *Book) bounds(lines []string) (start, end int) {
	end = len(lines)
	for i := 0; i < min(len(lines), maxHeaderLines); i++ {
		l := strings.TrimSpace(lines[i])
		if smallPrintEnd.MatchString(l) {
			b.Gutenberg = true
			start = i + 1
			continue
		}
		if strings.HasPrefix(l, "***") && gutenberg.MatchString(l) && !endWord.MatchString(l) {
			b.Gutenberg = true
			start = markerEnd(lines, i)
			break
		}
	}
	if start == 0 {
		for i := 0; i < min(len(lines), 12); i++ {
			if headLine.MatchString(strings.TrimSpace(lines[i])) {
				b.Gutenberg = true
			}
		}
	}
	for i := start; i < len(lines); i++ {
		l := strings.TrimSpace(lines[i])
		if l == "" || !strings.HasPrefix(l, "*") && i > 0 && lines[i-1] != "" {
			continue
		}
		atEnd := endWord.MatchString(l)
		if !atEnd && !strings.HasPrefix(l, "***") {
			continue
		}
		long := l
		if i+1 < len(lines) {
			long += " " + strings.TrimSpace(lines[i+1])
		}
		isMarker := strings.HasPrefix(l, "***") && gutenberg.MatchString(l) && i > start+1
		isEnd := atEnd && len(l) < 160 && endLine.MatchString(long)
		isLicence := strings.HasPrefix(l, "***") && strings.Contains(l, "This file should be named")
		if isMarker || isEnd || isLicence {
			b.Gutenberg = true
			end = i
			break
		}
	}
	return start, end
}

// markerEnd returns the line after the marker that begins at line i, which may run
// over several lines up to its closing stars.
func markerEnd(lines []string, i int) int {
	for j := i; j < min(len(lines), i+maxMarkerLines); j++ {
		l := strings.TrimSpace(lines[j])
		if l == "" {
			break
		}
		if strings.HasSuffix(l, "***") && (j > i || len(l) > 12) {
			return j + 1
		}
	}
	return i + 1
}

func (b *Book) fields(header []string) {
	for i, l := range header {
		m := field.FindStringSubmatch(strings.TrimSpace(l))
		if m == nil {
			continue
		}
		value := strings.TrimSpace(m[2])
		for j := i + 1; j < len(header) && strings.HasPrefix(header[j], " ") && strings.TrimSpace(header[j]) != ""; j++ {
			value += " " + strings.TrimSpace(header[j])
		}
		value = strings.Join(strings.Fields(value), " ")
		switch m[1] {
		case "Title", "Titel", "Titre", "Título", "Titolo":
			setOnce(&b.Title, value)
		case "Language", "Sprache", "Langue", "Idioma", "Lingua", "Taal", "Kieli":
			setOnce(&b.Language, languageCode(value))
		default:
			setOnce(&b.Author, value)
		}
	}
}

func setOnce(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// languageCode returns the code of a language by its English name or its own.
func languageCode(name string) string {
	first, _, _ := strings.Cut(strings.ToLower(name), ",")
	first, _, _ = strings.Cut(first, ";")
	first, _, _ = strings.Cut(strings.TrimSpace(first), " (")
	if code, ok := languages[first]; ok {
		return code
	}
	return first
}

var languages = map[string]string{
	"english": "en", "french": "fr", "français": "fr", "german": "de", "deutsch": "de", "spanish": "es", "español": "es",
	"castellano": "es", "italian": "it", "italiano": "it", "portuguese": "pt", "português": "pt", "dutch": "nl", "nederlands": "nl",
	"finnish": "fi", "suomi": "fi", "swedish": "sv", "svenska": "sv", "danish": "da", "dansk": "da", "norwegian": "no", "norsk": "no",
	"latin": "la", "greek": "el", "ancient greek": "grc", "chinese": "zh", "japanese": "ja", "russian": "ru", "polish": "pl",
	"polski": "pl", "czech": "cs", "hungarian": "hu", "magyar": "hu", "esperanto": "eo", "catalan": "ca", "català": "ca",
	"galician": "gl", "tagalog": "tl", "welsh": "cy", "irish": "ga", "gaelic": "gd", "hebrew": "he", "yiddish": "yi",
	"arabic": "ar", "persian": "fa", "sanskrit": "sa", "hindi": "hi", "turkish": "tr", "romanian": "ro", "bulgarian": "bg",
	"serbian": "sr", "croatian": "hr", "slovenian": "sl", "slovak": "sk", "ukrainian": "uk", "icelandic": "is", "afrikaans": "af",
	"friesian": "fy", "frisian": "fy", "breton": "br", "occitan": "oc", "interlingua": "ia", "korean": "ko", "vietnamese": "vi",
	"old english": "ang", "middle english": "enm", "scots": "sco", "maori": "mi", "estonian": "et", "lithuanian": "lt", "latvian": "lv",
}

// block is a run of lines without a blank one: lines[from:to].
type block struct{ from, to int }

func blocks(lines []string, limit int) []block {
	var out []block
	for i := 0; i < len(lines) && len(out) < limit; {
		if strings.TrimSpace(lines[i]) == "" {
			i++
			continue
		}
		j := i
		for j < len(lines) && strings.TrimSpace(lines[j]) != "" {
			j++
		}
		out = append(out, block{i, j})
		i = j
	}
	return out
}

// dropFront removes credits, and notes to the transcription, from the head of a
// book.
func dropFront(lines []string) []string {
	drop := make([]bool, len(lines))
	all := blocks(lines, maxFrontBlocks+maxNoteBlocks)
	for n := 0; n < min(len(all), maxFrontBlocks); n++ {
		text := strings.Join(lines[all[n].from:all[n].to], " ")
		text = strings.TrimSpace(text)
		switch {
		case strings.IndexFunc(text, unicode.IsLetter) < 0:
			mark(drop, all[n]) // stars and rules
		case transcriber.MatchString(text):
			// The note goes on up to a wider gap, or to the closing bracket.
			last := n
			bracket := strings.HasPrefix(text, "[")
			for last+1 < len(all) && last-n < maxNoteBlocks {
				if bracket && strings.HasSuffix(strings.TrimSpace(lines[all[last].to-1]), "]") {
					break
				}
				if !bracket && all[last+1].from-all[last].to > 2 {
					break
				}
				last++
			}
			for ; n <= last; n++ {
				mark(drop, all[n])
			}
			n = last
		case credit.MatchString(text), len(text) < 1200 && (gutenberg.MatchString(text) || site.MatchString(text)):
			mark(drop, all[n])
		}
	}
	return keep(lines, drop)
}

func mark(drop []bool, b block) {
	for i := b.from; i < b.to; i++ {
		drop[i] = true
	}
}

func keep(lines []string, drop []bool) []string {
	out := lines[:0:0]
	for i, l := range lines {
		if !drop[i] {
			out = append(out, l)
		}
	}
	return out
}

// dropTail cuts notes to the transcription off the end of a book.
func dropTail(lines []string) []string {
	from := len(lines) - max(len(lines)/tailShare, minTailLines)
	for i := max(from, len(lines)/2, 1); i < len(lines); i++ {
		if strings.TrimSpace(lines[i-1]) == "" && transcriber.MatchString(lines[i]) {
			return lines[:i]
		}
	}
	return lines
}

// dropInline removes bracketed notes to the transcription and marks of plates
// without a caption. It changes lines.
func dropInline(lines []string) []string {
	cut := false
	for i := range lines {
		for from := 0; ; {
			open := strings.IndexByte(lines[i][from:], '[')
			if open < 0 {
				break
			}
			open += from
			rest := lines[i][open:]
			head := rest
			if len(head) < 64 && i+1 < len(lines) {
				head += " " + lines[i+1]
			}
			if mark := plate.FindString(rest); mark != "" {
				lines[i] = lines[i][:open] + rest[len(mark):]
				if strings.TrimSpace(lines[i]) == "" {
					lines[i], cut = removed, true
				}
			} else if inlineNote.MatchString(head) && cutNote(lines[i:], open) {
				cut = true
			} else {
				from = open + 1
			}
		}
	}
	if cut {
		lines = slices.DeleteFunc(lines, func(l string) bool { return l == removed })
	}
	return lines
}

// removed stands for a line that is taken out: control characters are gone from
// the text by then.
const removed = "\x00"

// cutNote removes the bracket that begins at byte open of the first of lines, and
// reports whether it is closed.
func cutNote(lines []string, open int) bool {
	depth, size := 0, 0
	for j, l := range lines {
		k := 0
		if j == 0 {
			k = open
		}
		for ; k < len(l); k++ {
			switch l[k] {
			case '[':
				depth++
			case ']':
				depth--
			}
			if depth > 0 {
				continue
			}
			after := l[k+1:]
			if j == 0 {
				lines[0] = l[:open] + after
			} else {
				// What stood around the note belongs to one paragraph.
				lines[0] = strings.TrimSpace(lines[0][:open] + after)
				for i := 1; i <= j; i++ {
					lines[i] = removed
				}
			}
			if strings.TrimSpace(lines[0]) == "" {
				lines[0] = removed
			}
			return true
		}
		if size += len(l); size > maxInlineNote {
			break
		}
	}
	return false
}
