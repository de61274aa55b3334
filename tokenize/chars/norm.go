package chars

import (
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// later lists the characters that have a decomposition, take part in a
// composition or carry a combining class in today's Unicode, but did not in the
// version that the reference normalizes by: it leaves them alone.
var later = [][2]rune{
	{0x7fd, 0x7fd}, {0x897, 0x89f}, {0x8ca, 0x8d3}, {0x9fe, 0x9fe}, {0xc3c, 0xc3c}, {0xd3b, 0xd3c},
	{0xeba, 0xeba}, {0x1715, 0x1715}, {0x1abf, 0x1add}, {0x1ae0, 0x1aeb}, {0x1df6, 0x1dfa}, {0x32ff, 0x32ff},
	{0xa7f1, 0xa7f4}, {0xa82c, 0xa82c}, {0xab69, 0xab69}, {0x105c9, 0x105c9}, {0x105d2, 0x105d2}, {0x105da, 0x105da},
	{0x105e4, 0x105e4}, {0x10781, 0x10785},
	{0x10787, 0x107b0}, {0x107b2, 0x107ba}, {0x10d24, 0x10d27}, {0x10d69, 0x10d6d}, {0x10eab, 0x10eac}, {0x10efa, 0x10efb},
	{0x10efd, 0x10eff}, {0x10f46, 0x10f50}, {0x10f82, 0x10f85}, {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x11382, 0x11385},
	{0x1138b, 0x1138b}, {0x1138e, 0x1138e}, {0x11390, 0x11391}, {0x113b8, 0x113b8}, {0x113bb, 0x113bb}, {0x113c2, 0x113c2},
	{0x113c5, 0x113c5}, {0x113c7, 0x113c9}, {0x113ce, 0x113d0},
	{0x1145e, 0x1145e}, {0x11839, 0x1183a}, {0x11930, 0x11930}, {0x11935, 0x11935}, {0x11938, 0x11938}, {0x1193d, 0x1193e},
	{0x11943, 0x11943}, {0x119e0, 0x119e0},
	{0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42}, {0x11d44, 0x11d45}, {0x11d97, 0x11d97},
	{0x11f41, 0x11f42}, {0x1611e, 0x16129}, {0x1612f, 0x1612f}, {0x16d63, 0x16d63}, {0x16d67, 0x16d6a}, {0x16ff0, 0x16ff1},
	{0x1ccd6, 0x1ccf9},
	{0x1e030, 0x1e06d}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef},
	{0x1e5ee, 0x1e5ef}, {0x1e6e3, 0x1e6e3}, {0x1e6e6, 0x1e6e6}, {0x1e6ee, 0x1e6ef}, {0x1e6f5, 0x1e6f5}, {0x1f16c, 0x1f16c},
	{0x1fbf0, 0x1fbf9},
}

// isLater reports whether r is normalized to itself whatever Unicode says now.
func isLater(r rune) bool {
	lo, hi := 0, len(later)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		switch {
		case r < later[m][0]:
			hi = m
		case r > later[m][1]:
			lo = m + 1
		default:
			return true
		}
	}
	return false
}

// AppendDecomposed appends the full decomposition of r to dst, compatible (NFKD)
// or canonical (NFD).
func AppendDecomposed(dst []byte, r rune, compatible bool) []byte {
	if r < 0x80 || isLater(r) {
		return utf8.AppendRune(dst, r)
	}
	form := norm.NFD
	if compatible {
		form = norm.NFKD
	}
	var in [utf8.UTFMax]byte
	return form.Append(dst, in[:utf8.EncodeRune(in[:], r)]...)
}

// CombiningClass returns the canonical combining class of r.
func CombiningClass(r rune) uint8 {
	if r < 0x300 || isLater(r) {
		return 0
	}
	var in [utf8.UTFMax]byte
	return norm.NFD.Properties(in[:utf8.EncodeRune(in[:], r)]).CCC()
}

// Compose returns the character that is canonically equivalent to a followed by
// b, if composition makes one.
func Compose(a, b rune) (rune, bool) {
	if b < 0x80 || isLater(a) || isLater(b) {
		return 0, false
	}
	var in [2 * utf8.UTFMax]byte
	n := utf8.EncodeRune(in[:], a)
	n += utf8.EncodeRune(in[n:], b)
	out := norm.NFC.Bytes(in[:n])
	r, size := utf8.DecodeRune(out)
	if size != len(out) || size == n && r == a || isLater(r) {
		return 0, false
	}
	return r, true
}
