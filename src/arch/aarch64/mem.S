// memcpy, memmove and memset: what the compiler calls for every copy and fill that it does not do itself (AAPCS64; the names are C's).
//
// General registers only, since the kernel has no FP state; x18 is the count word and is not touched. Unaligned accesses are allowed on Normal memory
// (SCTLR_EL1.A is 0), so what is no multiple of a word is done by two accesses that overlap in the middle. Up to 64 bytes everything is loaded before
// anything is stored: memmove shares that part.

// ---- memcpy: x0 to, x1 from, x2 bytes -> x0 ------------------------------------------------------------------------------------------------
.section .text.memcpy, "ax"
.balign 64
.globl memcpy
.type memcpy, %function
memcpy:
    cmp     x2, #64
    b.hi    .Lcopy_long
.Lcopy_short:                                 // 0 to 64 bytes, all loaded first
    cmp     x2, #16
    b.lo    .Lcopy_15
    add     x4, x1, x2
    add     x5, x0, x2
    ldp     x6, x7, [x1]
    ldp     x8, x9, [x4, #-16]
    cmp     x2, #32
    b.hi    .Lcopy_33_to_64
    stp     x6, x7, [x0]
    stp     x8, x9, [x5, #-16]
    ret
.Lcopy_33_to_64:
    ldp     x10, x11, [x1, #16]
    ldp     x12, x13, [x4, #-32]
    stp     x6, x7, [x0]
    stp     x10, x11, [x0, #16]
    stp     x12, x13, [x5, #-32]
    stp     x8, x9, [x5, #-16]
    ret
.Lcopy_15:                                    // 0 to 15
    add     x4, x1, x2
    add     x5, x0, x2
    tbz     x2, #3, .Lcopy_7
    ldr     x6, [x1]
    ldr     x7, [x4, #-8]
    str     x6, [x0]
    str     x7, [x5, #-8]
    ret
.Lcopy_7:
    tbz     x2, #2, .Lcopy_3
    ldr     w6, [x1]
    ldr     w7, [x4, #-4]
    str     w6, [x0]
    str     w7, [x5, #-4]
    ret
.Lcopy_3:
    tbz     x2, #1, .Lcopy_1
    ldrh    w6, [x1]
    ldrb    w7, [x4, #-1]
    strh    w6, [x0]
    strb    w7, [x5, #-1]
    ret
.Lcopy_1:
    cbz     x2, 1f
    ldrb    w6, [x1]
    strb    w6, [x0]
1:  ret

.Lcopy_long:                                  // 65 and more, no overlap; x3 = to, since x0 is the result
    mov     x3, x0
    tst     x0, #15
    b.ne    .Lcopy_align
.Lcopy_aligned:
    subs    x2, x2, #256
    b.lo    .Lcopy_255
.macro copy_64 at
    ldp     x6, x7, [x1, #\at]
    ldp     x8, x9, [x1, #\at + 16]
    ldp     x10, x11, [x1, #\at + 32]
    ldp     x12, x13, [x1, #\at + 48]
    stp     x6, x7, [x3, #\at]
    stp     x8, x9, [x3, #\at + 16]
    stp     x10, x11, [x3, #\at + 32]
    stp     x12, x13, [x3, #\at + 48]
.endm
2:  copy_64 64
    copy_64 128
    copy_64 192
    ldp     x8, x9, [x1, #16]
    ldp     x10, x11, [x1, #32]
    ldp     x12, x13, [x1, #48]
    ldp     x6, x7, [x1], #256              // the pointer moves with the last load, and below with the last store
    stp     x8, x9, [x3, #16]
    stp     x10, x11, [x3, #32]
    stp     x12, x13, [x3, #48]
    stp     x6, x7, [x3], #256
    subs    x2, x2, #256
    b.hs    2b
.Lcopy_255:                                   // x2 = what is left, less 256
    adds    x2, x2, #256
    b.ne    3f
    ret
3:  add     x4, x1, x2
    add     x5, x3, x2
    subs    x2, x2, #64
    b.ls    5f
4:  copy_64 0
    add     x1, x1, #64
    add     x3, x3, #64
    subs    x2, x2, #64
    b.hi    4b
5:  ldp     x6, x7, [x4, #-64]              // the last 64: some of them were copied already, or came before what was asked for here
    ldp     x8, x9, [x4, #-48]
    ldp     x10, x11, [x4, #-32]
    ldp     x12, x13, [x4, #-16]
    stp     x6, x7, [x5, #-64]
    stp     x8, x9, [x5, #-48]
    stp     x10, x11, [x5, #-32]
    stp     x12, x13, [x5, #-16]
    ret
.Lcopy_align:                                 // stores that cross a line cost more than loads that do: align those
    ldp     x6, x7, [x1]
    stp     x6, x7, [x0]
    orr     x3, x0, #15
    add     x3, x3, #1
    sub     x4, x3, x0
    add     x1, x1, x4
    sub     x2, x2, x4
    b       .Lcopy_aligned
.size memcpy, . - memcpy

// ---- memmove: as memcpy, and the two may overlap -------------------------------------------------------------------------------------------
.section .text.memmove, "ax"
.balign 64
.globl memmove
.type memmove, %function
memmove:
    cmp     x2, #64
    b.ls    .Lcopy_short
    sub     x4, x0, x1
    cmp     x4, x2
    b.lo    .Lmove_up                         // the end of `from` lies in `to`: last bytes first
    sub     x4, x1, x0
    cmp     x4, x2
    b.hs    .Lcopy_long
    mov     x3, x0                          // the end of `to` lies in `from`: first bytes first
1:  copy_64 0                               // 64 bytes are loaded before any is stored, so any distance will do
    add     x1, x1, #64
    add     x3, x3, #64
    sub     x2, x2, #64
    cmp     x2, #64
    b.hs    1b
    tbz     x2, #5, 2f                      // what is left, by the bits of its number
    ldp     x6, x7, [x1], #16
    ldp     x8, x9, [x1], #16
    stp     x6, x7, [x3], #16
    stp     x8, x9, [x3], #16
2:  tbz     x2, #4, 3f
    ldp     x6, x7, [x1], #16
    stp     x6, x7, [x3], #16
3:  tbz     x2, #3, 4f
    ldr     x6, [x1], #8
    str     x6, [x3], #8
4:  tbz     x2, #2, 5f
    ldr     w6, [x1], #4
    str     w6, [x3], #4
5:  tbz     x2, #1, 6f
    ldrh    w6, [x1], #2
    strh    w6, [x3], #2
6:  tbz     x2, #0, 7f
    ldrb    w6, [x1]
    strb    w6, [x3]
7:  ret

.Lmove_up:
    add     x1, x1, x2
    add     x3, x0, x2
1:  ldp     x6, x7, [x1, #-16]
    ldp     x8, x9, [x1, #-32]
    ldp     x10, x11, [x1, #-48]
    ldp     x12, x13, [x1, #-64]!
    stp     x6, x7, [x3, #-16]
    stp     x8, x9, [x3, #-32]
    stp     x10, x11, [x3, #-48]
    stp     x12, x13, [x3, #-64]!
    sub     x2, x2, #64
    cmp     x2, #64
    b.hs    1b
    tbz     x2, #5, 2f
    ldp     x6, x7, [x1, #-16]
    ldp     x8, x9, [x1, #-32]!
    stp     x6, x7, [x3, #-16]
    stp     x8, x9, [x3, #-32]!
2:  tbz     x2, #4, 3f
    ldp     x6, x7, [x1, #-16]!
    stp     x6, x7, [x3, #-16]!
3:  tbz     x2, #3, 4f
    ldr     x6, [x1, #-8]!
    str     x6, [x3, #-8]!
4:  tbz     x2, #2, 5f
    ldr     w6, [x1, #-4]!
    str     w6, [x3, #-4]!
5:  tbz     x2, #1, 6f
    ldrh    w6, [x1, #-2]!
    strh    w6, [x3, #-2]!
6:  tbz     x2, #0, 7f
    ldrb    w6, [x1, #-1]
    strb    w6, [x3, #-1]
7:  ret
.size memmove, . - memmove

// ---- memset: x0 to, w1 byte, x2 bytes -> x0 ------------------------------------------------------------------------------------------------
.section .text.memset, "ax"
.balign 64
.globl memset
.type memset, %function
memset:
    mov     x3, #0x0101010101010101
    and     x1, x1, #0xff
    mul     x1, x1, x3
    add     x5, x0, x2
    cmp     x2, #64
    b.hs    .Lset_long
    cmp     x2, #16
    b.lo    .Lset_15
    stp     x1, x1, [x0]
    stp     x1, x1, [x5, #-16]
    cmp     x2, #32
    b.ls    1f
    stp     x1, x1, [x0, #16]
    stp     x1, x1, [x5, #-32]
1:  ret
.Lset_15:
    tbz     x2, #3, 2f
    str     x1, [x0]
    str     x1, [x5, #-8]
    ret
2:  tbz     x2, #2, 3f
    str     w1, [x0]
    str     w1, [x5, #-4]
    ret
3:  tbz     x2, #1, 4f
    strh    w1, [x0]
    strh    w1, [x5, #-2]
    ret
4:  cbz     x2, 5f
    strb    w1, [x0]
5:  ret

.Lset_long:                                   // 64 and more; x3 = at, x5 = end
    cbz     x1, .Lclear_long
    stp     x1, x1, [x0]
    orr     x3, x0, #15
    add     x3, x3, #1                      // the next multiple of 16
    sub     x2, x5, x3
    subs    x2, x2, #64
    b.ls    2f
1:  stp     x1, x1, [x3]
    stp     x1, x1, [x3, #16]
    stp     x1, x1, [x3, #32]
    stp     x1, x1, [x3, #48]
    add     x3, x3, #64
    subs    x2, x2, #64
    b.hi    1b
2:  stp     x1, x1, [x5, #-64]              // the last 64, some of them for the second time
    stp     x1, x1, [x5, #-48]
    stp     x1, x1, [x5, #-32]
    stp     x1, x1, [x5, #-16]
    ret

// Zeros go by DC ZVA, 64 bytes at a time (`page.rs` says why that is the block's size), for which memory must be Normal.
.Lclear_long:
    mov     x3, x0
    tst     x0, #63
    b.ne    .Lclear_align
.Lclear_aligned:
    sub     x2, x5, x3
    subs    x2, x2, #512
    b.lo    2f
1:
.rept 8
    dc      zva, x3
    add     x3, x3, #64
.endr
    subs    x2, x2, #512
    b.hs    1b
2:  adds    x2, x2, #448                    // less 64 now
    b.lo    4f
3:  dc      zva, x3
    add     x3, x3, #64
    subs    x2, x2, #64
    b.hs    3b
4:  cmp     x3, x5
    b.eq    5f
    stp     xzr, xzr, [x5, #-64]
    stp     xzr, xzr, [x5, #-48]
    stp     xzr, xzr, [x5, #-32]
    stp     xzr, xzr, [x5, #-16]
5:  ret
.Lclear_align:                                // the first bytes, up to a multiple of 64
    stp     xzr, xzr, [x0]
    stp     xzr, xzr, [x0, #16]
    stp     xzr, xzr, [x0, #32]
    stp     xzr, xzr, [x0, #48]
    orr     x3, x0, #63
    add     x3, x3, #1
    b       .Lclear_aligned
.size memset, . - memset
