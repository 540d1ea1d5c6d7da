//! Tasklets: functions that an interrupt handler defers, each on one core at a time.
//!
//! A tasklet is a static or pinned value that holds its own data. Scheduling puts it on a list of the core and raises a softirq; the core takes the
//! whole list and runs it, oldest first. Asked for again before it has begun it runs once; asked for while it runs it runs once more, on the
//! core that ran it. So its data needs no lock against itself, and one against everything else that touches it.
//!
//! The list is the core's own, touched with irqs masked, so there is no lock; who wants a tasklet gone waits for the core that has it. A tasklet
//! that is dropped is killed first, and pinning makes sure that it is dropped before its memory is used again: no way leads to a function that runs
//! on freed data. Rejected: unlinking from another core, which would put a lock into every schedule.
//!
//! Neighbours: [`run_state`](super::run_state) has the state word and its ordering, [`softirq`] calls [`init`]'s functions.
//!
//! ```no_run
//! use tetra::{irq::Tasklet, sync::atomic::AtomicU32};
//! static RECEIVED: Tasklet<AtomicU32> = Tasklet::new(AtomicU32::new(0), |tasklet| tasklet.data().inc());
//! RECEIVED.schedule();                    // in a handler
//! ```

use super::run_state::RunState;
use super::softirq::{self, Softirq};
use crate::arch;
use crate::cpu::{self, IrqGuard};
use crate::per_cpu;
use crate::upcalls;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};

/// What the lists know of a tasklet: the head of every `Tasklet<T>`.
struct Item {
    state: RunState,
    /// Softirq that runs it.
    softirq: Softirq,
    /// Next on a core's list. Written by the core that links it.
    next: AtomicPtr<Item>,
    /// Calls the tasklet's function with the tasklet.
    call: unsafe fn(NonNull<Item>),
}

/// A function with its data that runs in softirq context, soon, once for each time it was asked for, on one core at a time.
#[repr(C)]
pub struct Tasklet<T: Sync + 'static> {
    item: Item,
    function: fn(Pin<&Tasklet<T>>),
    data: T,
    _pinned: PhantomPinned,
}

per_cpu! {
    /// Tasklets that wait for this core, newest first: of high priority, and others. Touched by the core itself, irqs masked.
    static WAITING: [AtomicPtr<Item>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];
}

