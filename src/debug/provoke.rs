//! Faults on purpose: what `fault` and `panic` do at the prompt, and what the tests of the report provoke.
//!
//! Each is the mistake itself, done where a real one would happen, so that the report shows what it would show then. The `black_box(())` behind a
//! call keeps it from becoming a jump: its caller stays in the backtrace.

use crate::arch::{exception, layout};
use crate::irq::ipi;
use crate::{cpu, log};
use core::fmt;
use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering};

/// A way to crash.
#[derive(Clone, Copy, Debug)]
pub struct Crash {
    /// What to type.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Does it.
    pub run: fn(),
}

/// All ways, for `fault`.
pub const CRASHES: [Crash; 20] = [
    Crash { name: "null-read", help: "reads through a NULL pointer", run: null_read },
    Crash { name: "null-call", help: "calls a NULL function pointer", run: null_call },
    Crash { name: "null-copy", help: "copies from a NULL pointer: the fault is in a function without a frame", run: null_copy },
    Crash { name: "wild-write", help: "writes to 0xdeadbeef", run: wild_write },
    Crash { name: "text-write", help: "writes to kernel text", run: text_write },
    Crash { name: "data-exec", help: "executes data", run: data_exec },
    Crash { name: "rodata-exec", help: "executes read-only data", run: rodata_exec },
    Crash { name: "stack-exec", help: "executes what lies on the stack", run: stack_exec },
    Crash { name: "undefined", help: "executes an undefined instruction", run: undefined },
    Crash { name: "odd-call", help: "jumps to an address that is no multiple of 4", run: odd_call },
    Crash { name: "no-device", help: "reads a register that no device answers for", run: no_device },
    Crash { name: "stack", help: "overflows the stack it runs on, by recursion", run: stack },
    Crash { name: "overflow-stack", help: "overflows even the stack on which overflows are reported", run: overflow_stack },
    Crash { name: "el0", help: "returns to EL0, as by a corrupted SPSR", run: el0 },
    Crash { name: "panic", help: "panics", run: panic },
    Crash { name: "bug", help: "meets a BUG_ON", run: bug },
    Crash { name: "panic-together", help: "panics on all cores at once, in an interrupt of each", run: panic_together },
    Crash { name: "panic-nested", help: "panics, and again while the report is written", run: panic_nested },
    Crash { name: "panic-in-log", help: "panics in the middle of a log message", run: panic_in_log },
    Crash { name: "broken-chain", help: "faults with a frame pointer that leads nowhere", run: broken_chain },
];

#[inline(never)]
fn null_read() {
    let nowhere: *const u32 = black_box(core::ptr::without_provenance(8));
    // SAFETY: none: this is the mistake. Nothing is mapped at low addresses, so it faults and reads nothing.
    let value = unsafe { nowhere.read_volatile() };
    black_box(value);
}

/// `memcpy` is assembly that calls nothing and pushes no frame record: its caller's name is in x30 alone.
#[inline(never)]
fn null_copy() {
    let nowhere: *const [u8; 256] = black_box(core::ptr::without_provenance(8));
    let mut copy = [0; 256];
    // SAFETY: none: this is the mistake. Nothing is mapped at low addresses, so it faults and copies nothing.
    unsafe { core::ptr::copy_nonoverlapping(nowhere, &raw mut copy, 1) };
    black_box(&copy);
}

#[inline(never)]
fn null_call() {
    call_address(0);
    black_box(());
}

#[inline(never)]
fn call_address(address: usize) {
    let address = black_box(address);
    // SAFETY: none: this is the mistake. The address is not executable, so the fetch faults.
    let function: extern "C" fn() = unsafe { core::mem::transmute(address) };
    function();
    black_box(());
}

#[inline(never)]
fn wild_write() {
    write_to(0xdead_beef);
    black_box(());
}

#[inline(never)]
fn text_write() {
    write_to(null_read as *const () as usize);
    black_box(());
}

#[inline(never)]
fn write_to(address: usize) {
    let nowhere: *mut u32 = black_box(core::ptr::with_exposed_provenance_mut(address & !3));
    // SAFETY: none: this is the mistake. The address is unmapped or read-only, so it faults and writes nothing.
    unsafe { nowhere.write_volatile(0) };
    black_box(());
}

/// `ret`: harmless where it can be executed.
const RET: u32 = 0xd65f_03c0;

#[inline(never)]
fn data_exec() {
    static WRITABLE: AtomicU32 = AtomicU32::new(RET);
    call_address((&raw const WRITABLE).addr());
    black_box(());
}

#[inline(never)]
fn rodata_exec() {
    static INNOCENT: [u32; 4] = [RET; 4];
    call_address(INNOCENT.as_ptr().addr());
    black_box(());
}

#[inline(never)]
fn stack_exec() {
    let on_the_stack = black_box([RET; 4]);
    call_address((&raw const on_the_stack).addr());
    black_box(on_the_stack);
}

#[inline(never)]
fn undefined() {
    crate::arch::undefined_instruction();
    black_box(());
}

#[inline(never)]
fn odd_call() {
    call_address(null_read as *const () as usize + 2);
    black_box(());
}

#[inline(never)]
fn no_device() {
    const RNG200_OFFSET: usize = 0x0210_4000;
    let register: *const u32 = core::ptr::with_exposed_provenance(layout::DEVICE_BASE + RNG200_OFFSET);
    // SAFETY: the device window is mapped; a read of the random number generator has no effect where it exists.
    let value = unsafe { register.read_volatile() };
    crate::pr_info!("fault: a device answered {:#x}: this is a real board", value);
}

#[inline(never)]
fn stack() {
    black_box(recurse(black_box(1)));
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "this is the mistake")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 24]);
    recurse(black_box(depth + 1)) + frame[3]
}

/// As if the end of a thread, which runs on the overflow stack, went wrong there.
#[inline(never)]
fn overflow_stack() {
    extern "C" fn deep(depth: usize) -> ! {
        black_box(recurse(depth as u64));
        crate::arch::halt()
    }
    crate::arch::irq::mask();
    // SAFETY: irqs are masked, and the fault that comes of it ends the kernel: nobody else uses the overflow stack.
    unsafe { exception::call_on_overflow_stack(deep, 1) }
}

#[inline(never)]
fn el0() {
    crate::arch::return_to_el0(null_read as *const () as usize);
}

#[inline(never)]
fn panic() {
    panic!("on purpose, on cpu{}", cpu::id());
}

#[inline(never)]
fn bug() {
    crate::BUG_ON!(black_box(1) + 1 == 2);
    black_box(());
}

/// Every core waits in an interrupt until all are there, and then none is first: one owns the report, the others come second.
#[inline(never)]
fn panic_together() {
    static ARRIVED: AtomicU32 = AtomicU32::new(0);
    ipi::call_on_all(|| {
        ARRIVED.fetch_add(1, Ordering::Relaxed);
        while ARRIVED.load(Ordering::Relaxed) < cpu::nr_online() as u32 {
            crate::arch::relax();
        }
        panic!("together with the others, on cpu{}", cpu::id());
    });
    black_box(());
}

/// Its text cannot be written: asking for it panics.
struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half a message, then ")?;
        panic!("while its text was being written");
    }
}

#[inline(never)]
fn panic_nested() {
    panic!("{}", Unprintable);
}

#[inline(never)]
fn panic_in_log() {
    log::emit(log::KERN_INFO, "", format_args!("this record is never finished: {}", Unprintable));
    black_box(());
}

#[inline(never)]
fn broken_chain() {
    crate::arch::fault_with_frame_pointer(0xffff_ffff_8000_0008);
    black_box(());
}
