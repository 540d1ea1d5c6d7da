//! A strict reader for partition tables and FAT32 volumes.
//!
//! It forgives nothing: a reader that repairs what it sees (as the kernel's and the tools' do) cannot tell a good
//! image from one that the Pi's boot loader will stumble over. It knows the root directory only; the card has no other.
//! Sources: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03; UEFI specification 2.10 §5.2 (MBR).

use anyhow::{Context, bail, ensure};

const SECTOR: usize = 512;
const SIGNATURE: [u8; 2] = [0x55, 0xaa];
const MBR_TABLE: usize = 446;
const DIR_ENTRY: usize = 32;

/// A volume is FAT32 if it has at least this many clusters; what its label says decides nothing.
const FAT32_LEAST_CLUSTERS: usize = 65525;
/// Only the low 28 bits of a FAT32 entry count.
const ENTRY_MASK: u32 = 0x0fff_ffff;
/// Entries from here on end a chain.
const END_OF_CHAIN: u32 = 0x0fff_fff8;

const ATTR_VOLUME_LABEL: u8 = 0x08;
const ATTR_DIRECTORY: u8 = 0x10;
const ATTR_LONG_NAME: u8 = 0x0f;
/// Marks the long name entry that comes first on disk and holds the name's last characters.
const LAST_LONG_ENTRY: u8 = 0x40;

/// An entry of the partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// The type byte.
    pub kind: u8,
    /// The first sector.
    pub start: u32,
    /// How many sectors.
    pub sectors: u32,
}

/// Reads the MBR's partitions, leaving out empty entries.
///
/// # Errors
/// The image is shorter than a sector, has no boot signature, or a partition that ends behind it.
pub fn partitions(image: &[u8]) -> anyhow::Result<Vec<Partition>> {
    let mbr = image.get(..SECTOR).context("shorter than one sector")?;
    ensure!(mbr[SECTOR - 2..] == SIGNATURE, "no boot signature 55 aa at byte 510");
    let mut found = Vec::new();
    for entry in mbr[MBR_TABLE..SECTOR - 2].chunks_exact(16) {
        let partition = Partition { kind: entry[4], start: u32_at(entry, 8), sectors: u32_at(entry, 12) };
        if partition.kind != 0 {
            partition.bytes(image)?;
            found.push(partition);
        }
    }
    Ok(found)
}

impl Partition {
    /// The partition's bytes within `image`.
    ///
    /// # Errors
    /// The partition ends behind the image.
    pub fn bytes<'a>(&self, image: &'a [u8]) -> anyhow::Result<&'a [u8]> {
        let start = self.start as usize * SECTOR;
        let end = start + self.sectors as usize * SECTOR;
        let (need, have) = (end, image.len());
        image.get(start..end).with_context(|| format!("the partition ends at byte {need}, the image at {have}"))
    }
}

/// A file of the root directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The long name if there is one, else the short.
    pub name: String,
    /// The size that the directory states.
    pub size_bytes: usize,
    first_cluster: u32,
}

/// A FAT32 volume whose boot sector, information sector and tables agree with each other.
pub struct Volume<'a> {
    table: &'a [u8],
    data: &'a [u8],
    cluster_bytes: usize,
    nr_clusters: usize,
    root_cluster: u32,
    free_clusters: usize,
}

