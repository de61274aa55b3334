package wiki

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/tributary-ml/tributary/ingest/webpage"
)

// tarHead is how much of an archive tells that it is one.
const tarHead = 512

func isTar(head []byte) bool { return len(head) >= 262 && string(head[257:262]) == "ustar" }

func isJSON(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\uFEFF")), " \t\r\n")
	return len(head) > 0 && head[0] == '{'
}

// IsJSON reports whether head begins a dump of the search index (CirrusSearch), or
// of the Enterprise service: lines of JSON that tell of pages as those do.
func IsJSON(head []byte) bool {
	if !isJSON(head) {
		return false
	}
	if bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte(`{"index":{`)) && bytes.Contains(head[:min(len(head), 200)], []byte(`"_id"`)) {
		return true
	}
	has := func(key string) bool { return bytes.Contains(head, []byte(`"`+key+`"`)) }
	return has("article_body") || has("is_part_of") && has("in_language") || has("source_text") && has("page_id")
}

// jsonPage is a line of a CirrusSearch dump (title, source_text...) or of a
// Wikimedia Enterprise snapshot (name, article_body...).
type jsonPage struct {
	// Index is the line before a page of CirrusSearch, which has its id.
	Index *struct {
		ID json.RawMessage `json:"_id"`
	} `json:"index"`

	Title        string          `json:"title"`
	Namespace    json.RawMessage `json:"namespace"` // a number, or an object with identifier
	Version      json.RawMessage `json:"version"`   // likewise
	PageID       int64           `json:"page_id"`
	Wiki         string          `json:"wiki"`
	Language     string          `json:"language"`
	Timestamp    string          `json:"timestamp"`
	ContentModel string          `json:"content_model"`
	Text         string          `json:"text"`
	SourceText   *string         `json:"source_text"`

	Name         string `json:"name"`
	Identifier   int64  `json:"identifier"`
	URL          string `json:"url"`
	DateModified string `json:"date_modified"`
	InLanguage   struct {
		Identifier string `json:"identifier"`
	} `json:"in_language"`
	IsPartOf struct {
		Identifier string `json:"identifier"`
	} `json:"is_part_of"`
	ArticleBody struct {
		Wikitext *string `json:"wikitext"`
		HTML     string  `json:"html"`
	} `json:"article_body"`
}

// number reads a number, a number in quotes, or an object's "identifier".
func number(raw json.RawMessage) int64 {
	var object struct {
		Identifier int64 `json:"identifier"`
	}
	if n, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64); err == nil {
		return n
	}
	if json.Unmarshal(raw, &object) != nil {
		return 0
	}
	return object.Identifier
}

// lines cuts JSON lines into pieces.
type lines struct {
	src     *bufio.Reader
	archive *tar.Reader
	max     int
	offset  int64
	err     error
}

// refill goes to the next file of an archive. The error is ErrNotDump when its
// first file holds no lines of pages.
func (l *lines) refill() error {
	if l.archive == nil {
		return io.EOF
	}
	for {
		h, err := l.archive.Next()
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		l.src.Reset(l.archive)
		if l.offset == 0 {
			// Any archive can be named as a dump; only one of pages is.
			head, err := l.src.Peek(l.src.Size())
			if whole := err == nil || errors.Is(err, io.EOF); whole && len(head) > 0 && !IsJSON(head) {
				return ErrNotDump
			}
		}
		return nil
	}
}

// next returns the next piece: whole lines, or the beginning of one that is too
// long.
func (l *lines) next() (piece, error) {
	p := piece{offset: l.offset}
	for len(p.data) < pieceBytes || p.data[len(p.data)-1] != '\n' || headerOnly(p.data) {
		line, err := l.src.ReadSlice('\n')
		p.data = append(p.data, line...)
		l.offset += int64(len(line))
		switch {
		case err == nil:
		case errors.Is(err, bufio.ErrBufferFull):
			if start := bytes.LastIndexByte(p.data, '\n') + 1; len(p.data)-start > l.max {
				return l.skipLine(p, start)
			}
		case errors.Is(err, io.EOF):
			if n := len(p.data); n > 0 && p.data[n-1] != '\n' {
				p.data = append(p.data, '\n')
			}
			if err := l.refill(); err != nil {
				if len(p.data) > 0 {
					l.archive, l.err = nil, err
					l.src.Reset(bytes.NewReader(nil))
					return p, nil
				}
				if l.err != nil {
					err = l.err
				}
				if !errors.Is(err, io.EOF) {
					err = fmt.Errorf("wiki: reading the dump's archive: %w", err)
				}
				return piece{}, err
			}
		default:
			return piece{}, fmt.Errorf("wiki: reading the dump at byte %d: %w", l.offset, err)
		}
	}
	return p, nil
}

// headerOnly says whether data ends with the line that belongs to the next.
func headerOnly(data []byte) bool {
	data = bytes.TrimRight(data, "\r\n")
	return bytes.HasPrefix(data[bytes.LastIndexByte(data, '\n')+1:], []byte(`{"index"`))
}

