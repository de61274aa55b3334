// Package bzip2 reads and writes bzip2 files of any number of streams. The
// Reader decodes blocks on several goroutines and keeps their order: every block
// begins with the same 48 bits, at any bit of the file, so that blocks can be
// found without decoding the ones before them. It keeps what can be kept of a
// damaged file: a block whose checksum fails is reported by its place, and the
// rest is read on.
package bzip2

const (
	blockMagic = 0x314159265359 // the digits of pi
	endMagic   = 0x177245385090 // the digits of its square root

	maxSymbols    = 258 // 256 bytes less one, two run symbols, and the end of the block
	maxTables     = 6
	groupSize     = 50 // symbols coded by one selector
	levelBytes    = 100_000
	maxBlockBytes = 9 * levelBytes
)

// crcTables hold the bzip2 checksum: CRC-32 with the polynomial 0x04c11db7, most
// significant bit first. crcTables[k][b] advances b over k more zero bytes, so
// that eight bytes can be taken in one step.
var crcTables = makeCRCTables()

func makeCRCTables() *[8][256]uint32 {
	t := new([8][256]uint32)
	for b := range 256 {
		crc := uint32(b) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
		t[0][b] = crc
	}
	for k := 1; k < 8; k++ {
		for b := range 256 {
			prev := t[k-1][b]
			t[k][b] = prev<<8 ^ t[0][prev>>24]
		}
	}
	return t
}

// updateCRC returns the checksum of what crc covers followed by p. A checksum
// begins as all ones and is complemented at its end.
func updateCRC(crc uint32, p []byte) uint32 {
	t := crcTables
	for len(p) >= 8 {
		crc ^= uint32(p[0])<<24 | uint32(p[1])<<16 | uint32(p[2])<<8 | uint32(p[3])
		crc = t[7][crc>>24] ^ t[6][crc>>16&0xff] ^ t[5][crc>>8&0xff] ^ t[4][crc&0xff] ^
			t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]]
		p = p[8:]
	}
	for _, b := range p {
		crc = crc<<8 ^ t[0][byte(crc>>24)^b]
	}
	return crc
}

// combineCRC adds a block's checksum to the stream's.
func combineCRC(stream, block uint32) uint32 {
	return (stream<<1 | stream>>31) ^ block
}
