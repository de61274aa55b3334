//go:build interop && linux && amd64

package kernel

import (
	"bufio"
	"bytes"
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// emulator runs this program's assembly on a processor that this machine has not:
// Bochs, in a process of Python (interop/kernels), which shares the memory of the
// functions' arguments with the test. Each piece of memory an argument points to
// ends where mapped memory ends.
type emulator struct {
	t                 testing.TB
	cmd               *exec.Cmd
	in                io.Writer
	out               *bufio.Reader
	memory            []byte
	first, step, halt uint64
	functions         map[string]uint64
	calls             int
}

const (
	emulatorSlots = 10
	emulatorSlot  = 2 << 20
	// canaries is how many bytes before an argument's memory must not be written.
	canaries = 64
	// emulatorCall bounds the time of a call.
	emulatorCall = time.Minute
)

func newEmulator(t *testing.T) *emulator {
	t.Helper()
	scripts, err := filepath.Abs("../../interop/kernels")
	if err != nil {
		t.Fatal(err)
	}
	install := exec.Command("sh", filepath.Join(scripts, "python.sh"))
	install.Stderr = os.Stderr
	python, err := install.Output()
	if err != nil {
		t.Fatalf("installing the emulator: %v", err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	e := &emulator{t: t, functions: assembly(t, program)}
	path := filepath.Join(t.TempDir(), "memory")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(emulatorSlots * emulatorSlot); err != nil {
		t.Fatal(err)
	}
	if e.memory, err = unix.Mmap(int(f.Fd()), 0, emulatorSlots*emulatorSlot, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		t.Fatal(err)
	}
	e.cmd = exec.Command(strings.TrimSpace(string(python)), filepath.Join(scripts, "emulate.py"), program, path, fmt.Sprint(emulatorSlot))
	e.cmd.Stderr = os.Stderr
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	e.out = bufio.NewReader(out)
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.in.(io.Closer).Close()
		if err := e.cmd.Wait(); err != nil {
			t.Errorf("the emulator: %v", err)
		}
		if err := unix.Munmap(e.memory); err != nil {
			t.Error(err)
		}
	})
	if _, err := fmt.Sscanf(e.line(), "%x %x %x", &e.first, &e.step, &e.halt); err != nil {
		t.Fatalf("the emulator's first line: %v", err)
	}
	return e
}

// assembly returns the addresses of the functions of this package that were written
// in assembly; tables of functions hold those of their wrappers.
func assembly(t *testing.T, program string) map[string]uint64 {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Type != elf.ET_EXEC || f.Section(".gopclntab") == nil {
		t.Fatalf("%s is no executable at fixed addresses", program)
	}
	lines, err := f.Section(".gopclntab").Data()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(lines, f.Section(".text").Addr))
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]uint64{}
	for _, fn := range table.Funcs {
		file, _, _ := table.PCToLine(fn.Entry)
		if name, ok := strings.CutPrefix(fn.Name, "github.com/tributary-ml/tributary/model/kernel."); ok && strings.HasSuffix(file, ".s") {
			functions[name] = fn.Entry
		}
	}
	return functions
}

func (e *emulator) line() string {
	kill := time.AfterFunc(emulatorCall, func() { _ = e.cmd.Process.Kill() })
	defer kill.Stop()
	s, err := e.out.ReadString('\n')
	if err != nil {
		e.t.Fatalf("the emulator ended: %v", err)
	}
	return strings.TrimSpace(s)
}

// region is memory that arguments of a call point to.
type region struct {
	host []byte
	// at is where it lies in the shared memory.
	at int
}

// frame is a call being made: its arguments, and the memory they point to.
type frame struct {
	regions []region
	// args are written once all regions are known; pointers by where they point.
	args []func(b []byte) []byte
}

func bytesOf[T any](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(x[0])))
}

// add notes memory that an argument points to; what overlaps becomes one region.
func (f *frame) add(b []byte) {
	if len(b) == 0 {
		return
	}
	low := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	high := low + uintptr(len(b))
	for i, r := range f.regions {
		l := uintptr(unsafe.Pointer(unsafe.SliceData(r.host)))
		h := l + uintptr(len(r.host))
		if low < h && l < high {
			first := unsafe.SliceData(b)
			if l < low {
				first = unsafe.SliceData(r.host)
			}
			f.regions = slices.Delete(f.regions, i, i+1)
			f.add(unsafe.Slice(first, int(max(high, h)-min(low, l))))
			return
		}
	}
	f.regions = append(f.regions, region{host: b})
}

