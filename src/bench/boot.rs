//! What boot costs: from the first instruction to the prompt.
//!
//! Not a call that can be made again, so it is noted when it happens. The counter began at 0 with the machine; under `-icount shift=0` an instruction
//! takes one nanosecond of its time, on a board there are only ticks, and the time that the firmware took is among them.

use super::{BENCHES, Meter, Reading, Row};
use crate::arch::counter;
use core::sync::atomic::{AtomicU64, Ordering};

const NS_PER_S: u64 = 1_000_000_000;

/// The counter when the prompt was reached.
static PROMPT_AT: AtomicU64 = AtomicU64::new(0);

/// Notes that the kernel is ready for its user.
///
/// Context: any; the first call counts.
pub fn note_prompt() {
    // Relaxed: a number that stands alone.
    let _ = PROMPT_AT.compare_exchange(0, counter::now(), Ordering::Relaxed, Ordering::Relaxed);
}

#[linkme::distributed_slice(BENCHES)]
static RESET_TO_PROMPT: Row = Row { name: "boot.reset_to_prompt", peer: None, per_call: 1, measure: reset_to_prompt };

fn reset_to_prompt(meter: &Meter) -> Reading {
    let ticks = PROMPT_AT.load(Ordering::Relaxed);
    let ns = ticks * (NS_PER_S / 1000) / (counter::frequency_hz() / 1000).max(1);
    Reading { instructions: meter.time(|| ()).instructions.map(|_| ns), cycles: ticks }
}
