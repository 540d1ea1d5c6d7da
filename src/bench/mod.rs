//! The counted operations: what one call of this kernel costs, in instructions and in cycles.
//!
//! A row is one operation, written with [`bench!`](macro@crate::bench::bench) in the file of its subsystem. It becomes a function of its own that is never
//! inlined, so nothing is hoisted by a loop and its disassembly can be read by name (`bench.sync.spin_lock`); [`meter`] counts one call of it and takes
//! off what an empty twin costs. The linker gathers the rows, also those of other crates: the image in tests/bench adds other projects' code to the
//! same table. Rejected: a loop around the operation, divided by its count, which measures what the compiler makes of the loop.
//!
//! `make bench` runs all rows under QEMU, where instructions are exact; the shell's `bench` runs them anywhere. docs/performance.md is the guide.
//! Neighbours: `arch::pmu` for the counters; `tools/src/bench` for the host's side.

mod boot;
mod command;
mod log;
mod memory;
mod meter;
mod outcome;
mod rcu;
mod sync;
mod threads;

pub use crate::__bench as bench;
pub use boot::note_prompt;
pub use meter::{Meter, Reading, Shape};
pub use outcome::Outcome;

/// One operation of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Subsystem and operation, such as `sync.spin_lock`; the names that tests/bench/targets.csv has.
    pub name: &'static str,
    /// Whose code it is, `None` for this kernel's.
    pub peer: Option<&'static str>,
    /// How many operations one measured call makes.
    pub per_call: u32,
    /// Measures one call.
    pub measure: fn(&Meter) -> Reading,
}

/// The rows of the image, in the linker's order.
#[linkme::distributed_slice]
pub static BENCHES: [Row];

/// Adds rows to the table.
///
/// ```ignore
/// bench! {
///     "sync.spin_lock", lock: SpinLock<u64> = SpinLock::new(0) => drop(lock.lock());
///     "sync.spin_lock" by "spin::Mutex", lock: spin::Mutex<u64> = spin::Mutex::new(0) => drop(lock.lock());
///     "mem.kmalloc_64_batch_alloc" / 1000, batch: Batch = Batch::new() => batch.fill(); after batch.empty();
/// }
/// ```
/// A row reads: name, by whom if not this kernel, operations a call if not one; the object, a static whose address the operation gets in a register; the
/// operation, whose value is an [`Outcome`]. `before` and `after` run outside of what is measured. The operation runs in thread
/// context with irqs on and nothing held, and leaves its object as it found it, for it is called some dozen times.
#[doc(hidden)]
#[macro_export]
macro_rules! __bench {
    ($($name:literal $(by $peer:literal)? $(/ $per_call:literal)?, $object:ident: $type:ty = $init:expr => $operation:expr;
        $(before $before:expr;)? $(after $after:expr;)?)+) => {$(
        const _: () = {
            static OBJECT: $type = $init;

            #[unsafe(export_name = concat!("bench.", $name $(, ".", $peer)?))]
            #[inline(never)]
            fn operation($object: &'static $type) {
                let _ = $object;
                $crate::arch::force_frame();
                $crate::bench::Outcome::observe($operation);
            }

            fn measure(meter: &$crate::bench::Meter) -> $crate::bench::Reading {
                let shape = $crate::bench::Shape::new(operation);
                $(let shape = shape.before(|$object| {
                    let _ = $object;
                    $before;
                });)?
                $(let shape = shape.after(|$object| {
                    let _ = $object;
                    $after;
                });)?
                meter.measure(&shape, &OBJECT)
            }

            #[$crate::proc::__linkme::distributed_slice($crate::bench::BENCHES)]
            #[linkme(crate = $crate::proc::__linkme)]
            static ROW: $crate::bench::Row = $crate::bench::Row {
                name: $name,
                peer: $crate::__bench!(@peer $($peer)?),
                per_call: $crate::__bench!(@per_call $($per_call)?),
                measure,
            };
        };
    )+};
    (@peer) => { None };
    (@peer $peer:literal) => { Some($peer) };
    (@per_call) => { 1 };
    (@per_call $per_call:literal) => { $per_call };
}
