package books

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/tributary-ml/tributary/ingest/webpage"
)

var (
	// ErrNotEPUB says that a file is no EPUB, or too damaged to be read as one.
	ErrNotEPUB = errors.New("not a readable EPUB")
	// ErrEncrypted says that the texts of an EPUB are encrypted.
	ErrEncrypted = errors.New("the EPUB is encrypted (DRM)")
	// ErrNoSpine says that an EPUB does not say in which order it is read.
	ErrNoSpine = errors.New("the EPUB has no spine")
	// ErrTooLarge says that the texts of an EPUB unpack to more than the limit.
	ErrTooLarge = errors.New("the EPUB unpacks to too much")
)

// maxPackage bounds the files that describe an EPUB.
const maxPackage = 8 << 20

// IsEPUB reports whether a file that begins with head is an EPUB, or may be one.
func IsEPUB(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) && bytes.Contains(head[:min(len(head), 256)], []byte("application/epub+zip"))
}

type container struct {
	Rootfiles []struct {
		Path string `xml:"full-path,attr"`
	} `xml:"rootfiles>rootfile"`
}

type opf struct {
	Titles    []string `xml:"metadata>title"`
	Creators  []string `xml:"metadata>creator"`
	Languages []string `xml:"metadata>language"`
	Items     []struct {
		ID         string `xml:"id,attr"`
		Href       string `xml:"href,attr"`
		MediaType  string `xml:"media-type,attr"`
		Properties string `xml:"properties,attr"`
	} `xml:"manifest>item"`
	Refs []struct {
		ID     string `xml:"idref,attr"`
		Linear string `xml:"linear,attr"`
	} `xml:"spine>itemref"`
	Guide []struct {
		Type string `xml:"type,attr"`
		Href string `xml:"href,attr"`
	} `xml:"guide>reference"`
}

// navPoint is an entry of a table of contents in NCX (EPUB 2).
type navPoint struct {
	Content struct {
		Src string `xml:"src,attr"`
	} `xml:"content"`
	Points []navPoint `xml:"navPoint"`
}

type encryption struct {
	Data []struct {
		Method struct {
			Algorithm string `xml:"Algorithm,attr"`
		} `xml:"EncryptionMethod"`
	} `xml:"EncryptedData"`
}

// ParseEPUB reads a book in EPUB 2 or 3: the documents of its spine in order,
// but for those that are out of line, for the table of contents and for what opts
// leave out. No more than limit bytes are unpacked.
func ParseEPUB(data []byte, limit int64, opts Options) (Book, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return Book{}, fmt.Errorf("%w: %w", ErrNotEPUB, err)
	}
	e := &epub{opts: opts, left: limit, files: make(map[string]*zip.File, len(z.File))}
	for _, f := range z.File {
		e.files[f.Name] = f
	}
	return e.book()
}

type epub struct {
	opts  Options
	files map[string]*zip.File
	left  int64 // bytes that may still be unpacked
}

// read unpacks a file of the archive. Names only find files in it.
func (e *epub) read(name string, limit int64) ([]byte, error) {
	f := e.files[name]
	if f == nil {
		return nil, fmt.Errorf("%w: it has no file %q", ErrNotEPUB, name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotEPUB, name, err)
	}
	defer r.Close()
	limit = min(limit, e.left)
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: at %s", ErrTooLarge, name)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotEPUB, name, err)
	}
	e.left -= int64(len(data))
	return data, nil
}

func (e *epub) decode(name string, v any) error {
	data, err := e.read(name, maxPackage)
	if err != nil {
		return err
	}
	text, _, _ := Decode(data)
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = false // entities of a document's own stay as they are, so none multiplies
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotEPUB, name, err)
	}
	return nil
}

// scrambledFonts are the algorithms that hide fonts only.
var scrambledFonts = map[string]bool{"http://www.idpf.org/2008/embedding": true, "http://ns.adobe.com/pdf/enc#RC": true}

func (e *epub) book() (Book, error) {
	var b Book
	if e.files["META-INF/encryption.xml"] != nil {
		var enc encryption
		if err := e.decode("META-INF/encryption.xml", &enc); err != nil {
			return b, err
		}
		for _, d := range enc.Data {
			if !scrambledFonts[d.Method.Algorithm] {
				return b, fmt.Errorf("%w: with %s", ErrEncrypted, d.Method.Algorithm)
			}
		}
	}
	var c container
	if err := e.decode("META-INF/container.xml", &c); err != nil {
		return b, err
	}
	if len(c.Rootfiles) == 0 {
		return b, fmt.Errorf("%w: its container names no package", ErrNotEPUB)
	}
	root := path.Clean(c.Rootfiles[0].Path)
	var p opf
	if err := e.decode(root, &p); err != nil {
		return b, err
	}
	b.Title, b.Author = first(p.Titles), strings.Join(nonEmpty(p.Creators), ", ")
	b.Language, b.Encoding = strings.TrimSpace(first(p.Languages)), "utf-8"
	if len(p.Refs) == 0 {
		return b, ErrNoSpine
	}
	return b, e.texts(&b, &p, path.Dir(root))
}

