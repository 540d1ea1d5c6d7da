//! The read side: a section that costs a count, and loads in it.
//!
//! A section is a preemption-off section: while its count is not 0 the core passes no quiescent state, and that is all there is to it. No store to memory,
//! no barrier, nothing that two readers could contend for. Preemption off, bottom halves off, irqs off, a handler: each of them is a read section as
//! well, since each keeps the core from a quiescent state. Rejected: sections that may be preempted, whose threads the grace period would have
//! to list (Linux's `PREEMPT_RCU`); sections here are short, and what has to sleep takes a lock or a reference.
//!
//! What sleeps in a section in spite of the rule panics at the switch (`sched::switch`): the count tells. So a build with `preempt_none` counts as well,
//! though a thread is switched out there only where it asks for it. Who builds with `up_unchecked` besides has promised that no section sleeps (and no
//! lock is taken twice): there a section is nothing.
//!
//! With `debug` each core notes how deep it is and where the outermost section began, for reports.
//!
//! # What the types refuse
//! A reference does not outlive its section;
//! ```compile_fail,E0505
//! # use tetra::sync::rcu::{Rcu, rcu_read_lock};
//! static CONFIG: Rcu<u32> = Rcu::empty();
//! let section = rcu_read_lock();
//! let value = CONFIG.read(&section);
//! drop(section);
//! println!("{value:?}");
//! ```
//! it cannot be had without one;
//! ```compile_fail,E0061
//! # use tetra::sync::rcu::Rcu;
//! static CONFIG: Rcu<u32> = Rcu::empty();
//! let value = CONFIG.read();
//! ```
//! and a section stays on its thread, as itself or lent.
//! ```compile_fail,E0277
//! let section = tetra::sync::rcu::rcu_read_lock();
//! std::thread::spawn(move || drop(section));
//! ```
//! ```compile_fail,E0277
//! let section = tetra::sync::rcu::rcu_read_lock();
//! std::thread::scope(|scope| { scope.spawn(|| { let _lent = &section; }); });
//! ```
//!
//! # Memory ordering
//! `rcu_assign_pointer` releases, so what the new value holds was written before it can be found. The reader's load is plain: whatever it reads through
//! the pointer depends on its address, which orders the two on every Arm core (`barrier::read_barrier_depends`). The section's begin and end hold
//! the compiler only; what they mean to a grace period is ordered where quiescent states are reported (`grace_period`).

use crate::arch::{self, barrier, count};
use crate::cpu;
use crate::sync::atomic::{AtomicBool, AtomicPtr};
use crate::upcalls;
use core::marker::PhantomData;
use core::panic::Location;
use core::sync::atomic::{AtomicUsize, Ordering, fence};

/// Sections raise the count: a tick that interrupts count 0 has interrupted no section.
pub(super) const IS_COUNTED: bool = cfg!(any(not(feature = "preempt_none"), not(feature = "up_unchecked"), feature = "debug"));

/// Each section's end is a quiescent state that is reported at once. Written at boot, and by tests.
static IS_STRICT: AtomicBool = AtomicBool::new(false);

/// On the host test threads are no cores that report, so there sections are counted, by all threads together.
const IS_HOST: bool = cfg!(not(target_os = "none"));
/// Sections of all threads of the host.
static HOST_SECTIONS: AtomicUsize = AtomicUsize::new(0);

/// A read section: as long as it lives, nothing that it can find is freed. It must not sleep. Sections nest, and drop in any order.
#[must_use = "the section is over as soon as the guard drops"]
#[derive(Debug)]
pub struct RcuReadGuard {
    _this_thread: PhantomData<*mut ()>,
}

