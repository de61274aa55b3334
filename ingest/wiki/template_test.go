package wiki

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestTemplates(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"{{convert|5|km}}", "5 kilometres (3.1 mi)"},
		{"{{convert|5|km|mi|abbr=on}}", "5 km (3.1 mi)"},
		{"{{cvt|1000|ft|m}}", "1,000 ft (300 m)"},
		{"{{convert|10|to|20|mi|km|sp=us}}", "10 to 20 miles (16 to 32 km)"},
		{"a {{convert|5|km|adj=on}} road", "a 5-kilometre (3.1 mi) road"},
		{"{{convert|98.6|F}}", "98.6 °F (37.0 °C)"},
		{"{{convert|5|ft|6|in|m}}", "5 feet 6 inches (1.68 m)"},
		{"{{convert|1.8|m|ftin}}", "1.8 metres (5 ft 11 in)"},
		{"{{convert|100|acre|ha|disp=or}}", "100 acres or 40 ha"},
		{"{{convert|3|quux|foo}}", "3 quux"},
		{"{{convert|1,234|km2|sqmi}}", "1,234 square kilometres (476 sq mi)"},
		{"{{convert|25|mi|km|order=flip}}", "40 km (25 miles)"},
		{"{{convert|500|/sqmi}}", "500 inhabitants per square mile (190/km²)"},
		{"{{formatnum:1234567.89}} and {{formatnum:12,5}}", "1,234,567.89 and 12,5"},
		{"{{val|1.23|0.05|e=6|u=m/s}} {{val|12345}}", "1.23±0.05×10^6 m/s 12,345"},
		{"{{lang|fr|bonjour}}, {{lang-fr|eau}}, {{langx|de|Wasser}}", "bonjour, French: eau, German: Wasser"},
		{"{{transl|ar|DIN|sūq}}", "sūq"},
		{"{{nihongo|Tokyo Tower|東京タワー|Tōkyō tawā}}", "Tokyo Tower (東京タワー, Tōkyō tawā)"},
		{"{{circa|1900}} {{c.|1900|1910}}", "c. 1900 c. 1900 – c. 1910"},
		{"{{frac|1|2}} {{frac|3|1|4}} {{frac|8}}", "1/2 3 1/4 1/8"},
		{"{{coord|51|30|26|N|0|7|39|W|display=inline,title}} {{coord|48.85|-2.35}} {{coord|1|N|2|E|display=title}}.", "51°30′26″N 0°7′39″W 48.85°N 2.35°W."},
		{"teh{{sic}} {{sic|hte}}", "teh[sic] hte [sic]"},
		{"a\n{{quote|To be.|Hamlet|Act 3}}\nb", "a\n\nTo be.\n— Hamlet, Act 3\n\nb"},
		{"{{abbr|Dr.|Doctor}} {{ill|Name|fr|Nom}} {{ill|Name|fr|lt=Label}}", "Dr. Name Label"},
		{"James{{'}} {{'s}}", "James' 's"},
		{"{{birth date|1900|3|14}} {{birth date|df=y|1900|3|14}} {{death date and age|1970|1|2|1900|3|14}}", "March 14, 1900 14 March 1900 January 2, 1970 (aged 69)"},
		{"{{#if: x |yes|no}} {{#if:|yes|no}} {{#ifeq:1|1.0|same}} {{#ifexpr:2>1|a|b}}", "yes no same a"},
		{"{{#switch: b | a = 1 | b | c = 2 | #default = 3}} {{#switch:x|a=1|3}} {{#switch:y|#default=d|a=1}}", "2 3 d"},
		{"{{#expr: (1 + 2) * 3 ^ 2}} {{#expr:10/4}} {{#expr:7 mod 4}} {{#expr:22/7 round 2}} {{#expr:1/0}}", "27 2.5 3 3.14"},
		{"{{plural:1|page|pages}} {{plural:5|page|pages}} {{uc:abc}} {{ucfirst:abc}} {{padleft:7|3}}", "page pages ABC Abc 007"},
		{"{{PAGENAME}} {{NAMESPACE}}", "Title"},
		{"{{as of|2010|5}}", "As of May 2010"},
		{"{{flag|France}} {{flagicon|France}} {{USS|Enterprise|CV-6}}", "France USS Enterprise (CV-6)"},
		{"{{infobox|a={{convert|5|km}}}}x", "x"},
		{"{{nowrap|a {{small|b}}}}", "a b"},
		{"{{nowrap|1=a=b}}", "a=b"},
		{"{{Template:Nowrap|x}} {{ NOWRAP |x}} {{no_wrap}}", "x x"},
		{"{{ubl|a|b}}", "- a\n- b"},
		{"{{{1|default}}} {{{2}}}.", "default."},
		{"{{chem|H|2|O}}", "H2O"},
		{"{{#tag:nowiki|''x''}}", "''x''"},
		{"* {{cite book |last=Smith |first=Ann |year=1999 |title=On ''Ships'' |publisher=Press |pages=12–34 |isbn=1-2}}", "- Smith, Ann (1999). \"On Ships\". Press. 12–34. ISBN 1-2."},
		{"{{Cite journal |title=T |journal=J |volume=3 |issue=4 |pages=5 |date=May 2001}}", "\"T\". J. 3 (4): 5. May 2001."},
		{"{{USA}} 12, {{IPA-el|akʰ|pron}}", "USA 12, [akʰ]"},
		{"{{lang|de|{{unclosed}}", "{{lang|de|"},
	} {
		if got := plainText(c.in); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.in, got, c.want)
		}
	}
}

