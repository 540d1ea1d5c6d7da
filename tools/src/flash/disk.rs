//! Whether a device is a card that may be overwritten.
//!
//! Everything is read below a root directory, so that the tests decide over /sys trees of their own. The order of the
//! refusals is that of the messages' use: a partition is told its disk, the system's disk that it is one, before
//! anything is said of mounts. Sources: the kernel's Documentation/ABI/stable/sysfs-block and
//! testing/sysfs-bus-usb, proc_pid_mountinfo(5), proc_swaps(5).

use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// /sys counts in these, whatever the disk's own sectors are.
const SECTOR_BYTES: u64 = 512;
/// Mount points without which there is no system.
const SYSTEM_MOUNTS: [&str; 8] = ["/", "/boot", "/boot/efi", "/boot/firmware", "/usr", "/var", "/home", "/nix"];

/// Where the kernel's view of the devices is read: `/`, or a test's directory.
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// The host whose /sys and /proc are below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }
}

/// What a name in /dev stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A block device, by its numbers.
    Block {
        /// The driver.
        major: u32,
        /// The device among the driver's.
        minor: u32,
    },
    /// Anything else.
    Other,
}

impl Node {
    /// Looks at `device`, following links such as those in /dev/disk/by-id.
    ///
    /// # Errors
    /// There is no such file.
    pub fn of(device: &Path) -> anyhow::Result<Self> {
        let metadata = std::fs::metadata(device).with_context(|| format!("there is no {}", device.display()))?;
        if !metadata.file_type().is_block_device() {
            return Ok(Self::Other);
        }
        let number = metadata.rdev();
        Ok(Self::Block { major: rustix::fs::major(number), minor: rustix::fs::minor(number) })
    }
}

/// A disk that may be overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    name: String,
    model: String,
    bus: &'static str,
    size_bytes: u64,
}

impl Disk {
    /// The kernel's name for it, such as `sdb`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Model, size and bus, for a person to recognise it by.
    pub fn describe(&self) -> String {
        let tenths = self.size_bytes / 100_000_000;
        format!("{}, {}.{} GB, {}", self.model, tenths / 10, tenths % 10, self.bus)
    }
}

/// Decides whether the device may be overwritten with an image of `image_bytes`.
///
/// # Errors
/// Why not.
pub fn examine(host: &Host, node: Node, image_bytes: u64) -> anyhow::Result<Disk> {
    let Node::Block { major, minor } = node else { bail!("it is not a block device") };
    let dir = host.root.join(format!("sys/dev/block/{major}:{minor}"));
    let dir = dir.canonicalize().with_context(|| format!("the kernel knows no block device {major}:{minor}"))?;
    let name = file_name(&dir);
    if dir.join("partition").exists() {
        bail!("it is a partition; the card as a whole is /dev/{}", file_name(dir.parent().unwrap_or(&dir)));
    }
    ensure!(!dir.components().any(|part| part.as_os_str() == "virtual"), "it is no disk of its own but made from something else");

    let disk = Unproven { dir, name };
    ensure!(!system_disks(host).contains(&disk.name), "this system runs from it");
    disk.check_unused(host)?;
    let bus = disk.check_removable()?;
    ensure!(attribute(&disk.dir, "ro") != "1", "it is write-protected (an SD adapter has a switch on its side)");
    let size_bytes = disk.size_bytes();
    ensure!(size_bytes != 0, "there is no card in it");
    ensure!(size_bytes >= image_bytes, "its {size_bytes} bytes are too few for an image of {image_bytes}");
    Ok(Disk { model: disk.model(), name: disk.name, bus, size_bytes })
}

/// A whole disk about which nothing has been decided.
struct Unproven {
    dir: PathBuf,
    name: String,
}

impl Unproven {
    /// The disk's directory and those of its partitions.
    fn dirs(&self) -> Vec<PathBuf> {
        let partitions = entries(&self.dir).into_iter().filter(|dir| dir.join("partition").exists());
        std::iter::once(self.dir.clone()).chain(partitions).collect()
    }

