//! Work queues: functions that may sleep, deferred to threads.
//!
//! A piece of work is a static or pinned value that holds its own data, like a tasklet, and has the same state word: asked for again before it has begun it
//! runs once, asked for while it runs it runs once more, and never on two cores at once. Each core has a queue and a worker; a further queue, of
//! unbound work, has a worker that may run on any core. A worker runs one piece after the other, so work that sleeps long holds up what stands behind
//! it: such work belongs in a thread of its own. Rejected: pools that grow when a worker sleeps, as Linux has; they are most of its code.
//!
//! Delayed work is work with a timer that queues it.
//!
//! A worker whose piece faults is lost with that piece; another queue's worker makes a new one. The piece itself is never idle again: what waits for it
//! waits for ever, and asked for again it does not run.
//!
//! # Memory ordering
//! The state word orders asking before running, and running before a wait that finds it idle; the queue's lock orders the list.
//!
//! Neighbours: `irq::run_state` (the word), `irq::tasklet` (the same, for what must not sleep), [`kthread`](super::kthread).

use super::RcuWait;
use super::kthread::Builder;
use super::thread::{Thread, current};
use super::timeout::schedule_timeout;
use crate::cpu::task::{TaskState, set_current_state};
use crate::cpu::{self, NR_CPUS};
use crate::irq::run_state::RunState;
use crate::sync::IrqSpinLock;
use crate::time::Timer;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

/// The queue of work that any core may do; those below are the cores' own.
const UNBOUND: usize = NR_CPUS;
/// How often a wait looks again, rounded up to jiffies.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What a queue knows of a piece of work: the head of every `Work<T>`.
struct Item {
    state: RunState,
    /// Queue in which it was last put. Written by who links it.
    queue: AtomicUsize,
    /// Next in the queue, under its lock.
    next: AtomicPtr<Item>,
    call: unsafe fn(NonNull<Item>),
}

/// A function with its data that runs in a worker thread, soon, once for each time it was asked for, on one core at a time.
#[repr(C)]
pub struct Work<T: Sync + 'static> {
    item: Item,
    function: fn(Pin<&Work<T>>),
    data: T,
    _pinned: PhantomPinned,
}

/// First and last of a list.
struct List {
    head: AtomicPtr<Item>,
    tail: AtomicPtr<Item>,
}

struct Queue {
    list: IrqSpinLock<List>,
    worker: RcuWait,
    /// Address of the worker's block.
    thread: AtomicUsize,
    /// The worker has died, and another was not made yet.
    is_orphaned: AtomicBool,
    /// Pieces that were put in, and that are done. Their order is that of the list, so a flush waits for a number.
    nr_queued: AtomicU64,
    nr_done: AtomicU64,
}

static QUEUES: [Queue; NR_CPUS + 1] = [const {
    Queue {
        list: IrqSpinLock::new(List { head: AtomicPtr::new(ptr::null_mut()), tail: AtomicPtr::new(ptr::null_mut()) }),
        worker: RcuWait::new(),
        thread: AtomicUsize::new(0),
        is_orphaned: AtomicBool::new(false),
        nr_queued: AtomicU64::new(0),
        nr_done: AtomicU64::new(0),
    }
}; NR_CPUS + 1];

