package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestFilesAreCurrent fails when a committed file is not what the generator
// prints.
func TestFilesAreCurrent(t *testing.T) {
	for name, text := range files {
		want, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(file(text), want) {
			t.Errorf("%s is out of date: run go generate in model/kernel", name)
		}
	}
}
