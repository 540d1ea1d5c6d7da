//! The words of a report: the ring that was found, edge by edge, and a little table of how it comes to a standstill.
//!
//! `write` is pure and has no place for names; `print` sends its lines to the log. Each line is a record of its own, so the report is whole however long
//! it is.

use super::graph::{Edge, Graph, Kind, Origin, Path};
use super::validator::Violation;
use crate::cpu;
use crate::debug::kallsyms::Symbol;
use crate::log::{self, Level};
use crate::sync::held_locks::{self, HeldLock};
use crate::sync::lock_class::{ClassId, Classes, LockClass};
use crate::sync::meta::{Access, LockKind};
use core::fmt::{self, Display, Write};
use core::panic::Location;

const PREFIX: &str = "lockdep: ";
/// Locks that have a letter, and cores in the table.
const MAX_LETTERS: usize = 14;
const COLUMN: usize = 26;

/// Prints the report. Context: any; takes no lock.
pub(super) fn print<const N: usize, const E: usize, const C: usize>(
    violation: &Violation,
    at: &'static Location<'static>,
    graph: &Graph<N, E>,
    classes: &Classes<C>,
    trace: &[usize],
) {
    let mut lines = Lines { text: [0; LINE], len: 0 };
    let _ = write(&mut lines, violation, at, graph, classes, trace);
}

/// Room for a line; longer ones are broken.
const LINE: usize = 240;

/// Sends each line to the log.
struct Lines {
    text: [u8; LINE],
    len: usize,
}

impl Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' || self.len == LINE {
                self.send();
            }
            if byte != b'\n' {
                self.text[self.len] = byte;
                self.len += 1;
            }
        }
        Ok(())
    }
}

impl Lines {
    fn send(&mut self) {
        let line = core::str::from_utf8(&self.text[..self.len]).unwrap_or("?");
        log::emit(Level::Err, PREFIX, format_args!("{line}"));
        self.len = 0;
    }
}

/// Writes the report: what, where, the ring, the locks that are held, the way out.
///
/// # Errors
/// Those of `out`.
pub fn write<const N: usize, const E: usize, const C: usize>(
    out: &mut dyn Write,
    violation: &Violation,
    at: &'static Location<'static>,
    graph: &Graph<N, E>,
    classes: &Classes<C>,
    trace: &[usize],
) -> fmt::Result {
    writeln!(out, "==== {} ====", violation.title())?;
    write!(out, "cpu{}, ", cpu::id())?;
    match cpu::task::try_current() {
        Some(task) => write!(out, "{task}")?,
        None => write!(out, "no thread yet")?,
    }
    writeln!(out, ", in {}, at {at}:", cpu::context::name())?;
    write_trace(out, trace)?;
    match violation {
        Violation::Ring { from, to, origin, path } => write_ring(out, graph, classes, *from, *to, origin, path)?,
        Violation::SleepInAtomic(class) => writeln!(out, "wanted: {}", Named(classes.get(*class)))?,
        Violation::HeldAtEnd | Violation::TooDeep => {}
        Violation::OutOfEdges | Violation::OutOfClasses => writeln!(out, "raise MAX_EDGES or MAX_CLASSES in src/sync")?,
    }
    write_held(out, classes)?;
    writeln!(out, "lock order is not checked from now on: correct this one, then look for the next")
}

fn write_ring<const N: usize, const E: usize, const C: usize>(
    out: &mut dyn Write,
    graph: &Graph<N, E>,
    classes: &Classes<C>,
    from: ClassId,
    to: ClassId,
    origin: &Origin,
    path: &Path,
) -> fmt::Result {
    let nodes = nodes_of(graph, from, to, path);
    let letters = Letters(&nodes);
    writeln!(out, "the locks:")?;
    for node in nodes.iter().filter(|node| !node.is_interrupt()) {
        writeln!(out, "  {} {}", letters.of(*node), Named(classes.get(*node)))?;
    }
    writeln!(out, "new: {}", Sentence { letters, from, to, origin })?;
    for (number, edge) in graph.edges_on(path).enumerate() {
        let sentence = Sentence { letters, from: edge.from, to: edge.to, origin: &edge.origin };
        writeln!(out, "seen before, {}: {sentence} ({}), by:", number + 1, edge.kind.name())?;
        write_trace(out, &edge.origin.trace)?;
    }
    if path.is_cut {
        writeln!(out, "(the ring is longer: its first {} edges)", path.len())?;
    }
    write_scenario(out, &nodes, letters)
}

