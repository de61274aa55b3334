package ingest

import (
	"time"

	"github.com/tributary-ml/tributary/ingest/bzip2"
	"github.com/tributary-ml/tributary/ingest/wiki"
)

// item is what became of one record.
type item struct {
	doc *Document
	key string // of the record in its file, for the id
	// cause says why there is no document; damage, that it is no record at all but
	// a damaged part of the file; quiet, that nothing is wrong with it.
	cause, detail  string
	damage, quiet  bool
	record, offset int64
	encoding       string
	repairs        []Count
	left           []Count // what was left out of the text on purpose
	// templates are the names of templates without rules, once a call.
	templates []string
	// source is what the text was made of.
	source source
	took   time.Duration
	// seek says where reading can begin to give this item anew.
	seek *seek
}

// source tells of what a document's text was made of.
type source struct {
	bytes, digits, formulas, kept int64
	disambiguation                bool
}

// position is how far a run has come: that many items of an input are in parts
// that are finished.
type position struct {
	Input int   `json:"input"`
	Items int64 `json:"items"`
	// Seek is where to begin to read; nil means the beginning of the input.
	Seek *seek `json:"seek,omitempty"`
}

// seek is a place inside an input at which reading can begin.
type seek struct {
	// Items is how many items of the input lie before it, Record the number of the
	// record that begins there, Offset where, as Document.Offset.
	Items  int64 `json:"items"`
	Record int64 `json:"record"`
	Offset int64 `json:"offset"`
	// Block is where to begin to unpack bzip2.
	Block bzip2.Point `json:"block,omitzero"`
	// Site is that of a wiki, Damage what was found of damage before Block, which is
	// told of at the end of the input.
	Site   *wiki.Site `json:"site,omitempty"`
	Damage []damage   `json:"damage,omitempty"`
}

// damage is a part of a file that cannot be unpacked.
type damage struct {
	Detail string `json:"detail"`
	Offset int64  `json:"offset"`
}

func (d damage) item() item {
	return item{damage: true, cause: causeDamaged, detail: d.Detail, offset: d.Offset, record: -1}
}

// seekOf returns where to begin to read an input.
func (r *run) seekOf(i int) *seek {
	if i == r.from.Input {
		return r.from.Seek
	}
	return nil
}

// maxLogged bounds the warnings about one cause.
const maxLogged = 10

// take puts an item of input i in line to be annotated and written. Items of an
// input come in an order that is the same in every run.
func (r *run) take(i int, it item) error {
	if i != r.current {
		r.current, r.seen = i, 0
		if s := r.seekOf(i); s != nil {
			r.seen = s.Items
		}
	}
	if it.seek != nil {
		it.seek.Items = r.seen
	}
	r.seen++
	if i < r.from.Input || i == r.from.Input && r.seen <= r.from.Items {
		return nil
	}
	return r.line.add(&pending{at: position{Input: i, Items: r.seen}, item: it})
}

// account counts an item and writes its document.
func (r *run) account(p *pending) error {
	i, it := p.at.Input, p.item
	if p.at.Seek = it.seek; it.seek == nil && r.at.Input == i {
		p.at.Seek = r.at.Seek
	}
	r.at = p.at
	in := r.inputs[i]
	counts := &r.report.Inputs[r.base+i].Counts
	place := &Place{File: in.name, Record: it.record, Offset: it.offset, Detail: it.detail}
	if it.doc != nil {
		place.Detail = it.doc.Title
	}
	r.slow(i, &it, place)
	for _, rep := range it.repairs {
		if rep.Count > 0 {
			tally(&counts.Repairs, rep.Name, rep.Count, place)
		}
	}
	for _, left := range it.left {
		if left.Count > 0 && it.doc != nil {
			tally(&counts.LeftOut, left.Name, left.Count, nil)
		}
	}
	if it.encoding != "" && it.doc != nil {
		tally(&counts.Encodings, it.encoding, 1, nil)
	}
	if it.damage {
		tally(&counts.Damage, it.cause, 1, place)
		r.warn("a part of a file is damaged", it, in)
		return nil
	}
	counts.Records++
	if it.doc == nil {
		counts.Skipped++
		tally(&counts.Skips, it.cause, 1, place)
		if !it.quiet {
			r.warn("a record was skipped", it, in)
		}
		return nil
	}
	d := it.doc
	d.Source, d.File, d.Offset, d.Record = r.cfg.Source, in.name, it.offset, it.record
	d.ID = NewID(d.Source, d.File, it.key)
	counts.Documents++
	counts.Bytes += int64(len(d.Text))
	counts.Chars += d.Chars
	counts.Words += d.Words
	counts.Digits += p.digits
	counts.SourceBytes += it.source.bytes
	counts.SourceDigits += it.source.digits
	counts.Formulas += it.source.formulas
	counts.FormulasKept += it.source.kept
	counts.length(d.Chars)
	if it.source.disambiguation {
		counts.Disambiguations++
	}
	for _, name := range it.templates {
		tallyName(&counts.Templates, name, 1, place)
	}
	if d.Language != "" {
		tally(&counts.Languages, d.Language, 1, nil)
	}
	if d.Lang != "" {
		tally(&counts.Identified, d.Lang, 1, nil)
	}
	return r.parts.add(d)
}

func (r *run) warn(what string, it item, in *input) {
	r.logged[it.cause]++
	if n := r.logged[it.cause]; n > maxLogged {
		if n == maxLogged+1 {
			r.cfg.Log.Warn("more of the same is counted in the report", "cause", it.cause)
		}
		return
	}
	r.cfg.Log.Warn(what, "cause", it.cause, "file", in.where(), "record", it.record, "offset", it.offset, "detail", it.detail)
}
