//! What must be true of a card's image, one line each.
//!
//! Two kinds of check: that the image holds the files it was made from, byte for byte on a sound volume; and that
//! these files are what a Pi 4 needs, which no copying tool can know (a setting lost from `config.txt` boots nothing
//! and says nothing). Checks that build on a failed one are left out; the failure stands for them.

use std::fmt;

use anyhow::{Context, ensure};

use super::content::Content;
use super::fat::{self, Partition, Volume};
use super::image;

/// Settings without which this kernel does not start or cannot be heard; `boot/config.txt` gives each one's reason.
const NEEDED_SETTINGS: [&str; 6] =
    ["arm_64bit=1", "kernel=kernel8.img", "kernel_address=0x80000", "arm_peri_high=0", "enable_uart=1", "init_uart_clock=48000000"];
/// Old firmware reads no more of a line of `config.txt`; newer stops at 98.
const LONGEST_LINE: usize = 80;

/// Where the firmware puts the kernel, and the low half of its link address.
const LOAD_ADDRESS: u64 = 0x80000;
const HEADER_MAGIC: &[u8] = b"TETRAKRN";
const HEADER_VERSION: u64 = 1;
const DTB_MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];

/// The result of one check.
pub struct Finding {
    what: String,
    /// What was seen, or what is wrong.
    result: Result<String, String>,
}

impl Finding {
    fn new(what: &str, result: anyhow::Result<String>) -> Self {
        Self { what: what.to_owned(), result: result.map_err(|error| format!("{error:#}")) }
    }

    /// Whether what was seen is as it must be.
    pub fn is_ok(&self) -> bool {
        self.result.is_ok()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(seen) => write!(f, "ok    {}: {seen}", self.what),
            Err(wrong) => write!(f, "FAIL  {}: {wrong}", self.what),
        }
    }
}

/// Checks `image` against the files it should hold.
pub fn examine(image: &[u8], contents: &[Content]) -> Vec<Finding> {
    let mut findings = vec![Finding::new("image size", size(image))];
    let partition = boot_partition(image);
    let seen =
        partition.as_ref().map(|partition| format!("one partition, FAT32, {} sectors from sector {}", partition.sectors, partition.start));
    findings.push(Finding::new("partition table", seen.map_err(|error| anyhow::anyhow!("{error:#}"))));
    if let Ok(partition) = partition {
        examine_partition(image, &partition, contents, &mut findings);
    }
    findings
}

/// Whether `image` is a card that a Pi could boot, when the files it was made from are not at hand.
///
/// # Errors
/// Why it is not one.
pub fn is_bootable(image: &[u8]) -> anyhow::Result<()> {
    let partition = boot_partition(image)?;
    let volume = Volume::open(partition.bytes(image)?)?;
    for entry in volume.files()? {
        suitable(&entry.name, &volume.read(&entry)?).with_context(|| entry.name.clone())?;
    }
    Ok(())
}

fn examine_partition(image: &[u8], partition: &Partition, contents: &[Content], findings: &mut Vec<Finding>) {
    let volume = partition.bytes(image).and_then(Volume::open);
    let seen = volume.as_ref().map(|volume| format!("{} clusters, both tables alike, backup boot sector", volume.nr_clusters()));
    findings.push(Finding::new("FAT32 volume", seen.map_err(|error| anyhow::anyhow!("{error:#}"))));
    let Ok(volume) = volume else { return };

    let clusters = volume.check_clusters().map(|()| "each has one owner or is free, as many as stated".to_owned());
    findings.push(Finding::new("clusters", clusters));
    findings.push(Finding::new("directory", directory(&volume, contents)));
    for content in contents {
        findings.push(Finding::new(&content.name, file(&volume, content)));
    }
}

fn size(image: &[u8]) -> anyhow::Result<String> {
    ensure!(image.len().is_power_of_two(), "{} bytes, which is no power of two: QEMU refuses it", image.len());
    ensure!(image.len() as u64 == image::SIZE_BYTES, "{} bytes, want {}", image.len(), image::SIZE_BYTES);
    Ok(format!("{} MiB", image.len() >> 20))
}

fn boot_partition(image: &[u8]) -> anyhow::Result<Partition> {
    let partitions = fat::partitions(image)?;
    ensure!(partitions.len() == 1, "{} partitions, want one", partitions.len());
    let want = Partition { kind: image::TYPE_FAT32_LBA, start: image::PARTITION_START, sectors: image::PARTITION_SECTORS };
    ensure!(partitions[0] == want, "{:?}, want {want:?}", partitions[0]);
    Ok(want)
}

fn directory(volume: &Volume<'_>, contents: &[Content]) -> anyhow::Result<String> {
    let files = volume.files()?;
    for entry in &files {
        ensure!(contents.iter().any(|content| content.name == entry.name), "{} does not belong there", entry.name);
        let same_name = files.iter().filter(|other| other.name.eq_ignore_ascii_case(&entry.name));
        ensure!(same_name.count() == 1, "{} is there twice", entry.name);
    }
    Ok(format!("{} files", files.len()))
}

