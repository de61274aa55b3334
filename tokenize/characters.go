package tokenize

// The character ids of ELMo's models (Peters et al., NAACL 2018; bilm-tf): bytes
// are 0 to 255.
const (
	CharBeginSentence = 256
	CharEndSentence   = 257
	CharBeginWord     = 258
	CharEndWord       = 259
	CharPad           = 260
	// CharVocabSize is the number of character ids while training. Published
	// weights for prediction shift all ids by one, so that 0 is masked: 262 ids.
	CharVocabSize = 261
	// MaxWordChars is the number of ids of a word, its marks included.
	MaxWordChars = 50
)

// Characters writes words as the characters that ELMo reads: MaxWordChars ids a
// word, namely CharBeginWord, up to MaxWordChars-2 bytes of UTF-8, CharEndWord, and
// CharPad up to the end. The zero value gives the ids of training.
type Characters struct {
	// Shift adds one to every id, as the published models for prediction want it.
	Shift bool
}

// AppendWord appends the ids of a word to dst.
func (c Characters) AppendWord(dst []int32, word string) []int32 {
	n := min(len(word), MaxWordChars-2)
	before := len(dst)
	dst = append(dst, CharBeginWord)
	for i := range n {
		dst = append(dst, int32(word[i]))
	}
	return c.end(dst, before)
}

// AppendBegin and AppendEnd append the words that begin and end a sentence.
func (c Characters) AppendBegin(dst []int32) []int32 {
	before := len(dst)
	return c.end(append(dst, CharBeginWord, CharBeginSentence), before)
}

// AppendEnd appends the word that ends a sentence.
func (c Characters) AppendEnd(dst []int32) []int32 {
	before := len(dst)
	return c.end(append(dst, CharBeginWord, CharEndSentence), before)
}

func (c Characters) end(dst []int32, before int) []int32 {
	dst = append(dst, CharEndWord)
	for len(dst)-before < MaxWordChars {
		dst = append(dst, CharPad)
	}
	if c.Shift {
		for i := before; i < len(dst); i++ {
			dst[i]++
		}
	}
	return dst
}

// AppendText appends the ids of each word of text, as the tokenizer t splits it
// (a word-level one, whose unknown words keep their characters here), and returns
// the number of words.
func (c Characters) AppendText(dst []int32, e *Encoder, text string) ([]int32, int, error) {
	var enc Encoding
	if err := e.EncodeOffsets(&enc, text); err != nil {
		return dst, 0, err
	}
	words := 0
	for i := 0; i < len(enc.IDs); {
		j := i + 1
		for j < len(enc.IDs) && enc.Words[j] == enc.Words[i] {
			j++
		}
		dst = c.AppendWord(dst, text[enc.Spans[i].Start:enc.Spans[j-1].End])
		words++
		i = j
	}
	return dst, words, nil
}

// Table returns the ids of every token of a tokenizer, one row of MaxWordChars an
// id: a model that reads word ids looks its characters up here. The tokens that
// begin and end a text ("<s>" and "</s>", or "[CLS]" and "[SEP]") are those of
// sentences; ids that stand for nothing are all CharPad.
func (c Characters) Table(t *Tokenizer) []int32 {
	s := t.Specials()
	table := make([]int32, 0, t.VocabSize()*MaxWordChars)
	for id := range int32(t.VocabSize()) {
		switch {
		case id == s.Bos || id == s.Cls:
			table = c.AppendBegin(table)
		case id == s.Eos || id == s.Sep:
			table = c.AppendEnd(table)
		case !t.Has(id) || id == s.Pad:
			for range MaxWordChars {
				pad := int32(CharPad)
				if c.Shift {
					pad = 0 // masked
				}
				table = append(table, pad)
			}
		default:
			table = c.AppendWord(table, t.Token(id))
		}
	}
	return table
}
