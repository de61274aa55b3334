package wiki

import (
	"strings"
)

// builtinRules says what templates give that carry words or numbers: names, then
// a body (see rule) or "1", "2", "last" for an argument. Templates that are not
// named here are dropped: boxes, hatnotes, citations, maintenance notes.
const builtinRules = `
nowrap, nobr, nowr, nobold, noitalic, small, smaller, big, large, larger, huge, mono, sc, smallcaps, caps, allcaps, em, strong, bold, italic, i, b, u, unicode, polytonic, ipa, ipa-fr, code, kbd, samp, var, tt, codett, mvar, math, nomobile, sans-serif, sans, serif, script, inline-block, visible anchor, vanchor, va, vis, nounderlines, normal, center, centre, align, petit, petite, lien plat, tutto attaccato, maiuscoletto, unbulleted, small-caps, sm, resize, not a typo, typo, proper name, nomen, keypress, key press, key, button, as written, lcu, blackboard bold, text, plainlist, flatlist, startplainlist, small block, nastaliq, script/arabic, script/hebrew, script/greek, rtl-lang, angle bracket, linktext, font, resize text, overset, xt, bxt, tq, abbr, abbrlink, tooltip, abbreviation, abréviation, hover title, definition, term, defn, glossary link, gli, vocalist, species, taxon italics, chem name, smiles, not typo, avoid wrap, nbhyph, nowrap2, numero romano, romano, legend inline, ja-romaji, he, hebrew, arab, chữ nhỏ, giữa, chữ, κ, слово, nobr2, кратк, num word, s.c.: 1
lang, langue, lang2, lang1, wikt-lang, wikt lang, lg, язык, bahasa, langr, language: {{{2|{{{text|}}}}}}
ill, ill2, interlanguage link, illm, ill-wd, 仮リンク, iw2: {{{lt|{{{1|}}}}}}
ilq, link-en, link-de, link-fr, link-ja, link-ru, le, lj, lf, internal link helper/en, internal link helper, tsl, translink: {{#if:{{{3|}}}|{{{3}}}|{{{1|}}}}}
lien, lenke: {{{texte|{{{trad|{{{1|{{{fr|}}}}}}}}}}}}
нп, нп3, нп5, не переведено, не переведено 5, не переведено 3, iw: {{#if:{{{2|}}}|{{{2}}}|{{{1|}}}}}
transl, transliteration, tlit, transliteracja, translit, romanization: last
nihongo, ニホンゴ: {{{1|}}}{{#if:{{{1|}}}|&#32;(}}{{{2|}}}{{#if:{{{3|}}}|, {{{3}}}}}{{#if:{{{extra|{{{4|}}}}}}|, {{{extra|{{{4|}}}}}}}}{{#if:{{{1|}}}|)}}
nihongo2, nihongo-s: {{{1|}}}
nihongo3: {{{1|}}} ({{{2|}}}{{#if:{{{3|}}}|, {{{3}}}}})
nihongo krt: {{{1|}}} ({{{2|}}}, {{{3|}}})
korean, 한국어: {{{hangul|{{{1|}}}}}}{{#if:{{{hanja|{{{2|}}}}}}|&#32;({{{hanja|{{{2}}}}}})}}
zh: {{{t|{{{c|{{{s|}}}}}}}}}{{#if:{{{p|}}}|, {{{p}}}}}
ruby, ルビ, 読み仮名, ruby-ja, 読み仮名 ruby不使用: {{{1|}}}{{#if:{{{2|}}}|({{{2}}})}}
circa, c., ca., ca: c. {{{1|}}}{{#if:{{{2|}}}|&#32;– c. {{{2}}}}}
floruit, fl., fl: fl. {{{1|}}}
born: born {{{1|}}}
frac, sfrac, fraction, fract, frazione, 分数, split fraction: {{#if:{{{3|}}}|{{{1}}} {{{2}}}/{{{3}}}|{{#if:{{{2|}}}|{{{1}}}/{{{2}}}|1/{{{1|}}}}}}}
sqrt, radic: √{{{1|}}}
sic, sic!, notatypo: {{#if:{{{1|}}}|{{{1}}}{{{2|}}}&#32;|}}[sic]
', apostrophe, apos: '
's, apostrophe s: 's
'-, "', '": '
", zitat-" : „{{{1|{{{Text|}}}}}}“
" ', ' ": " '
quote, blockquote, quotation, cquote, rquote, bquote, quoteblock, block quote, centered pull quote, pull quote, cytat, zitat, citation bloc, citazione, cita testuale, citat, quote box, quotebox, цитата, цитата2, quote2, citação, cita passo, αποσπασμα, απόσπασμα, sitat, sitaatti, quotation-ja, trích dẫn: <blockquote>{{{1|{{{text|{{{quote|{{{Text|{{{texte|{{{testo|{{{texto|}}}}}}}}}}}}}}}}}}}}}{{#if:{{{2|{{{author|{{{Autor|{{{auteur|{{{sign|}}}}}}}}}}}}}}}|<br>— {{{2|{{{author|{{{Autor|{{{auteur|{{{sign}}}}}}}}}}}}}}}{{#if:{{{3|{{{source|{{{Quelle|}}}}}}}}}|, {{{3|{{{source|{{{Quelle}}}}}}}}}}}}}</blockquote>
q, «: «{{{1|}}}»
citation étrangère, « »: « {{{1|{{{texte|}}}}}} »
incise: – {{{1|}}} –
poem quote, poemquote, verse translation, poemat: <blockquote><poem>{{{1|{{{text|}}}}}}</poem></blockquote>
as of, asof: {{#if:{{{alt|}}}|{{{alt}}}|{{#ifeq:{{{lc|}}}|y|as of|As of}} {{#if:{{{2|}}}|{{DATEOF|{{{1}}}|{{{2|}}}|{{{3|}}}}}|{{{1|}}}}}}}
tính đến: Tính đến {{#if:{{{3|}}}|ngày {{{3}}}&#32;|}}{{#if:{{{2|}}}|tháng {{{2}}}&#32;|}}năm {{{1|}}}
birth date, death date, start date, end date, birth-date, death-date, birth date and age, bda, dob, start date and age, release date, film date, date of birth, dts, ngày sinh, ngày mất, ngày sinh và tuổi, start-date, end-date, birth based on age as of date, 生年月日と年齢, fecha, data di nascita, birth year and age, disestablishment date: {{DATEOF|{{{1|}}}|{{{2|}}}|{{{3|}}}|{{{df|}}}}}
death date and age, dda, ngày mất và tuổi, 没年齢, 死亡年月日と没年齢, death year and age: {{DATEOF|{{{1|}}}|{{{2|}}}|{{{3|}}}|{{{df|}}}}} (aged {{AGEAT|{{{4|}}}|{{{5|}}}|{{{6|}}}|{{{1|}}}|{{{2|}}}|{{{3|}}}}})
date, date-, дата, dati, data, datum: {{{1|}}} {{{2|}}} {{{3|}}}
date sport, date de naissance, date de décès: {{{1|}}} {{{2|}}} {{{3|}}}
heure: {{{1|}}} h {{{2|}}}
s-, s, s2-, sp-, -s, -s-: {{#ifeq:{{SITELANGUAGE}}|fr|{{{1|}}}{{{2|}}} siècle|}}
er, ier: Ier
e, esp, x10^, ×10^: {{#if:{{{1|}}}|×10^{{{1}}}|e}}
10^: 10^{{{1|}}}
exp, exposant, sup, sup2, up: ^{{{1|}}}
sub, ind, indice: {{{1|}}}
su: {{{p|}}}{{{b|}}}
gaps: {{{1|}}}{{{2|}}}{{{3|}}}{{{4|}}}{{{5|}}}{{{6|}}}{{{7|}}}{{{8|}}}
plusminus, ±, +-: ±{{{1|}}}
angbr, angbr ipa: ⟨{{{1|}}}⟩
bra-ket: ⟨{{{1|}}}|{{{2|}}}⟩
overline, overbar: {{{1|}}}
nbsp, spaces, space, sp, thinsp, thin space, hair space, hairsp, nnbsp, s nbsp, espace: &nbsp;
snd, spnd, spaced ndash, spaced en dash, dash, sndash, ndash space: &nbsp;–
ndash, en dash, endash, –: –
mdash, em dash, emdash, mdashb, —, long dash: —
·, •, bull, bullet, middot, dot, interpunct, *: &nbsp;·
!, pipe: |
=, equals: =
((, {: {
)), }: }
-", "-: "
..., ellipsis, …: ...
etc., etc: etc.
n°, no., numero, №, nº: no.&nbsp;{{{1|}}}
p., pp.: p.&nbsp;{{{1|}}}
vol., tome, vol: vol.&nbsp;{{{1|}}}
av jc, av. j.-c., avjc: av. J.-C.
bc, bce: {{{1|}}} BC
ad, ce: {{{1|}}}
euro, €: {{#if:{{{1|}}}|€{{{1}}}|€}}
us$, usd, us dollar: US${{{1|}}}
£, gbp, pound sterling: £{{{1|}}}
¥, jpy, jp¥: ¥{{{1|}}}
inr, ₹, indian rupee: ₹{{{1|}}}
a$, aud, au$: A${{{1|}}}
c$, cad, can$: C${{{1|}}}
cny, rmb: CN¥{{{1|}}}
flag, flagcountry, flagu, flagg, flaglist, flag country, lá cờ, země, pays: {{#if:{{{name|}}}|{{{name}}}|{{{1|}}}}}
uss, hms, hmas, rms, ss, ms, hmcs, mv, sms, hmnzs, ins, usat, ussr, uss2: {{UC:{{TEMPLATENAME}}}} {{{1|}}}{{#if:{{{2|}}}|&#32;({{{2}}})}}
ship: {{{1|}}} {{{2|}}}{{#if:{{{3|}}}|&#32;({{{3}}})}}
sclass, sclass-: {{{1|}}}-class {{{2|}}}
marriage: {{{1|}}} (m. {{{2|}}}{{#if:{{{3|}}}|–{{{3}}}}})
native name, native phrase: {{{2|{{{name|}}}}}}
color, colour, font color, fontcolor, fgcolor, color text, colored text, culoare, colorscheme, background color, bg, highlight, colore: 2
hidden, hidden begin, collapsible section: {{{2|}}}
increase, decrease, steady, augmentation, gain, loss, nochange, positive decrease, negative increase, increasenegative, decreasepositive:
ubl, unbulleted list, vunblist, bulleted list, hlist, ubil, ordered list, numbered list, list, flat list, hlist-comma, colonnes liste, enumeration, col-list, ublist, indented plainlist: {{JOINED}}
respell, rspl: {{HYPHENATED}}
ipac-en, ipa-en, ipa-all, ipa-de, ipa-es, ipalink, ipa link, ipablink, ipa blink, api, phon, pron: {{IPAJOINED}}
chem, chem2, chemf, chim, fchim, nahmc, ce, hno: {{CONCAT}}
val, num, gnum, numero, nombre: {{VAL}}
citazione necessaria, chiarire, 要出典範囲, cn, fact, citation needed span, référence nécessaire, refnec, référence souhaitée, cita requerida, demostrar, clarify span, midsize, railgauge, track gauge, ta, latin, graeca, souverain2, souverain, chiarire nota, latijn, format linkr, ilc, mot, gotická: 1
fontsize, en langue, size, font size, langz, jezik: 2
bandiera: {{#if:{{{2|}}}|{{{1|}}}}}
langwithname: {{{2|}}}: {{{3|}}}
en, de, fr, ja, zh-tw2: {{#ifeq:{{SITELANGUAGE}}|ja|{{{1|}}}}}
bibleref, bibleref2, bibleverse, bible verse: {{{1|}}} {{{2|}}}
oldstyledate, old style date: {{{1|}}} [O.S. {{{3|}}}] {{{2|}}}
oldstyledatedy: {{{1|}}} {{{2|}}} [O.S. {{{3|}}}]
format price, fmt price: {{formatnum:{{{1|}}}}}
snds, spaced dash: &nbsp;–&nbsp;
tex: TeX
latex: LaTeX
jumelage: {{{1|}}}{{#if:{{{année|}}}|&#32;({{{année}}})}}
gemellaggio: {{{2|{{{1|}}}}}}{{#if:{{{3|}}}|, {{{3}}}}}
color sample, eqm:
music: {{#switch:{{{1|}}}|flat|b=♭|sharp|#=♯|natural=♮|{{{1|}}}}}
séc, século: século {{{1|}}}
siglo, s. : siglo {{{1|}}}
ac, a.c.: a.C.
d.c.: d.C.
columns-list, columns list, colonnes, multicol list: last
zh-hans, zh-hant, zh-cn, zh-tw, zhi, url, uri: 1
esd, nbsp2: &nbsp;
nts, ntsh, number table sorting, formatnum, fn, formnum, number, nb, liczba, fmtn, fmtnum, formatar número: {{formatnum:{{{1|}}}}}
unité, unite, unité/2, m, grandeur: {{UNIT}}
höhe, m ü. a., höhenlage: {{formatnum:{{{1|}}}}}&nbsp;m
m s.l.m., m s.l.m: m s.l.m.
tmp, moins, minus: −{{{1|}}}
cvt: {{CVT}}
convert, conv, converti, convertir, converter, conversión, đổi, konvertera, convert/2: {{CONVERT}}
coord, coordinates, koordinaten, koordinatid, coordenadas, tọa độ: {{COORD}}
simplenuclide, nuclide, simplenuclide2, nuclide2, simplenuclidem: {{#if:{{{2|}}}|{{{1|}}}-{{{2}}}|{{{1|}}}}}
chữ hán, hán: {{{1|}}}
dateof: {{DATEOF}}
ageat: {{AGEAT}}
langnf: {{{2|}}}{{#if:{{{3|}}}|&#32;({{{3}}})}}
langx: {{LANGX}}
isbn, isbnt, isbn2, issn, oclc, doi, lccn, bibcode, arxiv, pmid: {{UC:{{TEMPLATENAME}}}} {{{1|}}}
wikt, wiktionary inline, wiktlink, wt: {{{2|{{{1|}}}}}}
main other, other: {{{1|}}}
if empty, first nonempty: {{#if:{{{1|}}}|{{{1}}}|{{#if:{{{2|}}}|{{{2}}}|{{{3|}}}}}}}
yes, yes2: {{#if:{{{1|}}}|{{{1}}}|Yes}}
no, no2: {{#if:{{{1|}}}|{{{1}}}|No}}
won, nom, nominated, partial, n/a, tba, tbd, unknown, pending: {{{1|}}}
lc, ucfirst, lcfirst: {{{1|}}}
age, age in years, ancient, âge: {{AGEAT|{{{1|}}}|{{{2|}}}|{{{3|}}}|{{{4|}}}|{{{5|}}}|{{{6|}}}}}
`

