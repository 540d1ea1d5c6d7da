//! Builds of kernel images: cargo with the flags that the target needs, then `mkimage`.
//!
//! `core` and `alloc` are built from source, for the Cortex-A72 and with frame pointers, which a stable compiler allows
//! under RUSTC_BOOTSTRAP=1. Host builds never see that variable: some crates switch features on when they find it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{mkimage, workspace};

/// The Rust target of the kernel: no floating point, so none in exception frames.
pub const TARGET: &str = "aarch64-unknown-none-softfloat";

/// A kernel as an ELF for debuggers and as the raw image that machines load.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub name: String,
    pub elf: PathBuf,
    pub image: PathBuf,
}

/// Which log the kernel keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    Text,
    Defmt,
}

impl Log {
    /// Reads `LOG=`.
    pub fn from_env() -> Result<Self> {
        match workspace::variable("LOG").as_deref() {
            None | Some("text") => Ok(Self::Text),
            Some("defmt") => Ok(Self::Defmt),
            Some(other) => bail!("LOG={other}: must be `text` or `defmt`"),
        }
    }
}

/// Cargo features of a build: `base`, those of `FEATURES=`, and what `log` needs.
pub fn features(base: &[&str], log: Log) -> Vec<String> {
    let extra = workspace::variable("FEATURES").unwrap_or_default();
    let mut features: Vec<String> = base.iter().map(|&feature| feature.to_owned()).collect();
    features.extend(extra.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned));
    if log == Log::Defmt {
        features.push("defmt".to_owned());
    }
    features
}

/// How a kernel is built: optimised both ways, with frame pointers and symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Each crate for itself: an edit reaches the prompt in seconds. For `make qemu` and the tests.
    Checked,
    /// The whole image at once: for what is shipped, counted and verified.
    Release,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::Release => "release",
        }
    }
}

/// `cargo SUBCOMMAND` for the kernel's target, with `core` and `alloc` from source.
pub fn cargo(subcommand: &str, profile: Profile) -> Command {
    let mut command = workspace::cargo();
    command.args([subcommand, "--profile", profile.name(), "-Zbuild-std=core,alloc", "--target", TARGET]);
    command.env("RUSTC_BOOTSTRAP", "1");
    // Without this, defmt drops all records below `error` at build time; the kernel has its own level.
    command.env("DEFMT_LOG", "trace");
    if let Some(linker) = workspace::variable("KERNEL_LINKER") {
        command.env("CARGO_TARGET_AARCH64_UNKNOWN_NONE_SOFTFLOAT_LINKER", linker);
    }
    command
}

/// Builds `package` (one binary, or all of them) and puts each kernel into `target/OUT/NAME.elf` and `.img`.
pub fn build(package: &str, bin: Option<&str>, features: &[String], profile: Profile, out: &str) -> Result<Vec<Kernel>> {
    let mut command = cargo("build", profile);
    command.args(["--message-format=json-render-diagnostics", "-p", package]);
    match bin {
        Some(bin) => command.args(["--bin", bin]),
        None => command.arg("--bins"),
    };
    // `tetra/x` rather than `x`: right for the kernel's own package and for those that depend on it.
    command.args(["--features", &features.iter().map(|f| format!("tetra/{f}")).collect::<Vec<_>>().join(",")]);
    if workspace::variable("V").is_some() {
        eprintln!("+ {command:?}");
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the kernel does not build");

    let folder = workspace::target().join(out);
    let mut kernels: Vec<Kernel> = executables(&output.stdout)
        .into_iter()
        .map(|(name, built)| {
            let kernel = Kernel { elf: folder.join(format!("{name}.elf")), image: folder.join(format!("{name}.img")), name };
            publish(&built, &kernel)?;
            Ok(kernel)
        })
        .collect::<Result<_>>()?;
    kernels.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(!kernels.is_empty(), "package {package} has no binary");
    Ok(kernels)
}

/// Copies the ELF that cargo made and makes the image, unless both are there and newer.
fn publish(built: &Path, kernel: &Kernel) -> Result<()> {
    let modified = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    let tools = std::env::current_exe()?;
    let is_current = std::fs::read(built)? == std::fs::read(&kernel.elf).unwrap_or_default()
        && modified(&kernel.image) >= modified(&kernel.elf)
        && modified(&kernel.image) >= modified(&tools);
    if is_current {
        return Ok(());
    }
    if let Some(folder) = kernel.elf.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::copy(built, &kernel.elf).with_context(|| format!("cannot write {}", kernel.elf.display()))?;
    let summary = mkimage::write(&kernel.elf, &kernel.image)?;
    eprintln!("{}: {summary}", kernel.name);
    Ok(())
}

/// Names and paths of the binaries in cargo's messages, which stand one a line.
pub fn executables(messages: &[u8]) -> Vec<(String, PathBuf)> {
    String::from_utf8_lossy(messages)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect()
}

/// Path of the metadata of the library `name` in cargo's messages.
pub fn metadata(messages: &[u8], name: &str) -> Option<PathBuf> {
    String::from_utf8_lossy(messages)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == name)
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|path| path.as_str().map(PathBuf::from))
        .find(|path| path.extension().is_some_and(|extension| extension == "rmeta"))
}

/// `tetra-tools build [FEATURE...] --out DIR`: the kernel image, for targets of the Makefile that only need the files.
pub fn main(args: &[String]) -> Result<ExitCode> {
    let [out, base @ ..] = args else { bail!("usage: build OUT [FEATURE...]") };
    let base: Vec<&str> = base.iter().map(String::as_str).collect();
    let kernels = build("tetra", Some("kernel8"), &features(&base, Log::from_env()?), Profile::Release, out)?;
    for kernel in kernels {
        println!("{}\n{}", kernel.elf.display(), kernel.image.display());
    }
    Ok(ExitCode::SUCCESS)
}