/// The nodes of the ring, in order: the one that is held, the one that is wanted, and so on.
fn nodes_of<const N: usize, const E: usize>(graph: &Graph<N, E>, from: ClassId, to: ClassId, path: &Path) -> Nodes {
    let mut nodes = Nodes::new();
    nodes.push(from);
    if to != from {
        nodes.push(to);
    }
    for Edge { to, .. } in graph.edges_on(path).filter(|edge| edge.to != from) {
        if nodes.is_full() {
            break;
        }
        nodes.push(*to);
    }
    nodes
}

type Nodes = arrayvec::ArrayVec<ClassId, MAX_LETTERS>;

/// Each lock of the ring by its letter.
#[derive(Clone, Copy)]
struct Letters<'a>(&'a [ClassId]);

impl Letters<'_> {
    fn of(self, node: ClassId) -> NodeName {
        let mut locks = self.0.iter().filter(|node| !node.is_interrupt());
        NodeName { node, at: locks.position(|other| *other == node) }
    }
}

fn letter(at: usize) -> char {
    char::from(b'A' + at as u8)
}

#[derive(Clone, Copy)]
struct NodeName {
    node: ClassId,
    at: Option<usize>,
}

impl Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.node, self.at) {
            (ClassId::HARDIRQ, _) => f.write_str("a hardirq"),
            (ClassId::SOFTIRQ, _) => f.write_str("a softirq"),
            (_, Some(at)) => write!(f, "[{}]", letter(at)),
            (_, None) => f.write_str("[?]"),
        }
    }
}

/// An edge in words.
struct Sentence<'a> {
    letters: Letters<'a>,
    from: ClassId,
    to: ClassId,
    origin: &'a Origin,
}

impl Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.letters.of(self.from), self.letters.of(self.to));
        match (self.from.is_interrupt(), self.to.is_interrupt()) {
            (true, _) => write!(f, "{from} takes {to}")?,
            (_, true) => write!(f, "{from} is held while {to} can come")?,
            _ => write!(f, "{to} is taken while {from} is held")?,
        }
        if let Some(at) = self.origin.held_at {
            write!(f, "; {from} taken at {at}")?;
        }
        match self.origin.taken_at {
            Some(at) if !self.to.is_interrupt() => write!(f, "; {to} at {at}"),
            Some(at) => write!(f, "; {from} at {at}"),
            None => Ok(()),
        }
    }
}

/// A table: what each core would hold and want. A core that a handler interrupts holds and wants in two steps.
fn write_scenario(out: &mut dyn Write, nodes: &[ClassId], letters: Letters<'_>) -> fmt::Result {
    let next = |at: usize| nodes[(at + 1) % nodes.len()];
    let locks = || nodes.iter().enumerate().filter(|(_, node)| !node.is_interrupt()).map(|(at, _)| at);
    writeln!(out, "how it comes to a standstill:")?;
    write_row(out, locks().enumerate().map(|(cpu, _)| Some(Cell::Core(cpu))))?;
    write_row(out, locks().map(|at| Some(Cell::Holds(letters.of(nodes[at])))))?;
    if nodes.iter().any(|node| node.is_interrupt()) {
        write_row(out, locks().map(|at| next(at).is_interrupt().then(|| Cell::Interrupted(letters.of(next(at))))))?;
    }
    let wanted = |at: usize| if next(at).is_interrupt() { next(at + 1) } else { next(at) };
    write_row(out, locks().map(|at| Some(Cell::Wants(letters.of(wanted(at))))))
}

enum Cell {
    Core(usize),
    Holds(NodeName),
    Interrupted(NodeName),
    Wants(NodeName),
}

impl Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(cpu) => write!(f, "CPU{cpu}"),
            Self::Holds(lock) => write!(f, "holds {lock}"),
            Self::Interrupted(irq) => write!(f, "{irq} comes, which"),
            Self::Wants(lock) => write!(f, "waits for {lock}"),
        }
    }
}

fn write_row(out: &mut dyn Write, cells: impl Iterator<Item = Option<Cell>>) -> fmt::Result {
    for cell in cells {
        let mut counted = Counted { out, len: 0 };
        match cell {
            Some(cell) => write!(counted, "  {cell}")?,
            None => write!(counted, "  |")?,
        }
        let len = counted.len;
        write!(out, "{:1$}", "", COLUMN.saturating_sub(len))?;
    }
    writeln!(out)
}

/// Counts what it passes on, to fill a column.
struct Counted<'a> {
    out: &'a mut dyn Write,
    len: usize,
}

impl Write for Counted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.len += text.len();
        self.out.write_str(text)
    }
}

