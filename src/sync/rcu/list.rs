//! `RcuList`: a list that readers walk while writers change it. The model of what RCU is for.
//!
//! Readers take no lock and wait for nobody: they go from node to node by loads. Writers take the list's own lock, and only who holds it can change
//! anything, in the types: `lock` gives the writer, and all changes are its methods. What is taken out comes back as [`Retired`]; its `next` stays as
//! it is, so a reader that stands on it walks on into the list.
//!
//! A walk may or may not see what is inserted or removed meanwhile, and sees everything that is there all the time, once.
//!
//! Singly linked: readers go forwards only, and a writer passes the list anyway to find what it wants. Rejected: Linux's `list_head` with its `prev`
//! for writers, that saves a pass and costs a word a node.
//!
//! # Memory ordering
//! A node's fields are written before a release store lets it be found; readers depend on the address.
//!
//! Neighbours: `pointer` for a single value.

use super::RcuReadGuard;
use super::pointer::{RcuBlock, RcuBox, Retired, value_of};
use crate::sync::atomic::AtomicPtr;
use crate::sync::policy::{Policy, PreemptDisabled};
use crate::sync::raw::DefaultLock;
use crate::sync::{Lock, LockGuard};
use core::ops::Deref;
use core::ptr::{self, NonNull};

type Block<T> = RcuBlock<RcuListNode<T>>;
type Link<T> = AtomicPtr<Block<T>>;

/// What a list holds: a value, and the way to the next.
#[derive(Debug)]
pub struct RcuListNode<T: 'static> {
    next: Link<T>,
    value: T,
}

impl<T> RcuListNode<T> {
    /// A node in no list.
    pub const fn new(value: T) -> Self {
        Self { next: AtomicPtr::new(ptr::null_mut()), value }
    }

    /// The value, moved out.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for RcuListNode<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A list whose readers take no lock. `G` is what its writers' lock switches off: as strict as where writers run.
///
/// # Examples
/// ```
/// use tetra::mm::{GfpFlags, RcuBox};
/// use tetra::sync::rcu::{RcuList, RcuListNode, rcu_read_lock};
///
/// static ROUTES: RcuList<(u32, &str)> = RcuList::new();
///
/// ROUTES.lock().push_front(RcuBox::new(RcuListNode::new((10, "eth0")), GfpFlags::KERNEL)?);
/// ROUTES.lock().push_front(RcuBox::new(RcuListNode::new((20, "eth1")), GfpFlags::KERNEL)?);
///
/// let section = rcu_read_lock();
/// assert_eq!(ROUTES.iter(&section).find(|route| route.0 == 10).map(|route| route.1), Some("eth0"));
/// drop(section);
///
/// // Freed after a grace period.
/// drop(ROUTES.lock().remove_first(|route| route.0 == 10));
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
/// Nothing changes without the lock:
/// ```compile_fail,E0599
/// # use tetra::sync::rcu::{RcuList, rcu_read_lock};
/// static ROUTES: RcuList<u32> = RcuList::new();
/// ROUTES.retain(|_| false);
/// ```
pub struct RcuList<T: Send + Sync + 'static, G: Policy = PreemptDisabled> {
    first: Link<T>,
    writers: Lock<(), DefaultLock, G>,
}

impl<T: Send + Sync, G: Policy> RcuList<T, G> {
    /// An empty list. The place of this call is the class of its writers' lock.
    #[track_caller]
    pub const fn new() -> Self {
        Self { first: AtomicPtr::new(ptr::null_mut()), writers: Lock::new(()) }
    }

    /// Walks the list: Linux's `list_for_each_entry_rcu`.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::{RcuList, RcuListNode, rcu_read_lock};
    /// let list: RcuList<u32> = RcuList::new();
    /// list.lock().push_front(RcuBox::new(RcuListNode::new(7), GfpFlags::KERNEL)?);
    /// assert!(list.iter(&rcu_read_lock()).eq(&[7]));
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[inline]
    pub fn iter<'a>(&'a self, _section: &'a RcuReadGuard) -> Iter<'a, T> {
        Iter { link: &self.first }
    }

    /// Keeps other writers out. Context: that of `G`; spins.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::{RcuList, RcuListNode};
    /// let list: RcuList<u32> = RcuList::new();
    /// list.lock().push_front(RcuBox::new(RcuListNode::new(7), GfpFlags::KERNEL)?);
    /// let writer = list.lock(); // readers go on, other writers wait
    /// assert!(writer.iter().eq(&[7]));
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> RcuListWriter<'_, T, G> {
        RcuListWriter { list: self, _others_wait: self.writers.lock() }
    }
}

