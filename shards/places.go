package shards

import "context"

// Place is where a document came from.
type Place struct {
	// File, Offset and Record are as ingest.Document has them.
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Record int64  `json:"record"`
	// Tokens is the document's length.
	Tokens int64 `json:"tokens"`
}

// Places finds where documents came from, by id; those that are not among the
// shards are left out. It reads a few columns of every block until all are found.
func (s *Set) Places(ctx context.Context, ids ...string) (map[string]Place, error) {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	found := map[string]Place{}
	for i := 0; i < s.Blocks() && len(found) < len(wanted); i++ {
		v, err := s.ReadValues(ctx, i, []string{"id", "file", "offset", "record", "length"})
		if err != nil {
			return nil, err
		}
		for row, id := range v[0] {
			if id, ok := id.(string); ok && wanted[id] {
				p := Place{}
				p.File, _ = v[1][row].(string)
				for j, at := range []*int64{&p.Offset, &p.Record, &p.Tokens} {
					n, _ := v[2+j][row].(int)
					*at = int64(n)
				}
				found[id] = p
			}
		}
	}
	return found, nil
}
