//! Maker of `kernel8.img`: the bytes of the ELF as the firmware loads them, with the symbol table appended.
//!
//! The Pi's firmware and QEMU load a raw image; an ELF would be entered at another exception level (HARDWARE: QEMU
//! enters ELFs at EL3). The layout of the header that is patched here is described in `boot/start.S`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::{elf, symtab};

const MAGIC: &[u8; 8] = b"TETRAKRN";
const HEADER_VERSION: u64 = 1;
const HEADER_BYTES: usize = 0x40;
const MEMORY_BYTES: usize = 0x08;
const SYMTAB_OFFSET: usize = 0x10;
const SYMTAB_LENGTH: usize = 0x18;
const LINK_ADDRESS: usize = 0x20;
const VERSION: usize = 0x28;
const MAGIC_AT: usize = 0x30;
/// The kernel reads the table by words.
const SYMTAB_ALIGN: usize = 16;
/// What start.S maps of the first physical memory: four level 3 tables.
const MAPPED_BYTES: u64 = 8 << 20;
/// Where in it the image begins.
const LOAD_OFFSET: u64 = 0x8_0000;
/// Its eight page tables behind the symbol table, and the part of a page in front of them.
const BOOT_TABLES_BYTES: u64 = 9 * 4096;

pub fn main(args: &[String]) -> Result<ExitCode> {
    let [elf, out] = args else { bail!("usage: mkimage ELF OUT") };
    let summary = write(Path::new(elf), Path::new(out))?;
    println!("{summary}");
    Ok(ExitCode::SUCCESS)
}

/// What went into an image.
pub struct Summary {
    pub file_bytes: usize,
    pub memory_bytes: u64,
    pub symbols: usize,
    pub symtab_bytes: usize,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "image {} KiB, in memory {} KiB, {} symbols in {} KiB ({:.1} bytes each)",
            self.file_bytes.div_ceil(1024),
            self.memory_bytes.div_ceil(1024),
            self.symbols,
            self.symtab_bytes.div_ceil(1024),
            self.symtab_bytes as f64 / self.symbols.max(1) as f64,
        )
    }
}

/// Makes the image of the ELF at `elf_path` and writes it to `out`.
pub fn write(elf_path: &Path, out: &Path) -> Result<Summary> {
    let elf = std::fs::read(elf_path).with_context(|| format!("cannot read {}", elf_path.display()))?;
    let (image, summary) = make(&elf).with_context(|| format!("cannot make an image of {}", elf_path.display()))?;
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(out, image).with_context(|| format!("cannot write {}", out.display()))?;
    Ok(summary)
}

fn make(elf: &[u8]) -> Result<(Vec<u8>, Summary)> {
    let flat = elf::flatten(elf)?;
    let mut image = flat.bytes;
    ensure!(image.len() >= HEADER_BYTES && &image[MAGIC_AT..][..8] == MAGIC, "it does not start with Tetra's image header");
    ensure!(word(&image, VERSION) == HEADER_VERSION, "its header has version {}", word(&image, VERSION));
    ensure!(
        word(&image, LINK_ADDRESS) == flat.link_address,
        "header says link address {:#x}, the ELF {:#x}",
        word(&image, LINK_ADDRESS),
        flat.link_address
    );
    let memory_bytes = word(&image, MEMORY_BYTES);
    ensure!(memory_bytes >= image.len() as u64, "header says {memory_bytes} bytes of memory, but {} are loaded", image.len());

    let symbols = elf::symbols(elf)?;
    let mut table = symtab::encode(&symbols)?;
    let symtab_bytes = table.len();
    // start.S moves it by pairs of words, and a start4.elf of 2019 did not boot files whose length is no multiple of four
    // (raspberrypi/firmware#1175).
    table.resize(table.len().next_multiple_of(SYMTAB_ALIGN), 0);
    let in_memory = memory_bytes + table.len() as u64 + BOOT_TABLES_BYTES;
    ensure!(
        in_memory <= MAPPED_BYTES - LOAD_OFFSET,
        "image and symbol table take {in_memory} bytes of memory, but start.S maps {} for them: enlarge its level 3 tables",
        MAPPED_BYTES - LOAD_OFFSET
    );
    image.resize(image.len().next_multiple_of(SYMTAB_ALIGN), 0);
    let offset = image.len() as u64;
    put_word(&mut image, SYMTAB_OFFSET, offset);
    put_word(&mut image, SYMTAB_LENGTH, table.len() as u64);
    image.extend(&table);
    let summary = Summary { file_bytes: image.len(), memory_bytes, symbols: symbols.len(), symtab_bytes };
    Ok((image, summary))
}

fn word(image: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(image[at..at + 8].try_into().expect("a slice of eight bytes"))
}

fn put_word(image: &mut [u8], at: usize, value: u64) {
    image[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
