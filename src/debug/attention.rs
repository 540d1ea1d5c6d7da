//! What others may want of a core whatever it is doing: that it stops, or that it says where it is.
//!
//! There is no NMI here. A request is a bit in the target's `CoreLocal::attention`, an SGI for a core that takes interrupts, and an event for
//! one that sleeps in a spin loop: spinners with irqs off look at the word themselves. A core that does neither cannot be asked, and the
//! report says so.
//!
//! The core that is asked walks its own stack and leaves the addresses in its `Answer`: it goes on at once, and a walk by the asker would find a stack
//! that is in use again. Names and the console, which are slow, are the asker's.
//!
//! # Memory ordering
//! A core writes its `Answer`, then sets its state with release; the asker loads it with acquire and may then read the answer. Two askers of one core
//! may find an answer that is being written anew: each word is of one of the two walks, and the report may mix them. A core that has halted stays
//! so: the state `HALTED` is never taken back, so its answer outlives later requests.

use super::backtrace::{self, Frame, MAX_FRAMES, Trace};
use crate::arch::{self, NR_CPUS};
use crate::cpu::local::{attention, local, local_of};
use crate::cpu::{self, task::Task};
use crate::per_cpu;
use crate::upcalls;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The software-generated interrupt that makes a core look at its attention word.
pub const SGI: u8 = 2;

/// The core has said nothing since it was asked.
const NONE: u32 = 0;
/// It has answered and went on.
const ANSWERED: u32 = 1;
/// It has answered and halted for good.
const HALTED: u32 = 2;

/// Where a core was when it answered.
#[derive(Debug)]
struct Answer {
    state: AtomicU32,
    pc: AtomicUsize,
    /// The chain's addresses, innermost first.
    frames: [AtomicUsize; MAX_FRAMES],
    nr_frames: AtomicUsize,
    /// Bit n: frame n is where execution was interrupted.
    exact: AtomicU64,
    count: AtomicU32,
    task: AtomicPtr<Task>,
}

per_cpu! {
    /// This core's last answer.
    static ANSWER: Answer = Answer {
        state: AtomicU32::new(NONE),
        pc: AtomicUsize::new(0),
        frames: [const { AtomicUsize::new(0) }; MAX_FRAMES],
        nr_frames: AtomicUsize::new(0),
        exact: AtomicU64::new(0),
        count: AtomicU32::new(0),
        task: AtomicPtr::new(ptr::null_mut()),
    };
}

impl Answer {
    fn store(&self, trace: &Trace) {
        self.pc.store(trace.pc, Ordering::Relaxed);
        let mut exact = 0;
        for (index, (slot, frame)) in self.frames.iter().zip(&trace.frames).enumerate() {
            slot.store(frame.address, Ordering::Relaxed);
            exact |= u64::from(frame.is_exact) << index;
        }
        self.exact.store(exact, Ordering::Relaxed);
        self.nr_frames.store(trace.frames.len(), Ordering::Relaxed);
    }

    fn trace(&self) -> Trace {
        let exact = self.exact.load(Ordering::Relaxed);
        let frame =
            |(index, slot): (usize, &AtomicUsize)| Frame { address: slot.load(Ordering::Relaxed), is_exact: exact & (1 << index) != 0 };
        let nr_frames = self.nr_frames.load(Ordering::Relaxed);
        Trace { pc: self.pc.load(Ordering::Relaxed), frames: self.frames.iter().enumerate().take(nr_frames).map(frame).collect() }
    }
}

const _: () = assert!(MAX_FRAMES <= u64::BITS as usize, "a bit for each frame");

/// A core's answer.
#[derive(Clone, Debug)]
pub struct Position {
    /// Where it was, and through which handler it came to answer.
    pub trace: Trace,
    /// Its counts.
    pub count: u32,
    /// Its thread.
    pub task: Option<&'static Task>,
}

