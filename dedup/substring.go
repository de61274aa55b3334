package dedup

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync/atomic"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"

	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
)

// RuleSubstring is the name of Substring's rule.
const RuleSubstring = "substring"

// A Token is one token of a text and the bytes of it that it covers.
type Token struct {
	ID         int32
	Start, End int
}

// SubstringOptions says which repeats are marked.
type SubstringOptions struct {
	// Length is the number of bytes, or of tokens when Tokens is set, from which on
	// a repeat counts: 8 at least. 0 means 200 bytes or 50 tokens.
	Length int `json:"length"`
	// All marks every place of a repeat; otherwise the first one, in the order in
	// which Exact prefers documents, stays.
	All bool `json:"all"`
	// Tokens, called once for each goroutine, returns a function that appends the
	// tokens of a text to dst. TokensOf is its digest, such as that of the tokenizer.
	Tokens   func() (func(dst []Token, text string) ([]Token, error), error) `json:"-"`
	TokensOf string                                                          `json:"tokens_of,omitempty"`
}

// SubstringFigures are what a run of Substring counted.
type SubstringFigures struct {
	SubstringOptions
	// Units is the number of bytes or tokens compared, Sampled of the places at
	// which repeats were looked for, Repeated of those that had the k-gram of
	// another one.
	Units    int64 `json:"units"`
	Sampled  int64 `json:"sampled"`
	Repeated int64 `json:"repeated"`
	// Crowded counts k-grams in more than 65,536 different surroundings; of those
	// the later ones were compared with half as many of the others each.
	Crowded int64 `json:"crowded"`
	// Spans is the number of marks. Dropped counts repeats that hold no whole word.
	Spans   int64 `json:"spans"`
	Dropped int64 `json:"dropped"`
}

const (
	substringVersion = "substring/1"
	// maxSurroundings bounds the places of one k-gram that are compared at once. It
	// is no option: the marks would depend on it.
	maxSurroundings = 1 << 16
)

// Substring marks, as spans, what stands at another place too: byte for byte, or
// token for token, from Length units on, within and across documents. A repeat
// does not overlap what it repeats and ends with its document. The evidence of a
// mark is the other place. Spans are cut back to the edges of words, so that no
// character and no word is cut; the marks of a document do not overlap.
//
// Places are nominated by winnowing, which misses none, and proven by comparing
// them. The texts are spooled to disk, and the sampled places are sorted there, so
// that a third of their bytes or so is written besides them. Besides
// Config.MemoryBytes it holds 20 bytes a document, 52 when it compares tokens.
func Substring(ctx context.Context, cfg Config, opt SubstringOptions) (*Report, error) {
	report, err := substring(ctx, cfg, opt)
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", RuleSubstring, err)
	}
	return report, nil
}

func substring(ctx context.Context, cfg Config, opt SubstringOptions) (_ *Report, err error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	if opt.Length == 0 {
		if opt.Length = 200; opt.Tokens != nil {
			opt.Length = 50
		}
	}
	if opt.Length < 8 || opt.Length > 1<<16 {
		return nil, fmt.Errorf("repeats of %d units: 8 to 65,536 are possible", opt.Length)
	}
	run, done, err := cfg.beginRule(RuleSubstring, struct {
		SubstringOptions
		Version string `json:"version"`
	}{opt, substringVersion})
	if err != nil || done != nil {
		return done, err
	}
	r := &substringRun{run: run, cfg: &cfg, opt: opt, dir: cfg.spillDir(RuleSubstring), width: 1}
	if opt.Tokens != nil {
		r.width = 4
	}
	defer func() { err = errors.Join(err, r.close(), run.close()) }()
	for _, step := range []func(context.Context) error{r.spool, r.sample, r.findRepeats, r.cut} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	figures := SubstringFigures{SubstringOptions: opt, Units: r.units, Sampled: r.sampled, Repeated: r.repeated,
		Crowded: r.crowded, Spans: r.spansOut, Dropped: r.dropped}
	if run.report.Figures, err = json.Marshal(figures); err != nil {
		return nil, fmt.Errorf("encoding the figures: %w", err)
	}
	return run.finish(ctx)
}

