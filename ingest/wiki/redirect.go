package wiki

import (
	"strings"
)

// redirectWords are the words that make a redirect behind "#", in lower case. Dumps
// before schema 0.4 say nothing else of redirects.
var redirectWords = words("redirect redirección redireccion weiterleitung redirection rinvia redirecionamento redirecionar doorverwijzing " +
	"patrz przekieruj tam перенаправление перенапр перенаправлення преусмери пренасочване виж преусмјери přesměruj presmeruj preusmeri preusmjeri " +
	"ohjaus uudelleenohjaus omdirigering omdiriger omdirigér viðsjá tilvísun átirányítás redirecteaza yönlendirme yönlendi̇rme yönlendir alih đổi ανακατευθυνση ανακατεύθυνση " +
	"転送 リダイレクト 重定向 重新導向 넘겨주기 تحويل تغییر_مسیر تغییرمسیر הפניה अनुप्रेषित पुनर्निर्देशित पुनर्प्रेषण เปลี่ยนทาง გადამისამართება վերահղում birzuzendu redirecció " +
	"alidirekti alidirektu suuna nukreipti перанакіраванне pāradresācija adcyfeirio ail-cyfeirio পুননির্দেশ পুনর্নির্দেশ வழிமாற்று దారిమార్పు ಪುನರ್ನಿರ್ದೇಶನ തിരിച്ചുവിടുക айдау")

func words(list string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		m[w] = true
	}
	return m
}

// redirects reports whether a text does nothing but lead to another page.
func redirects(text string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(text[:min(len(text), 1000)], " \t\r\n"), "#")
	if !ok {
		return false
	}
	word, _, ok := strings.Cut(rest, "[[")
	if !ok || len(word) > 100 {
		return false
	}
	word = strings.ToLower(strings.TrimRight(strings.TrimSpace(word), ": "))
	return redirectWords[strings.ReplaceAll(word, " ", "_")]
}
