//! Bringing up the other cores.
//!
//! A core waits in the firmware's spin table (or in start.S's pen, when nobody held it) with its caches off, polling a 64-bit word. It is given the
//! entry's physical address: written, cleaned to the point of coherency so that it can be seen at all, and announced by SEV. Everything
//! else that it reads before its own MMU is on, text and `boot_page_tables`, was in memory before: the loader put it there, or start.S wrote it with
//! caches off.
//!
//! A core that does not come is named, with what it was given, and the Pi's usual word is tried if the device tree named another; failing that the
//! kernel runs on without it.

use crate::arch::{self, NR_CPUS, boot, cache, layout, mmu};
use crate::cpu;
use crate::irq;
use crate::mm::addr::PhysAddr;
use crate::mm::kernel_map;
use crate::platform::{hardware, rpi4};
use crate::sched::{self, idle, kthread};
use crate::sync::rcu;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// How long a core may take from release to being online. Microseconds on the board; an emulated core may have to wait for the host.
const TIMEOUT_MS: u64 = 3000;
/// Where the page of a release address is mapped for the moment of writing: nothing else of physical page 0 is ever reachable.
const SPIN_TABLE_WINDOW: usize = layout::DEVICE_BASE + layout::DEVICE_SIZE * 3 / 4;

/// Exception level at which each core entered; 0: not yet.
static ENTRY_LEVEL: [AtomicU8; NR_CPUS] = [const { AtomicU8::new(0) }; NR_CPUS];

/// The exception level at which core `cpu` was entered, if it was.
pub fn entry_level(cpu: usize) -> Option<u8> {
    ENTRY_LEVEL.get(cpu).map(|level| level.load(Ordering::Relaxed)).filter(|level| *level != 0)
}

/// Notes the level at which this core entered.
pub fn set_entry_level(level: u8) {
    ENTRY_LEVEL[cpu::id()].store(level, Ordering::Relaxed);
}

/// Releases the cores 1 to `max_cpus - 1`, one after the other, and waits for each.
///
/// Context: boot, core 0, irqs on.
pub fn start_secondaries(max_cpus: usize) {
    for target in 1..max_cpus.min(NR_CPUS) {
        if release_addresses(target).any(|address| start(target, address)) {
            pr_info!("cpu{}: online, entered at EL{}", target, entry_level(target).unwrap_or(0));
        }
    }
}

/// Where core `target` may be polling: what the device tree says, if that can be, and the Pi's spin table.
fn release_addresses(target: usize) -> impl Iterator<Item = u64> {
    let tree = super::firmware::device_tree();
    let usual = rpi4::SPIN_TABLE[target];
    let in_tree = tree.cpus.iter().find(|facts| facts.mpidr as usize & 0xff == target).and_then(|facts| facts.release_address);
    let other = in_tree.filter(|address| *address != usual).filter(|address| {
        let is_possible = is_release_word(*address);
        if !is_possible {
            pr_warn!("cpu{}: the device tree's cpu-release-addr {:#x} is no word of page 0: not used", target, address);
        }
        is_possible
    });
    other.into_iter().chain([usual])
}

/// Whether a core of this machine can be polling there: the Pi's stub and its spin table lie in page 0. Anything else in a device tree is damage, and
/// obeying it would overwrite what lies there.
fn is_release_word(address: u64) -> bool {
    address.is_multiple_of(size_of::<u64>() as u64) && rpi4::FIRMWARE_PAGE.contains(PhysAddr::new(address))
}

/// Releases core `target` at `address`; false, and a message, if it does not come.
fn start(target: usize, address: u64) -> bool {
    // A wrong address of an earlier core may have released it.
    if cpu::is_online(target) {
        return true;
    }
    let entry = boot::secondary_entry_phys();
    if !release(target, entry, address) {
        return false;
    }
    let has_come = wait_until_online(target);
    if !has_come {
        pr_err!("cpu{} did not come up within {} ms of being given {:#x} at {:#x}", target, TIMEOUT_MS, entry, address);
    }
    has_come
}