// countryCodes are templates that show a flag and the name of a country, by its
// ISO or Olympic code. The code stands for the name, which each wiki has its own.
const countryCodes = `afg alb alg dza and ang ago arg arm aus aut aze bah bhs bhr ban bgd bar brb blr bel blz ben bhu btn bol bih bot bwa bra brn bul bgr bur bfa bdi cam khm cmr can cpv caf cha tcd chi chl chn col com cgo cog cod crc cri cro hrv cub cyp cze den dnk dji dma dom ecu egy esa slv eri est eth fij fji fin fra gab gam gmb geo ger deu gha gre grc grn gua gtm gui gin guy hai hti hon hnd hkg hun isl ind ina idn iri irn irq irl isr ita jam jpn jor kaz ken kor prk kos kuw kwt kgz lao lat lva lib lbn les lso lbr lba lby lie ltu lux mad mdg mwi mas mys mdv mli mlt mtn mrt mri mus mex mda mol mon mco mgl mng mne mar moz mya mmr nam nep npl ned nld nzl nca nic nig ner ngr nga mkd nor oma omn pak pan png par pry per phi phl pol por prt pur pri qat rou rom rus rwa sam wsm smr ksa sau sen srb sle sin sgp svk slo svn som rsa zaf esp sri lka sud sdn sur swe sui che syr tpe twn tjk tan tza tha tog tri tto tun tur tkm uga ukr uae are gbr usa uru ury uzb ven vie vnm yem zam zmb zim zwe urs gdr frg tch yug scg`

