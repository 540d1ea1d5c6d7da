//! `make bench`: what each operation costs, exactly; `make bench-check`: whether anything got worse.
//!
//! Images are built as they are shipped: profile release, all checks off. The one in tests/bench is the kernel with its peers linked in, and its shell's
//! `bench` counts; the shipped image gives what boot costs. What is shown or kept is counted in two boots, which must agree in every digit.
//! docs/performance.md tells the method and explains the figures.

mod baseline;
mod cycles;
#[cfg(feature = "plots")]
mod plots;
mod session;
mod table;
mod targets;
mod wire;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use object::{Object, ObjectSection};

use crate::kernel::{self, Kernel, Log, Profile};
use crate::workspace;
use session::{Row, SELF};
use table::Line;

const PACKAGE: &str = "tetra-bench";
/// The row that the shipped image is asked for.
const BOOT_ROW: &str = "boot.reset_to_prompt";
/// The group that only a kernel built with the feature `defmt` has other rows for.
const LOG_GROUP: &str = "log.";
/// What those rows' names begin with.
const DEFMT_ROWS: &str = "log.defmt_";

/// What is done with the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Show,
    Check,
    KeepAsBaseline,
}

/// `tetra-tools bench [check|baseline|plots FOLDER]`.
pub fn main(args: &[String]) -> Result<ExitCode> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let purpose = match args.as_slice() {
        [] => Use::Show,
        ["check"] => Use::Check,
        ["baseline"] => Use::KeepAsBaseline,
        ["plots", folder] => return plot(Path::new(folder)).map(|()| ExitCode::SUCCESS),
        _ => bail!("usage: bench [check|baseline|plots FOLDER]"),
    };
    if let (Use::Show, Some(word)) = (purpose, workspace::variable("ONLY")) {
        return show_some(&word);
    }
    let images = Images::build(purpose)?;
    let rows = match purpose {
        // A count that is not the same each time would not be the baseline's either.
        Use::Check => progress("count", || images.count_once())?,
        Use::Show | Use::KeepAsBaseline => progress("count, twice", || images.count())?,
    };
    let mut lines = table::join(&targets::read()?, &rows);
    if purpose != Use::Check {
        add_cycles(&mut lines, &images.bench.elf)?;
    }

    print!("{}", table::text(&lines, &rows));
    let folder = workspace::target().join("bench");
    keep(&folder.join("costs.csv"), &table::costs_csv(&lines))?;
    keep(&folder.join("peers.csv"), &table::peers_csv(&rows))?;
    match purpose {
        Use::Show => show_more(&images, &rows)?,
        Use::Check => return check(&lines),
        Use::KeepAsBaseline => println!("written: {}", baseline::write(&lines)?.display()),
    }
    Ok(ExitCode::SUCCESS)
}

/// `ONLY=word`: the rows with the word in their name, counted once on one image, beside their targets. For who works on one of them.
fn show_some(word: &str) -> Result<ExitCode> {
    let bench = progress("build bench/text", || bench_image(Log::Text))?;
    let rows = progress("count", || session::rows(&bench, word))?;
    let mut lines = table::join(&targets::read()?, &rows);
    lines.retain(|line| line.instructions.is_some());
    add_cycles(&mut lines, &bench.elf)?;
    print!("{}", table::text(&lines, &rows));
    Ok(ExitCode::SUCCESS)
}

/// The kernel with the peers linked in.
fn bench_image(log: Log) -> Result<Kernel> {
    let folder = if log == Log::Defmt { "bench/defmt" } else { "bench/text" };
    Ok(kernel::build(PACKAGE, Some("bench"), &log_features(log), Profile::Release, folder)?.remove(0))
}

/// The kernels that are measured.
struct Images {
    /// With the peers.
    bench: Kernel,
    /// The same with the binary log; a check does without, as its two rows would take a third of the time.
    bench_defmt: Option<Kernel>,
    /// As it is shipped.
    shipped: Kernel,
}

impl Images {
    fn build(purpose: Use) -> Result<Self> {
        let defmt = || progress("build bench/defmt", || bench_image(Log::Defmt));
        Ok(Self {
            shipped: progress("build bench/shipped", || {
                Ok(kernel::build("tetra", Some("kernel8"), &log_features(Log::Text), Profile::Release, "bench/shipped")?.remove(0))
            })?,
            bench: progress("build bench/text", || bench_image(Log::Text))?,
            bench_defmt: if purpose == Use::Check { None } else { Some(defmt()?) },
        })
    }

    /// All rows, counted in two runs that must agree.
    fn count(&self) -> Result<Vec<Row>> {
        let (first, second) = (self.count_once()?, self.count_once()?);
        ensure_same(&first, &second)?;
        Ok(first)
    }

    fn count_once(&self) -> Result<Vec<Row>> {
        let mut rows = session::rows(&self.bench, "")?;
        session::check_meter(&rows)?;
        // What boot costs is the shipped image's; the peers make this one larger.
        rows.retain(|row| row.operation != BOOT_ROW);
        rows.extend(session::rows(&self.shipped, BOOT_ROW)?);
        if let Some(defmt) = &self.bench_defmt {
            rows.extend(session::rows(defmt, LOG_GROUP)?);
        }
        let bytes = self.shipped.image.metadata()?.len();
        rows.push(Row { operation: "boot.image_bytes".to_owned(), by: SELF.to_owned(), instructions: bytes });
        Ok(rows)
    }
}

