//! The grace period: which cores it waits for, and how each of them lets it go.
//!
//! A grace period is over when each core has passed a *quiescent state*, a moment outside of every read section. No thread drives it: whoever needs one
//! begins it, each core takes its own bit out of `waiting`, and who takes out the last one ends it. So nothing is polled when nothing waits. Rejected:
//! Linux's grace-period thread and tree of nodes, made for thousands of cores; four fit one word.
//!
//! # Idle cores
//! A sleeping core reads nothing, and is not woken to say so. Its `Watch` word is even while it sleeps, odd else; who begins a grace period looks at
//! the words and answers for those that sleep. A core on its way to sleep looks whether it is waited for after it has made its word even. An interrupt
//! is taken after the word is odd again, as the core sleeps with interrupts masked: handlers may read.
//!
//! # State of `waiting`
//! | bits | meaning | who clears them |
//! |---|---|---|
//! | 0 to 3 | core n is waited for | the core itself; who began the grace period, if core n sleeps |
//! | [`SCAN`] | the words are being looked at | who began it, in one step with the bits of those that sleep |
//! | all 0 | none runs, or it is being ended | |
//!
//! # Invariants
//! 1. Who changes `seq` from even to odd begins the grace period, alone; who makes `waiting` 0 ends it, alone.
//! 2. It does not end during the scan ([`SCAN`] is still set): what was seen of a sleeping core is used for this grace period and no later one.
//! 3. A core may clear its bit for a later grace period than the one it looked at: it still is in a quiescent state then, and its exchange acquires.
//!
//! # Memory ordering
//! (a) **Snapshot, begin.** The updater stores, passes the barrier in [`snapshot`](GracePeriods::snapshot), reads `seq`; the beginner changes `seq`
//! (full barrier) and goes on. Whoever began after the read has the updater's stores behind it.
//! (b) **Begin, sleep.** The beginner sets `waiting`, barrier, reads the `Watch` word; the core makes its word even (full barrier), reads `waiting`.
//! One of the two sees the other (store buffering, Arm ARM B2.3).
//! (c) **Sleep, read.** The same pair, other way round: the core makes its word odd (full barrier) and reads data; the beginner has passed the barrier of
//! (b) before it saw the word even. So what a core reads after it woke is what the updater stored.
//! (d) **Read, end.** All that a core read in a section comes before its exchange of `waiting`, or before its word became even (both full barriers);
//! exchanges of one word form a release sequence, so the last one acquires them all; `seq` is then changed (full) and read by the updater with acquire.
//!
//! Neighbours: `seq` (numbers), `hooks` (who calls), `model` (loom, with twins for (a) to (d)). Sources: P. McKenney, J. Slingwine, *Read-Copy Update*,
//! 1998; M. Desnoyers et al., *User-Level Implementations of Read-Copy Update*, IEEE TPDS 2012.

use super::seq;
use crate::arch::NR_CPUS;
use crate::sync::atomic::{AtomicU32, AtomicU64};
use crate::sync::barrier::smp_mb;

/// Who began the grace period has not looked at all cores yet.
pub(super) const SCAN: u32 = 1 << 31;
/// All cores.
pub(super) const ALL_CPUS: u32 = (1 << NR_CPUS) - 1;

/// Whether a core reads: odd; even: it sleeps, or has not started.
#[repr(align(64))]
pub(super) struct Watch(pub(super) AtomicU64);

/// What an attempt to begin a grace period came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// Nobody needs one, or one runs already.
    No,
    /// It runs, and waits for cores.
    Runs,
    /// It is over already: every core slept.
    IsOver,
}

/// The grace periods of one machine.
pub(super) struct GracePeriods {
    seq: AtomicU64,
    /// The furthest snapshot that somebody waits for.
    needed: AtomicU64,
    pub(super) waiting: AtomicU32,
    pub(super) cores: [Watch; NR_CPUS],
}

impl GracePeriods {
    /// None has run, no core has started.
    pub const fn new() -> Self {
        Self {
            seq: AtomicU64::new(0),
            needed: AtomicU64::new(0),
            waiting: AtomicU32::new(0),
            cores: [const { Watch(AtomicU64::new(0)) }; NR_CPUS],
        }
    }

    /// The sequence word. Acquire. Context: any.
    #[inline]
    pub fn seq(&self) -> u64 {
        self.seq.load_acquire()
    }

    /// What to wait for, so that all sections that see what the caller has replaced are over. Full barrier before. Context: any.
    #[inline]
    pub fn snapshot(&self) -> u64 {
        // (a)
        smp_mb();
        seq::snapshot(self.seq.load_acquire())
    }

    /// What `snapshot` stands for has come. Acquire, (d). Context: any.
    #[inline]
    pub fn is_done(&self, snapshot: u64) -> bool {
        seq::is_done(self.seq.load_acquire(), snapshot)
    }

    /// Asks for grace periods up to `snapshot`; `begin` owed. Context: any.
    pub fn need(&self, snapshot: u64) {
        let mut needed = self.needed.read();
        while !seq::is_done(needed, snapshot) && !self.needed.try_cmpxchg(&mut needed, snapshot) {}
        // Before `begin` looks at `seq`: who ends a grace period changes `seq`, barrier, and looks at `needed`.
        smp_mb();
    }

