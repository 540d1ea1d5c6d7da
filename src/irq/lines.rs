//! Interrupt lines: who handles which INTID, and how often each core took it.
//!
//! A line has a list of actions, more than one if its devices share it. Dispatch walks the list without a lock; requests and frees change it under one.
//! An action is filled in before it is linked, and used again only after every core has been through an interrupt of its own (`synchronize`):
//! handlers do not nest, so nobody can be walking through it any more. That makes freeing slow, and taking an interrupt free of any lock or count.
//!
//! # Memory ordering
//! `head` and `next` are stored with release after the action's fields and loaded with acquire: who finds an action sees its fields.
//!
//! Rejected: a lock a line, as Linux has: an interrupt would take it on its way in, for the sake of a free that happens once a boot.
//!
//! Neighbours: `dispatch` (calls [`run`]), `wild_line` (a line that runs wild), `drivers::gicv2` behind `upcalls::irqchip_*`.

use super::ipi;
use super::wild_line;
use crate::cpu::task::TaskState;
use crate::cpu::{self, NR_CPUS};
use crate::per_cpu;
use crate::sched::{self, RcuWait, Thread, kthread};
use crate::sync::SpinLock;
use crate::upcalls;
use crate::util::errno::Errno;
use arrayvec::ArrayVec;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering, fence};

/// INTIDs that have a slot: all of the GIC-400 on the BCM2711 (HARDWARE: table to 223 and more).
pub const NR_LINES: usize = 256;
/// Actions of all lines together.
const NR_ACTIONS: usize = 64;
/// Devices that may share a line.
pub const MAX_SHARED: usize = 4;
/// The first line that is not each core's own.
pub(super) const FIRST_SHARED_LINE: usize = 32;
/// No action.
const NONE: u8 = 0;

/// What a handler says about the interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqReturn {
    /// It was not from its device.
    None,
    /// Its device is served.
    Handled,
    /// Its device is quiet; the action's thread shall do the rest. For lines of [`request_threaded`](super::request_threaded).
    WakeThread,
}

/// Runs in hardirq context, irqs masked, with the number that was given when the line was requested.
pub type Handler = fn(data: usize) -> IrqReturn;

/// Whether others may have the line too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody else.
    Exclusive,
    /// Others that say the same. Their handlers must tell whose an interrupt is.
    Shared,
}

/// A handler on a line, to be given back by [`free`]. Dropping it gives nothing back: most lines are held for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    line: u16,
    slot: u8,
    generation: u32,
}

/// What dispatch needs of an action.
struct Slot {
    /// A `Handler`, or 0.
    handler: AtomicUsize,
    data: AtomicUsize,
    next: AtomicU8,
    /// The handler asked for the thread, which has not seen it yet.
    is_wanted: AtomicBool,
    /// Whether the line stays masked until that thread is done, and is so now: `NO_ONESHOT`, `OPEN`, `MASKED`.
    oneshot: AtomicU8,
    /// Where the thread of a threaded action waits.
    thread: RcuWait,
    /// Address of that thread while it serves the line, or 0.
    server: AtomicUsize,
}

/// The line stays open while the thread runs.
const NO_ONESHOT: u8 = 0;
/// It will be masked when the handler asks for the thread. Set by `add`, and by the thread when it is done.
const OPEN: u8 = 1;
/// It is masked. Set by dispatch.
const MASKED: u8 = 2;

/// What only requests and reports need. Slot 0 stands for "none".
struct Registry {
    actions: [Registered; NR_ACTIONS],
    /// How often each line is disabled.
    depth: [u8; NR_LINES],
}

#[derive(Clone, Copy)]
struct Registered {
    name: &'static str,
    sharing: Sharing,
    generation: u32,
}

static SLOTS: [Slot; NR_ACTIONS] = [const {
    let (handler, data, next) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicU8::new(NONE));
    let (is_wanted, oneshot) = (AtomicBool::new(false), AtomicU8::new(NO_ONESHOT));
    Slot { handler, data, next, is_wanted, oneshot, thread: RcuWait::new(), server: AtomicUsize::new(0) }
}; NR_ACTIONS];
/// The first action of each line.
static LINES: [AtomicU8; NR_LINES] = [const { AtomicU8::new(NONE) }; NR_LINES];

