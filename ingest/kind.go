package ingest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/books"
	"github.com/tributary-ml/tributary/ingest/wiki"
)

// The kinds of input.
const (
	KindWiki  = "wiki"  // MediaWiki XML dumps
	KindBooks = "books" // a book per file
	KindWeb   = "web"   // WARC and WET archives
	KindText  = "text"  // a document per file, as it is
)

// Kinds lists the kinds of input that can be ingested.
func Kinds() []string { return []string{KindWiki, KindBooks, KindWeb, KindText} }

// sniffBytes is how much of a file's content its kind is told from.
const sniffBytes = 16 << 10

// input is one file to read.
type input struct {
	path  string // where it lies
	name  string // what provenance calls it
	size  int64
	kind  string // "" when it is not known
	plain bool   // a text that does not say that it is a book
	// ignored says why a file of a directory is not read.
	ignored, detail string
	digest          string
}

var suffixes = regexp.MustCompile(`(?i)(\.(gz|bz2|zst|zstd))+$`)

// isDumpIndex tells the index that lies beside a multistream dump, lines of
// offset:page:title, by its name.
func isDumpIndex(name string) bool {
	base := strings.ToLower(suffixes.ReplaceAllString(filepath.Base(name), ""))
	return filepath.Ext(base) == ".txt" && strings.Contains(base, "-multistream-index")
}

// kindByName guesses from a file's name alone.
func kindByName(name string) string {
	base := strings.ToLower(suffixes.ReplaceAllString(filepath.Base(name), ""))
	switch ext := filepath.Ext(base); {
	case strings.Contains(base, ".warc"), ext == ".wet":
		return KindWeb
	case ext == ".xml" || strings.Contains(base, ".xml-p"):
		return KindWiki
	case ext == ".epub", ext == ".htm", ext == ".html", ext == ".xhtml":
		return KindBooks
	case ext == ".txt" || ext == ".text":
		return KindText
	}
	return ""
}

var gutenbergHead = regexp.MustCompile(`(?i)proje[ck]t gutenberg`)

// kindByContent guesses from the beginning of a file's decompressed content.
func kindByContent(head []byte) string {
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case books.IsEPUB(head), bookName(archivedName(head)):
		return KindBooks
	case wiki.IsJSON(head), isTar(head) && wiki.IsJSON(head[tarHead:]):
		return KindWiki
	case len(trimmed) >= 5 && bytes.EqualFold(trimmed[:5], []byte("WARC/")):
		return KindWeb
	case bytes.Contains(head[:min(len(head), 4096)], []byte("<mediawiki")) || bytes.HasPrefix(trimmed, []byte("<page>")):
		return KindWiki
	case bytes.HasPrefix(trimmed, []byte("<")), bytes.HasPrefix(trimmed, []byte("{")), bytes.HasPrefix(trimmed, []byte("filedesc://")):
		return ""
	case gutenbergHead.Match(head) && looksLikeText(head):
		return KindBooks
	case looksLikeText(head):
		return KindText
	}
	return ""
}

// looksLikeText reports whether head begins a text in some encoding.
func looksLikeText(head []byte) bool {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return true
	}
	if len(head) == 0 {
		return true
	}
	controls := 0
	for _, c := range head {
		if c < ' ' && (c < '\t' || c > '\r') && c != 0x1b {
			controls++
		}
	}
	return controls*20 <= len(head)
}

// sniff tells a file's kind from its content, and where that cannot be read or
// says nothing, from its name.
func sniff(path string) (kind string, binary bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	r, err := decompress(f, 1, nil)
	if err != nil {
		return kindByName(path), false, nil // reading it will tell
	}
	defer r.Close()
	head := make([]byte, sniffBytes)
	n, err := io.ReadFull(r, head)
	head = head[:n]
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return "", false, err
	}
	byName := kindByName(path)
	if n == 0 {
		return byName, false, nil // empty, or damaged from its first byte: reading it will tell
	}
	if byContent := kindByContent(head); byContent != "" {
		return byContent, false, nil
	}
	if !looksLikeText(head) && byName != KindBooks {
		return "", true, nil
	}
	return byName, false, nil
}

// ErrNoInput says that nothing that was named can be ingested.
var ErrNoInput = errors.New("no input")

var errNothingNamed = fmt.Errorf("%w: no file or directory was named", ErrNoInput)

// expand lists the files of the inputs: files as they were given, directories
// walked in the order of their names. Files of a directory that are no input are
// listed as ignored, with the cause. With a guessed kind, those of other kinds
// are.
func expand(names []string, kind string, guessed bool) ([]*input, error) {
	if len(names) == 0 {
		return nil, errNothingNamed
	}
	var all []*input
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
		if !info.IsDir() {
			if !info.Mode().IsRegular() {
				return nil, fmt.Errorf("input %s: neither a file nor a directory", name)
			}
			in := &input{path: name, name: filepath.Base(name), size: info.Size(), kind: kind}
			if kind == "" {
				if in.kind, _, err = sniff(name); err != nil {
					return nil, fmt.Errorf("input: %w", err)
				}
				if in.kind == "" {
					return nil, fmt.Errorf("input %s: cannot tell what it is; name its kind, one of %s", name, strings.Join(Kinds(), ", "))
				}
			}
			all = append(all, in)
			continue
		}
		found, err := walk(name, kind, guessed)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(found, func(in *input) bool { return in.ignored == "" }) {
			detail := "is empty"
			if len(found) > 0 {
				detail = fmt.Sprintf("holds %d files and none that can be ingested, such as %s (%s)", len(found), found[0].name, found[0].ignored)
			}
			return nil, fmt.Errorf("%w: directory %s %s", ErrNoInput, name, detail)
		}
		all = append(all, found...)
	}
	seen := make(map[string]string, len(all))
	for _, in := range all {
		if !utf8.ValidString(in.name) {
			in.name = strings.ToValidUTF8(in.name, "\ufffd")
		}
		if other, twice := seen[in.name]; twice && in.ignored == "" {
			return nil, fmt.Errorf("inputs %s and %s would both be called %q in provenance; name the directory that holds them, or ingest them as two sources", other, in.path, in.name)
		}
		seen[in.name] = in.path
	}
	return all, nil
}

