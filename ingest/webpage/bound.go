package webpage

import "bytes"

// Limits on what makes the parser's work more than a small multiple of a page's
// length: every repeated html or body tag is compared with all attributes of the
// first, and every formatting element that is left open is made again in each
// paragraph that follows.
const (
	maxRootTags = 32
	maxOpenTags = 64
)

var formatting = words("a b big code em font i nobr s small strike strong tt u")

// costly reports whether parsing a page would take more than a small multiple of
// its length in time and memory.
func costly(page []byte) bool {
	roots, open := 0, 0
	for {
		i := bytes.IndexByte(page, '<')
		if i < 0 {
			return false
		}
		page = page[i+1:]
		rest := page
		closing := len(rest) > 0 && rest[0] == '/'
		if closing {
			rest = rest[1:]
		}
		var name [8]byte
		n := 0
		for n < len(rest) && n < len(name) {
			c := rest[n] | 0x20
			if c < 'a' || c > 'z' {
				break
			}
			name[n] = c
			n++
		}
		switch tag := string(name[:n]); {
		case tag == "html" || tag == "body":
			if roots++; roots > maxRootTags {
				return true
			}
		case formatting[tag] && closing:
			open = max(0, open-1)
		case formatting[tag]:
			if open++; open > maxOpenTags {
				return true
			}
		}
	}
}
