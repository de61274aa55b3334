package ingest

import "testing"

func TestNormalURL(t *testing.T) {
	for raw, want := range map[string]string{
		"HTTP://Example.ORG:80/a/../b/./c?x=1&y=%20#top": "http://example.org/b/c?x=1&y=%20",
		"https://example.org:443":                        "https://example.org/",
		"https://example.org:8443/%7Euser/ü":             "https://example.org:8443/~user/%C3%BC",
		"<http://a.b/c>":                                 "http://a.b/c",
		"http://[2001:DB8::1]:80/":                       "http://[2001:db8::1]/",
		"filedesc://x.arc":                               "filedesc://x.arc/",
		"urn:uuid:5":                                     "urn:uuid:5",
		"http://%zz":                                     "http://%zz",
		"":                                               "",
	} {
		if got := normalURL(raw); got != want {
			t.Errorf("%q gives %q, want %q", raw, got, want)
		}
	}
}
