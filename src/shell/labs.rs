//! Labs: each idea of concurrency, memory and failure as an experiment, run on all cores in the wrong and in the right version.
//!
//! One lab a file, named as what one would type: `lab lost-update` is `lost_update.rs`. A lab explains, does the wrong thing where everybody can see
//! what comes of it, does it right, and compares: figures are counted in the run, and what must be true of them is claimed and checked, so that a
//! test can run every lab and demand its verdict. Rejected: canned output, which teaches what the author believed.
//!
//! # Rules for a lab
//! 1. It ends, on any number of cores, on a machine that is loaded: waits are bounded, loops end by progress or by a count.
//! 2. It claims only what must come out wherever it runs. Times are shown and not claimed: an emulator's say little.
//! 3. The kernel works after it as before. What would deadlock is tried with a bound, or played on lockdep's rules ([`paper`]); what would
//!    crash does so in a thread of its own.
//!
//! | to find | look in |
//! |---|---|
//! | what a lab writes in: figures, claims, verdict | [`notebook`] |
//! | what the kernel says of a mistake | [`journal`] |
//! | threads on several cores at once | [`team`] |
//! | lockdep's rules, apart from the kernel's own graph | `paper` |
//!
//! Neighbours: `shell::command` for the prompt; `tests/kernel/src/bin/labs.rs` runs all; `docs/guide/` walks through them.

use crate::cpu;
use crate::proc::ViewError;
use core::fmt::{self, Write};

mod command;
pub mod journal;
pub mod notebook;
pub mod team;

#[cfg(feature = "lockdep")]
pub mod paper;

mod abba;
mod bad_pointer;
mod bkl;
mod bug_warn;
mod cache_line;
mod completion;
mod dma_zone;
mod dmb_dsb;
mod error_flow;
mod false_sharing;
mod gfp_atomic;
mod gfp_kernel_irq;
mod goto_drop;
mod irqsave;
mod kmalloc_vmalloc;
mod likely;
mod lost_update;
mod message_passing;
mod percpu;
mod rcu_early_free;
mod rcu_nodata;
mod rcu_update;
mod read_then_write;
mod reader_writer_irq;
mod seq_number;
mod slab_reuse;
mod spin_or_sleep;
mod stack_overflow;
mod tasklet;
mod torn_read;
mod which_lock;

pub use notebook::{Notebook, Verdict};

/// Every lab of the image, in the linker's order: use [`sorted`] to list them.
#[linkme::distributed_slice]
pub static LABS: [Lab];

/// Registers a lab.
///
/// ```ignore
/// use tetra::shell::labs::{Notebook, Place};
///
/// tetra::shell::lab! {
///     name: "two-and-two",
///     place: Place::course(1, 1, 0),
///     title: "a sum, guessed and counted",
///     needs: 1,
///     idea: "Who adds knows more than who guesses.",
///     next: "src/shell/labs.rs",
///     run: |book: &mut Notebook<'_>| {
///         book.right("two and two")?;
///         book.value("sum", 2 + 2)?;
///         Ok(book.claim("it is four", 2 + 2 == 4)?)
///     },
/// }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __lab {
    (
        name: $name:expr, place: $place:expr, title: $title:expr, needs: $needs:expr, idea: $idea:expr, next: $next:expr, run: $run:expr $(,)?
    ) => {
        const _: () = {
            #[$crate::proc::__linkme::distributed_slice($crate::shell::labs::LABS)]
            #[linkme(crate = $crate::proc::__linkme)]
            static LAB: $crate::shell::labs::Lab =
                $crate::shell::labs::Lab { name: $name, place: $place, title: $title, needs: $needs, idea: $idea, next: $next, run: $run };
        };
    };
}

/// An experiment.
pub struct Lab {
    /// What to type.
    pub name: &'static str,
    /// Where the documents speak of it.
    pub place: Place,
    /// One line for the list, of up to 60 characters.
    pub title: &'static str,
    /// Cores without which there is nothing to see.
    pub needs: usize,
    /// What to know before: lines of up to 78 characters.
    pub idea: &'static str,
    /// What to read after it.
    pub next: &'static str,
    /// Does it. Context: thread, may sleep.
    pub run: fn(&mut Notebook<'_>) -> Result<(), ViewError>,
}

/// A place in one of the documents that the labs follow: the course's chapter on synchronization, memory and debugging, or the notes on
/// chapter 8 of a book about the kernel of 2005. Ordered as a reader comes to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    document: Document,
    chapter: u8,
    section: u8,
    /// Where one section has several labs: which comes first.
    rank: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Document {
    Course,
    Notes,
}

impl Place {
    /// Section `chapter.section` of the course.
    #[must_use]
    pub const fn course(chapter: u8, section: u8, rank: u8) -> Self {
        Self { document: Document::Course, chapter, section, rank }
    }

    /// Chapter 8 of the notes; `section` counts its headings, whose tables 8.1 to 8.10 nearly agree.
    #[must_use]
    pub const fn notes(section: u8, rank: u8) -> Self {
        Self { document: Document::Notes, chapter: 8, section, rank }
    }

    /// The first place in this section.
    #[must_use]
    pub const fn section(self) -> Self {
        Self { rank: 0, ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let document = match self.document {
            Document::Course => "course",
            Document::Notes => "notes",
        };
        write!(f, "{document} {}.{}", self.chapter, self.section)
    }
}

/// Finds a lab by its name. Context: any.
#[must_use]
pub fn find(name: &str) -> Option<&'static Lab> {
    LABS.iter().find(|lab| lab.name == name)
}

/// Lists all labs in the order of the documents. Context: any.
pub fn sorted() -> impl Iterator<Item = &'static Lab> {
    let key = |lab: &'static Lab| (lab.place, lab.name);
    let after =
        move |last: Option<&'static Lab>| LABS.iter().filter(|lab| last.is_none_or(|last| key(lab) > key(last))).min_by_key(|lab| key(lab));
    core::iter::successors(after(None), move |last| after(Some(last)))
}

impl Lab {
    /// Explains the idea, runs it, and gives the verdict, which is the last line of what is written.
    ///
    /// Context: thread; sleeps.
    ///
    /// # Errors
    /// `Output` if `out` takes no more; `Errno` if the lab could not be set up (no memory for a thread, mostly).
    pub fn run(&self, out: &mut dyn Write) -> Result<Verdict, ViewError> {
        writeln!(out, "{} ({})\n{}\n\n{}", self.name, self.place, self.title, self.idea)?;
        let mut book = Notebook::new(out);
        if cpu::nr_online() < self.needs {
            let (needs, online) = (self.needs, cpu::nr_online());
            writeln!(book, "\nverdict: not run: it takes {needs} cores, and {online} run; start with CPUS={needs}")?;
            return Ok(Verdict::NotRun);
        }
        (self.run)(&mut book)?;
        let verdict = book.verdict();
        writeln!(out, "\nnext:    {}\nverdict: {verdict}", self.next)?;
        Ok(verdict)
    }
}
