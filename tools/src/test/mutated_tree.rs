//! Damaged device trees, given to the shipped kernel: it must come to its prompt and answer, whatever the tree says.
//!
//! Boot arguments may be among the damage, so the shell is driven by typing. Each tree is made from a seed; `tetra-tools mutated-tree SEED` gives the
//! same tree to the kernel again and shows the console. The parser alone sees thousands of them in the host tests; here it is all of boot.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::case::{Case, describe, tail};
use super::report::{Report, Verdict};
use super::variants;
use crate::dtb::DeviceTree;
use crate::guest::{self, End, Outcome};
use crate::kernel::{self, Kernel, Log};
use crate::soak;

const GROUP: &str = "mutated-trees";
/// Trees of each kind for `make test`.
pub const TREES: u64 = 10;
/// Seeds count up from here.
const FIRST_SEED: u64 = 1;

/// The tree that is damaged.
#[derive(Clone, Copy, Debug)]
enum Original {
    Own,
    Debian,
}

impl Original {
    const ALL: [Self; 2] = [Self::Own, Self::Debian];

    fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Debian => "debian",
        }
    }

    /// Its bytes; none if it is not on this machine.
    fn read(self) -> Result<Option<Vec<u8>>> {
        let path = match self {
            Self::Own => match DeviceTree::parse(None)? {
                DeviceTree::File(path) => Some(path),
                DeviceTree::None => None,
            },
            Self::Debian => soak::debian_tree(),
        };
        Ok(path.map(std::fs::read).transpose()?)
    }
}

/// Says whether any of these cases is to be run.
pub fn is_selected(report: &Report) -> bool {
    Original::ALL.into_iter().any(|original| report.selects(GROUP, original.name()))
}

/// Boots `kernel` with `count` damaged trees of each kind.
pub fn run(kernel: &Kernel, count: u64, report: &Report) {
    for original in Original::ALL.into_iter().filter(|original| report.selects(GROUP, original.name())) {
        let started = Instant::now();
        let verdict = boot_often(kernel, original, count).unwrap_or_else(|error| Verdict::Failed(format!("{error:#}")));
        report.add(GROUP, original.name(), Some(started.elapsed()), verdict);
    }
}

fn boot_often(kernel: &Kernel, original: Original, count: u64) -> Result<Verdict> {
    let Some(tree) = original.read()? else {
        return Ok(Verdict::Missing("the device tree of Debian's kernel (`make image` fetches it)".to_owned()));
    };
    for seed in FIRST_SEED..FIRST_SEED + count {
        let (damaged, what) = damage(&tree, seed);
        let outcome = boot(kernel, &damaged)?;
        if let Err(why) = judge(&outcome) {
            let again = format!("`tetra-tools mutated-tree {seed} {}` repeats it", original.name());
            return Ok(Verdict::Failed(format!("{why}; {again}\n{what}{}", tail(&outcome.console))));
        }
    }
    Ok(Verdict::Passed)
}

fn boot(kernel: &Kernel, tree: &[u8]) -> Result<Outcome> {
    let folder = tempfile::Builder::new().prefix("tetra-").tempdir()?;
    let machine = variants::machine_with_tree(kernel, tree, folder.path())?;
    // What is typed before the kernel has set the port up is lost: one byte, as its buffer holds no more by then.
    guest::run(&machine, Case::new("").limits(), b"\r\rcpus\rpoweroff\r", |_| ())
}

/// The shell must have answered, and each core be online unless the log says why not.
fn judge(outcome: &Outcome) -> Result<(), String> {
    if outcome.end != End::Exit(0) {
        return Err(format!("must power off, but {}", describe(&outcome.end)));
    }
    let has = |text: &str| outcome.console.contains(text);
    if !has("tetra# cpus") || !has("\n  0  online") {
        return Err("the shell did not answer `cpus`".to_owned());
    }
    let missing =
        (1..4).find(|core| !has(&format!("\n  {core}  online")) && !has(&format!("cpu{core} did not come up")) && !has("maxcpus"));
    missing.map_or(Ok(()), |core| Err(format!("cpu{core} is not online, and nothing says why")))
}