impl<T: Sync + 'static> Tasklet<T> {
    /// A tasklet that runs `function` among the ordinary ones.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::irq::Tasklet;
    /// use tetra::sync::atomic::AtomicU32;
    /// static RECEIVED: Tasklet<AtomicU32> = Tasklet::new(AtomicU32::new(0), |tasklet| tasklet.data().inc());
    /// RECEIVED.schedule();
    /// ```
    pub const fn new(data: T, function: fn(Pin<&Self>)) -> Self {
        Self::of(Softirq::Tasklet, data, function)
    }

    /// A tasklet that runs before timers and ordinary tasklets.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::irq::Tasklet;
    /// use tetra::sync::atomic::AtomicU32;
    /// static RECEIVED: Tasklet<AtomicU32> = Tasklet::new_hi(AtomicU32::new(0), |tasklet| tasklet.data().inc());
    /// RECEIVED.schedule(); // runs before timers
    /// ```
    pub const fn new_hi(data: T, function: fn(Pin<&Self>)) -> Self {
        Self::of(Softirq::Hi, data, function)
    }

    const fn of(softirq: Softirq, data: T, function: fn(Pin<&Self>)) -> Self {
        let item = Item { state: RunState::new(), softirq, next: AtomicPtr::new(ptr::null_mut()), call: call::<T> };
        Self { item, function, data, _pinned: PhantomPinned }
    }

    /// Its data.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::irq::Tasklet;
    /// use tetra::sync::atomic::AtomicU32;
    /// static RECEIVED: Tasklet<AtomicU32> = Tasklet::new(AtomicU32::new(0), |tasklet| tasklet.data().inc());
    /// assert_eq!(RECEIVED.data().read(), 0);
    /// ```
    pub fn data(&self) -> &T {
        &self.data
    }

    /// Has the tasklet run on this core, soon. False if it was asked for already and has not begun.
    ///
    /// Context: any. What was written before is visible to the function.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::irq::Tasklet;
    /// use tetra::sync::atomic::AtomicU32;
    /// static RECEIVED: Tasklet<AtomicU32> = Tasklet::new(AtomicU32::new(0), |tasklet| tasklet.data().inc());
    /// RECEIVED.schedule(); // in a handler: runs when the handler has returned
    /// ```
    #[inline]
    pub fn schedule(&'static self) -> bool {
        Pin::static_ref(self).schedule_pinned()
    }

    /// As `schedule`, for a tasklet that is no static, and in its own function.
    ///
    /// # Examples
    /// ```no_run
    /// use core::pin::Pin;
    /// use tetra::irq::Tasklet;
    /// use tetra::sync::atomic::AtomicU32;
    /// static LEFT: Tasklet<AtomicU32> = Tasklet::new(AtomicU32::new(3), |tasklet| {
    ///     if !tasklet.data().dec_and_test() {
    ///         tasklet.schedule_pinned(); // once more
    ///     }
    /// });
    /// Pin::static_ref(&LEFT).schedule_pinned();
    /// ```
    #[inline]
    pub fn schedule_pinned(self: Pin<&Self>) -> bool {
        let asked = self.item.state.ask();
        if asked == Some(true) {
            link(self.erased());
        }
        asked.is_some()
    }

    /// Keeps the tasklet from running until as many calls of `enable`, and waits for a run that is under way. Requests are kept.
    ///
    /// Context: thread or softirq, not the tasklet's own function.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::irq::Tasklet;
    /// use tetra::sync::atomic::AtomicU32;
    /// static RECEIVED: Tasklet<AtomicU32> = Tasklet::new(AtomicU32::new(0), |tasklet| tasklet.data().inc());
    /// RECEIVED.disable(); // it does not run now, nor before `enable`
    /// RECEIVED.schedule();
    /// assert!(RECEIVED.is_scheduled());
    /// ```
    pub fn disable(&self) {
        self.disable_nosync();
        self.wait_while(RunState::is_running);
    }

    /// As `disable`, but does not wait. Context: any.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::irq::Tasklet;
    /// use tetra::sync::atomic::AtomicU32;
    /// static RECEIVED: Tasklet<AtomicU32> = Tasklet::new(AtomicU32::new(0), |tasklet| tasklet.data().inc());
    /// RECEIVED.disable_nosync(); // in a handler, which could not wait for its end
    /// ```
    pub fn disable_nosync(&self) {
        self.item.state.disable();
    }

    /// Undoes one `disable`; if it was the last, and the tasklet was asked for meanwhile, it runs on this core.
    ///
    /// Context: any.
    ///
    /// # Panics
    /// If the tasklet is not disabled.
    ///
    /// # Examples
    /// ```no_run
    /// use core::pin::Pin;
    /// use tetra::irq::Tasklet;
    /// use tetra::sync::atomic::AtomicU32;
    /// static RECEIVED: Tasklet<AtomicU32> = Tasklet::new(AtomicU32::new(0), |tasklet| tasklet.data().inc());
    /// RECEIVED.disable();
    /// RECEIVED.schedule();
    /// Pin::static_ref(&RECEIVED).enable(); // now it runs
    /// ```
    pub fn enable(self: Pin<&Self>) {
        if self.item.state.enable() {
            link(self.erased());
        }
    }

    /// Takes a request back and waits until the tasklet neither runs nor waits anywhere. True if a run was prevented. Scheduling it again is allowed.
    ///
    /// Context: thread, irqs on and no section open: the core that has it may be this one.
    ///
    /// # Panics
    /// In any other context, if it would have to wait: that wait could not end.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::irq::Tasklet;
    /// use tetra::sync::atomic::AtomicU32;
    /// static RECEIVED: Tasklet<AtomicU32> = Tasklet::new(AtomicU32::new(0), |tasklet| tasklet.data().inc());
    /// RECEIVED.schedule();
    /// RECEIVED.kill();
    /// assert!(!RECEIVED.is_scheduled()); // and it does not run: its data may go
    /// ```
    pub fn kill(&self) -> bool {
        let was_asked = self.item.state.cancel();
        if !self.item.state.is_idle() {
            assert!(
                !cpu::is_atomic(),
                "a tasklet was killed or dropped while it is queued or runs, by a {} that cannot wait: do that in a thread, irqs on and no lock held",
                cpu::context::name()
            );
            self.wait_while(|state| !state.is_idle());
        }
        was_asked
    }

    /// It was asked for and has not begun. Stale on return. Context: any.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::irq::Tasklet;
    /// use tetra::sync::atomic::AtomicU32;
    /// static RECEIVED: Tasklet<AtomicU32> = Tasklet::new(AtomicU32::new(0), |tasklet| tasklet.data().inc());
    /// assert!(!RECEIVED.is_scheduled());
    /// ```
    pub fn is_scheduled(&self) -> bool {
        self.item.state.is_asked()
    }

    /// Waits while `holds`; serves this core's softirqs meanwhile, since their thread may be of lower priority than this one.
    #[cold]
    fn wait_while(&self, holds: impl Fn(&RunState) -> bool) {
        while holds(&self.item.state) {
            upcalls::answer_attention();
            if !cpu::is_atomic() {
                softirq::serve_now();
            }
            arch::relax();
        }
    }

    /// The head, by a pointer that may be cast back to the whole.
    #[inline(always)]
    fn erased(self: Pin<&Self>) -> NonNull<Item> {
        NonNull::from(self.get_ref()).cast()
    }
}

