//! Locks as `lockdep` and `lock_stat` know them: classes and their order, what each core holds, who waits where.

#[cfg(feature = "lockdep")]
mod order {
    use crate::arch::NR_CPUS;
    use crate::proc::{self, ViewError};
    use crate::sched::thread;
    use crate::shell::{self, CommandError, Context};
    use crate::sync::held_locks::{DEPTH, held_by_handlers};
    use crate::sync::lock_class::{ClassId, MAX_CLASSES};
    use crate::sync::lock_watch;
    use crate::sync::lockdep::graph::Edge;
    use crate::sync::lockdep::live::{self, MAX_CHAINS, MAX_EDGES};
    use crate::sync::lockdep::report::{HeldIn, Named, dot_style};
    use crate::sync::lockdep::{self, selftest};
    use core::fmt::{self, Write};

    shell::command! {
        name: "lockdep",
        usage: "lockdep [dot|selftest]",
        help: "lock classes: what interrupts do with them, and how many are taken inside each",
        details: "dot: the order graph for Graphviz (`dot -Tsvg`). selftest: some hundred made-up programs, and what is said of each.\ndocs/lockdep.md says how to read a report.",
        run: lockdep,
    }

    proc::view! {
        name: "lockdep_classes",
        path: "/proc/lockdep",
        help: "lock classes, as the command `lockdep` shows them",
        show: classes,
    }

    proc::view! {
        name: "lockdep_stats",
        path: "/proc/lockdep_stats",
        help: "how full the tables of the lock order validator are, and whether it is on",
        show: stats,
    }

    proc::view! {
        name: "locks_held",
        path: "/proc/locks_held",
        help: "the locks that each core holds, and where it took them",
        show: locks_held,
    }

    fn lockdep(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
        match *args {
            [] => Ok(classes(ctx.out)?),
            ["dot"] => Ok(dot(ctx.out)?),
            ["selftest"] => match selftest::run(ctx.out)?.nr_unexpected {
                0 => Ok(()),
                unexpected => Err(ctx.fail(format_args!("{unexpected} cells are not as they must be"))),
            },
            _ => Err(CommandError::Usage),
        }
    }

    /// The edges that begin at `class`, each looked up by itself: nothing is printed with irqs off.
    fn edges_of(class: ClassId) -> impl Iterator<Item = Edge> {
        (0..).map_while(move |at| live::with_graph(|graph| graph.edges_of(class).nth(at).copied()))
    }

    fn classes(out: &mut dyn Write) -> Result<(), ViewError> {
        writeln!(out, "usage  inside  class")?;
        for id in lock_watch::class_ids() {
            let nr_inside = edges_of(id).filter(|edge| !edge.to.is_interrupt()).count();
            let letters = live::usage(id).letters();
            letters.iter().try_for_each(|letter| out.write_char(*letter))?;
            writeln!(out, "{nr_inside:9}  {}", Named(lock_watch::class(id).as_ref()))?;
        }
        writeln!(out, "usage: hardirq, as a reader, softirq, as a reader: - taken in it, + held with it on, ? both")?;
        Ok(())
    }

    fn dot(out: &mut dyn Write) -> fmt::Result {
        writeln!(out, "digraph lockdep {{")?;
        writeln!(out, "  node [shape=box];\n  1 [label=\"hardirq\", shape=ellipse];\n  2 [label=\"softirq\", shape=ellipse];")?;
        for id in lock_watch::class_ids() {
            writeln!(out, "  {} [label=\"{}\"];", id.bits(), Named(lock_watch::class(id).as_ref()))?;
        }
        for at in 0..live::stats().nr_edges {
            if let Some(edge) = live::with_graph(|graph| graph.edge(at).copied()) {
                let (from, to, kind) = (edge.from.bits(), edge.to.bits(), edge.kind);
                writeln!(out, "  {from} -> {to} [label=\"{}\", style={}];", kind.name(), dot_style(kind))?;
            }
        }
        writeln!(out, "}}")
    }

