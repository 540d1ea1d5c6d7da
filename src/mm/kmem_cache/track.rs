//! Who allocated an object, and who freed it: backtraces kept behind each object of a cache with `STORE_USER`; and how many bytes `kmalloc` was asked for.

use super::Params;
use super::slabs::Place;
use crate::arch;
use crate::cpu;
use crate::debug::symbols::Named;
use crate::mm::slab_layout::{SlabFlags, TRACK_FRAMES, TRACK_WORDS};
use crate::upcalls;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Which of the two tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Alloc = 0,
    Free = 1,
}

/// A track, copied out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Track {
    frames: [usize; TRACK_FRAMES],
    /// Core in the lowest quarter, bytes asked for in the next, thread in the high half.
    who: u64,
    /// Counter ticks; 0: never.
    when: u64,
}

fn words(params: &Params, place: Place, which: Which) -> *mut [u64; TRACK_WORDS] {
    let object = place.object(params).as_ptr() as usize;
    (object + params.layout.track_offset(which as usize)) as *mut [u64; TRACK_WORDS]
}

const SIZE_SHIFT: u32 = 16;
const PID_SHIFT: u32 = 32;

/// Notes the caller, and that `size` bytes were asked for. Context: the object is the caller's to change, or its slab is locked.
pub(super) fn store(params: &Params, place: Place, which: Which, size: usize) {
    if !params.flags.contains(SlabFlags::STORE_USER) {
        return;
    }
    let trace = [const { AtomicUsize::new(0) }; TRACK_FRAMES];
    upcalls::lock_trace(&trace);
    let mut track = [0; TRACK_WORDS];
    for (word, frame) in track.iter_mut().zip(&trace) {
        *word = frame.load(Relaxed) as u64;
    }
    let pid = cpu::task::try_current().map_or(0, |task| task.pid());
    // Only kmalloc's sizes matter, of which the largest fits.
    track[TRACK_FRAMES] = cpu::id() as u64 | u64::from(size as u16) << SIZE_SHIFT | u64::from(pid) << PID_SHIFT;
    track[TRACK_FRAMES + 1] = arch::counter::now().max(1);
    // SAFETY: the layout keeps these words behind the object, for nobody else; aligned, as all parts are whole words.
    unsafe { words(params, place, which).write(track) };
}

/// Clears both. Context: a slab that nobody knows.
pub(super) fn clear(params: &Params, place: Place) {
    if params.flags.contains(SlabFlags::STORE_USER) {
        for which in [Which::Alloc, Which::Free] {
            // SAFETY: as in `store`.
            unsafe { words(params, place, which).write([0; TRACK_WORDS]) };
        }
    }
}

/// What was noted, if anything. Context: as `store`.
pub(super) fn load(params: &Params, place: Place, which: Which) -> Option<Track> {
    if !params.flags.contains(SlabFlags::STORE_USER) {
        return None;
    }
    // SAFETY: as in `store`.
    let track = unsafe { words(params, place, which).read() };
    let mut frames = [0; TRACK_FRAMES];
    frames.iter_mut().zip(track).for_each(|(frame, word)| *frame = word as usize);
    (track[TRACK_FRAMES + 1] != 0).then_some(Track { frames, who: track[TRACK_FRAMES], when: track[TRACK_FRAMES + 1] })
}

impl Track {
    /// The thread that did it.
    pub fn pid(&self) -> u32 {
        (self.who >> PID_SHIFT) as u32
    }

    /// Bytes that were asked for.
    pub fn size(&self) -> usize {
        usize::from((self.who >> SIZE_SHIFT) as u16)
    }
}

/// Notes that from here on `size` bytes of an object that is out are its user's. Context: the object is the caller's to change.
pub(super) fn set_size(params: &Params, place: Place, size: usize) {
    if let Some(track) = load(params, place, Which::Alloc) {
        let who = track.who & !(0xffff << SIZE_SHIFT) | u64::from(size as u16) << SIZE_SHIFT;
        let word = words(params, place, Which::Alloc).cast::<u64>().wrapping_add(TRACK_FRAMES);
        // SAFETY: as in `store`.
        unsafe { word.write(who) };
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = arch::counter::now().saturating_sub(self.when) * 1000 / arch::counter::frequency_hz();
        write!(f, "cpu={} pid={} age={age} ms", self.who as u16, self.pid())?;
        for frame in self.frames.iter().take_while(|frame| **frame != 0) {
            write!(f, "\n  {frame:#018x} {}", Named::return_to(*frame))?;
        }
        Ok(())
    }
}
