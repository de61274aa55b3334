// Package wiki reads MediaWiki XML dumps: pages by a scanner made for the
// export schema, and readable text from their wikitext.
package wiki

import (
	"errors"
	"fmt"
)

// Page is one page of a dump with its last revision.
type Page struct {
	Title     string
	Namespace int // 0 articles, 1 talk, 6 files, 10 templates, 14 categories, 828 modules
	ID        int64
	Revision  int64
	Redirect  string // the title a redirect leads to; empty for other pages
	Model     string // such as "wikitext"; empty in schemas before 0.8
	Format    string // such as "text/x-wiki"
	Timestamp string // of the revision, as RFC 3339
	Text      string // wikitext, in valid UTF-8
	Revisions int    // how many the dump holds of this page; the last in it counts
	Repaired  int    // invalid UTF-8 sequences that became U+FFFD
	Offset    int64  // of <page> in the decompressed dump, in bytes
	Record    int64  // number of the page in the dump, from 0, counting damaged ones
}

// Cause is why a page gives no text.
type Cause string

// The causes, as they are counted.
const (
	OtherNamespace Cause = "namespace" // not one of Options.Namespaces
	Redirect       Cause = "redirect"
	OtherModel     Cause = "model"         // not wikitext
	NoText         Cause = "no text"       // nothing is left of it, or its text is hidden
	TooLong        Cause = "page too long" // longer than Options.MaxPageBytes
	Malformed      Cause = "malformed page"
	Truncated      Cause = "truncated page" // the dump ends, or the next page begins, inside it
)

// PageError tells of a page that could not be read.
type PageError struct {
	Cause  Cause
	Offset int64 // of <page> in the decompressed dump
	Record int64
	Title  string // as far as it is known
	Detail string
}

func (e *PageError) Error() string {
	s := fmt.Sprintf("wiki: page %d at byte %d", e.Record, e.Offset)
	if e.Title != "" {
		s += fmt.Sprintf(" (%q)", e.Title)
	}
	s += ": " + string(e.Cause)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// ErrNotDump says that the input has no <mediawiki> and no <page>.
var ErrNotDump = errors.New("wiki: not a MediaWiki XML dump")

// ErrCut says that the input ends before </mediawiki>. All whole pages were
// given before it.
var ErrCut = errors.New("wiki: the dump ends before </mediawiki>")

// DefaultMaxPageBytes is far above the 2 MB MediaWiki sets to a page's text.
const DefaultMaxPageBytes = 16 << 20
