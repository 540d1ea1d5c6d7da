//! Threads that die: each kind of fault on each core, what they held, who waited for it, and where it is the kernel that ends.
//!
//! Reports are read from the log, not from the console: hundreds of them would keep a serial line busy for minutes, so the console is told to hide them.
//! Each death costs a stack and a block for good, of which there are a thousand in a boot.
#![no_std]
#![no_main]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use tetra::cpu::{self, IrqGuard, PreemptGuard, local_bh_disable};
use tetra::debug::taint::{self, Taint};
use tetra::debug::{bug, oops, provoke};
use tetra::drivers::gicv2::IntId;
use tetra::irq::threaded::ThreadedAction;
use tetra::irq::{self, ipi};
use tetra::log::{self, Reader, Step};
use tetra::mm::addr::Order;
use tetra::mm::kmem_cache::{self, CacheHandle, CacheOptions};
use tetra::mm::slab_layout::SlabFlags;
use tetra::mm::{GfpFlags, page_alloc, vmalloc};
use tetra::platform::hardware::gic;
use tetra::sched::kthread::{self, Builder, JoinHandle, Oopsed};
use tetra::sched::workqueue::{self, Work};
use tetra::sched::{self, death};
use tetra::sync::bkl::{lock_kernel, lock_kernel_killable};
use tetra::sync::{Completion, LockError, Mutex, RwSemaphore, SpinLock, WaitQueue};
use tetra::time::{self, Timer};
use tetra::util::errno::Errno;
use tetra::{BUG, BUG_ON, WARN, WARN_ON, WARN_ON_ONCE, WARN_ONCE, WARN_RATELIMIT, arch, printk};
use tetra_tests::{case, check, check_eq, eventually, suite};

suite!();

/// Hides reports from the console until it is dropped.
struct Quiet(u8);

impl Quiet {
    fn new() -> Self {
        Self(log::set_console_loglevel(1))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // What is hidden is passed over while it is hidden.
        log::drain();
        log::set_console_loglevel(self.0);
    }
}

/// Whether the log has, since `reader` stood, messages with these texts, in this order.
fn says(reader: &mut Reader, texts: &[&str]) -> bool {
    let mut left = texts.iter().peekable();
    while let Some(text) = left.peek() {
        match reader.advance() {
            Step::Record(record) => {
                if reader.contains(&record, text) {
                    left.next();
                }
            }
            Step::Lost(_) => {}
            Step::Waiting | Step::End => {
                printk!(KERN_NOTICE "# the log does not have: {}", **text);
                return false;
            }
        }
    }
    true
}

/// Whether the log has a message with this text.
fn is_said(text: &str) -> bool {
    let mut reader = Reader::from_oldest();
    loop {
        match reader.advance() {
            Step::Record(record) if reader.contains(&record, text) => return true,
            Step::Record(_) | Step::Lost(_) => {}
            Step::Waiting | Step::End => return false,
        }
    }
}

fn is_asleep<T>(handle: &JoinHandle<T>) -> bool {
    !handle.thread().state().is_empty() && !handle.thread().is_on_cpu()
}

/// The kernel is as alive as before: every core runs threads and answers.
fn all_cores_answer() -> bool {
    (0..cpu::nr_online()).all(|cpu| {
        let thread = Builder::new("alive").bind(cpu).run(cpu::id).map(JoinHandle::join);
        thread == Ok(Ok(cpu)) && ipi::call_on(cpu, || ()).is_ok()
    })
}

/// What each crash of `provoke` says, of those that a thread dies of.
const KINDS: [(&str, &str); 14] = [
    ("null-read", "read failed: nothing mapped"),
    ("null-copy", "provoke::null_copy"),
    ("null-call", "a NULL function pointer was called"),
    ("wild-write", "write failed: nothing mapped"),
    ("text-write", "kernel text is read-only"),
    ("data-exec", "data was executed"),
    ("rodata-exec", "read-only data"),
    ("stack-exec", "data was executed"),
    ("undefined", "undefined instruction"),
    ("odd-call", "jump to an address that is no multiple of 4"),
    ("stack", "in the guard page below the stack of victim"),
    ("panic", "on purpose, on cpu"),
    ("bug", "kernel BUG at src/debug/provoke.rs"),
    ("broken-chain", "undefined instruction"),
];