// guest returns the emulated address of memory that was added; 0 for none.
func (e *emulator) guest(f *frame, b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for _, r := range f.regions {
		low := uintptr(unsafe.Pointer(unsafe.SliceData(r.host)))
		if at >= low && at < low+uintptr(len(r.host)) {
			return e.address(r.at) + uint64(at-low)
		}
	}
	panic("memory that was not added")
}

func (e *emulator) address(at int) uint64 {
	return e.first + e.step*uint64(at/emulatorSlot) + uint64(at%emulatorSlot)
}

func align(b []byte, n int) []byte { return append(b, make([]byte, -len(b)&(n-1))...) }

// header appends a slice's header.
func (e *emulator) header(f *frame, b []byte, s []byte, n int) []byte {
	b = binary.LittleEndian.AppendUint64(align(b, 8), e.guest(f, s))
	b = binary.LittleEndian.AppendUint64(b, uint64(n))
	return binary.LittleEndian.AppendUint64(b, uint64(n))
}

func slice[T any](e *emulator, f *frame, x []T) {
	s := bytesOf(x)
	f.add(s)
	f.args = append(f.args, func(b []byte) []byte { return e.header(f, b, s, len(x)) })
}

// call is try without errors.
func (e *emulator) call(name string, results int, args ...any) []byte {
	e.t.Helper()
	out, err := e.try(name, results, args...)
	if err != nil {
		e.t.Fatal(err)
	}
	return out
}

// try runs a function of this package's assembly with arguments as Go passes them on
// the stack (ABI0), and returns the bytes of its results. That it faults, or writes
// before its arguments' memory, is an error.
func (e *emulator) try(name string, results int, args ...any) ([]byte, error) {
	entry, ok := e.functions[name]
	if !ok {
		e.t.Fatalf("%s is not in this program", name)
	}
	f := &frame{}
	for _, a := range args {
		switch a := a.(type) {
		case []float32:
			slice(e, f, a)
		case []uint16:
			slice(e, f, a)
		case []int32:
			slice(e, f, a)
		case int:
			f.args = append(f.args, func(b []byte) []byte { return binary.LittleEndian.AppendUint64(align(b, 8), uint64(a)) })
		case uint64:
			f.args = append(f.args, func(b []byte) []byte { return binary.LittleEndian.AppendUint64(align(b, 8), a) })
		case uint32:
			f.args = append(f.args, func(b []byte) []byte { return binary.LittleEndian.AppendUint32(align(b, 4), a) })
		case int32:
			f.args = append(f.args, func(b []byte) []byte { return binary.LittleEndian.AppendUint32(align(b, 4), uint32(a)) })
		case float32:
			f.args = append(f.args, func(b []byte) []byte { return binary.LittleEndian.AppendUint32(align(b, 4), math.Float32bits(a)) })
		case *adamConstants:
			s := slices.Clone(bytesOf([]adamConstants{*a}))
			f.add(s)
			f.args = append(f.args, func(b []byte) []byte { return binary.LittleEndian.AppendUint64(align(b, 8), e.guest(f, s)) })
		case *tile:
			s := slices.Clone(bytesOf([]tile{*a}))
			f.add(s)
			parts := map[uintptr][]float32{unsafe.Offsetof(a.a): a.a, unsafe.Offsetof(a.b): a.b, unsafe.Offsetof(a.c): a.c}
			for _, x := range parts {
				f.add(bytesOf(x))
			}
			f.args = append(f.args, func(b []byte) []byte {
				for at, x := range parts {
					binary.LittleEndian.PutUint64(s[at:], e.guest(f, bytesOf(x)))
				}
				return binary.LittleEndian.AppendUint64(align(b, 8), e.guest(f, s))
			})
		default:
			e.t.Fatalf("%s: an argument of type %T", name, a)
		}
	}
	if len(f.regions) >= emulatorSlots {
		e.t.Fatalf("%s: %d pieces of memory", name, len(f.regions))
	}
	// The first slot holds the stack.
	for i := range f.regions {
		r := &f.regions[i]
		r.at = (i+2)*emulatorSlot - len(r.host)
		if len(r.host)+canaries > emulatorSlot {
			e.t.Fatalf("%s: %d bytes of memory", name, len(r.host))
		}
	}
	stack := binary.LittleEndian.AppendUint64(nil, e.halt)
	for _, arg := range f.args {
		stack = arg(stack)
	}
	stack = align(stack, 8)
	at := emulatorSlot - len(stack) - results
	copy(e.memory[at:], stack)
	for _, r := range f.regions {
		copy(e.memory[r.at:], r.host)
		for i := range canaries {
			e.memory[r.at-1-i] = 0xa5
		}
	}
	if _, err := fmt.Fprintf(e.in, "%x %x\n", entry, e.address(at)); err != nil {
		e.t.Fatalf("%s: %v", name, err)
	}
	if s := e.line(); s != "ok" {
		return nil, fmt.Errorf("%s: %s\n%s", name, s, e.where(f, entry))
	}
	e.calls++
	for _, r := range f.regions {
		copy(r.host, e.memory[r.at:])
		if !bytes.Equal(e.memory[r.at-canaries:r.at], bytes.Repeat([]byte{0xa5}, canaries)) {
			return nil, fmt.Errorf("%s: wrote before its argument", name)
		}
	}
	return slices.Clone(e.memory[emulatorSlot-results : emulatorSlot]), nil
}

