package tokenize

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// fileFormats lists the vocabulary files that Open knows in a directory, in the
// order in which it looks for them.
var fileFormats = []string{
	fileTokenizer, "tokenizer.model", "spiece.model", "spm.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt",
}

// findFile finds the vocabulary of a directory.
func findFile(dir string) (string, error) {
	for _, name := range fileFormats {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("%s holds none of %s: %w", dir, strings.Join(fileFormats, ", "), fs.ErrNotExist)
}

// parseFile reads the tokenizer in data, which lies at path, by the file's name.
func parseFile(path string, data []byte, config tokenizerConfig) (*Tokenizer, error) {
	switch base := filepath.Base(path); {
	case strings.HasSuffix(base, ".model"):
		return parseSentencePiece(data, config)
	case strings.HasSuffix(base, ".tiktoken"):
		return parseTiktoken(base, data, config)
	case strings.HasSuffix(base, ".txt"):
		return parseVocabText(data, config)
	case base == "vocab.json":
		merges, err := readFile(filepath.Join(filepath.Dir(path), "merges.txt"))
		if err != nil {
			return nil, fmt.Errorf("a vocab.json needs its merges.txt: %w", err)
		}
		return parseVocabMerges(data, merges, config)
	}
	return parse(data, config)
}

// parseVocabText reads BERT's vocab.txt: one piece a line, the line's number being
// its id. Unless the configuration says, the tokenizer lowers case when no piece
// has a capital letter.
func parseVocabText(data []byte, config tokenizerConfig) (*Tokenizer, error) {
	v := newVocabulary(1 << 15)
	capitals := false
	text := strings.TrimSuffix(string(toValid(string(data))), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		piece := strings.TrimRightFunc(line, unicode.IsSpace)
		if err := v.add(piece, int32(len(v.pieces))); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(v.pieces)+1, err)
		}
		if !strings.HasPrefix(piece, "[") {
			capitals = capitals || strings.ContainsFunc(piece, unicode.IsUpper)
		}
	}
	n := &bertNormalizer{Type: "BertNormalizer", CleanText: true, HandleChineseChars: true, Lowercase: !capitals}
	if config.lowercase != nil {
		n.Lowercase = *config.lowercase
	}
	if config.ideographs != nil {
		n.HandleChineseChars = *config.ideographs
	}
	n.StripAccents = config.stripAccents
	t := &Tokenizer{
		normalizer: n, pre: &bertPreTokenizer{Type: "BertPreTokenizer"},
		decoder: &wordPieceDecoder{Type: "WordPiece", Prefix: "##", Cleanup: true}, config: config,
	}
	for _, s := range bertSpecials {
		if id, ok := v.id(s); ok {
			t.added = append(t.added, AddedToken{ID: id, Content: s, Special: true})
		}
	}
	slices.SortFunc(t.added, func(a, b AddedToken) int { return int(a.ID - b.ID) })
	cls, ok1 := v.id("[CLS]")
	sep, ok2 := v.id("[SEP]")
	if ok1 && ok2 {
		t.post = bertTemplate("[CLS]", "[SEP]", cls, sep)
	}
	var err error
	if t.model, err = newWordPiece(v, "[UNK]", "##", 100); err != nil {
		return nil, err
	}
	return t, t.finish()
}

// parseVocabMerges reads the vocab.json and merges.txt of GPT-2 or RoBERTa.
func parseVocabMerges(vocab, merges []byte, config tokenizerConfig) (*Tokenizer, error) {
	m := &bpe{vocab: newVocabulary(1 << 16)}
	if err := json.Unmarshal(vocab, m.vocab); err != nil {
		return nil, err
	}
	for i, line := range strings.Split(string(merges), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || strings.HasPrefix(line, "#version") {
			continue
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return nil, fmt.Errorf("merges.txt line %d: %q are not two pieces", i+1, line)
		}
		if m.pairs = append(m.pairs, [2]string{left, right}); len(m.pairs) > maxMerges {
			return nil, fmt.Errorf("merges.txt has more than %d merges", maxMerges)
		}
	}
	level := func(trim bool) *byteLevel {
		return &byteLevel{Type: "ByteLevel", AddPrefixSpace: config.prefixSpace, TrimOffsets: trim, UseRegex: true}
	}
	t := &Tokenizer{pre: level(false), post: level(false), decoder: level(false), model: m, config: config}
	for _, s := range []string{"<s>", "<pad>", "</s>", "<unk>", "<mask>", endOfText} {
		if id, ok := m.vocab.id(s); ok {
			t.added = append(t.added, AddedToken{ID: id, Content: s, Special: true, LStrip: s == "<mask>"})
		}
	}
	slices.SortFunc(t.added, func(a, b AddedToken) int { return int(a.ID - b.ID) })
	cls, ok1 := m.vocab.id("<s>")
	sep, ok2 := m.vocab.id("</s>")
	if ok1 && ok2 {
		t.post = &robertaProcessing{"RobertaProcessing", tokenAndID{"</s>", sep}, tokenAndID{"<s>", cls}, true, config.prefixSpace}
	}
	if err := m.prepare(); err != nil {
		return nil, err
	}
	return t, t.finish()
}