// substringRun is the state that the steps hand on. Documents are numbered in the
// order of preference, their rank.
type substringRun struct {
	run   *ruleRun
	cfg   *Config
	opt   SubstringOptions
	dir   string
	width int // bytes of a unit

	closers []func() error
	// recordBytes is about what the records of the samples take.
	recordBytes int64
	// text holds the texts. When tokens are compared, tokens holds their ids, four
	// bytes each, and bounds the ends of each in the text, sixteen.
	text, tokens, bounds *spool
	docs                 []spooled
	names                *table // the rank of each document
	samples, spans       *extsort.Sorter

	units, sampled, repeated, crowded, spansOut, dropped int64
}

// spooled says where a document lies in the spools.
type spooled struct {
	text      int64
	textBytes int64
	tokens    int64 // the number of its first token
	count     uint32
}

func (r *substringRun) sorter(name string, memory int64) (*extsort.Sorter, error) {
	s, err := extsort.New(filepath.Join(r.dir, name), memory)
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, func() error {
		r.run.report.Spilled += s.Spilled()
		return s.Close()
	})
	return s, nil
}

func (r *substringRun) close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c())
	}
	r.closers = nil
	return errors.Join(errs...)
}

// spool writes the texts to disk and numbers the documents.
func (r *substringRun) spool(ctx context.Context) (err error) {
	spools := map[string]**spool{"text": &r.text}
	if r.width == 4 {
		spools["tokens"], spools["bounds"] = &r.tokens, &r.bounds
	}
	for name, s := range spools {
		if *s, err = newSpool(filepath.Join(r.dir, name)); err != nil {
			return err
		}
		r.closers = append(r.closers, (*s).close)
	}
	ranked, err := r.sorter("ranked", r.cfg.MemoryBytes/2)
	if err != nil {
		return err
	}
	var broken atomic.Value
	err = r.cfg.eachDocument(ctx, func() func(int, *ingest.Document) error {
		v, err := r.newSpooler(ranked)
		if err != nil {
			broken.Store(err)
			return func(int, *ingest.Document) error { return err }
		}
		return v
	})
	if err != nil {
		return err
	}
	for _, s := range spools {
		if err := (*s).seal(); err != nil {
			return err
		}
	}
	if r.names, err = newTable(filepath.Join(r.dir, "names")); err != nil {
		return err
	}
	r.closers = append(r.closers, r.names.close)
	for rec, err := range ranked.All(ctx) {
		if err != nil {
			return err
		}
		if len(r.docs) == math.MaxUint32 {
			return fmt.Errorf("more than %d documents", len(r.docs))
		}
		if len(rec.Key) < 11 || len(rec.Value) != 16+28 {
			return errSpilled
		}
		v := rec.Value[16:]
		r.docs = append(r.docs, spooled{
			text: int64(binary.LittleEndian.Uint64(v)), textBytes: int64(binary.LittleEndian.Uint64(v[8:])),
			tokens: int64(binary.LittleEndian.Uint64(v[16:])), count: binary.LittleEndian.Uint32(v[24:]),
		})
		if err := r.names.append(rec.Key); err != nil {
			return err
		}
		r.run.report.Sources[binary.BigEndian.Uint16(rec.Key)].Documents++
	}
	return r.names.seal()
}

