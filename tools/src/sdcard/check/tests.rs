//! A sound image passes every check; each kind of damage is found by the check that is there for it.

use super::*;

const CONFIG: &str = include_str!("../../../../boot/config.txt");
const CMDLINE: &str = include_str!("../../../../boot/cmdline.txt");
const PARTITION: usize = image::PARTITION_START as usize * image::SECTOR_BYTES as usize;

/// Files that look to the checks like the real ones. The kernel spans many clusters and ends within one.
fn contents() -> Vec<Content> {
    let file = |name: &str, bytes: &[u8]| Content { name: name.to_owned(), bytes: bytes.to_vec() };
    vec![
        file("start4.elf", b"\x7fELF and the rest of it"),
        file("fixup4.dat", &[7; 512]),
        file("bcm2711-rpi-4-b.dtb", &device_tree_like()),
        file("config.txt", CONFIG.as_bytes()),
        file("cmdline.txt", CMDLINE.as_bytes()),
        file("kernel8.img", &kernel_like()),
    ]
}

fn kernel_like() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..70_004u32).map(|n| ((n * 31) >> 3) as u8).collect();
    let mut put = |at: usize, value: u64| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0x10, 60_000);
    put(0x18, 10_000);
    put(0x20, 0xffff_ffff_8008_0000);
    put(0x28, HEADER_VERSION);
    bytes[0x30..0x38].copy_from_slice(HEADER_MAGIC);
    bytes
}

fn device_tree_like() -> Vec<u8> {
    let mut bytes = DTB_MAGIC.to_vec();
    bytes.extend(96u32.to_be_bytes());
    bytes.extend(b"raspberrypi,4-model-b\0");
    bytes.resize(96, 0);
    bytes
}

fn make(contents: &[Content]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("sdcard.img");
    image::make(&out, contents).expect("needs the packages mtools and fdisk");
    std::fs::read(out).unwrap()
}

/// The failed checks, each as its printed line.
fn failures(image: &[u8], contents: &[Content]) -> Vec<String> {
    examine(image, contents).iter().filter(|finding| !finding.is_ok()).map(Finding::to_string).collect()
}

#[track_caller]
fn assert_fails(image: &[u8], contents: &[Content], want: &str) {
    let failures = failures(image, contents);
    assert!(failures.iter().any(|line| line.contains(want)), "want `{want}` among {failures:#?}");
}

fn file_mut<'a>(contents: &'a mut [Content], name: &str) -> &'a mut Vec<u8> {
    &mut contents.iter_mut().find(|content| content.name == name).expect("a file of the card").bytes
}

#[test]
fn a_sound_image_passes_and_is_made_alike_twice() {
    let contents = contents();
    let image = make(&contents);
    assert_eq!(failures(&image, &contents), Vec::<String>::new());
    is_bootable(&image).unwrap();

    std::thread::sleep(std::time::Duration::from_millis(2100)); // FAT counts in steps of two seconds.
    assert!(make(&contents) == image, "two runs gave different bytes");
}

#[test]
fn sfdisk_reads_the_same_partition() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sdcard.img");
    std::fs::write(&path, make(&contents())).unwrap();
    let path_of = std::env::var("PATH").unwrap_or_default();
    let mut sfdisk = std::process::Command::new("sfdisk");
    let output = sfdisk.env("PATH", format!("{path_of}:/usr/sbin:/sbin")).arg("--json").arg(&path).output().unwrap();
    let table: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let partitions = table["partitiontable"]["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 1);
    assert_eq!(partitions[0]["start"], image::PARTITION_START);
    assert_eq!(partitions[0]["size"], image::PARTITION_SECTORS);
    assert_eq!(partitions[0]["type"], "c");
}

#[test]
fn mtools_reads_the_same_files() {
    let (dir, contents) = (tempfile::tempdir().unwrap(), contents());
    let path = dir.path().join("sdcard.img");
    std::fs::write(&path, make(&contents)).unwrap();
    let volume = format!("{}@@{PARTITION}", path.display());
    for content in &contents {
        let name = format!("::{}", content.name);
        let output = std::process::Command::new("mtype").args(["-i", &volume, &name]).output().unwrap();
        assert!(output.stdout == content.bytes, "mtype reads another {}", content.name);
    }
}

#[test]
fn a_truncated_image_fails() {
    let contents = contents();
    let image = make(&contents);
    assert_fails(&image[..image.len() / 2], &contents, "FAIL  image size");
    assert_fails(&image[..image.len() / 2], &contents, "the partition ends at byte");
    assert_fails(&image[..image.len() - 1], &contents, "no power of two");
    assert_fails(&image[..100], &contents, "FAIL  partition table: shorter than one sector");
    assert_fails(&[], &contents, "FAIL  partition table");
}