case!(each_kind_of_fault_ends_its_thread_on_each_core);
fn each_kind_of_fault_ends_its_thread_on_each_core() {
    let _quiet = Quiet::new();
    for (kind, words) in KINDS {
        let crash = provoke::CRASHES.iter().find(|crash| crash.name == kind);
        let Some(crash) = crash else {
            check!(crash.is_some());
            continue;
        };
        for cpu in cpu::online() {
            let (before, mut words_of, mut lines_of) = (oops::nr_oopses(), Reader::from_newest(), Reader::from_newest());
            let victim = Builder::new("victim").bind(cpu).run(crash.run).unwrap();
            check_eq!(victim.join(), Err(Oopsed));
            check_eq!(oops::nr_oopses(), before + 1);
            let report = [
                "Internal error: Oops #",
                "thread: victim (pid",
                "[D]=DIE",
                "build: ",
                "backtrace:",
                "  #0  ",
                "lost with victim",
                "end of oops",
            ];
            check!(says(&mut words_of, &[words]));
            check!(says(&mut lines_of, &report));
        }
    }
    check!(taint::get_taint().contains(Taint::Die));
    check!(all_cores_answer());
}

case!(four_stacks_overflow_at_once_and_again);
fn four_stacks_overflow_at_once_and_again() {
    static ARRIVED: AtomicU32 = AtomicU32::new(0);
    let _quiet = Quiet::new();
    let overflow = provoke::CRASHES.iter().find(|crash| crash.name == "stack").unwrap().run;
    for round in 1..=5 {
        let victims = [0, 1, 2, 3].map(|cpu| {
            let body = move || {
                ARRIVED.fetch_add(1, Ordering::AcqRel);
                while ARRIVED.load(Ordering::Acquire) < 4 * round {
                    sched::yield_now();
                }
                overflow();
            };
            Builder::new("deep").bind(cpu).run(body).unwrap()
        });
        for victim in victims {
            check_eq!(victim.join(), Err(Oopsed));
        }
    }
    check!(all_cores_answer());
}

case!(a_bug_ends_its_thread_and_a_condition_that_fails_does_not);
fn a_bug_ends_its_thread_and_a_condition_that_fails_does_not() {
    let _quiet = Quiet::new();
    let mut reader = Reader::from_newest();
    let value = kthread::run("careful", || {
        let left = 3;
        BUG_ON!(left > 3);
        left
    });
    check_eq!(value.unwrap().join(), Ok(3));
    let two = kthread::run("wrong", || BUG_ON!(time::uptime() > Duration::ZERO)).unwrap();
    check_eq!(two.join(), Err(Oopsed));
    check!(says(&mut reader, &["kernel BUG at tests/kernel/src/bin/oops.rs:", "thread: wrong"]));
    let bug: JoinHandle<()> = kthread::run("bug", || BUG!()).unwrap();
    check_eq!(bug.join().map_err(Errno::from), Err(Errno::EOWNERDEAD));
}

case!(stop_and_park_come_back_from_the_dead);
fn stop_and_park_come_back_from_the_dead() {
    let _quiet = Quiet::new();
    let dies_when_asked = || {
        while !kthread::should_stop() && !kthread::should_park() {
            sched::msleep(1);
        }
        panic!("asked to end, and died");
    };
    let stopped: JoinHandle<()> = kthread::run("stopped", dies_when_asked).unwrap();
    check_eq!(stopped.stop(), Err(Oopsed));
    let parked: JoinHandle<()> = kthread::run("parked", dies_when_asked).unwrap();
    check!(!parked.park());
    check!(parked.is_finished());
    check_eq!(parked.join(), Err(Oopsed));
}