// walk lists the files under a directory.
func walk(root, kind string, guessed bool) ([]*input, error) {
	var found []*input
	// A directory that was named is entered though it be a link; links found below
	// it are not, so that no walk is endless or leaves what was named.
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(root, path)
		if relErr != nil {
			rel = path
		}
		in := &input{path: path, name: filepath.ToSlash(rel), kind: kind}
		if err != nil {
			if path == root {
				return fmt.Errorf("input: %w", err)
			}
			in.ignored, in.detail = causeUnreadable, err.Error()
			found = append(found, in)
			return nil
		}
		hidden := strings.HasPrefix(d.Name(), ".") && path != root
		if d.IsDir() {
			if hidden {
				in.ignored = causeHidden
				found = append(found, in)
				return fs.SkipDir
			}
			return nil
		}
		found = append(found, in)
		info, err := os.Stat(path) // of what a link leads to
		switch {
		case hidden:
			in.ignored = causeHidden
		case err != nil:
			in.ignored, in.detail = causeUnreadable, err.Error()
		case info.IsDir():
			in.ignored, in.detail = causeOtherFile, "a link to a directory, which is not followed; name it as an input"
		case !info.Mode().IsRegular():
			in.ignored, in.detail = causeOtherFile, "not a regular file"
		case isDumpIndex(path):
			in.ignored, in.detail = causeOtherFile, "the index of a multistream dump, which is not needed"
		default:
			in.size = info.Size()
			sniffed, binary, err := sniff(path)
			if sniffed == KindText && kind != KindText {
				sniffed, in.plain = KindBooks, true // a directory of texts is a shelf of books
				if kindByName(path) != KindText && (kind == "" || guessed) {
					sniffed = ""
				}
			}
			switch {
			case err != nil:
				in.ignored, in.detail = causeUnreadable, err.Error()
			case binary, kind == "" && sniffed == "":
				in.ignored, in.detail = causeOtherFile, "its content is of no known kind"
			case guessed && sniffed != kind:
				in.ignored, in.detail = causeOtherFile, "it is of kind "+cmp.Or(sniffed, "unknown")
			case kind == "":
				in.kind = sniffed
			}
		}
		return nil
	})
	if kind == "" {
		ignoreNotes(found)
	}
	return found, err
}

// ignoreNotes ignores the plain texts of a directory that holds dumps or archives
// as well: they are notes on those.
func ignoreNotes(found []*input) {
	if !slices.ContainsFunc(found, func(in *input) bool { return in.kind == KindWiki || in.kind == KindWeb }) {
		return
	}
	for _, in := range found {
		if in.plain && in.ignored == "" && !strings.Contains(in.name, "/") {
			in.kind, in.ignored, in.detail = "", causeOtherFile, "a plain text beside dumps or archives"
		}
	}
}

// Split divides a configuration without a kind into one for each kind among its
// inputs, in the order of Kinds, each with its kind and, where none is named, its
// source name. A configuration with a kind is returned with its source name.
func Split(cfg Config) ([]Config, error) {
	if cfg.Kind != "" {
		if cfg.Source == "" {
			cfg.Source = cfg.Kind
		}
		return []Config{cfg}, nil
	}
	if len(cfg.Inputs) == 0 {
		return nil, errNothingNamed
	}
	log := cfg.Log
	if log == nil {
		log = slog.Default()
	}
	byKind := map[string][]string{}
	for _, name := range cfg.Inputs {
		all, err := expand([]string{name}, "", false)
		if err != nil {
			return nil, err
		}
		kinds := kindsOf(all)
		if len(kinds) == 1 {
			byKind[kinds[0]] = append(byKind[kinds[0]], name)
			continue
		}
		// Sub-directories of one kind keep the provenance short.
		entries, err := os.ReadDir(name)
		if err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
		for _, e := range entries {
			path := filepath.Join(name, e.Name())
			inner, err := expand([]string{path}, "", false)
			if err != nil {
				log.Warn("nothing in a directory's entry can be ingested", "path", path, "error", err)
				continue
			}
			of := kindsOf(inner)
			if len(of) != 1 {
				return nil, fmt.Errorf("input %s: holds inputs of several kinds (%s); name each of them", path, strings.Join(of, ", "))
			}
			byKind[of[0]] = append(byKind[of[0]], path)
		}
	}
	if cfg.Source != "" && len(byKind) > 1 {
		return nil, fmt.Errorf("source %q: the inputs are of %d kinds; ingest each kind as a source of its own", cfg.Source, len(byKind))
	}
	var out []Config
	for _, kind := range Kinds() {
		if len(byKind[kind]) == 0 {
			continue
		}
		one := cfg
		one.Kind, one.Inputs, one.guessed = kind, byKind[kind], true
		if one.Source == "" {
			one.Source = kind
		}
		out = append(out, one)
	}
	if len(out) == 0 {
		return nil, ErrNoInput
	}
	return out, nil
}

// kindsOf returns the kinds of the inputs, in the order of Kinds.
func kindsOf(all []*input) []string {
	var out []string
	for _, kind := range Kinds() {
		if slices.ContainsFunc(all, func(in *input) bool { return in.ignored == "" && in.kind == kind }) {
			out = append(out, kind)
		}
	}
	return out
}
