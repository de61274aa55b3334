package cli

import (
	"fmt"

	"github.com/tributary-ml/tributary/pipelines"
)

// Size is a flag that holds a number of bytes, such as 64MiB.
type Size int64

// String is the size as it would be given.
func (s *Size) String() string { return pipelines.FormatSize(int64(*s)) }

// Set reads a size.
func (s *Size) Set(text string) error {
	n, err := pipelines.ParseSize(text)
	if err != nil {
		return err
	}
	if n <= 0 {
		return fmt.Errorf("%q is not above 0", text)
	}
	*s = Size(n)
	return nil
}

// Type names the flag's type in help texts.
func (s *Size) Type() string { return "size" }