impl<T: Sync + 'static> Work<T> {
    /// Work that runs `function`.
    pub const fn new(data: T, function: fn(Pin<&Self>)) -> Self {
        let (queue, next) = (AtomicUsize::new(UNBOUND), AtomicPtr::new(ptr::null_mut()));
        Self { item: Item { state: RunState::new(), queue, next, call: call::<T> }, function, data, _pinned: PhantomPinned }
    }

    /// Its data.
    pub fn data(&self) -> &T {
        &self.data
    }

    /// Has it run in this core's worker: Linux's `schedule_work`. False if it was asked for already and has not begun.
    ///
    /// Context: any. What was written before is visible to the function.
    #[inline]
    pub fn schedule(&'static self) -> bool {
        Pin::static_ref(self).schedule_pinned()
    }

    /// As `schedule`, for work that is no static, and in its own function.
    #[inline]
    pub fn schedule_pinned(self: Pin<&Self>) -> bool {
        self.queue_in(cpu::id())
    }

    /// Has it run in the worker of core `cpu`: Linux's `queue_work_on`. False if it was asked for already; it runs where it was asked for first.
    ///
    /// Context: any.
    ///
    /// # Panics
    /// If core `cpu` does not run the kernel.
    pub fn schedule_on(self: Pin<&Self>, cpu: usize) -> bool {
        assert!(cpu::is_online(cpu), "work for cpu{cpu}, which does not run");
        self.queue_in(cpu)
    }

    /// Has it run on any core, in the worker of unbound work. False if it was asked for already.
    ///
    /// Context: any.
    pub fn schedule_unbound(self: Pin<&Self>) -> bool {
        self.queue_in(UNBOUND)
    }

    #[inline]
    fn queue_in(self: Pin<&Self>, queue: usize) -> bool {
        let asked = self.item.state.ask();
        if asked == Some(true) {
            self.item.queue.store(queue, Ordering::Relaxed);
            link(NonNull::from(self.get_ref()).cast());
        }
        asked.is_some()
    }

    /// Waits until the work, if it was asked for, is done: Linux's `flush_work`.
    ///
    /// Context: thread, may sleep; not in a worker of the same queue.
    #[track_caller]
    pub fn flush(&self) {
        super::might_sleep();
        self.sleep_until(|state| state.is_idle() && !state.is_asked());
    }

    /// Takes a request back and waits until the function does not run: Linux's `cancel_work_sync`. True if a run was prevented.
    ///
    /// Context: thread, may sleep; not in its own function.
    #[track_caller]
    pub fn cancel_sync(&self) -> bool {
        let was_asked = self.item.state.cancel();
        if !self.item.state.is_idle() {
            assert!(
                !cpu::is_atomic(),
                "work was cancelled or dropped while it is queued or runs, by a {} that cannot sleep",
                cpu::context::name()
            );
            self.sleep_until(RunState::is_idle);
        }
        was_asked
    }

    /// It was asked for and has not begun. Stale on return. Context: any.
    pub fn is_pending(&self) -> bool {
        self.item.state.is_asked()
    }

    #[cold]
    fn sleep_until(&self, holds: impl Fn(&RunState) -> bool) {
        while !holds(&self.item.state) {
            set_current_state(TaskState::UNINTERRUPTIBLE);
            schedule_timeout(LOOK_AGAIN);
        }
    }
}

impl<T: Sync + 'static> Drop for Work<T> {
    /// Cancels it and waits. Context: as `cancel_sync`, unless it is idle.
    fn drop(&mut self) {
        self.cancel_sync();
    }
}

/// Calls the function of the work that `item` is the head of.
///
/// # Safety
/// `item` was made from the whole of a pinned `Work<T>` that lives until its state word is idle.
unsafe fn call<T: Sync + 'static>(item: NonNull<Item>) {
    // SAFETY: the caller's promise; `item` is the first field of a `repr(C)` struct.
    let work = unsafe { item.cast::<Work<T>>().as_ref() };
    // SAFETY: it was pinned when it was queued.
    let work = unsafe { Pin::new_unchecked(work) };
    (work.function)(work);
}

/// Appends an item, whose `LINKED` the caller has set, to its queue and wakes the worker.
fn link(item: NonNull<Item>) {
    // SAFETY: a linked item lives until it was taken off: `cancel_sync`, and so the drop, waits for that.
    let item_ref = unsafe { item.as_ref() };
    let queue = &QUEUES[item_ref.queue.load(Ordering::Relaxed)];
    item_ref.next.store(ptr::null_mut(), Ordering::Relaxed);
    {
        let mut list = queue.list.lock();
        // SAFETY: the last of the list is linked, so it lives.
        match unsafe { list.tail.get_mut().as_ref() } {
            Some(last) => last.next.store(item.as_ptr(), Ordering::Relaxed),
            None => *list.head.get_mut() = item.as_ptr(),
        }
        *list.tail.get_mut() = item.as_ptr();
        queue.nr_queued.fetch_add(1, Ordering::Relaxed);
    }
    queue.worker.wake_up();
}

/// Takes the first of a queue.
fn take(queue: &Queue) -> Option<NonNull<Item>> {
    let mut list = queue.list.lock();
    let first = NonNull::new(*list.head.get_mut())?;
    // SAFETY: it is linked, so it lives.
    let next = unsafe { first.as_ref() }.next.load(Ordering::Relaxed);
    *list.head.get_mut() = next;
    if next.is_null() {
        *list.tail.get_mut() = ptr::null_mut();
    }
    Some(first)
}

/// What a worker does, for ever.
fn work(queue: &Queue) {
    queue.thread.store(ptr::from_ref(current()).addr(), Ordering::Release);
    loop {
        queue.worker.wait_until(TaskState::IDLE, || queue.nr_queued.load(Ordering::Acquire) != queue.nr_done.load(Ordering::Relaxed));
        while let Some(item) = take(queue) {
            run(item);
            // Release: what the work did comes before. Pairs with the acquire in `flush`.
            queue.nr_done.fetch_add(1, Ordering::Release);
        }
    }
}