case!(a_dead_owners_mutex_is_an_error_for_who_waits_and_who_comes);
fn a_dead_owners_mutex_is_an_error_for_who_waits_and_who_comes() {
    static LOCK: Mutex<u32> = Mutex::new(0);
    static IS_HELD: Completion = Completion::new();
    static MAY_DIE: Completion = Completion::new();
    let _quiet = Quiet::new();
    let mut reader = Reader::from_newest();
    let owner: JoinHandle<()> = kthread::run("owner", || {
        let _held = LOCK.lock();
        IS_HELD.complete();
        MAY_DIE.wait();
        panic!("with the mutex");
    })
    .unwrap();
    IS_HELD.wait();
    let polite = kthread::run("polite", || LOCK.lock_killable().map(drop)).unwrap();
    let other = kthread::run("other", || LOCK.lock_interruptible().map(drop)).unwrap();
    let stubborn = kthread::run("stubborn", || drop(LOCK.lock())).unwrap();
    check!(eventually(|| is_asleep(&polite) && is_asleep(&other) && is_asleep(&stubborn)));
    MAY_DIE.complete();
    check_eq!(owner.join(), Err(Oopsed));
    check_eq!(polite.join(), Ok(Err(LockError::OwnerDead)));
    check_eq!(other.join(), Ok(Err(LockError::OwnerDead)));
    // Who does not take an error dies of it.
    check_eq!(stubborn.join(), Err(Oopsed));
    check_eq!(LOCK.lock_killable().map(drop), Err(LockError::OwnerDead));
    check!(LOCK.try_lock().is_none());
    check!(says(&mut reader, &["with the mutex", "owner (pid", "holds for ever: ", "whose owner has ended with it: owner (pid"]));
}

case!(a_dead_writers_rw_semaphore_is_an_error_for_all);
fn a_dead_writers_rw_semaphore_is_an_error_for_all() {
    static DATA: RwSemaphore<u32> = RwSemaphore::new(0);
    static IS_HELD: Completion = Completion::new();
    static MAY_DIE: Completion = Completion::new();
    let _quiet = Quiet::new();
    let mut reader = Reader::from_newest();
    let writer: JoinHandle<()> = kthread::run("writer", || {
        *DATA.write() = 1;
        let _held = DATA.write();
        IS_HELD.complete();
        MAY_DIE.wait();
        panic!("while it writes");
    })
    .unwrap();
    IS_HELD.wait();
    let next_reader = kthread::run("reads", || DATA.read_killable().map(drop)).unwrap();
    let next_writer = kthread::run("writes", || DATA.write_killable().map(drop)).unwrap();
    let stubborn = kthread::run("stubborn", || *DATA.read()).unwrap();
    check!(eventually(|| is_asleep(&next_reader) && is_asleep(&next_writer) && is_asleep(&stubborn)));
    MAY_DIE.complete();
    check_eq!(writer.join(), Err(Oopsed));
    check_eq!(next_reader.join(), Ok(Err(LockError::OwnerDead)));
    check_eq!(next_writer.join(), Ok(Err(LockError::OwnerDead)));
    check_eq!(stubborn.join(), Err(Oopsed));
    check_eq!(DATA.read_killable().map(drop), Err(LockError::OwnerDead));
    check!(DATA.try_read().is_none() && DATA.try_write().is_none());
    check!(says(&mut reader, &["while it writes", "waits for a rw-semaphore that writer (pid"]));
}

