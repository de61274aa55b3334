package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table is a table of text: words to the left, numbers to the right.
type Table struct {
	Head []string
	rows [][]string
	text []bool // columns that hold something that is no number
}

// Row adds a row.
func (t *Table) Row(cells ...any) {
	if t.text == nil {
		t.text = make([]bool, len(t.Head))
	}
	row := make([]string, len(t.Head))
	for i := range min(len(cells), len(row)) {
		switch v := cells[i].(type) {
		case int, int64, int32, uint64:
			row[i] = thousands(fmt.Sprint(v))
		case float64:
			row[i] = fmt.Sprintf("%.4g", v)
		default:
			row[i] = fmt.Sprint(v)
			t.text[i] = true
		}
	}
	t.rows = append(t.rows, row)
}

// Write prints the table; one without rows is not printed at all.
func (t *Table) Write(w io.Writer) {
	if len(t.rows) == 0 {
		return
	}
	width := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range append([][]string{t.Head}, t.rows...) {
		var b strings.Builder
		for i, cell := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if t.text[i] {
				b.WriteString(cell + pad)
			} else {
				b.WriteString(pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// thousands puts a thin gap between groups of three digits.
func thousands(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	var groups []string
	for len(s) > 3 {
		groups = append([]string{s[len(s)-3:]}, groups...)
		s = s[:len(s)-3]
	}
	return sign + strings.Join(append([]string{s}, groups...), ",")
}

// WriteTables prints the tables that have rows, with a blank line between them.
func WriteTables(w io.Writer, tables ...Table) {
	first := true
	for _, t := range tables {
		if len(t.rows) == 0 {
			continue
		}
		if !first {
			fmt.Fprintln(w)
		}
		first = false
		t.Write(w)
	}
}
