//! Work queues: functions that may sleep, deferred to threads.
//!
//! A piece of work is a static or pinned value that holds its own data, like a tasklet, and has the same state word: asked for again before it has begun it
//! runs once, asked for while it runs it runs once more, and never on two cores at once. Each core has a queue and a worker; a further queue, of
//! unbound work, has a worker that may run on any core. A worker runs one piece after the other, so work that sleeps long holds up what stands behind
//! it: such work belongs in a thread of its own. Rejected: pools that grow when a worker sleeps, as Linux has; they are most of its code.
//!
//! Delayed work is work with a timer that queues it.
//!
//! A worker whose piece faults is lost with that piece; `kworkerd`, which does nothing else, makes a new one. The piece itself is dead: who waits for it or asks
//! for it again is told so in a report, and does not wait.
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
use crate::upcalls;
use core::marker::PhantomPinned;
use core::panic::Location;
use core::pin::Pin;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

/// The queue of work that any core may do; those below are the cores' own.
const UNBOUND: usize = NR_CPUS;
/// How often a wait looks again, rounded up to jiffies.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How often `kworkerd` tries to make a worker.
const TRY_AGAIN_MILLIS: u64 = 1000;

/// What a queue knows of a piece of work: the head of every `Work<T>`.
struct Item {
    state: RunState,
    /// Its function died, so it neither ends nor runs again.
    is_dead: AtomicBool,
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
    /// What the worker does now. Written by the worker.
    running: AtomicPtr<Item>,
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
        running: AtomicPtr::new(ptr::null_mut()),
        is_orphaned: AtomicBool::new(false),
        nr_queued: AtomicU64::new(0),
        nr_done: AtomicU64::new(0),
    }
}; NR_CPUS + 1];

impl<T: Sync + 'static> Work<T> {
    /// Work that runs `function`.
    pub const fn new(data: T, function: fn(Pin<&Self>)) -> Self {
        let (queue, next) = (AtomicUsize::new(UNBOUND), AtomicPtr::new(ptr::null_mut()));
        let item = Item { state: RunState::new(), is_dead: AtomicBool::new(false), queue, next, call: call::<T> };
        Self { item, function, data, _pinned: PhantomPinned }
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
        } else if asked.is_some() && self.is_dead() {
            return false;
        }
        asked.is_some()
    }

    /// Its function died; that is reported. Out of line, as only who finds it running asks. Context: any.
    #[cold]
    #[track_caller]
    fn is_dead(&self) -> bool {
        let is_dead = self.item.is_dead.load(Ordering::Acquire);
        if is_dead {
            upcalls::bug_report(
                format_args!("a piece of work is wanted whose function has died: it never runs or ends again"),
                Location::caller(),
            );
        }
        is_dead
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
    #[track_caller]
    fn sleep_until(&self, holds: impl Fn(&RunState) -> bool) {
        while !holds(&self.item.state) && !self.is_dead() {
            set_current_state(TaskState::UNINTERRUPTIBLE);
            schedule_timeout(LOOK_AGAIN);
        }
    }
}

impl<T: Sync + 'static> Drop for Work<T> {
    /// Cancels it and waits. Work whose function died goes as well: the dead thread will not touch it. Context: as `cancel_sync`, unless it is idle.
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
            queue.running.store(item.as_ptr(), Ordering::Relaxed);
            run(item);
            queue.running.store(ptr::null_mut(), Ordering::Relaxed);
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
    for queue in cpu::online().chain([UNBOUND]) {
        start_worker(queue);
    }
    match Builder::new("kworkerd").run(replace_lost_workers) {
        Ok(maker) => maker.detach(),
        Err(error) => crate::pr_err!("workqueue: no kworkerd: {:?}: a worker that dies has no successor", error),
    }
}

/// What the worker of a queue shall be like.
fn worker_of(queue: usize) -> Builder {
    const NAMES: [&str; NR_CPUS + 1] = ["kworker/0", "kworker/1", "kworker/2", "kworker/3", "kworker/u"];
    let worker = Builder::new(NAMES[queue]);
    if queue == UNBOUND { worker } else { worker.bind(queue) }
}

/// False if there is no thread to be had; that was reported.
fn start_worker(queue: usize) -> bool {
    match worker_of(queue).run(move || work(&QUEUES[queue])) {
        Ok(worker) => worker.detach(),
        Err(error) => {
            crate::pr_err!("workqueue: no worker for queue {}: {:?}: work that is put there does not run", queue, error);
            return false;
        }
    }
    true
}

/// Where `kworkerd` sleeps.
static SUCCESSION: RcuWait = RcuWait::new();

/// The running thread, `me`, is dying: if it is a worker, its piece of work is dead, and its queue gets a new one. Context: any.
pub(super) fn on_death(me: &Thread) {
    let is_mine = |queue: &&Queue| queue.thread.load(Ordering::Relaxed) == ptr::from_ref(me).addr();
    let Some(lost) = QUEUES.iter().find(is_mine) else { return };
    // SAFETY: null, or work that runs and will never be idle, so it lives: its drop waits for that, or for what is stored here.
    if let Some(item) = unsafe { lost.running.load(Ordering::Relaxed).as_ref() } {
        item.is_dead.store(true, Ordering::Release);
    }
    lost.is_orphaned.store(true, Ordering::Release);
    SUCCESSION.wake_up();
}

/// What `kworkerd` does, for ever.
fn replace_lost_workers() {
    // Acquire: what the dead did comes before what its successor does.
    let is_orphaned = |queue: &Queue| queue.is_orphaned.load(Ordering::Acquire);
    loop {
        SUCCESSION.wait_until(TaskState::IDLE, || QUEUES.iter().any(is_orphaned));
        for (index, queue) in QUEUES.iter().enumerate().filter(|(_, queue)| is_orphaned(queue)) {
            // First: the successor may die at once, too.
            queue.is_orphaned.store(false, Ordering::Relaxed);
            queue.running.store(ptr::null_mut(), Ordering::Relaxed);
            queue.thread.store(0, Ordering::Relaxed);
            // The piece that it died of is as done as it will ever be.
            queue.nr_done.fetch_add(1, Ordering::Release);
            while !start_worker(index) {
                super::msleep(TRY_AGAIN_MILLIS);
            }
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
