//! The machine's devices as the kernel holds them: one static for each driver, and the answers to what lower layers ask of the board.
//!
//! Made once, by `init`, on core 0 before anything asks; `spin::Once` hands them out afterwards without a lock. Each has the lock that its
//! driver's doc asks for. What the panic path needs (a port, a LED, a reset) is made from the address on the spot: no lock, no state.

use super::rpi4::{self, Device};
use crate::arch::{counter, layout};
use crate::debug::panic;
use crate::drivers::act_led::{ActLed, BlinkCode, Heartbeat, PanicLed};
use crate::drivers::arch_timer::{ArchTimer, VirtualTimer};
use crate::drivers::gicv2::{CpuMask, Gicv2, IntId, RawIar, SgiId, SgiTarget};
use crate::drivers::gpio::Gpio;
use crate::drivers::mailbox::{Mailbox, PropertyBuffer};
use crate::drivers::serial;
use crate::drivers::watchdog::Watchdog;
use crate::sync::{IrqSpinLock, SpinLock};
use crate::time::{self, Timer};
use crate::{arch, cpu};
use core::time::Duration;
use spin::Once;

static GIC: Once<Gicv2> = Once::new();
static GPIO: Once<Gpio> = Once::new();
static LED: Once<IrqSpinLock<Led>> = Once::new();
/// Lock order: thread context only; innermost.
static MAILBOX: Once<SpinLock<Mailbox>> = Once::new();
static WATCHDOG: Once<SpinLock<Watchdog>> = Once::new();
static MAILBOX_BUFFER: PropertyBuffer = PropertyBuffer::new();

struct Led {
    pin: ActLed<'static>,
    beat: Heartbeat,
}

/// Virtual address of a device's registers, in the window that `init` maps before anything here is used.
pub fn window(device: &Device) -> usize {
    layout::DEVICE_BASE + (device.base - rpi4::PERIPHERALS.start().value()) as usize
}

/// Makes the drivers that need nothing but their registers. Once, by `init`.
///
/// # Safety
/// The device window is mapped, and nobody else drives these devices.
pub unsafe fn init() {
    // SAFETY: the caller's promise; `call_once` makes this the only one.
    GIC.call_once(|| unsafe { Gicv2::new(window(&rpi4::GICD), window(&rpi4::GICC)) });
    // SAFETY: likewise.
    GPIO.call_once(|| unsafe { Gpio::new(window(&rpi4::GPIO)) });
    // SAFETY: likewise.
    WATCHDOG.call_once(|| SpinLock::new(unsafe { Watchdog::new(window(&rpi4::PM)) }));
    let buffer_phys = (&raw const MAILBOX_BUFFER as usize - layout::IMAGE_OFFSET) as u64;
    // SAFETY: likewise; the buffer is given to this mailbox alone and lies in the image, mapped cacheable at this physical address.
    if let Ok(mailbox) = unsafe { Mailbox::new(window(&rpi4::MAILBOX), &MAILBOX_BUFFER, buffer_phys) } {
        MAILBOX.call_once(|| SpinLock::new(mailbox));
    }
}

/// The interrupt controller. Context: any, after `init`.
#[inline]
pub fn gic() -> &'static Gicv2 {
    GIC.get().expect("init makes the drivers first")
}

/// The GPIO block. Context: any, after `init`.
pub fn gpio() -> &'static Gpio {
    GPIO.get().expect("init makes the drivers first")
}

/// The mailbox, if its buffer lies where the VideoCore can reach it.
pub fn mailbox() -> Option<&'static SpinLock<Mailbox>> {
    MAILBOX.get()
}

/// The watchdog. Context: any, after `init`.
pub fn watchdog() -> &'static SpinLock<Watchdog> {
    WATCHDOG.get().expect("init makes the drivers first")
}

/// Takes the LED for the heartbeat; false if someone has its pin.
pub fn start_heartbeat() -> bool {
    let Ok(pin) = ActLed::claim(gpio()) else { return false };
    LED.call_once(|| IrqSpinLock::new(Led { pin, beat: Heartbeat::new() }));
    HEARTBEAT.start(Duration::ZERO);
    true
}