// parseTiktoken reads a rank file: lines of a piece's bytes in Base64 and its
// rank, which is its id. Merges are all ways to make a piece of two others, by
// rank. The split pattern is not in the file; its name or size tells.
func parseTiktoken(name string, data []byte, config tokenizerConfig) (*Tokenizer, error) {
	m := &bpe{vocab: newVocabulary(1 << 17)}
	ranks := map[string]int32{}
	var raw []string
	for i, line := range bytes.Split(data, []byte("\n")) {
		fields := bytes.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: %d fields, want a piece and its rank", i+1, len(fields))
		}
		piece, err := base64.StdEncoding.DecodeString(string(fields[0]))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		rank, err := strconv.ParseInt(string(fields[1]), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if len(piece) == 0 || len(piece) > longestTrained {
			return nil, fmt.Errorf("line %d: a piece of %d bytes", i+1, len(piece))
		}
		if err := m.vocab.add(printable(string(piece)), int32(rank)); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		ranks[string(piece)] = int32(rank)
		raw = append(raw, string(piece))
	}
	slices.SortFunc(raw, func(a, b string) int { return int(ranks[a] - ranks[b]) })
	for _, piece := range raw {
		first := len(m.pairs)
		for i := 1; i < len(piece); i++ {
			_, ok1 := ranks[piece[:i]]
			_, ok2 := ranks[piece[i:]]
			if ok1 && ok2 {
				m.pairs = append(m.pairs, [2]string{piece[:i], piece[i:]})
			}
		}
		local := m.pairs[first:]
		slices.SortFunc(local, func(a, b [2]string) int {
			if d := ranks[a[0]] - ranks[b[0]]; d != 0 {
				return int(d)
			}
			return int(ranks[a[1]] - ranks[b[1]])
		})
		for i := range local {
			local[i] = [2]string{printable(local[i][0]), printable(local[i][1])}
		}
	}
	t := &Tokenizer{model: m, decoder: &byteLevel{Type: "ByteLevel", UseRegex: true}, config: config}
	special := func(id int32, content string) {
		t.added = append(t.added, AddedToken{ID: id, Content: content, Special: true})
	}
	if strings.Contains(name, "cl100k") || len(raw) > 100000 {
		scan, err := newScanner(patternCL100k)
		if err != nil {
			return nil, err
		}
		t.pre = &preTokenizerChain{"Sequence", []preTokenizer{
			&splitter{Type: "Split", Pattern: pattern{regexp: patternCL100k, scan: scan}, Behavior: isolated},
			&byteLevel{Type: "ByteLevel"},
		}}
		for id, s := range map[int32]string{100257: endOfText, 100258: "<|fim_prefix|>", 100259: "<|fim_middle|>", 100260: "<|fim_suffix|>", 100276: "<|endofprompt|>"} {
			if !m.vocab.has(id) {
				special(id, s)
			}
		}
		slices.SortFunc(t.added, func(a, b AddedToken) int { return int(a.ID - b.ID) })
	} else {
		t.pre = &byteLevel{Type: "ByteLevel", UseRegex: true}
		special(int32(m.vocab.span()), endOfText)
	}
	if err := m.prepare(); err != nil {
		return nil, err
	}
	return t, t.finish()
}

// printable writes bytes as the printable characters of byte-level pieces.
func printable(raw string) string {
	var out strings.Builder
	for i := range len(raw) {
		out.WriteRune(byteChars[raw[i]])
	}
	return out.String()
}