impl<T: Send + Sync, G: Policy> Default for RcuList<T, G> {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + Sync, G: Policy> Drop for RcuList<T, G> {
    /// Frees all nodes at once: readers borrow the list, so there are none.
    fn drop(&mut self) {
        let mut block = NonNull::new(self.first.read());
        while let Some(this) = block {
            // SAFETY: a node of the list, which nobody else sees.
            block = NonNull::new(unsafe { value_of(this) }.next.read());
            // SAFETY: as above; it was a box's, and the next one is known.
            drop(unsafe { RcuBox::from_block(this) });
        }
    }
}

/// A walk. Each step is one load.
#[derive(Debug)]
pub struct Iter<'a, T: 'static> {
    link: &'a Link<T>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        // SAFETY: the iterator's maker has a section, or the writers' lock, for 'a.
        let node = unsafe { node_behind(self.link) }?;
        self.link = &node.next;
        Some(&node.value)
    }
}

/// The node that `link` leads to.
///
/// # Safety
/// For 'a the caller is in a read section or holds the writers' lock, and `link` is the list's or that of a node found so.
#[inline(always)]
unsafe fn node_behind<'a, T>(link: &Link<T>) -> Option<&'a RcuListNode<T>> {
    // SAFETY: nodes are freed a grace period after a writer took them out; until then their content stays.
    NonNull::new(link.read()).map(|block| unsafe { value_of(block) })
}

/// The right to change a list. Other writers wait until it drops; readers go on.
#[must_use = "others may write as soon as it drops"]
pub struct RcuListWriter<'a, T: Send + Sync + 'static, G: Policy> {
    list: &'a RcuList<T, G>,
    _others_wait: LockGuard<'a, (), DefaultLock, G, G>,
}

impl<T: Send + Sync, G: Policy> RcuListWriter<'_, T, G> {
    /// Puts `node` first: Linux's `list_add_rcu`. Release.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::{RcuList, RcuListNode, rcu_read_lock};
    /// let list: RcuList<u32> = RcuList::new();
    /// list.lock().push_front(RcuBox::new(RcuListNode::new(7), GfpFlags::KERNEL)?);
    /// list.lock().push_front(RcuBox::new(RcuListNode::new(8), GfpFlags::KERNEL)?);
    /// assert!(list.iter(&rcu_read_lock()).eq(&[8, 7]));
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    pub fn push_front(&mut self, node: RcuBox<RcuListNode<T>>) {
        publish(&self.list.first, node, self.list.first.read());
    }

    /// Walks the list. Context: as the writer.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::{RcuList, RcuListNode};
    /// let list: RcuList<u32> = RcuList::new();
    /// list.lock().push_front(RcuBox::new(RcuListNode::new(7), GfpFlags::KERNEL)?);
    /// assert_eq!(list.lock().iter().sum::<u32>(), 7);
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { link: &self.list.first }
    }

    /// Takes the first node out whose value `matches`: Linux's `list_del_rcu`.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::{RcuList, RcuListNode};
    /// let list: RcuList<u32> = RcuList::new();
    /// list.lock().push_front(RcuBox::new(RcuListNode::new(7), GfpFlags::KERNEL)?);
    /// let removed = list.lock().remove_first(|value| *value == 7);
    /// assert_eq!(removed.map(|node| **node), Some(7)); // and freed after a grace period
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    pub fn remove_first(&mut self, matches: impl FnMut(&T) -> bool) -> Option<Retired<RcuListNode<T>>> {
        let (link, block) = self.find(&self.list.first, matches)?;
        Some(self.unlink(link, block))
    }

    /// Puts `node` where the first is whose value `matches`: Linux's `list_replace_rcu`. A walk sees the old one or the new one, never both or neither.
    ///
    /// # Errors
    /// `node`, if there is none.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::{RcuList, RcuListNode, rcu_read_lock};
    /// let list: RcuList<u32> = RcuList::new();
    /// list.lock().push_front(RcuBox::new(RcuListNode::new(7), GfpFlags::KERNEL)?);
    /// let old = list.lock().replace_first(|value| *value == 7, RcuBox::new(RcuListNode::new(8), GfpFlags::KERNEL)?);
    /// assert_eq!(old.ok().map(|node| **node), Some(7));
    /// assert!(list.iter(&rcu_read_lock()).eq(&[8]));
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    pub fn replace_first(
        &mut self,
        matches: impl FnMut(&T) -> bool,
        node: RcuBox<RcuListNode<T>>,
    ) -> Result<Retired<RcuListNode<T>>, RcuBox<RcuListNode<T>>> {
        let Some((link, block)) = self.find(&self.list.first, matches) else { return Err(node) };
        // SAFETY: a node of the list, under the lock.
        publish(link, node, unsafe { value_of(block) }.next.read());
        // SAFETY: `link` was the only way to it.
        Ok(unsafe { Retired::new(block) })
    }

    /// Keeps the nodes whose values satisfy `keeps`; the others are freed after a grace period. The number of those.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::{RcuList, RcuListNode, rcu_read_lock};
    /// let list: RcuList<u32> = RcuList::new();
    /// list.lock().push_front(RcuBox::new(RcuListNode::new(7), GfpFlags::KERNEL)?);
    /// assert_eq!(list.lock().retain(|value| value % 2 == 0), 1); // so many are gone
    /// assert_eq!(list.iter(&rcu_read_lock()).count(), 0);
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    pub fn retain(&mut self, mut keeps: impl FnMut(&T) -> bool) -> usize {
        let mut nr_removed = 0;
        let mut from = &self.list.first;
        while let Some((link, block)) = self.find(from, |value| !keeps(value)) {
            drop(self.unlink(link, block));
            nr_removed += 1;
            from = link;
        }
        nr_removed
    }

    /// The first node from the link `from` on whose value `matches`, and the link that leads to it.
    fn find<'s>(&'s self, from: &'s Link<T>, mut matches: impl FnMut(&T) -> bool) -> Option<(&'s Link<T>, NonNull<Block<T>>)> {
        let mut link = from;
        loop {
            let block = NonNull::new(link.read())?;
            // SAFETY: a node of the list, under the lock.
            let node = unsafe { value_of(block) };
            if matches(&node.value) {
                return Some((link, block));
            }
            link = &node.next;
        }
    }

    /// Takes the node out that `link` leads to. Its `next` stays for those who stand on it.
    fn unlink(&self, link: &Link<T>, block: NonNull<Block<T>>) -> Retired<RcuListNode<T>> {
        // SAFETY: a node of the list, under the lock.
        let next = unsafe { value_of(block) }.next.read();
        // Release: the next node may be newer than what the reader has acquired.
        link.store_release(next);
        // SAFETY: `link` was the only way to it, and the lock keeps others from taking it out as well.
        unsafe { Retired::new(block) }
    }
}

