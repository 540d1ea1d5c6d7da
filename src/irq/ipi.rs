//! Calls between cores, by software-generated interrupts.
//!
//! A caller pushes a call, which lives on its own stack, on the target's list and sends an SGI; the target takes the whole list and runs it, oldest
//! first. The caller waits, so the call and what it borrows outlive it.
//!
//! # Memory ordering
//! What the caller wrote before is visible to the function, what the function did to the caller when it returns (`call_list`). The SGI itself orders
//! nothing; the controller's driver puts a DSB before it (ARM IHI 0048B 4.3.15 leaves that to software).

use super::call_list::{Call, CallList};
use crate::arch;
use crate::arch::exception::ExceptionFrame;
use crate::cpu::{self, NR_CPUS, PreemptGuard};
use crate::per_cpu;
use crate::sync::rcu;
use crate::upcalls;
use crate::util::errno::Errno;
use core::ptr::NonNull;

/// What the kernel's SGIs mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Sgi {
    /// Look at the count word's work mark on the way out.
    Reschedule = 0,
    /// Run the calls on this core's list.
    Call = 1,
    /// Look at `CoreLocal::attention`: stop, or give a backtrace.
    Attention = crate::debug::attention::SGI,
    /// RCU: callbacks are due here, or a grace period in a hurry waits for this core.
    Rcu = 3,
}

/// Names of the SGIs in use, for `irq`.
pub const NAMES: [(u8, &str); 4] = [(0, "reschedule"), (1, "call function"), (2, "attention (stop, backtrace)"), (3, "RCU")];

/// The target is not a running core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuOffline(pub usize);

impl From<CpuOffline> for Errno {
    fn from(_: CpuOffline) -> Self {
        Errno::ENODEV
    }
}

/// What a call runs. Its sender waits, so it may borrow from the sender's stack; the list knows it by the longer name.
type Function<'a> = &'a (dyn Fn() + Sync);

per_cpu! {
    /// Calls that wait for this core.
    static CALLS: CallList<Function<'static>> = CallList::new();
}

/// Runs `f` on core `cpu`, in hardirq context with irqs masked, and waits until it has returned. On the caller's own core `f` runs in place,
/// irqs masked.
///
/// Context: thread or softirq, irqs on: two cores that wait for each other with irqs off would wait for ever.
///
/// # Errors
/// `CpuOffline` if the core does not run the kernel.
///
/// # Panics
/// If irqs are off.
///
/// # Examples
/// ```no_run
/// use tetra::sync::atomic::AtomicUsize;
/// use tetra::{cpu, irq::ipi};
/// let ran_on = AtomicUsize::new(0);
/// ipi::call_on(3, || ran_on.set(cpu::id()))?; // may borrow: it has run when this returns
/// assert_eq!(ran_on.read(), 3);
/// # Ok::<(), ipi::CpuOffline>(())
/// ```
#[track_caller]
pub fn call_on(cpu: usize, f: impl Fn() + Sync) -> Result<(), CpuOffline> {
    let _pinned = PreemptGuard::new();
    let mask = u32::try_from(cpu).ok().and_then(|cpu| 1u32.checked_shl(cpu)).ok_or(CpuOffline(cpu))?;
    call_mask(mask, &f).map_err(|_| CpuOffline(cpu))
}

/// Runs `f` on the cores in `mask` (bit n for core n) and waits until all have returned. Rules as for `call_on`.
///
/// # Errors
/// `CpuOffline` with the first core of the mask that does not run the kernel; then nobody was called.
///
/// # Examples
/// ```no_run
/// use tetra::{irq::ipi, sync::atomic::AtomicU32};
/// let nr_called = AtomicU32::new(0);
/// ipi::call_on_mask(0b1010, || nr_called.inc())?; // cores 1 and 3
/// assert_eq!(nr_called.read(), 2);
/// # Ok::<(), ipi::CpuOffline>(())
/// ```
#[track_caller]
pub fn call_on_mask(mask: u32, f: impl Fn() + Sync) -> Result<(), CpuOffline> {
    let _pinned = PreemptGuard::new();
    call_mask(mask, &f).map_err(|()| CpuOffline((mask & !cpu::online_mask()).trailing_zeros() as usize))
}

/// Runs `f` on every core that runs the kernel, the caller's included. Rules as for `call_on`.
///
/// # Examples
/// ```no_run
/// use tetra::{cpu, irq::ipi, sync::atomic::AtomicUsize};
/// let nr_called = AtomicUsize::new(0);
/// ipi::call_on_all(|| nr_called.inc());
/// assert_eq!(nr_called.read(), cpu::nr_online());
/// ```
#[track_caller]
pub fn call_on_all(f: impl Fn() + Sync) {
    let _pinned = PreemptGuard::new();
    call_mask(cpu::online_mask(), &f).expect("the cores of the online mask are online");
}

/// Upcall of mm: as `call_on_all`; before the first core is online, in place.
#[unsafe(no_mangle)]
fn tetra_on_all_cores(f: &(dyn Fn() + Sync)) {
    if cpu::online_mask() == 0 {
        let _irqs_off = cpu::IrqGuard::new();
        return f();
    }
    call_on_all(f);
}

/// Upcall of sync: as `call_on_mask`, for those of the cores that run the kernel.
#[unsafe(no_mangle)]
fn tetra_on_cores(mask: u32, f: &(dyn Fn() + Sync)) {
    let _pinned = PreemptGuard::new();
    call_mask(mask & cpu::online_mask(), f).expect("they are online");
}