// where says what lies at the addresses of a call.
func (e *emulator) where(f *frame, entry uint64) string {
	s := fmt.Sprintf("begins at %#x; memory", entry)
	for _, r := range f.regions {
		s += fmt.Sprintf(" %#x to %#x", e.address(r.at), e.address(r.at)+uint64(len(r.host)))
	}
	return s
}

func float32At(b []byte, i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
}

// avx512 returns the set AVX512 with all of its assembly emulated.
func (e *emulator) avx512() *ops {
	o := avx512Ops
	o.block = func(t *tile) { e.call("gemm512", 0, t) }
	o.transpose = func(dst, src []float32, stride, n int) { e.call("transpose512", 0, dst, src, stride, n) }
	o.gelu = func(x, d []float32) { e.call("gelu512", 0, x, d) }
	o.geluTanh = func(x, d []float32) { e.call("geluTanh512", 0, x, d) }
	o.biasMax = func(row, top []float32, bias float32) { e.call("biasMax512", 0, row, top, bias) }
	o.expSum = func(row, top, total []float32) { e.call("expSum512", 0, row, top, total) }
	o.scaleSum = func(row, factor []float32) float32 { return float32At(e.call("scaleSum512", 8, row, factor), 0) }
	o.add = func(x, y []float32) { e.call("add512", 0, x, y) }
	o.mul = func(x, y []float32) { e.call("mul512", 0, x, y) }
	o.scale = func(x []float32, factor float32) { e.call("scale512", 0, x, factor) }
	o.sum = func(dst, x, y []float32) { e.call("sum512", 0, dst, x, y) }
	o.drop = func(dst, src []float32, words []uint16, scale float32) { e.call("drop512", 0, dst, src, words, scale) }
	o.dot = func(x, y []float32) float32 { return float32At(e.call("dot512", 8, x, y), 0) }
	o.sumSquares = func(x []float32) float64 {
		return math.Float64frombits(binary.LittleEndian.Uint64(e.call("sumSquares512", 8, x)))
	}
	o.columnSums = func(dst, x []float32, stride, rows int) { e.call("columnSums512", 0, dst, x, stride, rows) }
	o.adamW = func(w, g, m, v []float32, c *adamConstants) { e.call("adamW512", 0, w, g, m, v, c) }
	o.normRow = func(out, sum, x, sub, gain, bias []float32, eps float32) (mean, rstd float32) {
		r := e.call("normRow512", 8, out, sum, x, sub, gain, bias, eps)
		return float32At(r, 0), float32At(r, 1)
	}
	o.normRowBackward = func(ds, dout, sum, extra, gain, dgain, dbias []float32, mean, rstd float32) {
		e.call("normRowBackward512", 0, ds, dout, sum, extra, gain, dgain, dbias, mean, rstd)
	}
	o.softmax = func(s []float32, words []uint16, ranks []int32, rank int32, scale float32) (top, sum float32) {
		r := e.call("softmax512", 8, s, words, ranks, rank, scale)
		return float32At(r, 0), float32At(r, 1)
	}
	o.softmaxBackward = func(p, g []float32, words []uint16, ranks []int32, rank int32, scale, norm, delta, keep float32) {
		e.call("softmaxBackward512", 0, p, g, words, ranks, rank, scale, norm, delta, keep)
	}
	o.dropoutBits = func(words []uint16, k0, k1 uint32, row uint64, threshold uint32) {
		e.call("dropoutBits512", 0, words, k0, k1, row, threshold)
	}
	return &o
}

