package ingest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tributary-ml/tributary/ingest/wiki"
)

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
	from := r.seekOf(i)
	u, err := r.unpack(ctx, in, from)
	if isFar(err) {
		return fmt.Errorf("reading %s: %w", in.where(), err)
	}
	if err != nil {
		return r.take(i, item{cause: causeOf(err), detail: err.Error()})
	}
	defer u.close()

	var last int64
	var takeErr error
	kept := &salvage{r: u, n: u.base}
	opts := wiki.Options{
		Jobs: r.cfg.Jobs, MaxPageBytes: int(min(r.cfg.MaxRecordBytes, wiki.DefaultMaxPageBytes)), Extract: r.cfg.Wiki,
	}
	opts.Extract.ListDropped = true
	content := bufio.NewReaderSize(kept, 4<<10)
	seekable := true
	if from != nil {
		opts.Start = wiki.Start{Site: from.Site, Offset: u.base, Page: from.Offset, Record: from.Record}
	} else {
		head, _ := content.Peek(tarHead) // reading on will tell of errors
		seekable = wiki.IsXML(head)
	}
	err = wiki.Pages(ctx, content, opts, func(res *wiki.Result) error {
		last = res.Page.Record
		it := r.wikiItem(res)
		if seekable && res.Err == nil {
			it.seek = &seek{Record: last, Offset: res.Page.Offset, Site: res.Site}
			it.seek.Block, it.seek.Damage = u.before(res.Page.Offset)
		}
		takeErr = r.take(i, it)
		return takeErr
	})
	var ends []item
	switch {
	case err == nil:
	case takeErr != nil:
		return takeErr
	case ctx.Err() != nil:
		return fmt.Errorf("reading %s: %w", in.where(), ctx.Err())
	case errors.Is(err, wiki.ErrNotDump):
		ends = append(ends, item{cause: causeOtherFile, detail: err.Error()})
	case errors.Is(err, wiki.ErrCut) && kept.err != nil:
		// That the content ends is the outcome of this.
	case errors.Is(err, wiki.ErrCut):
		ends = append(ends, item{damage: true, cause: causeTruncated, detail: err.Error(), record: last})
	case isInput(err):
		return fmt.Errorf("reading %s: %w", in.where(), err)
	default:
		ends = append(ends, item{damage: true, cause: causeDamaged, detail: err.Error(), record: last})
	}
	return r.ends(i, u, kept, last, ends)
}

// ends tells, behind the records of an input, what is wrong with the whole of it:
// damage is found ahead of the records around it.
func (r *run) ends(i int, u *unpacked, kept *salvage, last int64, more []item) error {
	var all []item
	for _, d := range u.damages() {
		all = append(all, d.item())
	}
	all = append(all, more...)
	switch {
	case errors.Is(kept.err, io.ErrUnexpectedEOF):
		all = append(all, item{damage: true, cause: causeTruncated, detail: kept.err.Error(), offset: kept.n, record: last})
	case kept.err != nil:
		all = append(all, item{damage: true, cause: causeDamaged, detail: kept.err.Error(), offset: kept.n, record: last})
	}
	if garbage(u.Reader) {
		all = append(all, item{damage: true, cause: causeGarbage, offset: kept.n, record: last})
	}
	for _, it := range all {
		if err := r.take(i, it); err != nil {
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

func (r *run) wikiItem(res *wiki.Result) item {
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
	it.templates, it.took = s.Dropped, res.Took
	it.source = source{
		bytes: res.Source.Bytes, digits: res.Source.Digits, formulas: int64(s.Formulas), kept: int64(s.FormulasKept), disambiguation: s.Disambiguation,
	}
	it.left = []Count{
		{Name: "templates without words", Count: int64(s.Templates - s.Expanded)}, {Name: "tables", Count: int64(s.Tables)},
		{Name: "footnotes", Count: int64(s.Footnotes)}, {Name: "images and other files", Count: int64(s.Files)},
		{Name: "category links", Count: int64(s.Categories)}, {Name: "sections of sources and links", Count: int64(s.Sections)},
	}
	if s.Disambiguation && r.cfg.SkipDisambiguation {
		it.cause, it.detail, it.quiet = "disambiguation page", p.Title, true
		return it
	}
	return it.document(&Document{
		Disambiguation: s.Disambiguation,
		Title:          p.Title, URL: res.Site.URL(p.Title), Language: shortLanguage(res.Site.Language),
		Revision: fmt.Sprint(p.Revision), Date: p.Timestamp, Text: res.Text,
	})
}
