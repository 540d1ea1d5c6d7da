//! What every architecture must offer for atomic words: the trait [`Word`], implemented for `u8`, `u16`, `u32` and `u64`.
//!
//! A trait over cells, not functions over pointers: the caller stays free of `unsafe`, [`crate::sync::atomic::Atomic`] is generic, and
//! loom, whose cells are larger than the word they hold, fits in. The order is an argument that is a constant at every call, so each call
//! compiles to one exclusive loop.
//!
//! # Memory ordering
//! [`Order`] says what each form promises. Nothing is promised by a conditional operation that does not store.
//!
//! Neighbours: `arch/aarch64/atomic.rs` has the instructions, `arch/host/atomic.rs` the same over `core` and loom, `sync/atomic/` the face
//! for users.

/// What an operation orders besides itself. Loads and stores of the operation are always single-copy atomic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Orders nothing but accesses to the same word.
    Relaxed,
    /// What follows in program order comes after the load.
    Acquire,
    /// What precedes in program order comes before the store.
    Release,
    /// A full barrier: everything before comes before everything after, as if a barrier stood on either side.
    Full,
}

/// The two values that a read-modify-write operation saw: whichever is not used costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<W> {
    /// The value in memory before.
    pub old: W,
    /// The value stored.
    pub new: W,
}

/// An unsigned integer on which the architecture works atomically. Arithmetic wraps.
///
/// Context: any, hardirq included; nothing here sleeps, spins on another core's progress or changes the interrupt mask.
pub trait Word: Copy + Eq {
    /// The word in memory, shared between cores.
    type Cell: Send + Sync;

    /// Makes a cell. For places where `const` is not asked for.
    fn cell(value: Self) -> Self::Cell;

    /// Loads, unordered.
    fn load_relaxed(cell: &Self::Cell) -> Self;
    /// Loads; what follows comes after.
    fn load_acquire(cell: &Self::Cell) -> Self;
    /// Stores, unordered.
    fn store_relaxed(cell: &Self::Cell, value: Self);
    /// Stores; what precedes comes before.
    fn store_release(cell: &Self::Cell, value: Self);

    /// Stores `new`, returns the value before.
    fn xchg(cell: &Self::Cell, new: Self, order: Order) -> Self;
    /// Adds one.
    fn inc(cell: &Self::Cell, order: Order) -> Change<Self>;
    /// Subtracts one.
    fn dec(cell: &Self::Cell, order: Order) -> Change<Self>;
    /// Adds `operand`.
    fn add(cell: &Self::Cell, operand: Self, order: Order) -> Change<Self>;
    /// Subtracts `operand`.
    fn sub(cell: &Self::Cell, operand: Self, order: Order) -> Change<Self>;
    /// Keeps the bits that `operand` has.
    fn and(cell: &Self::Cell, operand: Self, order: Order) -> Change<Self>;
    /// Clears the bits that `operand` has.
    fn andnot(cell: &Self::Cell, operand: Self, order: Order) -> Change<Self>;
    /// Sets the bits that `operand` has.
    fn or(cell: &Self::Cell, operand: Self, order: Order) -> Change<Self>;
    /// Flips the bits that `operand` has.
    fn xor(cell: &Self::Cell, operand: Self, order: Order) -> Change<Self>;

    /// Stores `new` if the word is `old`.
    ///
    /// # Errors
    /// The value found, if it was another; nothing is stored and nothing ordered. (So for all that follow.)
    fn cmpxchg(cell: &Self::Cell, old: Self, new: Self, order: Order) -> Result<Self, Self>;
    /// Stores `new` if the word is 0: two instructions less than [`Self::cmpxchg`].
    ///
    /// # Errors
    /// The value found.
    fn cmpxchg_zero(cell: &Self::Cell, new: Self, order: Order) -> Result<Self, Self>;
    /// Stores 0 if the word is `old`: one instruction less than [`Self::cmpxchg`], as 0 needs no register.
    ///
    /// # Errors
    /// The value found.
    fn cmpxchg_to_zero(cell: &Self::Cell, old: Self, order: Order) -> Result<Self, Self>;
    /// Adds `OPERAND` unless one of `BITS` is set. Both stand in the instructions: `OPERAND` must be below 4096, `BITS` a mask that TST can hold (a run of
    /// ones, turned by any number of places); whatever is not, the assembler refuses.
    ///
    /// # Errors
    /// The value found.
    fn add_unless_any<const OPERAND: u64, const BITS: u64>(cell: &Self::Cell, order: Order) -> Result<Change<Self>, Self>;
    /// Subtracts `OPERAND`, below 4096, which stands in the instruction.
    fn sub_const<const OPERAND: u64>(cell: &Self::Cell, order: Order) -> Change<Self>;
    /// Adds `operand` unless the word is `unless`.
    ///
    /// # Errors
    /// The value found, which is `unless`.
    fn add_unless(cell: &Self::Cell, operand: Self, unless: Self, order: Order) -> Result<Change<Self>, Self>;
    /// Adds one unless the word is 0.
    ///
    /// # Errors
    /// The value found, which is 0.
    fn inc_not_zero(cell: &Self::Cell, order: Order) -> Result<Change<Self>, Self>;
    /// Subtracts one unless the word is 0.
    ///
    /// # Errors
    /// The value found, which is 0.
    fn dec_not_zero(cell: &Self::Cell, order: Order) -> Result<Change<Self>, Self>;
    /// Adds one unless the top bit is set.
    ///
    /// # Errors
    /// The value found.
    fn inc_unless_negative(cell: &Self::Cell, order: Order) -> Result<Change<Self>, Self>;
    /// Subtracts one if the word, read as a signed number, is above 0.
    ///
    /// # Errors
    /// The value found.
    fn dec_if_positive(cell: &Self::Cell, order: Order) -> Result<Change<Self>, Self>;
}