func TestTemplatesOfOtherLanguages(t *testing.T) {
	for _, c := range []struct{ language, in, want string }{
		{"fr", "{{unité|12345|km|2}} au {{s-|XIX|e}}, {{XXe siècle}}, {{1er janvier}}, {{Ier}}, {{formatnum:98659}}", "12 345 km^2 au XIXe siècle, XXe siècle, 1er janvier, Ier, 98 659"},
		{"fr", "{{date|4|juillet|1900}} {{citation|bonjour}} {{nombre|12|habitants}}", "4 juillet 1900 « bonjour » 12 habitants"},
		{"de", "{{Zitat|Text|Autor=A}} {{formatnum:1234.5}}", "Text\n— A\n\n1.234,5"},
		{"it", "{{M|120|u=km}} {{q|ciao}}", "120 km «ciao»"},
		{"en", "{{citation|1=x}}y", "y"},
		{"ja", "{{仮リンク|名前|en|Name}}{{Birth date|1900|3|4}}", "名前1900年3月4日"},
	} {
		text, _ := NewExtractor(&Site{Language: c.language}, ExtractOptions{}).Extract("T", c.in)
		if text != c.want {
			t.Errorf("%s %q\n got %q\nwant %q", c.language, c.in, text, c.want)
		}
	}
}

func TestTheReadersRules(t *testing.T) {
	rules, err := ParseRules(strings.NewReader("templates:\n  FishBase: \"FishBase {{{1}}}{{#if:{{{x|}}}|&#32;x}}\"\n  \"lang, my_lang\": \"⟨{{{2}}}⟩\"\n  nowrap: \"\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	ex := NewExtractor(&Site{Language: "en"}, ExtractOptions{Rules: rules})
	text, stats := ex.Extract("T", "{{fishbase|a|x=1}} {{lang|fr|b}} {{My lang|fr|c}} {{nowrap|d}} {{small|e}} {{other}}")
	if text != "FishBase a x ⟨b⟩ ⟨c⟩ e" || stats.Templates != 7 || stats.Expanded != 5 {
		t.Errorf("%q %+v", text, stats)
	}
	if got := plainText("{{nowrap|d}}"); got != "d" {
		t.Errorf("a reader's rule has changed the package's: %q", got)
	}
	data, err := json.Marshal(ExtractOptions{Rules: rules})
	var back ExtractOptions
	if err == nil {
		err = json.Unmarshal(data, &back)
	}
	if err != nil || !strings.Contains(string(data), `"my lang":"⟨{{{2}}}⟩"`) || !reflect.DeepEqual(back.Rules, rules) {
		t.Errorf("as JSON %s, %v", data, err)
	}
	for _, bad := range []string{"template:\n  a: b\n", "templates:\n  a: [1]\n", "templates:\n  a: b\n  A: c\n", "templates:\n  \",\": c\n", "x: y: z", strings.Repeat("#", 2<<20)} {
		if _, err := ParseRules(strings.NewReader(bad)); err == nil {
			t.Errorf("%.40q was taken", bad)
		}
	}
}

func TestTemplatesThatGrowEnd(t *testing.T) {
	rules, err := ParseRules(strings.NewReader("templates:\n  a: \"{{{1}}}{{{1}}}{{{1}}}{{{1}}}\"\n  loop: \"x{{loop|{{{1}}}{{{1}}}}}\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	ex := NewExtractor(nil, ExtractOptions{Rules: rules})
	for _, in := range []string{
		strings.Repeat("{{a|", 60) + "xyz" + strings.Repeat("}}", 60),
		strings.Repeat("{{loop|abc}}", 1000),
		strings.Repeat("{{nowrap|", 5000) + strings.Repeat("}}", 5000),
		strings.Repeat("{{#if:x|", 100) + "y" + strings.Repeat("}}", 100),
		"{{#expr:" + strings.Repeat("(", 5000) + "}}{{#expr:" + strings.Repeat("-", 4000) + "1}}",
		"{{padleft:|400000000}}",
	} {
		if text, _ := ex.Extract("T", in); len(text) > 8<<20 {
			t.Errorf("%d bytes of %d", len(text), len(in))
		}
	}
}
