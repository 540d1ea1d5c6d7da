//! `lab gfp-atomic`: a handler that gets no memory, and goes on.

use super::Place;
use super::journal::Journal;
use super::notebook::Notebook;
use crate::irq::ipi;
use crate::mm::failslab::FAILSLAB;
use crate::mm::kmalloc::set_failslab;
use crate::mm::{GfpFlags, KBox};
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::AtomicU64;

shell::lab! {
    name: "gfp-atomic",
    place: Place::course(2, 2, 1),
    title: "GFP_ATOMIC in a handler, with its failure handled",
    needs: 1,
    idea: "\
GFP_ATOMIC does not sleep, so it fails when nothing is free, in spite of the
reserve that only such requests may touch. A handler must be ready for that:
say so once, drop the packet, go on; the device sends again, or a thread does
the work later with GFP_KERNEL. What it must not do is to use the pointer.

`failslab` makes chosen requests fail, so that the path can be walked.",
    next: "lab gfp-kernel-irq, lab goto-drop; `cat failslab`, docs/memory-slab.md",
    run: run,
}

/// What the handler did with its packets.
#[derive(Default)]
struct Device {
    handled: AtomicU64,
    dropped: AtomicU64,
}

impl Device {
    /// The course's `interrupt_handler`: a buffer for the packet, or the packet is dropped.
    fn interrupt_handler(&self) {
        let Ok(buffer) = KBox::new([0_u8; 512], GfpFlags::ATOMIC) else {
            crate::pr_warn!("lab gfp-atomic: memory allocation failed in interrupt: packet dropped");
            self.dropped.inc();
            return;
        };
        // Processed; the box frees the buffer.
        self.handled.add(u64::from(buffer.len() == 512));
    }
}

/// Requests of other threads may come between, and take a failure that was meant for the handler.
const MAX_TRIES: u64 = 100;

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    let device = Device::default();
    book.right("memory is there: five interrupts")?;
    (0..5).for_each(|_| ipi::interrupt_self(|| device.interrupt_handler()));
    show(book, &device)?;
    book.claim("all handled", device.handled.read() == 5 && device.dropped.read() == 0)?;

    book.right("the next request fails (echo nth=1 > failslab)")?;
    let mut journal = Journal::begin();
    let failed_before = FAILSLAB.nr_failed();
    let mut tries = 0;
    while device.dropped.read() == 0 && tries < MAX_TRIES {
        set_failslab("nth=1")?;
        ipi::interrupt_self(|| device.interrupt_handler());
        tries += 1;
    }
    set_failslab("off")?;
    journal.quote(book, "packet dropped")?;
    drop(journal);
    show(book, &device)?;
    book.value("requests that failslab refused", FAILSLAB.nr_failed() - failed_before)?;
    book.claim("one packet is dropped", device.dropped.read() == 1 && FAILSLAB.nr_failed() > failed_before)?;

    book.right("afterwards")?;
    (0..5).for_each(|_| ipi::interrupt_self(|| device.interrupt_handler()));
    show(book, &device)?;
    Ok(book.claim("the device works as before", device.handled.read() == 10 + tries - 1 && device.dropped.read() == 1)?)
}

fn show(book: &mut Notebook<'_>, device: &Device) -> core::fmt::Result {
    book.value("packets handled", device.handled.read())?;
    book.value("packets dropped", device.dropped.read())
}
