//! `make flash DEVICE=/dev/sdX`: the image onto a card, and onto nothing else.
//!
//! The danger is a typing mistake that costs somebody a disk. So the device must prove that it is a card (`disk`
//! decides, from what the kernel says in /sys and /proc), the user must type its name after having seen its model and
//! size, what was decided is looked at again just before the first write, and the kernel is asked for the device
//! exclusively, which it refuses while anything uses it. What was written is read back past the page cache.

mod disk;
mod write;

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};

use crate::sdcard::check;
use crate::workspace::{self, variable};
use disk::{Disk, Host, Node};

const USAGE: &str = "\
usage: flash [options] [DEVICE]   write the SD card image to DEVICE, for example /dev/sdb or /dev/mmcblk0; without it
                                  to the variable DEVICE's

  --image IMAGE         the image; without it the variable IMAGE, else target/sdcard.img
  --yes-i-mean DEVICE   do not ask; DEVICE once more, so that scripts say what they mean (or the variable YES)";

/// Runs `tetra-tools flash`.
///
/// # Errors
/// Bad arguments; a device that is refused, with the reason; a write or a comparison that failed.
pub fn main(args: &[String]) -> anyhow::Result<ExitCode> {
    let Some(options) = Options::parse(args)? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let image =
        std::fs::read(&options.image).with_context(|| format!("cannot read {}: make it with `make image`", options.image.display()))?;
    let is_card = check::is_bootable(&image);
    is_card.with_context(|| format!("{} would not boot a Pi", options.image.display()))?;

    let host = Host::new("/");
    let disk = look_at(&host, &options.device, image.len() as u64)?;
    println!("{}\n  {}", options.device.display(), disk.describe());
    println!("Everything on it will be lost.");
    match &options.meant {
        Some(meant) => ensure!(*meant == options.device, "--yes-i-mean {} is another device", meant.display()),
        None => confirm(&disk)?,
    }

    // Cards are pulled and plugged while people think about a question.
    let again = look_at(&host, &options.device, image.len() as u64)?;
    ensure!(again == disk, "{} is no longer the disk it was a moment ago", options.device.display());
    write::flash(&options.device, &image)?;
    println!(
        "Written and read back: {} is a Tetra card. Take it out, put it into the Pi 4, connect the serial cable \
         (docs/real-hardware.md) and switch on.",
        disk.name()
    );
    Ok(ExitCode::SUCCESS)
}

fn look_at(host: &Host, device: &Path, image_bytes: u64) -> anyhow::Result<Disk> {
    let node = Node::of(device)?;
    disk::examine(host, node, image_bytes).with_context(|| format!("{} is refused", device.display()))
}

/// Has the user type the disk's name.
fn confirm(disk: &Disk) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("no terminal to ask at: pass --yes-i-mean DEVICE (make flash DEVICE=... YES=DEVICE) to go ahead without");
    }
    print!("Type {} to write to it, anything else to leave it alone: ", disk.name());
    std::io::stdout().flush().context("cannot write to the terminal")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("cannot read from the terminal")?;
    ensure!(is_confirmed(&answer, disk.name()), "nothing was written");
    Ok(())
}

/// "yes" would be typed without reading; the disk's name is not.
fn is_confirmed(answer: &str, name: &str) -> bool {
    answer.trim() == name
}

struct Options {
    device: PathBuf,
    image: PathBuf,
    meant: Option<PathBuf>,
}

impl Options {
    /// Reads the command line; `None` if it asks for help.
    fn parse(args: &[String]) -> anyhow::Result<Option<Self>> {
        use lexopt::Arg::{Long, Short, Value};

        let mut device = None;
        let mut image = variable("IMAGE").map_or_else(|| workspace::target().join("sdcard.img"), PathBuf::from);
        let mut meant = variable("YES").map(PathBuf::from);
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("image") => image = parser.value()?.into(),
                Long("yes-i-mean") => meant = Some(parser.value()?.into()),
                Long("help") | Short('h') => return Ok(None),
                Value(name) if device.is_none() => device = Some(PathBuf::from(name)),
                Long(_) | Short(_) | Value(_) => bail!("{}\n\n{USAGE}", arg.unexpected()),
            }
        }
        let device = device.filter(|device| !device.as_os_str().is_empty());
        let device = device.or_else(|| variable("DEVICE").map(PathBuf::from));
        let device = device.with_context(|| format!("which device? (make flash DEVICE=/dev/sdX)\n\n{USAGE}"))?;
        Ok(Some(Self { device, image, meant }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> anyhow::Result<Option<Options>> {
        Options::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn asks_which_device() {
        for args in [&[][..], &[""], &["--image", "x"]] {
            let error = parse(args).err().expect("there is no device");
            assert!(error.to_string().contains("DEVICE=/dev/sdX"), "{error}");
        }
        assert!(parse(&["/dev/sdb", "/dev/sdc"]).is_err());
        assert_eq!(parse(&["/dev/sdb"]).unwrap().unwrap().device, Path::new("/dev/sdb"));
    }

    #[test]
    fn takes_the_disks_name_for_a_yes_and_nothing_else() {
        assert!(is_confirmed("sdb\n", "sdb"));
        for answer in ["", "\n", "y\n", "yes\n", "sdb1\n", "/dev/sdb\n", "sda\n"] {
            assert!(!is_confirmed(answer, "sdb"), "{answer:?}");
        }
    }
}
