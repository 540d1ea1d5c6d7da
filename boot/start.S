// The first instructions: from whatever the firmware left to Rust on a high address, MMU and caches on.
//
// Every core comes through here once. Core 0 builds the page tables; the others wait in the pen below or in the firmware's spin table until
// `smp::start_secondaries` releases them. No exclusive access, so no lock and no atomic, runs before `mmu_on`: with the MMU off the Cortex-A72
// treats all memory as Device, where exclusives are not supported (Arm ARM DDI 0487, B2.9.2).
//
// Code here runs at its physical address until `mmu_on` has jumped to the link address; `adr` and `adrp` are PC-relative and so give physical
// addresses before, virtual ones after. Constants in braces come from src/arch/aarch64/boot.rs.
//
// Registers that live through core 0's boot:
//   x19  x0 as the firmware left it (a device tree, ATAGS, or noise)      x22  physical end of everything the kernel occupies
//   x20  exception level at entry                                         x23  physical base of the page tables
//   x21  physical end of the symbol table (after its move)                x24  physical address of the symbol table in the file, x25 its length
// docs/boot.md tells the same story in pictures.

.macro adr_l reg, sym                       // address of `sym`, +-4 GiB
    adrp    \reg, \sym
    add     \reg, \reg, #:lo12:\sym
.endm

.macro mov_imm reg, value                   // any 64-bit constant
    movz    \reg, #((\value) & 0xffff)
    movk    \reg, #(((\value) >> 16) & 0xffff), lsl #16
    movk    \reg, #(((\value) >> 32) & 0xffff), lsl #32
    movk    \reg, #(((\value) >> 48) & 0xffff), lsl #48
.endm

.section .text.head, "ax"

// ---- Image header: tools/ and the kernel read it, the firmware only runs its first word. No "ARM\x64" magic at 0x38: with that magic the
// firmware would choose the load address by Linux's rules instead of loading a raw image at kernel_address. -----------------------------
.globl _start
.type _start, %function
_start:
    b       entry
    .word   0
    .quad   {image_end} - {link_base}       // bytes in memory, bss included
symtab_offset:
    .quad   0                               // filled in when the symbol table is appended
symtab_len:
    .quad   0
    .quad   {link_base}
    .quad   1                               // version of this header
    .ascii  "TETRAKRN"
    .quad   0
.size _start, . - _start

// ---- Entry, any exception level, any core -----------------------------------------------------------------------------------------------
.balign 4
.type entry, %function
entry:
    msr     daifset, #15
    mov     x19, x0
    mrs     x20, CurrentEL
    lsr     x20, x20, #2
    bl      early_vectors_on
    bl      caches_off                      // a boot loader may have left them on
    mrs     x0, mpidr_el1
    and     x0, x0, #0xff
    cbnz    x0, pen

    bl      move_to_link_offset             // loaded elsewhere than at 0x80000: copy, and go on there
    bl      early_vectors_on                // those of the copy
    bl      drop_to_el1
    bl      build_page_tables
    bl      mmu_on                          // returns at the link address, stack not yet set
    b       primary_high
.size entry, . - entry

// Secondary cores that the firmware did not hold (an ELF loader starts all four at once). Core 0 writes the entry into `pen_release`, cleans
// it to the point of coherency and sends an event: the caches of this core are off, so it reads memory. The word is read before the first
// wait: a core that comes late has missed its event. If core 0 had to move the image, it sends whoever waits in the old place here.
.type pen, %function
pen:
    ic      iallu                           // after a move other instructions lie here than before
    dsb     nsh
    isb
    adr_l   x1, pen_release
