//! Sleeping locks on four cores: exclusion, turns, time, signals, lent urgency, dead owners, and the misuses that are reported.
//!
//! Where a case depends on who comes first, its threads are bound to one core, or it waits until the scheduler shows the others asleep.
#![no_std]
#![no_main]

use core::mem;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use core::time::Duration;
use tetra::irq::ipi;
use tetra::sched::features::{self, Feature};
use tetra::sched::kthread::{self, Builder, JoinHandle};
use tetra::sched::{self, Priority, Signal, signal};
use tetra::sync::bkl::{kernel_locked, lock_kernel, unlock_kernel};
use tetra::sync::{
    Completion, Condvar, DownError, LockError, Mutex, RwSemaphore, RwSemaphoreWriteGuard, Semaphore, SpinLock, WaitError, WaitQueue,
};
use tetra::util::errno::Errno;
use tetra::{arch, time};
use tetra_tests::{case, check, check_eq, eventually, suite};

suite!();

fn is_asleep<T>(handle: &JoinHandle<T>) -> bool {
    !handle.thread().state().is_empty() && handle.thread().is_asleep()
}

fn all_asleep<T>(handles: &[JoinHandle<T>]) -> bool {
    eventually(|| handles.iter().all(is_asleep))
}

fn priority(number: usize) -> Priority {
    Priority::new(number).expect("below 32")
}

case!(a_mutex_lets_one_thread_in_at_a_time);
fn a_mutex_lets_one_thread_in_at_a_time() {
    static COUNT: Mutex<u32> = Mutex::new(0);
    const ROUNDS: u32 = 60;
    let handles = [(); 8].map(|()| {
        kthread::run("counter", || {
            for round in 0..ROUNDS {
                let mut count = COUNT.lock();
                let seen = *count;
                if round % 32 == 0 {
                    sched::yield_now();
                }
                *count = seen + 1;
            }
        })
        .unwrap()
    });
    for handle in handles {
        check_eq!(handle.join(), Ok(()));
    }
    check_eq!(*COUNT.lock(), 8 * ROUNDS);
    check!(!COUNT.is_locked());
}

case!(a_mutex_is_handed_on_in_turn);
fn a_mutex_is_handed_on_in_turn() {
    static TOTAL: Mutex<u32> = Mutex::new(0);
    const TURNS: u32 = 60;
    let handles = [(); 4].map(|()| {
        kthread::run("turns", || {
            let mut mine = 0;
            loop {
                let mut total = TOTAL.lock();
                if *total >= TURNS {
                    return mine;
                }
                *total += 1;
                mine += 1;
                // Long enough for the others to queue; without a hand-over this thread would be back first.
                sched::msleep(1);
            }
        })
        .unwrap()
    });
    let turns = handles.map(|handle| handle.join().unwrap());
    check_eq!(turns.iter().sum::<u32>(), TURNS);
    check!(turns.iter().all(|mine| *mine >= TURNS / 8));
}

case!(try_lock_does_not_wait);
fn try_lock_does_not_wait() {
    static LOCK: Mutex<u32> = Mutex::new(1);
    let held = LOCK.lock();
    check!(LOCK.is_locked());
    check_eq!(kthread::run("try", || LOCK.try_lock().is_none()).unwrap().join(), Ok(true));
    drop(held);
    check_eq!(LOCK.try_lock().map(|value| *value), Some(1));
}

case!(a_signal_ends_the_wait_for_a_mutex);
fn a_signal_ends_the_wait_for_a_mutex() {
    static LOCK: Mutex<()> = Mutex::new(());
    let held = LOCK.lock();
    let waiter = kthread::run("waiter", || LOCK.lock_interruptible().map(drop)).unwrap();
    check!(eventually(|| is_asleep(&waiter)));
    signal::send(waiter.thread(), Signal::Int);
    check_eq!(waiter.join(), Ok(Err(LockError::Interrupted)));
    check_eq!(Errno::from(LockError::Interrupted), Errno::EINTR);

    let waiter = kthread::run("killable", || LOCK.lock_killable().map(drop)).unwrap();
    check!(eventually(|| is_asleep(&waiter)));
    signal::send(waiter.thread(), Signal::Int);
    sched::msleep(30);
    check!(is_asleep(&waiter));
    signal::send(waiter.thread(), Signal::Kill);
    check_eq!(waiter.join(), Ok(Err(LockError::Interrupted)));
    drop(held);
    // Nothing of those who left is left behind.
    check!(!LOCK.is_locked() && LOCK.try_lock().is_some());
}

