package books_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/books"
)

// pack makes an archive of names and contents that alternate.
func pack(t testing.TB, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		method := zip.Deflate
		if parts[i] == "mimetype" {
			method = zip.Store
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: parts[i], Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(parts[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const (
	containerXML = `<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`
	packageOPF   = `<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>A Small Book</dc:title><dc:creator>A. One</dc:creator><dc:creator>B. Two</dc:creator><dc:language>en</dc:language></metadata>
<manifest><item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/><item id="c2" href="two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="c1" href="one.xhtml" media-type="application/xhtml+xml"/><item id="x" href="aside.xhtml" media-type="application/xhtml+xml"/><item id="i" href="i.png" media-type="image/png"/></manifest>
<spine><itemref idref="n"/><itemref idref="c1"/><itemref idref="c2"/><itemref idref="x" linear="no"/><itemref idref="i"/><itemref idref="gone"/></spine></package>`
	one = `<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body><h1>One</h1><p>First<a id="p1"/> paragraph&#8212;it
is short.</p><ul><li>Item</li><li>Other</li></ul></body></html>`
	two = `<html><body><p>Second chapter.</p></body></html>`
)

func TestEPUB(t *testing.T) {
	whole := []string{"mimetype", "application/epub+zip", "META-INF/container.xml", containerXML, "OPS/book.opf", packageOPF, "OPS/nav.xhtml", "<p>Contents</p>",
		"OPS/one.xhtml", one, "OPS/two b.xhtml", two, "OPS/aside.xhtml", "<p>Out of line</p>"}
	data := pack(t, whole...)
	if !books.IsEPUB(data) {
		t.Error("it does not look like an EPUB")
	}
	b, err := books.ParseEPUB(data, 1<<20, books.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "One\n\nFirst paragraph—it is short.\n\n- Item\n- Other\n\nSecond chapter."; b.Text != want {
		t.Errorf("text %q, want %q", b.Text, want)
	}
	if b.Title != "A Small Book" || b.Author != "A. One, B. Two" || b.Language != "en" {
		t.Errorf("%+v", b)
	}

	fonts := `<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/></enc:EncryptedData></encryption>`
	if _, err := books.ParseEPUB(pack(t, append(slices.Clone(whole), "META-INF/encryption.xml", fonts)...), 1<<20, books.Options{}); err != nil {
		t.Errorf("with hidden fonts: %v", err)
	}
	laughs := `<!DOCTYPE package [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>` + strings.Replace(packageOPF, "A Small Book", "&b;&b;", 1)
	for name, c := range map[string]struct {
		data  []byte
		limit int64
		want  error
	}{
		"nothing":            {nil, 1 << 20, books.ErrNotEPUB},
		"cut":                {data[:len(data)-30], 1 << 20, books.ErrNotEPUB},
		"no container":       {pack(t, "mimetype", "application/epub+zip"), 1 << 20, books.ErrNotEPUB},
		"no package":         {pack(t, whole[:4]...), 1 << 20, books.ErrNotEPUB},
		"a chapter is gone":  {pack(t, whole[:10]...), 1 << 20, books.ErrNotEPUB},
		"no spine":           {pack(t, "META-INF/container.xml", containerXML, "OPS/book.opf", `<package><metadata/><manifest/></package>`), 1 << 20, books.ErrNoSpine},
		"out of the archive": {pack(t, "META-INF/container.xml", strings.Replace(containerXML, "OPS/book.opf", "../../etc/passwd", 1)), 1 << 20, books.ErrNotEPUB},
		"DRM":                {pack(t, append(slices.Clone(whole), "META-INF/encryption.xml", strings.Replace(fonts, "http://www.idpf.org/2008/embedding", "http://www.w3.org/2001/04/xmlenc#aes128-cbc", 1))...), 1 << 20, books.ErrEncrypted},
		"a bomb":             {pack(t, append(slices.Clone(whole[:8]), "OPS/one.xhtml", "<p>"+strings.Repeat("boom ", 1<<20), "OPS/two b.xhtml", two)...), 1 << 20, books.ErrTooLarge},
		"a billion laughs":   {pack(t, append([]string{"META-INF/container.xml", containerXML, "OPS/book.opf", laughs}, whole[6:]...)...), 1 << 20, nil},
	} {
		if _, err := books.ParseEPUB(c.data, c.limit, books.Options{}); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzParseEPUB(f *testing.F) {
	f.Add(pack(f, "mimetype", "application/epub+zip", "META-INF/container.xml", containerXML, "OPS/book.opf", packageOPF, "OPS/one.xhtml", one, "OPS/two b.xhtml", two))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := books.ParseEPUB(data, 1<<18, books.Options{})
		if err == nil && !utf8.ValidString(b.Text) {
			t.Fatalf("%q", b.Text)
		}
	})
}

func TestStructureOfEPUB(t *testing.T) {
	opf := `<package xmlns="http://www.idpf.org/2007/opf" version="2.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>T</dc:title></metadata>
<manifest><item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/><item id="cov" href="cov.xhtml" media-type="application/xhtml+xml"/><item id="tit" href="tit.xhtml" media-type="application/xhtml+xml"/>
<item id="c1" href="c1.xhtml" media-type="application/xhtml+xml"/><item id="c1b" href="c1b.xhtml" media-type="application/xhtml+xml"/><item id="c2" href="c2.xhtml" media-type="application/xhtml+xml"/><item id="end" href="end.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine toc="ncx"><itemref idref="cov"/><itemref idref="tit"/><itemref idref="c1"/><itemref idref="c1b"/><itemref idref="c2"/><itemref idref="end"/></spine>
<guide><reference type="cover" href="cov.xhtml"/></guide></package>`
	ncx := `<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>One</text></navLabel><content src="c1.xhtml#a"/><navPoint><content src="c2.xhtml"/></navPoint></navPoint></navMap></ncx>`
	data := pack(t, "mimetype", "application/epub+zip", "META-INF/container.xml", containerXML, "OPS/book.opf", opf, "OPS/toc.ncx", ncx,
		"OPS/cov.xhtml", "<html><body><p>Cover words</p></body></html>", "OPS/tit.xhtml", `<html><body epub:type="frontmatter"><section epub:type="titlepage"><p>Title words</p></section></body></html>`,
		"OPS/c1.xhtml", `<html><body><h1>One</h1><p>A word<a epub:type="noteref" href="#n1"><sup>1</sup></a> here.</p><aside id="n1" epub:type="footnote"><p>A note.</p><aside>Inner.</aside></aside><p>More.</p></body></html>`,
		"OPS/c1b.xhtml", `<html><body><p>It goes on.</p></body></html>`, "OPS/c2.xhtml", `<html><body><h1>Two</h1><p>Words.</p><p>Chapter III</p><p>Last.</p></body></html>`,
		"OPS/end.xhtml", `<html><body><section epub:type="endnotes"><p>1. An endnote.</p></section></body></html>`)
	b, err := books.ParseEPUB(data, 1<<20, books.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "One\n\nA word here.\n\nMore.\n\nIt goes on.\n\nTwo\n\nWords.\n\nChapter III\n\nLast."; b.Text != want {
		t.Errorf("%q", b.Text)
	}
	var begins []string
	for _, at := range b.Chapters {
		begins = append(begins, b.Text[at:at+3])
	}
	if !slices.Equal(begins, []string{"One", "Two", "Cha"}) || b.FrontMatter != 2 || b.Notes != 2 {
		t.Errorf("chapters at %q; %d pages of front matter, %d notes", begins, b.FrontMatter, b.Notes)
	}
	if b, err = books.ParseEPUB(data, 1<<20, books.Options{FrontMatter: true, Notes: true}); err != nil || b.FrontMatter != 0 || b.Notes != 0 {
		t.Fatal(b, err)
	}
	for _, want := range []string{"Cover words", "Title words", "A note.", "Inner.", "An endnote."} {
		if !strings.Contains(b.Text, want) {
			t.Errorf("%q is not in %q", want, b.Text)
		}
	}
}

func TestChaptersOfPlainText(t *testing.T) {
	b := books.ParseText([]byte("The Title\r\n\r\nPREFACE\r\n\r\nWords.\r\n\r\nCHAPTER I. The Harbour\r\n\r\nThe boats came in, which was chapter one of the story.\r\n\r\nKapitel 2\r\n\r\nChapter houses are buildings.\r\n\r\nГЛАВА ПЕРВАЯ\r\n\r\nEnd.\r\n"))
	var begins []string
	for _, at := range b.Chapters {
		begins = append(begins, b.Text[at:at+6])
	}
	if !slices.Equal(begins, []string{"PREFAC", "CHAPTE", "Kapite", "ГЛА"}) {
		t.Errorf("%q in %q", begins, b.Text)
	}
}
