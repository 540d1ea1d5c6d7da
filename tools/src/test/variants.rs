//! The shipped kernel, entered as QEMU's own loader never would: any exception level, one core or all, caches on, debris in the registers, anything
//! at all in x0. A [`Shim`] stands in for the loader.
//!
//! The raw shim takes the place of the kernel, which is loaded at 0x200000 and so has to move itself down. Boot arguments come through the mailbox.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::case::Case;
use super::report::{Report, Verdict};
use super::suite;
use crate::dtb::DeviceTree;
use crate::kernel::{Kernel, Log};
use crate::machine::Machine;
use crate::shim::{self, Shim};

const GROUP: &str = "entry";
/// Where the kernel wants to be, and where other loaders put it.
const LINKED: u64 = 0x8_0000;
const ELSEWHERE: u64 = 0x20_0000;
/// Memory that holds nothing else.
const NOISE: u64 = 0x400_0000;
/// End of the ARM's part of the first GiB, as QEMU's mailbox has it.
const END_OF_LOW_MEMORY: u64 = 0x3c00_0000;
/// Beyond what the kernel occupies where it is linked: cores that wait in the old place, and are slow to leave it, must find it as it was.
const FAR_AWAY: u64 = 0x0200_0000;
/// The Pi's interrupt controller has a secure side; QEMU's has one if asked.
const SECURE_GIC: &str = "-global arm_gic.has-security-extensions=on";
/// The shim's entry level, and all that can be told from `cpus`.
const AT_EL: [&str; 4] = ["", "EL1", "EL2", "EL3"];

/// One way to start.
struct Entry {
    name: &'static str,
    shim: Shim,
    /// Bytes to load, and where.
    loads: Vec<(Vec<u8>, u64)>,
    qemu_args: String,
    expect: Vec<String>,
    /// Levels at which the cores are to be online; 0: not at all.
    levels: [usize; 4],
    /// Whether it is worth a second to see each core interrupted.
    is_timed: bool,
    /// Whether the kernel is to die of it, with `expect` as its report.
    is_fatal: bool,
}

impl Entry {
    /// Core 0 enters the kernel through the raw shim, which `prepare` fills, with `x0`.
    fn raw(name: &'static str, x0: u64, prepare: impl FnOnce(&mut Shim)) -> Self {
        let mut shim = Shim::raw();
        prepare(&mut shim);
        let level = shim.level();
        shim.enter(ELSEWHERE, x0);
        let (loads, expect) = (vec![(shim::identity_tables(), shim::TABLES_BASE)], Vec::new());
        Self { name, shim, loads, qemu_args: kernel_at(ELSEWHERE), expect, levels: [level, 2, 2, 2], is_timed: true, is_fatal: false }
    }

    /// All cores enter the kernel, loaded at `address`, through the ELF shim.
    fn elf(name: &'static str, address: u64, prepare: impl FnOnce(&mut Shim)) -> Self {
        let mut shim = Shim::elf();
        prepare(&mut shim);
        let level = shim.level();
        shim.enter(address, 0);
        let (loads, expect) = (vec![(shim::identity_tables(), shim::TABLES_BASE)], Vec::new());
        Self { name, shim, loads, qemu_args: kernel_at(address), expect, levels: [level; 4], is_timed: true, is_fatal: false }
    }

    /// `x0` is not a device tree, and the kernel says why.
    fn refused(name: &'static str, x0: u64, why: &str) -> Self {
        let mut entry = Self::raw(name, x0, |_| ());
        entry.is_timed = false;
        entry.expect.push(format!("no device tree at x0 = {x0:#x}: .*{why}"));
        entry
    }

    /// `x0` is a good device tree.
    fn accepted(name: &'static str, x0: u64, tree: &[u8]) -> Self {
        let mut entry = Self::raw(name, x0, |_| ()).with(tree, x0);
        entry.is_timed = false;
        entry.expect.push(format!("device tree +{} bytes, 4 cores, 0 warnings", tree.len()));
        entry
    }

    fn with(mut self, bytes: &[u8], address: u64) -> Self {
        self.loads.push((bytes.to_vec(), address));
        self
    }

    fn qemu(mut self, arguments: &str) -> Self {
        self.qemu_args = format!("{} {arguments}", self.qemu_args);
        self
    }

    fn levels(mut self, levels: [usize; 4]) -> Self {
        self.levels = levels;
        self
    }

    /// The kernel dies of it.
    fn fatal(mut self, report: &str) -> Self {
        self.is_fatal = true;
        self.expect.push(report.to_owned());
        self
    }

