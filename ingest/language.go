package ingest

import (
	"strings"

	"golang.org/x/text/language"
)

// shortLanguage returns the ISO 639-1 code of a language where it has one, its ISO 639-3
// code where not, without a region, and "" for what is no code of a language.
func shortLanguage(code string) string {
	code = strings.TrimSpace(code)
	primary, _, _ := strings.Cut(strings.ReplaceAll(code, "_", "-"), "-")
	if base, err := language.ParseBase(primary); err == nil {
		return base.String()
	}
	return ""
}
