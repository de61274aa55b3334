// Package signals measures texts: the quantities that the filters of Gopher, C4,
// FineWeb and RedPajama-v2 decide by, each a column of a source's documents. All of
// them come from one pass over the text; whether a document stays is decided later,
// by rules and predicates that name the columns.
package signals

// Signals are the measures of one text. A share lies between 0 and 1; the share of
// nothing is 0.
//
// Three kinds of word are counted, as the published rules do:
//
//   - words are runs of non-space (Words, and C4's and RedPajama's rules);
//   - tokens are words cut from punctuation, as Gopher's and FineWeb's rules count
//     them with a word tokenizer: a run of letters, marks and digits, with
//     apostrophes between letters and points or commas between digits; an ideograph
//     or hiragana by itself; a run of one other character, such as "..." (see Tokens);
//   - plain words are words in lower case without punctuation (RedPajama's).
//
// A line ends at "\n", a paragraph at a blank line. Fields are named by their columns
// in the documentation of rules.
type Signals struct {
	// Bytes are those of the text in UTF-8, Chars code points, Words runs of non-space,
	// Lines lines that are not blank.
	Bytes int64 `parquet:"bytes"`
	Chars int64 `parquet:"chars"`
	Words int64 `parquet:"words"`
	Lines int64 `parquet:"lines"`
	// Paragraphs are runs of lines without an empty line between them. Sentences end
	// with a mark of the Unicode property Sentence_Terminal before white space, or
	// with their line.
	Paragraphs int64 `parquet:"paragraphs"`
	Sentences  int64 `parquet:"sentences"`

	// Gopher's quality rules (Rae et al. 2021, appendix A1.1). AllTokens are all tokens,
	// TextTokens those that are more than common punctuation, whose mean length in code
	// points is MeanTokenLength.
	AllTokens       int64   `parquet:"all_tokens"`
	TextTokens      int64   `parquet:"text_tokens"`
	MeanTokenLength float32 `parquet:"mean_token_length"`
	// HashRatio and EllipsisRatio are "#", and "..." with "…", per token.
	HashRatio     float32 `parquet:"hash_ratio"`
	EllipsisRatio float32 `parquet:"ellipsis_ratio"`
	// BulletLines and EllipsisLines are the shares of lines, empty ones counted, that
	// begin with "•" or "-" and that end in an ellipsis.
	BulletLines   float32 `parquet:"bullet_lines"`
	EllipsisLines float32 `parquet:"ellipsis_lines"`
	// AlphaTokens is the share of tokens with a letter.
	AlphaTokens float32 `parquet:"alpha_tokens"`
	// StopTokens is how many of "the be to of and that have with" the text has.
	StopTokens int64 `parquet:"stop_tokens"`

	// Gopher's repetition rules (the same, table A1). Duplicates are those after the
	// first. DupParagraphChars, DupLineChars and all below are in code points of the
	// whole text.
	DupParagraphs     float32 `parquet:"dup_paragraphs"`
	DupParagraphChars float32 `parquet:"dup_paragraph_chars"`
	DupLines          float32 `parquet:"dup_lines"`
	DupLineChars      float32 `parquet:"dup_line_chars"`
	// TopNgram is the share of the most frequent n-gram of tokens, with single spaces
	// between them; DupNgram of those that came before, found from left to right
	// without overlap. Of texts longer than MaxTokens tokens the first are looked at.
	Top2gram  float32 `parquet:"top_2gram"`
	Top3gram  float32 `parquet:"top_3gram"`
	Top4gram  float32 `parquet:"top_4gram"`
	Dup5gram  float32 `parquet:"dup_5gram"`
	Dup6gram  float32 `parquet:"dup_6gram"`
	Dup7gram  float32 `parquet:"dup_7gram"`
	Dup8gram  float32 `parquet:"dup_8gram"`
	Dup9gram  float32 `parquet:"dup_9gram"`
	Dup10gram float32 `parquet:"dup_10gram"`

	// C4's rules (Raffel et al. 2020, section 2.2, and the code that made it). C4Lines
	// is the share of lines that they keep, C4Sentences the sentences of those, one at
	// least for each.
	C4Lines     float32 `parquet:"c4_lines"`
	C4Sentences int64   `parquet:"c4_sentences"`
	// C4Lorem and C4Curly count lines with "lorem ipsum" and "{" among the lines that
	// end in a terminal mark and have three words: those are looked at.
	C4Lorem int64 `parquet:"c4_lorem"`
	C4Curly int64 `parquet:"c4_curly"`
	// ScriptLines and PolicyLines are lines, of the same, that C4 drops for "javascript"
	// and for phrases about cookies and terms of use.
	ScriptLines int64 `parquet:"script_lines"`
	PolicyLines int64 `parquet:"policy_lines"`
	// LongLines have 200 code points or more (mC4 wants three).
	LongLines int64 `parquet:"long_lines"`

	// FineWeb's rules (Penedo et al. 2024, section 3.5), of lines that are not blank:
	// the shares that end in a terminal mark and that have at most 30 code points, the
	// share of the characters (line breaks not counted) that lies in duplicate lines,
	// and line breaks per token.
	EndedLines     float32 `parquet:"ended_lines"`
	ShortLines     float32 `parquet:"short_lines"`
	DupTextChars   float32 `parquet:"dup_text_chars"`
	LineBreakRatio float32 `parquet:"line_break_ratio"`

	// RedPajama-v2's signals (Weber et al. 2024, appendix D), beside those above.
	// PlainWords are plain words, with their mean length, the share of distinct ones
	// and the entropy of their distribution in nats.
	PlainWords          int64   `parquet:"plain_words"`
	MeanPlainWordLength float32 `parquet:"mean_plain_word_length"`
	UniqueWords         float32 `parquet:"unique_words"`
	UnigramEntropy      float32 `parquet:"unigram_entropy"`
	// StopWords is the share of plain words that are function words of its language, 0 for
	// languages without a list (see StopLanguages).
	StopWords float32 `parquet:"stop_words"`
	// CapsWords and NoAlphaWords are the shares of words all in capitals and without a
	// letter; SymbolRatio is "#", "..." and "…" per word.
	CapsWords    float32 `parquet:"caps_words"`
	NoAlphaWords float32 `parquet:"no_alpha_words"`
	SymbolRatio  float32 `parquet:"symbol_ratio"`
	// CurlyChars is the share of "{" and "}", LoremRatio "lorem ipsum" per character.
	CurlyChars float32 `parquet:"curly_chars"`
	LoremRatio float32 `parquet:"lorem_ratio"`
	// Means over the lines that are not blank: the shares of digits and of capitals
	// among their characters, and their words.
	LineDigits float32 `parquet:"line_digits"`
	LineUpper  float32 `parquet:"line_upper"`
	LineWords  float32 `parquet:"line_words"`

	// Shares of the characters: capitals, digits and other numbers, white space,
	// punctuation and symbols.
	UpperChars float32 `parquet:"upper_chars"`
	DigitChars float32 `parquet:"digit_chars"`
	SpaceChars float32 `parquet:"space_chars"`
	PunctChars float32 `parquet:"punct_chars"`

	// Compressibility is the size that Zstandard's fastest level packs the text's first
	// MaxPacked bytes to, per byte: low for repetition, near 1 for noise.
	Compressibility float32 `parquet:"compressibility"`

	// Lang is the language that the text looks written in (see package language), whatever
	// its source says, "" when it has no letters. LangScore is how sure that is, LangShare
	// the share of the letters in paragraphs of that language.
	Lang      string  `parquet:"lang,dict"`
	LangScore float32 `parquet:"lang_score"`
	LangShare float32 `parquet:"lang_share"`

	// Patterns of personal data, by kind (see package pii).
	Emails int64 `parquet:"pii_emails"`
	IPs    int64 `parquet:"pii_ips"`
	Phones int64 `parquet:"pii_phones"`
	Cards  int64 `parquet:"pii_cards"`
	Keys   int64 `parquet:"pii_keys"`
}

const (
	// MaxTokens bounds the tokens, and the words, among which repetitions are looked
	// for, and by it the memory of a Meter.
	MaxTokens = 1 << 20
	// MaxPacked bounds the bytes that Compressibility looks at.
	MaxPacked = 1 << 20
)
