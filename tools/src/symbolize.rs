//! `make symbolize`: a pasted panic or oops report with file and line beneath each address of code.
//!
//! The kernel prints names and offsets from its embedded table, which is enough to see what happened. Where in a
//! function, and through which inlined ones, only the ELF's debug information knows; that stays on the host. `report`
//! finds the addresses and says which are return addresses, `elf` looks them up. The report is passed through whole,
//! so that what comes out can replace it in a bug report.

mod elf;
mod report;

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use elf::Elf;

use crate::workspace::{self, variable};

const USAGE: &str = "\
usage: symbolize [--elf ELF] [FILE]   FILE, or what is pasted on standard input, with file:line beneath addresses

  --elf ELF   the kernel that wrote the report; without it the variable ELF, else the kernel in target/ whose build id
              the report names, else the one built last";

/// Runs `tetra-tools symbolize`.
///
/// # Errors
/// Bad arguments, no ELF, or no report. A report in which no address of the ELF is found is exit status 1.
pub fn main(args: &[String]) -> anyhow::Result<ExitCode> {
    let Some(options) = Options::parse(args)? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let text = options.report()?;
    let path = match &options.elf {
        Some(elf) => elf.clone(),
        None => choose(&built_elfs(&workspace::target()), report::build(&text).as_deref())?,
    };
    let elf = Elf::open(&path)?;
    let warning = report::build_warning(&text, elf.build_id()).map(|warning| format!("warning: {warning}\n"));
    let annotated = report::annotate(&text, &elf);
    let head = format!("kernel: {}\n{}", path.display(), warning.unwrap_or_default());
    std::io::stdout().write_all((head + &annotated.text).as_bytes()).context("cannot write to standard output")?;
    if annotated.nr_found == 0 {
        eprintln!("no address of code of {} is in the report", path.display());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The ELFs of kernels in the build folder, newest first.
fn built_elfs(target: &Path) -> Vec<PathBuf> {
    let list = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = list(target).flat_map(|dir| list(&dir).collect::<Vec<_>>());
    let mut elfs: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "elf")).collect();
    elfs.sort_by_key(|path| std::cmp::Reverse(path.metadata().and_then(|data| data.modified()).ok()));
    elfs
}

/// The ELF of `build`, else the first: `make qemu`, `make test` and `make image` each build a kernel of their own.
fn choose(elfs: &[PathBuf], build: Option<&str>) -> anyhow::Result<PathBuf> {
    let is_it = |path: &&PathBuf| build.is_some() && elf::build_id_of(path).as_deref() == build;
    let chosen = elfs.iter().find(is_it).or(elfs.first());
    chosen.cloned().context("no kernel was built in target/: name the one that wrote the report with ELF=")
}

struct Options {
    elf: Option<PathBuf>,
    file: Option<PathBuf>,
}

impl Options {
    /// Reads the command line; `None` if it asks for help.
    fn parse(args: &[String]) -> anyhow::Result<Option<Self>> {
        use lexopt::Arg::{Long, Short, Value};

        let mut options = Self { elf: variable("ELF").map(PathBuf::from), file: None };
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("elf") => options.elf = Some(parser.value()?.into()),
                Long("help") | Short('h') => return Ok(None),
                Value(name) if options.file.is_none() => options.file = Some(name.into()),
                Long(_) | Short(_) | Value(_) => bail!("{}\n\n{USAGE}", arg.unexpected()),
            }
        }
        Ok(Some(options))
    }

    /// The report's text; a serial console's log may hold bytes that are no UTF-8.
    fn report(&self) -> anyhow::Result<String> {
        let mut bytes = Vec::new();
        match self.file.as_ref().filter(|file| file.as_os_str() != "-") {
            Some(file) => bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
            None => {
                if std::io::stdin().is_terminal() {
                    eprintln!("Paste the report, then press Enter and Ctrl-D.");
                }
                std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_kernel_that_the_report_names_else_the_newest() {
        let target = tempfile::tempdir().unwrap();
        for folder in ["qemu", "image"] {
            std::fs::create_dir(target.path().join(folder)).unwrap();
        }
        let (own, other) = (target.path().join("qemu/kernel8.elf"), target.path().join("image/kernel8.elf"));
        std::fs::copy(std::env::current_exe().unwrap(), &own).unwrap();
        std::fs::write(&other, "not even an ELF").unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        std::fs::File::options().write(true).open(&other).unwrap().set_modified(later).unwrap();

        let elfs = built_elfs(target.path());
        assert_eq!(elfs, [other.clone(), own.clone()]);
        assert_eq!(choose(&elfs, Some("0123456789abcdef")).unwrap(), other);
        assert_eq!(choose(&elfs, None).unwrap(), other);
        // The host's linker may be one that writes no build id.
        if let Some(build) = elf::build_id_of(&own) {
            assert_eq!(choose(&elfs, Some(&build)).unwrap(), own);
        }
        assert!(choose(&[], None).unwrap_err().to_string().contains("ELF="));
    }
}
