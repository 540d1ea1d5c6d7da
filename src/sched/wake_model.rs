//! The wake-up protocol of `switch` and `wake` under loom: a sleeper, and one or two wakers, with the same steps in the same orders.
//!
//! Checked: whoever sleeps when all wakers are done has been queued, once, and its registers are read only after they were written. Each order that the
//! real code argues for has a twin here without it, which must fail.

use super::on_cpu::OnCpu;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use loom::sync::{Arc, Mutex};
use loom::thread;

const RUNNING: u32 = 0;
const SLEEPING: u32 = 1;

/// Which part of the protocol is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Twin {
    Whole,
    SleeperWithoutBarrier,
    WakerWithoutBarrier,
    WakerWithoutWait,
    WakerWithoutLock,
}

struct Thread {
    state: AtomicU32,
    on_rq: AtomicBool,
    on_cpu: OnCpu,
    /// The saved registers.
    context: UnsafeCell<u32>,
    lock: Mutex<()>,
    /// The run queue: how often the thread was queued.
    queue: Mutex<u32>,
    condition: AtomicBool,
}

// SAFETY: loom reports every unordered access to `context`.
unsafe impl Sync for Thread {}
// SAFETY: as above.
unsafe impl Send for Thread {}

impl Thread {
    fn new() -> Self {
        Self {
            state: AtomicU32::new(RUNNING),
            on_rq: AtomicBool::new(true),
            on_cpu: OnCpu::new(),
            context: UnsafeCell::new(0),
            lock: Mutex::new(()),
            queue: Mutex::new(0),
            condition: AtomicBool::new(false),
        }
    }

    /// `set_current_state`, the look at the condition, `schedule`. True if the thread left its core.
    fn sleep(&self, twin: Twin) -> bool {
        self.state.store(SLEEPING, Ordering::Release);
        if twin != Twin::SleeperWithoutBarrier {
            fence(Ordering::SeqCst);
        }
        if self.condition.load(Ordering::Relaxed) {
            self.state.store(RUNNING, Ordering::Release);
            return false;
        }
        {
            let _queue = self.queue.lock().expect("nobody panics with it");
            if self.state.load(Ordering::Acquire) == RUNNING {
                return false;
            }
            self.on_rq.store(false, Ordering::Release);
        }
        // SAFETY: loom checks the access; a report ends the model.
        self.context.with_mut(|context| unsafe { *context = 1 });
        self.on_cpu.clear();
        true
    }

    /// `try_to_wake_up`.
    fn wake(&self, twin: Twin) {
        self.condition.store(true, Ordering::Relaxed);
        let _awake = (twin != Twin::WakerWithoutLock).then(|| self.lock.lock().expect("nobody panics with it"));
        if twin != Twin::WakerWithoutBarrier {
            fence(Ordering::SeqCst);
        }
        if self.state.load(Ordering::Acquire) != SLEEPING {
            return;
        }
        if self.on_rq.load(Ordering::Acquire) {
            let _queue = self.queue.lock().expect("nobody panics with it");
            if self.on_rq.load(Ordering::Relaxed) {
                self.state.store(RUNNING, Ordering::Release);
                return;
            }
        }
        while twin != Twin::WakerWithoutWait && !self.on_cpu.is_clear() {
            thread::yield_now();
        }
        self.state.store(RUNNING, Ordering::Release);
        let mut queued = self.queue.lock().expect("nobody panics with it");
        // SAFETY: as in `sleep`: the core that takes the thread from the queue loads its registers.
        let context = self.context.with(|context| unsafe { *context });
        assert_eq!(context, 1, "registers of a thread that is not off its core");
        *queued += 1;
        self.on_rq.store(true, Ordering::Relaxed);
    }
}

fn model(twin: Twin, wakers: usize) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let thread = Arc::new(Thread::new());
        thread.on_cpu.set();
        let wakers: Vec<_> = (0..wakers)
            .map(|_| {
                let thread = Arc::clone(&thread);
                thread::spawn(move || thread.wake(twin))
            })
            .collect();
        let has_slept = thread.sleep(twin);
        wakers.into_iter().for_each(|waker| waker.join().expect("a waker does not panic"));
        let queued = *thread.queue.lock().expect("nobody panics with it");
        assert_eq!(queued, u32::from(has_slept), "slept and queued must go together");
    });
}

use std::prelude::v1::*;

#[test]
fn a_sleeper_is_queued_once_by_one_waker() {
    model(Twin::Whole, 1);
}

#[test]
fn a_sleeper_is_queued_once_by_two_wakers() {
    model(Twin::Whole, 2);
}

#[test]
#[should_panic(expected = "slept and queued must go together")]
fn without_the_sleepers_barrier_a_wake_up_is_lost() {
    model(Twin::SleeperWithoutBarrier, 1);
}

#[test]
#[should_panic(expected = "slept and queued must go together")]
fn without_the_wakers_barrier_a_wake_up_is_lost() {
    model(Twin::WakerWithoutBarrier, 1);
}

#[test]
#[should_panic]
fn without_the_wait_half_saved_registers_are_loaded() {
    model(Twin::WakerWithoutWait, 1);
}

#[test]
#[should_panic(expected = "slept and queued must go together")]
fn without_the_lock_two_wakers_queue_a_thread_twice() {
    model(Twin::WakerWithoutLock, 2);
}
