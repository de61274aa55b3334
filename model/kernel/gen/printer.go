package main

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
)

// printer collects the text of one assembly file.
type printer struct {
	buf    bytes.Buffer
	labels int
	consts map[string]uint32
	wide   map[string][]uint32
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(&p.buf, format+"\n", args...)
}

// op prints one instruction.
func (p *printer) op(format string, args ...any) {
	fmt.Fprintf(&p.buf, "\t"+format+"\n", args...)
}

// label returns a name for a label that no other in the file has.
func (p *printer) label(what string) string {
	p.labels++
	return fmt.Sprintf("%s%d", what, p.labels)
}

// text begins a function whose arguments take argBytes.
func (p *printer) text(signature string, frame, argBytes int) {
	p.line("")
	p.line("// func %s", signature)
	name, _, _ := strings.Cut(signature, "(")
	p.line("TEXT ·%s(SB), NOSPLIT, $%d-%d", name, frame, argBytes)
}

// f32 returns the address of a constant, for broadcasting loads.
func (p *printer) f32(v float64) string { return p.u32(math.Float32bits(float32(v))) }

func (p *printer) u32(v uint32) string {
	if p.consts == nil {
		p.consts = map[string]uint32{}
	}
	name := fmt.Sprintf("c%08x<>", v)
	p.consts[name] = v
	return name + "(SB)"
}

// table returns the address of numbers that lie one after the other.
func (p *printer) table(v []uint32) string {
	name := "w"
	for i, x := range v {
		if i == 0 || x != v[0] {
			name += fmt.Sprintf("%08x", x)
		}
	}
	if p.wide == nil {
		p.wide = map[string][]uint32{}
	}
	p.wide[name+"<>"] = v
	return name + "<>(SB)"
}

// constants prints the constants the file asked for.
func (p *printer) constants() {
	for _, n := range slices.Sorted(maps.Keys(p.wide)) {
		p.line("")
		for i, v := range p.wide[n] {
			p.line("DATA %s+%d(SB)/4, $0x%08x", n, 4*i, v)
		}
		p.line("GLOBL %s(SB), RODATA|NOPTR, $%d", n, 4*len(p.wide[n]))
	}
	names := make([]string, 0, len(p.consts))
	for n := range p.consts {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		p.line("")
		p.line("DATA %s+0(SB)/4, $0x%08x", n, p.consts[n])
		p.line("GLOBL %s(SB), RODATA|NOPTR, $4", n)
	}
}
