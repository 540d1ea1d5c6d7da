//! What one core leaves for another without a lock: a thread, a call, a tasklet, a value made once.
//!
//! The words of `sched` and `irq` are compiled here once more from their own files, since they are private there.

use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use tetra::sync::Once;

#[expect(dead_code, reason = "a test uses part of it")]
#[path = "../../../src/irq/call_list.rs"]
mod call_list;
#[expect(dead_code, reason = "a test uses part of it")]
#[path = "../../../src/sched/on_cpu.rs"]
mod on_cpu;
#[expect(dead_code, reason = "a test uses part of it")]
#[path = "../../../src/irq/run_state.rs"]
mod run_state;

use call_list::{Call, CallList};
use on_cpu::OnCpu;
use run_state::RunState;

fn read(cell: &AtomicU64) -> u64 {
    cell.load(Ordering::Relaxed)
}

fn set(cell: &AtomicU64, value: u64) {
    cell.store(value, Ordering::Relaxed);
}

/// The thread's last store on one core, then the core has left it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn leave_thread(data: &AtomicU64, on_cpu: &OnCpu) -> u64 {
    set(data, 1);
    on_cpu.clear();
    0
}

/// Another core finds it at rest and runs it: its first load there.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn take_thread(data: &AtomicU64, on_cpu: &OnCpu) -> u64 {
    u64::from(on_cpu.is_clear()) << 1 | read(data)
}

/// Writes the argument and puts a call on a core's list.
///
/// # Safety
/// `call` is on no list.
#[unsafe(no_mangle)]
#[inline(never)]
unsafe extern "C" fn send_call(list: &CallList<()>, call: NonNull<Call<()>>, argument: &AtomicU64) -> u64 {
    set(argument, 1);
    // SAFETY: The caller's promise; the test's memory is never given back.
    unsafe { list.push(call) };
    0
}

/// The sender looks whether its call is done, and at the result: 2 for the first, 1 for the second.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_done(call: &Call<()>, result: &AtomicU64) -> u64 {
    u64::from(call.is_done()) << 1 | read(result)
}

/// Serves a core's list: a call reads its argument and writes its result. Returns 2 if there was one, and the argument.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn serve_calls(list: &CallList<()>, argument: &AtomicU64, result: &AtomicU64) -> u64 {
    let seen = Cell::new(0);
    list.run_all(|()| {
        seen.set(2 | read(argument));
        set(result, 1);
    });
    seen.get()
}

/// Data, then a request. Returns 1 if there was one that had not begun.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ask_run(data: &AtomicU64, state: &RunState) -> u64 {
    set(data, 1);
    u64::from(state.ask().is_none())
}

/// Begins a run if it was asked for, and reads: 2 for the run, 1 for the data.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn begin_run(data: &AtomicU64, state: &RunState) -> u64 {
    if state.begin() { 2 | read(data) } else { 0 }
}

/// The last store of a run, then its end.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn end_run(data: &AtomicU64, state: &RunState) -> u64 {
    set(data, 1);
    u64::from(state.end())
}

/// Looks whether nothing runs or waits, as who wants the thing gone: 2 for that, 1 for the data.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_idle(data: &AtomicU64, state: &RunState) -> u64 {
    u64::from(state.is_idle()) << 1 | read(data)
}

/// Makes the value unless it is there. The test runs the part that makes it, which the compiler keeps apart.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn once_make(once: &Once<u64>) -> u64 {
    *once.call_once(|| 1)
}

/// The value if it is there: 2 for that, 1 for the value.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn once_get(once: &Once<u64>) -> u64 {
    once.get().map_or(0, |value| 2 | *value)
}
