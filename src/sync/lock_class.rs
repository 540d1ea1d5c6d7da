//! Lock classes: all locks created at one place are one class, and its rules hold for all of them.
//!
//! A place and not an object, because order is a matter of the program: what was seen of one page's lock holds for every page's. Where the program
//! takes two locks of a class one inside the other, by a rule of its own (by address, parent before child), it says so by a *subclass*
//! (`lock_nested(1)`), which counts as a class.
//!
//! Numbers 0 to 2 are no locks: 0 means "not known yet" and the other two are the interrupts in `lockdep`'s graph, so that a class is a node there.
//!
//! Neighbours: `meta` keeps a lock's number once it is known, `lockdep` and `lock_stat` count by it.

use super::meta::LockKind;
use core::fmt;
use core::panic::Location;

/// Classes there can be, the numbers that are no locks included.
pub const MAX_CLASSES: usize = 256;
/// Subclasses of a class: 0, and those for nesting.
pub const MAX_SUBCLASSES: u8 = 8;

/// Number of a class, or of a node of `lockdep`'s graph that stands for an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassId(u16);

impl ClassId {
    /// Not known yet.
    pub const UNKNOWN: Self = Self(0);
    /// The hardware interrupts.
    pub const HARDIRQ: Self = Self(1);
    /// The bottom halves.
    pub const SOFTIRQ: Self = Self(2);
    /// The first that is a class of locks.
    pub const FIRST: Self = Self(3);

    /// From the number that `bits` gave.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// As a number.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// True for an interrupt, which nobody holds.
    pub const fn is_interrupt(self) -> bool {
        matches!(self, Self::HARDIRQ | Self::SOFTIRQ)
    }
}

/// What is known of a class.
#[derive(Clone, Copy, Debug)]
pub struct LockClass {
    /// Where its locks are created.
    pub place: &'static Location<'static>,
    /// 0, or which level of nesting it is.
    pub subclass: u8,
    /// Whether its takers spin or sleep.
    pub kind: LockKind,
    /// Address of the lock by which it became known: a static's has a name.
    pub first_lock: usize,
}

impl LockClass {
    /// The same class? Compared by content: the compiler may keep a place twice.
    fn is(&self, other: &Self) -> bool {
        let is_same_place = core::ptr::eq(self.place, other.place) || self.place == other.place;
        is_same_place && self.subclass == other.subclass && self.kind == other.kind
    }
}

impl fmt::Display for LockClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if self.subclass != 0 { write!(f, "/{}", self.subclass) } else { Ok(()) }
    }
}

/// All classes, by number.
#[derive(Debug)]
pub struct Classes<const N: usize> {
    classes: [Option<LockClass>; N],
    len: usize,
}

impl<const N: usize> Classes<N> {
    /// None.
    pub const fn new() -> Self {
        Self { classes: [None; N], len: 0 }
    }

    /// The number of `class`, which is given one if it is new. `None` if there are no more.
    ///
    /// Looks through all: a lock asks once and keeps the answer.
    pub fn find_or_add(&mut self, class: &LockClass) -> Option<ClassId> {
        let first = ClassId::FIRST.index();
        let known = self.iter().find(|(_, known)| known.is(class)).map(|(id, _)| id);
        known.or_else(|| {
            let at = first + self.len;
            *self.classes.get_mut(at)? = Some(*class);
            self.len += 1;
            Some(ClassId(at as u16))
        })
    }

    /// Class number `id`.
    pub fn get(&self, id: ClassId) -> Option<&LockClass> {
        self.classes.get(id.index())?.as_ref()
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The classes with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ClassId, &LockClass)> {
        let first = ClassId::FIRST.index();
        self.classes.iter().enumerate().skip(first).map_while(|(at, class)| Some((ClassId(at as u16), class.as_ref()?)))
    }
}

impl<const N: usize> Default for Classes<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[track_caller]
    fn class(subclass: u8) -> LockClass {
        LockClass { place: Location::caller(), subclass, kind: LockKind::Spinning, first_lock: 0 }
    }

    #[test]
    fn a_place_is_one_class_and_each_subclass_another() {
        let mut classes = Classes::<8>::new();
        let made = [class(0), class(0), class(1)];
        let ids = made.each_ref().map(|class| classes.find_or_add(class).unwrap());
        assert!(ids[0] != ids[1] && ids[1] != ids[2], "three columns are three places");
        assert_eq!(classes.find_or_add(&made[1]), Some(ids[1]));
        let nested = LockClass { subclass: 1, ..made[0] };
        assert_ne!(classes.find_or_add(&nested), Some(ids[0]));
        assert_eq!(classes.len(), 4);
        assert!(std::format!("{nested}").ends_with("/1"));
    }

    #[test]
    fn a_full_table_says_so() {
        let mut classes = Classes::<4>::new();
        assert!(classes.find_or_add(&class(0)).is_some());
        assert!(classes.find_or_add(&class(0)).is_none());
    }
}