// functionRules are the templates whose text takes more than a body.
var functionRules = map[string]func(p *preprocessor, a arguments){
	"{{JOINED}}":     func(p *preprocessor, a arguments) { p.joined(a) },
	"{{HYPHENATED}}": func(p *preprocessor, a arguments) { p.spend(strings.Join(a.positional(), "-")) },
	"{{CONCAT}}":     func(p *preprocessor, a arguments) { p.spend(strings.Join(a.positional(), "")) },
	"{{IPAJOINED}}": func(p *preprocessor, a arguments) {
		if parts := a.positional(); len(parts) > 0 {
			text := strings.Trim(strings.Join(parts, ""), "/[]")
			p.spend("/" + text + "/")
		}
	},
	"{{DATEOF}}":   (*preprocessor).date,
	"{{AGEAT}}":    (*preprocessor).age,
	"{{VAL}}":      (*preprocessor).val,
	"{{UNIT}}":     (*preprocessor).unit,
	"{{CONVERT}}":  (*preprocessor).convert,
	"{{CVT}}":      (*preprocessor).cvt,
	"{{COORD}}":    (*preprocessor).coord,
	"{{CITATION}}": (*preprocessor).citation,
	"{{LANGX}}": func(p *preprocessor, a arguments) {
		if name := languageNames[strings.ToLower(a.get("1"))]; name != "" && p.ex.language == "en" && a.get("label") != "none" {
			p.spend(name + ": ")
		}
		p.spend(a.get("2", "text"))
	},
}

