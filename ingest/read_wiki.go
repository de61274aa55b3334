package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/tributary-ml/tributary/ingest/bzip2"
	"github.com/tributary-ml/tributary/ingest/wiki"
)

// maxBlockJobs bounds the goroutines that unpack bzip2, each of which holds about
// 12 MB.
const maxBlockJobs = 8

// readWiki reads MediaWiki XML dumps.
func readWiki(ctx context.Context, r *run, first int) error {
	for i := first; i < len(r.inputs); i++ {
		if err := r.readDump(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) readDump(ctx context.Context, i int) error {
	in := r.inputs[i]
	f, err := os.Open(in.path)
	if err != nil {
		return r.take(i, item{cause: causeUnreadable, detail: err.Error()})
	}
	defer f.Close()

	// Damage is told of ahead of the pages around it; it is reported after them.
	var mu sync.Mutex
	var damages []item
	content, err := decompress(&metered{ctx, f, r.cfg.Meter}, min(r.cfg.Jobs, maxBlockJobs), func(d *bzip2.DamageError) {
		mu.Lock()
		defer mu.Unlock()
		damages = append(damages, item{damage: true, cause: causeDamaged, detail: d.Error(), offset: d.Offset, record: -1})
	})
	if err != nil {
		return r.take(i, item{cause: causeDamaged, detail: err.Error()})
	}
	defer content.Close()

	var last int64
	var takeErr error
	kept := &salvage{r: content}
	opts := wiki.Options{
		Jobs: r.cfg.Jobs, MaxPageBytes: int(min(r.cfg.MaxRecordBytes, wiki.DefaultMaxPageBytes)), Extract: r.cfg.Wiki,
	}
	err = wiki.Pages(ctx, kept, opts, func(res *wiki.Result) error {
		last = res.Page.Record
		takeErr = r.take(i, wikiItem(res))
		return takeErr
	})
	switch {
	case err == nil:
	case takeErr != nil:
		return takeErr
	case ctx.Err() != nil:
		return fmt.Errorf("reading %s: %w", in.path, ctx.Err())
	case errors.Is(err, wiki.ErrNotDump):
		damages = append(damages, item{cause: causeOtherFile, detail: err.Error()})
	case errors.Is(err, wiki.ErrCut) && kept.err != nil:
		// That the content ends is the outcome of this.
	case errors.Is(err, wiki.ErrCut):
		damages = append(damages, item{damage: true, cause: causeTruncated, detail: err.Error(), record: last})
	case isInput(err):
		return fmt.Errorf("reading %s: %w", in.path, err)
	default:
		damages = append(damages, item{damage: true, cause: causeDamaged, detail: err.Error(), record: last})
	}
	mu.Lock()
	defer mu.Unlock()
	switch {
	case errors.Is(kept.err, io.ErrUnexpectedEOF):
		damages = append(damages, item{damage: true, cause: causeTruncated, detail: kept.err.Error(), offset: kept.n, record: last})
	case kept.err != nil:
		damages = append(damages, item{damage: true, cause: causeDamaged, detail: kept.err.Error(), offset: kept.n, record: last})
	}
	for _, d := range damages {
		if err := r.take(i, d); err != nil {
			return err
		}
	}
	return nil
}

// salvage ends a content where it cannot be unpacked any further, so that what
// came before is used. Errors of the file system stay errors.
type salvage struct {
	r   io.Reader
	n   int64
	err error
}

func (s *salvage) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err == nil || errors.Is(err, io.EOF) || isInput(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return n, err
	}
	s.err = err
	return n, io.EOF
}

// isInput tells an error of the file system from one of what a file holds.
func isInput(err error) bool {
	var pathErr *os.PathError
	return errors.As(err, &pathErr)
}

func wikiItem(res *wiki.Result) item {
	p := &res.Page
	it := item{record: p.Record, offset: p.Offset, key: fmt.Sprintf("%d/%d", p.ID, p.Revision)}
	if res.Cause != "" {
		it.cause, it.detail = string(res.Cause), p.Title
		it.quiet = res.Err == nil
		if res.Err != nil {
			it.detail = res.Err.Error()
			it.record, it.offset = res.Err.Record, res.Err.Offset
		}
		return it
	}
	it.repairs = []Count{{Name: repairUTF8, Count: int64(p.Repaired)}}
	s := &res.Stats
	it.left = []Count{
		{Name: "templates without words", Count: int64(s.Templates - s.Expanded)}, {Name: "tables", Count: int64(s.Tables)},
		{Name: "footnotes", Count: int64(s.Footnotes)}, {Name: "images and other files", Count: int64(s.Files)},
		{Name: "category links", Count: int64(s.Categories)}, {Name: "sections of sources and links", Count: int64(s.Sections)},
	}
	return it.document(&Document{
		Title: p.Title, URL: res.Site.URL(p.Title), Language: shortLanguage(res.Site.Language),
		Revision: fmt.Sprint(p.Revision), Date: p.Timestamp, Text: res.Text,
	})
}
