package ingest

import (
	"bytes"
	"cmp"
	"context"
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
	"github.com/tributary-ml/tributary/ingest/columnar"
	"github.com/tributary-ml/tributary/ingest/records"
	"github.com/tributary-ml/tributary/ingest/remote"
	"github.com/tributary-ml/tributary/ingest/wiki"
)

// The kinds of input.
const (
	KindWiki  = "wiki"  // MediaWiki XML dumps
	KindBooks = "books" // a book per file
	KindWeb   = "web"   // WARC and WET archives
	KindText  = "text"  // a document per file, as it is

	KindJSONL   = "jsonl"   // objects of JSON, one a line
	KindParquet = "parquet" // rows of Parquet files
	KindArrow   = "arrow"   // rows of Arrow streams and files
)

// Kinds lists the kinds of input that can be ingested.
func Kinds() []string {
	return []string{KindWiki, KindBooks, KindWeb, KindText, KindJSONL, KindParquet, KindArrow}
}

// sniffBytes is how much of a file's content its kind is told from.
const sniffBytes = 16 << 10

// input is one file to read.
type input struct {
	path  string // where it lies, fit for messages
	name  string // what provenance calls it
	shown string // where it lies, when path is a makeshift
	far   *remote.Info
	size  int64
	kind  string // "" when it is not known
	plain bool   // a text that does not say that it is a book
	// ignored says why a file of a directory is not read.
	ignored, detail string
	digest          string

	// Of a file of which a sample is read: the pieces, of its whole size, or the share
	// of its rows.
	pieces []piece
	whole  int64
	share  float64
}

// where says where an input lies, for messages.
func (in *input) where() string { return cmp.Or(in.shown, in.path) }

// length is the size of the file as it lies there.
func (in *input) length() int64 {
	if in.whole > 0 {
		return in.whole
	}
	return in.size
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
	case ext == ".jsonl", ext == ".ndjson", ext == ".json", ext == ".jsonlines":
		return KindJSONL
	case ext == ".parquet", ext == ".pq":
		return KindParquet
	case ext == ".arrow", ext == ".feather", ext == ".ipc":
		return KindArrow
	}
	return ""
}

// isDataSetNote tells, by its name, a file that describes a data set beside it.
func isDataSetNote(name string) bool {
	switch strings.ToLower(name) {
	case "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json":
		return true
	}
	return false
}

var gutenbergHead = regexp.MustCompile(`(?i)proje[ck]t gutenberg`)

// kindByContent guesses from the beginning of a file's decompressed content.
func kindByContent(head []byte) string {
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("PAR1")):
		return KindParquet
	case columnar.IsArrow(head):
		return KindArrow
	case books.IsEPUB(head), bookName(archivedName(head)):
		return KindBooks
	case wiki.IsJSON(head), isTar(head) && wiki.IsJSON(head[tarHead:]):
		return KindWiki
	case len(trimmed) >= 5 && bytes.EqualFold(trimmed[:5], []byte("WARC/")), isARC(head):
		return KindWeb
	case bytes.Contains(head[:min(len(head), 4096)], []byte("<mediawiki")) || bytes.HasPrefix(trimmed, []byte("<page>")):
		return KindWiki
	case records.IsJSON(head):
		return KindJSONL
	case bytes.HasPrefix(trimmed, []byte("<")), bytes.HasPrefix(trimmed, []byte("{")):
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
func (p *places) sniff(ctx context.Context, in *input) (kind string, binary bool, err error) {
	byName := kindByName(in.name)
	f, err := p.open(ctx, in)
	if err != nil {
		return "", false, err
	}
	defer f.close()
	r, err := decompress(f.from(0), 1, nil)
	if err != nil {
		if isFar(err) || errors.Is(err, errOtherPacking) {
			return "", false, err
		}
		return byName, false, nil // reading it will tell
	}
	defer r.Close()
	head := make([]byte, sniffBytes)
	n, err := io.ReadFull(r, head)
	head = head[:n]
	if isInput(err) {
		return "", false, err
	}
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
func (p *places) expand(ctx context.Context, names []string, kind string, guessed bool) ([]*input, error) {
	if len(names) == 0 {
		return nil, errNothingNamed
	}
	var all []*input
	for _, name := range names {
		found, err := p.list(ctx, name, kind, guessed)
		if err != nil {
			return nil, err
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
func (p *places) walk(ctx context.Context, root, kind string, guessed bool) ([]*input, error) {
	var found []*input
	// A directory that was named is entered though it be a link; links found below
	// it are not, so that no walk is endless or leaves what was named.
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
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
		default:
			in.size = info.Size()
			p.consider(ctx, in, d.Name(), kind, guessed)
		}
		return nil
	})
	if kind == "" {
		ignoreNotes(found)
	}
	return found, err
}

// consider tells the kind of a file of a directory, or why it is no input.
func (p *places) consider(ctx context.Context, in *input, base, kind string, guessed bool) {
	switch {
	case strings.HasPrefix(base, "."):
		in.ignored = causeHidden
		return
	case isDumpIndex(base):
		in.ignored, in.detail = causeOtherFile, "the index of a multistream dump, which is not needed"
		return
	case isDataSetNote(base):
		in.ignored, in.detail = causeOtherFile, "it describes the data set beside it"
		return
	}
	sniffed, binary, err := kindByName(base), false, error(nil)
	if in.far == nil || sniffed == "" {
		sniffed, binary, err = p.sniff(ctx, in)
	}
	if sniffed == KindText && kind != KindText {
		sniffed, in.plain = KindBooks, true // a directory of texts is a shelf of books
		if kindByName(base) != KindText && (kind == "" || guessed) {
			sniffed = ""
		}
	}
	switch {
	case errors.Is(err, errOtherPacking):
		in.ignored, in.detail = causeOtherFile, err.Error()
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

// ignoreNotes ignores the plain texts of a directory that holds dumps, archives or
// tables as well: they are notes on those.
func ignoreNotes(found []*input) {
	if !slices.ContainsFunc(found, func(in *input) bool { return in.ignored == "" && in.kind != KindBooks && in.kind != KindText }) {
		return
	}
	for _, in := range found {
		if in.plain && in.ignored == "" && !strings.Contains(in.name, "/") {
			in.kind, in.ignored, in.detail = "", causeOtherFile, "a plain text beside dumps, archives or tables"
		}
	}
}

// Split divides a configuration without a kind into one for each kind among its
// inputs, in the order of Kinds, each with its kind and, where none is named, its
// source name. A configuration with a kind is returned with its source name.
func Split(ctx context.Context, cfg Config) ([]Config, error) {
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
	where := cfg.places()
	for _, name := range cfg.Inputs {
		all, err := where.expand(ctx, []string{name}, "", false)
		if err != nil {
			return nil, err
		}
		kinds := kindsOf(all)
		if len(kinds) == 1 {
			byKind[kinds[0]] = append(byKind[kinds[0]], name)
			continue
		}
		// Sub-directories of one kind keep the provenance short.
		if remote.IsRemote(name) || isPattern(name) {
			return nil, fmt.Errorf("input %s: holds inputs of several kinds (%s); name each of them", remote.Redact(name), strings.Join(kinds, ", "))
		}
		entries, err := os.ReadDir(name)
		if err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
		for _, e := range entries {
			path := filepath.Join(name, e.Name())
			inner, err := where.expand(ctx, []string{path}, "", false)
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
