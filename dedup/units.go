package dedup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
)

// The rules that compare something else than whole texts.
const (
	RuleURL       = "url"
	RuleParagraph = "paragraph"
	RuleLine      = "line"
)

// URL marks the documents whose normalised URL is that of another one, of which
// the one stays that Exact would keep. Documents without a URL are not marked.
// See NormaliseURL for what counts as the same.
func URL(ctx context.Context, cfg Config) (*Report, error) {
	return units(ctx, cfg, unitRule{
		name: RuleURL, kind: "url", version: "url/1",
		split: func(d *ingest.Document, h *textHasher, emit func(digest, int, int) error) error {
			key := NormaliseURL(d.URL)
			if key == "" {
				return nil
			}
			return emit(h.raw(key), -1, -1)
		},
		reason: func(first *unit) string { return "its URL is that of the document kept" },
	})
}

// Paragraph marks, as spans, the paragraphs of at least minWords words that stand
// in an earlier document too, or earlier in their own: earlier in the order in
// which Exact prefers documents. Paragraphs end at empty lines and are compared in
// the normal form of Exact. A span covers the paragraph and not the line ends
// around it.
func Paragraph(ctx context.Context, cfg Config, minWords int) (*Report, error) {
	return spans(ctx, cfg, RuleParagraph, "\n\n", minWords)
}

// Line is Paragraph for single lines.
func Line(ctx context.Context, cfg Config, minWords int) (*Report, error) {
	return spans(ctx, cfg, RuleLine, "\n", minWords)
}

func spans(ctx context.Context, cfg Config, rule, separator string, minWords int) (*Report, error) {
	if minWords < 1 {
		minWords = 1
	}
	return units(ctx, cfg, unitRule{
		name: rule, kind: rule, version: fmt.Sprintf("%s/1 of %d words", rule, minWords),
		split: func(d *ingest.Document, h *textHasher, emit func(digest, int, int) error) error {
			return eachUnit(d.Text, separator, minWords, func(from, to int) error {
				return emit(h.normalised(d.Text[from:to]), from, to)
			})
		},
		reason: func(first *unit) string {
			return fmt.Sprintf("the %s stands at bytes %d to %d of the document kept", rule, first.start, first.end)
		},
	})
}

// eachUnit calls f with the bounds of the parts of a text that have minWords words.
func eachUnit(text, separator string, minWords int, f func(from, to int) error) error {
	for from, to := range parts(text, separator) {
		words := 0
		for range fields(text[from:to]) {
			if words++; words == minWords {
				break
			}
		}
		if words < minWords {
			continue
		}
		if err := f(from, to); err != nil {
			return err
		}
	}
	return nil
}

// parts yields the bounds of the parts of a text between runs of separators,
// without the white space at their ends.
func parts(text, separator string) func(yield func(from, to int) bool) {
	return func(yield func(from, to int) bool) {
		for from := 0; from < len(text); {
			to := len(text)
			next := to
			if i := strings.Index(text[from:], separator); i >= 0 {
				to = from + i
				next = to + len(separator)
			}
			part := text[from:to]
			left := len(part) - len(strings.TrimLeft(part, " \t\r\n"))
			right := len(strings.TrimRight(part, " \t\r\n"))
			if left < right && !yield(from+left, from+right) {
				return
			}
			from = next
		}
	}
}

// unitRule compares units of documents: of equal units the first stays.
type unitRule struct {
	name, kind, version string
	// split calls emit with the digest and the bounds of each unit; bounds of -1
	// are those of the whole document.
	split  func(d *ingest.Document, h *textHasher, emit func(key digest, start, end int) error) error
	reason func(first *unit) string
}

// unit is one unit of a document, from its spilled form: the document's rank,
// start+1, end+1 and the size of the document.
type unit struct {
	source     int
	id         string
	start, end int64
	covered    int64
}

func units(ctx context.Context, cfg Config, rule unitRule) (*Report, error) {
	report, err := rule.find(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", rule.name, err)
	}
	return report, nil
}

