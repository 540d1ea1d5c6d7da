//! `lab rcu-update`: a value is replaced while everybody reads it, and freed when nobody does.

use super::notebook::{Notebook, PerCore};
use super::{Place, team};
use crate::cpu::NR_CPUS;
use crate::mm::{GfpFlags, RcuBox};
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::rcu::{Rcu, grace_period_seq, nr_grace_periods, rcu_read_lock, synchronize_rcu};
use crate::time;
use crate::util::errno::Errno;
use core::time::Duration;

shell::lab! {
    name: "rcu-update",
    place: Place::course(1, 2, 0),
    title: "readers without a lock; the writer replaces, waits, frees",
    needs: 2,
    idea: "\
The pattern:

  reader   rcu_read_lock(); p = rcu_dereference(data_ptr); ... p->value;
           rcu_read_unlock()
  writer   new = kmalloc(); fill it; rcu_assign_pointer(data_ptr, new);
           synchronize_rcu(); kfree(old)

A reader finds the old value or the new one, each whole. The writer must wait
until all who may have found the old one are out: a grace period. (The
course's sample frees `old_data`, which it never read from data_ptr: nothing
says what it frees. Here `replace` gives the old value back.)",
    next: "lab rcu-early-free, lab rcu-nodata; docs/rcu.md, src/sync/rcu/mod.rs",
    run: run,
}

/// A value with a check: whole if the second word is the complement of the first.
struct MyData {
    value: u64,
    check: u64,
}

static DATA: Rcu<MyData> = Rcu::empty();
const UPDATES: u64 = 20;

fn data(value: u64) -> Result<RcuBox<MyData>, Errno> {
    Ok(RcuBox::new(MyData { value, check: !value }, GfpFlags::KERNEL)?)
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    drop(DATA.replace(data(0)?));
    book.right("one core updates 20 times, all others read all the time")?;
    let (torn, backwards, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let freed = AtomicU64::new(0);
    let reads = [const { AtomicU64::new(0) }; NR_CPUS];
    let grace_periods = nr_grace_periods(grace_period_seq());
    let cores = team::on_cores(NR_CPUS, |member| {
        if member == 0 {
            for update in 1..=UPDATES {
                let Ok(new) = data(update) else { break };
                if let Some(old) = DATA.replace(new) {
                    // Waits for the readers; then the box is this core's alone, and its drop is the kfree.
                    let mine = old.synchronize();
                    freed.add(u64::from(mine.value + 1 == update));
                }
            }
            is_over.set(true);
        } else {
            let mut last = 0;
            while !is_over.read() {
                let section = rcu_read_lock();
                if let Some(data) = DATA.read(&section) {
                    torn.add(u64::from(data.check != !data.value));
                    backwards.add(u64::from(data.value < last));
                    last = data.value;
                }
                drop(section);
                reads[member].inc();
            }
        }
    })?;
    let counts = reads.each_ref().map(AtomicU64::read);
    book.value("reads on each other core", PerCore(&counts[1..cores]))?;
    book.value("old values freed", freed.read())?;
    book.value("grace periods meanwhile", nr_grace_periods(grace_period_seq()) - grace_periods)?;
    book.value("half-made values, values from the past", PerCore(&[torn.read(), backwards.read()]))?;
    book.claim("every value is whole, and every old one was freed", torn.read() + backwards.read() == 0 && freed.read() == UPDATES)?;

    book.right("synchronize_rcu() while a reader stays inside for 20 ms")?;
    let (is_inside, has_left, came_back_early) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
    let waited = AtomicU64::new(0);
    team::on_cores(2, |member| {
        if member == 0 {
            team::try_for(Duration::from_secs(5), || is_inside.load_acquire().then_some(()));
            let ((), time) = team::timed(synchronize_rcu);
            waited.set(time.as_micros() as u64);
            came_back_early.set(!has_left.load_acquire());
        } else {
            let section = rcu_read_lock();
            is_inside.store_release(true);
            time::mdelay(20);
            has_left.store_release(true);
            drop(section);
        }
    })?;
    book.value("it waited, us", waited.read())?;
    drop(DATA.take());
    Ok(book.claim("it came back after the reader had left", !came_back_early.read() && has_left.read())?)
}