case!(a_dead_reader_is_in_the_way_of_writers_alone);
fn a_dead_reader_is_in_the_way_of_writers_alone() {
    static DATA: RwSemaphore<u32> = RwSemaphore::new(5);
    static IS_HELD: Completion = Completion::new();
    static MAY_DIE: Completion = Completion::new();
    let _quiet = Quiet::new();
    let dead: JoinHandle<()> = kthread::run("dead", || {
        let _held = DATA.read();
        IS_HELD.complete();
        MAY_DIE.wait();
        panic!("while it reads");
    })
    .unwrap();
    IS_HELD.wait();
    let writer = kthread::run("writer", || DATA.write_killable().map(drop)).unwrap();
    check!(eventually(|| is_asleep(&writer)));
    let behind = kthread::run("behind", || *DATA.read()).unwrap();
    check!(eventually(|| is_asleep(&behind)));
    MAY_DIE.complete();
    check_eq!(dead.join(), Err(Oopsed));
    check_eq!(writer.join(), Ok(Err(LockError::OwnerDead)));
    check_eq!(behind.join(), Ok(5));
    check_eq!(*DATA.read(), 5);
    check_eq!(DATA.write_killable().map(drop), Err(LockError::OwnerDead));
}

case!(the_big_kernel_lock_of_the_dead, alone: "expect holds the big kernel lock for ever, taken 2 times\nexpect whose owner has ended with it: owner \\(pid\nexpect Oops #2 on cpu\\d: the owner of the big kernel lock has ended with it\nreject not ok\nexpect ^.*ok 1\nexit 0");
fn the_big_kernel_lock_of_the_dead() {
    static IS_HELD: AtomicBool = AtomicBool::new(false);
    static MAY_DIE: AtomicBool = AtomicBool::new(false);
    let owner: JoinHandle<()> = Builder::new("owner")
        .bind(1)
        .run(|| {
            lock_kernel();
            lock_kernel();
            IS_HELD.store(true, Ordering::Release);
            // A sleep would give it back.
            while !MAY_DIE.load(Ordering::Acquire) {
                arch::relax();
            }
            panic!("with the big kernel lock");
        })
        .unwrap();
    check!(eventually(|| IS_HELD.load(Ordering::Acquire)));
    let polite = Builder::new("polite").bind(2).run(lock_kernel_killable).unwrap();
    let stubborn = Builder::new("stubborn").bind(3).run(lock_kernel).unwrap();
    sched::msleep(20);
    MAY_DIE.store(true, Ordering::Release);
    check_eq!(owner.join(), Err(Oopsed));
    check_eq!(polite.join(), Ok(Err(LockError::OwnerDead)));
    check_eq!(stubborn.join(), Err(Oopsed));
    check_eq!(lock_kernel_killable(), Err(LockError::OwnerDead));
}

case!(a_note_that_the_dead_left_in_a_queue_does_no_harm);
fn a_note_that_the_dead_left_in_a_queue_does_no_harm() {
    static QUEUE: WaitQueue = WaitQueue::new();
    static IS_TRUE: AtomicBool = AtomicBool::new(false);
    static LOOKS: AtomicU32 = AtomicU32::new(0);
    let _quiet = Quiet::new();
    // It dies in its condition, which is looked at with the note in the queue.
    let dead: JoinHandle<()> = kthread::run("dead", || {
        let _ = QUEUE.wait_event_interruptible_exclusive(|| {
            if LOOKS.fetch_add(1, Ordering::Relaxed) == 0 {
                panic!("in its condition");
            }
            true
        });
    })
    .unwrap();
    check_eq!(dead.join(), Err(Oopsed));
    let living = kthread::run("living", || QUEUE.wait_event_interruptible_exclusive(|| IS_TRUE.load(Ordering::Acquire))).unwrap();
    check!(eventually(|| is_asleep(&living)));
    IS_TRUE.store(true, Ordering::Release);
    // One call: it must not go to the dead, which stands in front.
    QUEUE.wake_up();
    check_eq!(living.join(), Ok(Ok(())));
}