/// Writes `entry` where core `target` waits; false, and a message, if that cannot be it.
fn release(target: usize, entry: u64, address: u64) -> bool {
    let pen = boot::pen_word(target);
    pen.store(entry, Ordering::Relaxed);
    cache::clean_to_poc(&raw const *pen as usize, size_of::<u64>());

    let page = address & !(mmu::PAGE_SIZE as u64 - 1);
    // SAFETY: the window is this function's; the page is the firmware's, cached memory like all RAM, and only the one word is written.
    let mapped = kernel_map::with_mapper(|mapper| unsafe { mapper.map(SPIN_TABLE_WINDOW, page, mmu::PAGE_SIZE, mmu::Attributes::Data) });
    if let Err(error) = mapped {
        pr_err!("cpu{}: its release address {:#x} cannot be mapped: {:?}", target, address, error);
        return false;
    }
    let word = SPIN_TABLE_WINDOW + (address - page) as usize;
    // SAFETY: the page is mapped for this core alone and the word is a multiple of 8 (`is_release_word`, or the constant); the waiting core reads it
    // as one 64-bit word.
    let cell = unsafe { &*(word as *const AtomicU64) };
    // Elsewhere than in the table a word that is not empty is code of the stub, in which the cores wait.
    let is_free = rpi4::SPIN_TABLE.contains(&address) || cell.load(Ordering::Relaxed) == 0;
    if is_free {
        cell.store(entry, Ordering::Relaxed);
        cache::clean_invalidate_to_poc(word, size_of::<u64>());
        arch::sev();
    } else {
        pr_warn!("cpu{}: the device tree's cpu-release-addr {:#x} holds something else: not used", target, address);
    }
    // SAFETY: `cell` is not used any more.
    kernel_map::with_mapper(|mapper| unsafe { mapper.unmap(SPIN_TABLE_WINDOW, mmu::PAGE_SIZE) }).expect("it was mapped just now");
    is_free
}

fn wait_until_online(target: usize) -> bool {
    let deadline = arch::counter::now() + arch::counter::frequency_hz() * TIMEOUT_MS / 1000;
    while !cpu::is_online(target) {
        if arch::counter::now() > deadline {
            return false;
        }
        arch::relax();
    }
    true
}

/// Upcall of arch: another core has reached Rust: link address, caches on, on its idle stack, irqs masked.
#[unsafe(no_mangle)]
fn tetra_boot_secondary(_cpu: usize, entry_el: u8) -> ! {
    sched::adopt_idle();
    rcu::start_core();
    set_entry_level(entry_el);
    hardware::gic().init_cpu();
    start_own_interrupts();
    cpu::set_online();
    arch::irq::unmask_serror();
    // SAFETY: masked since this core's entry, by no guard; its interrupts are set up.
    unsafe { arch::irq::unmask() };
    idle::idle()
}

/// The tick of this core. Context: boot, irqs masked, after its interrupt interface is set up.
pub fn start_own_interrupts() {
    hardware::start_tick();
    if cpu::id() != 0 {
        irq::lines::enable_on_this_cpu(hardware::TICK_LINE.number()).expect("core 0 requested the tick first");
    }
}

/// Has a thread on core `cpu` call `function`. Does not wait. False if the core is offline or the caller's own, or there is no memory for a thread.
pub fn call_in_idle_thread(cpu: usize, function: fn()) -> bool {
    const NAMES: [&str; NR_CPUS] = ["call/0", "call/1", "call/2", "call/3"];
    if !cpu::is_online(cpu) || cpu == cpu::id() {
        return false;
    }
    kthread::Builder::new(NAMES[cpu]).affinity(1 << cpu).run(function).map(kthread::JoinHandle::detach).is_ok()
}
