//! The table of all threads: their blocks, which of them are free, and who is who.
//!
//! One static table holds the blocks of all threads, the idle ones first. A block is never freed, only used again: what walks the table, a run queue's
//! links, or a stale pointer in a report cannot dangle, and no allocator is needed to make a thread. The price is a fixed number of threads
//! ([`MAX_THREADS`]). Rejected: blocks from a slab behind counted pointers, which every look at another core's `current` would have to count.
//! The block at index `i` owns stack slot `i` (`stack`), so that an address on a stack names its thread by arithmetic.
//!
//! Unused blocks are zero, so the table lies in bss and costs the image nothing. The threads' locks stand in a table of their own, since a checked lock
//! knows the place where it was made.
//!
//! Neighbours: `thread` (the block), `stack` (by the same number).

use super::stack;
use super::thread::{Life, Thread, ThreadRef};
use crate::arch::layout;
use crate::cpu::task::{Name, TaskState};
use crate::cpu::{self, NR_CPUS, Task};
use crate::sync::IrqSpinLock;
use core::hint::assert_unchecked;
use core::sync::atomic::Ordering;

/// Blocks in the table: 1024 threads, and an idle thread for each core.
pub const MAX_THREADS: usize = 1024 + NR_CPUS;

/// A thread's number: its place in the table.
pub type ThreadId = u16;

static THREADS: [Thread; MAX_THREADS] = [const { Thread::new() }; MAX_THREADS];
static LOCKS: [IrqSpinLock<()>; MAX_THREADS] = [const { IrqSpinLock::new(()) }; MAX_THREADS];

/// The place of `thread` in the table.
#[inline]
pub(super) fn id_of(thread: &Thread) -> ThreadId {
    let id = (&raw const *thread as usize - &raw const THREADS as usize) / size_of::<Thread>();
    // SAFETY: each block is one of this table: `Thread::new` is called above and nowhere else. Said here, no use of the number is checked again.
    unsafe { assert_unchecked(id < MAX_THREADS) };
    id as ThreadId
}

/// The lock of thread `id`: [`Thread::lock`].
#[inline]
pub(super) fn lock_of(id: ThreadId) -> &'static IrqSpinLock<()> {
    &LOCKS[usize::from(id)]
}

/// The block with number `id`.
///
/// # Panics
/// If there is no such block.
#[inline]
pub(super) fn by_id(id: ThreadId) -> &'static Thread {
    &THREADS[usize::from(id)]
}

/// The block that `task` is the head of.
#[inline]
pub(super) fn of_task(task: &'static Task) -> &'static Thread {
    let address = &raw const *task as usize;
    let offset = address.wrapping_sub(&raw const THREADS as usize);
    assert!(offset < size_of_val(&THREADS) && offset.is_multiple_of(size_of::<Thread>()), "a task block that is in no thread");
    &THREADS[offset / size_of::<Thread>()]
}

/// The idle thread of core `cpu`.
#[inline]
pub(super) fn idle_of(cpu: usize) -> &'static Thread {
    &THREADS[cpu]
}

/// Makes this core's idle thread the running one. Once for each core, before anything asks for `current`.
///
/// Context: boot, irqs masked, on the idle stack.
pub fn adopt_idle() {
    const NAMES: [&str; NR_CPUS] = ["idle/0", "idle/1", "idle/2", "idle/3"];
    let cpu = cpu::id();
    let idle = idle_of(cpu);
    idle.task.reset(0, Name::new(NAMES[cpu]), TaskState::RUNNING);
    idle.refs.store(1, Ordering::Relaxed);
    idle.set_life(Life::Alive);
    idle.on_cpu.set();
    idle.on_rq.store(true, Ordering::Relaxed);
    idle.cpu.store(cpu as u8, Ordering::Relaxed);
    idle.affinity.store(1 << cpu, Ordering::Relaxed);
    // SAFETY: this core runs on its idle stack, and the block is a static.
    unsafe { crate::arch::set_current(&raw const idle.task as usize) };
}

/// Free blocks and the next pid.
struct Free {
    /// A set bit: the block is free.
    map: [u64; MAX_THREADS.div_ceil(64)],
    next_pid: u32,
    nr_used: usize,
}

impl Free {
    const fn new() -> Self {
        Self { map: [u64::MAX; MAX_THREADS.div_ceil(64)], next_pid: 1, nr_used: 0 }
    }

    /// The lowest free block: so few different stacks get mapped.
    fn take(&mut self) -> Option<ThreadId> {
        let id = (NR_CPUS..MAX_THREADS).find(|id| self.map[id / 64] & 1 << (id % 64) != 0)?;
        self.map[id / 64] &= !(1 << (id % 64));
        self.nr_used += 1;
        Some(id as ThreadId)
    }

    fn give_back(&mut self, id: ThreadId) {
        let id = usize::from(id);
        self.map[id / 64] |= 1 << (id % 64);
        self.nr_used -= 1;
    }
}

/// Order: innermost of the scheduler.
static FREE: IrqSpinLock<Free> = IrqSpinLock::new(Free::new());

/// Takes a block and gives it a name, a pid and a stack; the thread is NEW and has one reference, which its start makes its own.
///
/// # Errors
/// `None` if all blocks are taken or there is no memory for a stack.
pub(super) fn alloc_block(name: Name) -> Option<ThreadRef> {
    let (id, pid) = {
        let mut free = FREE.lock();
        let id = free.take()?;
        let pid = free.next_pid;
        // 0 is the idle threads'. After 2^32 threads a number may come again while its first owner lives; nothing but a report notices.
        free.next_pid = pid.checked_add(1).unwrap_or(1);
        (id, pid)
    };
    if stack::prepare(id).is_err() {
        FREE.lock().give_back(id);
        return None;
    }
    let thread = by_id(id);
    // A late waker of the last owner may still look at the block: it finds that one over, or this one not started.
    let locked = thread.lock().lock();
    thread.task.reset(pid, name, TaskState::NEW);
    thread.reset();
    thread.set_life(Life::New);
    drop(locked);
    thread.refs.store(1, Ordering::Release);
    Some(ThreadRef(thread))
}

/// Gives the block of a thread back that nobody refers to any more.
pub(super) fn free_block(id: ThreadId) {
    // The stack stays mapped for the next one.
    FREE.lock().give_back(id);
}

/// Blocks in use, without the idle threads'. Context: any.
pub fn nr_threads() -> usize {
    FREE.lock().nr_used
}

/// The pid that was given last: as many threads were made since boot. Context: any.
pub fn last_pid() -> u32 {
    FREE.lock().next_pid.saturating_sub(1)
}

/// The thread of number `pid`, if it lives. Context: any.
pub fn find(pid: u32) -> Option<ThreadRef> {
    all().find(|thread| thread.pid() == pid && !thread.is_idle())
}

/// All threads in the order of the table, the idle ones first. Each is held while it is looked at; threads that begin meanwhile may be missed.
///
/// Context: any.
pub fn all() -> impl Iterator<Item = ThreadRef> {
    THREADS.iter().filter(|thread| thread.try_get()).map(ThreadRef)
}

/// Upcall of debug: whose stack, or guard below it, the address is in.
#[unsafe(no_mangle)]
fn tetra_thread_of_stack(address: usize) -> Option<&'static Task> {
    let slot = address.checked_sub(layout::STACKS_BASE)? / layout::STACK_SLOT;
    let thread = THREADS.get(slot)?;
    (thread.refs.load(Ordering::Relaxed) != 0).then_some(&thread.task)
}
