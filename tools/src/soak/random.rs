//! Boots whose arguments and work a seed chooses: what no other test has put together.
//!
//! Everything here is harmless alone and in any company, so a boot must end well: all commands succeed, nothing is warned about (a warning panics).
//! Marsaglia's xorshift chooses; a failure names arguments and commands, so it is repeated without the seed.

use std::fmt::Write;

/// What every boot has.
const ALWAYS: &str = "panic_on_warn=1 panic_on_oops=1";
/// What the last command writes.
pub const END: &str = "soak-end";
const COMMANDS_MAX: usize = 8;

/// At most one of each line.
const ARGUMENTS: &[&[&str]] = &[
    &["maxcpus=1", "maxcpus=2", "maxcpus=3", "maxcpus=4"],
    &["quiet", "loglevel=8", "debug"],
    &["mem=256M", "mem=512M", "mem=700M"],
    &["zones=256M,512M", "zones=64M,128M"],
    &["slub_debug", "slub_debug=FZ", "slub_debug=P", "slub_debug=U"],
    &["init_on_alloc=1"],
    &["init_on_free=1"],
    &["rcu_strict_grace_period"],
    &["watchdog_thresh=0", "watchdog_thresh=20"],
    &["hung_task_timeout=0", "hung_task_timeout=30"],
];

const WORK: &[&str] = &[
    "ps",
    "meminfo",
    "slabinfo | wc -l",
    "buddyinfo",
    "zoneinfo | tail -3",
    "vmallocinfo",
    "shrinkers",
    "stat",
    "schedstat",
    "interrupts",
    "softirqs",
    "timers",
    "loadavg",
    "dmesg | tail -5",
    "lockdep_stats",
    "lock_stats | head -5",
    "rcu",
    "audit",
    "mailbox",
    "alloc 100; alloc 8000 zero; free all",
    "pages alloc 3; pages free",
    "threads | wc -l",
    "kallsyms | wc",
    "bench sync.spin",
    "lab percpu",
    "lab seq-number",
    "lab kmalloc-vmalloc",
    "lab goto-drop",
];

/// One boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    pub arguments: String,
    pub commands: String,
}

/// Boot `number` of the soak with `seed`.
pub fn boot(seed: u64, number: u64) -> Boot {
    let mut random = Random((seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1);
    let mut arguments = ALWAYS.to_owned();
    for choices in ARGUMENTS {
        if random.below(3) == 0 {
            write!(arguments, " {}", choices[random.below(choices.len())]).expect("a string takes all");
        }
    }
    let nr_commands = 1 + random.below(COMMANDS_MAX);
    let mut commands: Vec<&str> = (0..nr_commands).map(|_| WORK[random.below(WORK.len())]).collect();
    let end = format!("echo {END}");
    commands.push(&end);
    Boot { arguments, commands: commands.join("; ") }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_boots_and_no_two_are_alike() {
        let boots: Vec<Boot> = (0..20).map(|number| boot(1, number)).collect();
        assert_eq!(boots, (0..20).map(|number| boot(1, number)).collect::<Vec<_>>());
        for (number, one) in boots.iter().enumerate() {
            assert!(boots[..number].iter().all(|other| other != one), "{one:?}");
        }
        assert_ne!(boots[0], boot(2, 0));
    }

    #[test]
    fn everything_is_chosen_some_time() {
        let text: String = (0..2000).map(|number| boot(1, number)).map(|boot| format!("{} {}; ", boot.arguments, boot.commands)).collect();
        for what in ARGUMENTS.iter().copied().flatten().chain(WORK) {
            assert!(text.contains(what), "{what}");
        }
    }
}