// bf16 returns the set AVX512BF16, emulated.
func (e *emulator) bf16() *ops {
	o := *e.avx512()
	o.blockPairs = func(t *tile) { e.call("gemmBF16", 0, t) }
	o.pairs = func(dst, src []float32) { e.call("pairs512", 0, dst, src) }
	o.interleave = func(dst, x, y []float32) { e.call("interleave512", 0, dst, x, y) }
	return &o
}

// TestEmulatedKernels runs the tests of the sets AVX512 and AVX512BF16 on a processor
// that has them. Of products of pairs, every bit must be that of the specification.
func TestEmulatedKernels(t *testing.T) {
	e := newEmulator(t)
	avx512, bf16 := variant{name: "avx512", ops: e.avx512(), serial: true}, variant{name: "bf16", ops: e.bf16(), exact: true, serial: true}
	for _, c := range []struct {
		name string
		test func(t *testing.T, variants []variant)
		v    variant
	}{
		{"Pairs", testPairsOfBF16, bf16},
		{"BlockOfPairs", testBlockOfPairs, bf16},
		{"GemmBF16", testGemmBF16, bf16},
		{"PartsBF16", testPartsBF16, bf16},
		{"AttentionBF16", testAttentionBF16, bf16},
		{"Transpose", testTranspose, avx512},
		{"Gemm", testGemm, avx512},
		{"GemmEpilogues", testGemmEpilogues, avx512},
		{"Activations", testActivationsAgree, avx512},
		{"Rows", testRowsAgree, avx512},
		{"DropoutDecisions", testDropoutDecisionsAgree, avx512},
		{"AdamW", testAdamW, avx512},
		{"Sums", testSums, avx512},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.t, e.calls = t, 0
			at := time.Now()
			c.test(t, []variant{c.v})
			if e.calls == 0 {
				t.Error("nothing was emulated")
			}
			t.Logf("%d calls, %v", e.calls, time.Since(at).Round(time.Millisecond))
		})
	}
}

// TestEmulatorSeesFaults gives functions less memory than they are told of.
func TestEmulatorSeesFaults(t *testing.T) {
	e := newEmulator(t)
	x := make([]float32, 64)
	if _, err := e.try("pairs512", 0, x[:16], x[32:64]); err != nil {
		t.Fatal(err)
	}
	short := func(n int) *tile {
		w := &tile{b: make([]float32, 32*8), ldb: 32, c: make([]float32, 3*32), ldc: 32, rows: 3, cols: 32, k: 8}
		w.setA(14, make([]float32, n), 8, 1)
		return w
	}
	if _, err := e.try("gemmBF16", 0, short(24)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]any{{"pairs512", x[:7], x[32:48]}, {"interleave512", x[:15], x[16:32], x[32:48]}, {"gemmBF16", short(23)}} {
		if _, err := e.try(args[0].(string), 0, args[1:]...); err == nil {
			t.Errorf("%v may leave its memory", args[0])
		}
	}
}

// TestEncodedInstructions disassembles the instructions that the generator encodes
// itself.
func TestEncodedInstructions(t *testing.T) {
	text, err := os.ReadFile("gemm_bf16_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	var want []string
	for line := range strings.Lines(string(text)) {
		var high uint32
		var low uint16
		_, comment, _ := strings.Cut(line, "// ")
		if n, _ := fmt.Sscanf(strings.TrimSpace(line), "LONG $0x%x; WORD $0x%x", &high, &low); n == 0 {
			continue
		} else if n != 2 || comment == "" {
			t.Fatalf("cannot read %q", line)
		}
		code = binary.LittleEndian.AppendUint32(code, high)
		code = binary.LittleEndian.AppendUint16(code, low)
		names := strings.NewReplacer(", ", ",", "Z", "%zmm", "Y", "%ymm")
		name, operands, _ := strings.Cut(strings.TrimSpace(comment), " ")
		want = append(want, strings.ToLower(name)+" "+names.Replace(operands))
	}
	if len(want) < 300 {
		t.Fatalf("%d instructions", len(want))
	}
	path := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn", path).Output()
	if err != nil {
		t.Fatalf("objdump: %v", err)
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		if _, instruction, ok := strings.Cut(line, ":\t"); ok {
			got = append(got, strings.Join(strings.Fields(instruction), " "))
		}
	}
	if !slices.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("instruction %d is %q, want %q", i, got[i], want[i])
			}
		}
		t.Fatalf("%d instructions, want %d", len(got), len(want))
	}
}
