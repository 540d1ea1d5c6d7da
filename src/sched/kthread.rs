//! Making, stopping, parking and joining threads: Linux's `kthread` calls, with a value that comes back.
//!
//! The closure lies at the top of the new thread's own stack, and so does its value until the join takes it: making a thread allocates nothing.
//! Two flags decide who drops a value that nobody wants: the thread sets `EXITED`, the handle `DETACHED`, and whoever sets the second of them does it.
//!
//! ```ignore
//! let sum = kthread::run("adder", || (1..=10).sum::<u32>())?;
//! assert_eq!(sum.join(), Ok(55));
//! ```
//!
//! # Memory ordering
//! `EXITED` is set with release after the value was written, and loaded with acquire by the join.

use super::blocking;
use super::priority::Priority;
use super::signal;
use super::stack;
use super::switch;
use super::thread::{self, Thread, ThreadRef, current};
use super::thread_table;
use super::wake;
use crate::arch::switch::Context;
use crate::cpu;
use crate::cpu::task::{Name, TaskState, set_current_state};
use crate::sync::bkl;
use crate::util::errno::Errno;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::mem;
use core::sync::atomic::{AtomicU32, Ordering};

/// The thread shall end when it sees this.
const SHOULD_STOP: u32 = 1 << 0;
/// The thread shall wait in `parkme` when it sees this.
const SHOULD_PARK: u32 = 1 << 1;
/// It waits there. Set by the thread, cleared by who lets it go on.
const IS_PARKED: u32 = 1 << 2;
/// It is over. Set by the thread.
const EXITED: u32 = 1 << 3;
/// Nobody will join. Set by the handle.
const DETACHED: u32 = 1 << 4;
/// It stays on its core, whose own data it works on: Linux's `PF_NO_SETAFFINITY`. Set when it is made.
const BOUND: u32 = 1 << 5;

/// Room for closure and value on the thread's stack.
const MAX_PACKET: usize = 2048;
const STACK_ALIGN: usize = 16;

/// Why a thread was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// All blocks are taken, or there is no memory for a stack.
    NoMemory,
    /// It was bound to cores none of which runs.
    CpuOffline,
}

impl From<SpawnError> for Errno {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::NoMemory => Errno::ENOMEM,
            SpawnError::CpuOffline => Errno::ENODEV,
        }
    }
}

/// The thread ended by a fault: there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oopsed;

impl From<Oopsed> for Errno {
    fn from(_: Oopsed) -> Self {
        Errno::EOWNERDEAD
    }
}

/// What lies at the top of a thread's stack.
struct Packet<F, T> {
    /// Taken by the thread when it begins.
    body: UnsafeCell<Option<F>>,
    /// Written by the thread when it ends; then the join's.
    value: UnsafeCell<Option<T>>,
}

/// What a thread shall be like.
#[derive(Clone, Copy, Debug)]
pub struct Builder {
    name: Name,
    priority: Priority,
    affinity: u32,
    is_bound: bool,
}

impl Builder {
    /// A thread called `name` (16 bytes are kept), of normal priority, on any core.
    pub fn new(name: &str) -> Self {
        Self { name: Name::new(name), priority: Priority::NORMAL, affinity: thread::ALL_CPUS, is_bound: false }
    }

    /// How urgent it is.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// On core `cpu` for good, whatever is asked of its affinity later: Linux's `kthread_bind`.
    pub fn bind(self, cpu: usize) -> Self {
        Self { affinity: u32::try_from(cpu).ok().and_then(|cpu| 1u32.checked_shl(cpu)).unwrap_or(0), is_bound: true, ..self }
    }

    /// Only on the cores of `mask`.
    pub fn affinity(self, mask: u32) -> Self {
        Self { affinity: mask, ..self }
    }