1:  ldr     x2, [x1, x0, lsl #3]
    cbnz    x2, 2f
    wfe
    b       1b
2:  br      x2
.size pen, . - pen

// Released cores start here, from the spin table or the pen: physical address, caches off, any exception level.
.globl secondary_entry
.type secondary_entry, %function
secondary_entry:
    msr     daifset, #15
    mrs     x20, CurrentEL
    lsr     x20, x20, #2
    bl      caches_off
    bl      early_vectors_on
    bl      drop_to_el1
    adr_l   x23, boot_page_tables
    ldr     x23, [x23]                      // core 0 cleaned it to memory
    bl      mmu_on
    b       secondary_high
.size secondary_entry, . - secondary_entry

// ---- Cache state at entry -----------------------------------------------------------------------------------------------------------------
// The firmware enters with MMU and caches off. A chain loader may not: then clean and invalidate the image by address, since the caches may
// hold the only copy, and switch them off (Arm ARM D8.2.12: cacheability changes need the lines gone). The registers x0-x5 are scratch.
.type caches_off, %function
caches_off:
    cmp     x20, #2
    b.hi    3f
    b.eq    2f
    mrs     x0, sctlr_el1
    b       4f
2:  mrs     x0, sctlr_el2
    b       4f
3:  mrs     x0, sctlr_el3
4:  mov     x1, #0x5                        // M and C
    tst     x0, x1
    b.eq    9f

    mov     x5, x0
    adr     x0, _start
    ldr     x1, symtab_offset
    ldr     x2, symtab_len
    adds    x2, x1, x2
    b.ne    5f
    ldr     x2, =({data_end} - {link_base})
5:  add     x1, x0, x2
    mov     x4, x30
    bl      clean_invalidate_range
    mov     x30, x4
    mov     x1, #0x1005                     // I too
    bic     x0, x5, x1
    cmp     x20, #2
    b.hi    7f
    b.eq    6f
    msr     sctlr_el1, x0
    isb
    tlbi    vmalle1
    b       8f
6:  msr     sctlr_el2, x0
    isb
    tlbi    alle2
    b       8f
7:  msr     sctlr_el3, x0
    isb
    tlbi    alle3
8:  ic      iallu
    dsb     nsh
    isb
9:  ret
.size caches_off, . - caches_off

// x0 start, x1 end; x2, x3 scratch. To the point of coherency.
.type clean_invalidate_range, %function
clean_invalidate_range:
    mrs     x3, ctr_el0
    ubfx    x3, x3, #16, #4                 // DminLine: log2 of words
    mov     x2, #4
    lsl     x2, x2, x3
    sub     x3, x2, #1
    bic     x0, x0, x3
1:  dc      civac, x0
    add     x0, x0, x2
    cmp     x0, x1
    b.lo    1b
    dsb     sy
    ret
.size clean_invalidate_range, . - clean_invalidate_range

// The same, discarding: for memory whose newest content was written with the caches off.
.type invalidate_range, %function
invalidate_range:
    mrs     x3, ctr_el0
    ubfx    x3, x3, #16, #4
    mov     x2, #4
    lsl     x2, x2, x3
    sub     x3, x2, #1
    bic     x0, x0, x3
1:  dc      ivac, x0
    add     x0, x0, x2
    cmp     x0, x1
    b.lo    1b
    dsb     sy
    ret
.size invalidate_range, . - invalidate_range

// ---- Load address -------------------------------------------------------------------------------------------------------------------------
// The link map wants physical 0x80000. A firmware without `kernel_address` may load at 0x200000: copy down, upwards in memory, which is safe
// for a lower target as long as this loop itself is not overwritten: the code that runs lies in the first page of the source, so a target
// that reaches into it is refused (the LED says so).
.type move_to_link_offset, %function
move_to_link_offset:
    adr     x0, _start
    mov     x1, #{load_address}
    cmp     x0, x1
    b.eq    9f
    ldr     x2, symtab_offset
    ldr     x3, symtab_len
    adds    x3, x2, x3
    b.ne    1f
    ldr     x3, =({data_end} - {link_base})
1:  add     x4, x1, x3
    cmp     x4, x0
    b.hi    early_stuck                     // target would overwrite this code
    adr_l   x10, pen_release                // of the old place
    adr     x11, pen
    sub     x11, x11, x0
    add     x11, x11, x1                    // of the new one
    mov     x9, x30
    mov     x12, x0                         // a boot loader's dirty lines must not be evicted over the copy, nor its clean ones be read
    mov     x13, x1
    mov     x0, x1
    mov     x1, x4
    bl      invalidate_range
    mov     x0, x12
    mov     x1, x13
    mov     x30, x9
    mov     x5, x0
    mov     x6, x1
2:  ldp     x7, x8, [x5], #16
    stp     x7, x8, [x6], #16
    cmp     x6, x4
    b.lo    2b
    sub     x30, x30, x0
    add     x30, x30, x1
    ic      iallu                           // the caches are off, so the copy is in memory already
    dsb     nsh
    isb
    mov     x12, #8                         // words of pen_release
3:  str     x11, [x10], #8
    subs    x12, x12, #1
    b.ne    3b
    dsb     sy
    sev
9:  ret
.size move_to_link_offset, . - move_to_link_offset

// ---- Exception levels ---------------------------------------------------------------------------------------------------------------------
// Leaves the core at EL1 with SPSel = 1, all interrupts masked, MMU off, and every register that EL2 and EL3 hold over EL1 set, whatever
// the firmware did. Returns to its caller at EL1.
.type drop_to_el1, %function
drop_to_el1:
    mov     x9, x30
    cmp     x20, #2
    b.lo    at_el1
    b.eq    at_el2

    // EL3: nobody ran before us, so do what the Pi's armstub does. The system counter runs from the crystal, undivided (BCM2711 ARM Peripherals
    // 6.5.1, 6.5.2: ARM_LOCAL_CONTROL, PRESCALER); the L2 RAMs get the board's latencies (Cortex-A72 TRM 4.3.63). Non-secure lower levels,
    // AArch64, HVC on, SMC undefined (no firmware to call).
    mov_imm x0, {arm_local_phys}
    str     wzr, [x0]
    mov     w1, #0x80000000
    str     w1, [x0, #8]
    mrs     x0, s3_1_c11_c0_2               // L2CTLR_EL1
    mov     x1, #0x22                       // data RAM latency 3 cycles, and a setup cycle
    orr     x0, x0, x1
    msr     s3_1_c11_c0_2, x0
    mov_imm x0, {scr_el3}
    msr     scr_el3, x0
    msr     cptr_el3, xzr
    msr     mdcr_el3, xzr
    mrs     x0, cntfrq_el0
    cbnz    x0, 1f
    mov_imm x0, 54000000                    // the Pi's crystal; an emulator that presets another rate keeps it
    msr     cntfrq_el0, x0
1:  mrs     x0, s3_1_c15_c2_1               // CPUECTLR_EL1.SMPEN: join coherency before caches go on (Cortex-A72 TRM 4.3.67)
    orr     x0, x0, #(1 << 6)
    msr     s3_1_c15_c2_1, x0
    bl      gic_to_group1
    mov_imm x0, {sctlr_el2}
    msr     sctlr_el2, x0
    mov     x0, #{spsr_el2h}
    msr     spsr_el3, x0
    adr     x0, at_el2
    msr     elr_el3, x0
    isb
    eret

at_el2:
    mov_imm x0, {sctlr_el2}
    msr     sctlr_el2, x0
    isb
    mov     x0, #(1 << 31)                  // HCR_EL2: EL1 is AArch64, nothing is trapped or routed here
    msr     hcr_el2, x0
    mov     x0, #3                          // EL1 may use the physical counter and timer
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mov     x0, #0x33ff                     // RES1 bits only: no trap of FP or of CPACR
    msr     cptr_el2, x0
    msr     hstr_el2, xzr
    msr     vttbr_el2, xzr
    mrs     x0, pmcr_el0
    ubfx    x0, x0, #11, #5                 // MDCR_EL2.HPMN = all event counters belong to EL1; no debug or PMU trap
    msr     mdcr_el2, x0
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0
    mov_imm x0, {sctlr_el1_off}
    msr     sctlr_el1, x0
    mov     x0, #{spsr_el1h}
    msr     spsr_el2, x0
    adr     x0, at_el1
    msr     elr_el2, x0
    isb
    eret

at_el1:
    mov_imm x0, {sctlr_el1_off}
    msr     sctlr_el1, x0
    msr     spsel, #1
    msr     cpacr_el1, xzr                  // FP and SIMD trap: the kernel is built without them
    msr     cntkctl_el1, xzr
    msr     mdscr_el1, xzr
    msr     contextidr_el1, xzr
    msr     pmuserenr_el0, xzr
    msr     csselr_el1, xzr
    msr     tpidr_el0, xzr
    msr     tpidr_el1, xzr
    msr     tpidrro_el0, xzr
    msr     oslar_el1, xzr                  // unlock: debug exceptions as MDSCR_EL1 says
    mov     x18, xzr
    mov     x29, xzr
    isb
    ret     x9
.size drop_to_el1, . - drop_to_el1

// Secure side of the GIC, only when entered at EL3 (ARM IHI 0048B 4.3.4): all lines to group 1, priority mask open for the non-secure side.
// SGIs and PPIs (register 0) are banked, so each core does this; the shared registers may be written twice with the same value. A GIC
// without a secure side (QEMU's) shows the kernel both groups, and is driven through group 0, where its lines are: it stays as it is.
.type gic_to_group1, %function
gic_to_group1:
    mov_imm x0, {gicd_phys}
    ldr     w2, [x0, #4]                    // GICD_TYPER
    tbz     w2, #10, 2f                     // SecurityExtn
    and     w2, w2, #31                     // ITLinesNumber
    mov     w1, #3                          // GICD_CTLR: both groups forwarded
    str     w1, [x0]
    add     x3, x0, #0x80                   // GICD_IGROUPR0
    mov     w1, #-1
1:  str     w1, [x3], #4
    subs    w2, w2, #1
    b.ge    1b
    mov_imm x0, {gicc_phys}
    mov     w1, #0xff
    str     w1, [x0, #4]                    // GICC_PMR
    mov     w1, #0x1e7                      // GICC_CTLR: both groups, bypass off: what armstub8 writes
    str     w1, [x0]
    dsb     sy
2:  ret
.size gic_to_group1, . - gic_to_group1

// ---- Page tables --------------------------------------------------------------------------------------------------------------------------
// 4 KiB pages for the image, with their final permissions from the start (no writable page is executable, ever), and one 2 MiB block that
// maps this code at its own physical address for the moment in which the MMU goes on. Layout of the tables, a page each:
//   0  level 1 of TTBR1    1  level 2 of the image    2..5  level 3 of the image (8 MiB)    6  level 1 of TTBR0    7  level 2 of TTBR0
// They lie behind the symbol table, so that neither the file nor bss need carry them.
.type build_page_tables, %function
build_page_tables:
    mov     x9, x30
    adr_l   x0, {image_end}                 // physical here
    ldr     x24, symtab_offset
    ldr     x25, symtab_len
    adr     x1, _start
    add     x24, x24, x1
    add     x21, x0, x25
    add     x23, x21, #4095
    and     x23, x23, #~4095
    add     x22, x23, #({nr_boot_tables} << 12)

    mov     x0, x23                         // stale lines must neither be read nor be evicted over what is written next
    mov     x1, x22
    bl      invalidate_range
    mov     x0, x23
1:  stp     xzr, xzr, [x0], #16
    cmp     x0, x22
    b.lo    1b

    mov     x10, #3                         // table descriptor
    add     x0, x23, #0x1000
    orr     x1, x0, x10
    str     x1, [x23, #({l1_index_image} * 8)]
    add     x1, x23, #0x2000
    orr     x1, x1, x10
    mov     x2, #{nr_image_l3}
2:  str     x1, [x0], #8
    add     x1, x1, #0x1000
    subs    x2, x2, #1
    b.ne    2b

    adr     x0, _start
    adr_l   x1, {text_end}
    mov_imm x2, {page_text}
    bl      map_pages
    adr_l   x0, {text_end}
    adr_l   x1, {rodata_end}
    mov_imm x2, {page_rodata}
    bl      map_pages
    adr_l   x0, {rodata_end}
    adr_l   x1, {image_end}
    mov_imm x2, {page_data}
    bl      map_pages
    adr_l   x0, {image_end}
    mov     x1, x22                         // symbol table (made read-only once it has moved there) and these tables
    mov_imm x2, {page_data}
    bl      map_pages

    add     x0, x23, #0x6000                // TTBR0: 2 MiB read-only executable block over this code
    add     x1, x23, #0x7000
    orr     x2, x1, x10
    str     x2, [x0]
    adr     x2, _start
    and     x2, x2, #~0x1fffff
    lsr     x3, x2, #21
    mov_imm x4, {block_text}
    orr     x2, x2, x4
    str     x2, [x1, x3, lsl #3]

    mov     x0, x23
    mov     x1, x22
    dsb     sy
    bl      invalidate_range                // drop what was fetched speculatively meanwhile
    adr_l   x0, boot_page_tables
    str     x23, [x0]
    dsb     sy
    dc      ivac, x0
    dsb     sy
    ret     x9
.size build_page_tables, . - build_page_tables

// Physical x0 .. x1 (page-aligned start) with attributes x2 into the level 3 tables of the image.
.type map_pages, %function
map_pages:
    cmp     x0, x1
    b.hs    2f
    add     x3, x23, #0x2000
1:  lsr     x4, x0, #12                     // the image's virtual page number is its physical one
    orr     x5, x0, x2
    str     x5, [x3, x4, lsl #3]
    add     x0, x0, #0x1000
    cmp     x0, x1
    b.lo    1b
2:  ret
.size map_pages, . - map_pages

// ---- MMU ----------------------------------------------------------------------------------------------------------------------------------
// x23: tables. Returns to its caller at the caller's link address, with TTBR0 walks off: from here on every low address faults.
.type mmu_on, %function
mmu_on:
    mov_imm x0, {mair_el1}
    msr     mair_el1, x0
    mov_imm x0, {tcr_el1}
    msr     tcr_el1, x0
    msr     ttbr1_el1, x23
    add     x0, x23, #0x6000
    msr     ttbr0_el1, x0
    tlbi    vmalle1                         // Arm ARM D8.14: nothing stale before SCTLR.M
    ic      iallu
    dsb     nsh
    isb
    mov_imm x0, {sctlr_el1_on}
    msr     sctlr_el1, x0
    isb
    mov_imm x1, ({link_base} - {load_address})
    add     x30, x30, x1
    ldr     x0, =high
    br      x0
.type high, %function
high:
    adr_l   x0, early_vectors               // at their link address: the physical one is about to end
    msr     vbar_el1, x0
    mov_imm x0, {tcr_el1} | (1 << 7)        // EPD0
    msr     tcr_el1, x0
    msr     ttbr0_el1, xzr
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    ret
.size mmu_on, . - mmu_on
.ltorg

.section .text.boot_high, "ax"
// Core 0 at the link address: the symbol table moves behind bss (backwards: source and target may overlap), bss is cleared, this core's stacks
// are set, and Rust begins.
.type primary_high, %function
primary_high:
    cbz     x25, 2f
    mov_imm x1, ({link_base} - {load_address})
    add     x0, x24, x25                    // source end
    add     x0, x0, x1
    add     x2, x21, x1                     // target end
    adr_l   x3, {image_end}                 // target start
1:  ldp     x4, x5, [x0, #-16]!             // the tool pads the table to 16 bytes
    stp     x4, x5, [x2, #-16]!
    cmp     x2, x3
    b.hi    1b
2:  adr_l   x0, {bss_start}
    adr_l   x1, {bss_end}
3:  stp     xzr, xzr, [x0], #16
    cmp     x0, x1
    b.lo    3b

    mov     x0, #0
    bl      set_stacks
    mov     x0, x19
    mov     x1, x20
    mov     x2, x22
    mov     x3, x23
    mov     x4, x25
    mov     x30, xzr
    b       {primary_rust}
.size primary_high, . - primary_high

.type secondary_high, %function
secondary_high:
    mrs     x0, mpidr_el1
    and     x0, x0, #0xff
    mov     x19, x0
    bl      set_stacks
    mov     x0, x19
    mov     x1, x20
    mov     x30, xzr
    b       {secondary_rust}
.size secondary_high, . - secondary_high

// x0: core. SP_EL1 = exception stack, SP_EL0 = idle stack, current mode EL1t on the latter; the per-core area is found through TPIDR_EL1.
.type set_stacks, %function
set_stacks:
    adr_l   x1, {core_blocks}
    mov     x2, #{core_block_size}
    madd    x1, x0, x2, x1
    msr     tpidr_el1, x1
    add     x2, x1, #({irq_stack_top} >> 12), lsl #12
    mov     sp, x2
    add     x2, x1, #({idle_stack_top} >> 12), lsl #12
    msr     sp_el0, x2
    msr     spsel, #0
    adr_l   x2, {vectors}
    msr     vbar_el1, x2
    mov_imm x18, {count_idle}
    mov     x29, xzr
    isb
    ret
.size set_stacks, . - set_stacks

.section .data.boot, "aw"
.balign 64
.globl pen_release
.type pen_release, %object
pen_release:
    .fill   8, 8, 0
.size pen_release, . - pen_release
.balign 64
.globl boot_page_tables
.type boot_page_tables, %object
boot_page_tables:
    .quad   0
.balign 64
.size boot_page_tables, . - boot_page_tables