    fn case(&self) -> Result<Case> {
        let mut case = Case::new(self.name);
        case.set("append loglevel=7")?;
        if self.is_fatal {
            case.set("exit 101")?;
            self.expect.iter().try_for_each(|text| case.set(&format!("expect {text}")))?;
            return Ok(case);
        }
        // A second later each core must have been interrupted. Not ticked: who is idle does without.
        case.set(if self.is_timed { "run watch -n 1 -c 2 cpus" } else { "run cpus" })?;
        for text in &self.expect {
            case.set(&format!("expect {text}"))?;
        }
        for (core, &level) in self.levels.iter().enumerate() {
            let is_alive = if self.is_timed { " +[1-9]" } else { "" };
            match level {
                0 => case.set(&format!(r"expect ^ +{core} +offline"))?,
                _ => case.set(&format!(r"expect ^ +{core} +online +{}{}", AT_EL[level], is_alive))?,
            }
        }
        case.set("reject panic|Oops")?;
        Ok(case)
    }
}

/// The argument that loads the kernel; the image's path takes the place of the braces.
fn kernel_at(address: u64) -> String {
    format!("-device loader,file={{}},addr={address:#x},force-raw=on")
}

/// Every way.
fn entries() -> Result<Vec<Entry>> {
    let DeviceTree::File(tree) = DeviceTree::parse(None)? else { unreachable!("the project's own tree is a file") };
    let mut entries = what_x0_holds(&fs::read(tree)?);
    entries.extend(states_of_core_0());
    entries.extend(all_cores_at_once());
    Ok(entries)
}

fn what_x0_holds(tree: &[u8]) -> Vec<Entry> {
    const NO_MAGIC: &str = "magic";
    let size = u64::try_from(tree.len()).expect("a tree fits memory");
    let noise: Vec<u8> = (0..4096_u32).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    let header = |size: u32| [0xd00d_feed_u32.to_be_bytes(), size.to_be_bytes()].concat();
    let last_words = END_OF_LOW_MEMORY - 64;
    vec![
        Entry::refused("x0-zero", 0, "no memory"),
        Entry::refused("x0-odd", 1, "multiple of 8"),
        Entry::refused("x0-all-ones", u64::MAX, "no memory"),
        Entry::refused("x0-device", 0xfe20_1000, "no memory"),
        Entry::refused("x0-videocore", END_OF_LOW_MEMORY, "no memory"),
        Entry::refused("x0-beyond-memory", 0x8000_0000, "no memory"),
        Entry::refused("x0-last-of-memory", 0x7fff_ffff, "no memory"),
        Entry::refused("x0-beyond-4-gib", 0x1_0000_0000, "no memory"),
        Entry::refused("x0-kernel", LINKED, "kernel's own"),
        Entry::refused("x0-noise", NOISE, NO_MAGIC).with(&noise, NOISE),
        Entry::refused("x0-header-without-size", NOISE, NO_MAGIC).with(&header(0), NOISE),
        Entry::refused("x0-header-with-huge-size", NOISE, NO_MAGIC).with(&header(u32::MAX), NOISE),
        Entry::refused("x0-tree-cut-by-end-of-memory", last_words, "beyond memory").with(&header(4096), last_words),
        Entry::refused("x0-tree-unaligned", NOISE + 4, "multiple of 8").with(tree, NOISE + 4),
        Entry::accepted("x0-tree-at-end-of-low-memory", (END_OF_LOW_MEMORY - size) & !7, tree),
        Entry::accepted("x0-tree-across-a-block", NOISE - 8, tree),
        Entry::accepted("x0-tree-in-high-memory", (0x8000_0000 - size) & !7, tree),
        wild_release_addresses(tree),
    ]
}

/// A tree that would have the kernel overwrite itself, then the stub in which the cores wait, and give core 3 core 1's word.
fn wild_release_addresses(tree: &[u8]) -> Entry {
    let mut wild = tree.to_vec();
    for (right, wrong) in [(0xe0_u64, LINKED), (0xe8, 0x300), (0xf0, 0xe0)] {
        let mut places = (0..wild.len().saturating_sub(8)).step_by(4).filter(|&at| wild[at..at + 8] == right.to_be_bytes());
        if let Some(at) = places.next_back() {
            wild[at..at + 8].copy_from_slice(&wrong.to_be_bytes());
        }
    }
    let mut entry = Entry::raw("x0-tree-with-wild-release-addresses", NOISE, |_| ()).with(&wild, NOISE);
    entry.expect = vec![
        "cpu1: .* 0x80000 is no word of page 0".to_owned(),
        "cpu2: .* 0x300 holds something else".to_owned(),
        "cpu3 did not come up .* at 0xe0".to_owned(),
    ];
    entry
}