case!(an_owner_runs_with_the_urgency_of_who_waits);
fn an_owner_runs_with_the_urgency_of_who_waits() {
    static LOCK: Mutex<()> = Mutex::new(());
    static IS_HELD: AtomicBool = AtomicBool::new(false);
    static MAY_RELEASE: AtomicBool = AtomicBool::new(false);
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    // All on one core: the middle one never gives way, so the low one runs again only with the high one's urgency.
    let low = Builder::new("low")
        .priority(priority(4))
        .bind(2)
        .run(|| {
            let held = LOCK.lock();
            IS_HELD.store(true, Ordering::Release);
            while !MAY_RELEASE.load(Ordering::Acquire) {
                arch::relax();
            }
            drop(held);
            sched::current().priority()
        })
        .unwrap();
    check!(eventually(|| IS_HELD.load(Ordering::Acquire)));
    let middle = Builder::new("middle")
        .priority(priority(10))
        .bind(2)
        .run(|| {
            let deadline = time::uptime() + Duration::from_secs(5);
            while !IS_DONE.load(Ordering::Acquire) && time::uptime() < deadline {
                arch::relax();
            }
            IS_DONE.load(Ordering::Acquire)
        })
        .unwrap();
    let high = Builder::new("high")
        .priority(priority(28))
        .bind(2)
        .run(|| {
            drop(LOCK.lock());
            IS_DONE.store(true, Ordering::Release);
        })
        .unwrap();
    check!(eventually(|| low.thread().priority() == priority(28)));
    MAY_RELEASE.store(true, Ordering::Release);
    check_eq!(high.join(), Ok(()));
    check_eq!(middle.join(), Ok(true));
    check_eq!(low.join(), Ok(priority(4)));
}

case!(urgency_goes_along_a_chain_of_owners);
fn urgency_goes_along_a_chain_of_owners() {
    static FIRST: Mutex<()> = Mutex::new(());
    static SECOND: Mutex<()> = Mutex::new(());
    static THIRD: Mutex<()> = Mutex::new(());
    static MAY_RELEASE: Completion = Completion::new();
    // The first owner sleeps with its lock; each of the others waits for the one before it with a lock of its own.
    let lowest = Builder::new("lowest").priority(priority(3)).run(|| {
        let held = FIRST.lock();
        MAY_RELEASE.wait();
        drop(held);
        sched::current().priority()
    });
    let lowest = lowest.unwrap();
    check!(eventually(|| FIRST.is_locked() && is_asleep(&lowest)));
    let low = Builder::new("low").priority(priority(5)).run(|| {
        let held = SECOND.lock();
        drop(FIRST.lock());
        drop(held);
        sched::current().priority()
    });
    let low = low.unwrap();
    check!(eventually(|| SECOND.is_locked() && is_asleep(&low)));
    check_eq!(lowest.thread().priority(), priority(5));
    let middle = Builder::new("middle").priority(priority(7)).run(|| {
        let held = THIRD.lock();
        drop(SECOND.lock());
        drop(held);
        sched::current().priority()
    });
    let middle = middle.unwrap();
    check!(eventually(|| THIRD.is_locked() && is_asleep(&middle)));
    let high = Builder::new("high").priority(priority(28)).run(|| drop(THIRD.lock())).unwrap();
    check!(eventually(|| is_asleep(&high)));
    check_eq!([&lowest, &low, &middle].map(|owner| owner.thread().priority()), [priority(28); 3]);
    MAY_RELEASE.complete();
    check_eq!(high.join(), Ok(()));
    // Each has its own again as soon as it has given back what was waited for.
    check_eq!((lowest.join(), low.join(), middle.join()), (Ok(priority(3)), Ok(priority(5)), Ok(priority(7))));
}