// newSpooler returns what writes one document after another to the spools.
func (r *substringRun) newSpooler(ranked *extsort.Sorter) (func(int, *ingest.Document) error, error) {
	var split func([]Token, string) ([]Token, error)
	if r.opt.Tokens != nil {
		var err error
		if split, err = r.opt.Tokens(); err != nil {
			return nil, fmt.Errorf("making the splitter of tokens: %w", err)
		}
	}
	var key, value, ids, bounds, text []byte
	var tokens []Token
	return func(source int, d *ingest.Document) error {
		if len(d.Text) > math.MaxUint32 {
			return fmt.Errorf("its text of %d bytes is larger than 4 GiB", len(d.Text))
		}
		text = append(text[:0], d.Text...)
		at, err := r.text.append(text)
		if err != nil {
			return err
		}
		count, first := len(d.Text), int64(0)
		if split != nil {
			if tokens, err = split(tokens[:0], d.Text); err != nil {
				return err
			}
			ids, bounds = ids[:0], bounds[:0]
			for _, t := range tokens {
				if t.Start < 0 || t.End < t.Start || t.End > len(d.Text) {
					return fmt.Errorf("a token covers bytes %d to %d of a text of %d", t.Start, t.End, len(d.Text))
				}
				ids = binary.LittleEndian.AppendUint32(ids, uint32(t.ID))
				bounds = binary.LittleEndian.AppendUint64(bounds, uint64(t.Start))
				bounds = binary.LittleEndian.AppendUint64(bounds, uint64(t.End))
			}
			count = len(tokens)
			if first, err = r.appendTokens(ids, bounds); err != nil {
				return err
			}
		}
		// Documents of equal rank are told apart by their text, then are equal.
		sum := xxh3.Hash128(text).Bytes()
		key = appendRank(key[:0], source, d)
		value = append(value[:0], sum[:]...)
		value = binary.LittleEndian.AppendUint64(value, uint64(at))
		value = binary.LittleEndian.AppendUint64(value, uint64(len(d.Text)))
		value = binary.LittleEndian.AppendUint64(value, uint64(first))
		value = binary.LittleEndian.AppendUint32(value, uint32(count))
		if cap(text) > 1<<20 {
			text, ids, bounds, tokens = nil, nil, nil, nil
		}
		return ranked.Add(key, value)
	}, nil
}

// appendTokens writes the ids and bounds of one document's tokens.
func (r *substringRun) appendTokens(ids, bounds []byte) (first int64, err error) {
	// One lock for both files: the numbers of the tokens are the same in both.
	r.bounds.mu.Lock()
	defer r.bounds.mu.Unlock()
	at, err := r.tokens.append(ids)
	if err != nil {
		return 0, err
	}
	if _, err := r.bounds.appendLocked(bounds); err != nil {
		return 0, err
	}
	return at / 4, nil
}

// unitsOf is the spool of the units.
func (r *substringRun) unitsOf() *spool {
	if r.width == 4 {
		return r.tokens
	}
	return r.text
}

// at is where the units of a document begin in their spool.
func (r *substringRun) at(rank uint32) int64 {
	if r.width == 4 {
		return 4 * r.docs[rank].tokens
	}
	return r.docs[rank].text
}

// sample chooses the places at which repeats are looked for. The key of a sample
// is the hash of its k-gram, then that of its surroundings, then the place.
func (r *substringRun) sample(ctx context.Context) (err error) {
	// One place in a third of Length is sampled, in 48 bytes.
	for _, d := range r.docs {
		r.recordBytes += int64(d.count) * 48 * 3 / int64(r.opt.Length)
	}
	if r.samples, err = r.sorter("samples", r.cfg.scaled(r.cfg.MemoryBytes/2, r.recordBytes)); err != nil {
		return err
	}
	r.cfg.Meter.Begin("looking for repeats: "+RuleSubstring, "documents", int64(len(r.docs)), 0)
	var next, units, sampled atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range r.cfg.Jobs {
		g.Go(func() error {
			w := newWinnow(r.opt.Length, r.width)
			in := r.unitsOf().reader()
			var buf, key []byte
			for {
				rank := next.Add(1) - 1
				if rank >= int64(len(r.docs)) {
					return nil
				}
				if rank%256 == 0 && ctx.Err() != nil {
					return ctx.Err()
				}
				n := int(r.docs[rank].count)
				units.Add(int64(n))
				if n >= r.opt.Length {
					var err error
					if buf, err = in.read(buf[:0], r.at(uint32(rank)), n*r.width); err != nil {
						return err
					}
					err = w.each(buf, func(at int, hash uint64) error {
						sampled.Add(1)
						from, to := max(0, at-w.w+1), min(n, at+r.opt.Length)
						key = binary.BigEndian.AppendUint64(key[:0], hash)
						key = binary.BigEndian.AppendUint64(key, xxh3.HashSeed(buf[from*r.width:to*r.width], uint64(at-from)))
						key = binary.BigEndian.AppendUint32(key, uint32(rank))
						key = binary.BigEndian.AppendUint32(key, uint32(at))
						return r.samples.Add(key, nil)
					})
					if err != nil {
						return err
					}
					if cap(buf) > 1<<20 {
						buf = nil
					}
				}
				r.cfg.Meter.Add(1)
			}
		})
	}
	err = g.Wait()
	r.units, r.sampled = units.Load(), sampled.Load()
	return err
}
