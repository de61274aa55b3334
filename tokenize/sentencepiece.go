package tokenize

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// spmModel is what is used of a SentencePiece model file, a protocol buffer
// (ModelProto of sentencepiece_model.proto).
type spmModel struct {
	pieces       []spmPiece
	kind         uint64 // trainer_spec.model_type: 1 Unigram, 2 BPE
	byteFallback bool
	charsmap     []byte
	dummyPrefix  bool
	oneSpace     bool // remove_extra_whitespaces
}

type spmPiece struct {
	text  string
	score float64
	kind  uint64
}

// The kinds of pieces.
const (
	spmNormal  = 1
	spmUnknown = 2
	spmControl = 3
	spmUser    = 4
	spmByte    = 6
)

// protoField is one field of a protocol buffer: a number, or bytes.
type protoField struct {
	tag    uint64
	number uint64
	bytes  []byte
}

var errProto = errors.New("it is no valid protocol buffer")

// protoFields calls f with each field of data.
func protoFields(data []byte, f func(protoField) error) error {
	for len(data) > 0 {
		key, n := binary.Uvarint(data)
		if n <= 0 {
			return errProto
		}
		data = data[n:]
		field := protoField{tag: key >> 3}
		size := uint64(0)
		switch key & 7 {
		case 0:
			if field.number, n = binary.Uvarint(data); n <= 0 {
				return errProto
			}
			size = uint64(n)
		case 1:
			size = 8
		case 5:
			size = 4
		case 2:
			length, n := binary.Uvarint(data)
			if n <= 0 || length > uint64(len(data)-n) {
				return errProto
			}
			data = data[n:]
			field.bytes, size = data[:length], length
		default:
			return errProto
		}
		if size > uint64(len(data)) {
			return errProto
		}
		if key&7 == 5 {
			field.number = uint64(binary.LittleEndian.Uint32(data))
		}
		data = data[size:]
		if err := f(field); err != nil {
			return err
		}
	}
	return nil
}

