package wiki

import "strings"

// boilerplate are the titles of sections that list sources and links.
var boilerplate = titleSet(`
	References|Reference|Notes|Footnotes|Notes and references|References and notes|Citations|Sources|Bibliography|Works cited|External links|External link|See also|Further reading|Explanatory notes|Notes and citations|Links
	Einzelnachweise|Weblinks|Literatur|Siehe auch|Quellen|Anmerkungen|Fußnoten|Einzelnachweise und Anmerkungen
	Références|Notes et références|Notes|Liens externes|Lien externe|Voir aussi|Bibliographie|Articles connexes|Annexes
	Referencias|Enlaces externos|Véase también|Bibliografía|Notas|Notas y referencias
	Note|Collegamenti esterni|Voci correlate|Bibliografia|Altri progetti
	Referências|Ligações externas|Ver também|Bibliografia
	Referenties|Externe links|Externe link|Zie ook|Bronnen|Bronnen, noten en/of referenties|Voetnoten|Literatuur
	Przypisy|Linki zewnętrzne|Zobacz też|Uwagi
	Примечания|Ссылки|Литература|См. также|Источники
	Примітки|Посилання|Література|Див. також|Джерела|Бібліографія
	Източници|Външни препратки|Вижте също|Бележки
	参考文献|脚注|注釈|出典|外部リンク|関連項目
	参考资料|參考資料|参考來源|参考来源|外部链接|外部連結|外部鏈接|参见|參見|註釋|注释|延伸阅读|延伸閱讀|参考
	Tham khảo|Liên kết ngoài|Xem thêm|Chú thích|Đọc thêm
	Παραπομπές|Εξωτερικοί σύνδεσμοι|Δείτε επίσης|Πηγές|Βιβλιογραφία|Σημειώσεις
	Kaynakça|Dış bağlantılar|Ayrıca bakınız
	المراجع|مراجع|وصلات خارجية|انظر أيضا|انظر أيضًا
	הערות שוליים|קישורים חיצוניים|ראו גם|לקריאה נוספת
	각주|외부 링크|같이 보기|참고 문헌|출처
	Referenser|Externa länkar|Se även|Källor|Noter
	Referanser|Eksterne lenker|Se også|Kilder
	Referencer|Eksterne henvisninger|Kilder og henvisninger
	Lähteet|Aiheesta muualla|Katso myös
	Reference|Externí odkazy|Související články|Poznámky
	Jegyzetek|További információk|Lásd még|Források|Külső hivatkozások
	Referències|Enllaços externs|Vegeu també|Notes i referències
	Referințe|Legături externe|Vezi și|Bibliografie
	Referensi|Pranala luar|Lihat pula
	Referoj|Eksteraj ligiloj|Vidu ankaŭ
	منابع|پانویس|پیوند به بیرون|جستارهای وابسته
	Erreferentziak|Kanpo estekak|Izvori|Vanjske poveznice|Спољашње везе|Референце|Види још
	Atsauces|Uorejuos nūruodis|Ārējās saites
`)

// disambiguation are the templates, in lower case, by which a page says that it
// only tells pages of like names apart.
var disambiguation = titleSet(`
	disambig|disambiguation|disamb|dab|disambiguation page|hndis|geodis|human name disambiguation|place name disambiguation|school disambiguation|hospital disambiguation|number disambiguation|letter-numbercombdisambig|letter–number combination disambiguation|mathdab|numberdis|roaddis|chinese title disambig|callsigndis|airport disambiguation|military unit disambiguation|species latin name disambiguation|taxonomy disambiguation|genus disambiguation|surname|given name|set index article
	begriffsklärung|bkl|homonymie|homonymes|patronyme|paronymie|toponymie|internationalisation|desambiguación|desambiguacion|des|disambigua|desambiguação|desambig|desambiguacions|doorverwijspagina|dp|dpintro|ujednoznacznienie|strona ujednoznaczniająca
	неоднозначность|многозначность|список однофамильцев|фамилия|однофамильцы|багатозначність|неоднозначність|прізвище|пояснение|αποσαφήνιση|αποσαφ|trang định hướng|định hướng|曖昧さ回避|aimai|人名の曖昧さ回避|地名の曖昧さ回避|消歧义|消歧義|disambig-cleanup|消含糊|동음이의|동음이의어 문서|동명이인|توضيح|פירושונים|ابهام‌زدایی|ضدابهام
	anlam ayrımı|anlamayrımı|förgrening|gren|förgreningssida|flertydig|peker|täsmennyssivu|rozcestník|rozlišovacia stránka|egyért|egyértelműsítő lap|dezambiguizare|dezambig|disambigo|apartigilo|argipen|homonimo|višeznačna odrednica|вишезначна одредница|nuorodinis|nozīmju atdalīšana|täpsustuslehekülg
`)

func titleSet(lists string) map[string]bool {
	set := map[string]bool{}
	for line := range strings.Lines(lists) {
		for title := range strings.SplitSeq(strings.TrimSpace(line), "|") {
			set[strings.ToLower(title)] = true
		}
	}
	delete(set, "")
	return set
}

func isBoilerplate(title string) bool {
	return boilerplate[strings.ToLower(strings.Trim(title, " :"))]
}