fn write_held<const C: usize>(out: &mut dyn Write, classes: &Classes<C>) -> fmt::Result {
    writeln!(out, "this core holds, oldest first:")?;
    let mut is_any = false;
    for (level, locks) in ["thread", "softirq", "hardirq"].into_iter().zip(held_locks::held_here()) {
        for lock in locks.iter() {
            is_any = true;
            writeln!(out, "  {level}: {}", HeldIn(&lock, classes.get(lock.class)))?;
        }
    }
    if is_any { Ok(()) } else { writeln!(out, "  nothing") }
}

/// A held lock in words.
pub struct HeldIn<'a>(pub &'a HeldLock, pub Option<&'a LockClass>);

impl Display for HeldIn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.0.access == Access::Exclusive { "" } else { ", as a reader" };
        write!(f, "{}, taken at {}{how}", Named(self.1), self.0.at)
    }
}

/// A class with the symbol of its first lock, if that is a static.
pub struct Named<'a>(pub Option<&'a LockClass>);

impl Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(class) = self.0 else { return f.write_str("a lock that has no class") };
        if let Some(name) = symbol(class.first_lock) {
            write!(f, "{}, ", name.name)?;
        }
        write!(f, "created at {class}")?;
        if class.kind == LockKind::Sleeping { f.write_str(", sleeping") } else { Ok(()) }
    }
}

/// The symbol at an address, if the image has one there.
#[cfg(target_os = "none")]
fn symbol(address: usize) -> Option<Symbol<'static>> {
    crate::debug::symbols::table()?.lookup(address as u64)
}

/// On the host nothing has a name.
#[cfg(not(target_os = "none"))]
fn symbol(_address: usize) -> Option<Symbol<'static>> {
    None
}

/// The callers, without the checks' own frames.
fn write_trace(out: &mut dyn Write, trace: &[usize]) -> fmt::Result {
    let frames = trace.iter().copied().take_while(|address| *address != 0);
    for address in frames.skip_while(|address| is_own(*address)) {
        match symbol(address - 1) {
            Some(symbol) => writeln!(out, "    {address:#018x} {}+{:#x}/{:#x}", symbol.name, symbol.offset + 1, symbol.size)?,
            None => writeln!(out, "    {address:#018x}")?,
        }
    }
    Ok(())
}

/// Whether a call came from the checks.
fn is_own(address: usize) -> bool {
    const OWN: [&str; 3] = ["tetra::sync::lockdep::", "tetra::sync::lock_watch::", "tetra::sync::unwatched::"];
    let mut start = Start(arrayvec::ArrayString::new());
    symbol(address - 1).is_some_and(|symbol| write!(start, "{}", symbol.name).is_ok() && OWN.iter().any(|own| start.0.contains(own)))
}

/// Keeps the first characters of a name, which say where it is from.
struct Start(arrayvec::ArrayString<48>);

impl Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.try_push(character).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// How `kind` is written in the graph for Graphviz: readers dashed.
pub fn dot_style(kind: Kind) -> &'static str {
    if kind.is_exclusive && !kind.is_recursive { "solid" } else { "dashed" }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::lockdep::graph::{EN, Refused, TRACE_LEN};
    use std::string::String;

    #[test]
    fn a_ring_through_an_interrupt_is_told_in_order() {
        let (mut graph, mut classes) = (Graph::<8, 8>::new(), Classes::<8>::new());
        let at = Location::caller();
        let [a, b] = [0, 1].map(|subclass| {
            let class = LockClass { place: at, subclass, kind: LockKind::Spinning, first_lock: 0 };
            classes.find_or_add(&class).unwrap()
        });
        let origin = Origin { held_at: Some(at), taken_at: Some(at), trace: [0x1234, 0, 0, 0, 0, 0, 0, 0] };
        graph.add(ClassId::HARDIRQ, a, EN, &origin).unwrap();
        graph.add(a, b, EN, &origin).unwrap();
        let Err(Refused::Ring(path)) = graph.add(b, ClassId::HARDIRQ, EN, &origin) else { panic!("the ring is closed") };
        let violation = Violation::Ring { from: b, to: ClassId::HARDIRQ, origin, path };
        let mut text = String::new();
        write(&mut text, &violation, at, &graph, &classes, &[0; TRACE_LEN]).unwrap();
        let wanted = [
            "==== locks and interrupts",
            "[A] created at",
            "new: [A] is held while a hardirq can come",
            "seen before, 1: a hardirq takes [B]",
            "0x0000000000001234",
            "seen before, 2: [A] is taken while [B] is held",
            "  CPU0                      CPU1",
            "  holds [A]                 holds [B]",
            "  a hardirq comes, which    |",
            "  waits for [B]             waits for [A]",
            "  nothing",
        ];
        let mut rest = text.as_str();
        for line in wanted {
            rest = rest.split_once(line).unwrap_or_else(|| panic!("no \"{line}\" in its place in\n{text}")).1;
        }
    }
}