case!(a_timer_on_the_stack_of_the_dead_still_fires);
fn a_timer_on_the_stack_of_the_dead_still_fires() {
    static FIRED: AtomicU32 = AtomicU32::new(0);
    let _quiet = Quiet::new();
    let dead: JoinHandle<()> = kthread::run("dead", || {
        let timer = core::pin::pin!(Timer::new(7u32, |timer: core::pin::Pin<&Timer<u32>>| {
            FIRED.fetch_add(*timer.data(), Ordering::Relaxed);
        }));
        timer.as_ref().start_pinned(Duration::from_millis(50));
        panic!("with a timer that runs");
    })
    .unwrap();
    check_eq!(dead.join(), Err(Oopsed));
    // Others get stacks meanwhile, and write all over them.
    for _ in 0..8 {
        check_eq!(kthread::run("next", || core::hint::black_box([0x5au8; 8000])[77]).unwrap().join(), Ok(0x5a));
    }
    check!(eventually(|| FIRED.load(Ordering::Relaxed) == 7));
}

case!(a_worker_that_dies_has_a_successor);
fn a_worker_that_dies_has_a_successor() {
    static DEADLY: Work<()> = Work::new((), |_| panic!("in a piece of work"));
    static LATER: Work<()> = Work::new((), |_| _ = DONE.fetch_add(1, Ordering::Relaxed));
    static DONE: AtomicU32 = AtomicU32::new(0);
    let _quiet = Quiet::new();
    check!(core::pin::Pin::static_ref(&DEADLY).schedule_on(2));
    check!(core::pin::Pin::static_ref(&LATER).schedule_on(2));
    check!(eventually(|| DONE.load(Ordering::Relaxed) == 1));
    workqueue::flush();
    check!(core::pin::Pin::static_ref(&LATER).schedule_on(2));
    LATER.flush();
    check_eq!(DONE.load(Ordering::Relaxed), 2);
}

case!(work_that_died_is_not_waited_for, alone: "expect a piece of work is wanted whose function has died\nreject not ok\nexpect ok 1\nexit 0");
fn work_that_died_is_not_waited_for() {
    static DEADLY: Work<()> = Work::new((), |_| panic!("in a piece of work"));
    check!(core::pin::Pin::static_ref(&DEADLY).schedule_on(1));
    DEADLY.flush();
    check!(!core::pin::Pin::static_ref(&DEADLY).schedule_on(1));
}

fn tracked_cache(name: &'static str) -> CacheHandle {
    let options = CacheOptions { flags: SlabFlags::STORE_USER, ..CacheOptions::new(name, 96) };
    kmem_cache::create(&options).unwrap()
}

case!(what_the_dead_allocated_is_named);
fn what_the_dead_allocated_is_named() {
    let _quiet = Quiet::new();
    let mut reader = Reader::from_newest();
    let cache: &'static CacheHandle = leak(tracked_cache("oops-named"));
    let before = oops::lost();
    let dead: JoinHandle<()> = kthread::run("spender", move || {
        let objects = [(); 3].map(|()| cache.alloc(GfpFlags::KERNEL).unwrap());
        // SAFETY: allocated from this cache just now.
        unsafe { cache.free(objects[1]) };
        panic!("with two objects");
    })
    .unwrap();
    check_eq!(dead.join(), Err(Oopsed));
    let after = oops::lost();
    check_eq!((after.objects - before.objects, after.object_bytes - before.object_bytes), (2, 192));
    check!(says(&mut reader, &["with two objects", "allocated and did not free: 0x", "96 bytes of oops-named", "2 objects of 192 bytes"]));
}

case!(areas_of_the_dead_are_named);
fn areas_of_the_dead_are_named() {
    let _quiet = Quiet::new();
    let (mut reader, before) = (Reader::from_newest(), oops::lost());
    let dead: JoinHandle<()> = kthread::run("mapper", || {
        let _area = vmalloc::vmalloc(3 << 12, GfpFlags::KERNEL).unwrap();
        panic!("with an area");
    })
    .unwrap();
    check_eq!(dead.join(), Err(Oopsed));
    check_eq!(oops::lost().area_bytes - before.area_bytes, 3 << 12);
    check!(says(&mut reader, &["with an area", "12288 bytes from tests/kernel/src/bin/oops.rs:", "1 vmalloc areas of 12288 bytes"]));
}

