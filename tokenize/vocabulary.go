package tokenize

import "fmt"

// vocabulary maps pieces to ids and back. Ids may have gaps.
type vocabulary struct {
	pieces  []string
	present []bool
	ids     map[string]int32
	bytes   int // of all pieces
}

func newVocabulary(capacity int) *vocabulary {
	return &vocabulary{ids: make(map[string]int32, capacity)}
}

// add gives piece an id. A piece has one id and an id one piece.
func (v *vocabulary) add(piece string, id int32) error {
	if id < 0 || id >= maxVocabulary {
		return fmt.Errorf("piece %q has id %d, which is not in 0..%d", piece, id, maxVocabulary-1)
	}
	if len(piece) > maxPiece {
		return fmt.Errorf("piece %d, %.20q..., has %d bytes, and may have %d", id, piece, len(piece), maxPiece)
	}
	if v.bytes += len(piece); v.bytes > maxPieces {
		return fmt.Errorf("piece %d, %.20q: all pieces together have more than %d bytes", id, piece, maxPieces)
	}
	if old, ok := v.ids[piece]; ok {
		return fmt.Errorf("piece %q stands twice, with ids %d and %d", piece, old, id)
	}
	for int(id) >= len(v.pieces) {
		v.pieces, v.present = append(v.pieces, ""), append(v.present, false)
	}
	if v.present[id] {
		return fmt.Errorf("id %d is given twice, to %q and to %q", id, v.pieces[id], piece)
	}
	v.pieces[id], v.present[id] = piece, true
	v.ids[piece] = id
	return nil
}

func (v *vocabulary) id(piece string) (int32, bool) {
	id, ok := v.ids[piece]
	return id, ok
}

func (v *vocabulary) has(id int32) bool {
	return id >= 0 && int(id) < len(v.present) && v.present[id]
}

// piece returns the piece of id, "" when there is none.
func (v *vocabulary) piece(id int32) string {
	if !v.has(id) {
		return ""
	}
	return v.pieces[id]
}

// size is the number of pieces; span is one more than the largest id.
func (v *vocabulary) size() int { return len(v.ids) }
func (v *vocabulary) span() int { return len(v.pieces) }
