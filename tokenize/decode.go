package tokenize

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// wordPieceDecoder joins pieces to words.
type wordPieceDecoder struct {
	Type    string `json:"type"`
	Prefix  string `json:"prefix"`
	Cleanup bool   `json:"cleanup"`
}

func (d *wordPieceDecoder) decode(tokens []string) []string {
	for i, token := range tokens {
		if i > 0 {
			if rest, ok := strings.CutPrefix(token, d.Prefix); ok {
				token = rest
			} else {
				token = " " + token
			}
		}
		if d.Cleanup {
			token = cleanup(token)
		}
		tokens[i] = token
	}
	return tokens
}

// cleanup takes out the spaces before punctuation and inside contractions.
func cleanup(s string) string {
	if strings.IndexByte(s, ' ') < 0 {
		return s
	}
	for _, r := range [][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
		{" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	return s
}

// decode reads printable characters as bytes. A token with others is taken as it
// is. Bytes that are no UTF-8 become U+FFFD.
func (*byteLevel) decode(tokens []string) []string {
	var out []byte
	for _, token := range tokens {
		before := len(out)
		for _, r := range token {
			b, ok := charByte(r)
			if !ok {
				out = append(out[:before], token...)
				break
			}
			out = append(out, b)
		}
	}
	return []string{lossy(out)}
}

// lossy reads bytes as UTF-8, with one U+FFFD for each longest part that could
// begin a character, as the Unicode Standard recommends in section 3.9.
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = brokenPrefix(b)
			out.WriteRune(utf8.RuneError)
		} else {
			out.Write(b[:n])
		}
		b = b[n:]
	}
	return out.String()
}

// brokenPrefix returns how many bytes at the start of b could begin a character,
// 1 if none.
func brokenPrefix(b []byte) int {
	c := b[0]
	need, lo, hi := 0, byte(0x80), byte(0xbf)
	switch {
	case 0xc2 <= c && c <= 0xdf:
		need = 1
	case c == 0xe0:
		need, lo = 2, 0xa0
	case c == 0xed:
		need, hi = 2, 0x9f
	case 0xe1 <= c && c <= 0xef:
		need = 2
	case c == 0xf0:
		need, lo = 3, 0x90
	case c == 0xf4:
		need, hi = 3, 0x8f
	case 0xf1 <= c && c <= 0xf3:
		need = 3
	}
	n := 1
	for ; n <= need && n < len(b) && lo <= b[n] && b[n] <= hi; n++ {
		lo, hi = 0x80, 0xbf
	}
	return n
}

// decode writes the visible character as a space, but for the first.
func (m *metaspace) decode(tokens []string) []string {
	for i, token := range tokens {
		with := " "
		if i == 0 && m.Prepend != "never" {
			with = ""
		}
		tokens[i] = strings.ReplaceAll(token, m.Replacement, with)
	}
	return tokens
}

func (n *replacer) decode(tokens []string) []string {
	for i, token := range tokens {
		var out strings.Builder
		for _, m := range n.Pattern.find(nil, []byte(token)) {
			if m.is {
				out.WriteString(n.Content)
			} else {
				out.WriteString(token[m.start:m.end])
			}
		}
		tokens[i] = out.String()
	}
	return tokens
}

// suffixDecoder is the decoder BPEDecoder.
type suffixDecoder struct {
	Type   string `json:"type"`
	Suffix string `json:"suffix"`
}

func (d *suffixDecoder) decode(tokens []string) []string {
	for i, token := range tokens {
		with := " "
		if i == len(tokens)-1 {
			with = ""
		}
		tokens[i] = strings.ReplaceAll(token, d.Suffix, with)
	}
	return tokens
}

// byteFallback reads the pieces <0x00> to <0xFF> as bytes.
type byteFallback plain

