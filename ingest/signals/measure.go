package signals

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/ingest/language"
	"github.com/tributary-ml/tributary/ingest/pii"
)

// Meter measures texts, one after the other, in memory that it keeps. It is used by
// one goroutine at a time.
type Meter struct {
	tables *tables
	pack   *zstd.Encoder
	buf    []byte

	tokens, plain, lines, paragraphs table

	ids   []uint32 // the numbers of the tokens
	begin []uint32 // code points of tokens before each
	grams grams
	spans []pii.Span

	languages *language.Identifier

	sum sums
}

// sums are counts that signals are made of.
type sums struct {
	letters, numbers, spaces, uppers int64
	textChars                        int64 // of text tokens
	alpha                            int64 // tokens with a letter
	hashes, ellipses                 int64
	begun                            uint32 // code points of the tokens in ids
	caps, noAlpha                    int64  // words
	plainChars                       int64
	curly, lorem                     int64
	breaks                           int64 // "\n"
	allLines                         int64 // with those that are empty
	someLines                        int64 // that are not empty
	bullets, trailing                int64
	dupLines, dupChars               int64 // among someLines
	dupText                          int64 // code points of lines that are not blank
	dupParagraphs, dupParagraphChars int64
	ended, short                     int64
	c4Kept                           int64
	lineDigits, lineUpper            float64
}

// NewMeter returns a Meter.
func NewMeter() *Meter {
	pack, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(MaxPacked), zstd.WithEncoderCRC(false))
	if err != nil {
		panic("signals: " + err.Error()) // the options are constants
	}
	languages, err := language.New()
	if err != nil {
		panic("signals: " + err.Error()) // the model is part of the program
	}
	return &Meter{tables: basicPlane(), pack: pack, languages: languages}
}

// Measure returns the signals of a text, which is valid UTF-8, in a language ("" when
// it is not known).
func (m *Meter) Measure(text, language string) Signals {
	s := Signals{Bytes: int64(len(text))}
	m.sum = sums{}
	for _, t := range []*table{&m.tokens, &m.plain, &m.lines, &m.paragraphs} {
		t.reset()
	}
	m.ids, m.begin = emptied(m.ids), emptied(m.begin)

	// Paragraphs are those of what stands between the white space at both ends.
	first := len(text) - len(strings.TrimLeftFunc(text, unicode.IsSpace))
	last := len(strings.TrimRightFunc(text, unicode.IsSpace))
	paragraph := func(from, to int) {
		if from, to = max(from, first), min(to, last); from < to {
			m.paragraph(&s, text[from:to])
		}
	}
	open, from := false, 0 // a paragraph, and where it began
	for at := 0; at < len(text); {
		end := strings.IndexByte(text[at:], '\n')
		if end < 0 {
			end = len(text)
		} else {
			end += at
			m.sum.breaks++
		}
		m.sum.allLines++
		switch {
		case at < end:
			m.line(&s, text[at:end])
			if !open {
				open, from = true, at
			}
		case open:
			paragraph(from, at-1)
			open = false
		}
		at = end + 1
	}
	if open {
		paragraph(from, len(text))
	}
	m.finish(&s, text, language)
	return s
}

// emptied returns a slice of no length, without its memory when that is large.
func emptied(s []uint32) []uint32 {
	if cap(s) > largeTable {
		return nil
	}
	return s[:0]
}

func (m *Meter) paragraph(s *Signals, text string) {
	s.Paragraphs++
	if m.paragraphs.counts[m.paragraphs.add(xxh3.HashString(text))] > 1 {
		m.sum.dupParagraphs++
		m.sum.dupParagraphChars += int64(utf8.RuneCountInString(text))
	}
}

