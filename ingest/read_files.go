package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/books"
)

// largeFile is the size from which on a file's memory is given back before the
// next is read.
const largeFile = 8 << 20

// readFiles reads inputs that are one document each.
func readFiles(ctx context.Context, r *run, first int) error {
	type result struct {
		index int
		item  item
	}
	return ordered(ctx, r.cfg.Jobs, underway,
		func(_ context.Context, give func(int, int64) error) error {
			for i := first; i < len(r.inputs); i++ {
				if err := give(i, r.costOf(r.inputs[i])); err != nil {
					return err
				}
			}
			return nil
		},
		func(i int) (res result) {
			res.index = i
			defer func() {
				if p := recover(); p != nil {
					res.item = item{cause: causePanic, detail: fmt.Sprint(p)}
				}
			}()
			if r.costOf(r.inputs[i]) > largeFile {
				// What the last large one left counts for more than the pause.
				runtime.GC()
			}
			data, cause, err := r.readFile(ctx, r.inputs[i])
			switch {
			case err != nil:
				res.item = item{cause: cause, detail: err.Error()}
			case r.cfg.Kind == KindBooks:
				res.item = r.book(r.inputs[i].name, data)
			default:
				res.item = textItem(r.inputs[i].name, data)
			}
			return res
		},
		func(res result) error {
			if err := ctx.Err(); err != nil {
				return err // what was read may be cut short by it
			}
			return r.take(res.index, res.item)
		},
	)
}

// costOf estimates how many bytes the content of an input has.
func (r *run) costOf(in *input) int64 {
	size := in.size
	if suffixes.MatchString(in.path) {
		size *= 4
	}
	return min(size, r.cfg.MaxRecordBytes)
}

// readFile reads the whole of an input's content. When that cannot be done it
// returns the cause.
func (r *run) readFile(ctx context.Context, in *input) (data []byte, cause string, err error) {
	f, err := os.Open(in.path)
	if err != nil {
		return nil, causeUnreadable, err
	}
	defer f.Close()
	content, err := decompress(&metered{ctx, f, r.cfg.Meter}, 1, nil)
	if err != nil {
		return nil, causeDamaged, err
	}
	defer content.Close()
	var buf bytes.Buffer
	buf.Grow(int(min(in.size, r.cfg.MaxRecordBytes)) + bytes.MinRead)
	n, err := io.Copy(&buf, io.LimitReader(content, r.cfg.MaxRecordBytes+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, causeTruncated, fmt.Errorf("after %d bytes: %w", n, err)
	case err != nil && isInput(err):
		return nil, causeUnreadable, err
	case err != nil:
		return nil, causeDamaged, fmt.Errorf("after %d bytes: %w", n, err)
	case n > r.cfg.MaxRecordBytes:
		return nil, causeTooLarge, fmt.Errorf("it has more than %d bytes", r.cfg.MaxRecordBytes)
	}
	return buf.Bytes(), "", nil
}

// book reads a book in plain text or EPUB.
func (r *run) book(name string, data []byte) item {
	if !books.IsEPUB(data) && kindByName(name) != KindBooks {
		return bookItem(name, books.ParseText(data))
	}
	b, err := books.ParseEPUB(data, r.cfg.MaxRecordBytes)
	switch {
	case errors.Is(err, books.ErrEncrypted):
		return item{cause: "encrypted book", detail: err.Error()}
	case errors.Is(err, books.ErrTooLarge):
		return item{cause: causeTooLarge, detail: err.Error()}
	case err != nil:
		return item{cause: "unreadable EPUB", detail: err.Error()}
	}
	b.Language = shortLanguage(b.Language)
	return bookItem(name, b)
}

func bookItem(name string, b books.Book) item {
	it := item{key: name, encoding: b.Encoding, repairs: []Count{{Name: repairControls, Count: int64(b.Dropped)}, {Name: repairUTF8, Count: int64(b.Replaced)}}}
	if b.Title == "" {
		b.Title = stem(name)
	}
	return it.document(&Document{Title: b.Title, Author: b.Author, Language: b.Language, Text: b.Text})
}

func textItem(name string, data []byte) item {
	text, encoding, replaced := books.Decode(data)
	text, dropped := cleanText(text)
	it := item{key: name, encoding: encoding, repairs: []Count{{Name: repairControls, Count: int64(dropped)}, {Name: repairUTF8, Count: int64(replaced)}}}
	return it.document(&Document{Title: stem(name), Text: text})
}

// document completes an item with its document, whose signals it computes, or
// with the cause that there is none.
func (it item) document(d *Document) item {
	d.Text = strings.TrimFunc(d.Text, unicode.IsSpace)
	if d.Text == "" {
		it.cause, it.detail, it.quiet = causeEmpty, d.Title, true
		return it
	}
	for _, s := range [...]*string{&d.Title, &d.Author, &d.URL, &d.Language, &d.Revision, &d.Date} {
		*s = cleanLine(*s)
	}
	d.Chars, d.Words, d.Lines = measure(d.Text)
	it.doc = d
	return it
}

// stem is the name of a file without its directory and its suffixes.
func stem(name string) string {
	base := suffixes.ReplaceAllString(filepath.Base(filepath.FromSlash(name)), "")
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// cleanLine makes s valid UTF-8 on one line.
func cleanLine(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }) < 0 {
		return s
	}
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
}

// cleanText makes every line end "\n" and leaves out control characters other
// than tabs. The text is valid UTF-8.
func cleanText(text string) (clean string, dropped int) {
	if strings.IndexFunc(text, isUnwanted) < 0 {
		return text, 0
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	clean = strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\f' || r == '\v':
			return '\n'
		case r == 0xfeff:
			return -1
		case isUnwanted(r):
			dropped++
			return -1
		}
		return r
	}, text)
	return clean, dropped
}

func isUnwanted(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0xfeff }

// validText returns data as UTF-8 with U+FFFD for each byte that is part of no
// character, and how many there were.
func validText(data []byte) (text string, replaced int) {
	if utf8.Valid(data) {
		return string(data), 0
	}
	var out strings.Builder
	out.Grow(len(data) + 16)
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			replaced++
		}
		out.WriteRune(r)
		data = data[size:]
	}
	return out.String(), replaced
}
