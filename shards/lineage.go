package shards

import (
	"fmt"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest/store"
)

// ChangedError says that the shards of a source are not those that a run began with.
type ChangedError struct{ Source, Tokenizer string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the shards of %s for tokenizer %s are not those that the run began with: their documents, marks or blocks have changed, not only grown; give the run another name, allow the change of its data by name (--allow-change data), or bring the old shards back", e.Source, e.Tokenizer)
}

// Lineage is the hash of what the shards of a source give to a run: rows, their order
// and the marks on them. A run that keeps it can go on with the same documents when
// others have been appended since (OpenOptions.Lineages).
func Lineage(dataDir, source, tokenizer string) (string, error) {
	m, err := ReadManifest(dataDir, source, tokenizer)
	if err != nil {
		return "", err
	}
	key, err := dedup.MarksKey(dataDir, source)
	if err != nil {
		return "", err
	}
	return m.lineages(len(m.Generations), key)[0], nil
}

// lineages returns the names that the first n generations have in lineages, with the
// marks of this key. Where the shards show these marks, the first name depends on those
// of its own documents alone.
func (m *Manifest) lineages(n int, marksKey string) []string {
	byKey := store.Key(m.rowsKey(n), marksKey)
	if m.MarksKey != marksKey {
		return []string{byKey}
	}
	parts := []any{"tributary/lineage/1", m.rowsKey(n)}
	for _, g := range m.Generations[:n] {
		parts = append(parts, g.Marks)
	}
	return []string{store.Key(parts...), byKey}
}

// began returns the generations that a run of the given lineage began with.
func (m *Manifest) began(lineage, marksKey string) (*Manifest, error) {
	for n := len(m.Generations); n >= 0; n-- {
		for _, l := range m.lineages(n, marksKey) {
			if l == lineage {
				return m.first(n), nil
			}
		}
	}
	return nil, &ChangedError{m.Source, m.Tokenizer}
}