fn file(volume: &Volume<'_>, content: &Content) -> anyhow::Result<String> {
    let entry = volume.files()?.into_iter().find(|entry| entry.name == content.name).context("missing")?;
    let bytes = volume.read(&entry)?;
    if let Some(at) = bytes.iter().zip(&content.bytes).position(|(ours, theirs)| ours != theirs) {
        anyhow::bail!("differs from its source at byte {at}");
    }
    ensure!(bytes.len() == content.bytes.len(), "{} bytes, its source has {}", bytes.len(), content.bytes.len());
    let what = suitable(&content.name, &bytes)?;
    Ok(format!("{} bytes as in its source, {what}", bytes.len()))
}

/// Whether a file is what its name promises; says what was looked at.
fn suitable(name: &str, bytes: &[u8]) -> anyhow::Result<&'static str> {
    ensure!(!bytes.is_empty(), "empty");
    match name {
        "start4.elf" => start4(bytes),
        "config.txt" => config(bytes),
        "cmdline.txt" => cmdline(bytes),
        "kernel8.img" => kernel(bytes),
        "bcm2711-rpi-4-b.dtb" => device_tree(bytes),
        _ => Ok("nothing known of its insides"),
    }
}

fn start4(bytes: &[u8]) -> anyhow::Result<&'static str> {
    ensure!(bytes.starts_with(b"\x7fELF"), "no ELF file");
    Ok("an ELF file")
}

fn config(bytes: &[u8]) -> anyhow::Result<&'static str> {
    let text = std::str::from_utf8(bytes).context("no text")?;
    let settings: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for line in text.lines() {
        ensure!(line.len() <= LONGEST_LINE, "old firmware reads only {LONGEST_LINE} characters of `{line}`");
    }
    for setting in &settings {
        let is_filter = setting.starts_with('[') && setting.ends_with(']');
        ensure!(is_filter || !setting.contains(' '), "the firmware silently drops settings with blanks: `{setting}`");
    }
    for needed in NEEDED_SETTINGS {
        ensure!(settings.contains(&needed), "`{needed}` is not there");
        let key = &needed[..=needed.find('=').expect("every needed setting has a value")];
        let nr = settings.iter().filter(|setting| setting.starts_with(key)).count();
        ensure!(nr == 1, "`{key}` is set {nr} times");
    }
    Ok("the settings that the kernel needs")
}

fn cmdline(bytes: &[u8]) -> anyhow::Result<&'static str> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let is_line = line.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    ensure!(is_line, "not one line of ASCII: the firmware passes on the first only");
    Ok("one line")
}

fn kernel(bytes: &[u8]) -> anyhow::Result<&'static str> {
    let field = |at: usize| bytes.get(at..at + 8).map(|raw| u64::from_le_bytes(raw.try_into().expect("eight bytes")));
    ensure!(bytes.get(0x30..0x38) == Some(HEADER_MAGIC), "no TETRAKRN header: not the raw image of this kernel");
    ensure!(field(0x28) == Some(HEADER_VERSION), "header of a version that this tool does not know");
    // A load address that disagrees shows as garbage at the first absolute jump, long before there is a console.
    let link_address = field(0x20).unwrap_or_default();
    ensure!(link_address & 0xffff_ffff & !0x8000_0000 == LOAD_ADDRESS, "linked for {link_address:#x}, not for {LOAD_ADDRESS:#x}");
    let (offset, length) = (field(0x10).unwrap_or_default(), field(0x18).unwrap_or_default());
    let symbols_end = offset.checked_add(length).context("symbol table ends beyond all addresses")?;
    ensure!(symbols_end <= bytes.len() as u64, "symbol table ends at {symbols_end}, the file at {}", bytes.len());
    // raspberrypi/firmware#1175: a start4.elf of 2019 did not boot files of other lengths.
    ensure!(bytes.len().is_multiple_of(4), "{} bytes, no multiple of 4: some firmware does not boot that", bytes.len());
    Ok("header, load address and symbol table agree")
}

fn device_tree(bytes: &[u8]) -> anyhow::Result<&'static str> {
    ensure!(bytes.starts_with(&DTB_MAGIC), "no device tree: its magic is not d00dfeed");
    let size = bytes.get(4..8).map(|raw| u32::from_be_bytes(raw.try_into().expect("four bytes")));
    ensure!(size == Some(bytes.len() as u32), "says that it has {size:?} bytes, has {}", bytes.len());
    let is_pi4 = bytes.windows(22).any(|window| window == b"raspberrypi,4-model-b\0");
    ensure!(is_pi4, "of another board than the Pi 4 B");
    Ok("a device tree of the Pi 4 B")
}

#[cfg(test)]
mod tests;