impl<'a> Volume<'a> {
    /// Opens the volume that fills `bytes`.
    ///
    /// # Errors
    /// Anything in the reserved sectors or the two tables that is not as the format wants it.
    pub fn open(bytes: &'a [u8]) -> anyhow::Result<Self> {
        let boot = bytes.get(..SECTOR).context("no room for a boot sector")?;
        ensure!(boot[SECTOR - 2..] == SIGNATURE, "boot sector: no signature 55 aa");
        ensure!(u16_at(boot, 11) == SECTOR, "boot sector: sectors of {} bytes", u16_at(boot, 11));
        ensure!(u16_at(boot, 17) == 0 && u16_at(boot, 22) == 0, "boot sector: laid out as FAT12 or FAT16");
        ensure!(boot[16] == 2, "boot sector: {} tables, want 2", boot[16]);
        let total = u32_at(boot, 32) as usize;
        ensure!(total * SECTOR == bytes.len(), "boot sector: {total} sectors, the partition has {}", bytes.len() / SECTOR);

        let sectors_per_cluster = usize::from(boot[13]);
        ensure!(sectors_per_cluster.is_power_of_two(), "boot sector: {sectors_per_cluster} sectors a cluster");
        let (reserved, table_sectors) = (u16_at(boot, 14), u32_at(boot, 36) as usize);
        let data_start = reserved + 2 * table_sectors;
        ensure!(data_start < total, "boot sector: tables of {table_sectors} sectors leave no room for data");
        let nr_clusters = (total - data_start) / sectors_per_cluster;
        ensure!(nr_clusters >= FAT32_LEAST_CLUSTERS, "{nr_clusters} clusters: too few, it would be read as FAT16");
        ensure!(table_sectors * SECTOR / 4 >= nr_clusters + 2, "tables too short for {nr_clusters} clusters");

        let table = &bytes[reserved * SECTOR..][..table_sectors * SECTOR];
        let second = &bytes[(reserved + table_sectors) * SECTOR..][..table_sectors * SECTOR];
        ensure!(table == second, "the two tables differ");
        let volume = Self {
            table,
            data: &bytes[data_start * SECTOR..],
            cluster_bytes: sectors_per_cluster * SECTOR,
            nr_clusters,
            root_cluster: u32_at(boot, 44),
            free_clusters: read_info(bytes, boot, reserved)?,
        };
        Ok(volume)
    }

    /// How many clusters the volume has.
    pub fn nr_clusters(&self) -> usize {
        self.nr_clusters
    }

    /// The files of the root directory, in the order on disk.
    ///
    /// # Errors
    /// A broken chain, a long name that does not belong to its entry, or a subdirectory.
    pub fn files(&self) -> anyhow::Result<Vec<Entry>> {
        let mut files = Vec::new();
        let mut long_name = LongName::default();
        for raw in self.chain_bytes(self.root_cluster)?.chunks_exact(DIR_ENTRY) {
            match (raw[0], raw[11]) {
                (0, _) => break,
                (0xe5, _) => long_name = LongName::default(),
                (_, ATTR_LONG_NAME) => long_name.push(raw)?,
                (_, attributes) if attributes & ATTR_VOLUME_LABEL != 0 => {}
                (_, attributes) if attributes & ATTR_DIRECTORY != 0 => bail!("a directory: {}", short_name(raw)),
                _ => files.push(Entry {
                    name: std::mem::take(&mut long_name).finish(raw)?,
                    size_bytes: u32_at(raw, 28) as usize,
                    first_cluster: (u16_at(raw, 20) << 16 | u16_at(raw, 26)) as u32,
                }),
            }
        }
        Ok(files)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// Its chain is broken, or longer or shorter than its size.
    pub fn read(&self, entry: &Entry) -> anyhow::Result<Vec<u8>> {
        let mut bytes = if entry.size_bytes == 0 { Vec::new() } else { self.chain_bytes(entry.first_cluster)? };
        let want = entry.size_bytes.next_multiple_of(self.cluster_bytes);
        ensure!(bytes.len() == want, "{}: a chain of {} bytes for a size of {}", entry.name, bytes.len(), entry.size_bytes);
        bytes.truncate(entry.size_bytes);
        Ok(bytes)
    }

    /// Looks for clusters that two chains share, that no chain reaches, or that the free count forgets.
    ///
    /// # Errors
    /// The first of these that is found.
    pub fn check_clusters(&self) -> anyhow::Result<()> {
        let mut used = vec![false; self.nr_clusters + 2];
        let mut claim = |first: u32, name: &str| -> anyhow::Result<()> {
            for cluster in self.chain(first)? {
                ensure!(!std::mem::replace(&mut used[cluster as usize], true), "cluster {cluster} of {name} has two owners");
            }
            Ok(())
        };
        claim(self.root_cluster, "the root directory")?;
        for entry in self.files()?.iter().filter(|entry| entry.size_bytes != 0) {
            claim(entry.first_cluster, &entry.name)?;
        }

        let lost = (2..self.nr_clusters + 2).find(|&cluster| !used[cluster] && self.next(cluster as u32) != 0);
        ensure!(lost.is_none(), "cluster {} is marked used but belongs to no file", lost.unwrap_or_default());
        let free = used[2..].iter().filter(|used| !**used).count();
        ensure!(free == self.free_clusters, "{free} clusters are free, the information sector says {}", self.free_clusters);
        Ok(())
    }

    fn next(&self, cluster: u32) -> u32 {
        u32_at(self.table, cluster as usize * 4) & ENTRY_MASK
    }

    fn chain(&self, first: u32) -> anyhow::Result<Vec<u32>> {
        let mut chain = Vec::new();
        let mut cluster = first;
        while cluster < END_OF_CHAIN {
            let is_data = (2..self.nr_clusters as u32 + 2).contains(&cluster);
            ensure!(is_data, "the chain from cluster {first} leads to {cluster}, which is no data cluster");
            ensure!(chain.len() < self.nr_clusters, "the chain from cluster {first} goes round in circles");
            chain.push(cluster);
            cluster = self.next(cluster);
        }
        Ok(chain)
    }

    fn chain_bytes(&self, first: u32) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for cluster in self.chain(first)? {
            bytes.extend_from_slice(&self.data[(cluster as usize - 2) * self.cluster_bytes..][..self.cluster_bytes]);
        }
        Ok(bytes)
    }
}

