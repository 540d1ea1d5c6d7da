//! A bounded first-in, first-out queue of bytes in an array. For one owner at a time: whoever shares it puts it under a lock.

/// At most `N` bytes.
#[derive(Debug)]
pub struct ByteQueue<const N: usize> {
    bytes: [u8; N],
    head: usize,
    len: usize,
}

impl<const N: usize> ByteQueue<N> {
    /// An empty queue.
    #[expect(clippy::new_without_default, reason = "large: made in place, in a static")]
    pub const fn new() -> Self {
        Self { bytes: [0; N], head: 0, len: 0 }
    }

    /// Bytes in it.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True if nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that still fit.
    pub const fn room(&self) -> usize {
        N - self.len
    }

    /// Appends a byte. False, and no change, if there is no room.
    pub const fn push(&mut self, byte: u8) -> bool {
        if self.len == N {
            return false;
        }
        self.bytes[(self.head + self.len) % N] = byte;
        self.len += 1;
        true
    }

    /// The oldest byte, left in place.
    pub const fn peek(&self) -> Option<u8> {
        if self.len == 0 { None } else { Some(self.bytes[self.head]) }
    }

    /// Takes the oldest byte.
    pub const fn pop(&mut self) -> Option<u8> {
        let byte = self.peek();
        if byte.is_some() {
            self.head = (self.head + 1) % N;
            self.len -= 1;
        }
        byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn behaves_as_a_bounded_deque(steps in prop::collection::vec(prop::option::of(any::<u8>()), 0..200)) {
            let (mut queue, mut model) = (ByteQueue::<7>::new(), VecDeque::new());
            for step in steps {
                match step {
                    Some(byte) => {
                        let fits = model.len() < 7;
                        prop_assert_eq!(queue.push(byte), fits);
                        if fits {
                            model.push_back(byte);
                        }
                    }
                    None => prop_assert_eq!(queue.pop(), model.pop_front()),
                }
                prop_assert_eq!((queue.len(), queue.room(), queue.peek()), (model.len(), 7 - model.len(), model.front().copied()));
            }
        }
    }
}