fn run(item: NonNull<Item>) {
    // SAFETY: linked until `begin`, and running from then to `end`: it lives.
    let item_ref = unsafe { item.as_ref() };
    if item_ref.state.begin() {
        // SAFETY: as above; whoever linked it made the pointer from the whole.
        unsafe { (item_ref.call)(item) };
        if item_ref.state.end() {
            link(item);
        }
    }
}

/// Waits until all work is done that was queued anywhere before: Linux's `flush_scheduled_work`.
///
/// Context: thread, may sleep; not in a worker.
#[track_caller]
pub fn flush() {
    super::might_sleep();
    for queue in &QUEUES {
        let upto = queue.nr_queued.load(Ordering::Acquire);
        while queue.nr_done.load(Ordering::Acquire) < upto {
            set_current_state(TaskState::UNINTERRUPTIBLE);
            schedule_timeout(LOOK_AGAIN);
        }
    }
}

/// Makes the workers. Context: boot, thread, once, when all cores run.
pub fn start() {
    cpu::online().chain([UNBOUND]).for_each(|queue| start_worker(worker_of(queue), queue));
}

/// What the worker of a queue shall be like.
fn worker_of(queue: usize) -> Builder {
    const NAMES: [&str; NR_CPUS + 1] = ["kworker/0", "kworker/1", "kworker/2", "kworker/3", "kworker/u"];
    let worker = Builder::new(NAMES[queue]);
    if queue == UNBOUND { worker } else { worker.bind(queue) }
}

fn start_worker(builder: Builder, queue: usize) {
    match builder.run(move || work(&QUEUES[queue])) {
        Ok(worker) => worker.detach(),
        Err(error) => crate::pr_err!("workqueue: no worker for queue {}: {:?}: work that is put there will not run", queue, error),
    }
}

/// What makes new workers, one for each queue that may lose its own: asked for in a queue that has one.
static SUCCESSIONS: [Work<()>; NR_CPUS + 1] = [const { Work::new((), |_| replace_lost_workers()) }; NR_CPUS + 1];

/// The running thread, `me`, is dying: if it is a worker, its queue gets a new one. Context: any.
pub(super) fn on_death(me: &Thread) {
    let is_mine = |queue: &Queue| queue.thread.load(Ordering::Relaxed) == ptr::from_ref(me).addr();
    let Some(lost) = QUEUES.iter().position(is_mine) else { return };
    QUEUES[lost].is_orphaned.store(true, Ordering::Release);
    let has_worker = |queue: &Queue| queue.thread.load(Ordering::Relaxed) != 0 && !queue.is_orphaned.load(Ordering::Relaxed);
    if let Some(other) = QUEUES.iter().position(has_worker) {
        Pin::static_ref(&SUCCESSIONS[lost]).queue_in(other);
    }
}

/// Context: a worker.
fn replace_lost_workers() {
    for (index, queue) in QUEUES.iter().enumerate() {
        // Acquire: what the dead did comes before what its successor does.
        if queue.is_orphaned.swap(false, Ordering::Acquire) {
            // The piece that it died of is as done as it will ever be.
            queue.nr_done.fetch_add(1, Ordering::Release);
            start_worker(worker_of(index), index);
        }
    }
}

/// Work that is queued when a time has passed: Linux's `delayed_work`. The work is the data of its timer, which is therefore stopped first when both go.
pub struct DelayedWork<T: Sync + 'static>(Timer<Work<T>>);

impl<T: Sync + 'static> DelayedWork<T> {
    /// Work that runs `function`.
    pub const fn new(data: T, function: fn(Pin<&Work<T>>)) -> Self {
        let queue_it = |timer: Pin<&Timer<Work<T>>>| _ = timer.data_pinned().schedule_pinned();
        Self(Timer::new(Work::new(data, function), queue_it))
    }

    /// The work.
    pub fn work(&self) -> &Work<T> {
        self.0.data()
    }

    /// Has the work run, on this core, when `after` has passed; asked again before that, the time begins anew. True if it was waiting.
    ///
    /// Context: any.
    pub fn schedule(&'static self, after: Duration) -> bool {
        self.0.start(after)
    }

    /// Takes a request back and waits until the function does not run. True if a run was prevented.
    ///
    /// Context: thread, may sleep.
    #[track_caller]
    pub fn cancel_sync(&self) -> bool {
        let was_waiting = self.0.cancel_sync();
        self.work().cancel_sync() | was_waiting
    }

    /// It waits for its time, or in its queue. Stale on return. Context: any.
    pub fn is_pending(&self) -> bool {
        self.0.is_pending() || self.work().is_pending()
    }
}
