package masking

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/mixer"
)

// Packing is how documents become the windows of an objective that has a choice.
type Packing string

// The ways of packing.
const (
	// PackContiguous fills windows to the last token, across documents.
	PackContiguous Packing = "contiguous"
	// PackDocuments ends a window with its document.
	PackDocuments Packing = "documents"
	// PackBestFit cuts only documents that are longer than a sequence, and puts
	// whole ones and the rests of those together where they fit best. Each is a
	// sequence of its own.
	PackBestFit Packing = "best-fit"
	// PackSentences puts whole sentences together, across documents (FULL-SENTENCES
	// of RoBERTa).
	PackSentences Packing = "sentences"
	// PackDocumentSentences puts whole sentences of one document together
	// (DOC-SENTENCES).
	PackDocumentSentences Packing = "document-sentences"
)

var (
	packsTokens    = []Packing{PackContiguous, PackDocuments, PackBestFit}
	packsSentences = []Packing{PackSentences, PackDocumentSentences}
)

// Packings returns all ways of packing.
func Packings() []Packing { return slices.Concat(packsTokens, packsSentences) }

func (k known) checkPacking(p *Packing) error {
	if *p == "" && k.packings != nil {
		*p = k.packings[0]
	}
	if *p == "" || slices.Contains(k.packings, *p) {
		return nil
	}
	if k.packings == nil {
		return fmt.Errorf("its windows are made in one way, not by packing %q", *p)
	}
	names := make([]string, len(k.packings))
	for i, p := range k.packings {
		names[i] = string(p)
	}
	return fmt.Errorf("there is no packing %q for it; there are %s", *p, strings.Join(names, ", "))
}

// layout is that of the packing that was asked for.
func (m *masker) layout(otherwise mixer.Layout) mixer.Layout {
	switch m.options.Packing {
	case PackDocuments:
		return mixer.Documents
	case PackBestFit:
		return mixer.BestFit
	case PackDocumentSentences:
		return mixer.Sentences
	}
	return otherwise
}

// isolates reports whether documents are sequences of their own.
func (m *masker) isolates(l mixer.Layout) bool { return m.options.Isolate || l.Isolates() }