/// Checks the information sector and the backup of the boot sector; returns the free clusters that the former states.
fn read_info(bytes: &[u8], boot: &[u8], reserved: usize) -> anyhow::Result<usize> {
    let (info_sector, backup) = (u16_at(boot, 48), u16_at(boot, 50));
    ensure!((1..reserved).contains(&info_sector), "boot sector: information sector at {info_sector}");
    ensure!((1..reserved).contains(&backup), "boot sector: backup at {backup}");
    ensure!(&bytes[backup * SECTOR..][..SECTOR] == boot, "the backup of the boot sector differs from it");
    let info = &bytes[info_sector * SECTOR..][..SECTOR];
    ensure!(&info[..4] == b"RRaA" && &info[484..488] == b"rrAa", "information sector: wrong signature");
    Ok(u32_at(info, 488) as usize)
}

/// The long name that is being put together from the entries before a short one.
#[derive(Default)]
struct LongName {
    /// UTF-16 units, the name's end first as on disk, each piece in reading order.
    pieces: Vec<[u16; 13]>,
    checksum: u8,
    /// The number that the next piece must carry.
    left: u8,
}

impl LongName {
    fn push(&mut self, raw: &[u8]) -> anyhow::Result<()> {
        let number = raw[0] & !LAST_LONG_ENTRY;
        if raw[0] & LAST_LONG_ENTRY != 0 {
            *self = Self { pieces: Vec::new(), checksum: raw[13], left: number };
        }
        ensure!(number != 0 && number == self.left && raw[13] == self.checksum, "a long name's entries are out of order");
        self.left -= 1;
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
        let mut piece = [0; 13];
        for (unit, at) in piece.iter_mut().zip(places) {
            *unit = u16_at(raw, at) as u16;
        }
        self.pieces.push(piece);
        Ok(())
    }

    /// The name of the file whose short entry is `raw`.
    fn finish(self, raw: &[u8]) -> anyhow::Result<String> {
        let short = short_name(raw);
        if self.pieces.is_empty() {
            return Ok(short);
        }
        ensure!(self.left == 0 && self.checksum == short_checksum(&raw[..11]), "{short}: its long name is not its own");
        let units: Vec<u16> = self.pieces.iter().rev().flatten().copied().take_while(|&unit| unit != 0).collect();
        String::from_utf16(&units).with_context(|| format!("{short}: its long name is no UTF-16"))
    }
}

/// "NAME.EXT" of a short entry, in lower case where the entry's case bits say so.
fn short_name(raw: &[u8]) -> String {
    const BASE_IS_LOWER: u8 = 0x08;
    const EXTENSION_IS_LOWER: u8 = 0x10;
    let part = |range: std::ops::Range<usize>, lower: u8| {
        let text = String::from_utf8_lossy(&raw[range]).trim_end().to_owned();
        if raw[12] & lower != 0 { text.to_ascii_lowercase() } else { text }
    };
    let (base, extension) = (part(0..8, BASE_IS_LOWER), part(8..11, EXTENSION_IS_LOWER));
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

fn short_checksum(name: &[u8]) -> u8 {
    name.iter().fold(0u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte))
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
