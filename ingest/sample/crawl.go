package sample

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// record is one crawled page.
type record struct {
	url, body string
	// excess is added to the length that the record's header declares.
	excess int
	// damaged makes the record's gzip member unreadable in its middle.
	damaged bool
}

// crawl writes the archive of a web crawl: WET records, one gzip member each, a
// warcinfo record first.
func (w *writing) crawl() error {
	records := w.crawlRecords()
	out, err := w.create(CrawlFile)
	if err != nil {
		return err
	}
	defer out.Abort()
	member := new(bytes.Buffer)
	z := gzip.NewWriter(member)
	for i := -1; i < len(records); i++ {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		member.Reset()
		z.Reset(member)
		var rec record
		text := []byte(warcinfo())
		if i >= 0 {
			rec = records[i]
			text = rec.warc(i)
		}
		if _, err := z.Write(text); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		if rec.damaged {
			damage(member.Bytes())
		}
		if _, err := out.Write(member.Bytes()); err != nil {
			return err
		}
	}
	w.report.CrawlRecords = len(records)
	return w.commit(out, CrawlFile)
}

// damage flips bits in the middle of a gzip member, past its header.
func damage(member []byte) {
	at := len(member) / 2
	for i := at; i < at+16 && i < len(member); i++ {
		member[i] ^= 0x5a
	}
}

const crawlDate = "2024-06-01T00:00:00Z"

func warcinfo() string {
	fields := "Software-Info: tributary corpus sample\r\nExtracted-Date: Sat, 01 Jun 2024 00:00:00 GMT\r\nisPartOf: SAMPLE-2024-22\r\ndescription: made-up pages\r\n\r\n"
	return fmt.Sprintf("WARC/1.0\r\nWARC-Type: warcinfo\r\nWARC-Date: %s\r\nWARC-Filename: %s\r\nWARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000000>\r\nContent-Type: application/warc-fields\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n",
		crawlDate, CrawlFile, len(fields), fields)
}

// warc is the record in WARC's form.
func (rec record) warc(i int) []byte {
	sum := sha1.Sum([]byte(rec.body))
	digest := base32.StdEncoding.EncodeToString(sum[:])
	id := fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "%d %s", i, rec.url)))
	date := time.Date(2024, 5, 18, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 7 * time.Second).Format(time.RFC3339)
	return fmt.Appendf(nil, "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: %s\r\nWARC-Date: %s\r\nWARC-Record-ID: <urn:uuid:%s-%s-4%s-8%s-%s>\r\nWARC-Block-Digest: sha1:%s\r\nWARC-Identified-Content-Language: eng\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n",
		rec.url, date, id[:8], id[8:12], id[12:15], id[15:18], id[18:30], digest, len(rec.body)+rec.excess, rec.body)
}

// crawlRecords makes all records in archive order.
func (w *writing) crawlRecords() []record {
	n := w.count(700, 30)
	records := make([]record, 0, n+40)
	for i := range n {
		records = append(records, w.webPage(i))
	}
	place := func(rec record) Place { return Place{File: CrawlFile, URL: rec.url} }
	for i := range 8 {
		original, again := records[2*i], records[2*i]
		again.url = fmt.Sprintf("https://mirror.example/%d.html", i)
		records = append(records, again)
		w.planted.Exact = append(w.planted.Exact, Pair{Original: place(original), Copy: place(again)})
	}
	for i := range 8 {
		original, again := records[2*i+1], records[2*i+1]
		again.url = fmt.Sprintf("https://rewrite.example/%d.html", i)
		var changed float64
		again.body, changed = alter(w.rng("crawl/near", i), again.body)
		records = append(records, again)
		w.planted.Near = append(w.planted.Near, Pair{place(original), place(again), changed})
	}
	for i := range mirrored {
		title, text := w.stub(i)
		rec := record{url: fmt.Sprintf("https://encyclopedia-mirror.example/%d", i), body: text}
		records = append(records, rec)
		w.planted.Exact = append(w.planted.Exact, Pair{Original: Place{File: WikiFile, Title: title}, Copy: place(rec)})
	}
	for i := range 5 {
		text, _ := w.example("dev", i)
		rec := w.webPage(n + i)
		rec.url = fmt.Sprintf("https://quiz.example/%d", i)
		rec.body += text + "\n"
		records = append(records, rec)
		w.planted.Overlap = append(w.planted.Overlap, place(rec))
	}
	w.report.Records = len(records) + 1 // the one with damaged letters is still readable

	broken := make([]record, 3)
	for i := range broken {
		broken[i] = w.webPage(n + 10 + i)
		broken[i].url = fmt.Sprintf("https://broken.example/%d", i)
	}
	broken[0].excess = 100
	broken[1].damaged = true
	broken[2].body = strings.Replace(broken[2].body, " the ", " th\xe9 \xff\xff ", 2)
	w.planted.Broken = append(w.planted.Broken,
		Fault{place(broken[0]), "Content-Length is 100 bytes more than the record has"},
		Fault{place(broken[1]), "the gzip member is damaged"},
		Fault{place(broken[2]), "bytes that are no UTF-8"})
	at := n / 2
	out := append([]record{}, records[:at]...)
	out = append(out, broken...)
	return append(out, records[at:]...)
}

// webPage is the extracted text of page i: menu lines, a headline, paragraphs of
// one line each, a list, a footer.
func (w *writing) webPage(i int) record {
	r := w.rng("web", i)
	t := &w.topics[r.IntN(len(w.topics))]
	a := newAuthor(r, t, false)
	site := t.name + "-" + pick(r, []string{"news", "blog", "shop", "forum"}) + ".example"
	var b strings.Builder
	b.WriteString("Home\nAbout\nContact\n")
	th := pick(r, t.things)
	headline := fmt.Sprintf("How to %s the %s", pick(r, t.acts).verb, th.noun)
	fmt.Fprintf(&b, "%s\nPosted by %s\n", headline, a.cast[0].name)
	for range 4 + r.IntN(5) {
		sentences := a.paragraph(3 + r.IntN(5))
		if a.chance(30) {
			act := pick(r, t.acts)
			sentences = append(sentences, "You should "+act.verb+" the "+t.things[act.objects[0]].noun+" "+a.where(act.objects[0])+".")
		}
		b.WriteString(strings.Join(sentences, " ") + "\n")
	}
	for range 3 {
		th := pick(r, t.things)
		fmt.Fprintf(&b, "- one %s %s\n", pick(r, th.qualities), th.noun)
	}
	fmt.Fprintf(&b, "Copyright %s. All rights reserved.\n", site)
	w.report.TextBytes += int64(b.Len())
	return record{url: fmt.Sprintf("https://%s/%s/%d.html", site, th.noun, i), body: b.String()}
}