case!(pages_of_the_dead_are_named, alone: "append page_owner=on\nexpect ok 1\nexit 0");
fn pages_of_the_dead_are_named() {
    let _quiet = Quiet::new();
    let (mut reader, before) = (Reader::from_newest(), oops::lost());
    let dead: JoinHandle<()> = kthread::run("holder", || {
        let order = Order::new(2).unwrap();
        let blocks = [(); 3].map(|()| page_alloc::alloc_pages(GfpFlags::KERNEL, order).unwrap());
        // SAFETY: allocated just now, and nobody uses it.
        unsafe { page_alloc::free_pages(blocks[1], order) };
        panic!("with two blocks");
    })
    .unwrap();
    check_eq!(dead.join(), Err(Oopsed));
    check_eq!(oops::lost().page_bytes - before.page_bytes, 2 * 16384);
    check!(says(&mut reader, &["with two blocks", "16384 bytes from tests/kernel/src/bin/oops.rs:", "2 blocks of pages of 32768 bytes"]));
}

/// Keeps a value for ever.
fn leak<T>(value: T) -> &'static T {
    let place = tetra::mm::kmalloc::kmalloc(size_of::<T>(), GfpFlags::KERNEL).unwrap().cast::<T>();
    // SAFETY: allocated with this size just now; kmalloc aligns to the size's power of two or 8, which is enough for handles.
    unsafe { place.write(value) };
    // SAFETY: written just now, and never freed.
    unsafe { &*NonNull::as_ptr(place) }
}

case!(warnings_say_where_count_and_give_the_condition);
fn warnings_say_where_count_and_give_the_condition() {
    let _quiet = Quiet::new();
    let (before, mut reader) = (bug::nr_warnings(), Reader::from_newest());
    let odd = |number: u32| WARN_ON!(number % 2 == 1);
    check!(odd(1) && !odd(2) && odd(3));
    check_eq!(bug::nr_warnings(), before + 2);
    check_eq!([true, true, false].map(|holds| WARN_ON_ONCE!(holds)), [true, true, false]);
    check_eq!([1, 2].map(|round| WARN_ONCE!(round > 0, "round {}", round)), [true, true]);
    check_eq!(bug::nr_warnings(), before + 4);
    check!(WARN!(before < u64::MAX, "{} words", 2));
    check!(!WARN!(before == u64::MAX, "not said"));
    for _ in 0..30 {
        check!(WARN_RATELIMIT!(true, "again and again"));
    }
    // Ten in five seconds; a slow machine may get into a second interval.
    let limited = bug::nr_warnings() - before - 5;
    check!((10..=20).contains(&limited));
    check!(says(
        &mut reader,
        &[
            "at tests/kernel/src/bin/oops.rs:",
            "core: cpu",
            "thread: init (pid 1)",
            "[W]=WARN",
            "  #0  ",
            "end of warning",
            "round > 0: round 1",
            ": 2 words"
        ]
    ));
    check!(taint::get_taint().contains(Taint::Warn));
}

case!(a_warning_keeps_registers_and_context);
fn a_warning_keeps_registers_and_context() {
    let _quiet = Quiet::new();
    let before = bug::nr_warnings();
    let mut sum = 0u64;
    for step in 0..20u64 {
        sum += step * step;
        WARN_ON!(step % 5 == 0);
    }
    check_eq!(sum, 2470);
    let _section = PreemptGuard::new();
    let count = cpu::preempt_count();
    check!(WARN_ON!(count == 1));
    check_eq!(cpu::preempt_count(), count);
    let irqs_off = IrqGuard::new();
    WARN_ON!(arch::irq::is_masked());
    check!(arch::irq::is_masked());
    drop(irqs_off);
    check!(!arch::irq::is_masked());
    ipi::interrupt_self(|| check!(WARN_ON!(cpu::in_hardirq())));
    check_eq!(bug::nr_warnings(), before + 7);
}

