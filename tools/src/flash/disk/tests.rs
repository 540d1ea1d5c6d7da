//! Each refusal over a /sys tree made for it; and the cards that must not be refused.

use std::os::unix::fs::symlink;

use super::*;

const IMAGE_BYTES: u64 = 64 << 20;
const CARD_SECTORS: u64 = 62_333_952;
const USB: &str = "devices/pci0000:00/0000:00:14.0/usb1/1-2";

/// A /sys and a /proc of the test's own.
struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    /// A machine that runs from an NVMe disk and has a card with one partition in a USB reader.
    fn new() -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap() };
        tree.add_disk("devices/pci0000:00/0000:00:1d.0/nvme/nvme0", "nvme0n1", "259:0", 1_000_215_216);
        tree.add_partition("devices/pci0000:00/0000:00:1d.0/nvme/nvme0/block/nvme0n1", "nvme0n1p2", "259:2");
        tree.add_disk(&format!("{USB}/host0"), "sdb", "8:16", CARD_SECTORS);
        tree.add_partition(&format!("{USB}/host0/block/sdb"), "sdb1", "8:17");
        tree.write(&format!("sys/{USB}/host0/block/sdb/device/vendor"), "Generic \n");
        tree.write(&format!("sys/{USB}/host0/block/sdb/device/model"), "Card Reader     \n");
        tree.write(&format!("sys/{USB}/bDeviceClass"), "00\n");
        tree.write(&format!("sys/{USB}/removable"), "removable\n");
        tree.mount("259:2", "/", "/dev/nvme0n1p2");
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn link(&self, target: &str, link: &str) {
        let link = self.path(link);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(self.path(target), link).unwrap();
    }

    fn add_device(&self, dir: &str, name: &str, number: &str) {
        self.write(&format!("sys/{dir}/dev"), &format!("{number}\n"));
        self.link(&format!("sys/{dir}"), &format!("sys/dev/block/{number}"));
        self.link(&format!("sys/{dir}"), &format!("sys/class/block/{name}"));
    }

    fn add_disk(&self, parent: &str, name: &str, number: &str, sectors: u64) {
        let dir = format!("{parent}/block/{name}");
        self.add_device(&dir, name, number);
        for (attribute, value) in [("size", sectors), ("removable", 0), ("ro", 0)] {
            self.write(&format!("sys/{dir}/{attribute}"), &format!("{value}\n"));
        }
    }

    fn add_partition(&self, disk: &str, name: &str, number: &str) {
        self.add_device(&format!("{disk}/{name}"), name, number);
        self.write(&format!("sys/{disk}/{name}/partition"), "1\n");
    }

    fn mount(&self, number: &str, point: &str, source: &str) {
        let path = self.path("proc/self/mountinfo");
        let before = std::fs::read_to_string(path).unwrap_or_default();
        let line = format!("22 1 {number} / {point} rw,relatime shared:1 - ext4 {source} rw\n");
        self.write("proc/self/mountinfo", &(before + &line));
    }

    fn card(&self, attribute: &str, value: &str) {
        self.write(&format!("sys/{USB}/host0/block/sdb/{attribute}"), value);
    }

    fn examine(&self, major: u32, minor: u32) -> anyhow::Result<Disk> {
        examine(&Host::new(self.dir.path()), Node::Block { major, minor }, IMAGE_BYTES)
    }

    #[track_caller]
    fn assert_refused(&self, major: u32, minor: u32, why: &str) {
        let error = self.examine(major, minor).expect_err("must be refused");
        assert!(format!("{error:#}").contains(why), "want `{why}`, got `{error:#}`");
    }
}

#[test]
fn takes_a_card_in_a_usb_reader_and_names_it() {
    let disk = Tree::new().examine(8, 16).unwrap();
    assert_eq!(disk.name(), "sdb");
    assert_eq!(disk.describe(), "Generic Card Reader, 31.9 GB, USB");
}

#[test]
fn takes_a_card_in_a_slot() {
    let tree = Tree::new();
    let host = "devices/platform/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa";
    tree.add_disk(host, "mmcblk0", "179:0", CARD_SECTORS);
    tree.write(&format!("sys/{host}/block/mmcblk0/device/type"), "SD\n");
    tree.write(&format!("sys/{host}/block/mmcblk0/device/name"), "SC32G\n");
    assert_eq!(tree.examine(179, 0).unwrap().describe(), "SC32G, 31.9 GB, SD card slot");

    tree.write(&format!("sys/{host}/block/mmcblk0/device/type"), "MMC\n");
    tree.assert_refused(179, 0, "built in, not an SD card");
}

