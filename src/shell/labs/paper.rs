//! `Paper`: lockdep's rules on a sheet of paper, so that a lab can break them without switching the kernel's own checks off.
//!
//! The graph is a value, as in `lockdep::selftest`: a lab plays a program on it, the rules are the real ones, and so are the words of the report. What
//! is left out of the report: addresses, and what the core really holds.

use super::notebook::Notebook;
use crate::sync::held_locks::{HeldLock, HeldLocks};
use crate::sync::lock_class::{ClassId, Classes, LockClass};
use crate::sync::lockdep::context::Context;
use crate::sync::lockdep::graph::{Graph, TRACE_LEN};
use crate::sync::lockdep::known::Known;
use crate::sync::lockdep::report;
use crate::sync::lockdep::usage::Usage;
use crate::sync::lockdep::validator::{self, Violation, Wanted};
use crate::sync::meta::{Access, LockKind};
use core::fmt::{self, Write};
use core::panic::Location;

const NODES: usize = 8;
const EDGES: usize = 8;
const CHAINS: usize = 4;

/// What the rules have learnt of a made-up program.
pub struct Paper {
    graph: Graph<NODES, EDGES>,
    known: Known<NODES, CHAINS>,
    classes: Classes<NODES>,
    held: [HeldLocks; 2],
    context: Context,
}

impl Paper {
    /// An empty sheet; a thread is about to run.
    #[expect(clippy::new_without_default, reason = "two KiB: made on purpose, where it is used")]
    pub fn new() -> Self {
        Self {
            graph: Graph::new(),
            known: Known::new(),
            classes: Classes::new(),
            held: [const { HeldLocks::new() }; 2],
            context: Context::THREAD,
        }
    }

    /// A lock that is created at the caller's place.
    #[track_caller]
    pub fn lock(&mut self, kind: LockKind) -> ClassId {
        let class = LockClass { place: Location::caller(), subclass: 0, kind, first_lock: 0 };
        self.classes.find_or_add(&class).unwrap_or(ClassId::UNKNOWN)
    }

    /// Goes on in `context`.
    pub fn enter(&mut self, context: Context) {
        self.context = context;
    }

    /// Takes a lock: an error is what lockdep would report.
    ///
    /// # Errors
    /// The rule that is broken.
    #[track_caller]
    pub fn take(&mut self, class: ClassId, access: Access) -> Result<(), Violation> {
        let at = Location::caller();
        let is_sleeping = self.classes.get(class).is_some_and(|class| class.kind == LockKind::Sleeping);
        let wanted = Wanted { class, access, is_sleeping, at };
        let held = &self.held[usize::from(self.context != Context::THREAD)];
        validator::acquire(&mut self.graph, &self.known, held, &wanted, &self.context, || [0; TRACE_LEN])?;
        let lock = HeldLock { lock: class.index(), class, access, is_sleeping, at, since: 0 };
        let _ = held.push(&lock);
        let origin = crate::sync::lockdep::graph::Origin { held_at: Some(at), taken_at: None, trace: [0; TRACE_LEN] };
        validator::learn(&mut self.graph, &self.known, class, Usage::of_hold(access, &self.context), &origin)
    }

    /// Gives the lock back.
    pub fn give_back(&mut self, class: ClassId) {
        self.held[usize::from(self.context != Context::THREAD)].take(class.index());
    }

    /// Writes what lockdep would say: its title, the new order and the one seen before, and the table.
    ///
    /// # Errors
    /// Those of the output.
    #[track_caller]
    pub fn tell(&self, book: &mut Notebook<'_>, violation: &Violation) -> fmt::Result {
        let mut essence = Essence { book, line: arrayvec::ArrayString::new(), is_wanted: true };
        report::write(&mut essence, violation, Location::caller(), &self.graph, &self.classes, &[0; TRACE_LEN])
    }
}

/// Passes on the lines of a report that belong to the idea.
struct Essence<'a, 'b> {
    book: &'a mut Notebook<'b>,
    line: arrayvec::ArrayString<400>,
    is_wanted: bool,
}

impl Essence<'_, '_> {
    fn end_of_line(&mut self) -> fmt::Result {
        let line = core::mem::take(&mut self.line);
        self.is_wanted = match line.as_str() {
            line if line.starts_with("cpu") => false,
            line if line.starts_with("this core holds") => false,
            line if line.starts_with("====")
                || line.starts_with("the locks")
                || line.starts_with("new:")
                || line.starts_with("seen before") =>
            {
                true
            }
            line if line.starts_with("how it comes") => true,
            _ => self.is_wanted,
        };
        if !self.is_wanted || line.is_empty() {
            return Ok(());
        }
        self.book.quote(&line)
    }
}

impl Write for Essence<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (at, part) in text.split('\n').enumerate() {
            if at > 0 {
                self.end_of_line()?;
            }
            let room = self.line.remaining_capacity().min(part.len());
            self.line.push_str(part.get(..room).unwrap_or_default());
        }
        Ok(())
    }
}