/// Core 0 alone, the others wait in the spin table at EL2.
fn states_of_core_0() -> Vec<Entry> {
    let debris: Vec<u8> = (0..0x3_0000_u32).flat_map(|number| (!number).to_le_bytes()).collect();
    vec![
        Entry::raw("el1", 0, |shim| shim.drop_to(1)),
        Entry::raw("el2-caches-on", 0, Shim::caches_on),
        Entry::raw("el2-mmu-on", 0, Shim::mmu_on),
        Entry::raw("el1-mmu-on", 0, |shim| {
            shim.drop_to(1);
            shim.mmu_on();
        }),
        Entry::raw("el1-serror-pending", 0, |shim| {
            shim.pend_serror();
            shim.drop_to(1);
        })
        .fatal(r"Kernel panic on cpu0: SError in a thread \(asynchronous abort"),
        // Masked for good: nothing is routed there.
        Entry::raw("el1-fiq-pending", 0, |shim| {
            shim.pend_fiq();
            shim.drop_to(1);
        }),
        // What will be bss, stacks and page tables holds noise, too.
        Entry::raw("el2-debris", 0, Shim::leave_debris).with(&debris, LINKED + 0x1_0000),
        Entry::raw("el2-secure-gic", 0, |_| ()).qemu(SECURE_GIC),
    ]
}

/// All four cores, as loaders of ELF files and debuggers have them.
fn all_cores_at_once() -> Vec<Entry> {
    vec![
        Entry::elf("el3-all-cores", LINKED, |_| ()),
        Entry::elf("el3-all-cores-secure-gic", LINKED, |_| ()).qemu(SECURE_GIC),
        Entry::elf("el3-all-cores-moved", FAR_AWAY, |_| ()),
        Entry::elf("el3-all-cores-icount", LINKED, |_| ()).qemu("-icount shift=0,sleep=off"),
        Entry::elf("el3-all-cores-mmu-on", LINKED, Shim::mmu_on),
        Entry::elf("el2-all-cores", LINKED, |shim| shim.drop_to(2)),
        Entry::elf("el1-all-cores", LINKED, |shim| shim.drop_to(1)),
        Entry::elf("el3-late-cores", LINKED, |shim| shim.delay_others(200_000_000)),
        Entry::elf("el3-core-0-alone", LINKED, Shim::park_others).levels([3, 0, 0, 0]),
    ]
}

/// Says whether any of these cases is to be run.
pub fn is_selected(report: &Report) -> bool {
    report.may_select(GROUP)
}

/// Boots `kernel` in every way.
pub fn test(kernel: &Kernel, report: &Report) {
    match entries() {
        Ok(entries) => {
            for entry in entries.iter().filter(|entry| report.selects(GROUP, entry.name)) {
                if let Err(error) = boot(kernel, entry, report) {
                    report.add(GROUP, entry.name, None, Verdict::Failed(format!("{error:#}")));
                }
            }
        }
        Err(error) => report.add(GROUP, "(all)", None, Verdict::Failed(format!("{error:#}"))),
    }
}

fn boot(kernel: &Kernel, entry: &Entry, report: &Report) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("tetra-").tempdir()?;
    let case = entry.case()?;
    let mut machine = machine(kernel, &entry.shim, &entry.qemu_args, &entry.loads, folder.path())?;
    case.prepare(&mut machine)?;
    suite::boot(&machine, GROUP, &case, report)
}

/// The machine that `shim` starts, with `loads` in its memory. Files are written to `folder`.
fn machine(kernel: &Kernel, shim: &Shim, qemu_args: &str, loads: &[(Vec<u8>, u64)], folder: &Path) -> Result<Machine> {
    let mut stand_in = kernel.clone();
    stand_in.image = folder.join("shim");
    fs::write(&stand_in.image, shim.file()?)?;
    let mut machine = Machine::new(stand_in, Log::Text)?;
    machine.device_tree = DeviceTree::None;

    let image = kernel.image.to_string_lossy();
    machine.qemu_args.extend(qemu_args.split_whitespace().map(|word| word.replace("{}", &image)));
    for (number, (bytes, address)) in loads.iter().enumerate() {
        let path = folder.join(format!("load{number}"));
        fs::write(&path, bytes)?;
        machine.qemu_args.push("-device".to_owned());
        machine.qemu_args.push(format!("loader,file={},addr={address:#x},force-raw=on", path.display()));
    }
    Ok(machine)
}

/// The machine that finds `tree` at x0, as a firmware may have left it.
pub fn machine_with_tree(kernel: &Kernel, tree: &[u8], folder: &Path) -> Result<Machine> {
    const TREE: u64 = 0x800_0000;

    let mut shim = Shim::raw();
    shim.enter(ELSEWHERE, TREE);
    machine(kernel, &shim, &kernel_at(ELSEWHERE), &[(tree.to_vec(), TREE)], folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn entries_are_well_formed_and_have_names_of_their_own() {
        let lists = [what_x0_holds(&[0; 64]), states_of_core_0(), all_cores_at_once()];
        let entries: Vec<Entry> = lists.into_iter().flatten().collect();
        let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), entries.len());
        for entry in &entries {
            entry.case().unwrap();
            entry.shim.file().unwrap();
        }
    }
}