// joined puts the items of a list on lines of their own.
func (p *preprocessor) joined(a arguments) {
	for _, item := range a.positional() {
		if item != "" {
			p.spend("\n* " + item)
		}
	}
	p.spend("\n")
}

// defaultRules are the built-in rules by name in lower case.
var defaultRules = parseBuiltins(builtinRules)

func parseBuiltins(table string) map[string]rule {
	rules := map[string]rule{}
	for line := range strings.Lines(table) {
		line = strings.TrimRight(line, "\n")
		at := strings.Index(line, ": ")
		if at < 0 {
			at = strings.LastIndex(line, ":")
		}
		if at < 0 {
			continue
		}
		body := strings.TrimSpace(line[at+1:])
		for name := range strings.SplitSeq(line[:at], ", ") {
			name = strings.ToLower(strings.TrimSpace(name))
			r := rule{body: body}
			if f, ok := functionRules[body]; ok {
				r = rule{f: f}
			}
			if strings.Contains(body, "{{TEMPLATENAME}}") {
				r.body = strings.ReplaceAll(body, "{{TEMPLATENAME}}", strings.TrimSuffix(name, "t"))
				if name != "isbnt" {
					r.body = strings.ReplaceAll(body, "{{TEMPLATENAME}}", name)
				}
			}
			rules[name] = r
		}
	}
	for name := range strings.SplitSeq(citationNames, ",") {
		rules[strings.TrimSpace(name)] = rule{f: (*preprocessor).citation}
	}
	for code := range strings.FieldsSeq(countryCodes) {
		rules[code] = rule{body: strings.ToUpper(code)}
	}
	return rules
}

