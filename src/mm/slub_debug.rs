//! `slub_debug=`: which caches are checked, and how.
//!
//! As in Linux: `slub_debug` alone checks everything on all caches; `slub_debug=FZ` only what the letters say; `slub_debug=FZ,kmalloc-64,task*` only on
//! these caches. F is sanity, Z red zones, P poison, U user tracking; A (failslab) and T (trace) are not known here and refused. Pure: a text in,
//! flags out. Neighbours: `kmem_cache` asks when a cache is made; boot hands the argument over.

use super::slab_layout::SlabFlags;

/// A free object is filled with this, so that a use after free shows ("kkkk" in a dump).
pub const POISON_FREE: u8 = 0x6b;
/// Last byte of a poisoned object.
pub const POISON_END: u8 = 0xa5;
/// An object that was given out and never written.
pub const POISON_INUSE: u8 = 0x5a;
/// Red zones of an object that is free.
pub const RED_INACTIVE: u8 = 0xbb;
/// Red zones of an object that is out.
pub const RED_ACTIVE: u8 = 0xcc;

/// A letter that means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownLetter(pub char);

/// What the argument asks of the cache `name`, if it asks anything.
///
/// # Errors
/// `UnknownLetter`, for the first letter that is no option.
pub fn flags_for(argument: &str, name: &str) -> Result<SlabFlags, UnknownLetter> {
    let (letters, caches) = argument.split_once(',').unwrap_or((argument, ""));
    let flags = flags_of(letters)?;
    let is_meant = caches.is_empty() || caches.split(',').any(|pattern| matches(pattern, name));
    Ok(if is_meant { flags } else { SlabFlags::empty() })
}

fn flags_of(letters: &str) -> Result<SlabFlags, UnknownLetter> {
    if letters.is_empty() {
        return Ok(SlabFlags::DEBUG_FLAGS);
    }
    letters.chars().try_fold(SlabFlags::empty(), |flags, letter| {
        let flag = match letter.to_ascii_uppercase() {
            'F' => SlabFlags::CONSISTENCY_CHECKS,
            'Z' => SlabFlags::RED_ZONE,
            'P' => SlabFlags::POISON,
            'U' => SlabFlags::STORE_USER,
            '-' => SlabFlags::empty(),
            _ => return Err(UnknownLetter(letter)),
        };
        Ok(flags | flag)
    })
}

/// A name, or the beginning of one before a `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// The first byte of `bytes` that is not `expected`, with its place.
pub fn first_other(bytes: &[u8], expected: u8) -> Option<(usize, u8)> {
    bytes.iter().copied().enumerate().find(|(_, byte)| *byte != expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_caches_as_in_linux() {
        let all = SlabFlags::DEBUG_FLAGS;
        let (f, z) = (SlabFlags::CONSISTENCY_CHECKS, SlabFlags::RED_ZONE);
        assert_eq!(flags_for("", "any"), Ok(all));
        assert_eq!(flags_for("FZPU", "any"), Ok(all));
        assert_eq!(flags_for("fz", "any"), Ok(f | z));
        assert_eq!(flags_for("FZ,kmalloc-64,task*", "kmalloc-64"), Ok(f | z));
        assert_eq!(flags_for("FZ,kmalloc-64,task*", "task_struct"), Ok(f | z));
        assert_eq!(flags_for("FZ,kmalloc-64,task*", "kmalloc-640"), Ok(SlabFlags::empty()));
        assert_eq!(flags_for(",kmalloc-64", "kmalloc-64"), Ok(all));
        assert_eq!(flags_for("-", "any"), Ok(SlabFlags::empty()));
        assert_eq!(flags_for("FX", "any"), Err(UnknownLetter('X')));
    }

    #[test]
    fn the_first_other_byte_is_named() {
        assert_eq!(first_other(&[1, 1, 7, 9], 1), Some((2, 7)));
        assert_eq!(first_other(&[1, 1], 1), None);
    }
}