/// What was said leaves the wire before the machine ends. A panic has sent all it had to say, and takes no lock.
fn say_last_words() {
    if !panic::is_panicking() {
        // A wire that takes nothing has no say in whether the machine goes off.
        let _ = serial::flush();
    }
}

/// Boots the machine anew. Does not return where the watchdog works; else halts.
///
/// Context: any.
pub fn reboot() -> ! {
    say_last_words();
    // SAFETY: made for this reboot alone; the driver's doc allows a second value for it.
    unsafe { Watchdog::new(window(&rpi4::PM)) }.reboot();
    arch::halt();
}

/// Switches the machine off, as far as a Pi can: the firmware halts. An emulator ends with `code`.
///
/// Context: any.
pub fn power_off(code: u32) -> ! {
    say_last_words();
    arch::semihosting::exit(code);
    // SAFETY: made for this reset alone, as in `reboot`.
    unsafe { Watchdog::new(window(&rpi4::PM)) }.power_off();
    arch::halt();
}

/// Resets this core's timer and starts its tick. Once for each core, irqs masked.
pub fn start_tick() {
    ArchTimer::<VirtualTimer>::new().init();
    time::tick::start();
}

/// The line of the tick.
pub const TICK_LINE: IntId = ArchTimer::<VirtualTimer>::INTID;

#[unsafe(no_mangle)]
fn tetra_timer_set_deadline(deadline: u64) {
    let timer = ArchTimer::<VirtualTimer>::new();
    if deadline == u64::MAX { timer.stop() } else { timer.set_deadline(deadline) }
}

/// Shows a phase of the heartbeat and waits for the next. An idle core wakes for it some times a second.
static HEARTBEAT: Timer<()> = Timer::new((), |timer| {
    let Some(led) = LED.get() else { return };
    let mut led = led.lock();
    let phase = led.beat.step();
    led.pin.show(phase);
    timer.start_pinned(Duration::from_millis(u64::from(phase.duration_ms)));
});

#[unsafe(no_mangle)]
fn tetra_panic_end(reboot_after_s: u32) -> ! {
    // SAFETY: the window is mapped since before the first thing that could panic with a report; sharing is this type's purpose.
    let led = unsafe { PanicLed::new(window(&rpi4::GPIO)) };
    let deadline = counter::now() + u64::from(reboot_after_s) * counter::frequency_hz();
    let code = if panic::is_nested() { BlinkCode::NestedPanic } else { BlinkCode::Panic };
    while reboot_after_s == 0 || counter::now() < deadline {
        led.blink(code, || reboot_after_s == 0 || counter::now() < deadline);
    }
    reboot()
}

#[unsafe(no_mangle)]
fn tetra_irqchip_acknowledge() -> u32 {
    gic().acknowledge().raw()
}

#[unsafe(no_mangle)]
fn tetra_irqchip_end(raw: u32) {
    gic().end(RawIar::from_raw(raw));
}

#[unsafe(no_mangle)]
fn tetra_irqchip_send_sgi(sgi: u8, targets: u32) {
    if let Some(gic) = GIC.get() {
        gic.send_sgi(SgiId::new(sgi), SgiTarget::Mask(CpuMask::from_bits(targets as u8)));
    }
}

#[unsafe(no_mangle)]
fn tetra_irqchip_set_enabled(line: u16, enabled: bool) -> bool {
    IntId::new(line).is_some_and(|line| if enabled { gic().enable(line).is_ok() } else { gic().disable(line).is_ok() })
}

#[unsafe(no_mangle)]
fn tetra_irqchip_set_affinity(line: u16, cpus: u32) -> bool {
    IntId::new(line).is_some_and(|line| gic().set_targets(line, CpuMask::from_bits(cpus as u8)).is_ok())
}

/// Names a core for lines that only one can take.
pub fn route_to(line: IntId, cpu: usize) -> bool {
    cpu < cpu::NR_CPUS && gic().set_targets(line, CpuMask::one(cpu)).is_ok()
}