func (e *epub) texts(b *Book, p *opf, dir string) error {
	items := make(map[string]int, len(p.Items))
	for i := range p.Items {
		items[p.Items[i].ID] = i
	}
	var out strings.Builder
	var damaged error
	begins := e.contents(p, dir)
	guide := make(map[string]string, len(p.Guide))
	for _, g := range p.Guide {
		guide[target(dir, g.Href)] = strings.ToLower(g.Type)
	}
	for _, ref := range p.Refs {
		i, ok := items[ref.ID]
		if !ok || ref.Linear == "no" {
			continue
		}
		item := &p.Items[i]
		isText := item.MediaType == "application/xhtml+xml" || item.MediaType == "text/html" || item.MediaType == "application/x-dtbook+xml"
		if !isText || strings.Contains(" "+item.Properties+" ", " nav ") {
			continue
		}
		name := target(dir, item.Href)
		data, err := e.read(name, e.left)
		if errors.Is(err, ErrTooLarge) {
			return err
		}
		if err != nil {
			damaged = err
			continue
		}
		front, note := kindOf(data)
		front, note = front || frontMatter[guide[name]], note || notes[guide[name]]
		if front && !e.opts.FrontMatter {
			b.FrontMatter++
			continue
		}
		if !e.opts.Notes {
			if note {
				b.Notes++
				continue
			}
			var n int
			data, n = withoutNotes(data)
			b.Notes += n
		}
		page, err := webpage.Whole(selfClosed.ReplaceAll(data, []byte("<$1$2></$1>")), item.MediaType)
		if err != nil {
			damaged = err
			continue
		}
		b.Replaced += page.Replaced
		text, dropped := dropControls(page.Text)
		if b.Dropped += dropped; strings.TrimSpace(text) == "" {
			continue
		}
		if len(begins) == 0 || begins[name] {
			out.WriteString("\n\n" + chapterMark)
		}
		out.WriteString("\n\n" + strings.TrimSpace(text))
	}
	if damaged != nil {
		return fmt.Errorf("a chapter is lost: %w", damaged)
	}
	text := strings.TrimSpace(out.String())
	if strings.Contains(text, "Project Gutenberg") {
		text = squeeze(b.strip(strings.Split(text, "\n")))
	}
	var at []int
	b.Text, at = marked(text)
	b.structure(at)
	return nil
}

// target returns the file of the archive that an address leads to.
func target(dir, href string) string {
	href, _, _ = strings.Cut(href, "#")
	if plain, err := url.PathUnescape(href); err == nil {
		href = plain
	}
	return path.Join(dir, href)
}

// anchors are the links of a table of contents in HTML.
var anchors = regexp.MustCompile(`(?i)<a\b[^<>]*?\shref\s*=\s*["']([^"'<>]+)["']`)

// contents returns the documents that the table of contents, in either form, leads to;
// none when there is no table that can be read.
func (e *epub) contents(p *opf, dir string) map[string]bool {
	begins := map[string]bool{}
	for i := range p.Items {
		item := &p.Items[i]
		name := target(dir, item.Href)
		switch {
		case strings.Contains(" "+item.Properties+" ", " nav "):
			data, err := e.read(name, maxPackage)
			if err != nil {
				continue // a book can be read without
			}
			for _, m := range anchors.FindAllSubmatch(data, -1) {
				begins[target(path.Dir(name), string(m[1]))] = true
			}
		case item.MediaType == "application/x-dtbncx+xml":
			var ncx struct {
				Points []navPoint `xml:"navMap>navPoint"`
			}
			if e.decode(name, &ncx) != nil {
				continue
			}
			var add func(points []navPoint, depth int)
			add = func(points []navPoint, depth int) {
				for i := range points {
					begins[target(path.Dir(name), points[i].Content.Src)] = true
					if depth < 16 {
						add(points[i].Points, depth+1)
					}
				}
			}
			add(ncx.Points, 0)
		}
	}
	return begins
}

// selfClosed are elements that XHTML may close in their own tag, where HTML takes
// what follows for their content.
var selfClosed = regexp.MustCompile(`<(title|script|style|iframe|noscript|textarea|a|span|div|p|i|b|em|strong|td|th)(\s[^<>]*)?/>`)

func first(list []string) string {
	if list = nonEmpty(list); len(list) > 0 {
		return list[0]
	}
	return ""
}

func nonEmpty(list []string) (out []string) {
	for _, s := range list {
		if s = collapse(strings.ReplaceAll(s, "\n", " ")); s != "" {
			out = append(out, s)
		}
	}
	return out
}
