//! Host tests over plain memory: which bits of which register a call changes.

use super::*;
use crate::drivers::fake::FakeRegisters;

fn fake() -> (FakeRegisters, Gpio) {
    let block = FakeRegisters::new(0x1000);
    // SAFETY: leaked memory of the right size, aligned to a page.
    (block, unsafe { Gpio::new(block.base()) })
}

#[test]
fn a_pin_has_one_owner() {
    let (_, gpio) = fake();
    let number = PinNumber::of(17);
    let pin = gpio.claim(number).unwrap();
    assert_eq!(gpio.claim(number).err(), Some(GpioError::Claimed(number)));
    assert!(gpio.claimed().contains(number));
    drop(pin);
    gpio.claim(number).unwrap().leak();
    assert!(gpio.claim(number).is_err());
}

#[test]
fn settings_leave_other_pins_alone() {
    let (block, gpio) = fake();
    for offset in [0x10, 0xec] {
        block.write(offset, u32::MAX);
    }
    let pin = gpio.claim(PinNumber::of(42)).unwrap();
    pin.set_function(Function::Output);
    assert_eq!((block.read(0x10), gpio.function(pin.number())), (!(0b110 << 6), Function::Output));
    pin.set_pull(Pull::Down);
    assert_eq!(block.read(0xec), !(0b01 << 20));
}

#[test]
fn levels() {
    let (block, gpio) = fake();
    let (low, high) = (gpio.claim(PinNumber::of(31)).unwrap(), gpio.claim(PinNumber::of(32)).unwrap());
    low.set_high();
    high.set_low();
    assert_eq!((block.read(0x1c), block.read(0x20), block.read(0x28), block.read(0x2c)), (1 << 31, 0, 0, 1));
    block.write(0x38, 1);
    assert!(!low.is_high() && high.is_high());
    assert_eq!(gpio.levels(), PinSet::EMPTY.with(PinNumber::of(32)));
}

#[test]
fn detection_is_replaced_and_ends_with_the_owner() {
    const ENABLES: [usize; 6] = [0x4c, 0x58, 0x64, 0x70, 0x7c, 0x88];
    let (block, gpio) = fake();
    let enabled = || ENABLES.map(|offset| block.read(offset) >> 17 & 1);
    let pin = gpio.claim(PinNumber::of(17)).unwrap();
    let cases = [
        (Detect::RisingEdge, [1, 0, 0, 0, 0, 0]),
        (Detect::BothEdges, [1, 1, 0, 0, 0, 0]),
        (Detect::FallingEdge, [0, 1, 0, 0, 0, 0]),
        (Detect::HighLevel, [0, 0, 1, 0, 0, 0]),
        (Detect::LowLevel, [0, 0, 0, 1, 0, 0]),
        (Detect::AsyncRisingEdge, [0, 0, 0, 0, 1, 0]),
        (Detect::AsyncFallingEdge, [0, 0, 0, 0, 0, 1]),
    ];
    for (detect, expected) in cases {
        pin.enable_detect(detect);
        assert_eq!(enabled(), expected);
    }
    drop(pin);
    assert_eq!(enabled(), [0; 6]);
}

#[test]
fn events_are_cleared_by_writing_what_was_read() {
    let (block, gpio) = fake();
    block.write(0x40, 0x0002_0001);
    block.write(0x44, 0);
    let wanted = PinSet::EMPTY.with(PinNumber::of(17)).with(PinNumber::of(18));
    assert_eq!(gpio.take_events(wanted).collect::<Vec<_>>(), [PinNumber::of(17)]);
    // Plain memory keeps what was written last: exactly the bit that was taken.
    assert_eq!(block.read(0x40), 1 << 17);
}

#[test]
fn console_is_taken_off_the_bluetooth_pins() {
    let (block, gpio) = fake();
    // As the firmware leaves it without an overlay: 30-33 on ALT3, and 34 (SD card) on ALT3 too, which is none of ours.
    block.write(0x0c, 0o77777);
    assert_eq!(gpio.console_snapshot().others.map(PinNumber::get).collect::<Vec<_>>(), [30, 31, 32, 33]);
    let pins = gpio.route_console().unwrap();
    assert_eq!((block.read(0x0c), block.read(0x04)), (0o70000, 0o44 << 12));
    assert_eq!(block.read(0xe4) >> 28, 0b0100);
    let expected = ConsolePinSnapshot { console: [CONSOLE_FUNCTION; 2], others: PinSet::EMPTY };
    assert_eq!(gpio.console_snapshot(), expected);
    assert!(gpio.route_console().is_err());
    drop(pins);
}