/// Serialises changes of the lists. Thread context; innermost.
static REGISTRY: SpinLock<Registry> = SpinLock::new(Registry {
    actions: [Registered { name: "", sharing: Sharing::Exclusive, generation: 0 }; NR_ACTIONS],
    depth: [0; NR_LINES],
});

per_cpu! {
    /// Interrupts of each line that this core took. Written by the core itself, in hardirq.
    static COUNTS: [AtomicU32; NR_LINES] = [const { AtomicU32::new(0) }; NR_LINES];
}

/// Why a line was not given, or not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqError {
    /// The controller has no such line.
    NoSuchLine,
    /// It has a handler that does not share, or as many as may share.
    Busy,
    /// All actions of the kernel are in use.
    NoMemory,
    /// There is no such handler, or the line has none.
    NotRequested,
    /// Each core has its own line of this number: it has no affinity.
    PerCpu,
    /// None of these cores runs the kernel.
    NoSuchCpu,
}

impl From<IrqError> for Errno {
    fn from(error: IrqError) -> Self {
        match error {
            IrqError::NoSuchLine | IrqError::PerCpu | IrqError::NoSuchCpu => Errno::EINVAL,
            IrqError::Busy => Errno::EBUSY,
            IrqError::NoMemory => Errno::ENOMEM,
            IrqError::NotRequested => Errno::ENOENT,
        }
    }
}

/// Gives line `line` to `handler` alone and enables it. `name` is what reports call it. A line below 32 is each core's own: it is enabled on this core,
/// on others by [`enable_on_this_cpu`].
///
/// Context: thread; takes a spinlock. The handler may run before this returns.
///
/// # Errors
/// `NoSuchLine`, `Busy`, `NoMemory`; nothing is changed then.
///
/// # Examples
/// ```no_run
/// use tetra::irq::{self, IrqReturn};
/// fn handler(port: usize) -> IrqReturn {
///     if port == 1 { IrqReturn::Handled } else { IrqReturn::None }
/// }
/// let action = irq::request(153, "uart", handler, 1)?;
/// irq::free(action)?;
/// # Ok::<(), irq::IrqError>(())
/// ```
pub fn request(line: u16, name: &'static str, handler: Handler, data: usize) -> Result<Action, IrqError> {
    add(line, name, Sharing::Exclusive, NO_ONESHOT, handler, data)
}

/// As [`request`], for a line that stays masked from the moment its handler asks for the thread until [`thread_is_done`].
pub(super) fn request_oneshot(line: u16, name: &'static str, handler: Handler, data: usize) -> Result<Action, IrqError> {
    add(line, name, Sharing::Exclusive, OPEN, handler, data)
}

/// Gives line `line` to `handler` beside others that share it. All of them are called for each interrupt, in the order in which they came.
///
/// Context and errors: as for [`request`].
///
/// # Examples
/// ```no_run
/// use tetra::irq::{self, IrqReturn};
/// fn handler(port: usize) -> IrqReturn {
///     if port == 1 { IrqReturn::Handled } else { IrqReturn::None }
/// }
/// let (one, other) = (irq::request_shared(153, "uart1", handler, 1)?, irq::request_shared(153, "uart2", handler, 2)?);
/// irq::free(one)?; // the other keeps the line
/// irq::free(other)?;
/// # Ok::<(), irq::IrqError>(())
/// ```
pub fn request_shared(line: u16, name: &'static str, handler: Handler, data: usize) -> Result<Action, IrqError> {
    add(line, name, Sharing::Shared, NO_ONESHOT, handler, data)
}