/// Begins a read section: Linux's `rcu_read_lock`.
///
/// Context: any. Does not sleep, and neither may the section. One instruction.
///
/// # Examples
/// ```
/// use tetra::sync::rcu::{rcu_read_lock, rcu_read_lock_held};
/// let section = rcu_read_lock();
/// assert!(rcu_read_lock_held());
/// drop(section); // Linux's `rcu_read_unlock`
/// assert!(!rcu_read_lock_held());
/// ```
#[inline(always)]
#[cfg_attr(feature = "debug", track_caller)]
pub fn rcu_read_lock() -> RcuReadGuard {
    if IS_HOST {
        HOST_SECTIONS.fetch_add(1, Ordering::SeqCst);
        // The section's loads come behind; pairs with the fence in `wait_for_host_sections`.
        fence(Ordering::SeqCst);
    }
    if IS_COUNTED {
        count::enter_preempt_off()
    } else {
        barrier::compiler()
    }
    if cfg!(feature = "debug") {
        cpu::context::note_section(count::PREEMPT_ONE as u32);
        nesting::enter(Location::caller());
    }
    RcuReadGuard { _this_thread: PhantomData }
}

impl Drop for RcuReadGuard {
    /// Linux's `rcu_read_unlock`. Two instructions, unless something waits for the end of the thread's last section.
    #[inline(always)]
    fn drop(&mut self) {
        if cfg!(feature = "debug") {
            nesting::leave();
            if IS_STRICT.read() {
                // The leave that reaches 0 finds work to do, and reports.
                count::mark_work();
            }
        }
        if IS_HOST {
            HOST_SECTIONS.fetch_sub(1, Ordering::SeqCst);
        }
        if IS_COUNTED {
            // SAFETY: undoes the entry that came before this guard, which stands for it and is dropped once.
            unsafe { count::leave_preempt_off() }
        } else {
            barrier::compiler()
        }
    }
}

/// Host: waits for a moment at which no thread is in a section, so all that run now are over. `None` where cores report themselves.
///
/// # Panics
/// In a section of the caller's own, which it would wait for.
pub(super) fn wait_for_host_sections() -> Option<()> {
    if !IS_HOST {
        return None;
    }
    assert!(cpu::preempt_count() == 0, "synchronize_rcu in a read section, or with preemption off");
    fence(Ordering::SeqCst);
    while HOST_SECTIONS.load(Ordering::SeqCst) != 0 {
        arch::relax();
    }
    Some(())
}

/// The caller is in a read section, made by `rcu_read_lock` or by whatever keeps its core: Linux's `rcu_read_lock_any_held`.
///
/// Context: any. Always true in builds that do not count.
///
/// # Examples
/// ```
/// use tetra::cpu::PreemptGuard;
/// use tetra::sync::rcu::rcu_read_lock_held;
/// assert!(!rcu_read_lock_held());
/// let pinned = PreemptGuard::new();
/// assert!(rcu_read_lock_held()); // whatever keeps the core is a section as well
/// ```
#[doc(alias("rcu_read_lock_any_held", "rcu_read_lock_sched_held"))]
#[inline]
pub fn rcu_read_lock_held() -> bool {
    !IS_COUNTED || cpu::is_atomic()
}

/// Where this core's outermost `rcu_read_lock` was called, if it is in a section. Known with `debug` only.
///
/// Context: any, not migrating.
///
/// # Examples
/// ```
/// use tetra::sync::rcu::{rcu_read_lock, rcu_read_lock_place};
/// let outer = rcu_read_lock();
/// let line = line!() - 1;
/// let inner = rcu_read_lock();
/// assert!(rcu_read_lock_place().is_none_or(|place| place.line() == line)); // the outer one's
/// assert_eq!(rcu_read_lock_place().is_some(), cfg!(feature = "debug"));
/// ```
pub fn rcu_read_lock_place() -> Option<&'static Location<'static>> {
    nesting::place_on(cpu::id())
}

/// The same for core `cpu`; stale on return.
#[cfg(target_os = "none")]
pub(super) fn place_on(cpu: usize) -> Option<&'static Location<'static>> {
    nesting::place_on(cpu)
}

