package wiki

import (
	"bytes"
	"slices"
)

var (
	tableStart = []byte("{|")
	tableEnd   = []byte("|}")
)

// tableIndex knows where the tables of a text begin and end.
type tableIndex struct {
	starts, ends []int // of the outermost tables, in order
}

func (t tableIndex) end(start int) int {
	if i, found := slices.BinarySearch(t.starts, start); found {
		return t.ends[i]
	}
	return start
}

func (t tableIndex) begins(start int) bool { return t.end(start) > start }

// tableEnds finds the outermost tables. A table without end reaches to the next
// heading, so that an article is not lost with it.
func tableEnds(text []byte) tableIndex {
	var t tableIndex
	if !bytes.Contains(text, tableStart) {
		return t
	}
	type open struct{ at, firstHeading int }
	var stack []open
	for i := 0; i < len(text); {
		end := bytes.IndexByte(text[i:], '\n')
		if end < 0 {
			end = len(text)
		} else {
			end += i
		}
		line := text[i:end]
		trimmedLine := bytes.TrimLeft(line, " \t:")
		switch {
		case bytes.HasPrefix(trimmedLine, tableStart):
			stack = append(stack, open{at: i, firstHeading: -1})
		case bytes.HasPrefix(trimmedLine, tableEnd) && len(stack) > 0:
			top := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			// Tables inside this one are part of it.
			for len(t.starts) > 0 && t.starts[len(t.starts)-1] > top.at {
				t.starts = t.starts[:len(t.starts)-1]
				t.ends = t.ends[:len(t.ends)-1]
			}
			t.starts = append(t.starts, top.at)
			t.ends = append(t.ends, i+bytes.Index(line, tableEnd)+len(tableEnd))
		case len(line) > 0 && line[0] == '=' && len(stack) > 0:
			if _, _, ok := headingOf(line); ok {
				for k := len(stack) - 1; k >= 0 && stack[k].firstHeading < 0; k-- {
					stack[k].firstHeading = i
				}
			}
		}
		i = end + 1
	}
	if len(stack) == 0 {
		return t
	}
	// The outermost table that is not closed hides those inside its reach.
	var all tableIndex
	k := 0
	for _, o := range stack {
		reach := o.firstHeading
		if reach < 0 {
			reach = len(text)
		}
		for k < len(t.starts) && t.starts[k] < o.at {
			all.starts, all.ends = append(all.starts, t.starts[k]), append(all.ends, t.ends[k])
			k++
		}
		if n := len(all.ends); n > 0 && all.ends[n-1] > o.at {
			continue
		}
		all.starts, all.ends = append(all.starts, o.at), append(all.ends, reach)
		for k < len(t.starts) && t.starts[k] < reach {
			if t.ends[k] > reach {
				all.ends[len(all.ends)-1] = t.ends[k]
			}
			k++
		}
	}
	all.starts, all.ends = append(all.starts, t.starts[k:]...), append(all.ends, t.ends[k:]...)
	return all
}

// table lays out the table text, a row to a line.
func (l *layout) table(text []byte) {
	l.endBlock()
	l.begin(false)
	row := false // the row has a cell
	skipped := false
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if !skipped {
			skipped = true // "{| attributes"
			continue
		}
		switch {
		case len(line) == 0 || bytes.HasPrefix(line, tableEnd):
		case bytes.HasPrefix(line, tableStart), bytes.HasPrefix(line, []byte("|-")):
			if row {
				l.out = append(l.out, '\n')
				row = false
			}
		case bytes.HasPrefix(line, []byte("|+")):
			l.inline(cellText(line[2:]))
			l.out = append(l.out, '\n')
		case line[0] == '|' || line[0] == '!':
			rest := line[1:]
			for len(rest) > 0 {
				cell := rest
				at := bytes.Index(rest, []byte("||"))
				if line[0] == '!' {
					if bang := bytes.Index(rest, []byte("!!")); bang >= 0 && (at < 0 || bang < at) {
						at = bang
					}
				}
				rest = nil
				if at >= 0 {
					cell, rest = cell[:at], cell[at+2:]
				}
				if row {
					l.out = append(l.out, " | "...)
				}
				row = true
				l.inline(cellText(cell))
			}
		default:
			l.out = append(l.out, ' ')
			l.inline(bytes.TrimLeft(line, "*#:; "))
		}
	}
	l.endBlock()
}

// cellText takes the attributes off a cell: "style=... | text".
func cellText(cell []byte) []byte {
	if at := bytes.IndexByte(cell, '|'); at >= 0 && !bytes.ContainsAny(cell[:at], "[]<") {
		cell = cell[at+1:]
	}
	for {
		cell = bytes.TrimSpace(cell)
		n := attributeLength(cell)
		if n == 0 {
			return cell
		}
		cell = cell[n:]
	}
}

// attributeLength returns the length of the attribute cell begins with, or 0: a
// template that is dropped may take the '|' after a cell's attributes with it.
func attributeLength(cell []byte) int {
	at := bytes.IndexByte(cell[:min(len(cell), 16)], '=')
	if at < 0 {
		return 0
	}
	switch lower(string(bytes.TrimSpace(cell[:at]))) {
	case "colspan", "rowspan", "style", "align", "valign", "bgcolor", "class", "width", "height", "scope", "nowrap", "data-sort-value", "id", "border":
	default:
		return 0
	}
	value := cell[at+1:]
	skipped := len(value) - len(bytes.TrimLeft(value, " "))
	value = value[skipped:]
	n := bytes.IndexAny(value, " \t")
	if len(value) > 0 && (value[0] == '"' || value[0] == '\'') {
		if n = bytes.IndexByte(value[1:], value[0]); n >= 0 {
			n += 2
		}
	}
	if n < 0 {
		return len(cell)
	}
	return at + 1 + skipped + n
}
