package wiki

import (
	"maps"
	"strings"
	"sync"
)

// ExtractOptions say what is kept of wikitext. The zero value keeps what reads
// as running text.
type ExtractOptions struct {
	// Tables keeps tables, a row to a line with " | " between cells.
	Tables bool
	// Captions keeps the captions of images and galleries.
	Captions bool
	// Footnotes keeps the text of <ref>, in brackets where it stands.
	Footnotes bool
	// Boilerplate keeps the sections that list sources and links, such as
	// "References" and "External links", which are dropped in any language the
	// package knows.
	Boilerplate bool
	// Variant chooses between scripts where a wiki has several, such as
	// "zh-hans"; by default the first that a page offers.
	Variant string
	// ListDropped fills in Stats.Dropped.
	ListDropped bool
	// Rules add to what is known of templates, or change it.
	Rules *Rules
}

// Stats count what became of a page's markup.
type Stats struct {
	Templates int // calls met, with those of the expanded
	Expanded  int // calls that gave text
	// Dropped are the names of the templates that gave no text because there is
	// no rule for them, in lower case, once for each call.
	Dropped    []string
	Tables     int // dropped
	Footnotes  int // dropped
	Files      int // images and other files dropped
	Categories int // dropped
	Sections   int // boilerplate sections dropped
	// Formulas are in the wikitext, as Pages counts them; FormulasKept were kept, unless
	// what they stand in was left out.
	Formulas, FormulasKept int
	// Disambiguation says that the page only tells pages of like names apart.
	Disambiguation bool
}

// Extractor makes readable text of the wikitext of one wiki. It does not change
// and may be used by several goroutines.
type Extractor struct {
	site    *Site
	opts    ExtractOptions
	prefix  map[string]int // namespace by its name and alias in lower case
	convert bool           // the language has variants: -{ }- is markup
	// language is the first part of the site's, in lower case.
	language  string
	rules     map[string]rule // of templates, by name in lower case
	functions map[string]func(p *preprocessor, a []string)
	pool      sync.Pool
}

// NewExtractor returns an Extractor for pages of site, nil for a wiki of which
// nothing is known.
func NewExtractor(site *Site, opts ExtractOptions) *Extractor {
	if site == nil {
		site = &Site{}
	}
	ex := &Extractor{site: site, opts: opts, prefix: map[string]int{}}
	for id, names := range canonicalNamespaces {
		for _, name := range names {
			ex.prefix[name] = id
		}
	}
	for id, names := range localNamespaces {
		for name := range strings.SplitSeq(names, "|") {
			ex.prefix[name] = id
		}
	}
	for _, ns := range site.Namespaces {
		if ns.ID != 0 {
			ex.prefix[strings.ToLower(strings.ReplaceAll(ns.Name, "_", " "))] = ns.ID
		}
	}
	ex.language, _, _ = strings.Cut(strings.ToLower(site.Language), "-")
	ex.convert = ex.language == "" || variantLanguages[ex.language]
	ex.functions = functions
	ex.rules = defaultRules
	if opts.Rules != nil {
		ex.rules = maps.Clone(defaultRules)
		maps.Copy(ex.rules, opts.Rules.rules)
	}
	ex.pool.New = func() any { return &extraction{} }
	return ex
}

// canonicalNamespaces hold in every wiki, beside the names of its own language.
var canonicalNamespaces = map[int][]string{
	-2: {"media"}, -1: {"special"}, 1: {"talk"}, 2: {"user"}, 3: {"user talk"}, 4: {"project"}, 5: {"project talk"},
	6: {"file", "image"}, 7: {"file talk", "image talk"}, 8: {"mediawiki"}, 9: {"mediawiki talk"}, 10: {"template"}, 11: {"template talk"},
	12: {"help"}, 13: {"help talk"}, 14: {"category"}, 15: {"category talk"},
}

// localNamespaces are names of the namespaces of files and categories, in lower
// case. A dump names its own, but not the aliases that its pages may use.
var localNamespaces = map[int]string{
	6: "datei|bild|fichier|archivo|imagen|ficheiro|imagem|arquivo|bestand|afbeelding|plik|grafika|файл|изображение|зображення|датотека|слика|slika|datoteka|fil|bilde|billede|mynd|kép|fájl|soubor|súbor|obrázok|fișier|fişier|imagine|" +
		"dosya|resim|berkas|gambar|tập tin|hình|αρχείο|εικόνα|ファイル|画像|파일|그림|文件|檔案|档案|图像|圖像|ملف|صورة|קובץ|תמונה|پرونده|تصویر|चित्र|ไฟล์|ภาพ|სურათი|ფაილი|պատկեր|fitxer|imatge|fitxategi|irudi|dosiero|tiedosto|kuva|vaizdas|attēls|pilt|fail|delwedd|restr|skeudenn|bestân|ofbyld|файлы|выява|сурэт|сүрәт|рәсем|fayl|tasvir|immagine|dôsya|datoteka|skrá|íomhá|skedar|lêer|beeld|imaxe|wêne|atvaizdas",
	14: "kategorie|catégorie|categoría|categoria|categorie|kategoria|категория|категорія|категорија|катэгорыя|категориялар|төркем|kategorija|kategori|flokkur|kategória|luokka|kategooria|kategorio|thể loại|κατηγορία|カテゴリ|분류|分类|分類|تصنيف|קטגוריה|رده|زمرہ|श्रेणी|หมวดหมู่|კატეგორია|կատեգորիա|rummad|" +
		"catigurìa|categurìa|kategurij|kategoriya|turkum|kategorî|categorìa|categorì|categori|kategorija|sokajy|kategoryja|catagóir|gategori|kateqoriya|санат",
}

// variantLanguages are those in which -{ }- converts between scripts.
var variantLanguages = map[string]bool{
	"zh": true, "gan": true, "sr": true, "sh": true, "kk": true, "ku": true, "iu": true, "shi": true, "tg": true, "uz": true, "crh": true, "ban": true, "mni": true, "tly": true, "wuu": true,
}

// extraction is the working memory of one page.
type extraction struct {
	pre preprocessor
	lay layout
}

// Extract returns the readable text of a page: paragraphs with "\n\n" between
// them, the items of a list on lines of their own, headings as paragraphs when
// something stands below them. Markup that cannot be understood is left as it
// is. The time it takes is linear in the length of the page and of what its
// templates expand to, which is bounded.
func (ex *Extractor) Extract(title, wikitext string) (string, Stats) {
	x := ex.pool.Get().(*extraction)
	defer ex.pool.Put(x)
	var stats Stats
	x.pre.run(ex, title, wikitext, &stats)
	x.lay.run(ex, &x.pre, &stats)
	return string(x.lay.out), stats
}