    /// Begins a grace period if one is needed and none runs. `prepare` is called before it waits for anybody, so it is never called twice at once.
    ///
    /// Context: any, irqs masked, so that the scan is short.
    pub fn begin(&self, prepare: impl FnOnce()) -> Begun {
        let now = self.seq.load_acquire();
        if seq::is_running(now) || seq::is_done(now, self.needed.read()) || self.seq.cmpxchg(now, now + 1).is_err() {
            return Begun::No;
        }
        prepare();
        // Release: who finds itself waited for sees what was prepared, and what the updater stored.
        self.waiting.store_release(ALL_CPUS | SCAN);
        // (b), (c)
        smp_mb();
        if self.clear(SCAN | self.asleep()) { Begun::IsOver } else { Begun::Runs }
    }

    /// The cores that sleep. Acquire, (d).
    pub fn asleep(&self) -> u32 {
        let is_asleep = |cpu: &usize| self.cores[*cpu].0.load_acquire() & 1 == 0;
        (0..NR_CPUS).filter(is_asleep).fold(0, |mask, cpu| mask | 1 << cpu)
    }

    /// Core `cpu` is waited for. Acquire: what follows, on this core, sees what the updater stored.
    #[inline(always)]
    pub fn is_waiting_for(&self, cpu: usize) -> bool {
        self.waiting.load_acquire() & 1 << cpu != 0
    }

    /// The cores that are waited for. Acquire. Context: any; stale on return.
    pub fn waiting(&self) -> u32 {
        self.waiting.load_acquire() & ALL_CPUS
    }

    /// Core `cpu`, which is the caller's, is in no read section. True: that ended the grace period, and `begin` is owed.
    ///
    /// Context: irqs masked, no section counted.
    #[inline]
    pub fn quiescent(&self, cpu: usize) -> bool {
        self.is_waiting_for(cpu) && self.clear(1 << cpu)
    }

    /// Takes cores out; ends the grace period with the last.
    fn clear(&self, bits: u32) -> bool {
        // Full: (d).
        let before = self.waiting.fetch_andnot(bits);
        let is_last = before & bits != 0 && before & !bits == 0;
        if is_last {
            // Full: (d), and against `need`.
            self.seq.inc_return();
        }
        is_last
    }

    /// Core `cpu`, which is the caller's, is about to sleep. True: it may. False: it is waited for, and `stop_watching` is undone.
    ///
    /// Context: idle thread, irqs masked.
    #[inline]
    pub fn stop_watching(&self, cpu: usize) -> bool {
        // Full: (b), (d).
        self.cores[cpu].0.inc_return();
        let may_sleep = !self.is_waiting_for(cpu);
        if !may_sleep {
            self.watch(cpu);
        }
        may_sleep
    }

    /// Core `cpu`, which is the caller's, reads from here on. Full barrier, (c). Context: irqs masked.
    #[inline]
    pub fn watch(&self, cpu: usize) {
        self.cores[cpu].0.inc_return();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn with_awake(mask: u32) -> GracePeriods {
        let machine = GracePeriods::new();
        (0..NR_CPUS).filter(|cpu| mask & (1 << cpu) != 0).for_each(|cpu| machine.watch(cpu));
        machine
    }

    #[test]
    fn sleeping_cores_are_not_waited_for() {
        let machine = with_awake(0);
        let wanted = machine.snapshot();
        machine.need(wanted);
        assert_eq!(machine.begin(|| ()), Begun::IsOver);
        assert!(machine.is_done(wanted));
        assert_eq!(machine.begin(|| ()), Begun::No, "nobody needs another");
    }

    #[test]
    fn each_awake_core_is_waited_for() {
        let machine = with_awake(0b0101);
        let wanted = machine.snapshot();
        machine.need(wanted);
        assert_eq!(machine.begin(|| ()), Begun::Runs);
        assert_eq!(machine.waiting(), 0b0101);
        assert!(!machine.quiescent(1), "it slept");
        assert!(!machine.quiescent(0) && !machine.quiescent(0) && !machine.is_done(wanted));
        assert!(machine.quiescent(2) && machine.is_done(wanted));
    }

    #[test]
    fn who_asks_while_one_runs_waits_for_the_next() {
        let machine = with_awake(1);
        let first = machine.snapshot();
        machine.need(first);
        assert_eq!(machine.begin(|| ()), Begun::Runs);
        let second = machine.snapshot();
        machine.need(second);
        assert_eq!(machine.begin(|| ()), Begun::No);
        assert!(machine.quiescent(0) && machine.is_done(first) && !machine.is_done(second));
        assert_eq!(machine.begin(|| ()), Begun::Runs);
        assert!(machine.quiescent(0) && machine.is_done(second));
    }

    #[test]
    fn a_core_that_is_waited_for_does_not_fall_asleep() {
        let machine = with_awake(0b11);
        machine.need(machine.snapshot());
        assert_eq!(machine.begin(|| ()), Begun::Runs);
        assert!(!machine.stop_watching(1));
        assert!(!machine.quiescent(1) && machine.stop_watching(1));
        assert_eq!(machine.asleep(), 0b1110);
        assert!(machine.quiescent(0));
    }
}