fn add(line: u16, name: &'static str, sharing: Sharing, oneshot: u8, handler: Handler, data: usize) -> Result<Action, IrqError> {
    let mut registry = REGISTRY.lock();
    let head = LINES.get(usize::from(line)).ok_or(IrqError::NoSuchLine)?;
    let present: ArrayVec<u8, MAX_SHARED> = actions_of(head).collect();
    let is_shareable =
        sharing == Sharing::Shared && present.iter().all(|slot| registry.actions[usize::from(*slot)].sharing == Sharing::Shared);
    if !present.is_empty() && (!is_shareable || present.is_full()) {
        return Err(IrqError::Busy);
    }
    let slot = (1..NR_ACTIONS).find(|slot| SLOTS[*slot].handler.load(Ordering::Acquire) == 0).ok_or(IrqError::NoMemory)?;

    let generation = registry.actions[slot].generation + 1;
    registry.actions[slot] = Registered { name, sharing, generation };
    SLOTS[slot].data.store(data, Ordering::Relaxed);
    SLOTS[slot].handler.store(handler as usize, Ordering::Relaxed);
    SLOTS[slot].next.store(NONE, Ordering::Relaxed);
    SLOTS[slot].is_wanted.store(false, Ordering::Relaxed);
    SLOTS[slot].oneshot.store(oneshot, Ordering::Relaxed);
    let end = present.last().map_or(head, |last| &SLOTS[usize::from(*last)].next);
    end.store(slot as u8, Ordering::Release);
    if present.is_empty() && registry.depth[usize::from(line)] == 0 && !upcalls::irqchip_set_enabled(line, true) {
        end.store(NONE, Ordering::Relaxed);
        SLOTS[slot].handler.store(0, Ordering::Relaxed);
        return Err(IrqError::NoSuchLine);
    }
    Ok(Action { line, slot: slot as u8, generation })
}

/// Takes a handler off its line, and waits until it does not run on any core. The last one masks the line.
///
/// Context: thread, irqs on.
///
/// # Errors
/// `NotRequested` if that was done before.
///
/// # Examples
/// ```no_run
/// use tetra::irq::{self, IrqReturn};
/// fn handler(port: usize) -> IrqReturn {
///     if port == 1 { IrqReturn::Handled } else { IrqReturn::None }
/// }
/// let action = irq::request(153, "uart", handler, 1)?;
/// irq::free(action)?; // the handler runs nowhere any more: what it uses may go
/// # Ok::<(), irq::IrqError>(())
/// ```
pub fn free(action: Action) -> Result<(), IrqError> {
    take_off(action)?;
    release(action);
    Ok(())
}

/// The first half of `free`: the handler runs no more. Its slot is not given to another yet: a thread may be waiting there.
pub(super) fn take_off(action: Action) -> Result<(), IrqError> {
    {
        let mut registry = REGISTRY.lock();
        let registered = &mut registry.actions[usize::from(action.slot)];
        if registered.generation != action.generation {
            return Err(IrqError::NotRequested);
        }
        registered.generation += 1;
        unlink(action);
    }
    synchronize();
    Ok(())
}

/// The second half: nobody walks through the slot or waits in it any more, so it may be given to another. Once for each `take_off`.
pub(super) fn release(action: Action) {
    // Release: pairs with the load in `add`, behind the registry's lock or not.
    SLOTS[usize::from(action.slot)].handler.store(0, Ordering::Release);
}

/// Takes an action out of its line's list. Who walks through it meanwhile goes on to what follows it.
fn unlink(action: Action) {
    let head = &LINES[usize::from(action.line)];
    if head.load(Ordering::Relaxed) == action.slot && SLOTS[usize::from(action.slot)].next.load(Ordering::Relaxed) == NONE {
        upcalls::irqchip_set_enabled(action.line, false);
    }
    let mut link = head;
    while link.load(Ordering::Relaxed) != action.slot {
        link = &SLOTS[usize::from(link.load(Ordering::Relaxed))].next;
    }
    link.store(SLOTS[usize::from(action.slot)].next.load(Ordering::Relaxed), Ordering::Release);
}

