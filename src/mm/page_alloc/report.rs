//! What is printed when a request for pages fails: one block with the request, the zones' state, and who asked.
//!
//! ```text
//! page allocation failure: order 10, RECLAIM | IO | FS, in thread
//!   Normal: free 12, min 691 low 863 high 1036, protection [0, 0, 0], listed 3; blocks 2 1 2 0 0 0 0 0 0 0 0
//!   0xffffffff80091234 tetra::...
//! ```
//! One record, so that reports of several cores do not mix.

use super::ZONES;
use crate::cpu;
use crate::log::{Level, RateLimit, emit};
use crate::mm::addr::Order;
use crate::mm::gfp::GfpFlags;
use crate::mm::zone::{Mark, Zone};
use core::fmt;

/// Frames that are shown: more do not fit a record.
const NR_FRAMES: usize = 6;

static LIMIT: RateLimit = RateLimit::new();

/// Prints the block, unless many were printed in the last seconds. Context: any.
#[cold]
pub(super) fn failure(gfp: GfpFlags, order: Order, is_injected: bool) {
    if LIMIT.allows("page allocation failure") {
        let mut frames = [0; NR_FRAMES];
        frames.iter_mut().zip(callers()).for_each(|(slot, address)| *slot = address);
        let why = if is_injected { " (injected)" } else { "" };
        let (order, context) = (order.value(), cpu::context::name());
        emit(
            Level::Warning,
            "",
            format_args!("page allocation failure{why}: order {order}, {}, in {context}{}", Flags(gfp), State(frames)),
        );
    }
}

/// Return addresses of the caller, innermost first.
#[cfg(target_os = "none")]
pub(super) fn callers() -> impl Iterator<Item = usize> {
    use crate::debug::backtrace;
    backtrace::Frames::from(backtrace::here()).map(|frame| frame.address)
}

/// Host: no stack is walked.
#[cfg(not(target_os = "none"))]
pub(super) fn callers() -> impl Iterator<Item = usize> {
    core::iter::empty()
}

struct Flags(GfpFlags);

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("NOWAIT");
        }
        bitflags::parser::to_writer(&self.0, f)
    }
}

/// The zones with memory, and the callers: return addresses, 0 behind the last.
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: no stack is walked"))]
struct State([usize; NR_FRAMES]);

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ZONES.iter().filter(|zone| zone.managed() > 0).try_for_each(|zone| write_zone(f, zone))?;
        #[cfg(target_os = "none")]
        for address in self.0.into_iter().take_while(|address| *address != 0) {
            write!(f, "\n  {address:#018x} {}", crate::debug::symbols::Named::return_to(address))?;
        }
        Ok(())
    }
}

fn write_zone(f: &mut fmt::Formatter<'_>, zone: &Zone) -> fmt::Result {
    let limits = zone.limits();
    let [min, low, high] = [Mark::Min, Mark::Low, Mark::High].map(|mark| limits.floor(zone.kind, mark));
    write!(f, "\n  {}: free {}, min {min} low {low} high {high}, ", zone.kind.name(), zone.nr_free())?;
    write!(f, "protection {:?}, listed {}; blocks", limits.protection, super::nr_listed(zone.kind))?;
    zone.block_counts().iter().try_for_each(|count| write!(f, " {count}"))
}