/// Has `link` lead to `node`, and that to `next`.
fn publish<T>(link: &Link<T>, node: RcuBox<RcuListNode<T>>, next: *mut Block<T>) {
    node.next.set(next);
    // Release: the node's fields come before it can be found.
    link.store_release(node.into_block().as_ptr());
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::mm::{GfpFlags, RcuBox};
    use crate::sync::rcu::rcu_read_lock;
    use std::vec::Vec;

    fn node(value: u32) -> RcuBox<RcuListNode<u32>> {
        RcuBox::new(RcuListNode::new(value), GfpFlags::KERNEL).expect("memory")
    }

    fn values(list: &RcuList<u32>) -> Vec<u32> {
        list.iter(&rcu_read_lock()).copied().collect()
    }

    #[test]
    fn nodes_come_go_and_are_replaced() {
        let list: RcuList<u32> = RcuList::new();
        (0..6).for_each(|value| list.lock().push_front(node(value)));
        assert_eq!(values(&list), [5, 4, 3, 2, 1, 0]);
        assert_eq!(list.lock().remove_first(|value| *value == 5).map(|old| **old), Some(5));
        assert!(list.lock().remove_first(|value| *value == 9).is_none());
        assert_eq!(list.lock().replace_first(|value| *value == 2, node(22)).map(|old| **old).ok(), Some(2));
        assert_eq!(list.lock().replace_first(|value| *value == 2, node(23)).map_err(|back| **back).err(), Some(23));
        assert_eq!(list.lock().retain(|value| value % 2 == 0), 2);
        assert_eq!(values(&list), [4, 22, 0]);
        assert_eq!(list.lock().iter().sum::<u32>(), 26);
    }

    #[test]
    fn a_reader_that_stands_on_a_removed_node_walks_on() {
        let list: RcuList<u32> = RcuList::new();
        (0..4).for_each(|value| list.lock().push_front(node(value)));
        let section = rcu_read_lock();
        let mut walk = list.iter(&section);
        assert_eq!(walk.next(), Some(&3));
        assert_eq!(walk.next(), Some(&2));
        assert_eq!(list.lock().retain(|value| *value == 0), 3);
        // It stands on 2, whose way leads over 1 still.
        assert_eq!(walk.copied().collect::<Vec<_>>(), [1, 0]);
        drop(section);
        assert_eq!(values(&list), [0]);
    }
}