/// Waits until every handler that runs now, on any core, has returned. Linux's `synchronize_irq`, for all lines at once.
///
/// Context: thread, irqs on.
///
/// # Examples
/// ```no_run
/// use tetra::{irq::lines, sync::atomic::AtomicBool};
/// static MAY_TOUCH: AtomicBool = AtomicBool::new(true);
/// MAY_TOUCH.set(false);
/// lines::synchronize(); // handlers that saw `true` have returned
/// ```
pub fn synchronize() {
    // A core takes this call when it is in no handler, as handlers do not nest.
    ipi::call_on_all(|| ());
}

/// Keeps `line` from interrupting until as many calls of [`enable`], and waits for its handlers.
///
/// Context: thread, irqs on.
///
/// # Errors
/// `NoSuchLine`.
///
/// # Examples
/// ```no_run
/// use tetra::irq::{self, lines};
/// lines::disable(153)?; // its handler runs nowhere now,
/// lines::enable(153)?; // and again from here on
/// # Ok::<(), irq::IrqError>(())
/// ```
pub fn disable(line: u16) -> Result<(), IrqError> {
    disable_nosync(line)?;
    synchronize();
    Ok(())
}

/// As [`disable`], but does not wait: a handler may run still. Context: thread.
///
/// # Errors
/// `NoSuchLine`.
///
/// # Examples
/// ```no_run
/// use tetra::irq::{self, lines};
/// lines::disable_nosync(153)?; // from the line's own handler, say, which could not wait for itself
/// # Ok::<(), irq::IrqError>(())
/// ```
pub fn disable_nosync(line: u16) -> Result<(), IrqError> {
    let mut registry = REGISTRY.lock();
    let depth = registry.depth.get_mut(usize::from(line)).ok_or(IrqError::NoSuchLine)?;
    *depth = depth.saturating_add(1);
    if upcalls::irqchip_set_enabled(line, false) { Ok(()) } else { Err(IrqError::NoSuchLine) }
}

/// Undoes one [`disable`]; lets a line through again that was masked because it ran wild.
///
/// Context: thread.
///
/// # Errors
/// `NotRequested` if the line has no handler, `NoSuchLine`.
///
/// # Examples
/// ```no_run
/// use tetra::irq::{self, lines};
/// lines::disable(153)?;
/// lines::disable(153)?;
/// lines::enable(153)?; // off still: as many as `disable`
/// lines::enable(153)?;
/// # Ok::<(), irq::IrqError>(())
/// ```
pub fn enable(line: u16) -> Result<(), IrqError> {
    let mut registry = REGISTRY.lock();
    let head = LINES.get(usize::from(line)).ok_or(IrqError::NoSuchLine)?;
    let depth = &mut registry.depth[usize::from(line)];
    *depth = depth.saturating_sub(1);
    if head.load(Ordering::Relaxed) == NONE {
        return Err(IrqError::NotRequested);
    }
    wild_line::forgive(line);
    if *depth != 0 || is_masked_until_done(head) {
        return Ok(());
    }
    if !upcalls::irqchip_set_enabled(line, true) {
        return Err(IrqError::NoSuchLine);
    }
    // A handler that was still running may have asked for its thread in between. Either it masks the line after this, or this sees that it wants to.
    fence(Ordering::SeqCst);
    if is_masked_until_done(head) {
        upcalls::irqchip_set_enabled(line, false);
    }
    Ok(())
}

/// The line's thread will let it through again.
fn is_masked_until_done(head: &AtomicU8) -> bool {
    actions_of(head).any(|slot| SLOTS[usize::from(slot)].oneshot.load(Ordering::Relaxed) == MASKED)
}

