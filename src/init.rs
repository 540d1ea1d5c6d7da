//! The boot order, one call a line. `docs/boot.md` tells why each thing stands where it does.
//!
//! Core 0 comes here from start.S with MMU and caches on, irqs masked, on its idle stack. Until the console stands, what is logged waits in the rings.

mod audit;
mod commands;
mod console;
#[cfg(feature = "defmt")]
mod defmt_formats;
pub mod entry;
mod firmware;
mod memory;
mod params;
mod run;
mod smp;

pub use firmware::command_line;
pub use params::argument;
pub use smp::{call_in_idle_thread, entry_level};

use crate::arch::boot::BootInfo;
use crate::arch::{self, layout, mmu};
use crate::debug::{self, symbols};
use crate::mm::{heap, kernel_map};
use crate::platform::{hardware, rpi4};
use crate::sched::{self, idle, kthread};
use crate::sync::rcu;
use crate::{bench, cpu, irq, log, time, upcalls};

/// Upcall of arch: core 0 has reached Rust.
#[unsafe(no_mangle)]
fn tetra_boot_primary(info: BootInfo) -> ! {
    sched::adopt_idle();
    rcu::start_core();
    heap::start();
    smp::set_entry_level(info.entry_el);
    mmu::set_kernel_end(info.kernel_end);
    map_devices();
    log::install_facade();

    firmware::ask_mailbox();
    console::start();
    banner();
    arch::semihosting::probe();
    load_symbols(info.symtab_len);
    firmware::read_device_tree(info.firmware_x0);
    firmware::read_command_line();
    params::apply_early();
    params::set_up_rcu();
    console::show();

    memory::build_map(&info, params::memory_limit());
    memory::map_linear(&info);
    memory::protect_image(&info).expect("start.S maps the image by pages");
    memory::reserve_stacks();
    memory::start_page_allocator(params::zone_borders());
    memory::start_kmalloc();

    irq::tasklet::init();
    time::init();
    start_interrupts();
    console::go_interrupt_driven();
    hardware::start_heartbeat();
    smp::start_secondaries(params::max_cpus());
    params::report_unknown();
    start_init_thread();
    // Boot's frames are not coming back: its stack is the idle thread's from here on.
    // SAFETY: what the threads and the other cores know of boot are statics; nothing of this frame was lent to them.
    unsafe { arch::boot::restart_on_idle_stack(idle::idle) }
}

/// Thread 1 ends the boot, in a context in which everything may be done, and goes on as the image's own code. On core 0: there the console's interrupts
/// come, and what a test or a command says of "this core" stays true.
fn start_init_thread() {
    let init = kthread::Builder::new("init").affinity(1).run(|| {
        irq::softirq::start_threads();
        sched::load::start();
        sched::workqueue::start();
        debug::detectors::start();
        entry::run_init_calls();
        audit::at_boot();
        upcalls::image_main();
    });
    init.expect("there is memory for the first thread").detach();
}

/// Maps the peripherals and makes the drivers that need nothing else.
fn map_devices() {
    let range = rpi4::PERIPHERALS;
    let (phys, len) = (range.start().value(), range.size() as usize);
    // SAFETY: the window is the devices', and no other mapping shows them.
    kernel_map::with_mapper(|mapper| unsafe { mapper.map(layout::DEVICE_BASE, phys, len, mmu::Attributes::Device) })
        .expect("the pool has tables and nothing is mapped yet");
    // SAFETY: the window is mapped now, and this is the first that anybody hears of these devices.
    unsafe { hardware::init() };
}

fn banner() {
    pr_notice!("Tetra {} on {} cores: {}", env!("CARGO_PKG_VERSION"), arch::NR_CPUS, BUILD);
    if let Some(board) = firmware::mailbox().board {
        pr_info!("board: {}", board);
    }
}

/// The build's features, for the banner and `version`.
pub(crate) const BUILD: &str = if cfg!(feature = "debug") { "checks on" } else { "checks off" };

fn load_symbols(len: usize) {
    match symbols::init(len) {
        Ok(table) => pr_info!("symbols: {} in {} bytes", table.len(), len),
        Err(error) => pr_warn!("symbols: none ({}): reports will show bare addresses. tools mkimage appends the table.", error),
    }
}

fn start_interrupts() {
    let gic = hardware::gic();
    gic.init_distributor();
    gic.init_cpu();
    if let Err(error) = irq::request(hardware::TICK_LINE.number(), "timer", time::tick::on_interrupt, 0) {
        pr_err!("timer: {:?}: time will stand still", error);
    }
    smp::start_own_interrupts();
    cpu::set_online();
    arch::irq::unmask_serror();
    // SAFETY: masked since this core's entry, by no guard; its interrupts are set up.
    unsafe { arch::irq::unmask() };
}

/// The shipped kernel's own code: runs `run=` if the boot arguments have it, else serves the prompt for ever.
///
/// Context: thread, core 0.
pub fn serve_shell() -> ! {
    let shell = run::shell();
    bench::note_prompt();
    if let Some(script) = argument().string("run") {
        run::script_then_power_off(shell, script);
    }
    shell.run()
}
