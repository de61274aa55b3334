package wiki

import (
	"strings"
)

// citationNames are the templates of sources, in several languages. They mostly
// stand in footnotes, which are dropped with them; in lists of works they are
// what there is to read.
const citationNames = `citation, cite book, cite web, cite news, cite journal, cite magazine, cite encyclopedia, cite encyclopaedia, cite conference, cite thesis, cite report, cite techreport, cite press release, cite av media, cite video, cite episode, cite map, cite arxiv, cite speech, cite interview, cite dictionary, cite paper, cite podcast, cite serial, cite sign, cite newsgroup, cite mailing list, cite manual, cite document, vcite book, vcite journal,
	cita libro, cita web, cita news, cita pubblicazione, cita conferenza, cita publicación, cita noticia, citar web, citar livro, citar periódico, citar jornal, ouvrage, article, lien web, chapitre, literatur, internetquelle, citeer web, citeer boek, citeer journal, cytuj książkę, cytuj stronę, cytuj pismo, cytuj,
	chú thích sách, chú thích web, chú thích báo, chú thích tạp chí, chú thích, cite book en, cite journal en, cite book2, cite web2, cite news2, книга, статья, публикация, ref-llibre, ref-web, ref-publicació, lehekülje viide, kirjaviite, verkkoviite, bokref, webbref, kilde bog, kilde www`

// fields of a citation under the names that languages give them.
var (
	citationAuthors = []string{"last", "last1", "author", "author1", "authors", "vauthors", "cognome", "autore", "cognome1", "autore1", "nom1", "nom", "auteur1", "auteur", "Autor", "apellidos", "apellido", "autor", "último", "ultimo", "achternaam", "nazwisko", "автор", "tác giả", "họ", "作者", "著者", "efternamn", "tekijä"}
	citationFirst   = []string{"first", "first1", "given", "nome", "nome1", "prénom1", "prénom", "nombre", "primeiro", "voornaam", "imię", "tên", "förnamn"}
	citationSecond  = []string{"last2", "author2", "cognome2", "autore2", "nom2", "auteur2", "apellidos2"}
	citationDates   = []string{"date", "year", "anno", "data", "année", "Datum", "Jahr", "fecha", "año", "ano", "datum", "jaar", "rok", "год", "năm", "ngày", "日期", "年", "år", "vuosi"}
	citationTitles  = []string{"title", "titolo", "titre", "Titel", "título", "titulo", "titel", "tytuł", "заглавие", "название", "tiêu đề", "tựa đề", "標題", "标题", "nimeke", "chapter", "titre chapitre"}
	citationWorks   = []string{"journal", "newspaper", "magazine", "encyclopedia", "work", "website", "rivista", "pubblicazione", "périodique", "titre ouvrage", "Sammelwerk", "publicación", "obra", "periódico", "czasopismo", "издание", "tạp chí", "báo", "série", "series", "booktitle", "conference", "site"}
	citationHouses  = []string{"publisher", "editore", "éditeur", "Verlag", "editorial", "editora", "uitgever", "wydawca", "издательство", "nhà xuất bản", "出版社", "förlag", "julkaisija"}
	citationPages   = []string{"pages", "page", "pp", "p", "pagine", "pagina", "passage", "pages totales", "Seiten", "páginas", "página", "strony", "s", "страницы", "trang"}
	citationNumbers = []string{"issue", "number", "numero", "numéro", "Nummer", "Heft", "número", "numer", "номер", "số"}
	citationVolumes = []string{"volume", "vol", "tome", "Band", "volumen", "wolumin", "том", "tập"}
)

// citation gives a source as a reader sees it: who, when, what, where.
func (p *preprocessor) citation(a arguments) {
	var b strings.Builder
	add := func(before, s, after string) {
		if s != "" {
			if b.Len() > 0 {
				b.WriteString(before)
			}
			b.WriteString(s)
			b.WriteString(after)
		}
	}
	who := a.get(citationAuthors...)
	if first := a.get(citationFirst...); first != "" && who != "" {
		who += ", " + first
	}
	add("", who, "")
	add("; ", a.get(citationSecond...), "")
	when := ""
	if date := a.get(citationDates...); b.Len() > 0 {
		add(" ", pick(date != "", "("+date+")", ""), "")
		b.WriteString(". ")
	} else {
		when = date
	}
	title := a.get(citationTitles...)
	if title == "" {
		if p.ex.language == "fr" { // where it is a quotation
			p.spend(pick(a.get("1") != "", "« "+a.get("1")+" »", ""))
		}
		return
	}
	b.WriteString("\"" + title + "\"")
	add(". ", a.get(citationWorks...), "")
	add(". ", a.get(citationHouses...), "")
	volume, number := a.get(citationVolumes...), a.get(citationNumbers...)
	if volume != "" || number != "" {
		add(". ", strings.TrimSpace(volume+pick(number != "", " ("+number+")", "")), "")
		add(": ", a.get(citationPages...), "")
	} else {
		add(". ", a.get(citationPages...), "")
	}
	add(". ", when, "")
	add(". ISBN ", a.get("isbn", "ISBN"), "")
	b.WriteByte('.')
	p.spend(b.String())
}