/// Lets the line of a oneshot action through again, unless it is disabled or given back. Context: the action's thread, when it has served the device.
pub(super) fn thread_is_done(action: Action) {
    let registry = REGISTRY.lock();
    let slot = &SLOTS[usize::from(action.slot)];
    let was_masked = slot.oneshot.compare_exchange(MASKED, OPEN, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    let is_ours = LINES[usize::from(action.line)].load(Ordering::Relaxed) == action.slot;
    if was_masked && is_ours && registry.depth[usize::from(action.line)] == 0 {
        upcalls::irqchip_set_enabled(action.line, true);
        // A handler on another core may have masked the line since: nor may it be let through under MASKED, where no handler masks it again.
        fence(Ordering::SeqCst);
        if slot.oneshot.load(Ordering::Relaxed) == MASKED {
            upcalls::irqchip_set_enabled(action.line, false);
        }
    }
}

/// Enables a banked line on this core too: the handler that was requested on one core serves all. Linux's `enable_percpu_irq`.
///
/// Context: thread that does not migrate, or boot.
///
/// # Errors
/// `NotRequested` if nobody requested it, `NoSuchLine`.
pub fn enable_on_this_cpu(line: u16) -> Result<(), IrqError> {
    let head = LINES.get(usize::from(line)).ok_or(IrqError::NoSuchLine)?;
    if head.load(Ordering::Acquire) == NONE {
        return Err(IrqError::NotRequested);
    }
    if upcalls::irqchip_set_enabled(line, true) { Ok(()) } else { Err(IrqError::NoSuchLine) }
}

/// Keeps a banked line from interrupting this core. Linux's `disable_percpu_irq`. Context and errors: as for [`enable_on_this_cpu`].
pub fn disable_on_this_cpu(line: u16) -> Result<(), IrqError> {
    if upcalls::irqchip_set_enabled(line, false) { Ok(()) } else { Err(IrqError::NoSuchLine) }
}

/// Chooses the cores that may take `line`: bit n for core n. The controller gives each interrupt to one of them. Linux's `irq_set_affinity`.
///
/// Context: any.
///
/// # Errors
/// `PerCpu` for a line below 32, `NoSuchCpu` if none of the cores runs the kernel, `NoSuchLine`.
///
/// # Examples
/// ```no_run
/// use tetra::irq;
/// irq::set_affinity(153, 0b1100)?; // cores 2 and 3
/// assert_eq!(irq::set_affinity(27, 0b0001), Err(irq::IrqError::PerCpu)); // each core has its own
/// # Ok::<(), irq::IrqError>(())
/// ```
pub fn set_affinity(line: u16, cpus: u32) -> Result<(), IrqError> {
    if usize::from(line) < FIRST_SHARED_LINE {
        return Err(IrqError::PerCpu);
    }
    let cpus = cpus & cpu::online_mask();
    if cpus == 0 {
        return Err(IrqError::NoSuchCpu);
    }
    if upcalls::irqchip_set_affinity(line, cpus) { Ok(()) } else { Err(IrqError::NoSuchLine) }
}

/// Counts an interrupt of `line` on this core and runs its handlers. False if it has none.
///
/// Context: hardirq.
#[inline]
pub(super) fn run(line: usize) -> bool {
    let Some(head) = LINES.get(line) else { return false };
    let count = &COUNTS.this()[line];
    count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    wild_line::took(line);

    let mut at = head.load(Ordering::Acquire);
    if at == NONE {
        return false;
    }
    let mut is_claimed = false;
    while at != NONE {
        let action = &SLOTS[usize::from(at) % NR_ACTIONS];
        is_claimed |= call(line as u16, action);
        at = action.next.load(Ordering::Acquire);
    }
    wild_line::answered(line, is_claimed);
    true
}

#[inline(always)]
fn call(line: u16, action: &Slot) -> bool {
    let handler = action.handler.load(Ordering::Relaxed);
    // SAFETY: an action is linked after its handler was stored, and the handler is cleared only when no core can walk here; so it is a `Handler`.
    let handler: Handler = unsafe { core::mem::transmute(handler) };
    let verdict = handler(action.data.load(Ordering::Relaxed));
    if verdict == IrqReturn::WakeThread {
        if action.oneshot.load(Ordering::Relaxed) == OPEN {
            mask_until_done(line, action);
        }
        // Release: what the handler noted is visible to the thread. Pairs with the acquire in `wait_until_wanted`.
        action.is_wanted.store(true, Ordering::Release);
        action.thread.wake_up();
    }
    verdict != IrqReturn::None
}

/// Before the thread is woken, so that it finds the line masked.
#[cold]
fn mask_until_done(line: u16, action: &Slot) {
    loop {
        action.oneshot.store(MASKED, Ordering::Relaxed);
        // Pairs with the fences in `enable` and `thread_is_done`.
        fence(Ordering::SeqCst);
        upcalls::irqchip_set_enabled(line, false);
        // The thread may just have ended an earlier run and opened between the two: the line must not stay masked under a state that says OPEN.
        fence(Ordering::SeqCst);
        if action.oneshot.load(Ordering::Relaxed) == MASKED {
            break;
        }
    }
}

/// Waits, in the thread of a threaded action, until its handler asks for it. False if the thread shall end.
///
/// Context: that thread.
pub(super) fn wait_until_wanted(action: Action) -> bool {
    let slot = &SLOTS[usize::from(action.slot)];
    slot.thread.wait_until(TaskState::IDLE, || slot.is_wanted.load(Ordering::Relaxed) || kthread::should_stop());
    let is_wanted = slot.is_wanted.swap(false, Ordering::Acquire);
    let server = if is_wanted { ptr::from_ref(sched::current()).addr() } else { 0 };
    slot.server.store(server, Ordering::Relaxed);
    is_wanted
}

/// The line that `thread` was serving, from now on served by none, and whether it stays masked for want of it. Context: any.
pub(super) fn abandoned_by(thread: &Thread) -> Option<(usize, bool)> {
    let is_served = |slot: &u8| SLOTS[usize::from(*slot)].server.load(Ordering::Relaxed) == ptr::from_ref(thread).addr();
    let (line, slot) = LINES.iter().enumerate().find_map(|(line, head)| Some((line, actions_of(head).find(is_served)?)))?;
    let slot = &SLOTS[usize::from(slot)];
    slot.server.store(0, Ordering::Relaxed);
    Some((line, slot.oneshot.load(Ordering::Relaxed) == MASKED))
}

/// Interrupts of `line` that this core took. Context: hardirq.
pub(super) fn nr_taken_here(line: usize) -> u32 {
    COUNTS.this()[line % NR_LINES].load(Ordering::Relaxed)
}

/// Who has `line`, if that can be told without waiting: the interrupted thread may hold the registry's lock. Context: any.
pub(super) fn try_name_of(line: usize) -> Option<&'static str> {
    let registry = REGISTRY.try_lock()?;
    actions_of(LINES.get(line)?).next().map(|slot| registry.actions[usize::from(slot)].name)
}

