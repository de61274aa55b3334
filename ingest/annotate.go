package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tributary-ml/tributary/ingest/pii"
	"github.com/tributary-ml/tributary/ingest/signals"
	"github.com/tributary-ml/tributary/ingest/wiki"
)

// annotator computes what is computed of a document's text. It is used by one
// goroutine at a time.
type annotator struct {
	meter *signals.Meter
	ends  []int
	// replacePII asks for harmless values in place of personal data.
	replacePII bool
}

func newAnnotator(replacePII bool) *annotator {
	return &annotator{meter: signals.NewMeter(), replacePII: replacePII}
}

// annotate fills in the signals of a document, of its text as it is kept. It returns
// what was changed in the text.
func (a *annotator) annotate(d *Document) (changed []Count) {
	if a.replacePII {
		text, found := pii.Replace(d.Text)
		moveChapters(d, text)
		d.Text = text
		for _, f := range found {
			tally(&changed, repairPII+f.Kind.String(), 1, nil)
		}
	}
	d.Signals = a.meter.Measure(d.Text, d.Language)
	d.ParagraphEnds = paragraphEnds(d.Text, nil)
	a.ends = SentenceEnds(d.Text, a.ends[:0])
	d.SentenceEnds = make([]int32, len(a.ends))
	for i, end := range a.ends {
		d.SentenceEnds[i] = int32(end)
	}
	return changed
}

// paragraphEnds appends the offsets at which the paragraphs of a text end: before the
// blank lines behind them.
func paragraphEnds(text string, ends []int32) []int32 {
	for from := 0; ; {
		at := strings.Index(text[from:], "\n\n")
		if at < 0 {
			break
		}
		ends = append(ends, int32(from+at))
		for from += at; from < len(text) && text[from] == '\n'; {
			from++
		}
	}
	if n := len(text); n > 0 && (len(ends) == 0 || int(ends[len(ends)-1]) < n) {
		ends = append(ends, int32(n))
	}
	return ends
}

// moveChapters moves the beginnings of chapters to where they are in a text of the same
// paragraphs.
func moveChapters(d *Document, text string) {
	if len(d.Chapters) == 0 || len(text) == len(d.Text) {
		return
	}
	old, now := paragraphEnds(d.Text, nil), paragraphEnds(text, nil)
	if len(old) != len(now) {
		d.Chapters = nil // the paragraphs are others
		return
	}
	for i, at := range d.Chapters {
		k, _ := slices.BinarySearch(old, at) // the paragraph that it begins
		if d.Chapters[i] = 0; k > 0 {
			d.Chapters[i] = now[k-1] + (at - old[k-1])
		}
	}
}

// pending is an item on its way from a reader to the part files.
type pending struct {
	at   position // after it
	item item
	cost int64
	done chan struct{}
	// digits are those of the text.
	digits int64
}

// line lets several goroutines annotate the documents of items and hands the items
// on in the order in which they came.
type line struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	credit *credit
	order  chan *pending
	work   chan *pending
	long   chan struct{} // holds one for each long text that is being measured
	wg     sync.WaitGroup
}

const (
	// longText is the length from which a text's measures take so much memory that
	// only maxLong of them are taken at a time.
	longText = 128 << 10
	maxLong  = 4
)

// newLine begins a line that hands items to account, which runs on one goroutine.
// annotator makes what each goroutine annotates with.
func newLine(ctx context.Context, jobs int, annotator func() *annotator, account func(*pending) error) *line {
	l := &line{credit: newCredit(underway), order: make(chan *pending, 64), work: make(chan *pending, 64), long: make(chan struct{}, maxLong)}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	context.AfterFunc(l.ctx, l.credit.wake)
	for range jobs {
		l.wg.Go(func() {
			a := annotator()
			for p := range l.work {
				switch {
				case l.ctx.Err() != nil:
				case len(p.item.doc.Text) < longText:
					p.annotate(a)
				default:
					// In an annotator of its own, so that none keeps the memory.
					l.long <- struct{}{}
					p.annotate(annotator())
					<-l.long
				}
				close(p.done)
			}
		})
	}
	l.wg.Go(func() {
		for p := range l.order {
			<-p.done
			if l.ctx.Err() == nil {
				if err := account(p); err != nil {
					l.cancel(err)
				}
			}
			l.credit.give(p.cost)
		}
	})
	return l
}

// annotate makes an item that a defect of this program meets a counted skip.
func (p *pending) annotate(a *annotator) {
	defer func() {
		if e := recover(); e != nil {
			p.item.doc, p.item.cause, p.item.detail = nil, causePanic, fmt.Sprint(e)
		}
	}()
	from := time.Now()
	p.item.repairs = append(p.item.repairs, a.annotate(p.item.doc)...)
	p.digits = wiki.Digits(p.item.doc.Text)
	p.item.took += time.Since(from)
}

// add puts an item in line. It returns what account returned for an earlier one, or
// the error of the context.
func (l *line) add(p *pending) error {
	p.done = make(chan struct{})
	if p.item.doc == nil {
		close(p.done)
	} else {
		p.cost = int64(len(p.item.doc.Text))
	}
	if err := l.credit.take(l.ctx, p.cost); err != nil {
		return context.Cause(l.ctx)
	}
	select {
	case l.order <- p:
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
	if p.item.doc != nil {
		l.work <- p // never blocks for long: it is worked off until it is closed
	}
	return nil
}

// end waits for the items in line and returns the first error.
func (l *line) end() error {
	close(l.order)
	close(l.work)
	l.wg.Wait()
	err := context.Cause(l.ctx)
	l.cancel(nil)
	return err
}