func readSPM(data []byte) (*spmModel, error) {
	m := &spmModel{kind: 1, dummyPrefix: true, oneSpace: true}
	err := protoFields(data, func(field protoField) error {
		switch field.tag {
		case 1:
			p := spmPiece{kind: spmNormal}
			err := protoFields(field.bytes, func(field protoField) error {
				switch field.tag {
				case 1:
					p.text = string(field.bytes)
				case 2:
					p.score = float64(math.Float32frombits(uint32(field.number)))
				case 3:
					p.kind = field.number
				}
				return nil
			})
			if m.pieces = append(m.pieces, p); len(m.pieces) > maxVocabulary {
				return fmt.Errorf("there are more than %d pieces", maxVocabulary)
			}
			return err
		case 2:
			return protoFields(field.bytes, func(field protoField) error {
				switch field.tag {
				case 3:
					m.kind = field.number
				case 35:
					m.byteFallback = field.number != 0
				}
				return nil
			})
		case 3:
			return protoFields(field.bytes, func(field protoField) error {
				switch field.tag {
				case 2:
					m.charsmap = field.bytes
				case 3:
					m.dummyPrefix = field.number != 0
				case 4:
					m.oneSpace = field.number != 0
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && len(m.pieces) == 0 {
		err = errors.New("it has no pieces")
	}
	return m, err
}

// parseSentencePiece reads a .model file.
func parseSentencePiece(data []byte, config tokenizerConfig) (*Tokenizer, error) {
	spm, err := readSPM(data)
	if err != nil {
		return nil, fmt.Errorf("the SentencePiece model: %w", err)
	}
	t := &Tokenizer{config: config}
	var steps []normalizer
	if len(spm.charsmap) > 0 {
		n := new(precompiled)
		if err := n.load(spm.charsmap); err != nil {
			return nil, err
		}
		steps = append(steps, n)
	}
	if spm.oneSpace {
		scan, err := newScanner(" {2,}")
		if err != nil {
			return nil, err
		}
		steps = append(steps, &stripper{"Strip", true, true}, &replacer{"Replace", pattern{regexp: " {2,}", scan: scan}, " "})
	}
	unk := int32(-1)
	pieces := make([]scoredPiece, len(spm.pieces))
	for id, p := range spm.pieces {
		pieces[id] = scoredPiece{p.text, p.score}
		switch p.kind {
		case spmUnknown:
			unk = int32(id)
			t.added = append(t.added, AddedToken{ID: int32(id), Content: p.text, Special: true})
		case spmControl:
			t.added = append(t.added, AddedToken{ID: int32(id), Content: p.text, Special: true})
		case spmUser:
			// SentencePiece finds these in the normalized text. Where a prefix would
			// be put before the token itself, the raw text must do.
			t.added = append(t.added, AddedToken{ID: int32(id), Content: p.text, Normalized: spm.kind == 1})
		}
	}
	switch spm.kind {
	case 1:
		if t.model, err = newUnigram(pieces, unk, spm.byteFallback); err != nil {
			return nil, err
		}
		space := &metaspace{"Metaspace", "▁", "always", true}
		if !spm.dummyPrefix {
			space.Prepend = "never"
		}
		t.pre, t.decoder = space, space
	case 2:
		m := &bpe{vocab: newVocabulary(len(pieces)), fuseUnk: true, byteFallback: spm.byteFallback}
		for id, p := range pieces {
			if err := m.vocab.add(p.piece, int32(id)); err != nil {
				return nil, err
			}
		}
		if unk >= 0 {
			m.unkToken = &pieces[unk].piece
		}
		for id, p := range spm.pieces {
			if len(p.text) > maxScored {
				return nil, fmt.Errorf("piece %d, %.20q..., has %d bytes, and may have %d in a BPE model", id, p.text, len(p.text), maxScored)
			}
		}
		m.pairs = mergesOfScores(spm.pieces, m.vocab)
		if len(m.pairs) > maxMerges {
			return nil, fmt.Errorf("there are more than %d merges", maxMerges)
		}
		if err := m.prepare(); err != nil {
			return nil, err
		}
		t.model = m
		strip := 0
		if spm.dummyPrefix {
			steps = append(steps, &prepender{"Prepend", "▁"})
			strip = 1
		}
		steps = append(steps, &replacer{"Replace", pattern{text: " "}, "▁"})
		t.decoder = &decoderChain{"Sequence", []decoder{
			&replacer{"Replace", pattern{text: "▁"}, " "}, &byteFallback{"ByteFallback"}, &fuse{"Fuse"}, &stripDecoder{"Strip", " ", strip, 0},
		}}
	default:
		return nil, &UnknownComponentError{"SentencePiece model", fmt.Sprint(spm.kind)}
	}
	if len(steps) > 0 {
		t.normalizer = &normalizerChain{"Sequence", steps}
	}
	t.post = framesOfClass(config, t.model.vocabulary())
	return t, t.finish()
}

// framesOfClass gives the control tokens that models of a class expect around texts:
// a .model has none. It is nil for classes that are not known and where a token is
// missing.
func framesOfClass(config tokenizerConfig, v *vocabulary) postProcessor {
	var single, pair []templatePart
	special := map[string]templateSpecial{}
	put := func(list *[]templatePart, kind int32, names ...string) {
		for _, name := range names {
			if name == "A" || name == "B" {
				*list = append(*list, templatePart{Sequence: &templateItem{name, kind}})
				continue
			}
			if id, ok := v.id(name); ok {
				special[name] = templateSpecial{name, []int32{id}, []string{name}}
			}
			*list = append(*list, templatePart{SpecialToken: &templateItem{name, kind}})
		}
	}
	switch class := strings.TrimSuffix(config.class, "Fast"); {
	case class == "AlbertTokenizer", class == "DebertaV2Tokenizer":
		put(&single, 0, "[CLS]", "A", "[SEP]")
		put(&pair, 0, "[CLS]", "A", "[SEP]")
		put(&pair, 1, "B", "[SEP]")
	case class == "XLNetTokenizer":
		put(&single, 0, "A", "<sep>")
		put(&single, 2, "<cls>")
		put(&pair, 0, "A", "<sep>")
		put(&pair, 1, "B", "<sep>")
		put(&pair, 2, "<cls>")
	case class == "T5Tokenizer":
		put(&single, 0, "A", "</s>")
		put(&pair, 0, "A", "</s>", "B", "</s>")
	case class == "LlamaTokenizer" && config.addBos:
		put(&single, 0, "<s>", "A")
		put(&pair, 0, "<s>", "A")
		put(&pair, 1, "<s>", "B")
	default:
		return nil
	}
	t := &templateProcessing{"TemplateProcessing", single, pair, special}
	if t.check() != nil {
		return nil
	}
	return t
}

// mergesOfScores lists the ways to make each piece of two others, the piece of
// the best score first: what SentencePiece merges by.
func mergesOfScores(pieces []spmPiece, v *vocabulary) [][2]string {
	type scored struct {
		left, right     string
		score           float64
		lenL, lenR      int
		idLeft, idRight int32
	}
	var all []scored
	for _, p := range pieces {
		if p.kind != spmNormal && p.kind != spmUser {
			continue
		}
		first := len(all)
		n := runes(p.text)
		k := 0
		for i := range p.text {
			if i == 0 {
				continue
			}
			k++
			left, ok1 := v.id(p.text[:i])
			right, ok2 := v.id(p.text[i:])
			if ok1 && ok2 {
				all = append(all, scored{p.text[:i], p.text[i:], p.score, k, n - k, left, right})
			}
		}
		slices.SortStableFunc(all[first:], func(a, b scored) int {
			if a.idLeft != b.idLeft {
				return int(a.idLeft - b.idLeft)
			}
			return int(a.idRight - b.idRight)
		})
	}
	slices.SortStableFunc(all, func(a, b scored) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		case a.lenL != b.lenL:
			return b.lenL - a.lenL
		}
		return b.lenR - a.lenR
	})
	pairs := make([][2]string, len(all))
	for i, s := range all {
		pairs[i] = [2]string{s.left, s.right}
	}
	return pairs
}