/// No checks, whatever `FEATURES=` says: the figures are those of the kernel as shipped.
fn log_features(log: Log) -> Vec<String> {
    match log {
        Log::Text => Vec::new(),
        Log::Defmt => vec!["defmt".to_owned()],
    }
}

/// The error names the first row that differs.
fn ensure_same(first: &[Row], second: &[Row]) -> Result<()> {
    if let Some((a, b)) = first.iter().zip(second).find(|(a, b)| a != b) {
        bail!(
            "two runs differ: {} by {} took {} instructions, then {} by {} took {}",
            a.operation,
            a.by,
            a.instructions,
            b.operation,
            b.by,
            b.instructions
        );
    }
    ensure!(first.len() == second.len(), "two runs differ: {} rows, then {}", first.len(), second.len());
    Ok(())
}

fn add_cycles(lines: &mut [Line], elf: &Path) -> Result<()> {
    if !cycles::tools_are_there() {
        ensure!(workspace::variable("CI").is_none(), "llvm-objdump or llvm-mca is missing; install package llvm");
        eprintln!("SKIP  cycles on a Cortex-A72: llvm-objdump or llvm-mca is missing; install package llvm");
        return Ok(());
    }
    let counts: Vec<_> = lines.iter().filter_map(|line| Some((line.target.operation.clone(), line.instructions?))).collect();
    let cycles = progress("cycles on a Cortex-A72", || cycles::of_rows(elf, &counts))?;
    for line in lines {
        line.cycles = cycles.get(&line.target.operation).copied();
    }
    Ok(())
}

fn show_more(images: &Images, rows: &[Row]) -> Result<()> {
    let locks = progress("locks against cores", || session::rows_of_locks(&images.bench))?;
    println!(
        "\nlocks, acquisitions a millisecond of the emulator's time, and the least of a core in percent of the most\n{}",
        table::matrix(&locks)
    );
    let heaps = progress("heaps", || session::rows(&images.bench, "-heaps"))?;
    println!("heaps, instructions a call; `peak`: the least memory in which the trace runs\n{}", table::matrix(&heaps));
    let more = [rows, locks.as_slice(), heaps.as_slice()].concat();
    let folder = workspace::target().join("bench");
    keep(&folder.join("peers.csv"), &table::peers_csv(&more))?;
    plot(&folder)?;

    println!("image, bytes by section");
    for (name, bytes) in sections(&images.shipped.elf)? {
        println!("{bytes:>12}  {name}");
    }
    let text = progress("bytes on the wire, text", || wire::bytes_per_line(&images.bench))?;
    println!("\nbytes on the wire for `bench: message 42 value beef`: {text:.1} as text");
    if let Some(image) = &images.bench_defmt {
        let defmt = progress("bytes on the wire, defmt", || wire::bytes_per_line(image))?;
        println!("the same as defmt: {defmt:.1}");
    }
    println!("\n{}", folder.display());
    Ok(())
}

/// Draws the pictures from the files of the last run into `folder`, if these tools were built with the plotter, as `make bench` does.
#[cfg(feature = "plots")]
fn plot(folder: &Path) -> Result<()> {
    plots::draw(&workspace::target().join("bench"), folder)
}

#[cfg(not(feature = "plots"))]
fn plot(_folder: &Path) -> Result<()> {
    eprintln!("SKIP  plots: these tools were built without `--features plots`, which make adds for `make bench` and `make bench-plots`");
    Ok(())
}

/// Sections that take memory, with their sizes.
fn sections(elf: &Path) -> Result<Vec<(String, u64)>> {
    let bytes = std::fs::read(elf)?;
    let file = object::File::parse(bytes.as_slice())?;
    file.sections()
        .filter(|section| section.size() != 0 && !section.name().is_ok_and(|name| name.starts_with(".debug")))
        .filter(
            |section| matches!(section.flags(), object::SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(object::elf::SHF_ALLOC)),
        )
        .map(|section| Ok((section.name()?.to_owned(), section.size())))
        .collect()
}

/// `make bench-check`.
fn check(lines: &[Line]) -> Result<ExitCode> {
    let (mut baseline, compiler) = (baseline::read()?, baseline::compiler()?);
    baseline.costs.retain(|operation, _| !operation.starts_with(DEFMT_ROWS));
    if baseline.compiler == compiler {
        println!("\ncompared with tests/bench/baseline.csv, {compiler}");
    } else {
        println!(
            "\nthe baseline is for {}, this is {compiler}: compared with the targets instead, and where the baseline is over its target with the baseline",
            baseline.compiler
        );
    }
    let missing = lines.iter().filter(|line| line.instructions.is_none()).count();
    let complaints = baseline::complaints(&baseline, &compiler, lines);
    for complaint in &complaints {
        println!("WORSE {complaint}");
    }
    println!("{} rows, {} worse, {missing} missing", lines.len(), complaints.len());
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn keep(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Says what is being done, and how long it took.
fn progress<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprint!("{what} ... ");
    let started = Instant::now();
    let result = work().with_context(|| what.to_owned())?;
    eprintln!("{:.1} s", started.elapsed().as_secs_f64());
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_that_differ_are_refused() {
        let row = |instructions| Row { operation: "sync.a".to_owned(), by: SELF.to_owned(), instructions };
        assert!(ensure_same(&[row(4)], &[row(4)]).is_ok());
        let why = ensure_same(&[row(4)], &[row(5)]).unwrap_err().to_string();
        assert!(why.contains("sync.a by tetra took 4 instructions, then sync.a by tetra took 5"), "{why}");
        assert!(ensure_same(&[row(4)], &[row(4), row(4)]).is_err());
    }
}
