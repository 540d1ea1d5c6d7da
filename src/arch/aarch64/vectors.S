// Exception vectors of EL1 (Arm ARM D1.3.1.5) and the way back.
//
// Threads run at EL1t, on SP_EL0; exceptions are taken to SP_EL1. Whatever interrupts a thread saves its frame on *that thread's* stack, so
// the thread can be switched out with it, and runs its handler on the core's exception stack. What interrupts a handler (SPx vectors) stays on
// the exception stack. Every stack is 16 KiB at an odd multiple of 16 KiB: with the frame subtracted, bit 14 of the pointer is set on a good
// stack and clear on one that has overflowed. Then the frame goes to the core's overflow stack, before anything is stored.
//
// TPIDRRO_EL0 is the scratch register of entry; it is dead as soon as x30 lies in the frame. x18, the count word, is not restored: a handler
// counts in it, and what it leaves set (a wake-up, a pending softirq) must survive the return.
//
// Interrupt frames hold the registers that the procedure call standard lets a callee change (AAPCS64 6.1.1) and leave the others to the Rust
// code, which saves what it uses; fault frames are whole, for the report.

.macro save_volatile                        // base x30; x30 itself is in TPIDRRO_EL0
    stp     x0, x1, [x30, #0]
    stp     x2, x3, [x30, #16]
    stp     x4, x5, [x30, #32]
    stp     x6, x7, [x30, #48]
    stp     x8, x9, [x30, #64]
    stp     x10, x11, [x30, #80]
    stp     x12, x13, [x30, #96]
    stp     x14, x15, [x30, #112]
    stp     x16, x17, [x30, #128]
    mrs     x0, tpidrro_el0
    mrs     x1, elr_el1
    mrs     x2, spsr_el1
    stp     x29, x0, [x30, #232]
    stp     x1, x2, [x30, #256]
    stp     x29, x1, [x30, #288]            // frame record: a backtrace walks from the handler into what it interrupted
    add     x29, x30, #288
.endm

.macro save_rest                            // what only a report, or a handler that changes registers, needs
    stp     x18, x19, [x30, #144]
    stp     x20, x21, [x30, #160]
    stp     x22, x23, [x30, #176]
    stp     x24, x25, [x30, #192]
    stp     x26, x27, [x30, #208]
    str     x28, [x30, #224]
    mrs     x0, esr_el1
    mrs     x1, far_el1
    stp     x0, x1, [x30, #272]
.endm

.macro restore_rest
    ldr     x19, [x30, #152]
    ldp     x20, x21, [x30, #160]
    ldp     x22, x23, [x30, #176]
    ldp     x24, x25, [x30, #192]
    ldp     x26, x27, [x30, #208]
    ldr     x28, [x30, #224]
.endm

.macro restore_volatile_and_return          // base x30
    ldp     x0, x1, [x30, #256]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    ldp     x0, x1, [x30, #0]
    ldp     x2, x3, [x30, #16]
    ldp     x4, x5, [x30, #32]
    ldp     x6, x7, [x30, #48]
    ldp     x8, x9, [x30, #64]
    ldp     x10, x11, [x30, #80]
    ldp     x12, x13, [x30, #96]
    ldp     x14, x15, [x30, #112]
    ldp     x16, x17, [x30, #128]
    ldp     x29, x30, [x30, #232]
    eret
.endm

.macro from_thread kind, handler            // vector of 32 instructions at most
    .balign 128
    msr     tpidrro_el0, x30
    mrs     x30, sp_el0
    sub     x30, x30, #{frame_size}
    tbz     x30, #{stack_shift}, 1f
    b       \handler
1:  mov     x30, #\kind
    b       overflow_of_thread_stack
.endm

.macro from_handler kind, handler
    .balign 128
    msr     tpidrro_el0, x30
    sub     sp, sp, #{frame_size}
    mov     x30, sp
    tbz     x30, #{stack_shift}, 1f
    b       \handler
1:  msr     contextidr_el1, x30             // 32 bits are kept; the upper half of any kernel stack's address comes from the overflow stack's
    mov     x30, #\kind
    b       overflow_of_exception_stack
.endm

.section .text.vectors, "ax"
.balign 2048
.globl exception_vectors
.type exception_vectors, %object
exception_vectors:
    from_thread 0, sync_from_thread
    from_thread 1, irq_from_thread
    from_thread 2, other_from_thread_fiq
    from_thread 3, other_from_thread_serror
    from_handler 4, sync_from_handler
    from_handler 5, irq_from_handler
    from_handler 6, other_from_handler_fiq
    from_handler 7, other_from_handler_serror
    // There is no EL0 here: these eight can only mean a corrupted SPSR.
    from_handler 8, lower_aarch64_sync
    from_handler 9, lower_aarch64_irq
    from_handler 10, lower_aarch64_fiq
    from_handler 11, lower_aarch64_serror
    from_handler 12, lower_aarch32_sync
    from_handler 13, lower_aarch32_irq
    from_handler 14, lower_aarch32_fiq
    from_handler 15, lower_aarch32_serror
.balign 128
.size exception_vectors, . - exception_vectors

// ---- Interrupts ---------------------------------------------------------------------------------------------------------------------------
.type irq_from_thread, %function
irq_from_thread:
    save_volatile
    add     x18, x18, #{hardirq_one_shifted}, lsl #12
    mov     x0, x30
    bl      {handle_irq}
    sub     x30, x29, #288
    subs    x18, x18, #{hardirq_one_shifted}, lsl #12
    b.eq    2f                              // count 0 and something waits
1:  restore_volatile_and_return

    // Bottom halves run here, on the exception stack; a switch of threads must happen on the thread's own.
2:  bl      {irq_exit_work}
    sub     x30, x29, #288
    cbz     x0, 1b
    msr     spsel, #0
    mov     sp, x30
    msr     daifclr, #4                     // the mask is the core's, not the thread's: who runs next takes SErrors
    bl      {preempt_from_irq}              // comes back when this thread runs again, maybe on another core; irqs masked
    msr     daifset, #4                     // none may come between ELR and ERET
    msr     spsel, #1
    sub     x30, x29, #288
    add     x0, x30, #{frame_size}
    msr     sp_el0, x0
    restore_volatile_and_return
.size irq_from_thread, . - irq_from_thread

.type irq_from_handler, %function
irq_from_handler:
    save_volatile
    add     x18, x18, #{hardirq_one_shifted}, lsl #12
    mov     x0, x30
    bl      {handle_irq}
    sub     x18, x18, #{hardirq_one_shifted}, lsl #12
    sub     x30, x29, #288
    add     sp, x30, #{frame_size}
    restore_volatile_and_return             // below SP for a moment, but irqs are masked and a fault here is fatal anyway
.size irq_from_handler, . - irq_from_handler

// ---- Faults -------------------------------------------------------------------------------------------------------------------------------
// A handler that returns has mended the cause or stepped over the instruction.
.type sync_from_thread, %function
sync_from_thread:
    save_volatile
    save_rest
    mrs     x0, sp_el0
    str     x0, [x30, #248]
    mov     x0, x30
    mov     x1, #0
    bl      {handle_fault}
    sub     x30, x29, #288
    ldr     x0, [x30, #248]                 // a handler may end the thread by sending it to its exit on a fresh stack
    msr     sp_el0, x0
    restore_rest
    restore_volatile_and_return
.size sync_from_thread, . - sync_from_thread

.type sync_from_handler, %function
sync_from_handler:
    save_volatile
    save_rest
    add     x0, x30, #{frame_size}
    str     x0, [x30, #248]
    mov     x0, x30
    mov     x1, #4
    bl      {handle_fault}
    sub     x30, x29, #288
    restore_rest
    add     sp, x30, #{frame_size}
    restore_volatile_and_return
.size sync_from_handler, . - sync_from_handler

// Vectors that must never be taken: a whole frame, a report by name, no way back.
.macro fatal_vector label, kind, sp_from
\label:
    save_volatile
    save_rest
    .ifc \sp_from, thread
    mrs     x0, sp_el0
    .else
    add     x0, x30, #{frame_size}
    .endif
    str     x0, [x30, #248]
    mov     x0, x30
    mov     x1, #\kind
    b       fatal_common
.endm

.type fatal_vectors, %function
fatal_vectors:
    fatal_vector other_from_thread_fiq, 2, thread
    fatal_vector other_from_thread_serror, 3, thread
    fatal_vector other_from_handler_fiq, 6, handler
    fatal_vector other_from_handler_serror, 7, handler
    fatal_vector lower_aarch64_sync, 8, handler
    fatal_vector lower_aarch64_irq, 9, handler
    fatal_vector lower_aarch64_fiq, 10, handler
    fatal_vector lower_aarch64_serror, 11, handler
    fatal_vector lower_aarch32_sync, 12, handler
    fatal_vector lower_aarch32_irq, 13, handler
    fatal_vector lower_aarch32_fiq, 14, handler
    fatal_vector lower_aarch32_serror, 15, handler
fatal_common:
    bl      {handle_fault}
    brk     #{brk_unreachable}
.size fatal_vectors, . - fatal_vectors

// ---- Overflow -----------------------------------------------------------------------------------------------------------------------------
// x30 = vector; the interrupted x30 is in TPIDRRO_EL0; the stack pointer that overflowed is in SP_EL0, or (low half, frame already subtracted)
// in CONTEXTIDR_EL1. Continues on the overflow stack, from its top: a fault while on it finds bit 14 set again and nests normally.
.type overflow_of_thread_stack, %function
overflow_of_thread_stack:
    msr     contextidr_el1, x30
    mrs     x30, tpidr_el1
    add     x30, x30, #({overflow_stack_top} >> 12), lsl #12
    sub     x30, x30, #{frame_size}
    save_volatile
    save_rest
    mrs     x0, sp_el0
    mrs     x1, contextidr_el1
    b       overflow_common
.size overflow_of_thread_stack, . - overflow_of_thread_stack

.type overflow_of_exception_stack, %function
overflow_of_exception_stack:
    mov     sp, x30                         // only a place to keep the vector's number
    mrs     x30, tpidr_el1
    add     x30, x30, #({overflow_stack_top} >> 12), lsl #12
    sub     x30, x30, #{frame_size}
    save_volatile
    save_rest
    mov     x1, sp
    mrs     x0, contextidr_el1
    mov     x2, x30                         // upper half of the address; the lower is the overflowed pointer's
    bfi     x2, x0, #0, #32
    add     x0, x2, #{frame_size}
overflow_common:
    str     x0, [x30, #248]
    mov     sp, x30
    msr     contextidr_el1, xzr
    mov     x0, x30
    bl      {handle_overflow}               // x0 frame, x1 vector; for a thread it may return to end that thread
    sub     x30, x29, #288
    mrs     x0, tpidr_el1
    add     x0, x0, #({irq_stack_top} >> 12), lsl #12
    mov     sp, x0                          // the exception stack of a thread's overflow is empty
    ldr     x0, [x30, #248]
    msr     sp_el0, x0
    restore_rest
    restore_volatile_and_return
.size overflow_of_exception_stack, . - overflow_of_exception_stack

// ---- Called from Rust ---------------------------------------------------------------------------------------------------------------------
// Keeps every register but x30 and the flags, so that `preempt_enable` and friends, inlined into anything, spill nothing on their fast path.
.macro preserve_all_call target
    stp     x29, x30, [sp, #-176]!
    mov     x29, sp
    stp     x0, x1, [sp, #16]
    stp     x2, x3, [sp, #32]
    stp     x4, x5, [sp, #48]
    stp     x6, x7, [sp, #64]
    stp     x8, x9, [sp, #80]
    stp     x10, x11, [sp, #96]
    stp     x12, x13, [sp, #112]
    stp     x14, x15, [sp, #128]
    stp     x16, x17, [sp, #144]
    bl      \target
    ldp     x16, x17, [sp, #144]
    ldp     x14, x15, [sp, #128]
    ldp     x12, x13, [sp, #112]
    ldp     x10, x11, [sp, #96]
    ldp     x8, x9, [sp, #80]
    ldp     x6, x7, [sp, #64]
    ldp     x4, x5, [sp, #48]
    ldp     x2, x3, [sp, #32]
    ldp     x0, x1, [sp, #16]
    ldp     x29, x30, [sp], #176
    ret
.endm

.globl count_zero_with_work
.type count_zero_with_work, %function
count_zero_with_work:                       // the count word reached 0 while something waits
    preserve_all_call {count_zero_work}
.size count_zero_with_work, . - count_zero_with_work

.globl call_on_fresh_stack
.type call_on_fresh_stack, %function
call_on_fresh_stack:                        // x0 new stack top, x1 function that never returns, x2 its argument
    mov     sp, x0
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x2
    br      x1
.size call_on_fresh_stack, . - call_on_fresh_stack