case!(a_warning_ends_the_kernel_if_that_is_wanted, alone: "expect WARNING #1 on cpu0 at tests/kernel\nexpect Kernel panic on cpu0: panic_on_warn is set\nexit 101");
fn a_warning_ends_the_kernel_if_that_is_wanted() {
    bug::set_panic_on_warn(true);
    WARN_ON!(bug::panics_on_warn());
}

/// Runs `body` in a thread, in which it must end the kernel.
fn in_thread(body: fn()) {
    check_eq!(kthread::run("victim", body).unwrap().join(), Ok(()));
}

case!(with_preemption_off_the_kernel_ends, alone: "expect Kernel panic on cpu\\d: in a section\nexpect thread: victim\nexpect count: 0x1\nreject Oops #\nexit 101");
fn with_preemption_off_the_kernel_ends() {
    in_thread(|| {
        let _section = PreemptGuard::new();
        panic!("in a section");
    });
}

case!(under_a_spinlock_a_fault_ends_the_kernel, alone: "expect Kernel panic on cpu\\d: read failed\nexpect thread: victim\nreject Oops #\nexit 101");
fn under_a_spinlock_a_fault_ends_the_kernel() {
    static LOCK: SpinLock<()> = SpinLock::new(());
    in_thread(|| {
        let _held = LOCK.lock();
        (provoke::CRASHES[0].run)();
    });
}

case!(with_irqs_off_the_kernel_ends, alone: "expect Kernel panic on cpu\\d: read failed\nexpect thread: victim\nreject Oops #\nexit 101");
fn with_irqs_off_the_kernel_ends() {
    in_thread(|| {
        let _irqs_off = IrqGuard::new();
        (provoke::CRASHES[0].run)();
    });
}

case!(with_bottom_halves_off_the_kernel_ends, alone: "expect Kernel panic on cpu\\d: bottom halves off\nexpect count: 0x200\nreject Oops #\nexit 101");
fn with_bottom_halves_off_the_kernel_ends() {
    in_thread(|| {
        local_bh_disable();
        panic!("bottom halves off");
    });
}

case!(in_a_hardirq_the_kernel_ends, alone: "expect Kernel panic on cpu\\d: in a handler\nexpect in: hardirq\nreject Oops #\nexit 101");
fn in_a_hardirq_the_kernel_ends() {
    in_thread(|| ipi::interrupt_self(|| panic!("in a handler")));
}

case!(in_a_softirq_the_kernel_ends, alone: "expect Kernel panic on cpu\\d: in a timer\nreject Oops #\nexit 101");
fn in_a_softirq_the_kernel_ends() {
    static TIMER: Timer<()> = Timer::new((), |_| panic!("in a timer"));
    in_thread(|| {
        TIMER.start(Duration::from_millis(1));
        sched::msleep(1000);
    });
}

case!(the_first_thread_ends_the_kernel, alone: "expect Kernel panic on cpu0: on purpose, on cpu0\nexpect thread: init\nreject Oops #\nexit 101");
fn the_first_thread_ends_the_kernel() {
    check!(!death::may_end());
    (provoke::CRASHES.iter().find(|crash| crash.name == "panic").unwrap().run)();
}

case!(an_oops_ends_the_kernel_if_that_is_wanted, alone: "expect Kernel panic on cpu\\d: stack overflow\nexpect thread: victim\nreject Oops #\nexit 101");
fn an_oops_ends_the_kernel_if_that_is_wanted() {
    oops::set_panic_on_oops(true);
    in_thread(provoke::CRASHES.iter().find(|crash| crash.name == "stack").unwrap().run);
}

case!(a_panic_in_the_report_ends_the_kernel, alone: "expect Kernel panic on cpu\\d: while its text was being written\nexit 101");
fn a_panic_in_the_report_ends_the_kernel() {
    in_thread(provoke::CRASHES.iter().find(|crash| crash.name == "panic-nested").unwrap().run);
}

/// Threads that die in the last case, each with a lock and memory.
const MANY: usize = 500;