/// Runs `f` on every core that runs the kernel but the caller's. Rules as for `call_on`.
///
/// # Examples
/// ```no_run
/// use tetra::{cpu, irq::ipi, sync::atomic::AtomicUsize};
/// let nr_called = AtomicUsize::new(0);
/// ipi::call_on_others(|| nr_called.inc());
/// assert_eq!(nr_called.read(), cpu::nr_online() - 1);
/// ```
#[track_caller]
pub fn call_on_others(f: impl Fn() + Sync) {
    let _pinned = PreemptGuard::new();
    call_mask(cpu::online_mask() & !(1 << cpu::id()), &f).expect("the cores of the online mask are online");
}

/// Runs `f` in a hardirq of this core: it interrupts itself. For tests of what is different there. Rules as for `call_on`.
///
/// # Examples
/// ```no_run
/// use tetra::{cpu, irq::ipi, sync::atomic::AtomicBool};
/// let was_in_hardirq = AtomicBool::new(false);
/// ipi::interrupt_self(|| was_in_hardirq.set(cpu::in_hardirq()));
/// assert!(was_in_hardirq.read());
/// ```
#[track_caller]
pub fn interrupt_self(f: impl Fn() + Sync) {
    let _pinned = PreemptGuard::new();
    assert!(!arch::irq::is_masked(), "an interrupt of this core cannot come while irqs are off");
    let call: Call<Function<'_>> = Call::new(&f);
    push(cpu::id(), &call);
    send(Sgi::Call, 1 << cpu::id());
    wait_for(&call);
}

/// A call that its sender does not wait for: Linux's `call_single_data`. A static, as nobody knows when the target will have run it.
pub struct AsyncCall {
    call: Call<Function<'static>>,
}

/// Why an asynchronous call was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsyncError {
    /// The target is not a running core.
    Offline,
    /// The last one has not run yet.
    Busy,
}

impl From<AsyncError> for Errno {
    fn from(error: AsyncError) -> Self {
        match error {
            AsyncError::Offline => Errno::ENODEV,
            AsyncError::Busy => Errno::EBUSY,
        }
    }
}

impl AsyncCall {
    /// A call of `run`.
    pub const fn new(run: Function<'static>) -> Self {
        Self { call: Call::idle(run) }
    }

    /// Has core `cpu` run it, in hardirq context with irqs masked, and does not wait. What was written before is visible to it.
    ///
    /// Context: any, irqs off included.
    ///
    /// # Errors
    /// `Offline`; `Busy` if it has not run since it was sent last.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::{irq::ipi::{AsyncCall, AsyncError}, sync::atomic::AtomicU32};
    /// static NR_LOOKS: AtomicU32 = AtomicU32::new(0);
    /// static LOOK: AsyncCall = AsyncCall::new(&|| NR_LOOKS.inc());
    /// LOOK.send(2)?;
    /// while LOOK.is_pending() {
    ///     core::hint::spin_loop();
    /// }
    /// # Ok::<(), AsyncError>(())
    /// ```
    pub fn send(&'static self, cpu: usize) -> Result<(), AsyncError> {
        if !cpu::is_online(cpu) {
            return Err(AsyncError::Offline);
        }
        if !self.call.claim() {
            return Err(AsyncError::Busy);
        }
        push(cpu, &self.call);
        send(Sgi::Call, 1 << cpu);
        Ok(())
    }

    /// It was sent and has not run yet. Context: any. If false, what the run did is visible.
    pub fn is_pending(&self) -> bool {
        !self.call.is_done()
    }
}

#[track_caller]
fn call_mask(mask: u32, f: Function<'_>) -> Result<(), ()> {
    assert!(
        !arch::irq::is_masked() && !cpu::in_hardirq(),
        "call to another core with irqs off: two such callers deadlock; make the call before masking, or defer it"
    );
    if mask & !cpu::online_mask() != 0 {
        return Err(());
    }

    let here = cpu::id();
    let calls: [Call<Function<'_>>; NR_CPUS] = core::array::from_fn(|_| Call::new(f));
    let remote = mask & !(1 << here);
    for cpu in cores(remote) {
        push(cpu, &calls[cpu]);
    }
    if remote != 0 {
        send(Sgi::Call, remote);
    }
    if mask & (1 << here) != 0 {
        let _irqs_off = cpu::IrqGuard::new();
        f();
    }
    for cpu in cores(remote) {
        wait_for(&calls[cpu]);
    }
    Ok(())
}

fn wait_for(call: &Call<Function<'_>>) {
    while !call.is_done() {
        upcalls::answer_attention();
        arch::relax();
    }
}

fn cores(mask: u32) -> impl Iterator<Item = usize> {
    (0..NR_CPUS).filter(move |cpu| mask & (1 << cpu) != 0)
}

/// Puts `call` on the list of core `cpu`. Its sender waits until it is done before it lets the call go, or it is a static.
fn push(cpu: usize, call: &Call<Function<'_>>) {
    let call = NonNull::from(call).cast::<Call<Function<'static>>>();
    // SAFETY: it is new or claimed, so on no list; it lives until it is done, whatever its borrow's name for that time is.
    unsafe { CALLS.on(cpu).push(call) };
}

/// Runs what others asked of this core. Context: hardirq.
fn run_calls() {
    CALLS.this().run_all(|run| run());
}

/// Sends an SGI whose meaning is all it carries. Context: any.
pub fn send(sgi: Sgi, targets: u32) {
    if targets != 0 {
        upcalls::irqchip_send_sgi(sgi as u8, targets);
    }
}

/// Handles a software-generated interrupt. False if it means nothing here.
pub(super) fn handle(sgi: u8, _frame: &mut ExceptionFrame) -> bool {
    match sgi {
        0 => crate::sched::on_reschedule_ipi(),
        1 => run_calls(),
        2 => upcalls::answer_attention(),
        3 => rcu::on_kick(),
        _ => return false,
    }
    true
}