case!(a_mutex_excludes_whether_its_waiters_spin_or_not);
fn a_mutex_excludes_whether_its_waiters_spin_or_not() {
    static COUNT: Mutex<u32> = Mutex::new(0);
    const ROUNDS: u32 = 100;
    for is_on in [false, true] {
        features::set(Feature::MutexSpin, is_on);
        *COUNT.lock() = 0;
        let handles = [0, 1, 2, 3].map(|cpu| {
            let count = || {
                for _ in 0..ROUNDS {
                    let mut count = COUNT.lock();
                    let seen = *count;
                    (0..50).for_each(|_| arch::relax());
                    *count = seen + 1;
                }
            };
            Builder::new("counter").bind(cpu).run(count).unwrap()
        });
        for handle in handles {
            check_eq!(handle.join(), Ok(()));
        }
        check_eq!(*COUNT.lock(), 4 * ROUNDS);
    }
}

case!(complete_wakes_one_and_complete_all_the_rest);
fn complete_wakes_one_and_complete_all_the_rest() {
    static DONE: Completion = Completion::new();
    static WOKEN: AtomicU32 = AtomicU32::new(0);
    let handles = [(); 4].map(|()| {
        kthread::run("waiter", || {
            DONE.wait();
            WOKEN.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap()
    });
    check!(all_asleep(&handles));
    DONE.complete();
    check!(eventually(|| WOKEN.load(Ordering::Relaxed) == 1));
    sched::msleep(30);
    check_eq!(WOKEN.load(Ordering::Relaxed), 1);
    DONE.complete_all();
    for handle in handles {
        check_eq!(handle.join(), Ok(()));
    }
    // It stays complete, and a further event changes nothing.
    DONE.complete();
    DONE.wait();
    check!(DONE.is_done() && DONE.try_wait());
    DONE.reinit();
    check!(!DONE.is_done() && !DONE.try_wait());
    DONE.complete();
    DONE.complete();
    DONE.wait();
    check!(DONE.try_wait() && !DONE.try_wait());
}

case!(a_timeout_is_never_early);
fn a_timeout_is_never_early() {
    static NEVER: Completion = Completion::new();
    static EMPTY: Semaphore = Semaphore::new(0);
    static QUEUE: WaitQueue = WaitQueue::new();
    for millis in [1, 7, 30] {
        let timeout = Duration::from_millis(millis);
        let begin = time::ktime_get();
        check_eq!(NEVER.wait_timeout(timeout), Err(WaitError::TimedOut));
        check!(time::ktime_get() - begin >= timeout);
        let begin = time::ktime_get();
        check_eq!(EMPTY.down_timeout(timeout), Err(DownError::TimedOut));
        check!(time::ktime_get() - begin >= timeout);
        let begin = time::ktime_get();
        check_eq!(QUEUE.wait_event_timeout(timeout, || false), Err(WaitError::TimedOut));
        check!(time::ktime_get() - begin >= timeout);
    }
    check_eq!(Errno::from(DownError::TimedOut), Errno::ETIME);
    // Who left counts no more: what is given now is kept.
    NEVER.complete();
    EMPTY.up();
    check!(NEVER.try_wait() && EMPTY.try_down() && !QUEUE.has_sleeper());
}

case!(a_signal_ends_waits_that_permit_it);
fn a_signal_ends_waits_that_permit_it() {
    static NEVER: Completion = Completion::new();
    static EMPTY: Semaphore = Semaphore::new(0);
    static QUEUE: WaitQueue = WaitQueue::new();
    let waits: [fn() -> Errno; 3] = [
        || NEVER.wait_interruptible().map_err(Errno::from).unwrap_err(),
        || EMPTY.down_interruptible().map_err(Errno::from).unwrap_err(),
        || QUEUE.wait_event_interruptible(|| false).map_err(Errno::from).unwrap_err(),
    ];
    for (wait, errno) in waits.into_iter().zip([Errno::ERESTARTSYS, Errno::EINTR, Errno::ERESTARTSYS]) {
        let waiter = kthread::run("waiter", wait).unwrap();
        check!(eventually(|| is_asleep(&waiter)));
        signal::send(waiter.thread(), Signal::Term);
        check_eq!(waiter.join(), Ok(errno));
    }
}

case!(only_a_fatal_signal_ends_a_killable_wait);
fn only_a_fatal_signal_ends_a_killable_wait() {
    static NEVER: Completion = Completion::new();
    static EMPTY: Semaphore = Semaphore::new(0);
    static QUEUE: WaitQueue = WaitQueue::new();
    static DATA: RwSemaphore<()> = RwSemaphore::new(());
    let written = DATA.write();
    let waits: [(fn() -> Errno, Errno); 6] = [
        (|| NEVER.wait_killable().map_err(Errno::from).unwrap_err(), Errno::ERESTARTSYS),
        (|| EMPTY.down_killable().map_err(Errno::from).unwrap_err(), Errno::EINTR),
        (|| QUEUE.wait_event_killable(|| false).map_err(Errno::from).unwrap_err(), Errno::ERESTARTSYS),
        (|| QUEUE.wait_event_killable_exclusive(|| false).map_err(Errno::from).unwrap_err(), Errno::ERESTARTSYS),
        (|| DATA.read_killable().map(drop).map_err(Errno::from).unwrap_err(), Errno::EINTR),
        (|| DATA.write_killable().map(drop).map_err(Errno::from).unwrap_err(), Errno::EINTR),
    ];
    for (wait, errno) in waits {
        let waiter = kthread::run("waiter", wait).unwrap();
        check!(eventually(|| is_asleep(&waiter)));
        signal::send(waiter.thread(), Signal::Term);
        sched::msleep(10);
        check!(eventually(|| is_asleep(&waiter)));
        signal::send(waiter.thread(), Signal::Kill);
        check_eq!(waiter.join(), Ok(errno));
    }
    drop(written);
    // Nothing of those who left is left behind.
    check!(DATA.try_write().is_some() && !QUEUE.has_sleeper() && EMPTY.count() == 0);
}

case!(a_wait_with_signals_and_an_end_knows_what_ended_it);
fn a_wait_with_signals_and_an_end_knows_what_ended_it() {
    static NEVER: Completion = Completion::new();
    static QUEUE: WaitQueue = WaitQueue::new();
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);
    let waits: [fn(Duration) -> Result<(), WaitError>; 2] =
        [|most| NEVER.wait_interruptible_timeout(most), |most| QUEUE.wait_event_interruptible_timeout(most, || false)];
    for wait in waits {
        check_eq!(wait(SHORT), Err(WaitError::TimedOut));
        let waiter = kthread::run("waiter", move || wait(LONG)).unwrap();
        check!(eventually(|| is_asleep(&waiter)));
        signal::send(waiter.thread(), Signal::Int);
        check_eq!(waiter.join(), Ok(Err(WaitError::Interrupted)));
    }
}

case!(as_many_exclusive_waiters_are_woken_as_asked_for);
fn as_many_exclusive_waiters_are_woken_as_asked_for() {
    static QUEUE: WaitQueue = WaitQueue::new();
    static IS_OPEN: AtomicBool = AtomicBool::new(false);
    let workers =
        [(); 4].map(|()| kthread::run("worker", || QUEUE.wait_event_killable_exclusive(|| IS_OPEN.load(Ordering::Relaxed))).unwrap());
    let nr_finished = || workers.iter().filter(|worker| worker.is_finished()).count();
    check!(all_asleep(&workers));
    IS_OPEN.store(true, Ordering::Relaxed);
    QUEUE.wake_up_nr(2);
    check!(eventually(|| nr_finished() == 2));
    sched::msleep(30);
    check_eq!(nr_finished(), 2);
    QUEUE.wake_up_nr(2);
    check!(eventually(|| nr_finished() == 4));
    for worker in workers {
        check_eq!(worker.join(), Ok(Ok(())));
    }
}

case!(a_wait_queue_loses_no_wake_up);
fn a_wait_queue_loses_no_wake_up() {
    static TURN: AtomicU32 = AtomicU32::new(0);
    static PLACES: [WaitQueue; 2] = [const { WaitQueue::new() }; 2];
    const ROUNDS: u32 = 200;

    fn play(me: u32) {
        for round in 0..ROUNDS {
            PLACES[me as usize].wait_event(|| TURN.load(Ordering::Relaxed) == 2 * round + me);
            TURN.store(2 * round + me + 1, Ordering::Relaxed);
            PLACES[1 - me as usize].wake_up();
        }
    }
    for cores in [(1, 1), (1, 2)] {
        TURN.store(0, Ordering::Relaxed);
        let first = Builder::new("ping").bind(cores.0).run(|| play(0)).unwrap();
        let second = Builder::new("pong").bind(cores.1).run(|| play(1)).unwrap();
        check_eq!((first.join(), second.join()), (Ok(()), Ok(())));
        check_eq!(TURN.load(Ordering::Relaxed), 2 * ROUNDS);
    }
}

case!(a_wake_up_reaches_all_but_of_the_exclusive_one);
fn a_wake_up_reaches_all_but_of_the_exclusive_one() {
    static QUEUE: WaitQueue = WaitQueue::new();
    static STOCK: AtomicUsize = AtomicUsize::new(0);
    static NR_LOOKS: AtomicUsize = AtomicUsize::new(0);

    fn take() -> bool {
        NR_LOOKS.fetch_add(1, Ordering::Relaxed);
        STOCK.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |stock| stock.checked_sub(1)).is_ok()
    }
    let workers = [(); 4].map(|()| kthread::run("worker", || QUEUE.wait_event_interruptible_exclusive(take)).unwrap());
    check!(all_asleep(&workers));
    let looks = NR_LOOKS.load(Ordering::Relaxed);
    STOCK.store(1, Ordering::Relaxed);
    QUEUE.wake_up();
    check!(eventually(|| workers.iter().filter(|worker| worker.is_finished()).count() == 1));
    sched::msleep(30);
    // One was called, and looked once; the others were left alone.
    check_eq!(NR_LOOKS.load(Ordering::Relaxed), looks + 1);
    STOCK.store(3, Ordering::Relaxed);
    QUEUE.wake_up_all();
    for worker in workers {
        check_eq!(worker.join(), Ok(Ok(())));
    }
    check!(!QUEUE.has_sleeper());
}