#[test]
fn takes_what_calls_itself_removable() {
    let tree = Tree::new();
    tree.add_disk("devices/pci0000:00/ata1/host1", "sdc", "8:32", CARD_SECTORS);
    tree.assert_refused(8, 32, "neither removable nor on USB nor an SD card");
    tree.write("sys/devices/pci0000:00/ata1/host1/block/sdc/removable", "1\n");
    assert_eq!(tree.examine(8, 32).unwrap().describe(), "unknown model, 31.9 GB, removable");
}

#[test]
fn refuses_what_is_no_block_device() {
    let error = examine(&Host::new(Tree::new().dir.path()), Node::Other, IMAGE_BYTES).unwrap_err();
    assert!(error.to_string().contains("not a block device"), "{error}");
    assert_eq!(Node::of(Path::new("/dev/null")).unwrap(), Node::Other);
    assert!(Node::of(Path::new("/dev/there-is-none")).is_err());
    Tree::new().assert_refused(8, 99, "knows no block device 8:99");
}

#[test]
fn refuses_a_partition_and_names_its_disk() {
    Tree::new().assert_refused(8, 17, "a partition; the card as a whole is /dev/sdb");
}

#[test]
fn refuses_loop_ram_and_mapped_devices() {
    let tree = Tree::new();
    tree.add_disk("devices/virtual", "loop0", "7:0", CARD_SECTORS);
    tree.write("sys/devices/virtual/block/loop0/removable", "1\n");
    tree.assert_refused(7, 0, "no disk of its own");
}

#[test]
fn refuses_a_mounted_disk_by_number_and_by_name() {
    let tree = Tree::new();
    tree.mount("8:17", "/media/me/CARD", "/dev/sdb1");
    tree.assert_refused(8, 16, "sdb1 is mounted at /media/me/CARD");

    let tree = Tree::new();
    tree.mount("0:41", "/mnt/btrfs", "/dev/sdb1");
    tree.assert_refused(8, 16, "sdb1 is mounted at /mnt/btrfs");

    let tree = Tree::new();
    tree.mount("8:16", "/mnt/whole", "/dev/disk/by-id/usb-card");
    tree.assert_refused(8, 16, "sdb is mounted at /mnt/whole");
}

#[test]
fn refuses_swap_and_holders() {
    let tree = Tree::new();
    tree.write("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/sdb1 partition 1048572 0 -2\n");
    tree.assert_refused(8, 16, "sdb1 is in use as swap");

    let tree = Tree::new();
    tree.write(&format!("sys/{USB}/host0/block/sdb/sdb1/holders/dm-0"), "");
    tree.assert_refused(8, 16, "sdb1 is in use by dm-0");

    let tree = Tree::new();
    tree.write(&format!("sys/{USB}/host0/block/sdb/holders/md127"), "");
    tree.assert_refused(8, 16, "sdb is in use by md127");
}

#[test]
fn refuses_the_system_disk_though_it_is_on_usb() {
    Tree::new().assert_refused(259, 0, "this system runs from it");

    let tree = Tree::new();
    tree.mount("8:17", "/boot/firmware", "/dev/sdb1");
    tree.assert_refused(8, 16, "this system runs from it");
}

#[test]
fn refuses_the_system_disk_under_encryption_and_lvm() {
    let tree = Tree::new();
    tree.add_disk("devices/virtual", "dm-0", "253:0", CARD_SECTORS);
    tree.add_disk("devices/virtual", "dm-1", "253:1", CARD_SECTORS);
    tree.link("sys/devices/virtual/block/dm-0", "sys/devices/virtual/block/dm-1/slaves/dm-0");
    tree.link(&format!("sys/{USB}/host0/block/sdb/sdb1"), "sys/devices/virtual/block/dm-0/slaves/sdb1");
    tree.mount("253:1", "/home", "/dev/mapper/home");
    tree.assert_refused(8, 16, "this system runs from it");
}

#[test]
fn refuses_a_usb_disk_that_is_built_in() {
    let tree = Tree::new();
    tree.write(&format!("sys/{USB}/removable"), "fixed\n");
    tree.assert_refused(8, 16, "a USB disk that is built in");
    tree.card("removable", "1\n"); // A card reader inside the case, though, holds cards.
    tree.examine(8, 16).unwrap();
}

#[test]
fn refuses_an_empty_a_protected_and_a_small_card() {
    let tree = Tree::new();
    tree.card("size", "0\n");
    tree.assert_refused(8, 16, "no card in it");
    tree.card("size", "131071\n");
    tree.assert_refused(8, 16, "too few for an image of 67108864");
    tree.card("size", "131072\n");
    tree.examine(8, 16).unwrap();
    tree.card("ro", "1\n");
    tree.assert_refused(8, 16, "write-protected");
}