// finish makes shares of the sums.
func (m *Meter) finish(s *Signals, text, language string) {
	n := &m.sum
	s.Chars += n.breaks
	n.spaces += n.breaks
	chars := s.Chars

	s.MeanTokenLength = share(n.textChars, s.TextTokens)
	s.HashRatio, s.EllipsisRatio = share(n.hashes, s.AllTokens), share(n.ellipses, s.AllTokens)
	s.BulletLines, s.EllipsisLines = share(n.bullets, n.allLines), share(n.trailing, n.allLines)
	s.AlphaTokens = share(n.alpha, s.AllTokens)
	for _, w := range gopherStopWords {
		if m.tokens.count(xxh3.HashString(w)) > 0 {
			s.StopTokens++
		}
	}

	s.DupParagraphs, s.DupParagraphChars = share(n.dupParagraphs, s.Paragraphs), share(n.dupParagraphChars, chars)
	// Cutting a text at its line breaks leaves an empty line where it begins or ends with
	// one.
	begins, ends := strings.HasPrefix(text, "\n"), strings.HasSuffix(text, "\n")
	for _, empty := range []bool{begins, ends} {
		if empty {
			n.someLines++
		}
	}
	if begins && ends {
		n.dupLines++
	}
	s.DupLines, s.DupLineChars = share(n.dupLines, n.someLines), share(n.dupChars, chars)
	m.begin = append(m.begin, n.begun)
	m.grams.measure(s, m.ids, m.tokens.counts, m.begin, chars)

	s.C4Lines = share(n.c4Kept, s.Lines)
	s.EndedLines, s.ShortLines = share(n.ended, s.Lines), share(n.short, s.Lines)
	s.DupTextChars = share(n.dupText, chars-n.breaks)
	s.LineBreakRatio = share(n.breaks, s.AllTokens)

	s.MeanPlainWordLength = share(n.plainChars, s.PlainWords)
	counted := min(s.PlainWords, MaxTokens)
	s.UniqueWords = share(int64(len(m.plain.counts)), counted)
	s.UnigramEntropy = entropy(m.plain.counts, counted)
	var function int64
	for _, key := range stopWords()[language] {
		function += int64(m.plain.count(key))
	}
	s.StopWords = share(function, counted)
	s.CapsWords, s.NoAlphaWords = share(n.caps, s.Words), share(n.noAlpha, s.Words)
	s.SymbolRatio = share(n.hashes+n.ellipses, s.Words)
	s.CurlyChars, s.LoremRatio = share(n.curly, chars), share(n.lorem, chars)
	if s.Lines > 0 {
		s.LineDigits, s.LineUpper = float32(n.lineDigits/float64(s.Lines)), float32(n.lineUpper/float64(s.Lines))
	}
	s.LineWords = share(s.Words, s.Lines)

	s.UpperChars, s.DigitChars, s.SpaceChars = share(n.uppers, chars), share(n.numbers, chars), share(n.spaces, chars)
	s.PunctChars = share(chars-n.letters-n.numbers-n.spaces, chars)

	if len(text) > 0 {
		if head := min(len(text), MaxPacked); head > 0 {
			m.buf = append(m.buf[:0], text[:head]...)
			packed := m.pack.EncodeAll(m.buf, m.buf[head:])
			s.Compressibility = share(int64(len(packed)), int64(head))
		}
	}
	in := m.languages.Identify(text)
	s.Lang, s.LangScore, s.LangShare = in.Code, float32(in.Score), float32(in.Share)
	m.spans = pii.Find(m.spans[:0], text)
	for _, span := range m.spans {
		switch span.Kind {
		case pii.Email:
			s.Emails++
		case pii.IP:
			s.IPs++
		case pii.Phone:
			s.Phones++
		case pii.Card:
			s.Cards++
		case pii.Key:
			s.Keys++
		}
	}
}

func share(part, whole int64) float32 {
	if whole <= 0 {
		return 0
	}
	return float32(float64(part) / float64(whole))
}

// entropy returns the entropy of a distribution in nats.
func entropy(counts []uint32, total int64) float32 {
	if total == 0 {
		return 0
	}
	// -sum p ln p = ln total - (sum c ln c) / total, and c ln c is 0 for c = 1.
	sum := 0.0
	for _, c := range counts {
		if c > 1 {
			sum += float64(c) * math.Log(float64(c))
		}
	}
	return float32(math.Log(float64(total)) - sum/float64(total))
}
