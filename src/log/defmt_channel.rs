//! The log as defmt frames, for builds with the feature `defmt`: the ring holds indices and raw arguments, the host has the texts and formats.
//!
//! A record is one or more frames, one behind the other, as `defmt` hands them over (collected in a [`FrameBuffer`], then copied into the ring at once), not encoded: the record has a length already, and on the wire
//! [`super::wire`] makes packets of records that plain text can stand between. `pr_*!` uses `defmt::println!`, which no filter removes; the macros
//! that defmt itself has (`defmt::info!`, ...) arrive here too, but at build time `DEFMT_LOG` must be set for them (`DEFMT_LOG=trace`), or all below
//! `error` vanish from the binary. Decoded by `tools/src/defmt_log.rs`, which needs the ELF file of the same build, linked with `-Tdefmt.x`.
//!
//! What is not a frame stays text, and the two mix in the ring: what comes through `::log`, dumps, held-back counts. A message too long for a record loses
//! its last pieces and is marked.
//!
//! # Invariants
//! 1. `Core::open[..depth]` are the records that this core is writing, one inside the other; only this core, pinned, touches them.
//! 2. An interrupt raises `depth`, works above it and lowers it again before it returns, so what it interrupted finds all as it was. `depth` is raised
//!    before the slot below it is filled, lowered after it was emptied.
//!
//! Neighbours: `ring.rs` for what nesting means; `defmt::Logger` for the contract with the macros.

pub use defmt;

use super::frame_buffer::FrameBuffer;
use super::level::{KERN_DEBUG, KERN_ERR, KERN_INFO, KERN_WARNING, Level};
use super::ring::Beneath;
use super::{console, ring_of_this_core, write};
use crate::arch::{self, NR_CPUS};
use crate::cpu::{self, PreemptGuard};
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering};

/// Records that can be open on one core: a thread's, a softirq's, an interrupt's, a fault's, and those of `Format` implementations that log.
const DEPTH_MAX: usize = 8;

static CORES: [Core; NR_CPUS] = [const { Core::new() }; NR_CPUS];

struct Core {
    depth: AtomicU32,
    open: [UnsafeCell<Open>; DEPTH_MAX],
}

// SAFETY: by invariant 1 only the core that an element belongs to touches it, and there one context at a time works at one depth.
unsafe impl Sync for Core {}

/// A record that frames are being written into.
struct Open {
    frames: FrameBuffer,
    origin: Origin,
    /// What lay beneath it when it was opened.
    beneath: Beneath,
    /// The context that opened it, by its counts.
    context: u32,
    /// Between the first bytes of a frame and its end.
    is_in_frame: bool,
}

/// Who opened a record, and so who ends it and knows its level.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A macro of this kernel, around its frames.
    Printk(Level),
    /// A macro of defmt, for one frame, whose index tells the level.
    Direct(Level),
}

impl Core {
    const fn new() -> Self {
        Self { depth: AtomicU32::new(0), open: [const { UnsafeCell::new(Open::new()) }; DEPTH_MAX] }
    }

    /// The innermost open record, if there is one and it has a slot.
    ///
    /// # Safety
    /// The caller is pinned to this core and lets go of the reference before it lets anything else of this core write.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "the slots are cells; the contract makes the reference unique")]
    unsafe fn top(&self) -> Option<&mut Open> {
        let depth = self.depth.load(Ordering::Relaxed) as usize;
        let slot = self.open.get(depth.wrapping_sub(1))?;
        // SAFETY: by invariants 1 and 2 nobody else touches this slot until control is back here, and by the contract this is the only reference.
        Some(unsafe { &mut *slot.get() })
    }

    /// Opens a record inside those that are open, and keeps the pin, which [`end`] undoes.
    #[inline(always)]
    fn push(&self, pinned: PreemptGuard, origin: Origin) {
        let beneath = write::beneath(&pinned);
        let context = cpu::preempt_count();
        let depth = if beneath == Beneath::Nothing { 0 } else { self.depth.load(Ordering::Relaxed) };
        self.depth.store(depth + 1, Ordering::Relaxed);
        core::mem::forget(pinned);

        let Some(slot) = self.open.get(depth as usize) else { return };
        // SAFETY: the slot lies above all that are in use, and belongs to this context since `depth` was raised (invariant 2).
        let open = unsafe { &mut *slot.get() };
        open.frames.clear();
        (open.origin, open.beneath, open.context, open.is_in_frame) = (origin, beneath, context, false);
    }

