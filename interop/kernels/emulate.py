"""Runs functions of a Go program on an emulated processor.

    emulate.py PROGRAM MEMORY SLOT

maps the segments of PROGRAM, an ELF executable at fixed addresses, and the slots of
SLOT bytes that the file MEMORY is made of into a Bochs processor with AVX-512 and
its bf16 instructions. Between two slots no memory is mapped, so that a function that
reads or writes beyond its end faults. For each line

    FUNCTION STACK

of standard input, both addresses in hexadecimal, it calls the function with the
stack pointer at the return address below its arguments, with junk in all other
registers, and prints "ok" when it has returned, or "fault" and what happened. The
first line printed holds the address of the first slot, the distance of two, and the
address that functions are to return to.
"""

import ctypes
import mmap
import os
import struct
import sys

import bochscpu
import bochscpu.cpu
import bochscpu.memory

PAGE = 4096
# Where slot i lies: at FIRST + 2*i*SLOT.
FIRST = 0x10_0000_0000
# Where functions return to: a page of halts.
HALT = 0x8_0000_0000
# Physical addresses are given out in order from here.
PHYSICAL = 0x1000_0000
PRESENT_WRITABLE = 3
# No address and no number.
JUNK = 0xFFFD_5A5A_FFFD_5A5A


class Machine:
    def __init__(self, program, memory, slot):
        self.session = bochscpu.Session()
        self.session.missing_page_handler = self.missing
        self.fault = None
        self.next = PHYSICAL
        self.keep = []
        self.levels = {}
        self.tables = self.address(self.pages(bytes(PAGE)))
        self.root = self.page(self.tables)
        self.load(program)
        size = os.path.getsize(memory)
        if size % slot or slot % PAGE:
            raise ValueError(f"{size} bytes are not slots of {slot}")
        with open(memory, "r+b") as f:
            host = mmap.mmap(f.fileno(), size)
        base = self.address(host)
        for i in range(size // slot):
            self.map(FIRST + 2 * i * slot, base + i * slot, slot)
        self.map(HALT, self.address(self.pages(b"\xf4" * PAGE)), PAGE)
        self.prepare()

    def missing(self, gpa):
        self.fault = self.fault or f"no memory at physical {gpa:#x}"
        self.session.stop()

    def pages(self, data):
        """Host pages that hold data."""
        host = mmap.mmap(-1, (len(data) + PAGE - 1) // PAGE * PAGE)
        host[: len(data)] = data
        return host

    def address(self, host):
        view = (ctypes.c_char * len(host)).from_buffer(host)
        self.keep.append((host, view))
        return ctypes.addressof(view)

    def page(self, hva):
        """Gives the host's page the next physical address."""
        self.next += PAGE
        bochscpu.memory.page_insert(self.next, hva)
        return self.next

    def entry(self, va):
        """A pointer to the entry for a page in its page table."""
        table, path = self.tables, ()
        for shift in (39, 30, 21, 12):
            index = va >> shift & 511
            entry = ctypes.cast(table + 8 * index, ctypes.POINTER(ctypes.c_uint64))
            path += (index,)
            if shift == 12:
                return entry
            if path not in self.levels:
                self.levels[path] = self.address(self.pages(bytes(PAGE)))
                entry[0] = self.page(self.levels[path]) | PRESENT_WRITABLE
            table = self.levels[path]

    def map(self, va, hva, size):
        for at in range(0, size, PAGE):
            self.entry(va + at)[0] = self.page(hva + at) | PRESENT_WRITABLE

    def load(self, program):
        with open(program, "rb") as f:
            data = f.read()
        if data[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<HH", data, 16) != (2, 62):
            raise ValueError(f"{program} is no x86-64 ELF executable at fixed addresses")
        at, = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        for i in range(count):
            kind, _, offset, va, _, held, total, _ = struct.unpack_from("<IIQQQQQQ", data, at + i * size)
            if kind != 1 or not total:
                continue
            lead = va % PAGE
            host = self.pages(bytes(lead) + data[offset : offset + held] + bytes(total - held))
            self.map(va - lead, self.address(host), len(host))

    def prepare(self):
        state = bochscpu.State()
        bochscpu.cpu.set_long_mode(state)
        state.cr4 = state.cr4 | 1 << 9 | 1 << 10 | 1 << 18  # OSFXSR, OSXMMEXCPT, OSXSAVE
        state.xcr0 = 0xE7  # x87, SSE, AVX, masks and both halves of the registers of AVX-512
        state.cr3 = self.root
        state.rflags = 2
        state.mxcsr = 0x1F80
        state.mxcsr_mask = 0xFFFF
        state.fpcw = 0x37F
        for name, attributes in (("cs", 0xA09B), ("ss", 0xC093), ("ds", 0xC093), ("es", 0xC093), ("fs", 0xC093), ("gs", 0xC093)):
            segment = bochscpu.Segment()
            segment.present, segment.selector, segment.base = True, 0x10, 0
            segment.limit, segment.attr = 0xFFFFFFFF, attributes
            setattr(state, name, segment)
        for name in ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", *(f"r{i}" for i in range(8, 16))):
            setattr(state, name, JUNK)
        registers = state.zmm
        for register in registers:
            register.q = [JUNK] * 8
        state.zmm = registers
        self.state = state
        hook = bochscpu.Hook()
        hook.exception = self.exception
        hook.hlt = lambda session, cpu: session.stop()
        self.hooks = [hook]

    def exception(self, session, cpu, vector, error):
        kind = bochscpu.cpu.ExceptionType(vector)
        self.fault = self.fault or f"{kind} at {session.cpu.rip:#x}, address {session.cpu.cr2:#x}"
        session.stop()

    def call(self, function, stack):
        self.fault = None
        state = self.state
        state.rip, state.rsp = function, stack
        self.session.cpu.state = state
        self.session.run(self.hooks)
        cpu = self.session.cpu
        if not self.fault and (cpu.rip, cpu.rsp) != (HALT + 1, stack + 8):
            self.fault = f"stopped at {cpu.rip:#x}, stack {cpu.rsp:#x}"
        return self.fault


def main():
    program, memory, slot = sys.argv[1], sys.argv[2], int(sys.argv[3])
    machine = Machine(program, memory, slot)
    print(f"{FIRST:x} {2 * slot:x} {HALT:x}", flush=True)
    for line in sys.stdin:
        function, stack = (int(x, 16) for x in line.split())
        fault = machine.call(function, stack)
        print(f"fault: {fault}" if fault else "ok", flush=True)


if __name__ == "__main__":
    main()
    # The library reports what it leaks at a usual end.
    os._exit(0)
