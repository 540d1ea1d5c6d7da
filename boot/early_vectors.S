// Vectors of the first microseconds: before the MMU is on, and at EL2 and EL3, where no Rust runs.
//
// A fault here would otherwise be a silent, dark board. They print one line on the PL011, if the firmware left it running, and blink the green
// LED for ever: `!EL<n> ESR=<hex> ELR=<hex>`. No memory is written. With EL1's MMU on no device is mapped, so it goes off first, at an address
// where physical and virtual agree: TTBR0's block over this code, which mmu_on has used and `high` has closed.
//
// The LED repeats the code of docs/real-hardware.md: short blinks, pause.

.section .text.head, "ax"

.type early_vectors_on, %function
early_vectors_on:
    adr_l   x0, early_vectors
    msr     vbar_el1, x0
    cmp     x20, #2
    b.lo    1f
    msr     vbar_el2, x0
    b.eq    1f
    msr     vbar_el3, x0
1:  isb
    ret
.size early_vectors_on, . - early_vectors_on

.balign 2048
.type early_vectors, %object
early_vectors:
.rept 16
    b       early_fault
    .balign 128
.endr
.size early_vectors, . - early_vectors

.type early_fault, %function
early_fault:
    mrs     x0, CurrentEL
    lsr     x21, x0, #2
    cmp     x21, #2
    b.hi    3f
    b.eq    2f
    mrs     x22, esr_el1
    mrs     x23, elr_el1
    mrs     x20, sctlr_el1
    tbz     x20, #0, 4f
    mrs     x0, ttbr1_el1                   // the boot tables: TTBR0's level 1 is their seventh page
    add     x0, x0, #0x6000
    msr     ttbr0_el1, x0
    mov_imm x0, {tcr_el1}                   // with EPD0 clear
    msr     tcr_el1, x0
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    adr     x0, 1f
    tbz     x0, #63, 5f                     // still at a low address
    mov_imm x1, ({link_base} - {load_address})
    sub     x0, x0, x1
5:  br      x0
1:  mov     x0, #0x1005                     // M, C, I
    bic     x20, x20, x0
    msr     sctlr_el1, x20
    isb
    b       4f
2:  mrs     x22, esr_el2
    mrs     x23, elr_el2
    b       4f
3:  mrs     x22, esr_el3
    mrs     x23, elr_el3
4:  mov_imm x24, {pl011_phys}
    ldr     w0, [x24, #0x30]                // UARTCR: enabled?
    tbz     w0, #0, early_stuck
    mov     w0, #'!'
    bl      early_putc
    mov     w0, #'E'
    bl      early_putc
    mov     w0, #'L'
    bl      early_putc
    add     w0, w21, #'0'
    bl      early_putc
    adr     x26, early_text_esr
    bl      early_puts
    mov     x25, x22
    bl      early_hex
    adr     x26, early_text_elr
    bl      early_puts
    mov     x25, x23
    bl      early_hex
    mov     w0, #'\r'
    bl      early_putc
    mov     w0, #'\n'
    bl      early_putc
    b       early_stuck
.size early_fault, . - early_fault

// w0: character; x24: PL011; x1, x2 scratch. Bounded, so that a stuck UART does not keep the LED dark.
.type early_putc, %function
early_putc:
    mov     w2, #0x100000
1:  ldr     w1, [x24, #0x18]                // UARTFR.TXFF
    tbz     w1, #5, 2f
    subs    w2, w2, #1
    b.ne    1b
2:  str     w0, [x24]
    ret
.size early_putc, . - early_putc

// x26: NUL-terminated text; x27 scratch.
.type early_puts, %function
early_puts:
    mov     x27, x30
1:  ldrb    w0, [x26], #1
    cbz     w0, 2f
    bl      early_putc
    b       1b
2:  ret     x27
.size early_puts, . - early_puts

// x25: value, 16 digits; x27, x28 scratch.
.type early_hex, %function
early_hex:
    mov     x27, x30
    mov     x28, #60
1:  lsr     x0, x25, x28
    and     x0, x0, #15
    add     w1, w0, #('a' - 10)
    add     w0, w0, #'0'
    cmp     w0, #'9'
    csel    w0, w0, w1, ls
    bl      early_putc
    subs    x28, x28, #4
    b.ge    1b
    ret     x27
.size early_hex, . - early_hex

early_text_esr: .asciz " ESR="
early_text_elr: .asciz " ELR="
.balign 4

// Two short blinks and a pause, for ever: "it died before Rust". BCM2711 ARM Peripherals 5.2: GPFSEL4 holds pin 42 in bits 8:6, GPSET1 and
// GPCLR1 hold it in bit 10.
.type early_stuck, %function
early_stuck:
    mov_imm x0, {gpio_phys}
    ldr     w1, [x0, #0x10]
    bic     w1, w1, #(7 << 6)
    orr     w1, w1, #(1 << 6)
    str     w1, [x0, #0x10]
    mov     w1, #(1 << 10)
1:  mov     w3, #2
2:  str     w1, [x0, #0x20]                 // on
    bl      early_delay
    str     w1, [x0, #0x2c]                 // off
    bl      early_delay
    subs    w3, w3, #1
    b.ne    2b
    bl      early_delay
    bl      early_delay
    bl      early_delay
    bl      early_delay
    b       1b
.size early_stuck, . - early_stuck

// A fifth of a second by the system counter, which runs in every state: by its virtual view, which EL2 cannot withhold from EL1.
.type early_delay, %function
early_delay:
    mrs     x4, cntfrq_el0
    mov     x5, #5
    udiv    x4, x4, x5
    mrs     x5, cntvct_el0
1:  isb
    mrs     x6, cntvct_el0
    sub     x6, x6, x5
    cmp     x6, x4
    b.lo    1b
    ret
.size early_delay, . - early_delay