// languageNames are English names for the templates lang-xx.
var languageNames = func() map[string]string {
	names := map[string]string{}
	for pair := range strings.FieldsSeq(`af:Afrikaans am:Amharic ang:Old_English ar:Arabic arc:Aramaic az:Azerbaijani be:Belarusian bg:Bulgarian bn:Bengali bo:Tibetan br:Breton bs:Bosnian ca:Catalan cs:Czech cy:Welsh
		da:Danish de:German el:Greek en:English eo:Esperanto es:Spanish et:Estonian eu:Basque fa:Persian fi:Finnish fr:French ga:Irish gd:Scottish_Gaelic gl:Galician grc:Ancient_Greek gu:Gujarati he:Hebrew hi:Hindi hr:Croatian hu:Hungarian hy:Armenian
		id:Indonesian is:Icelandic it:Italian ja:Japanese ka:Georgian kk:Kazakh km:Khmer kn:Kannada ko:Korean ku:Kurdish ky:Kyrgyz la:Latin lb:Luxembourgish lo:Lao lt:Lithuanian lv:Latvian mi:Māori mk:Macedonian ml:Malayalam mn:Mongolian mr:Marathi ms:Malay mt:Maltese my:Burmese
		ne:Nepali nl:Dutch no:Norwegian nb:Norwegian_Bokmål nn:Norwegian_Nynorsk oc:Occitan pa:Punjabi pl:Polish ps:Pashto pt:Portuguese ro:Romanian ru:Russian sa:Sanskrit si:Sinhala sk:Slovak sl:Slovene so:Somali sq:Albanian sr:Serbian sv:Swedish sw:Swahili
		ta:Tamil te:Telugu tg:Tajik th:Thai tk:Turkmen tl:Tagalog tr:Turkish tt:Tatar ug:Uyghur uk:Ukrainian ur:Urdu uz:Uzbek vi:Vietnamese yi:Yiddish zh:Chinese zu:Zulu`) {
		code, name, _ := strings.Cut(pair, ":")
		names[code] = strings.ReplaceAll(name, "_", " ")
	}
	return names
}()