impl<T: Sync + 'static> Drop for Tasklet<T> {
    /// Kills it. Context: as `kill`, unless it is idle.
    fn drop(&mut self) {
        self.kill();
    }
}

/// Calls the function of the tasklet that `item` is the head of.
///
/// # Safety
/// `item` was made by `erased` of a `Tasklet<T>` that lives until its state word is idle.
unsafe fn call<T: Sync + 'static>(item: NonNull<Item>) {
    // SAFETY: the caller's promise; `item` is the first field of a `repr(C)` struct and its pointer was made from the whole.
    let tasklet = unsafe { item.cast::<Tasklet<T>>().as_ref() };
    // SAFETY: it was pinned, or static, when it was scheduled.
    let tasklet = unsafe { Pin::new_unchecked(tasklet) };
    (tasklet.function)(tasklet);
}

/// Puts an item, whose `LINKED` the caller has set, on this core's list.
#[inline]
fn link(item: NonNull<Item>) {
    let _irqs_off = IrqGuard::new();
    // SAFETY: a linked item lives until it was taken off: `kill`, and so the drop, waits for that.
    let item_ref = unsafe { item.as_ref() };
    let list = &WAITING.this()[list_of(item_ref.softirq)];
    item_ref.next.store(list.load(Ordering::Relaxed), Ordering::Relaxed);
    list.store(item.as_ptr(), Ordering::Relaxed);
    softirq::raise(item_ref.softirq);
}

const fn list_of(softirq: Softirq) -> usize {
    matches!(softirq, Softirq::Tasklet) as usize
}

fn run_hi() {
    run_list(Softirq::Hi);
}

fn run_normal() {
    run_list(Softirq::Tasklet);
}

/// Runs what waits on this core. Context: softirq, irqs on.
fn run_list(softirq: Softirq) {
    let mut next = take_oldest_first(&WAITING.this()[list_of(softirq)]);
    while let Some(item) = NonNull::new(next) {
        // SAFETY: linked until `begin`, which is below.
        let item_ref = unsafe { item.as_ref() };
        next = item_ref.next.load(Ordering::Relaxed);
        if item_ref.state.begin() {
            // SAFETY: it runs now, by `begin`, so it lives until `end`; whoever linked it made the pointer by `erased`.
            unsafe { (item_ref.call)(item) };
            if item_ref.state.end() {
                link(item);
            }
        }
    }
}

/// Empties a list and turns it round.
fn take_oldest_first(list: &AtomicPtr<Item>) -> *mut Item {
    let mut newest = {
        let _irqs_off = IrqGuard::new();
        let newest = list.load(Ordering::Relaxed);
        list.store(ptr::null_mut(), Ordering::Relaxed);
        newest
    };
    let mut oldest = ptr::null_mut();
    // SAFETY: linked items live until `begin`, and nobody else has this list any more.
    while let Some(item) = unsafe { newest.as_ref() } {
        let next = item.next.load(Ordering::Relaxed);
        item.next.store(oldest, Ordering::Relaxed);
        oldest = newest;
        newest = next;
    }
    oldest
}

/// Gives the two softirqs their functions. Context: boot, once.
pub fn init() {
    softirq::open(Softirq::Hi, run_hi);
    softirq::open(Softirq::Tasklet, run_normal);
}
