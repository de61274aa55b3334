package bzip2_test

import (
	"bytes"
	"fmt"
	"io"

	"github.com/tributary-ml/tributary/ingest/bzip2"
)

func Example() {
	var file bytes.Buffer
	for _, text := range []string{"two streams, ", "one text"} {
		w := bzip2.NewWriter(&file, 9)
		if _, err := io.WriteString(w, text); err != nil {
			fmt.Println(err)
		}
		if err := w.Close(); err != nil {
			fmt.Println(err)
		}
	}
	r := bzip2.NewReader(&file, bzip2.Options{Jobs: 2})
	defer func() { _ = r.Close() }()
	text, err := io.ReadAll(r)
	fmt.Println(string(text), err)
	// Output: two streams, one text <nil>
}

func ExampleOptions_damaged() {
	var file bytes.Buffer
	for _, text := range []string{"first ", "second ", "third"} {
		w := bzip2.NewWriter(&file, 9)
		if _, err := io.WriteString(w, text); err != nil {
			fmt.Println(err)
		}
		if err := w.Close(); err != nil {
			fmt.Println(err)
		}
	}
	damaged := file.Bytes()
	damaged[file.Len()/2] ^= 4
	r := bzip2.NewReader(bytes.NewReader(damaged), bzip2.Options{Damaged: func(e *bzip2.DamageError) {
		fmt.Printf("after %d bytes of text: damage at byte %d\n", e.Offset, e.Bit/8)
	}})
	defer func() { _ = r.Close() }()
	text, err := io.ReadAll(r)
	fmt.Println(string(text), err)
	// Output:
	// after 6 bytes of text: damage at byte 48
	// first third <nil>
}
