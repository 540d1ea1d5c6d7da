//! How values of the kernel's own types go into a defmt frame: as the text that the text build would show.
//!
//! Each travels preformatted, since the host has no code for them; what boot says once is not worth a decoder of its own.

use defmt::{Debug2Format, Display2Format, Format, Formatter, write};

macro_rules! as_shown {
    ($($type:ty),* $(,)?) => {$(
        impl Format for $type {
            fn format(&self, f: Formatter<'_>) {
                write!(f, "{}", Display2Format(self));
            }
        }
    )*};
}

macro_rules! as_debugged {
    ($($type:ty),* $(,)?) => {$(
        impl Format for $type {
            fn format(&self, f: Formatter<'_>) {
                write!(f, "{}", Debug2Format(self));
            }
        }
    )*};
}

as_shown! {
    crate::debug::kallsyms::TableError,
    crate::debug::symbols::Named,
    crate::drivers::gpio::GpioError,
    crate::drivers::mailbox::MailboxError,
    crate::platform::board::BoardRevision,
    crate::platform::device_tree::DtWarning<'_>,
    crate::platform::memory_map::MapNote,
    crate::platform::memory_map::Source,
    crate::sched::Thread,
    crate::time::BadFrequency,
    crate::util::cmdline::ValueError,
}

as_debugged! {
    crate::arch::mmu::MapError,
    crate::irq::IrqError,
    crate::mm::shrinker::ShrinkerError,
    crate::sched::kthread::SpawnError,
    crate::mm::phys_range::PhysRange,
}
