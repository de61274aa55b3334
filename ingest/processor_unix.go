//go:build unix

package ingest

import "syscall"

// processorSeconds returns the processor time that the program has taken, 0 where it
// cannot be told.
func processorSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
