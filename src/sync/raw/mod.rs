//! Lock algorithms: the state, and how to get and give it. No data, no context, no checks: `Lock` adds those.

pub mod ticket;

pub use ticket::TicketLock;

/// Mutual exclusion between cores.
///
/// # Safety
/// Between a `lock` (or a `try_lock` that succeeded) and the matching `unlock` no other `lock` returns. A `lock` acquires what the `unlock`
/// before it released: everything before that `unlock` happens before everything after this `lock`.
pub unsafe trait RawLock: Send + Sync {
    /// A free lock.
    #[expect(clippy::declare_interior_mutable_const, reason = "an initial value for statics, copied at each use on purpose")]
    const INIT: Self;

    /// What the holder needs to give the lock back; travels in the guard.
    type Token: Copy;

    /// Takes the lock; spins until it can.
    ///
    /// Context: any in which the holder cannot be interrupted or preempted by another taker on the same core.
    fn lock(&self) -> Self::Token;

    /// Takes the lock if that needs no waiting.
    fn try_lock(&self) -> Option<Self::Token>;

    /// Gives the lock back.
    ///
    /// # Safety
    /// The caller holds the lock by the `lock` or `try_lock` that gave `token`, and gives it back once.
    unsafe fn unlock(&self, token: Self::Token);

    /// Someone holds it. A hint: true or false may be stale on return.
    fn is_locked(&self) -> bool;

    /// Someone waits for it. A hint, as `is_locked`.
    fn is_contended(&self) -> bool;
}
