package tokenize

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// What files may hold: several times what the largest published tokenizers do, and
// little enough for a machine to bear.
const (
	// maxFile is the bytes of a file.
	maxFile = 128 << 20
	// maxVocabulary bounds the ids of a vocabulary, and so what a file of one line
	// can make us allocate.
	maxVocabulary = 1 << 22
	// maxPiece is the bytes of a piece, and maxPieces those of all.
	maxPiece  = 1 << 20
	maxPieces = 64 << 20
	// maxScored is the bytes of a piece of a SentencePiece BPE model: all ways to
	// make it of two others are tried.
	maxScored = 256
	// maxTrie is the units of a trie.
	maxTrie = 1 << 25
	// maxMerges is the number of merges, maxAdded that of added tokens, and maxSteps
	// that of the steps of a Sequence and the parts of a template.
	maxMerges = 1 << 22
	maxAdded  = 1 << 20
	maxSteps  = 256
	// maxNesting bounds sequences of sequences.
	maxNesting = 8
	// maxGrowth bounds how many times as long as a text its normalized form may be.
	maxGrowth = 1 << 12
)

// decodeList reads a JSON array of no more than limit elements.
func decodeList[T any](data []byte, limit int, what string) ([]T, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	begin, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if begin == nil {
		return nil, nil
	}
	if begin != json.Delim('[') {
		return nil, fmt.Errorf("%s begin with %v, want an array", what, begin)
	}
	var list []T
	for dec.More() {
		if len(list) == limit {
			return nil, fmt.Errorf("there are more than %d %s", limit, what)
		}
		var one T
		if err := dec.Decode(&one); err != nil {
			return nil, fmt.Errorf("%s, number %d: %w", what, len(list), err)
		}
		list = append(list, one)
	}
	return list, nil
}

// growth bounds how many times as long a step can make a text.
func growth(step any) int {
	switch step := step.(type) {
	case *normalizerChain:
		return growthOf(step.Steps)
	case *decoderChain:
		return growthOf(step.Steps)
	case *replacer:
		// A regular expression matches at least one byte.
		return 1 + len(step.Content)/max(1, len(step.Pattern.text))
	case *byteNormalizer:
		return 2
	case *prepender:
		return 1 + len(step.Prepend)
	case *precompiled:
		longest := 0
		for form := range bytes.SplitSeq(step.forms, []byte{0}) {
			longest = max(longest, len(form))
		}
		return max(1, longest)
	}
	// The longest form of a character that Unicode gives has eleven times its bytes;
	// but it has none in turn, so that these steps do not multiply.
	return 1
}

func growthOf[T any](steps []T) int {
	product := 1
	for _, step := range steps {
		if product *= growth(step); product > maxGrowth {
			return product
		}
	}
	return product
}

// checkGrowth refuses chains that make long texts of short ones.
func checkGrowth(kind string, chain any) error {
	if n := growth(chain); n > maxGrowth {
		return fmt.Errorf("%s: it can make a text more than %d times as long", kind, maxGrowth)
	}
	return nil
}