/// The slots of the actions on a line, in order.
fn actions_of(head: &AtomicU8) -> impl Iterator<Item = u8> {
    let after = |slot: u8| Some(slot).filter(|slot| *slot != NONE);
    core::iter::successors(after(head.load(Ordering::Acquire)), move |slot| after(SLOTS[usize::from(*slot)].next.load(Ordering::Acquire)))
        .take(MAX_SHARED)
}

/// A line as `interrupts` shows it.
#[derive(Clone, Debug)]
pub struct LineStatus {
    /// INTID.
    pub line: usize,
    /// Who has it; nobody: an interrupt came that nobody had asked for.
    pub names: ArrayVec<&'static str, MAX_SHARED>,
    /// How often each core took it.
    pub counts: [u32; NR_CPUS],
}

/// All lines that have a handler or have fired. Context: thread; takes a spinlock at each step.
pub fn status() -> impl Iterator<Item = LineStatus> {
    (0..NR_LINES).filter_map(|line| {
        let counts = core::array::from_fn(|cpu| COUNTS.on(cpu)[line].load(Ordering::Relaxed));
        let registry = REGISTRY.lock();
        let names: ArrayVec<_, MAX_SHARED> = actions_of(&LINES[line]).map(|slot| registry.actions[usize::from(slot)].name).collect();
        (!names.is_empty() || counts.iter().any(|count| *count != 0)).then_some(LineStatus { line, names, counts })
    })
}
