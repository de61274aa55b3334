//go:build !linux

package kernel

import "unsafe"

func adviseHuge(unsafe.Pointer, int) {}

func mapBytes(int) []byte { return nil }

func unmapBytes([]byte) {}
