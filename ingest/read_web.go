package ingest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/tributary-ml/tributary/ingest/warc"
	"github.com/tributary-ml/tributary/ingest/webpage"
)

// readWeb reads WARC and WET archives.
func readWeb(ctx context.Context, r *run, first int) error {
	for i := first; i < len(r.inputs); i++ {
		if err := r.readArchive(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) readArchive(ctx context.Context, i int) error {
	in := r.inputs[i]
	f, err := r.places.open(ctx, in)
	if isFar(err) {
		return fmt.Errorf("reading %s: %w", in.where(), err)
	}
	if err != nil {
		return r.take(i, item{cause: causeUnreadable, detail: err.Error()})
	}
	defer f.close()
	opts := warc.Options{MaxBody: r.cfg.MaxRecordBytes}
	from := r.seekOf(i)
	skip := int64(0) // items that an earlier run took and that are read again
	if i == r.from.Input {
		skip = r.from.Items
	}
	place := int64(0)
	if from != nil {
		opts.Offset, opts.Number = from.Offset, from.Record
		skip, place = skip-from.Items, from.Offset
		r.cfg.Meter.Add(place)
	}
	if content, err := decompress(f.from(0), 1, nil); err == nil {
		head := make([]byte, len(arcMagic))
		n, _ := io.ReadFull(content, head) // reading on will tell of errors
		_ = content.Close()
		if isARC(head[:n]) {
			return r.take(i, item{cause: causeARC})
		}
	}
	archive, err := warc.NewReader(f, f.size, opts)
	if isFar(err) {
		return fmt.Errorf("reading %s: %w", in.where(), err)
	}
	if err != nil {
		return r.take(i, item{cause: causeOtherFile, detail: err.Error()})
	}
	defer archive.Close()

	type job struct {
		rec    *warc.Record
		damage *warc.DamageError
		seek   *seek
	}
	return ordered(ctx, r.cfg.Jobs, underway,
		func(ctx context.Context, give func(job, int64) error) error {
			for n := int64(0); ; n++ {
				if err := ctx.Err(); err != nil {
					return err
				}
				rec, err := archive.Next()
				var j job
				var cost int64
				switch {
				case errors.Is(err, io.EOF):
					r.cfg.Meter.Add(in.size - place)
					return nil
				case errors.As(err, &j.damage):
				case err != nil:
					return fmt.Errorf("reading %s: %w", in.where(), err)
				default:
					j.rec = rec
					cost = int64(len(rec.Body))
					if n < skip {
						rec.Body = nil
					}
					if rec.Offset > place {
						// The first record of its part of the archive: reading can begin here.
						j.seek = &seek{Record: rec.Number, Offset: rec.Offset}
					}
					r.cfg.Meter.Add(rec.Offset - place)
					place = rec.Offset
				}
				if err := give(j, cost); err != nil {
					return err
				}
			}
		},
		func(j job) (it item) {
			if j.damage != nil {
				d := j.damage
				return item{cause: string(d.Cause), detail: strings.TrimSpace(d.URI + " " + d.Detail), record: d.Record, offset: d.Offset}
			}
			defer func() {
				if p := recover(); p != nil {
					it = item{cause: causePanic, detail: fmt.Sprint(p), record: j.rec.Number, offset: j.rec.Offset}
				}
			}()
			from := time.Now()
			it = webItem(j.rec, r.cfg.MaxRecordBytes)
			it.seek, it.took = j.seek, time.Since(from)
			it.source.bytes = int64(len(j.rec.Body))
			return it
		},
		func(it item) error { return r.take(i, it) },
	)
}

// arcMagic begins an archive in ARC, the format before WARC.
const (
	arcMagic = "filedesc://"
	causeARC = "ARC archive, which is not read; warcio recompress makes a WARC archive of it"
)

func isARC(head []byte) bool { return bytes.HasPrefix(head, []byte(arcMagic)) }

// webItem makes a document of a record: of extracted text as it is, of a page its
// main text.
func webItem(rec *warc.Record, limit int64) item {
	it := item{
		record: rec.Number, offset: rec.Offset, key: fmt.Sprintf("%d/%s", rec.Number, rec.ID),
		detail: rec.URI,
	}
	switch rec.Type {
	case "conversion":
		return textRecord(it, rec)
	case "response", "resource":
		return pageRecord(it, rec, limit)
	}
	it.cause, it.quiet = "record of type "+knownType(rec.Type), true
	if rec.Type == "metadata" && isJSONType(rec.Get("Content-Type")) {
		it.cause = "metadata of a page (WAT), which holds no text; the texts are in the .warc.gz and .wet.gz of the same crawl"
	}
	return it
}

func isJSONType(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(t), "application/json")
}

// normalURL writes an address the one way that RFC 3986 (section 6.2) has for it
// where all say the same: scheme and host in lower case, no default port, no
// fragment, no dot segments, "/" for an empty path, and characters escaped only
// where they must be. What is no address of a host is returned as it is.
func normalURL(raw string) string {
	u, err := url.Parse(strings.Trim(raw, "<> \t"))
	if err != nil || u.Host == "" {
		return raw
	}
	u.Scheme = strings.ToLower(u.Scheme)
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p := u.Port(); p != "" && !(p == "80" && u.Scheme == "http") && !(p == "443" && u.Scheme == "https") {
		host += ":" + p
	}
	u.Host, u.Fragment, u.RawFragment = host, "", ""
	u.RawPath = "" // escaped anew
	if strings.Contains(u.Path, "/.") {
		u = u.ResolveReference(&url.URL{Path: u.Path, RawQuery: u.RawQuery})
	}
	if u.Path == "" && u.Opaque == "" {
		u.Path = "/"
	}
	return u.String()
}

// pageRecord makes a document of an archived page.
func pageRecord(it item, rec *warc.Record, limit int64) item {
	resp, err := rec.Response(limit)
	if err != nil {
		it.cause, it.detail = causeTooLong, rec.URI+": "+err.Error()
		return it
	}
	if resp.Status != 0 && resp.Status != 200 {
		it.cause, it.quiet = "HTTP status other than 200", true
		it.detail = fmt.Sprintf("%d %s", resp.Status, rec.URI)
		return it
	}
	contentType, _, _ := strings.Cut(resp.ContentType, ";")
	switch contentType = strings.ToLower(strings.TrimSpace(contentType)); contentType {
	case "text/html", "application/xhtml+xml":
	case "":
		if !strings.Contains(strings.ToLower(string(resp.Payload[:min(len(resp.Payload), 1024)])), "<html") {
			it.cause, it.quiet = "content of another type than HTML", true
			return it
		}
	default:
		it.cause, it.quiet = "content of another type than HTML", true
		it.detail = contentType + " " + rec.URI
		return it
	}
	page, err := webpage.Extract(resp.Payload, resp.ContentType)
	if err != nil {
		it.cause, it.detail = "page that cannot be parsed", rec.URI+": "+err.Error()
		return it
	}
	text, dropped := cleanText(page.Text)
	it.encoding = page.Encoding
	it.repairs = []Count{{Name: repairControls, Count: int64(dropped)}, {Name: repairUTF8, Count: int64(page.Replaced)}}
	out := it.document(&Document{
		Title: page.Title, URL: normalURL(rec.URI), Language: shortLanguage(page.Language), Revision: rec.ID,
		Date: cmp.Or(page.Date, rec.Get("WARC-Date")), Text: text,
	})
	if out.doc == nil {
		out.cause, out.detail = "page without main text", rec.URI
	}
	return out
}

// textRecord makes a document of a record of extracted text.
func textRecord(it item, rec *warc.Record) item {
	contentType, _, _ := strings.Cut(rec.Get("Content-Type"), ";")
	if contentType = strings.ToLower(strings.TrimSpace(contentType)); contentType != "" && contentType != "text/plain" {
		it.cause, it.quiet = "conversion to another type than text", true
		it.detail = contentType + " " + rec.URI
		return it
	}
	text, replaced := validText(rec.Body) // extracted text is UTF-8 by definition
	text, dropped := cleanText(text)
	it.repairs = []Count{{Name: repairControls, Count: int64(dropped)}, {Name: repairUTF8, Count: int64(replaced)}}
	language, _, _ := strings.Cut(rec.Get("WARC-Identified-Content-Language"), ",")
	return it.document(&Document{
		URL: normalURL(rec.URI), Language: shortLanguage(strings.TrimSpace(language)), Revision: rec.ID, Date: rec.Get("WARC-Date"), Text: text,
	})
}

// knownType keeps names that a broken archive makes up out of the causes.
func knownType(t string) string {
	switch t {
	case "warcinfo", "request", "response", "metadata", "revisit", "resource", "continuation":
		return t
	}
	return "unknown"
}
