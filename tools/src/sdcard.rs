//! The SD card image: made by `make image`, read back before anyone trusts it.
//!
//! One MBR partition with FAT32 is all that the boot ROM, the EEPROM loader and `start4.elf` want to see. The image
//! is small, a power of two in size (QEMU refuses others), and the same bytes come out of the same files, so a card
//! that misbehaves can be compared with the build it claims to be.
//!
//! `firmware` finds the files that are not ours, `image` lays out the card, `fat` reads a FAT32 volume strictly and
//! `check` says what is wrong with an image. Sources: raspberrypi.com, "config.txt"; raspberrypi.com, "Raspberry Pi
//! boot EEPROM".

pub mod check;
mod content;
mod fat;
mod firmware;
mod image;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use check::Finding;
use content::Content;

use crate::kernel::{self, Log};
use crate::workspace::{self, variable};

const USAGE: &str = "\
usage: sdcard [options]                make the image, then read it back
       sdcard [options] --check IMAGE  only read IMAGE back; one line a check, exit status 1 if one fails

  --out IMAGE       where the image goes; without it the variable IMAGE, else target/sdcard.img
  --kernel FILE     the raw kernel image; without it the kernel is built, or with --check the one built last is taken
  --boot DIR        config.txt and cmdline.txt (boot)
  --firmware DIR    start4.elf, fixup4.dat and bcm2711-rpi-4-b.dtb; without it the variable FIRMWARE_DIR, else the
                    distribution's packages, fetched once and kept in target/firmware
  --refresh         fetch the firmware again, though some is kept";

/// The folder in target/ for the kernel of the card.
const KERNEL_FOLDER: &str = "image";

/// Runs `tetra-tools sdcard`.
///
/// # Errors
/// Bad arguments, files that are not there, tools that fail. An image that fails its checks is no error but exit
/// status 1, after every check has been printed.
pub fn main(args: &[String]) -> anyhow::Result<ExitCode> {
    let Some(options) = Options::parse(args)? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let contents = options.contents()?;
    let image = match &options.check {
        Some(image) => image,
        None => {
            image::make(&options.out, &contents)?;
            println!("made {} ({} MiB)", options.out.display(), image::SIZE_BYTES >> 20);
            &options.out
        }
    };
    let bytes = std::fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    Ok(report(&check::examine(&bytes, &contents)))
}

/// Sees to it that the firmware files are in their cache: tests read the Pi's device tree among them.
///
/// # Errors
/// As for making an image.
pub fn fetch_firmware() -> anyhow::Result<()> {
    if variable("FIRMWARE_DIR").is_none() {
        firmware::from_packages(&workspace::target().join("firmware"), false)?;
    }
    Ok(())
}

/// Prints one line a check, and a last one that says how it went.
fn report(findings: &[Finding]) -> ExitCode {
    for finding in findings {
        println!("{finding}");
    }
    let failed = findings.iter().filter(|finding| !finding.is_ok()).count();
    if failed == 0 {
        println!("all {} checks of the image are ok", findings.len());
        return ExitCode::SUCCESS;
    }
    println!("{failed} of {} checks of the image FAILED", findings.len());
    ExitCode::FAILURE
}

struct Options {
    out: PathBuf,
    check: Option<PathBuf>,
    kernel: Option<PathBuf>,
    boot: PathBuf,
    firmware: Option<PathBuf>,
    refresh: bool,
}

impl Options {
    /// Reads the Makefile's variables and the command line; `None` if it asks for help.
    fn parse(args: &[String]) -> anyhow::Result<Option<Self>> {
        use lexopt::Arg::{Long, Short, Value};

        let mut options = Self {
            out: variable("IMAGE").map_or_else(|| workspace::target().join("sdcard.img"), PathBuf::from),
            check: None,
            kernel: None,
            boot: workspace::root().join("boot"),
            firmware: variable("FIRMWARE_DIR").map(PathBuf::from),
            refresh: false,
        };
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("out") => options.out = parser.value()?.into(),
                Long("check") => options.check = Some(parser.value()?.into()),
                Long("kernel") => options.kernel = Some(parser.value()?.into()),
                Long("boot") => options.boot = parser.value()?.into(),
                Long("firmware") => options.firmware = Some(parser.value()?.into()),
                Long("refresh") => options.refresh = true,
                Long("help") | Short('h') => return Ok(None),
                Long(_) | Short(_) | Value(_) => bail!("{}\n\n{USAGE}", arg.unexpected()),
            }
        }
        Ok(Some(options))
    }

    /// Reads every file that belongs on the card, in the order in which they are written.
    fn contents(&self) -> anyhow::Result<Vec<Content>> {
        let kernel = Content::from_file("kernel8.img", &self.kernel()?)?;
        let firmware = match &self.firmware {
            Some(dir) => firmware::from_dir(dir)?,
            None => firmware::from_packages(&workspace::target().join("firmware"), self.refresh)?,
        };
        println!("firmware: {}", firmware.origin);
        let mut contents = firmware.contents;
        for name in ["config.txt", "cmdline.txt"] {
            contents.push(Content::from_file(name, &self.boot.join(name))?);
        }
        contents.push(kernel);
        for content in &contents {
            println!("  {}  {} ({} bytes)", content.sha256(), content.name, content.bytes.len());
        }
        Ok(contents)
    }

    /// The kernel's image, built first unless a file is named or an image is only to be checked.
    fn kernel(&self) -> anyhow::Result<PathBuf> {
        match &self.kernel {
            Some(kernel) => Ok(kernel.clone()),
            None if self.check.is_some() => Ok(workspace::target().join(KERNEL_FOLDER).join("kernel8.img")),
            None => {
                let log = Log::from_env()?;
                let built = kernel::build("tetra", Some("kernel8"), &kernel::features(&[], log), kernel::Profile::Release, KERNEL_FOLDER)?;
                Ok(built.into_iter().next().context("no kernel was built")?.image)
            }
        }
    }
}
