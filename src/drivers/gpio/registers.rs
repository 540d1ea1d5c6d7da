//! Register layout of the BCM2711's GPIO block: BCM2711 ARM Peripherals §5.2. Differs from older chips in the pull registers (0xe4).

use tock_registers::register_structs;
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};

register_structs! {
    /// The GPIO block. Of two registers, the first holds pins 0-31 and the second 32-57, one bit each, unless said otherwise.
    pub Registers {
        /// GPFSEL: three bits a pin, ten pins a register.
        (0x00 => pub fsel: [ReadWrite<u32>; 6]),
        (0x18 => _reserved0),
        /// GPSET: write one to drive high.
        (0x1c => pub set: [WriteOnly<u32>; 2]),
        (0x24 => _reserved1),
        /// GPCLR: write one to drive low.
        (0x28 => pub clr: [WriteOnly<u32>; 2]),
        (0x30 => _reserved2),
        /// GPLEV: the level at the pin.
        (0x34 => pub lev: [ReadOnly<u32>; 2]),
        (0x3c => _reserved3),
        /// GPEDS: event detected; write one to clear.
        (0x40 => pub eds: [ReadWrite<u32>; 2]),
        (0x48 => _reserved4),
        /// GPREN: detect rising edges.
        (0x4c => pub ren: [ReadWrite<u32>; 2]),
        (0x54 => _reserved5),
        /// GPFEN: detect falling edges.
        (0x58 => pub fen: [ReadWrite<u32>; 2]),
        (0x60 => _reserved6),
        /// GPHEN: detect high level.
        (0x64 => pub hen: [ReadWrite<u32>; 2]),
        (0x6c => _reserved7),
        /// GPLEN: detect low level.
        (0x70 => pub len: [ReadWrite<u32>; 2]),
        (0x78 => _reserved8),
        /// GPAREN: detect rising edges asynchronously.
        (0x7c => pub aren: [ReadWrite<u32>; 2]),
        (0x84 => _reserved9),
        /// GPAFEN: detect falling edges asynchronously.
        (0x88 => pub afen: [ReadWrite<u32>; 2]),
        (0x90 => _reserved10),
        /// GPIO_PUP_PDN_CNTRL: two bits a pin, sixteen pins a register.
        (0xe4 => pub pull: [ReadWrite<u32>; 4]),
        (0xf4 => @END),
    }
}