// skipLine passes over the rest of a line that is too long. What was read of it
// is left as a line that is no JSON, and so counted.
func (l *lines) skipLine(p piece, start int) (piece, error) {
	p.data = append(p.data[:start+256], '\n')
	for {
		line, err := l.src.ReadSlice('\n')
		l.offset += int64(len(line))
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err == nil, errors.Is(err, io.EOF):
			return p, nil
		default:
			return piece{}, fmt.Errorf("wiki: reading the dump at byte %d: %w", l.offset, err)
		}
	}
}

// sites keeps an Extractor for each wiki that is met.
type sites struct {
	mu   sync.Mutex
	opts ExtractOptions
	by   map[string]*Extractor
}

// maxSites bounds them: a dump is of one wiki.
const maxSites = 1000

func (s *sites) extractor(db, language, base string) *Extractor {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := db + "\x00" + language
	if ex := s.by[key]; ex != nil {
		return ex
	}
	ex := NewExtractor(&Site{DBName: db, Language: language, Base: base}, s.opts)
	if len(s.by) < maxSites {
		s.by[key] = ex
	}
	return ex
}

// baseOf returns the main page of a wiki of Wikimedia's by its database's name.
func baseOf(db string) string {
	for _, project := range []string{"wiktionary", "wikibooks", "wikinews", "wikiquote", "wikisource", "wikiversity", "wikivoyage", "wiki"} {
		if language, ok := strings.CutSuffix(db, project); ok && language != "" {
			if project == "wiki" {
				project = "wikipedia"
			}
			return "https://" + strings.ReplaceAll(language, "_", "-") + "." + project + ".org/wiki/"
		}
	}
	return ""
}

func jsonPages(ctx context.Context, in *bufio.Reader, archived bool, opts *Options, yield func(*Result) error) error {
	l := &lines{src: bufio.NewReaderSize(in, 1<<16), max: opts.MaxPageBytes}
	if archived {
		l.archive = tar.NewReader(in)
		l.src.Reset(bytes.NewReader(nil))
	}
	known := &sites{opts: opts.Extract, by: map[string]*Extractor{}}
	return inOrder(ctx, opts.Jobs, 0, l.next, func(p *piece, add func(Result)) {
		var header json.RawMessage
		at := p.offset
		for line := range bytes.Lines(p.data) {
			offset := at
			at += int64(len(line))
			if len(bytes.TrimSpace(line)) == 0 || ctx.Err() != nil {
				continue
			}
			var j jsonPage
			if err := json.Unmarshal(line, &j); err != nil {
				bad := &PageError{Cause: Malformed, Offset: offset, Detail: err.Error()}
				add(Result{Page: Page{Offset: offset}, Site: &Site{}, Cause: Malformed, Err: bad})
				header = nil
				continue
			}
			if j.Index != nil && j.Title == "" {
				header = j.Index.ID
				continue
			}
			add(j.result(known, header, offset, opts))
			header = nil
		}
	}, yield)
}

func (j *jsonPage) result(known *sites, header json.RawMessage, offset int64, opts *Options) Result {
	page := &Page{Offset: offset, Namespace: int(number(j.Namespace)), Revision: number(j.Version), Revisions: 1, Model: j.ContentModel}
	db, language, base := j.Wiki, j.Language, ""
	source := j.SourceText
	if j.Name != "" {
		page.Title, page.ID, page.Timestamp = j.Name, j.Identifier, j.DateModified
		db, language = j.IsPartOf.Identifier, j.InLanguage.Identifier
		if at := strings.Index(j.URL, "/wiki/"); at > 0 {
			base = j.URL[:at+len("/wiki/")]
		}
		source = j.ArticleBody.Wikitext
	} else {
		page.Title, page.ID, page.Timestamp = j.Title, j.PageID, j.Timestamp
		if page.ID == 0 {
			page.ID = number(header)
		}
	}
	if base == "" {
		base = baseOf(db)
	}
	ex := known.extractor(db, language, base)
	if page.Title == "" {
		bad := &PageError{Cause: Malformed, Offset: offset, Detail: "neither title nor name"}
		return Result{Page: *page, Site: ex.site, Cause: Malformed, Err: bad}
	}
	if source != nil {
		page.Text = *source
		return ex.result(page, nil, opts)
	}
	// Without its source a page of the search index has text without paragraphs.
	res := ex.result(page, nil, opts)
	if res.Cause == NoText && j.ArticleBody.HTML != "" {
		if p, err := webpage.Extract([]byte(j.ArticleBody.HTML), "text/html; charset=utf-8"); err == nil && p.Text != "" {
			res.Text, res.Cause = p.Text, ""
			return res
		}
	}
	if res.Cause == NoText && j.Text != "" {
		res.Text, res.Cause = j.Text, ""
	}
	return res
}

// IsXML reports whether head begins a dump in XML that is in UTF-8: one that reading
// can go on inside (see Start).
func IsXML(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	return len(head) > 1 && head[0] == '<' && head[1] != 0
}
