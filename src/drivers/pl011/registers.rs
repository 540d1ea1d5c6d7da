//! Register layout of the PL011. Offsets: ARM DDI 0183G table 3-1; each register's bits by the section named beside it.

use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

register_bitfields! { u32,
    /// Data, §3.3.1. Reading takes a character out of the receive FIFO, with its errors; writing sends one.
    pub DR [
        /// The character.
        DATA OFFSET(0) NUMBITS(8) [],
        /// No stop bit.
        FE OFFSET(8) NUMBITS(1) [],
        /// Wrong parity.
        PE OFFSET(9) NUMBITS(1) [],
        /// The line was low for longer than a character.
        BE OFFSET(10) NUMBITS(1) [],
        /// The FIFO was full and characters after this one were lost.
        OE OFFSET(11) NUMBITS(1) []
    ],
    /// Flags, §3.3.3.
    pub FR [
        /// A character is being sent.
        BUSY OFFSET(3) NUMBITS(1) [],
        /// Receive FIFO empty.
        RXFE OFFSET(4) NUMBITS(1) [],
        /// Transmit FIFO full.
        TXFF OFFSET(5) NUMBITS(1) [],
        /// Transmit FIFO empty.
        TXFE OFFSET(7) NUMBITS(1) []
    ],
    /// Integer part of the divisor, §3.3.5.
    pub IBRD [ DIVINT OFFSET(0) NUMBITS(16) [] ],
    /// Fraction of the divisor in 64ths, §3.3.6.
    pub FBRD [ DIVFRAC OFFSET(0) NUMBITS(6) [] ],
    /// Line control, §3.3.7.
    pub LCR_H [
        /// Enables the FIFOs.
        FEN OFFSET(4) NUMBITS(1) [],
        /// Character length.
        WLEN OFFSET(5) NUMBITS(2) [ EightBits = 3 ]
    ],
    /// Control, §3.3.8.
    pub CR [
        UARTEN OFFSET(0) NUMBITS(1) [],
        TXE OFFSET(8) NUMBITS(1) [],
        RXE OFFSET(9) NUMBITS(1) []
    ],
    /// FIFO levels that interrupt, §3.3.9.
    pub IFLS [
        TXIFLSEL OFFSET(0) NUMBITS(3) [ OneEighth = 0, Half = 2 ],
        RXIFLSEL OFFSET(3) NUMBITS(3) [ OneEighth = 0, Half = 2 ]
    ],
    /// Interrupt sources: mask §3.3.10, raw §3.3.11, masked §3.3.12, clear §3.3.13, all of one shape.
    pub INTERRUPT [
        /// Receive FIFO passed its level.
        RX OFFSET(4) NUMBITS(1) [],
        /// Transmit FIFO drained through its level.
        TX OFFSET(5) NUMBITS(1) [],
        /// Characters are waiting and none came for 32 bit times.
        RT OFFSET(6) NUMBITS(1) [],
        FE OFFSET(7) NUMBITS(1) [],
        PE OFFSET(8) NUMBITS(1) [],
        BE OFFSET(9) NUMBITS(1) [],
        OE OFFSET(10) NUMBITS(1) []
    ]
}

register_structs! {
    /// The registers of one PL011.
    pub Registers {
        (0x000 => pub dr: ReadWrite<u32, DR::Register>),
        /// Error clear, §3.3.2: writing anything clears the overrun.
        (0x004 => pub ecr: ReadWrite<u32>),
        (0x008 => _reserved0),
        (0x018 => pub fr: ReadOnly<u32, FR::Register>),
        (0x01c => _reserved1),
        (0x024 => pub ibrd: ReadWrite<u32, IBRD::Register>),
        (0x028 => pub fbrd: ReadWrite<u32, FBRD::Register>),
        (0x02c => pub lcr_h: ReadWrite<u32, LCR_H::Register>),
        (0x030 => pub cr: ReadWrite<u32, CR::Register>),
        (0x034 => pub ifls: ReadWrite<u32, IFLS::Register>),
        (0x038 => pub imsc: ReadWrite<u32, INTERRUPT::Register>),
        (0x03c => pub ris: ReadOnly<u32, INTERRUPT::Register>),
        (0x040 => pub mis: ReadOnly<u32, INTERRUPT::Register>),
        (0x044 => pub icr: WriteOnly<u32, INTERRUPT::Register>),
        /// DMA control, §3.3.14.
        (0x048 => pub dmacr: ReadWrite<u32>),
        (0x04c => @END),
    }
}

/// All bits of `ICR`.
pub const ALL_INTERRUPTS: u32 = 0x7ff;