    /// Refuses a disk of which any part is mounted, swapped to or held by another device.
    fn check_unused(&self, host: &Host) -> anyhow::Result<()> {
        let mounts = Mount::all(host);
        let swaps = host.read("proc/swaps");
        for dir in self.dirs() {
            let (name, number) = (file_name(&dir), attribute(&dir, "dev"));
            if let Some(mount) = mounts.iter().find(|mount| mount.is_of(&number, &name)) {
                bail!("{name} is mounted at {}: unmount it first", mount.point);
            }
            let swapped = swaps.lines().filter_map(|line| line.split_whitespace().next());
            ensure!(!swapped.into_iter().any(|device| device == format!("/dev/{name}")), "{name} is in use as swap");
            if let Some(holder) = entries(&dir.join("holders")).first() {
                bail!("{name} is in use by {} (LVM, RAID or encryption)", file_name(holder));
            }
        }
        Ok(())
    }

    /// Refuses what cannot be pulled out; else says what it hangs on.
    ///
    /// The `removable` attribute alone says too little: many USB card readers do not set it, and a laptop's own card
    /// slot is an mmc host, as is the eMMC that is soldered beside it.
    fn check_removable(&self) -> anyhow::Result<&'static str> {
        let is_below = |prefix: &str| {
            let mut parts = self.dir.components().map(|part| part.as_os_str().to_string_lossy());
            parts.any(|part| part.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
        };
        if is_below("mmc") {
            let kind = attribute(&self.dir, "device/type");
            ensure!(kind == "SD", "it is a memory of type {kind:?} that is built in, not an SD card");
            return Ok("SD card slot");
        }
        if is_below("usb") {
            // The port's own word, from the firmware's tables: a reader or a disk inside the case.
            let ports = self.dir.ancestors().filter(|dir| dir.join("bDeviceClass").exists());
            let is_fixed = ports.into_iter().any(|port| attribute(port, "removable") == "fixed");
            ensure!(!is_fixed || attribute(&self.dir, "removable") == "1", "it is a USB disk that is built in");
            return Ok("USB");
        }
        ensure!(attribute(&self.dir, "removable") == "1", "it is a built-in disk: neither removable nor on USB nor an SD card");
        Ok("removable")
    }

    fn size_bytes(&self) -> u64 {
        attribute(&self.dir, "size").parse::<u64>().unwrap_or(0).saturating_mul(SECTOR_BYTES)
    }

    fn model(&self) -> String {
        let words = ["device/vendor", "device/model", "device/name"].map(|name| attribute(&self.dir, name));
        let model = words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ");
        if model.is_empty() { "unknown model".to_owned() } else { model }
    }
}

/// A line of /proc/self/mountinfo.
struct Mount {
    number: String,
    point: String,
    source: String,
}

impl Mount {
    fn all(host: &Host) -> Vec<Self> {
        host.read("proc/self/mountinfo").lines().filter_map(Self::parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(2);
        let number = fields.next()?.to_owned();
        let point = fields.nth(1)?.to_owned();
        Some(Self { number, point, source: after.split(' ').nth(1)?.to_owned() })
    }

    /// Btrfs and overlays show device numbers of their own invention: then the source's name tells.
    fn is_of(&self, number: &str, name: &str) -> bool {
        self.number == number || self.source.strip_prefix("/dev/").is_some_and(|source| source == name)
    }
}

/// The names of the disks under the mounts that make the system, through partitions, LVM, RAID and encryption.
fn system_disks(host: &Host) -> BTreeSet<String> {
    let mut disks = BTreeSet::new();
    for mount in Mount::all(host).iter().filter(|mount| SYSTEM_MOUNTS.contains(&mount.point.as_str())) {
        let by_name = mount.source.strip_prefix("/dev/").map(|name| host.root.join("sys/class/block").join(name));
        let by_number = host.root.join("sys/dev/block").join(&mount.number);
        for dir in by_name.into_iter().chain([by_number]).filter_map(|dir| dir.canonicalize().ok()) {
            collect_disks(&dir, &mut disks);
        }
    }
    disks
}

fn collect_disks(dir: &Path, disks: &mut BTreeSet<String>) {
    let disk = if dir.join("partition").exists() { dir.parent().unwrap_or(dir) } else { dir };
    if !disks.insert(file_name(disk)) {
        return;
    }
    for below in entries(&dir.join("slaves")).iter().filter_map(|link| link.canonicalize().ok()) {
        collect_disks(&below, disks);
    }
}

fn attribute(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap_or_default().trim().to_owned()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