case!(a_semaphore_lets_so_many_in);
fn a_semaphore_lets_so_many_in() {
    static PLACES: Semaphore = Semaphore::new(3);
    static INSIDE: AtomicU32 = AtomicU32::new(0);
    static MOST: AtomicU32 = AtomicU32::new(0);
    let handles = [(); 8].map(|()| {
        kthread::run("guest", || {
            for _ in 0..10 {
                PLACES.down();
                MOST.fetch_max(INSIDE.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                sched::msleep(1);
                INSIDE.fetch_sub(1, Ordering::Relaxed);
                PLACES.up();
            }
        })
        .unwrap()
    });
    for handle in handles {
        check_eq!(handle.join(), Ok(()));
    }
    check_eq!((MOST.load(Ordering::Relaxed), PLACES.count()), (3, 3));
}

case!(a_handler_may_give_and_try);
fn a_handler_may_give_and_try() {
    static PLACES: Semaphore = Semaphore::new(0);
    static DONE: Completion = Completion::new();
    let waiter = kthread::run("waiter", || {
        PLACES.down();
        DONE.wait();
    })
    .unwrap();
    check!(eventually(|| is_asleep(&waiter)));
    ipi::interrupt_self(|| {
        check!(!PLACES.try_down());
        PLACES.up();
        DONE.complete();
    });
    check_eq!(waiter.join(), Ok(()));
    ipi::interrupt_self(|| PLACES.up());
    check!(PLACES.try_down() && !PLACES.try_down());
}

case!(readers_are_inside_together_and_a_writer_is_not_starved);
fn readers_are_inside_together_and_a_writer_is_not_starved() {
    static DATA: RwSemaphore<u32> = RwSemaphore::new(0);
    let first = DATA.read();
    check_eq!(kthread::run("reader", || DATA.try_read().is_some() && DATA.try_write().is_none()).unwrap().join(), Ok(true));
    let writer = kthread::run("writer", || *DATA.write() += 1).unwrap();
    check!(eventually(|| is_asleep(&writer)));
    // Who comes behind the writer waits, although only a reader is inside.
    check!(DATA.try_read().is_none());
    let late = kthread::run("late", || *DATA.read()).unwrap();
    check!(eventually(|| is_asleep(&late)));
    drop(first);
    check_eq!(late.join(), Ok(1));
    check_eq!(writer.join(), Ok(()));
    check!(!DATA.is_locked());
}

case!(a_downgrade_lets_readers_in_and_no_writer);
fn a_downgrade_lets_readers_in_and_no_writer() {
    static DATA: RwSemaphore<u32> = RwSemaphore::new(0);
    let mut guard = DATA.write();
    *guard = 7;
    let readers = [(); 3].map(|()| kthread::run("reader", || *DATA.read()).unwrap());
    check!(all_asleep(&readers));
    let writer = kthread::run("writer", || *DATA.write() = 8).unwrap();
    check!(eventually(|| is_asleep(&writer)));
    let guard = RwSemaphoreWriteGuard::downgrade(guard);
    for reader in readers {
        check_eq!(reader.join(), Ok(7));
    }
    check!(is_asleep(&writer) && *guard == 7);
    drop(guard);
    check_eq!(writer.join(), Ok(()));
    check_eq!(*DATA.read(), 8);
}

case!(a_writer_that_is_killed_lets_the_readers_behind_it_in);
fn a_writer_that_is_killed_lets_the_readers_behind_it_in() {
    static DATA: RwSemaphore<u32> = RwSemaphore::new(5);
    let inside = DATA.read();
    let writer = kthread::run("writer", || DATA.write_killable().map(drop)).unwrap();
    check!(eventually(|| is_asleep(&writer)));
    let reader = kthread::run("reader", || *DATA.read()).unwrap();
    check!(eventually(|| is_asleep(&reader)));
    signal::send(writer.thread(), Signal::Kill);
    check_eq!(writer.join(), Ok(Err(LockError::Interrupted)));
    check_eq!(reader.join(), Ok(5));
    drop(inside);
    check!(!DATA.is_locked() && DATA.try_write().is_some());
}

case!(writers_of_a_rw_semaphore_exclude_each_other);
fn writers_of_a_rw_semaphore_exclude_each_other() {
    static DATA: RwSemaphore<(u32, u32)> = RwSemaphore::new((0, 0));
    let handles = [0u32; 8].map(|_| {
        kthread::run("mixed", || {
            for round in 0..100 {
                if round % 4 == 0 {
                    let mut data = DATA.write();
                    data.0 += 1;
                    sched::yield_now();
                    data.1 += 1;
                } else {
                    let data = DATA.read();
                    check_eq!(data.0, data.1);
                }
            }
        })
        .unwrap()
    });
    for handle in handles {
        check_eq!(handle.join(), Ok(()));
    }
    check_eq!(*DATA.read(), (200, 200));
}

case!(a_condition_variable_loses_no_notification);
fn a_condition_variable_loses_no_notification() {
    static STOCK: Mutex<u32> = Mutex::new(0);
    static CAME: Condvar = Condvar::new();
    const EACH: u32 = 60;
    let takers = [(); 3].map(|()| {
        kthread::run("taker", || {
            for _ in 0..EACH {
                *CAME.wait_while(STOCK.lock(), |stock| *stock == 0) -= 1;
            }
        })
        .unwrap()
    });
    for _ in 0..3 * EACH {
        *STOCK.lock() += 1;
        CAME.notify_one();
    }
    for taker in takers {
        check_eq!(taker.join(), Ok(()));
    }
    check_eq!(*STOCK.lock(), 0);

    static IS_OPEN: Mutex<bool> = Mutex::new(false);
    let guests = [(); 3].map(|()| kthread::run("guest", || drop(CAME.wait_while(IS_OPEN.lock(), |open| !*open))).unwrap());
    check!(all_asleep(&guests));
    *IS_OPEN.lock() = true;
    CAME.notify_all();
    for guest in guests {
        check_eq!(guest.join(), Ok(()));
    }

    let waiter = kthread::run("killed", || CAME.wait_while_killable(STOCK.lock(), |stock| *stock == 0).map(drop)).unwrap();
    check!(eventually(|| is_asleep(&waiter)));
    signal::send(waiter.thread(), Signal::Kill);
    check_eq!(waiter.join(), Ok(Err(LockError::Interrupted)));
}

case!(a_notification_to_the_killed_goes_to_the_next);
fn a_notification_to_the_killed_goes_to_the_next() {
    static STOCK: Mutex<u32> = Mutex::new(0);
    static CAME: Condvar = Condvar::new();
    let first = kthread::run("first", || CAME.wait_while_killable(STOCK.lock(), |stock| *stock == 0).map(drop)).unwrap();
    check!(eventually(|| is_asleep(&first)));
    let second = kthread::run("second", || *CAME.wait_while(STOCK.lock(), |stock| *stock == 0) -= 1).unwrap();
    check!(eventually(|| is_asleep(&second)));

    let mut stock = STOCK.lock();
    *stock = 1;
    CAME.notify_one();
    // The first was called and waits for the mutex. It dies before it can look.
    check!(eventually(|| is_asleep(&first)));
    signal::send(first.thread(), Signal::Kill);
    check_eq!(first.join(), Ok(Err(LockError::Interrupted)));
    drop(stock);
    check_eq!(second.join(), Ok(()));
    check_eq!(*STOCK.lock(), 0);
}

case!(the_big_kernel_lock_and_a_mutex_go_in_any_order);
fn the_big_kernel_lock_and_a_mutex_go_in_any_order() {
    static LOCK: Mutex<u32> = Mutex::new(0);
    const ROUNDS: u32 = 100;
    // Each on a core of its own, so that neither spins in vain because the other cannot run.
    let outside = Builder::new("bkl first").bind(1).run(|| {
        for _ in 0..ROUNDS {
            lock_kernel();
            *LOCK.lock() += 1;
            unlock_kernel();
        }
    });
    let inside = Builder::new("bkl last").bind(2).run(|| {
        for _ in 0..ROUNDS {
            let mut count = LOCK.lock();
            lock_kernel();
            *count += 1;
            unlock_kernel();
        }
    });
    check_eq!((outside.unwrap().join(), inside.unwrap().join()), (Ok(()), Ok(())));
    check_eq!(*LOCK.lock(), 2 * ROUNDS);
}

case!(the_big_kernel_lock_is_free_while_its_owner_sleeps);
fn the_big_kernel_lock_is_free_while_its_owner_sleeps() {
    static INSIDE: AtomicU32 = AtomicU32::new(0);
    static MAY_GO_ON: Completion = Completion::new();
    let sleeper = kthread::run("sleeper", || {
        lock_kernel();
        lock_kernel();
        MAY_GO_ON.wait();
        let is_mine_again = kernel_locked() && INSIDE.load(Ordering::Relaxed) == 0;
        unlock_kernel();
        let is_mine_still = kernel_locked();
        unlock_kernel();
        is_mine_again && is_mine_still && !kernel_locked()
    })
    .unwrap();
    check!(eventually(|| is_asleep(&sleeper)));
    // It sleeps with a depth of two, and another gets it at once.
    lock_kernel();
    INSIDE.store(1, Ordering::Relaxed);
    MAY_GO_ON.complete();
    let deadline = time::uptime() + Duration::from_millis(30);
    while time::uptime() < deadline {
        arch::relax();
    }
    // The sleeper, long awake, has not got past its wait.
    check!(!sleeper.is_finished() && kernel_locked());
    INSIDE.store(0, Ordering::Relaxed);
    unlock_kernel();
    check_eq!(sleeper.join(), Ok(true));
}

case!(giving_back_a_big_kernel_lock_that_is_not_held_is_reported, alone: "expect unlock_kernel by .* which does not hold\nexit 0");
fn giving_back_a_big_kernel_lock_that_is_not_held_is_reported() {
    unlock_kernel();
    lock_kernel();
    check!(kernel_locked());
    unlock_kernel();
}

case!(sleeping_under_a_spinlock_is_reported,
    alone: "expect BUG: sleeping function called from invalid context at .*sleeping_locks\nexpect atomic since a spinning lock was taken at .*sleeping_locks\nexit 0");
fn sleeping_under_a_spinlock_is_reported() {
    static LOCK: SpinLock<()> = SpinLock::new(());
    static DONE: Completion = Completion::new();
    DONE.complete();
    let held = LOCK.lock();
    // It would not even have slept this time.
    DONE.wait();
    drop(held);
}

case!(a_condition_that_sleeps_is_reported,
    alone: "expect BUG: sleeping function called at tests/kernel.*while the thread is about to sleep already\nexpect looks at the condition of a wait\nexit 0");
fn a_condition_that_sleeps_is_reported() {
    static QUEUE: WaitQueue = WaitQueue::new();
    static LOCK: Mutex<u32> = Mutex::new(0);
    // False when the wait begins, so it is asked again with the thread queued.
    QUEUE.wait_event(|| {
        let mut nr_looks = LOCK.lock();
        *nr_looks += 1;
        *nr_looks > 1
    });
}

case!(a_handler_that_tries_for_a_mutex_is_reported,
    alone: "expect a handler tries for a mutex, which only threads own\nexpect a handler tries for a rw-semaphore\nexit 0");
fn a_handler_that_tries_for_a_mutex_is_reported() {
    static LOCK: Mutex<u32> = Mutex::new(0);
    static DATA: RwSemaphore<u32> = RwSemaphore::new(0);
    ipi::interrupt_self(|| {
        drop(LOCK.try_lock());
        drop(DATA.try_read());
    });
}

case!(an_owner_that_ends_with_a_mutex_is_found, alone: "expect whose owner has ended with it\nexit 0");
fn an_owner_that_ends_with_a_mutex_is_found() {
    static LOCK: Mutex<u32> = Mutex::new(0);
    static MAY_END: Completion = Completion::new();
    static IS_HELD: Completion = Completion::new();
    let owner = kthread::run("owner", || {
        mem::forget(LOCK.lock());
        IS_HELD.complete();
        MAY_END.wait();
    })
    .unwrap();
    IS_HELD.wait();
    let early = kthread::run("early", || LOCK.lock_killable().map(drop)).unwrap();
    check!(eventually(|| is_asleep(&early)));
    MAY_END.complete();
    check_eq!(owner.join(), Ok(()));
    // Who waited at that time is woken to learn it, who comes later learns it at once.
    check_eq!(early.join(), Ok(Err(LockError::OwnerDead)));
    check_eq!(LOCK.lock_killable().map(drop), Err(LockError::OwnerDead));
    check!(LOCK.try_lock().is_none());
}

case!(a_mutex_inside_itself_is_reported, alone: "expect locks a mutex that it has locked already\nexit 101");
fn a_mutex_inside_itself_is_reported() {
    static LOCK: Mutex<u32> = Mutex::new(0);
    let outer = LOCK.lock();
    let inner = LOCK.lock();
    check!(*outer == *inner);
}

case!(an_unlock_by_another_thread_is_reported, alone: "expect unlocks a mutex that .* has locked; it stays locked\nexit 0");
fn an_unlock_by_another_thread_is_reported() {
    static LOCK: Mutex<u32> = Mutex::new(0);
    struct Smuggled<T>(T);
    // SAFETY: not sound, and the point of this case: the guard leaves its thread as by a bug in unsafe code.
    unsafe impl<T> Send for Smuggled<T> {}
    let guard = Smuggled(LOCK.lock());
    let thief = kthread::run("thief", move || {
        let guard = guard;
        drop(guard.0);
    });
    check_eq!(thief.unwrap().join(), Ok(()));
    check!(LOCK.is_locked() && LOCK.try_lock().is_none());
}