    /// Finishes the innermost record: copies it into the ring.
    #[inline(always)]
    fn pop(&self) {
        let depth = self.depth.load(Ordering::Relaxed).wrapping_sub(1);
        if let Some(slot) = self.open.get(depth as usize) {
            // SAFETY: the innermost slot is this context's (invariant 2).
            let open = unsafe { &*slot.get() };
            let (Origin::Printk(level) | Origin::Direct(level)) = open.origin;
            write::write_frames(ring_of_this_core(), open.beneath, level, &open.frames);
        }
        self.depth.store(depth, Ordering::Relaxed);
    }
}

#[inline(always)]
fn this_core() -> &'static Core {
    &CORES[arch::cpu_id() % NR_CPUS]
}

/// A record of `pr_*!` that is being written. What the macro expands to; nothing else makes one.
#[must_use = "the record ends with `end`"]
pub struct Frames {
    _this_core: PhantomData<*mut ()>,
}

impl Frames {
    /// Opens a record and pins the thread to its core.
    ///
    /// Context: any.
    #[doc(hidden)]
    #[inline]
    pub fn begin(level: Level, prefix: &str) -> Frames {
        begin(level);
        if !prefix.is_empty() {
            defmt::println!("{=str}", prefix);
        }
        Frames { _this_core: PhantomData }
    }

    /// Finishes the record.
    #[doc(hidden)]
    #[inline]
    pub fn end(self) {
        end();
    }
}

#[inline(never)]
fn begin(level: Level) {
    let pinned = PreemptGuard::new();
    this_core().push(pinned, Origin::Printk(level));
}

#[inline(never)]
fn end() {
    this_core().pop();
    // SAFETY: the section of the guard that `push` forgot when it opened this record.
    unsafe { cpu::preempt::preempt_enable() };
    console::wake(KERN_INFO);
}

#[defmt::global_logger]
struct RingLogger;

// SAFETY: `acquire` never fails and is safe against interrupts and other cores: records are per core and nest (invariants 1 and 2).
unsafe impl defmt::Logger for RingLogger {
    #[inline]
    fn acquire() {
        let pinned = PreemptGuard::new();
        let core = this_core();
        // SAFETY: pinned; the reference is gone before anything else runs.
        match unsafe { core.top() } {
            // A frame of `pr_*!`, in the very context that has opened the record.
            Some(open) if open.takes_frame(cpu::preempt_count() - 1) => open.is_in_frame = true,
            _ => core.push(pinned, Origin::Direct(KERN_INFO)),
        }
    }

    unsafe fn flush() {}

    #[inline]
    unsafe fn release() {
        // SAFETY: pinned since `acquire`; the reference is gone before anything else runs.
        match unsafe { this_core().top() } {
            Some(open) if matches!(open.origin, Origin::Printk(_)) => open.is_in_frame = false,
            _ => end(),
        }
    }

    #[inline]
    unsafe fn write(bytes: &[u8]) {
        // SAFETY: pinned since `acquire`; nothing else of this core writes before the reference is gone.
        let Some(open) = (unsafe { this_core().top() }) else { return };
        if !open.is_in_frame
            && let Some(index) = bytes.first_chunk()
        {
            open.is_in_frame = true;
            open.origin = Origin::Direct(level_of_index(u16::from_le_bytes(*index)));
        }
        open.frames.push(bytes);
    }
}

impl Open {
    /// A slot that was not in use yet.
    const fn new() -> Open {
        Open {
            frames: FrameBuffer::new(),
            origin: Origin::Direct(KERN_INFO),
            beneath: Beneath::MaybeWriter,
            context: 0,
            is_in_frame: false,
        }
    }

    #[inline(always)]
    fn takes_frame(&self, context: u32) -> bool {
        matches!(self.origin, Origin::Printk(_)) && self.context == context && !self.is_in_frame
    }
}

unsafe extern "C" {
    // Placed by defmt.x: where in the table of texts those of each level end. Addresses only; nothing lies there.
    static __DEFMT_MARKER_DEBUG_END: u8;
    static __DEFMT_MARKER_WARN_START: u8;
    static __DEFMT_MARKER_ERROR_START: u8;
    static __DEFMT_MARKER_ERROR_END: u8;
}

/// The level of a frame of defmt's own macros, whose texts the linker script has sorted by level.
fn level_of_index(index: u16) -> Level {
    let ends = [
        (&raw const __DEFMT_MARKER_DEBUG_END, KERN_DEBUG),
        (&raw const __DEFMT_MARKER_WARN_START, KERN_INFO),
        (&raw const __DEFMT_MARKER_ERROR_START, KERN_WARNING),
        (&raw const __DEFMT_MARKER_ERROR_END, KERN_ERR),
    ];
    let is_leveled = |end: *const u8| usize::from(index) < end.addr();
    ends.into_iter().find(|(end, _)| is_leveled(*end)).map_or(KERN_INFO, |(_, level)| level)
}