func (rule unitRule) find(ctx context.Context, cfg Config) (report *Report, err error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	run, done, err := cfg.beginRule(rule.name, rule.version)
	if err != nil || done != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, run.close()) }()
	for i, s := range cfg.Sources {
		m, err := ingest.DocumentsManifest(cfg.Data, s)
		if err != nil {
			return nil, err
		}
		run.report.Sources[i].Documents = m.Totals["documents"]
	}
	newVisit := func(add func(key, value []byte) error) func(int, *ingest.Document) error {
		h := newTextHasher()
		var value []byte
		return func(source int, d *ingest.Document) error {
			value = appendRank(value[:0], source, d)
			n := len(value)
			return rule.split(d, h, func(key digest, start, end int) error {
				value = binary.BigEndian.AppendUint64(value[:n], uint64(start+1))
				value = binary.BigEndian.AppendUint64(value, uint64(end+1))
				value = binary.BigEndian.AppendUint64(value, uint64(len(d.Text)))
				return add(key[:], value)
			})
		}
	}
	var key []byte
	var first unit
	size := int64(0)
	err = run.eachSorted(ctx, rule.version, newVisit, func(rec extsort.Record) error {
		u, err := parseUnit(rec.Value)
		if err != nil {
			return err
		}
		if size == 0 || !bytes.Equal(key, rec.Key) {
			key, first, size = append(key[:0], rec.Key...), u, 1
			return nil
		}
		if size++; size == 2 {
			run.report.Groups++
		}
		run.report.Largest = max(run.report.Largest, size)
		return run.add(u.source, &Mark{
			ID: u.id, Source: cfg.Sources[u.source], Rule: rule.name, Kind: rule.kind,
			Kept: first.id, KeptSource: cfg.Sources[first.source], Score: 1, Start: u.start, End: u.end, KeptStart: first.start, KeptEnd: first.end,
			Reason: rule.reason(&first),
		}, u.covered)
	})
	if err != nil {
		return nil, err
	}
	return run.finish(ctx)
}

func parseUnit(b []byte) (unit, error) {
	const head, tail = 2 + 8, 1 + 3*8
	if len(b) < head+tail {
		return unit{}, errSpilled
	}
	u := unit{source: int(binary.BigEndian.Uint16(b)), id: string(b[head : len(b)-tail])}
	b = b[len(b)-tail+1:]
	u.start, u.end = int64(binary.BigEndian.Uint64(b))-1, int64(binary.BigEndian.Uint64(b[8:]))-1
	if u.covered = u.end - u.start; u.start < 0 {
		u.covered = int64(binary.BigEndian.Uint64(b[16:]))
	}
	return u, nil
}

// trackers are parameters of URLs that say where a reader came from.
var trackers = []string{"fbclid", "gclid", "dclid", "msclkid", "mc_cid", "mc_eid", "igshid"}

// NormaliseURL returns the form in which URLs are compared: without scheme, user,
// default port, "www.", fragment, trailing slashes and parameters that track
// readers (utm_* and the like), the host in lower case, the other parameters in
// order. What is no URL of a host is returned trimmed; "" stays "".
func NormaliseURL(raw string) string {
	raw = strings.TrimSpace(raw)
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return raw
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	host = strings.TrimPrefix(host, "www.")
	if p := u.Port(); p != "" && p != "80" && p != "443" {
		host += ":" + p
	}
	out := host + strings.TrimRight(u.EscapedPath(), "/")
	var query []string
	for _, p := range strings.Split(u.RawQuery, "&") {
		name, _, _ := strings.Cut(strings.ToLower(p), "=")
		if p != "" && !strings.HasPrefix(name, "utm_") && !slices.Contains(trackers, name) {
			query = append(query, p)
		}
	}
	if len(query) > 0 {
		slices.Sort(query)
		out += "?" + strings.Join(query, "&")
	}
	return out
}
