//! What the tools read out of the kernel's ELF: load segments and named symbols.

use anyhow::{Context, Result, ensure};
use object::elf::{PT_LOAD, SHF_ALLOC};
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind};

use crate::symtab::Entry;

type File<'a> = ElfFile64<'a, Endianness>;

/// Bytes of the ELF that are loaded, as they lie in memory from the lowest physical address on.
pub struct Flat {
    /// Virtual address of the first byte.
    pub link_address: u64,
    pub bytes: Vec<u8>,
}

/// Lays the load segments out by physical address and fills the gaps with zeros; memory without contents (bss) is left out.
pub fn flatten(elf: &[u8]) -> Result<Flat> {
    let file = File::parse(elf)?;
    let endian = file.endian();
    let mut segments: Vec<_> =
        file.elf_program_headers().iter().filter(|segment| segment.p_type(endian) == PT_LOAD && segment.p_filesz(endian) > 0).collect();
    segments.sort_by_key(|segment| segment.p_paddr(endian));
    let first = segments.first().context("the ELF has nothing to load")?;

    let load_address = first.p_paddr(endian);
    let mut bytes = Vec::new();
    for segment in &segments {
        let at = usize::try_from(segment.p_paddr(endian) - load_address)?;
        ensure!(at >= bytes.len(), "load segments overlap at physical address {:#x}", segment.p_paddr(endian));
        ensure!(at - bytes.len() < 64 << 20, "load segments lie more than 64 MiB apart; is a physical address wrong?");
        bytes.resize(at, 0);
        bytes.extend(segment.data(endian, elf).ok().context("a load segment lies outside the ELF")?);
    }
    Ok(Flat { link_address: first.p_vaddr(endian), bytes })
}

/// Returns the functions and statics in the image, sorted by address, one name for an address.
///
/// Per-CPU variables are not among them: they are linked at offsets from 0 and have an address for each core.
pub fn symbols(elf: &[u8]) -> Result<Vec<Entry>> {
    let file = File::parse(elf)?;
    let link_address = flatten(elf)?.link_address;
    let mut entries: Vec<Entry> = Vec::new();
    for symbol in file.symbols() {
        let kind = symbol.kind();
        if !matches!(kind, SymbolKind::Text | SymbolKind::Data) || symbol.is_undefined() || symbol.address() < link_address {
            continue;
        }
        let Some(section) = symbol.section_index().and_then(|index| file.section_by_index(index).ok()) else { continue };
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
        let name = symbol.name()?;
        if !sh_flags.contains(SHF_ALLOC) || !is_worth_naming(name) {
            continue;
        }
        entries.push(Entry {
            address: symbol.address(),
            size: symbol.size(),
            is_data: kind == SymbolKind::Data,
            name: format!("{:#}", rustc_demangle::demangle(name)),
        });
    }
    // Of several names for one address the one with the largest size, then the shortest and first, stays.
    let rank = |entry: &Entry| (entry.address, std::cmp::Reverse(entry.size), entry.name.len());
    entries.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name)));
    entries.dedup_by_key(|entry| entry.address);
    close_open_ends(&mut entries);
    Ok(entries)
}

/// Leaves out mapping symbols (`$x`, `$d`) and what the compiler names for itself.
fn is_worth_naming(name: &str) -> bool {
    const NOISE: [&str; 5] = ["$", ".L", "anon.", "switch.table.", "__unnamed_"];
    !name.is_empty() && !NOISE.iter().any(|prefix| name.starts_with(prefix))
}

/// Gives assembly without `.size` the room up to the next symbol.
fn close_open_ends(entries: &mut [Entry]) {
    /// No routine of the assembly files is longer; keeps the last symbol of a section from claiming what follows.
    const LONGEST: u64 = 0x800;

    for at in 0..entries.len() {
        if entries[at].size == 0 {
            let room = entries.get(at + 1).map_or(LONGEST, |next| next.address - entries[at].address);
            entries[at].size = room.min(LONGEST);
        }
    }
}

/// Names for addresses, read from an ELF.
pub struct Symbols(Vec<Entry>);

impl Symbols {
    /// Reads the symbols of the ELF at `path`.
    pub fn read(path: &std::path::Path) -> Result<Self> {
        let elf = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        symbols(&elf).map(Self)
    }

    /// Returns `name+0xoffset` for an address in the image, else says that it lies elsewhere.
    pub fn describe(&self, address: u64) -> String {
        let after = self.0.partition_point(|entry| entry.address <= address);
        match after.checked_sub(1).map(|at| &self.0[at]) {
            Some(entry) if address - entry.address < entry.size => {
                format!("{}+{:#x}", entry.name, address - entry.address)
            }
            _ => "not in the image".to_owned(),
        }
    }
}
