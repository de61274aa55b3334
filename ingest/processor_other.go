//go:build !unix

package ingest

// processorSeconds returns 0: the processor time cannot be told.
func processorSeconds() float64 { return 0 }
