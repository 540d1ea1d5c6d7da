//! herd7: finding it, setting it up, running it, reading what it says.
//!
//! Set-up takes Debian's packages of it with the C library they want, unpacks them into the build folder and starts herd7 through that
//! library's own loader, so that the system is not touched and its version does not matter. Where that cannot be done the caller skips,
//! loudly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// Debian's packages: the program, and what it is linked with.
const PACKAGES: &[&str] = &["herdtools7", "libc6", "libgmp10"];
/// The suite that has them.
const SUITE: &str = "sid";
/// Seconds for one test, while other things are built on the same cores; a test that needs a third of it on a quiet machine is to be split.
const LIMIT_S: &str = "180";

/// How to start herd7.
#[derive(Clone, Debug)]
pub struct Herd {
    program: PathBuf,
    arguments: Vec<String>,
}

/// The final states of a test: registers and locations by name.
pub type State = BTreeMap<String, String>;

/// What herd7 found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Each state that some execution ends in.
    pub states: Vec<State>,
    /// Executions that the model allows.
    pub executions: u64,
}

impl Herd {
    /// Finds herd7: `HERD7`, then the PATH, then the build folder; else sets it up there. `None` with a word on why if all fails.
    pub fn find() -> Result<Self, String> {
        let named = workspace::program("HERD7", "herd7");
        let herd = Self { program: named.into(), arguments: Vec::new() };
        if herd.works() {
            return Ok(herd);
        }
        let folder = workspace::target().join("herd7");
        let herd = Self::unpacked(&folder);
        if herd.works() {
            return Ok(herd);
        }
        eprintln!("verify: no herd7; unpacking Debian's into {}", folder.display());
        set_up(&folder).map_err(|error| format!("{error:#}"))?;
        if herd.works() { Ok(herd) } else { Err("the unpacked herd7 does not start".to_owned()) }
    }

    /// herd7 as [`set_up`] lays it.
    fn unpacked(folder: &Path) -> Self {
        let libraries = folder.join("usr/lib/x86_64-linux-gnu");
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let arguments = vec![
            "--library-path".to_owned(),
            text(libraries.clone()),
            text(folder.join("usr/bin/herd7")),
            "-set-libdir".to_owned(),
            text(folder.join("usr/share/herdtools7/herd")),
        ];
        Self { program: libraries.join("ld-linux-x86-64.so.2"), arguments }
    }

    /// Its version, if it starts.
    pub fn version(&self) -> Option<String> {
        let output = Command::new(&self.program).args(&self.arguments).arg("-version").stderr(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    fn works(&self) -> bool {
        self.version().is_some()
    }

    /// Runs the test in `file`; what it says is for [`parse`].
    pub fn run(&self, file: &Path) -> Result<String> {
        let output = Command::new("timeout")
            .arg(LIMIT_S)
            .arg(&self.program)
            .args(&self.arguments)
            .args(["-optace", "true"])
            .arg(file)
            .output()
            .context("cannot start herd7")?;
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.code() != Some(124), "no verdict in {LIMIT_S} s: {}", file.display());
        ensure!(output.status.success() && errors.trim().is_empty(), "herd7 refuses {}: {}", file.display(), errors.trim());
        Ok(text.into_owned())
    }
}

/// Downloads and unpacks.
fn set_up(folder: &Path) -> Result<()> {
    let downloads = folder.join("apt");
    for part in ["lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(downloads.join(part))?;
    }
    let sources = downloads.join("sources.list");
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    std::fs::write(&sources, format!("deb [signed-by={keys}] http://deb.debian.org/debian {SUITE} main\n"))?;

    let apt = |arguments: &[&str]| {
        let option = |name: &str, path: &Path| format!("{name}={}", path.display());
        let mut command = Command::new("apt-get");
        command.current_dir(&downloads).stdout(Stdio::null()).stderr(Stdio::null());
        command.args(["-q", "-o", &option("Dir::Etc::sourcelist", &sources), "-o", "Dir::Etc::sourceparts=/dev/null"]);
        command.args(["-o", &option("Dir::State::lists", &downloads.join("lists")), "-o", &option("Dir::Cache", &downloads.join("cache"))]);
        command.args(["-o", "Acquire::Languages=none"]).args(arguments);
        workspace::run(&mut command)
    };
    apt(&["update"])?;
    apt(&[&["download"], PACKAGES].concat())?;

    let mut unpacked = 0;
    for entry in std::fs::read_dir(&downloads)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            workspace::run(Command::new("dpkg").arg("-x").arg(&path).arg(folder))?;
            unpacked += 1;
        }
    }
    ensure!(unpacked >= PACKAGES.len(), "only {unpacked} packages came");
    Ok(std::fs::remove_dir_all(&downloads)?)
}

/// Reads herd7's report.
///
/// # Errors
/// It is none.
pub fn parse(text: &str) -> Result<Outcome> {
    let mut lines = text.lines();
    let count = lines.by_ref().find_map(|line| line.strip_prefix("States ")).context("no states")?;
    let states: Vec<State> = lines.by_ref().take(count.trim().parse()?).map(state).collect::<Result<_>>()?;
    let numbers = text.lines().find_map(|line| line.strip_prefix("Positive: ")).context("no count of executions")?;
    let (positive, negative) = numbers.split_once(" Negative: ").context("count of executions")?;
    Ok(Outcome { states, executions: positive.parse::<u64>()? + negative.trim().parse::<u64>()? })
}

/// Reads `0:X0=1; x=0;`.
fn state(line: &str) -> Result<State> {
    let pairs = line.split(';').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => Ok((name.trim_matches(['[', ']']).to_owned(), value.to_owned())),
            None => bail!("state `{pair}`"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let text = "Test SB Allowed\nStates 2\n0:X0=0; 1:X0=1; [x]=1;\n0:X0=1; 1:X0=1; [x]=1;\nOk\nWitnesses\nPositive: 5 Negative: 3\nObservation SB Sometimes 5 3\n";
        let outcome = parse(text).unwrap();
        assert_eq!((outcome.states.len(), outcome.executions), (2, 8));
        assert_eq!(outcome.states[0]["x"], "1");
        assert!(parse("Test SB Allowed\n").is_err());
    }
}