    /// Makes the thread and lets it wait for [`JoinHandle::start`]: Linux's `kthread_create`.
    ///
    /// Context: thread.
    ///
    /// # Errors
    /// `SpawnError`.
    pub fn create<F, T>(self, body: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        const {
            assert!(size_of::<Packet<F, T>>() <= MAX_PACKET, "closure and value must fit on the stack's top: box what is large");
            assert!(align_of::<Packet<F, T>>() <= STACK_ALIGN);
        }
        if self.affinity & cpu::online_mask() == 0 {
            return Err(SpawnError::CpuOffline);
        }
        let thread = thread_table::alloc_block(self.name).ok_or(SpawnError::NoMemory)?;
        let packet_at = (stack::top(thread.id()) - size_of::<Packet<F, T>>()) & !(STACK_ALIGN - 1);
        let packet = packet_at as *mut Packet<F, T>;
        // SAFETY: the upper end of a mapped stack that no thread runs on yet; room and alignment are asserted above.
        unsafe { packet.write(Packet { body: UnsafeCell::new(Some(body)), value: UnsafeCell::new(None) }) };
        // Whoever lists threads finds the block already, and may ask for its position or change what is set here.
        let settled = thread.lock().lock();
        thread.kthread_flags.fetch_or(if self.is_bound { BOUND } else { 0 }, Ordering::Relaxed);
        thread.own_priority.store(self.priority.number(), Ordering::Relaxed);
        thread.priority.store(self.priority.number(), Ordering::Relaxed);
        thread.affinity.store(self.affinity, Ordering::Relaxed);
        thread.cpu.store(cpu::id() as u8, Ordering::Relaxed);
        thread.slice.store(switch::SLICE_TICKS, Ordering::Relaxed);
        // SAFETY: it was not started, so nobody loads its context, and who reads it holds the thread's lock.
        unsafe { *thread.context.get() = Context::start_at(entry::<F, T>, packet_at) };
        drop(settled);
        // The one reference so far becomes the thread's own.
        let handle = thread.clone();
        thread.into_own();
        // SAFETY: the packet has this type, so its value has.
        let take = take_value::<F, T>;
        Ok(JoinHandle { thread: handle, packet: packet_at, take, _value: PhantomData })
    }

    /// Makes the thread and starts it: Linux's `kthread_run`.
    ///
    /// Context: thread.
    ///
    /// # Errors
    /// `SpawnError`.
    pub fn run<F, T>(self, body: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let handle = self.create(body)?;
        handle.start();
        Ok(handle)
    }
}

/// Makes and starts a thread of normal priority on any core. Context: thread.
///
/// # Errors
/// `SpawnError`.
pub fn run<F, T>(name: &str, body: F) -> Result<JoinHandle<T>, SpawnError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new(name).run(body)
}

/// The first Rust function of a thread, on its own stack, irqs masked.
extern "C" fn entry<F: FnOnce() -> T, T>(before: usize, packet: usize) -> ! {
    switch::begin(before);
    // SAFETY: `create` put it there, and it stays until block and stack are free, which this thread's own reference prevents.
    let packet = unsafe { &*(packet as *const Packet<F, T>) };
    // SAFETY: only the thread touches the body, once it was started.
    let body = unsafe { &mut *packet.body.get() }.take();
    let value = body.map(|body| body());
    // SAFETY: only the thread touches the value until `EXITED` is set.
    unsafe { *packet.value.get() = value };
    let before = current().kthread_flags.fetch_or(EXITED, Ordering::AcqRel);
    if before & DETACHED != 0 {
        // SAFETY: the handle is gone, so the value is the thread's still.
        drop(unsafe { &mut *packet.value.get() }.take());
    }
    exit()
}

fn exit() -> ! {
    bkl::give_back_at_end();
    blocking::give_up_locks();
    current().watcher.wake_up();
    switch::leave_for_good()
}

/// The running thread, `me`, is over without a value: whoever joins or parks it need not wait. Context: any.
pub(super) fn say_that_it_is_over(me: &Thread) {
    me.kthread_flags.fetch_or(EXITED, Ordering::AcqRel);
    me.watcher.wake_up();
}

/// Takes the value out of the packet at `address`.
///
/// # Safety
/// It is a `Packet<F, T>`, and the thread is over.
unsafe fn take_value<F, T>(address: usize) -> Option<T> {
    let packet = address as *const Packet<F, T>;
    // SAFETY: by the contract.
    let value = unsafe { &(*packet).value };
    // SAFETY: the thread is over, so the value belongs to the handle, which calls this once.
    unsafe { &mut *value.get() }.take()
}

/// A thread that can be joined. Dropped instead, it lets the thread run on by itself.
#[must_use = "a thread whose handle is dropped is not waited for; call `detach` to say so"]
#[derive(Debug)]
pub struct JoinHandle<T> {
    thread: ThreadRef,
    packet: usize,
    take: unsafe fn(usize) -> Option<T>,
    _value: PhantomData<T>,
}