/// Asks the cores in `mask` for `what`: a bit of `cpu::local::attention`.
///
/// Context: any, the panic path included.
pub fn request(mask: u32, what: u32) {
    for cpu in (0..NR_CPUS).filter(|cpu| mask & (1 << cpu) != 0) {
        // A core that has halted keeps its answer; whether the exchange finds another state makes no difference.
        let _ = ANSWER.on(cpu).state.compare_exchange(ANSWERED, NONE, Ordering::Relaxed, Ordering::Relaxed);
        // Release: the cleared answer before the request.
        local_of(cpu).attention.fetch_or(what, Ordering::Release);
    }
    if mask != 0 {
        upcalls::irqchip_send_sgi(SGI, mask);
    }
    arch::sev();
}

/// The answer of core `cpu`, if it has come.
pub fn answer_of(cpu: usize) -> Option<Position> {
    let answer = ANSWER.on(cpu);
    (answer.state.load(Ordering::Acquire) != NONE).then(|| Position {
        trace: answer.trace(),
        count: answer.count.load(Ordering::Relaxed),
        // SAFETY: a task block outlives its thread, and the answer came from that thread's core.
        task: unsafe { answer.task.load(Ordering::Relaxed).as_ref() },
    })
}

/// Waits until all in `mask` have answered, at most `millis`.
pub fn wait_for_answers(mask: u32, millis: u64) {
    let deadline = arch::counter::now() + arch::counter::frequency_hz() * millis / 1000;
    let is_missing = |cpu: &usize| mask & (1 << cpu) != 0 && answer_of(*cpu).is_none();
    while (0..NR_CPUS).any(|cpu| is_missing(&cpu)) && arch::counter::now() < deadline {
        arch::relax();
    }
}

/// Asks core `cpu`, another than this, where it is. `None` if it does not say so within `millis`.
///
/// Context: any. Two cores that ask each other answer each other.
pub fn ask(cpu: usize, millis: u64) -> Option<Position> {
    request(1 << cpu, attention::BACKTRACE);
    wait_until(millis, || answer_of(cpu).is_some());
    answer_of(cpu)
}

/// Waits until `condition` holds, answering others meanwhile, at most `millis`. True if it does.
///
/// Context: any.
pub fn wait_until(millis: u64, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = arch::counter::now() + arch::counter::frequency_hz() * millis / 1000;
    while !condition() {
        if arch::counter::now() >= deadline {
            return false;
        }
        tetra_answer_attention();
        arch::relax();
    }
    true
}

/// Upcall of cpu, sync, irq: answers what is wanted of this core. Nothing wanted: two instructions and a compare.
///
/// With interrupts on the SGI answers: what it interrupts is the loop's own position.
///
/// Context: any.
#[unsafe(no_mangle)]
fn tetra_answer_attention() {
    // Acquire: pairs with the release in `request`.
    if local().attention.load(Ordering::Acquire) != 0 && arch::irq::is_masked() {
        answer();
    }
}

#[cold]
#[inline(never)]
fn answer() {
    // What is asked of this core must be answered on it.
    let irqs = arch::irq::save();
    let wanted = local().attention.swap(0, Ordering::Acquire);
    if wanted & attention::STOP != 0 {
        record_and_halt();
    }
    record_position(ANSWERED);
    // SAFETY: what `save` gave above; no guard was made since.
    unsafe { arch::irq::restore(irqs) };
}

/// Records where this core is and halts it for good.
///
/// Context: any, irqs masked.
#[inline(never)]
pub fn record_and_halt() -> ! {
    record_position(HALTED);
    arch::halt()
}

/// Records where this core is and marks its answer as given. A chain that is broken is shorter, and no more.
#[inline(never)]
fn record_position(state: u32) {
    let answer = ANSWER.this();
    answer.store(&Trace::from(backtrace::here()));
    answer.count.store(cpu::preempt_count(), Ordering::Relaxed);
    let task = cpu::task::try_current().map_or(ptr::null_mut(), |task| (&raw const *task).cast_mut());
    answer.task.store(task, Ordering::Relaxed);
    answer.state.store(state, Ordering::Release);
}
