//! What a class was seen doing with interrupts: eight bits, each of which is an edge between the class and an interrupt.
//!
//! | bit | meaning | edge |
//! |---|---|---|
//! | 0, 1 | waited for in a hardirq, to exclude (0) or as a reader beside readers (1) | `hardirq -> class`, EN or ER |
//! | 2, 3 | the same in a softirq | `softirq -> class` |
//! | 4, 5 | held while hardirqs were on, alone (4) or shared (5) | `class -> hardirq`, EN or SN |
//! | 6, 7 | held while softirqs were on | `class -> softirq` |
//!
//! A bit is set once, under the graph's lock; the way that is taken a million times only sees that nothing is new.

use super::context::{Context, Level};
use super::graph::Kind;
use crate::sync::lock_class::ClassId;
use crate::sync::meta::Access;

/// A set of the bits above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage(u8);

/// An edge between a class and an interrupt.
#[derive(Clone, Copy, Debug)]
pub struct IrqEdge {
    /// Where it begins.
    pub from: ClassId,
    /// Where it ends.
    pub to: ClassId,
    /// Its kind.
    pub kind: Kind,
    /// Its bit.
    pub bit: Usage,
}

const TAKEN_IN_HARDIRQ: u32 = 0;
const TAKEN_IN_SOFTIRQ: u32 = 2;
const HELD_WITH_HARDIRQS_ON: u32 = 4;
const HELD_WITH_SOFTIRQS_ON: u32 = 6;

impl Usage {
    /// From the number that `bits` gave.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// As a number.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Of a lock that is waited for in `context`.
    pub fn of_wait(access: Access, context: &Context) -> Self {
        let is_recursive = u32::from(access == Access::SharedRecursive);
        match context.level {
            Level::Thread => Self(0),
            Level::Softirq => Self(1 << (TAKEN_IN_SOFTIRQ + is_recursive)),
            Level::Hardirq => Self(1 << (TAKEN_IN_HARDIRQ + is_recursive)),
        }
    }

    /// Of a lock that is held in `context`.
    pub fn of_hold(access: Access, context: &Context) -> Self {
        let is_shared = u32::from(access != Access::Exclusive);
        let mut bits = 0;
        if context.hardirqs_on {
            bits |= 1 << (HELD_WITH_HARDIRQS_ON + is_shared);
        }
        if context.softirqs_on {
            bits |= 1 << (HELD_WITH_SOFTIRQS_ON + is_shared);
        }
        Self(bits)
    }

    /// Both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this one and not in `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// True if no bit is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The edges that the bits stand for, for `class`.
    pub fn edges(self, class: ClassId) -> impl Iterator<Item = IrqEdge> {
        (0..u8::BITS).filter(move |bit| self.0 & 1 << bit != 0).map(move |bit| {
            let irq = if bit & 2 == 0 { ClassId::HARDIRQ } else { ClassId::SOFTIRQ };
            let is_odd = bit & 1 != 0;
            let bit_alone = Self(1 << bit);
            if bit < HELD_WITH_HARDIRQS_ON {
                IrqEdge { from: irq, to: class, kind: Kind { is_exclusive: true, is_recursive: is_odd }, bit: bit_alone }
            } else {
                IrqEdge { from: class, to: irq, kind: Kind { is_exclusive: !is_odd, is_recursive: false }, bit: bit_alone }
            }
        })
    }

    /// Four letters, for hardirq and softirq, each alone and shared: `-` taken in it, `+` held with it on, `?` both, `.` neither.
    pub fn letters(self) -> [char; 4] {
        [0, 1, 2, 3].map(|at| match (self.0 >> at & 1, self.0 >> (at + HELD_WITH_HARDIRQS_ON) & 1) {
            (0, 0) => '.',
            (1, 0) => '-',
            (0, _) => '+',
            _ => '?',
        })
    }
}
