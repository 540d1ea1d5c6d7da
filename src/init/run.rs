//! The shell of the console, and `run=`.

use crate::log;
use crate::mm::{AllocError, GfpFlags, KVec};
use crate::platform::hardware;
use crate::shell::{SerialTerminal, Shell};
use core::str;
use core::sync::atomic::{AtomicBool, Ordering};

static TERMINAL: SerialTerminal = SerialTerminal;

/// The one shell. Its borrow is for ever, so it can be asked for once.
///
/// # Panics
/// If it is asked for again.
pub fn shell() -> &'static mut Shell {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    static SHELL: ShellCell = ShellCell(core::cell::UnsafeCell::new(Shell::new()));

    assert!(!TAKEN.swap(true, Ordering::Relaxed), "the console's shell is taken already");
    // SAFETY: the flag lets one caller pass, ever.
    let shell = unsafe { &mut *SHELL.0.get() };
    shell.attach(&TERMINAL);
    shell
}

struct ShellCell(core::cell::UnsafeCell<Shell>);

// SAFETY: `shell` hands the content out once.
unsafe impl Sync for ShellCell {}

/// Runs `script` as if typed, then switches the machine off; its exit code is the number of the first failure's status, 0 if all went well.
///
/// In the boot argument a backslash makes the next `"` or `\` an ordinary character, so that a script can have quotes of its own.
pub fn script_then_power_off(shell: &mut Shell, script: &str) -> ! {
    let plain = without_escapes(script);
    let status = shell.run_script(plain.as_ref().ok().and_then(|plain| str::from_utf8(plain).ok()).unwrap_or(script));
    pr_notice!("run: {} commands, {} failed", status.ran, status.failed);
    log::drain();
    hardware::power_off(u32::from(status.failed != 0))
}

fn without_escapes(script: &str) -> Result<KVec<u8>, AllocError> {
    let mut plain = KVec::new();
    let mut bytes = script.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = bytes.next_if(|next| byte == b'\\' && matches!(next, b'"' | b'\\'));
        plain.push(escaped.unwrap_or(byte), GfpFlags::KERNEL)?;
    }
    Ok(plain)
}
