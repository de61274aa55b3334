package webpage

import (
	"strings"
	"time"

	"golang.org/x/net/html/atom"
)

// dates keeps the best date of publication that a page gives.
type dates struct {
	best string
	rank int // of best; lower is better, 0 is none
}

// The ranks of the places where a date may stand.
const (
	rankPublished = iota + 1 // said to be of the publication, for machines
	rankData                 // the same in JSON-LD
	rankNamed                // a date of the page, by one of many names
	rankTime                 // the first <time> of an article
)

// metaDates are the names and properties of meta elements with a page's date.
var metaDates = map[string]int{
	"article:published_time": rankPublished, "og:article:published_time": rankPublished, "datepublished": rankPublished,
	"og:published_time": rankPublished, "citation_publication_date": rankPublished, "citation_date": rankNamed, "dc.date.issued": rankPublished,
	"dcterms.issued": rankPublished, "date": rankNamed, "dc.date": rankNamed, "dcterms.date": rankNamed, "dcterms.created": rankNamed,
	"dc.date.created": rankNamed, "datecreated": rankNamed, "pubdate": rankNamed, "publishdate": rankNamed, "publish-date": rankNamed,
	"publish_date": rankNamed, "publication_date": rankNamed, "parsely-pub-date": rankNamed, "sailthru.date": rankNamed,
	"article.published": rankNamed, "published-date": rankNamed, "originalpublicationdate": rankNamed, "timestamp": rankNamed,
}

// maxDate bounds what is read as a date.
const maxDate = 64

func (d *dates) offer(rank int, text string) {
	if d.rank != 0 && d.rank <= rank || len(text) > maxDate {
		return
	}
	if date := parseDate(strings.TrimSpace(text)); date != "" {
		d.best, d.rank = date, rank
	}
}

// look takes in what an element says.
func (d *dates) look(n *node) {
	switch n.tag {
	case atom.Meta:
		for _, key := range [...]string{"property", "name", "itemprop"} {
			if name := n.attr(key); name != "" && len(name) <= maxDate {
				if rank := metaDates[strings.ToLower(name)]; rank != 0 {
					d.offer(rank, n.attr("content"))
				}
			}
		}
	case atom.Script:
		if n.first == nil || !strings.EqualFold(n.attr("type"), "application/ld+json") {
			return
		}
		const key = `"datePublished"`
		data := n.first.text
		for range 4 { // several things may be described, the first of them is the page
			i := strings.Index(data, key)
			if i < 0 {
				return
			}
			data = data[i+len(key):]
			value := strings.TrimLeft(data[:min(len(data), maxDate)], " \t\r\n:")
			if quoted, ok := strings.CutPrefix(value, `"`); ok {
				if value, _, ok = strings.Cut(quoted, `"`); ok {
					d.offer(rankData, value)
				}
			}
		}
	case atom.Time:
		at := n.attr("datetime")
		switch {
		case at == "":
		case strings.EqualFold(n.attr("itemprop"), "datepublished"):
			d.offer(rankPublished, at)
		default:
			d.offer(rankTime, at)
		}
	default:
		if p := n.attr("itemprop"); p != "" && strings.EqualFold(p, "datepublished") {
			if c := n.attr("content"); c != "" {
				d.offer(rankPublished, c)
			} else if n.first != nil && n.first == n.last {
				d.offer(rankPublished, n.first.text)
			}
		}
	}
}

// dateLayouts are those that machines write and people write in English.
var dateLayouts = [...]string{
	time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04-0700", "2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
	"2006/01/02", "2006/1/2", "2006.01.02", "20060102", "02.01.2006", "2.1.2006", time.RFC1123Z, time.RFC1123, "Mon, 2 Jan 2006 15:04:05 MST",
	"January 2, 2006", "Jan 2, 2006", "2 January 2006", "2 Jan 2006", "2006-01", "2006",
}

// withZone is how many of dateLayouts have a time and a zone.
const withZone = 6

// parseDate returns a date as "2006-01-02", or as RFC 3339 where it has a time
// and a zone. Years before the web and far ahead are no dates of pages.
func parseDate(s string) string {
	for i, layout := range dateLayouts {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if t.Year() < 1990 || t.Year() > 2100 {
			return ""
		}
		switch {
		case i < withZone:
			return t.Format(time.RFC3339)
		case layout == "2006-01" || layout == "2006":
			return s
		}
		return t.Format(time.DateOnly)
	}
	return ""
}