    fn stats(out: &mut dyn Write) -> Result<(), ViewError> {
        let stats = live::stats();
        let in_handlers = (0..NR_CPUS).flat_map(held_by_handlers).map(crate::sync::held_locks::HeldLocks::len);
        let deepest = in_handlers.chain(thread::all().map(|thread| thread.held_locks().len())).max().unwrap_or(0);
        let row = |out: &mut dyn Write, name: &str, used: u64, max: usize| writeln!(out, "{name:28}{used:8} [max: {max}]");
        row(out, "lock classes:", lock_watch::class_ids().count() as u64, MAX_CLASSES)?;
        row(out, "direct dependencies:", stats.nr_edges as u64, MAX_EDGES)?;
        row(out, "dependency chains:", u64::from(stats.nr_chains), MAX_CHAINS)?;
        row(out, "held locks, deepest now:", deepest as u64, DEPTH)?;
        writeln!(out, "{:28}{:8}", "searches for rings:", stats.nr_searches)?;
        writeln!(out, "{:28}{:8}", "debug_locks:", u8::from(lockdep::is_on()))?;
        Ok(())
    }

    fn locks_held(out: &mut dyn Write) -> Result<(), ViewError> {
        let mut nr_held = 0;
        for cpu in 0..NR_CPUS {
            for (level, locks) in ["softirq", "hardirq"].into_iter().zip(held_by_handlers(cpu)) {
                for lock in locks.iter() {
                    nr_held += 1;
                    writeln!(out, "cpu{cpu} {level:8}{}", HeldIn(&lock, lock_watch::class(lock.class).as_ref()))?;
                }
            }
        }
        for thread in thread::all() {
            for lock in thread.held_locks().iter() {
                nr_held += 1;
                writeln!(out, "{} thread  {}", *thread, HeldIn(&lock, lock_watch::class(lock.class).as_ref()))?;
            }
        }
        if nr_held == 0 {
            writeln!(out, "no core holds a lock")?;
        }
        Ok(())
    }
}

#[cfg(feature = "lock_stat")]
mod statistics {
    use crate::arch;
    use crate::proc::{self, ViewError};
    use crate::shell::{self, CommandError, Context};
    use crate::sync::lock_class::ClassId;
    use crate::sync::lock_stat::Sum;
    use crate::sync::lock_stat::live::{self, Row, Way};
    use crate::sync::lock_watch;
    use crate::util::errno::Errno;
    use core::fmt::{self, Write};

    shell::command! {
        name: "lock_stat",
        usage: "lock_stat [clear]",
        help: "how often locks are taken and waited for, how long, and where",
        details: "Times in nanoseconds: shortest, longest, sum. Below a class: the calls that waited, and how often. clear: begins anew.",
        run: lock_stat,
    }

    proc::view! {
        name: "lock_stats",
        path: "/proc/lock_stat",
        help: "lock statistics, as the command `lock_stat` shows them; write 0 to clear",
        show: show,
        write: |text| match text.trim() {
            "0" => {
                live::clear();
                Ok(())
            }
            _ => Err(Errno::EINVAL),
        },
    }

    fn lock_stat(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
        match *args {
            [] => Ok(show(ctx.out)?),
            ["clear"] => {
                live::clear();
                Ok(())
            }
            _ => Err(CommandError::Usage),
        }
    }

    fn show(out: &mut dyn Write) -> Result<(), ViewError> {
        let headings = ["contentions", "wait-min", "wait-max", "wait-total", "acquisitions", "hold-min", "hold-max", "hold-total"];
        headings.iter().try_for_each(|heading| write!(out, "{heading:>13}"))?;
        writeln!(out, "  class (ns; R: by readers)")?;
        for id in lock_watch::class_ids() {
            for way in Way::ALL {
                let row = live::row(id, way);
                if row.acquisitions + row.waits.count != 0 {
                    write_row(out, id, way, &row)?;
                }
            }
            for site in live::sites(id).sorted() {
                writeln!(out, "{:>13}  waits at {} (up to {} of them elsewhere)", site.count, site.at, site.too_many)?;
            }
        }
        Ok(())
    }

    fn write_row(out: &mut dyn Write, id: ClassId, way: Way, row: &Row) -> fmt::Result {
        write_times(out, row.waits.count, &row.waits)?;
        write_times(out, row.acquisitions, &row.holds)?;
        let by = if way == Way::Shared { " R" } else { "" };
        match lock_watch::class(id) {
            Some(class) => writeln!(out, "  {class}{by}"),
            None => writeln!(out),
        }
    }

    fn write_times(out: &mut dyn Write, count: u64, times: &Sum) -> fmt::Result {
        let ns = |ticks: u64| (u128::from(ticks) * 1_000_000_000 / u128::from(arch::counter::frequency_hz())) as u64;
        write!(out, "{count:13}{:13}{:13}{:13}", ns(times.min.unwrap_or(0)), ns(times.max), ns(times.total))
    }
}