// SAFETY: the handle gives a `T` to who joins, and nothing else.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: through a shared handle only the thread's block is reached, which is `Sync`.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// The thread.
    pub fn thread(&self) -> &ThreadRef {
        &self.thread
    }

    /// Starts a thread that was only created. False if it runs already. Context: any.
    pub fn start(&self) -> bool {
        wake::start(self.thread.thread())
    }

    /// Whether the thread is over: then `join` does not wait. Context: any.
    pub fn is_finished(&self) -> bool {
        self.flags().load(Ordering::Acquire) & EXITED != 0
    }

    /// Waits until the thread is over and takes its value. A thread that was not started is started.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// `Oopsed` if it ended by a fault.
    #[track_caller]
    pub fn join(self) -> Result<T, Oopsed> {
        super::might_sleep();
        self.start();
        // However long the thread works: that is neither load nor a hung task.
        self.thread.watcher.wait_until(TaskState::IDLE, || self.is_finished());
        // SAFETY: the packet is of this handle's type; the thread is over, and the stack stays as long as the reference does.
        unsafe { (self.take)(self.packet) }.ok_or(Oopsed)
    }

    /// Asks the thread to end (`should_stop`), wakes it, and waits until it has: Linux's `kthread_stop`.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// `Oopsed` if it ended by a fault.
    #[track_caller]
    pub fn stop(self) -> Result<T, Oopsed> {
        self.flags().fetch_or(SHOULD_STOP, Ordering::Release);
        self.unpark();
        wake::wake_up_process(&self.thread);
        self.join()
    }

    /// Asks the thread to wait in `parkme`, and waits until it does: Linux's `kthread_park`. False if it ended instead.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Panics
    /// If another thread that shares the handle is in here already.
    #[track_caller]
    pub fn park(&self) -> bool {
        super::might_sleep();
        self.flags().fetch_or(SHOULD_PARK, Ordering::Release);
        self.start();
        wake::wake_up_process(&self.thread);
        let has_arrived = || self.flags().load(Ordering::Acquire) & (IS_PARKED | EXITED) != 0;
        self.thread.watcher.wait_until(TaskState::UNINTERRUPTIBLE, has_arrived);
        !self.is_finished()
    }

    /// Lets a parked thread go on. Context: any.
    pub fn unpark(&self) {
        // Both at once: a later `park` must not take the old arrival for a new one.
        self.flags().fetch_and(!(SHOULD_PARK | IS_PARKED), Ordering::Release);
        wake::try_to_wake_up(&self.thread, TaskState::PARKED);
    }

    /// Lets the thread run on by itself; its value is dropped. The same as dropping the handle.
    pub fn detach(self) {}

    fn flags(&self) -> &AtomicU32 {
        &self.thread.kthread_flags
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        self.start();
        let before = self.flags().fetch_or(DETACHED, Ordering::AcqRel);
        if before & EXITED != 0 {
            // SAFETY: the thread is over, and left the value to the handle; after a join there is none.
            drop(unsafe { (self.take)(self.packet) });
        }
    }
}

/// Whether someone asked the running thread to end: Linux's `kthread_should_stop`. Context: thread.
pub fn should_stop() -> bool {
    // Acquire: pairs with the release in `stop`.
    current().kthread_flags.load(Ordering::Acquire) & SHOULD_STOP != 0
}

/// Whether someone asked the running thread to park: Linux's `kthread_should_park`. Context: thread.
pub fn should_park() -> bool {
    current().kthread_flags.load(Ordering::Acquire) & SHOULD_PARK != 0
}

/// Waits until the running thread is unparked, if someone asked it to park: Linux's `kthread_parkme`.
///
/// Context: thread, may sleep.
#[track_caller]
pub fn parkme() {
    super::might_sleep();
    let me = current();
    loop {
        set_current_state(TaskState::PARKED);
        let arrive = |flags| (flags & SHOULD_PARK != 0).then_some(flags | IS_PARKED);
        match me.kthread_flags.fetch_update(Ordering::AcqRel, Ordering::Acquire, arrive) {
            Err(_) => break,
            Ok(before) if before & IS_PARKED == 0 => {
                me.watcher.wake_up();
            }
            Ok(_) => {}
        }
        switch::schedule();
    }
    me.task().set_state(TaskState::RUNNING);
}

/// Whether the running thread shall end: it was asked to, or killed. For the condition of a loop. Context: thread.
pub fn should_end() -> bool {
    should_stop() || signal::fatal_signal_pending()
}

/// Whether `thread` was bound to its core for good. Context: any.
pub(super) fn is_bound(thread: &Thread) -> bool {
    thread.kthread_flags.load(Ordering::Relaxed) & BOUND != 0
}

const _: () = assert!(mem::size_of::<Context>() <= 128);
