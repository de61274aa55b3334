package wiki

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Options say how Pages reads a dump.
type Options struct {
	// Jobs is how many goroutines extract text; 0 means GOMAXPROCS. What is
	// yielded does not depend on it.
	Jobs int
	// MaxPageBytes is as in ScanOptions.
	MaxPageBytes int
	// Namespaces whose pages give text; nil means articles only.
	Namespaces []int
	// Extract says what text is made of wikitext.
	Extract ExtractOptions
	// Start goes on in the midst of a dump in UTF-8.
	Start Start
}

// Start is a page to go on at, as a Result has told of it before.
type Start struct {
	Site   *Site // of the dump; nil: Pages begins at the beginning
	Offset int64 // of the first byte of the reader, in the decompressed dump
	Page   int64 // Page.Offset of the first page to give, at Offset or after it
	Record int64 // its Page.Record
}

// Result is one page of a dump. Text is empty when Cause is not.
type Result struct {
	Page  Page  // without its wikitext
	Site  *Site // never nil
	Text  string
	Stats Stats
	// Source is the length of the wikitext and how many digits it has; Took is how long
	// the text took to make.
	Source struct{ Bytes, Digits int64 }
	Took   time.Duration
	// Cause says why the page gives no text; Err tells more of it when the page
	// could not be read.
	Cause Cause
	Err   *PageError
}

// Pages reads the dump r and yields every page of it in order, from the caller's
// goroutine. The dump is XML, not compressed, or lines of JSON as the search
// index and the Enterprise service of Wikimedia give them, plain or in a tar
// archive. It ends with the first error of yield, of
// the reader, or of ctx; ErrCut, after all pages, tells of a dump without its
// end, ErrNotDump of an input that is none.
func Pages(ctx context.Context, r io.Reader, opts Options, yield func(*Result) error) error {
	if opts.Jobs <= 0 {
		opts.Jobs = runtime.GOMAXPROCS(0)
	}
	if opts.MaxPageBytes <= 0 {
		opts.MaxPageBytes = DefaultMaxPageBytes
	}
	if opts.Namespaces == nil {
		opts.Namespaces = []int{0}
	}
	if opts.Start.Site == nil {
		in := bufio.NewReaderSize(r, 4<<10)
		head, err := in.Peek(tarHead)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("wiki: reading the dump: %w", err)
		}
		if r = in; isTar(head) || isJSON(head) {
			return jsonPages(ctx, in, isTar(head), &opts, yield)
		}
	}
	sp := ScanOptions{MaxPageBytes: opts.MaxPageBytes}.splitter(r)
	if s := opts.Start; s.Site != nil {
		if n, err := io.CopyN(io.Discard, r, s.Page-s.Offset); err != nil {
			return fmt.Errorf("wiki: going on at byte %d: the dump ends at %d: %w", s.Page, s.Offset+n, err)
		}
		sp.src, sp.site, sp.began, sp.root, sp.marked, sp.offset = r, s.Site, true, true, true, s.Page
	}
	var ex *Extractor
	next := func() (piece, error) {
		p, err := sp.next()
		if err == nil && ex == nil {
			ex = NewExtractor(sp.site, opts.Extract)
		}
		return p, err
	}
	return inOrder(ctx, opts.Jobs, opts.Start.Record, next, func(p *piece, add func(Result)) {
		p.pages(sp, 0, func(page *Page, err *PageError) bool {
			add(ex.result(page, err, &opts))
			return ctx.Err() == nil
		})
	}, yield)
}

// inOrder reads pieces in one goroutine, works on them in several, and yields the
// results in the order of the pieces, numbered from record on.
func inOrder(ctx context.Context, jobs int, record int64, next func() (piece, error), work func(*piece, func(Result)), yield func(*Result) error) error {
	type job struct {
		piece   piece
		results []Result
		done    chan struct{}
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()

	order := make(chan *job, jobs+1)
	todo := make(chan *job, jobs+1)
	var readErr error
	running.Go(func() {
		defer close(order)
		defer close(todo)
		for {
			p, err := next()
			if err != nil {
				readErr = err
				return
			}
			j := &job{piece: p, done: make(chan struct{})}
			for _, to := range []chan *job{order, todo} {
				select {
				case to <- j:
				case <-ctx.Done():
					readErr = ctx.Err()
					return
				}
			}
		}
	})
	for range jobs {
		running.Go(func() {
			for j := range todo {
				work(&j.piece, func(r Result) { j.results = append(j.results, r) })
				j.piece.data = nil
				close(j.done)
			}
		})
	}
	for j := range order {
		select {
		case <-j.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		for i := range j.results {
			res := &j.results[i]
			res.Page.Record = record
			if res.Err != nil {
				res.Err.Record = record
			}
			record++
			if err := yield(res); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if errors.Is(readErr, io.EOF) {
		return nil
	}
	return readErr
}

// result makes the Result of a page.
func (ex *Extractor) result(p *Page, err *PageError, opts *Options) Result {
	res := Result{Page: *p, Site: ex.site, Err: err}
	res.Page.Text = ""
	switch {
	case err != nil:
		res.Cause = err.Cause
	case !slices.Contains(opts.Namespaces, p.Namespace):
		res.Cause = OtherNamespace
	case p.Redirect != "", redirects(p.Text):
		res.Cause = Redirect
	case p.Model != "" && p.Model != "wikitext":
		res.Cause = OtherModel
	default:
		from := time.Now()
		res.Text, res.Stats = ex.Extract(p.Title, p.Text)
		res.Took = time.Since(from)
		for _, tag := range [...]string{"<math", "<chem", "<ce>"} {
			res.Stats.Formulas += strings.Count(p.Text, tag)
		}
		res.Source.Bytes, res.Source.Digits = int64(len(p.Text)), Digits(p.Text)
		if res.Text == "" {
			res.Cause = NoText
		}
	}
	return res
}

// Digits counts the decimal digits of any script in a text.
func Digits(text string) int64 {
	n := int64(0)
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c-'0' < 10 {
				n++
			}
			i++
			continue
		}
		// Only these begin a digit; what follows them begins none.
		if c != 0xd9 && c != 0xdb && c != 0xdf && c != 0xe0 && c != 0xe1 && c != 0xea && c != 0xef && c != 0xf0 {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if unicode.IsDigit(r) {
			n++
		}
		i += size
	}
	return n
}