/// Loads a pointer that `rcu_assign_pointer` stores: Linux's `rcu_dereference`. What it points to is not freed before the section ends.
///
/// With `debug`, a call outside of a section is reported with its place. `Rcu<T>` needs no such check.
///
/// Context: any, in a read section. One load; what is read through the pointer comes after it.
///
/// # Examples
/// ```
/// use tetra::sync::{atomic::AtomicPtr, rcu::{rcu_dereference, rcu_read_lock}};
/// static NUMBERS: [u32; 2] = [1, 2];
/// static NEWEST: AtomicPtr<u32> = AtomicPtr::new((&raw const NUMBERS[0]).cast_mut());
///
/// let section = rcu_read_lock();
/// // SAFETY: a static is never freed.
/// assert_eq!(unsafe { *rcu_dereference(&NEWEST) }, 1);
/// ```
#[inline(always)]
#[cfg_attr(feature = "debug", track_caller)]
pub fn rcu_dereference<T: 'static>(pointer: &AtomicPtr<T>) -> *mut T {
    if cfg!(feature = "debug") && !rcu_read_lock_held() {
        outside_of_section(Location::caller());
    }
    pointer.read()
}

/// Loads such a pointer to compare it with null, or under the lock that keeps it from changing: Linux's `rcu_access_pointer`,
/// `rcu_dereference_protected`.
///
/// Context: any. What it points to may be freed at any time, unless the caller's lock prevents that.
///
/// # Examples
/// ```
/// use tetra::sync::{atomic::AtomicPtr, rcu::rcu_access_pointer};
/// static NUMBERS: [u32; 2] = [1, 2];
/// static NEWEST: AtomicPtr<u32> = AtomicPtr::new((&raw const NUMBERS[0]).cast_mut());
///
/// assert!(!rcu_access_pointer(&NEWEST).is_null()); // compared, not followed: needs no section
/// ```
#[doc(alias("rcu_dereference_protected"))]
#[inline(always)]
pub fn rcu_access_pointer<T: 'static>(pointer: &AtomicPtr<T>) -> *mut T {
    pointer.read()
}

/// Publishes `new`: Linux's `rcu_assign_pointer`. Who held the old value frees it after a grace period.
///
/// Context: any. Release: whoever finds `new` finds what was written to it before. Pairs with the dependency behind [`rcu_dereference`].
///
/// # Examples
/// ```
/// use tetra::sync::{atomic::AtomicPtr, rcu::{rcu_assign_pointer, rcu_dereference, rcu_read_lock}};
/// static NUMBERS: [u32; 2] = [1, 2];
/// static NEWEST: AtomicPtr<u32> = AtomicPtr::new((&raw const NUMBERS[0]).cast_mut());
///
/// rcu_assign_pointer(&NEWEST, (&raw const NUMBERS[1]).cast_mut());
/// let section = rcu_read_lock();
/// // SAFETY: a static is never freed.
/// assert_eq!(unsafe { *rcu_dereference(&NEWEST) }, 2);
/// ```
#[inline(always)]
pub fn rcu_assign_pointer<T: 'static>(pointer: &AtomicPtr<T>, new: *mut T) {
    pointer.store_release(new);
}

#[cold]
#[inline(never)]
fn outside_of_section(place: &'static Location<'static>) {
    upcalls::bug_report(
        format_args!(
            "rcu_dereference outside of a read section: what it finds may be freed at any moment. Call rcu_read_lock() before it, and keep the guard."
        ),
        place,
    );
}

/// Has each outermost section's end report a quiescent state at once, and each grace period be hurried: Linux's `CONFIG_RCU_STRICT_GRACE_PERIOD`.
/// Whoever uses a value after its section is found much sooner so. Boot argument `rcu_strict_grace_period`. True if the build can do that: with `debug`.
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::rcu::{is_strict, set_strict};
/// assert_eq!(set_strict(true), cfg!(feature = "debug")); // builds with `debug` can
/// assert_eq!(is_strict(), cfg!(feature = "debug"));
/// ```
pub fn set_strict(is_strict: bool) -> bool {
    IS_STRICT.set(is_strict && cfg!(feature = "debug"));
    is_strict == self::is_strict()
}

