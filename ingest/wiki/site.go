package wiki

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"
)

// Site is what a dump says of its wiki in <mediawiki> and <siteinfo>.
type Site struct {
	Language   string // as in xml:lang, such as "en"
	Name       string // "Wikipedia"
	DBName     string // "enwiki"
	Base       string // the main page's URL
	Generator  string // "MediaWiki 1.45.0"
	Schema     string // version of the export schema, such as "0.11"
	Namespaces []Namespace
}

// Namespace is a namespace under the name the wiki gives it.
type Namespace struct {
	ID   int
	Name string
}

// URL returns the address of the page with the given title, or "" when the dump
// does not say where its wiki is.
func (s *Site) URL(title string) string {
	if s == nil || title == "" {
		return ""
	}
	at := strings.LastIndexByte(s.Base, '/')
	if at < 0 || !strings.Contains(s.Base, "://") || at < strings.Index(s.Base, "://")+3 {
		return ""
	}
	path := url.PathEscape(strings.ReplaceAll(title, " ", "_"))
	// MediaWiki leaves these as they are.
	path = strings.NewReplacer("%3A", ":", "%2F", "/", "%2C", ",", "%3B", ";", "%40", "@", "%21", "!", "%2A", "*", "%28", "(", "%29", ")").Replace(path)
	return s.Base[:at+1] + path
}

// namespace returns the id of the namespace that a full title stands in, for
// dumps whose pages do not say it.
func (s *Site) namespace(title string) int {
	prefix, _, found := strings.Cut(title, ":")
	if !found || s == nil {
		return 0
	}
	for _, ns := range s.Namespaces {
		if ns.ID != 0 && strings.EqualFold(ns.Name, strings.ReplaceAll(prefix, "_", " ")) {
			return ns.ID
		}
	}
	return 0
}

// parseSite reads the part of a dump before its first page.
func parseSite(head []byte) *Site {
	s := &Site{}
	for i := 0; ; {
		t, ok := nextElement(head, i)
		if !ok {
			return s
		}
		i = t.body
		switch t.name {
		case "mediawiki":
			s.Language = attribute(t.attrs, "xml:lang")
			s.Schema = attribute(t.attrs, "version")
		case "sitename":
			s.Name = content(head, t)
		case "dbname":
			s.DBName = content(head, t)
		case "base":
			s.Base = content(head, t)
		case "generator":
			s.Generator = content(head, t)
		case "namespace":
			id, err := strconv.Atoi(attribute(t.attrs, "key"))
			if err == nil && len(s.Namespaces) < 1000 {
				s.Namespaces = append(s.Namespaces, Namespace{ID: id, Name: content(head, t)})
			}
		}
	}
}

// element is a start tag: its name, its attributes, and the offset at which its
// content begins; empty tells of <name/>.
type element struct {
	name  string
	attrs []byte
	body  int // after '>'
	empty bool
}

// nextElement returns the first start tag of data from i on. Content is escaped
// in a dump, so that every '<' begins a tag, but for CDATA, which is stepped
// over.
func nextElement(data []byte, i int) (t element, ok bool) {
	for {
		lt := bytes.IndexByte(data[i:], '<')
		if lt < 0 {
			return t, false
		}
		i += lt
		if bytes.HasPrefix(data[i:], cdataStart) {
			end := bytes.Index(data[i:], cdataEnd)
			if end < 0 {
				return t, false
			}
			i += end
			continue
		}
		gt := bytes.IndexByte(data[i:], '>')
		if gt < 0 {
			return t, false
		}
		tag := data[i+1 : i+gt]
		i += gt + 1
		if len(tag) == 0 || tag[0] == '/' || tag[0] == '!' || tag[0] == '?' {
			continue
		}
		t.body = i
		if tag[len(tag)-1] == '/' {
			t.empty = true
			tag = tag[:len(tag)-1]
		}
		name := tag
		if sp := bytes.IndexAny(tag, " \t\r\n"); sp >= 0 {
			name, t.attrs = tag[:sp], tag[sp:]
		}
		t.name = known(name)
		return t, true
	}
}

// known gives the names of the schema without allocating.
func known(name []byte) string {
	switch string(name) {
	case "mediawiki":
		return "mediawiki"
	case "sitename":
		return "sitename"
	case "dbname":
		return "dbname"
	case "base":
		return "base"
	case "generator":
		return "generator"
	case "namespace":
		return "namespace"
	case "title":
		return "title"
	case "ns":
		return "ns"
	case "id":
		return "id"
	case "redirect":
		return "redirect"
	case "revision":
		return "revision"
	case "timestamp":
		return "timestamp"
	case "model":
		return "model"
	case "format":
		return "format"
	case "text":
		return "text"
	}
	return ""
}

// content returns the decoded text between t and the next tag.
func content(data []byte, t element) string {
	if t.empty {
		return ""
	}
	end := bytes.IndexByte(data[t.body:], '<')
	if end < 0 {
		end = len(data) - t.body
	}
	s, _ := decode(bytes.TrimSpace(data[t.body : t.body+end]))
	return s
}

// attribute returns the decoded value of an attribute, or "".
func attribute(attrs []byte, name string) string {
	for rest := attrs; ; {
		i := bytes.Index(rest, []byte(name))
		if i < 0 {
			return ""
		}
		after := bytes.TrimLeft(rest[i+len(name):], " \t\r\n")
		if i > 0 && isXMLSpace(rest[i-1]) && len(after) > 0 && after[0] == '=' {
			after = bytes.TrimLeft(after[1:], " \t\r\n")
			if len(after) > 0 && (after[0] == '"' || after[0] == '\'') {
				if end := bytes.IndexByte(after[1:], after[0]); end >= 0 {
					s, _ := decode(after[1 : 1+end])
					return s
				}
			}
			return ""
		}
		rest = rest[i+len(name):]
	}
}

func isXMLSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
