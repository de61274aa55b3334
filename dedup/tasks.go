package dedup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxItemBytes bounds one task item, and a line of a file of them.
const maxItemBytes = 16 << 20

// nameKeys are the fields of a task item that name it and are no part of its text.
var nameKeys = []string{"id", "_id", "idx", "uid", "guid", "question_id", "task"}

// TaskItems streams the examples of evaluation sets from files: JSON lines
// (.jsonl, .ndjson), a JSON array or one object after another (.json), tables
// with a header (.csv, .tsv), or one example a line (anything else), each also
// packed with gzip or zstd.
//
// The text of an example is that of the named fields, in the order in which the
// file has them and one a line, lists and objects in them included; without names,
// that of all fields with strings but those that name the example ("id", "task"
// and the like). Its task is its field "task", else the file's name without its
// endings; its id is its field "id", else the number of the example in the file,
// from 1. An example that cannot be read is an error that says where it is.
func TaskItems(ctx context.Context, paths []string, fields []string) iter.Seq2[TaskItem, error] {
	return func(yield func(TaskItem, error) bool) {
		for _, path := range paths {
			more := true
			err := readTask(ctx, path, fields, func(it TaskItem) bool {
				more = yield(it, nil)
				return more
			})
			if err != nil && more {
				yield(TaskItem{}, fmt.Errorf("reading the task items of %s: %w", path, err))
			}
			if err != nil || !more {
				return
			}
		}
	}
}

func readTask(ctx context.Context, path string, fields []string, yield func(TaskItem) bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	name := filepath.Base(path)
	var in io.Reader = bufio.NewReaderSize(f, 1<<16)
	head, err := in.(*bufio.Reader).Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		defer z.Close()
		in, name = z, strings.TrimSuffix(name, ".gz")
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return err
		}
		defer z.Close()
		in, name = z, strings.TrimSuffix(name, ".zst")
	}
	ext := strings.ToLower(filepath.Ext(name))
	r := &taskReader{ctx: ctx, task: strings.TrimSuffix(name, filepath.Ext(name)), fields: fields, yield: yield}
	switch ext {
	case ".jsonl", ".ndjson":
		return r.lines(in, func(line string) (TaskItem, error) {
			dec := json.NewDecoder(strings.NewReader(line))
			it, err := r.value(dec)
			if err == nil && dec.More() {
				err = errors.New("something follows its JSON value")
			}
			return it, err
		})
	case ".json":
		return r.json(in)
	case ".csv", ".tsv":
		return r.table(in, ext)
	}
	return r.lines(in, func(line string) (TaskItem, error) { return TaskItem{Text: line}, nil })
}

// taskReader reads the examples of one file.
type taskReader struct {
	ctx    context.Context
	task   string
	fields []string
	yield  func(TaskItem) bool
	n      int
}

var errEnough = errors.New("no more task items are wanted")

// give hands an example on, with the names that it lacks.
func (r *taskReader) give(it TaskItem) error {
	r.n++
	if it.Task == "" {
		it.Task = r.task
	}
	if it.ID == "" {
		it.ID = strconv.Itoa(r.n)
	}
	if r.n%256 == 0 && r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	if !r.yield(it) {
		return errEnough
	}
	return nil
}

func enough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (r *taskReader) lines(in io.Reader, parse func(line string) (TaskItem, error)) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxItemBytes)
	number := 0
	for lines.Scan() {
		number++
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" {
			continue
		}
		it, err := parse(line)
		if err == nil {
			err = r.give(it)
		}
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", number+1, err)
	}
	return nil
}

func (r *taskReader) json(in io.Reader) error {
	// A damaged file may claim a string that never ends.
	limit := &io.LimitedReader{R: in, N: 2 * maxItemBytes}
	buf := bufio.NewReader(limit)
	var dec *json.Decoder
	if b, err := buf.Peek(3); err == nil && string(b) == "\ufeff" {
		if _, err := buf.Discard(3); err != nil {
			return err
		}
	}
	// A list of examples is read one by one, not as a whole.
	for {
		b, err := buf.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if b == ' ' || b == '\t' || b == '\r' || b == '\n' {
			continue
		}
		if err := buf.UnreadByte(); err != nil {
			return err
		}
		dec = json.NewDecoder(buf)
		if b == '[' {
			if _, err := dec.Token(); err != nil {
				return err
			}
		}
		break
	}
	for dec.More() {
		limit.N = 2 * maxItemBytes
		it, err := r.value(dec)
		if err == nil {
			err = r.give(it)
		}
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("example %d: %w", r.n+1, err)
		}
	}
	if _, err := dec.Token(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("after example %d: %w", r.n, err)
	}
	return nil
}

func (r *taskReader) table(in io.Reader, ext string) error {
	t := csv.NewReader(in)
	t.FieldsPerRecord = -1
	if ext == ".tsv" {
		t.Comma, t.LazyQuotes = '\t', true
	}
	header, err := t.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	header = slices.Clone(header)
	for {
		rec, err := t.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var it TaskItem
		var text []string
		for i, cell := range rec {
			key := ""
			if i < len(header) {
				key = strings.TrimPrefix(header[i], "\ufeff")
			}
			name(&it, key, cell)
			if r.wanted(key) && cell != "" {
				text = append(text, cell)
			}
		}
		it.Text = strings.Join(text, "\n")
		if err := r.give(it); err != nil {
			return enough(err)
		}
	}
}

// name takes the name of an example from a field of it.
func name(it *TaskItem, key, value string) {
	switch key = strings.ToLower(key); {
	case key == "task":
		it.Task = value
	case slices.Contains(nameKeys, key) && it.ID == "":
		it.ID = value
	}
}

func (r *taskReader) wanted(key string) bool {
	if len(r.fields) > 0 {
		return slices.Contains(r.fields, key)
	}
	return !slices.Contains(nameKeys, strings.ToLower(key))
}

// maxItemDepth bounds the nesting of an example.
const maxItemDepth = 32

// value reads one example: an object, or a string.
func (r *taskReader) value(dec *json.Decoder) (TaskItem, error) {
	var it TaskItem
	var text []string
	size := 0
	var walk func(depth int, path string, wanted bool) error
	walk = func(depth int, key string, wanted bool) error {
		tok, err := dec.Token()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if depth > maxItemDepth {
			return fmt.Errorf("it nests deeper than %d", maxItemDepth)
		}
		switch v := tok.(type) {
		case json.Delim:
			for dec.More() {
				inner, want := key, wanted
				if v == '{' {
					k, err := dec.Token()
					if err != nil {
						return err
					}
					inner, _ = k.(string)
					// Of a field that is wanted all is; of the others what is named.
					want = wanted && depth > 0 || r.wanted(inner)
				}
				if err := walk(depth+1, inner, want); err != nil {
					return err
				}
			}
			_, err := dec.Token()
			return err
		case string:
			if depth == 1 {
				name(&it, key, v)
			}
			if wanted {
				if size += len(v); size > maxItemBytes {
					return fmt.Errorf("it has more than %d bytes of text", maxItemBytes)
				}
				text = append(text, v)
			}
		case float64:
			if depth == 1 {
				name(&it, key, strconv.FormatFloat(v, 'f', -1, 64))
			}
		}
		return nil
	}
	if err := walk(0, "", len(r.fields) == 0); err != nil {
		return TaskItem{}, err
	}
	it.Text = strings.Join(text, "\n")
	return it, nil
}
