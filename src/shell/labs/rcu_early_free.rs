//! `lab rcu-early-free`: the old value is freed while a reader has it in hand.

use super::notebook::{Hex, Notebook};
use super::{Place, team};
use crate::mm::GfpFlags;
use crate::mm::kmem_cache::{CacheHandle, CacheOptions, create};
use crate::mm::slab_layout::SlabFlags;
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64};
use crate::sync::rcu::{rcu_assign_pointer, rcu_dereference, rcu_read_lock, synchronize_rcu};
use crate::time;
use crate::util::errno::Errno;
use core::ptr::{self, NonNull};
use core::time::Duration;

shell::lab! {
    name: "rcu-early-free",
    place: Place::course(1, 2, 1),
    title: "kfree(old) without synchronize_rcu()",
    needs: 2,
    idea: "\
rcu_assign_pointer() hides the old value from readers to come. Those who have
found it before still use it. Free it then, and they read whatever comes to
lie there. It goes well nearly always, since readers are quick; so this reader
is slow, and the cache poisons what is free (0x6b), to make it visible.

With Rcu<T> this program cannot be written: `replace` gives a Retired, which
becomes one's own by waiting, or is freed after a grace period when dropped.",
    next: "lab rcu-update, lab slab-reuse; src/sync/rcu/pointer.rs",
    run: run,
}

const VALUE: u64 = 1234;
const SOON: Duration = Duration::from_secs(5);

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    let cache =
        create(&CacheOptions { flags: SlabFlags::POISON, ..CacheOptions::new("lab_rcu", size_of::<u64>() * 4) }).map_err(Errno::from)?;
    book.wrong("rcu_assign_pointer(p, NULL); kfree(old)")?;
    let seen = reader_and_writer(&cache, SOON, || ())?;
    book.value("the reader had found", VALUE)?;
    book.value("and reads a moment later", Hex(seen))?;
    book.claim("the poison of a free object: caught", seen == 0x6b6b_6b6b_6b6b_6b6b)?;

    book.right("synchronize_rcu() before kfree(old)")?;
    // The free comes after the section: no need to wait for it long.
    let seen = reader_and_writer(&cache, Duration::from_millis(20), synchronize_rcu)?;
    book.value("the reader reads a moment later", seen)?;
    book.claim("the value, as long as it is inside", seen == VALUE)?;
    book.claim("all objects are back", cache.destroy().is_ok())?;
    Ok(())
}

/// A slow reader on one core; on the other the writer takes the value away, calls `wait`, and frees it. The reader stays until that was done, but no longer
/// than `patience`. Gives what it reads at the end of its section.
fn reader_and_writer(cache: &CacheHandle, patience: Duration, wait: fn()) -> Result<u64, ViewError> {
    let object = cache.alloc(GfpFlags::KERNEL).map_err(Errno::from)?.cast::<u64>();
    // SAFETY: just allocated, large enough and aligned: the second word, since the first of a free object is the cache's.
    unsafe { object.as_ptr().wrapping_add(1).write(VALUE) };
    let pointer = AtomicPtr::new(ptr::null_mut());
    rcu_assign_pointer(&pointer, object.as_ptr());

    let (has_found, is_freed, seen) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    team::on_cores(2, |member| {
        if member == 0 {
            let section = rcu_read_lock();
            let found = rcu_dereference(&pointer);
            has_found.store_release(true);
            team::try_for(patience, || is_freed.load_acquire().then_some(()));
            // SAFETY: in the right version the object lives as long as the section. In the wrong one it is free: the mistake, on memory of the slab,
            // which is mapped and in nobody's use.
            seen.set(unsafe { found.wrapping_add(1).read_volatile() });
            drop(section);
        } else {
            team::try_for(SOON, || has_found.load_acquire().then_some(()));
            let old = pointer.xchg(ptr::null_mut());
            wait();
            if let Some(old) = NonNull::new(old) {
                // SAFETY: from this cache; taken out of `pointer` by this core alone. Too early in the wrong version, which is the lab.
                unsafe { cache.free(old.cast()) };
            }
            is_freed.store_release(true);
            // The section ends before anything else is allocated here.
            time::mdelay(1);
        }
    })?;
    Ok(seen.read())
}