func (*byteFallback) decode(tokens []string) []string {
	out := make([]string, 0, len(tokens))
	var run []byte
	flush := func() {
		switch {
		case len(run) == 0:
		case utf8.Valid(run):
			out = append(out, string(run))
		default:
			for range run {
				out = append(out, "\ufffd")
			}
		}
		run = run[:0]
	}
	for _, token := range tokens {
		if len(token) == 6 && strings.HasPrefix(token, "<0x") && token[5] == '>' {
			if b, err := strconv.ParseUint(token[3:5], 16, 8); err == nil {
				run = append(run, byte(b))
				continue
			}
		}
		flush()
		out = append(out, token)
	}
	flush()
	return out
}

// fuse joins all tokens to one.
type fuse plain

func (*fuse) decode(tokens []string) []string { return []string{strings.Join(tokens, "")} }

// stripDecoder drops up to Start and Stop times a character from the ends.
type stripDecoder struct {
	Type    string `json:"type"`
	Content string `json:"content"`
	Start   int    `json:"start"`
	Stop    int    `json:"stop"`
}

func (d *stripDecoder) decode(tokens []string) []string {
	for i, token := range tokens {
		for range d.Start {
			rest, ok := strings.CutPrefix(token, d.Content)
			if !ok || token == "" {
				break
			}
			token = rest
		}
		for range d.Stop {
			rest, ok := strings.CutSuffix(token, d.Content)
			if !ok || token == "" {
				break
			}
			token = rest
		}
		tokens[i] = token
	}
	return tokens
}

// ctc is the decoder of speech models: repeats are folded, pads dropped.
type ctc struct {
	Type      string `json:"type"`
	PadToken  string `json:"pad_token"`
	Delimiter string `json:"word_delimiter_token"`
	Cleanup   bool   `json:"cleanup"`
}

func (d *ctc) decode(tokens []string) []string {
	out := tokens[:0]
	last := ""
	for i, token := range tokens {
		if i > 0 && token == last {
			continue
		}
		last = token
		token = strings.ReplaceAll(token, d.PadToken, "")
		if d.Cleanup {
			token = strings.ReplaceAll(cleanup(token), d.Delimiter, " ")
		}
		if token != "" {
			out = append(out, token)
		}
	}
	return out
}

// decoderChain is the decoder Sequence.
type decoderChain struct {
	Type  string    `json:"type"`
	Steps []decoder `json:"decoders"`
}

func (c *decoderChain) decode(tokens []string) []string {
	for _, step := range c.Steps {
		tokens = step.decode(tokens)
	}
	return tokens
}

func readDecoder(raw json.RawMessage, depth int) (decoder, error) {
	const kind = "decoder"
	name, err := componentType(kind, raw)
	if err != nil || isNull(raw) {
		return nil, err
	}
	switch name {
	case "WordPiece":
		return component(kind, raw, &wordPieceDecoder{Prefix: "##", Cleanup: true})
	case "ByteLevel":
		return component(kind, raw, &byteLevel{AddPrefixSpace: true, TrimOffsets: true, UseRegex: true})
	case "Metaspace":
		return component(kind, raw, new(metaspace))
	case "BPEDecoder":
		return component(kind, raw, &suffixDecoder{Suffix: "</w>"})
	case "ByteFallback":
		return component(kind, raw, new(byteFallback))
	case "Fuse":
		return component(kind, raw, new(fuse))
	case "Strip":
		d, err := component(kind, raw, new(stripDecoder))
		if err == nil && (d.Start < 0 || d.Stop < 0 || utf8.RuneCountInString(d.Content) != 1) {
			err = fmt.Errorf("%s: cannot strip %q %d and %d times", kind, d.Content, d.Start, d.Stop)
		}
		return d, err
	case "Replace":
		return component(kind, raw, new(replacer))
	case "CTC":
		return component(kind, raw, &ctc{PadToken: "<pad>", Delimiter: "|", Cleanup: true})
	case "Sequence":
		steps, err := readChain(kind, raw, "decoders", depth, readDecoder)
		return &decoderChain{name, steps}, err
	}
	return nil, &UnknownComponentError{kind, name}
}
