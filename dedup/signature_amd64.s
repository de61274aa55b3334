#include "textflag.h"

// The kernels keep V vectors of sixteen 32-bit lanes of the signature in Z0..,
// the factors in Z8.. and the summands in Z16.., and pass over the shingles once.
// Of a shingle the upper 32 bits are used.

#define STEP(sig, fac, sum, tmp) \
	VPMULLD Z31, fac, tmp \
	VPADDD sum, tmp, tmp \
	VPMINUD tmp, sig, sig

#define ARGS \
	MOVQ sig+0(FP), DI \
	MOVQ a+8(FP), SI \
	MOVQ b+16(FP), DX \
	MOVQ shingles+24(FP), BX \
	MOVQ n+32(FP), CX

#define IN(off, sig, fac, sum) \
	VMOVDQU32 off(DI), sig \
	VMOVDQU32 off(SI), fac \
	VMOVDQU32 off(DX), sum

// func update8(sig, a, b *uint32, shingles *uint64, n int)
TEXT ·update8(SB), NOSPLIT, $0-40
	ARGS
	IN(0, Z0, Z8, Z16)
	IN(64, Z1, Z9, Z17)
	IN(128, Z2, Z10, Z18)
	IN(192, Z3, Z11, Z19)
	IN(256, Z4, Z12, Z20)
	IN(320, Z5, Z13, Z21)
	IN(384, Z6, Z14, Z22)
	IN(448, Z7, Z15, Z23)

loop:
	TESTQ CX, CX
	JEQ   done
	VPBROADCASTD 4(BX), Z31
	STEP(Z0, Z8, Z16, Z24)
	STEP(Z1, Z9, Z17, Z25)
	STEP(Z2, Z10, Z18, Z26)
	STEP(Z3, Z11, Z19, Z27)
	STEP(Z4, Z12, Z20, Z28)
	STEP(Z5, Z13, Z21, Z29)
	STEP(Z6, Z14, Z22, Z30)
	STEP(Z7, Z15, Z23, Z24)
	ADDQ $8, BX
	DECQ CX
	JMP  loop

done:
	VMOVDQU32 Z0, 0(DI)
	VMOVDQU32 Z1, 64(DI)
	VMOVDQU32 Z2, 128(DI)
	VMOVDQU32 Z3, 192(DI)
	VMOVDQU32 Z4, 256(DI)
	VMOVDQU32 Z5, 320(DI)
	VMOVDQU32 Z6, 384(DI)
	VMOVDQU32 Z7, 448(DI)
	VZEROUPPER
	RET

// func update7(sig, a, b *uint32, shingles *uint64, n int)
TEXT ·update7(SB), NOSPLIT, $0-40
	ARGS
	IN(0, Z0, Z8, Z16)
	IN(64, Z1, Z9, Z17)
	IN(128, Z2, Z10, Z18)
	IN(192, Z3, Z11, Z19)
	IN(256, Z4, Z12, Z20)
	IN(320, Z5, Z13, Z21)
	IN(384, Z6, Z14, Z22)

loop:
	TESTQ CX, CX
	JEQ   done
	VPBROADCASTD 4(BX), Z31
	STEP(Z0, Z8, Z16, Z24)
	STEP(Z1, Z9, Z17, Z25)
	STEP(Z2, Z10, Z18, Z26)
	STEP(Z3, Z11, Z19, Z27)
	STEP(Z4, Z12, Z20, Z28)
	STEP(Z5, Z13, Z21, Z29)
	STEP(Z6, Z14, Z22, Z30)
	ADDQ $8, BX
	DECQ CX
	JMP  loop

done:
	VMOVDQU32 Z0, 0(DI)
	VMOVDQU32 Z1, 64(DI)
	VMOVDQU32 Z2, 128(DI)
	VMOVDQU32 Z3, 192(DI)
	VMOVDQU32 Z4, 256(DI)
	VMOVDQU32 Z5, 320(DI)
	VMOVDQU32 Z6, 384(DI)
	VZEROUPPER
	RET

// func update1(sig, a, b *uint32, shingles *uint64, n int)
TEXT ·update1(SB), NOSPLIT, $0-40
	ARGS
	IN(0, Z0, Z8, Z16)

loop:
	TESTQ CX, CX
	JEQ   done
	VPBROADCASTD 4(BX), Z31
	STEP(Z0, Z8, Z16, Z24)
	ADDQ $8, BX
	DECQ CX
	JMP  loop

done:
	VMOVDQU32 Z0, 0(DI)
	VZEROUPPER
	RET

// The AVX2 kernels keep vectors of eight lanes: the signature in Y0.., the
// factors in Y7.., and read the summands from memory.

#define STEP2(off, sig, fac) \
	VPMULLD Y15, fac, Y14 \
	VPADDD off(DX), Y14, Y14 \
	VPMINUD Y14, sig, sig

// func update7x8(sig, a, b *uint32, shingles *uint64, n int)
TEXT ·update7x8(SB), NOSPLIT, $0-40
	ARGS
	VMOVDQU 0(DI), Y0
	VMOVDQU 0(SI), Y7
	VMOVDQU 32(DI), Y1
	VMOVDQU 32(SI), Y8
	VMOVDQU 64(DI), Y2
	VMOVDQU 64(SI), Y9
	VMOVDQU 96(DI), Y3
	VMOVDQU 96(SI), Y10
	VMOVDQU 128(DI), Y4
	VMOVDQU 128(SI), Y11
	VMOVDQU 160(DI), Y5
	VMOVDQU 160(SI), Y12
	VMOVDQU 192(DI), Y6
	VMOVDQU 192(SI), Y13

loop:
	TESTQ CX, CX
	JEQ   done
	VPBROADCASTD 4(BX), Y15
	STEP2(0, Y0, Y7)
	STEP2(32, Y1, Y8)
	STEP2(64, Y2, Y9)
	STEP2(96, Y3, Y10)
	STEP2(128, Y4, Y11)
	STEP2(160, Y5, Y12)
	STEP2(192, Y6, Y13)
	ADDQ $8, BX
	DECQ CX
	JMP  loop

done:
	VMOVDQU Y0, 0(DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, 64(DI)
	VMOVDQU Y3, 96(DI)
	VMOVDQU Y4, 128(DI)
	VMOVDQU Y5, 160(DI)
	VMOVDQU Y6, 192(DI)
	VZEROUPPER
	RET

// func update2x8(sig, a, b *uint32, shingles *uint64, n int)
TEXT ·update2x8(SB), NOSPLIT, $0-40
	ARGS
	VMOVDQU 0(DI), Y0
	VMOVDQU 0(SI), Y7
	VMOVDQU 32(DI), Y1
	VMOVDQU 32(SI), Y8

loop:
	TESTQ CX, CX
	JEQ   done
	VPBROADCASTD 4(BX), Y15
	STEP2(0, Y0, Y7)
	STEP2(32, Y1, Y8)
	ADDQ $8, BX
	DECQ CX
	JMP  loop

done:
	VMOVDQU Y0, 0(DI)
	VMOVDQU Y1, 32(DI)
	VZEROUPPER
	RET
