//! Boot arguments: what is known, and what a wrong one says.

use super::firmware;
use crate::arch::NR_CPUS;
use crate::debug::detectors::settings::{OutOfRange, Setting};
use crate::debug::{bug, oops, panic};
use crate::log;
use crate::mm::kmalloc;
use crate::mm::page_alloc::slow;
use crate::mm::vmalloc::FAIL_VMALLOC;
use crate::mm::zone::Borders;
use crate::sync::rcu;
use crate::util::cmdline::{self, CommandLine, PARAMS, Param, ValueError};
use crate::util::errno::Errno;
use core::time::Duration;

macro_rules! params {
    ($($name:ident: $key:literal = $value:literal, $help:literal;)*) => {$(
        #[linkme::distributed_slice(PARAMS)]
        static $name: Param = Param { name: $key, value: $value, help: $help };
    )*};
}

params! {
    LOGLEVEL: "loglevel" = "0..8", "the console shows messages below this level";
    QUIET: "quiet" = "", "the console shows errors and worse";
    DEBUG: "debug" = "", "the console shows everything";
    IGNORE_LOGLEVEL: "ignore_loglevel" = "", "the console shows everything, whatever is set later";
    MAXCPUS: "maxcpus" = "1..4", "how many cores are brought up";
    MEM: "mem" = "SIZE", "use no memory above this size, such as 512M";
    ZONES: "zones" = "SIZE,SIZE", "end the zones DMA and DMA32 at these addresses instead of 1G,4G";
    SLUB_DEBUG: "slub_debug" = "[FZPU][,CACHE,..]", "check slab objects: F sanity, Z red zones, P poison, U users; all four if none is given";
    PAGE_OWNER: "page_owner" = "on|off", "note who allocates pages: the view page_owner, and an oops's report of what is lost";
    FAILSLAB: "failslab" = "INTERVAL,PERCENT,SPACE,TIMES", "let slab allocations fail, from the moment all cores run; TIMES -1: without end";
    FAIL_PAGE_ALLOC: "fail_page_alloc" = "INTERVAL,PERCENT,SPACE,TIMES", "likewise, requests for pages";
    FAIL_VMALLOC_PARAM: "fail_vmalloc" = "INTERVAL,PERCENT,SPACE,TIMES", "likewise, vmallocs";
    INIT_ON_ALLOC: "init_on_alloc" = "0|1", "zero every slab object when it is allocated";
    INIT_ON_FREE: "init_on_free" = "0|1", "zero every slab object when it is freed";
    RCU_STRICT: "rcu_strict_grace_period" = "", "every RCU read section's end is reported at once (builds with checks)";
    RCU_STALL: "rcu_stall_timeout" = "SECONDS", "report an RCU grace period that waits longer, 21 if not given; 0: never";
    PANIC: "panic" = "SECONDS", "reboot this long after a panic; 0 halts";
    PANIC_ON_OOPS: "panic_on_oops" = "[0|1]", "an oops ends the kernel and not only its thread";
    PANIC_ON_WARN: "panic_on_warn" = "[0|1]", "a warning ends the kernel";
    WATCHDOG_THRESH: "watchdog_thresh" = "SECONDS", "report a core that takes no interrupts for so long, or switches no threads for twice as long; 0: never";
    HUNG_TASK_TIMEOUT: "hung_task_timeout" = "SECONDS", "report a thread that sleeps uninterruptibly for so long; 0: never";
    SOFTLOCKUP_PANIC: "softlockup_panic" = "0|1", "panic at a soft lockup, not only report it";
    HARDLOCKUP_PANIC: "hardlockup_panic" = "0|1", "likewise at a hard lockup";
    HUNG_TASK_PANIC: "hung_task_panic" = "0|1", "likewise at a hung task";
    KTAP: "ktap" = "list|run:CASES", "a test suite's image: list its cases, or run these";
    RUN: "run" = "\"COMMANDS\"", "run these shell commands, then power off with their status";
}

/// The boot arguments. Context: any, after they were read.
pub fn argument() -> CommandLine<'static> {
    CommandLine::new(firmware::command_line())
}

/// Applies what concerns log and panic.
pub fn apply_early() {
    for argument in argument().iter() {
        let word = argument.key;
        match argument.value {
            None => {
                log::set_by_argument(word);
            }
            Some(_) if argument.is("loglevel") => {
                if let Some(level) = number("loglevel") {
                    log::set_console_loglevel(level.min(u64::from(u8::MAX)) as u8);
                }
            }
            Some(_) => {}
        }
    }
    if let Some(seconds) = number("panic") {
        panic::set_reboot_after(seconds.min(u64::from(u32::MAX)) as u32);
    }
    oops::set_panic_on_oops(is_switched_on("panic_on_oops"));
    bug::set_panic_on_warn(is_switched_on("panic_on_warn"));
    Setting::ALL.into_iter().for_each(preset_detector);
}