/// `tetra-tools mutated-tree SEED [own|debian]`: one damaged tree again, its console shown.
pub fn main(args: &[String]) -> Result<ExitCode> {
    let (seed, original) = match args {
        [seed] => (seed, Original::Own),
        [seed, kind] => match Original::ALL.into_iter().find(|original| original.name() == kind) {
            Some(original) => (seed, original),
            None => bail!("`{kind}` must be `own` or `debian`"),
        },
        _ => bail!("usage: mutated-tree SEED [own|debian]"),
    };
    let seed = seed.parse().with_context(|| format!("the seed `{seed}` is not a number"))?;
    let tree = original.read()?.context("there is no such tree on this machine: `make image` fetches it")?;
    let kernel =
        kernel::build("tetra", Some("kernel8"), &kernel::features(&["checks"], Log::Text), kernel::Profile::Checked, "soak")?.remove(0);
    let (damaged, what) = damage(&tree, seed);
    print!("{what}");
    let outcome = boot(&kernel, &damaged)?;
    print!("{}", outcome.console);
    match judge(&outcome) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(why) => {
            eprintln!("\n{why}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Xorshift64 (Marsaglia, "Xorshift RNGs", 2003), seeded so that neighbours differ.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit.max(1)
    }
}

/// Words that hurt: lengths, tokens, and addresses of page 0, its spin table and stub, the kernel, the tree, holes, devices.
const WORDS: [u32; 20] = [
    0,
    1,
    2,
    3,
    4,
    8,
    9,
    0xd8,
    0xe8,
    0x300,
    0x8_0000,
    0x10_0000,
    0x800_0000,
    0x3c00_0000,
    0x4000_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xfc00_0000,
    0xfe20_1000,
    u32::MAX,
];

/// A damaged copy of `tree`, and what was done, a line each.
fn damage(tree: &[u8], seed: u64) -> (Vec<u8>, String) {
    let mut random = Random::new(seed);
    let mut damaged = tree.to_vec();
    let values = values(tree);
    let mut what = String::new();
    for _ in 0..=random.below(6) {
        what.push_str(&one_act(&mut damaged, &values, &mut random));
        what.push('\n');
    }
    (damaged, what)
}

fn one_act(tree: &mut [u8], values: &[usize], random: &mut Random) -> String {
    let at = random.below(tree.len());
    let word = WORDS[random.below(WORDS.len())];
    match random.below(8) {
        0 => {
            tree[at] ^= 1 << random.below(8);
            format!("a bit of byte {at:#x} turned")
        }
        1 => {
            tree[at] = random.next() as u8;
            format!("byte {at:#x} = {:#x}", tree[at])
        }
        2 => put(tree, at & !3, word),
        3 => put(tree, at & !3, random.next() as u32),
        // The size in the header decides how much is believed.
        4 => put(tree, 4, (tree.len() - random.below(64)) as u32),
        5 => {
            let len = random.below(64).min(tree.len() - at);
            let to = random.below(tree.len() - len);
            tree.copy_within(at..at + len, to);
            format!("{len} bytes of {at:#x} copied to {to:#x}")
        }
        // The tree stays sound, its meaning does not.
        _ => put(tree, values.get(random.below(values.len())).copied().unwrap_or(at & !3), word),
    }
}

fn put(tree: &mut [u8], at: usize, word: u32) -> String {
    if let Some(place) = tree.get_mut(at..at + 4) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    format!("word {at:#x} = {word:#x}")
}

/// Where the words of all properties' values lie in a sound tree (Devicetree Specification 0.4, 5.4).
fn values(tree: &[u8]) -> Vec<usize> {
    const BEGIN_NODE: usize = 1;
    const PROP: usize = 3;
    const END: usize = 9;

    let word = |at: usize| tree.get(at..at + 4).map_or(END, |word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]) as usize);
    let mut found = Vec::new();
    let mut at = word(8);
    loop {
        let token = word(at);
        at += 4;
        match token {
            BEGIN_NODE => at += tree.iter().skip(at).take_while(|byte| **byte != 0).count() / 4 * 4 + 4,
            PROP => {
                let len = word(at);
                found.extend((at + 8..at + 8 + len).step_by(4));
                at += 8 + len.next_multiple_of(4);
            }
            END => return found,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_does_the_same_damage_and_each_another() {
        let tree: Vec<u8> = (0..=255).cycle().take(3000).collect();
        assert_eq!(damage(&tree, 7), damage(&tree, 7));
        let texts: std::collections::BTreeSet<String> = (0..100).map(|seed| damage(&tree, seed).1).collect();
        assert!(texts.len() > 95, "{}", texts.len());
    }

    #[test]
    fn values_are_found_between_the_names() {
        // Header up to the offset of the structure block, then: node "", property of 5 bytes, node "abcd", property of 4 bytes, end.
        let words: [u32; 19] = [0xd00d_feed, 0, 12, 1, 0, 3, 5, 0, 0x0102_0304, 0x0500_0000, 1, 0x6162_6364, 0, 3, 4, 0, 7, 2, 9];
        let tree: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        assert_eq!(values(&tree), [8 * 4, 9 * 4, 16 * 4]);
    }
}
