package ingest_test

import (
	"fmt"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

func TestIDsDependOnEachPart(t *testing.T) {
	ids := map[string]bool{
		ingest.NewID("wiki", "a.xml", "1"): true,
		ingest.NewID("wiki", "a.xml", "2"): true,
		ingest.NewID("wiki", "b.xml", "1"): true,
		ingest.NewID("web", "a.xml", "1"):  true,
		ingest.NewID("wik", "ia.xml", "1"): true,
	}
	if len(ids) != 5 {
		t.Errorf("5 provenances gave %d ids", len(ids))
	}
}

func ExampleNewID() {
	// Revision 9 of page 7 has this id wherever and whenever it is ingested.
	fmt.Println(ingest.NewID("wiki", "wiki.xml.bz2", "7/9"))
	// Output: daf5ec8807923419a915b8d96f558ea2
}