/// What the boot arguments say of a detector.
fn preset_detector(setting: Setting) {
    let name = setting.argument();
    let Some(value) = number(name) else { return };
    if let Err(OutOfRange { max }) = setting.preset(u32::try_from(value).unwrap_or(u32::MAX)) {
        pr_warn!("{}={}: 0 to {} are possible; ignored", name, value, max);
    }
}

/// `rcu_stall_timeout=`, `rcu_strict_grace_period`.
pub fn set_up_rcu() {
    if let Some(seconds) = number("rcu_stall_timeout") {
        rcu::set_stall_timeout(Duration::from_secs(seconds));
    }
    if argument().iter().any(|argument| argument.is("rcu_strict_grace_period")) && !rcu::set_strict(true) {
        pr_warn!("rcu_strict_grace_period: this build has no checks; build with the feature `debug`");
    }
}

/// `mem=`.
pub fn memory_limit() -> Option<u64> {
    number("mem")
}

/// `zones=`: where DMA and DMA32 end.
pub fn zone_borders() -> Option<Borders> {
    let text = argument().string("zones")?;
    let size = |text: &str| cmdline::parse_number(text).ok();
    let borders = text.split_once(',').and_then(|(dma, dma32)| Borders::new(size(dma)?, size(dma32)?));
    if borders.is_none() {
        pr_warn!("zones={}: not two ascending multiples of 4M, at most 1G and 4G, such as 256M,512M; ignored", text);
    }
    borders
}

/// `slub_debug`, which may stand alone: then its value is empty.
pub fn slub_debug() -> Option<&'static str> {
    argument().iter().find(|argument| argument.is("slub_debug")).map(|argument| argument.value.unwrap_or(""))
}

/// `page_owner=on`.
pub fn keeps_page_owners() -> bool {
    argument().string("page_owner") == Some("on")
}

/// `init_on_alloc=`, `init_on_free=`.
pub fn slab_zeroing() -> (bool, bool) {
    (number("init_on_alloc").is_some_and(|value| value != 0), number("init_on_free").is_some_and(|value| value != 0))
}

/// Arms what is to fail: `failslab=`, `fail_page_alloc=`, `fail_vmalloc=`. Context: thread, all cores run.
fn arm_failures() {
    type Setter = fn(&str) -> Result<(), Errno>;
    let setters: [(&str, Setter); 3] =
        [("failslab", kmalloc::set_failslab), ("fail_page_alloc", slow::set_failures), ("fail_vmalloc", |text| FAIL_VMALLOC.set(text))];
    for (key, set) in setters {
        if let Some(text) = argument().string(key)
            && set(text).is_err()
        {
            let _off = set("off");
            pr_warn!("{}={}: not INTERVAL,PERCENT,SPACE,TIMES, such as 1,10,0,-1; ignored", key, text);
        }
    }
}
crate::init_call!(arm_failures);

/// `maxcpus=`, all cores if it is not given.
///
/// One core, whatever is asked for, in a build with the feature `up`: its locks keep out nobody but this core.
pub fn max_cpus() -> usize {
    if cfg!(feature = "up") {
        return 1;
    }
    match number("maxcpus") {
        None => NR_CPUS,
        Some(count @ 1..=4) => count as usize,
        Some(count) => {
            pr_warn!("maxcpus={}: there are 1 to {} cores; using {}", count, NR_CPUS, NR_CPUS);
            NR_CPUS
        }
    }
}

/// Whether `name` stands alone, or `name=` with another number than 0.
fn is_switched_on(name: &str) -> bool {
    let stands_alone = argument().iter().any(|argument| argument.is(name) && argument.value.is_none());
    stands_alone || number(name).is_some_and(|value| value != 0)
}

/// A number given as `name=`, warned about if it is none.
fn number(name: &str) -> Option<u64> {
    let report = |error: &ValueError| pr_warn!("boot argument {}: {}; ignored. `params` lists what is known.", name, error);
    argument().number(name).inspect_err(report).ok().flatten()
}

/// Names the arguments that nothing here knows: a typing error, or one of the many that the Pi's firmware adds for Linux. So this is no warning.
pub fn report_unknown() {
    for unknown in argument().unknown(&PARAMS) {
        pr_info!("boot argument {} is not known; `params` lists what is.", unknown.key);
    }
}