/// Strict grace periods are on. Context: any.
#[inline]
pub fn is_strict() -> bool {
    cfg!(feature = "debug") && IS_STRICT.read()
}

/// How deep each core is in sections. A section belongs to its core from begin to end, as the count keeps it there, and handlers leave the depth as they
/// found it: so a load and a store are enough. Others read it for reports.
mod nesting {
    use crate::sync::atomic::{AtomicPtr, AtomicU32};
    use core::panic::Location;
    use core::ptr;

    pub(super) struct Nesting {
        depth: AtomicU32,
        place: AtomicPtr<Location<'static>>,
    }

    crate::per_cpu! {
        static NESTING: Nesting = Nesting { depth: AtomicU32::new(0), place: AtomicPtr::new(ptr::null_mut()) };
    }

    #[inline]
    pub fn enter(place: &'static Location<'static>) {
        let nesting = NESTING.this();
        let depth = nesting.depth.read();
        if depth == 0 {
            nesting.place.set(ptr::from_ref(place).cast_mut());
        }
        nesting.depth.set(depth + 1);
    }

    #[inline]
    pub fn leave() {
        let nesting = NESTING.this();
        nesting.depth.set(nesting.depth.read().saturating_sub(1));
    }

    pub fn place_on(cpu: usize) -> Option<&'static Location<'static>> {
        let nesting = NESTING.on(cpu);
        let is_inside = nesting.depth.read() != 0;
        // SAFETY: null, or the address of a place in the program text, which `enter` stored.
        is_inside.then(|| unsafe { nesting.place.read().as_ref() }).flatten()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn sections_count_nest_and_drop_in_any_order() {
        let before = cpu::preempt_count();
        let outer = rcu_read_lock();
        let inner = rcu_read_lock();
        drop(outer);
        assert!(rcu_read_lock_held());
        drop(inner);
        assert_eq!(cpu::preempt_count(), before);
    }

    #[test]
    fn the_host_waits_for_sections_of_other_threads() {
        use crate::sync::rcu::synchronize_rcu;
        let (is_inside, may_leave) = (std::sync::Barrier::new(2), std::sync::atomic::AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let section = rcu_read_lock();
                is_inside.wait();
                std::thread::sleep(std::time::Duration::from_millis(50));
                may_leave.store(true, Ordering::Relaxed);
                drop(section);
            });
            is_inside.wait();
            synchronize_rcu();
            assert!(may_leave.load(Ordering::Relaxed), "the section was not waited for");
        });
    }

    #[test]
    fn what_is_assigned_is_found() {
        static NUMBERS: [u32; 2] = [1, 2];
        let pointer = AtomicPtr::new((&raw const NUMBERS[0]).cast_mut());
        let _section = rcu_read_lock();
        // SAFETY: the statics are never freed.
        assert_eq!(unsafe { *rcu_dereference(&pointer) }, 1);
        rcu_assign_pointer(&pointer, (&raw const NUMBERS[1]).cast_mut());
        // SAFETY: as above.
        assert_eq!(unsafe { *rcu_access_pointer(&pointer) }, 2);
    }

    #[cfg(feature = "debug")]
    #[test]
    fn a_load_outside_of_a_section_is_reported() {
        let pointer: AtomicPtr<u32> = AtomicPtr::new(core::ptr::null_mut());
        let error =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rcu_dereference(&pointer))).expect_err("the host's report panics");
        let text = error.downcast_ref::<std::string::String>().expect("a message");
        assert!(text.contains("outside of a read section") && text.contains("read.rs"), "{text}");
    }
}
