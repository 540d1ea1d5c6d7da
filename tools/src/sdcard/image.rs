//! The layout of the card, and the making of an image file.
//!
//! `sfdisk` and mtools make it. The crates were looked at first: `fatfs` has had no release since January 2023 and
//! its maintainer says that he lacks the time, `simple-fatfs` and `hadris-fat` are pre-releases. mtools has been the
//! tool of this trade for thirty years, needs neither root nor a loop device, and being another hand's work makes the
//! reading back by `fat` a true cross-check. A partition table through `mbrman` would save us one of the two tools
//! but not a package: fdisk is on every Debian.
//!
//! The same files give the same bytes (with the same version of mtools, whose name is in the boot sector): ids are
//! fixed, and mtools takes every time stamp from `SOURCE_DATE_EPOCH`.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::content::Content;

/// The size of the image: a power of two as QEMU asks, and room for FAT32's least number of clusters.
pub const SIZE_BYTES: u64 = 64 << 20;
/// Bytes in a sector; SD cards know no other.
pub const SECTOR_BYTES: u64 = 512;
/// First sector of the boot partition: 1 MiB, where every partitioning tool of today aligns the first one.
pub const PARTITION_START: u32 = 2048;
/// Sectors of the boot partition: all that is left.
pub const PARTITION_SECTORS: u32 = (SIZE_BYTES / SECTOR_BYTES) as u32 - PARTITION_START;
/// The MBR's type byte for FAT32 addressed by sector number.
pub const TYPE_FAT32_LBA: u8 = 0x0c;

/// Disk id and volume serial: "TETR". Fixed, so that two runs give the same bytes.
const ID: u32 = 0x5445_5452;
const VOLUME_LABEL: &str = "TETRA";
/// 2026-01-01 00:00 UTC, the time stamp of every file.
const TIME_STAMP: &str = "1767225600";
/// One sector a cluster: with more, 63 MiB would hold too few clusters to be FAT32.
const SECTORS_PER_CLUSTER: u32 = 1;

/// Makes the image `out` with `contents` in its root directory, replacing an older one only when all went well.
///
/// # Errors
/// A tool is missing or fails, or `out` cannot be written.
pub fn make(out: &Path, contents: &[Content]) -> anyhow::Result<()> {
    let dir = match out.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let image = tempfile::Builder::new().prefix(".sdcard").tempfile_in(dir).context("cannot make the image file")?;
    image.as_file().set_len(SIZE_BYTES).context("cannot size the image file")?;

    partition(image.path())?;
    format(image.path())?;
    copy(image.path(), contents)?;

    let file = image.persist(out).with_context(|| format!("cannot write {}", out.display()))?;
    make_readable(&file).with_context(|| format!("cannot set the mode of {}", out.display()))
}

/// Temporary files are private; an image is not.
fn make_readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn partition(image: &Path) -> anyhow::Result<()> {
    let script = format!(
        "label: dos\nlabel-id: {ID:#x}\nunit: sectors\nstart={PARTITION_START}, size={PARTITION_SECTORS}, \
         type={TYPE_FAT32_LBA:x}, bootable\n"
    );
    let mut sfdisk = tool("sfdisk");
    sfdisk.args(["--quiet", "--no-reread", "--no-tell-kernel"]).arg(image);
    run(sfdisk, script.as_bytes())
}

fn format(image: &Path) -> anyhow::Result<()> {
    let mut mformat = tool("mformat");
    mformat.arg("-i").arg(volume(image)).args([
        "-F",
        "-c",
        &SECTORS_PER_CLUSTER.to_string(),
        "-T",
        &PARTITION_SECTORS.to_string(),
        "-H",
        &PARTITION_START.to_string(),
        // The geometry that partition tables pretend to since cylinders lost their meaning.
        "-h",
        "255",
        "-s",
        "63",
        "-N",
        &format!("{ID:08x}"),
        "-v",
        VOLUME_LABEL,
        "::",
    ]);
    run(mformat, &[])
}

fn copy(image: &Path, contents: &[Content]) -> anyhow::Result<()> {
    let staging = tempfile::tempdir().context("cannot make a temporary directory")?;
    let mut mcopy = tool("mcopy");
    mcopy.arg("-i").arg(volume(image));
    for content in contents {
        let path = staging.path().join(&content.name);
        std::fs::write(&path, &content.bytes).with_context(|| format!("cannot write {}", path.display()))?;
        mcopy.arg(path);
    }
    mcopy.arg("::");
    run(mcopy, &[])
}

/// mtools' name for the volume that begins at the partition's first byte.
fn volume(image: &Path) -> std::ffi::OsString {
    let mut name = image.as_os_str().to_owned();
    name.push(format!("@@{}", u64::from(PARTITION_START) * SECTOR_BYTES));
    name
}

/// A command with nothing of the user's settings in it: locale, time zone and mtools' configuration would show in the
/// image. `/usr/sbin`, where Debian keeps `sfdisk`, is on no ordinary user's path.
fn tool(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env_clear();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command.envs([("LC_ALL", "C"), ("TZ", "UTC"), ("SOURCE_DATE_EPOCH", TIME_STAMP)]);
    command
}

fn run(mut command: Command, input: &[u8]) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{name} is not on this machine: install the packages `mtools` and `fdisk` (sfdisk is in util-linux elsewhere)")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot start {name}")),
    };
    let mut stdin = child.stdin.take().expect("stdin was asked to be a pipe");
    // A tool that ends before it has read everything says why on stderr; that is the better message.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().with_context(|| format!("cannot wait for {name}"))?;
    ensure!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
