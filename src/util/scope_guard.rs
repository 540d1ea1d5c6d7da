//! A clean-up that runs at the end of a scope unless it is dismissed.
//!
//! Most resources are values whose own `Drop` gives them back. `ScopeGuard` is for the rest: the half-built state of a function with
//! several steps that can fail. Each step arms a guard, an early `?` runs the guards in reverse order, and success dismisses them.
//! It replaces the ladder of `goto` labels, and cannot forget a rung.

use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

/// A value together with the action that undoes it.
///
/// The guard dereferences to the value, so the value stays usable while it is guarded.
///
/// Context: as the action that it holds.
///
/// # Examples
/// ```
/// use tetra::util::scope_guard::ScopeGuard;
///
/// fn register(names: &mut Vec<&'static str>, fails: bool) -> Result<(), ()> {
///     names.push("first");
///     let mut names = ScopeGuard::new(names, |names| names.clear());
///     if fails {
///         return Err(()); // the guard clears the list
///     }
///     names.push("second");
///     names.dismiss();
///     Ok(())
/// }
///
/// let mut names = Vec::new();
/// assert!(register(&mut names, true).is_err() && names.is_empty());
/// assert!(register(&mut names, false).is_ok() && names.len() == 2);
/// ```
#[must_use = "a guard that is not bound to a name runs its action at once"]
pub struct ScopeGuard<T, F: FnOnce(T)> {
    /// # Invariants
    /// Holds a live pair until `drop` or `dismiss` takes it, which each does exactly once, as the guard's last act.
    armed: ManuallyDrop<(T, F)>,
}

/// Arms an action that needs no value of its own; what it touches is captured by the closure.
///
/// Context: as the action.
pub fn defer<F: FnOnce()>(action: F) -> ScopeGuard<(), impl FnOnce(())> {
    ScopeGuard::new((), move |()| action())
}

impl<T, F: FnOnce(T)> ScopeGuard<T, F> {
    /// Guards `value`: `undo` gets it when the guard is dropped.
    pub const fn new(value: T, undo: F) -> Self {
        Self { armed: ManuallyDrop::new((value, undo)) }
    }

    /// Gives the value back and drops the action without running it.
    pub fn dismiss(self) -> T {
        let mut guard = ManuallyDrop::new(self);
        // SAFETY: the guard sits in a `ManuallyDrop`, so its own `drop` never runs and this is the only take.
        let (value, _undo) = unsafe { ManuallyDrop::take(&mut guard.armed) };
        value
    }
}

impl<T, F: FnOnce(T)> Deref for ScopeGuard<T, F> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.armed.0
    }
}

impl<T, F: FnOnce(T)> DerefMut for ScopeGuard<T, F> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.armed.0
    }
}

impl<T, F: FnOnce(T)> Drop for ScopeGuard<T, F> {
    fn drop(&mut self) {
        // SAFETY: `drop` runs at most once, and `dismiss`, the other taker, forgets the guard.
        let (value, undo) = unsafe { ManuallyDrop::take(&mut self.armed) };
        undo(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::{Cell, RefCell};
    use std::prelude::v1::*;

    #[test]
    fn runs_at_the_end_of_the_scope_in_reverse_order() {
        let log = RefCell::new(Vec::new());
        {
            let _first = defer(|| log.borrow_mut().push(1));
            let _second = defer(|| log.borrow_mut().push(2));
            log.borrow_mut().push(0);
        }
        assert_eq!(*log.borrow(), [0, 2, 1]);
    }

    #[test]
    fn dismissed_guard_returns_the_value_and_does_nothing() {
        let runs = Cell::new(0);
        let mut guard = ScopeGuard::new(String::from("a"), |_| runs.set(runs.get() + 1));
        guard.push('b');
        assert_eq!(guard.len(), 2);
        assert_eq!(guard.dismiss(), "ab");
        assert_eq!(runs.get(), 0);
    }

    #[test]
    fn dismissing_drops_what_the_action_captured() {
        let token = std::rc::Rc::new(());
        let captured = token.clone();
        defer(move || drop(captured)).dismiss();
        assert_eq!(std::rc::Rc::strong_count(&token), 1);
    }

    #[test]
    fn early_return_undoes() {
        fn step(count: &Cell<i32>) -> Result<(), ()> {
            count.set(1);
            let _undo = defer(|| count.set(0));
            Err(())
        }
        let count = Cell::new(7);
        assert!(step(&count).is_err());
        assert_eq!(count.get(), 0);
    }
}