case!(five_hundred_oopses_are_survived_and_accounted_for, alone: "expect 500 have died, 500 locks are lost, 500 objects of 48000 bytes, 8192000 bytes of stacks\nreject not ok\nexpect ok 1 five_hundred\nsilence 170\nexit 0");
fn five_hundred_oopses_are_survived_and_accounted_for() {
    static LOCKS: [Mutex<u32>; MANY] = [const { Mutex::new(0) }; MANY];
    static CACHE: spin_once::Once = spin_once::Once::new();
    let quiet = Quiet::new();
    CACHE.set(leak(tracked_cache("oops-many")));
    const AT_ONCE: usize = 4;
    let crashes = [0, 4, 9, 10].map(|kind| KINDS[kind % KINDS.len()].0);
    let find = |name| provoke::CRASHES.iter().find(|crash| crash.name == name).unwrap().run;
    let crashes = crashes.map(find);
    for first in (0..MANY).step_by(AT_ONCE) {
        let victims: [JoinHandle<()>; AT_ONCE] = core::array::from_fn(|core| {
            let (number, crash) = (first + core, crashes[(first / AT_ONCE + core) % crashes.len()]);
            let body = move || {
                let _held = LOCKS[number].lock();
                let _object = CACHE.get().alloc(GfpFlags::KERNEL).unwrap();
                crash();
            };
            Builder::new("victim").bind(core % cpu::nr_online()).run(body).unwrap()
        });
        for victim in victims {
            check_eq!(victim.join(), Err(Oopsed));
        }
    }
    let nr_dead_locks = LOCKS.iter().filter(|lock| lock.lock_killable().map(drop) == Err(LockError::OwnerDead)).count();
    let lost = oops::lost();
    check_eq!((lost.threads, death::all_dead().count()), (MANY as u64, MANY));
    check!(all_cores_answer());
    drop(quiet);
    printk!(KERN_NOTICE "{} have died, {} locks are lost, {} objects of {} bytes, {} bytes of stacks", lost.threads, nr_dead_locks, lost.objects, lost.object_bytes, lost.stack_bytes);
}

/// A cell that is set once, before threads read it.
mod spin_once {
    use core::ptr;
    use core::sync::atomic::{AtomicPtr, Ordering};
    use tetra::mm::kmem_cache::CacheHandle;

    pub struct Once(AtomicPtr<CacheHandle>);

    impl Once {
        pub const fn new() -> Self {
            Self(AtomicPtr::new(ptr::null_mut()))
        }

        pub fn set(&self, cache: &'static CacheHandle) {
            self.0.store(ptr::from_ref(cache).cast_mut(), Ordering::Release);
        }

        pub fn get(&self) -> &'static CacheHandle {
            // SAFETY: null, or what `set` stored, which lives for ever.
            unsafe { self.0.load(Ordering::Acquire).as_ref() }.expect("it was set first")
        }
    }
}

case!(a_line_whose_thread_dies_says_so);
fn a_line_whose_thread_dies_says_so() {
    const LINE: u16 = 214;
    let gic = gic();
    let intid = IntId::new(LINE).expect("a line of the controller");
    let action = irq::request_threaded_oneshot(LINE, "irq/214-dies", |_| panic!("on purpose"), 0).expect("nobody has it");
    check!(gic.set_pending(intid).is_ok());
    // Not before it is said: of a line that was given back there is nothing to say.
    check!(eventually(|| is_said("line 214: its thread irq/214-dies")));
    check!(is_said("has died: the line stays masked"));
    check!(!gic.is_enabled(intid));
    // It can be given back, and given to another.
    check_eq!(action.free(), Ok(()));
    static SERVED: AtomicU32 = AtomicU32::new(0);
    let again = irq::request_threaded_oneshot(LINE, "irq/214-lives", |_| _ = SERVED.fetch_add(1, Ordering::Relaxed), 0);
    check!(gic.set_pending(intid).is_ok());
    check!(eventually(|| SERVED.load(Ordering::Relaxed) == 1));
    check_eq!(again.map(ThreadedAction::free), Ok(Ok(())));
}
