//! What is tortured: a primitive, as the few calls that torture needs of it.
//!
//! Plain function pointers in tables: a new primitive is one entry. Rejected: a trait for each kind, which would need a type for each entry.

use super::random::Random;

/// Calls what is inside.
pub type Inside<'a> = &'a dyn Fn();

/// What is tortured.
pub enum Kind {
    /// Admits one writer, or readers.
    Lock { write: fn(Inside<'_>), read: Option<fn(Inside<'_>)> },
    /// Hands over what is given; `take` is false if nothing came in time.
    HandOver { give: fn(), take: fn() -> bool },
    /// Shows a value that others replace; `get` is false if it was torn or freed.
    Value { set: fn(u64), get: fn() -> bool },
    /// Gives out memory; false if it was not the taker's alone.
    Memory(fn(&mut Random) -> bool),
}

/// One primitive.
pub struct Subject {
    pub name: &'static str,
    pub kind: Kind,
    /// Whoever is inside may sleep there.
    pub may_sleep: bool,
    /// Hardirqs use it, too.
    pub in_irq: bool,
    /// Tasklets use it, too.
    pub in_bh: bool,
}

impl Subject {
    const fn of(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, may_sleep: false, in_irq: false, in_bh: false }
    }

    /// A lock that admits one.
    pub const fn lock(name: &'static str, write: fn(Inside<'_>)) -> Self {
        Self::of(name, Kind::Lock { write, read: None })
    }

    /// A lock that admits one writer, or readers.
    pub const fn shared_lock(name: &'static str, write: fn(Inside<'_>), read: fn(Inside<'_>)) -> Self {
        Self::of(name, Kind::Lock { write, read: Some(read) })
    }

    /// A value with many readers.
    pub const fn value(name: &'static str, set: fn(u64), get: fn() -> bool) -> Self {
        Self::of(name, Kind::Value { set, get })
    }

    /// An allocator.
    pub const fn memory(name: &'static str, churn: fn(&mut Random) -> bool) -> Self {
        Self::of(name, Kind::Memory(churn))
    }

    /// What hands over.
    pub const fn hand_over(name: &'static str, give: fn(), take: fn() -> bool) -> Self {
        Self::of(name, Kind::HandOver { give, take })
    }

    /// The same, whose holders may sleep.
    pub const fn sleeping(self) -> Self {
        Self { may_sleep: true, ..self }
    }

    /// The same, used by hardirqs as well.
    pub const fn with_irqs(self) -> Self {
        Self { in_irq: true, ..self }
    }

    /// The same, used by tasklets as well.
    pub const fn with_bh(self) -> Self {
        Self { in_bh: true, ..self }
    }

    /// Nobody only reads it.
    pub fn has_no_readers(&self) -> bool {
        matches!(self.kind, Kind::Lock { read: None, .. } | Kind::Memory(_))
    }
}