#[test]
fn a_wrong_partition_table_fails() {
    let contents = contents();
    let mut image = make(&contents);
    image[446 + 4] = 0x83;
    assert_fails(&image, &contents, "FAIL  partition table");
    image[446 + 4] = 0;
    assert_fails(&image, &contents, "0 partitions, want one");
    image[510] = 0;
    assert_fails(&image, &contents, "no boot signature");
}

#[test]
fn a_missing_file_and_a_stranger_fail() {
    let all = contents();
    let image = make(&all[1..]);
    assert_fails(&image, &all, "FAIL  start4.elf: missing");
    assert_fails(&make(&all), &all[1..], "start4.elf does not belong there");
}

#[test]
fn a_changed_kernel_fails() {
    let mut contents = contents();
    let image = make(&contents);
    file_mut(&mut contents, "kernel8.img")[65_000] ^= 1;
    assert_fails(&image, &contents, "FAIL  kernel8.img: differs from its source at byte 65000");
    file_mut(&mut contents, "kernel8.img")[65_000] ^= 1;
    file_mut(&mut contents, "kernel8.img").extend([0; 4]);
    assert_fails(&image, &contents, "70004 bytes, its source has 70008");
}

#[test]
fn a_damaged_volume_fails() {
    let contents = contents();
    let sound = make(&contents);
    let damaged = |at: usize| {
        let mut image = sound.clone();
        image[PARTITION + at] ^= 0xff;
        image
    };
    assert_fails(&damaged(0), &contents, "the backup of the boot sector differs");
    assert_fails(&damaged(32 * 512 + 4 * 40), &contents, "the two tables differ");
    assert_fails(&damaged(512 + 488), &contents, "the information sector says");
    assert_fails(&damaged(13), &contents, "sectors a cluster");
}

#[test]
fn damaged_chains_fail() {
    let contents = contents();
    let sound = make(&contents);
    let table_bytes = u32::from_le_bytes(sound[PARTITION + 36..][..4].try_into().unwrap()) as usize * 512;
    let with_entry = |cluster: usize, next: u32| {
        let mut image = sound.clone();
        for table in [PARTITION + 32 * 512, PARTITION + 32 * 512 + table_bytes] {
            image[table + 4 * cluster..][..4].copy_from_slice(&next.to_le_bytes());
        }
        image
    };
    assert_fails(&with_entry(40, 40), &contents, "goes round in circles");
    assert_fails(&with_entry(40, 1), &contents, "which is no data cluster");
    assert_fails(&with_entry(40, 3), &contents, "has two owners");
    assert_fails(&with_entry(40, 0x0fff_ffff), &contents, "a chain of");
    assert_fails(&with_entry(100_000, 0x0fff_ffff), &contents, "belongs to no file");
}

/// The reader judges, whatever the bytes: it must never panic itself.
#[test]
fn no_damage_makes_the_reader_panic() {
    let contents = contents();
    let mut image = make(&contents);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let root = PARTITION + 32 * 512 + 2 * 993 * 512;
    let places = [(0, 512), (PARTITION, 1024), (PARTITION + 32 * 512, 1024), (root, 1024)];
    for _ in 0..300 {
        let (start, length) = places[random(places.len())];
        let at = start + random(length);
        let kept = std::mem::replace(&mut image[at], random(256) as u8);
        examine(&image, &contents);
        image[at] = kept;
    }
}

/// Makes a file unsuitable.
type Spoil = fn(&mut Vec<u8>);

#[test]
fn unsuitable_files_fail_though_copied_well() {
    let cases: [(&str, Spoil, &str); 9] = [
        ("config.txt", |bytes| drop(bytes.drain(..bytes.len() / 2)), "is not there"),
        ("config.txt", |bytes| bytes.extend(b"kernel_address=0x200000\n"), "is set 2 times"),
        ("config.txt", |bytes| bytes.extend(b"dtoverlay = disable-bt\n"), "drops settings with blanks"),
        ("cmdline.txt", |bytes| bytes.extend(b"run=cpus\n"), "not one line"),
        ("kernel8.img", |bytes| bytes[0x30] = b'X', "no TETRAKRN header"),
        ("kernel8.img", |bytes| bytes[0x22] = 0x20, "linked for"),
        ("kernel8.img", |bytes| bytes.truncate(69_000), "symbol table ends"),
        ("bcm2711-rpi-4-b.dtb", |bytes| bytes.push(0), "says that it has"),
        ("start4.elf", |bytes| bytes.clear(), "empty"),
    ];
    for (name, spoil, want) in cases {
        let mut contents = contents();
        spoil(file_mut(&mut contents, name));
        let image = make(&contents);
        assert_fails(&image, &contents, want);
        assert!(is_bootable(&image).is_err(), "{name}: {want}");
    }
}
