//! `lab goto-drop`: what was acquired is released on every way out: by labels in C, by scope here.

use super::Place;
use super::notebook::{Notebook, padded};
use crate::mm::{GfpFlags, KBox};
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::AtomicI64;
use crate::util::errno::Errno;
use crate::util::scope_guard::ScopeGuard;
use core::fmt::Write;

shell::lab! {
    name: "goto-drop",
    place: Place::course(3, 4, 0),
    title: "device_open: goto clean-up, Drop; a leak in the sample",
    needs: 1,
    idea: "\
C: each step that fails jumps to a label that undoes the steps before it, in
reverse order. The labels must be kept in step with the code by hand. Rust:
what is acquired is a value whose Drop undoes it; `?` leaves, and all values
made so far go, in reverse order. For steps without a value: a ScopeGuard.

The course's device_open never stores its buffer in `dev`: device_release
frees dev->buffer, which nobody set, and the buffer is lost.",
    next: "lab error-flow; src/util/scope_guard.rs, src/mm/kbox.rs",
    run: run,
}

/// Things that are held at the moment: devices, buffers, switched-on hardware.
static HELD: AtomicI64 = AtomicI64::new(0);

/// Counts as held as long as it lives.
struct Held;

impl Held {
    fn new() -> Self {
        HELD.inc();
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.dec();
    }
}

/// The course's `buffer`.
struct Buffer {
    _bytes: [u8; 256],
    _held: Held,
}

/// The course's `struct my_device`.
struct MyDevice {
    buffer: Option<KBox<Buffer>>,
    _held: Held,
}

/// Which step of `device_open` fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fails {
    Nothing,
    Device,
    Buffer,
    Hardware,
}

fn allocate<T>(value: T, refuse: bool) -> Result<KBox<T>, Errno> {
    if refuse {
        return Err(Errno::ENOMEM);
    }
    Ok(KBox::new(value, GfpFlags::KERNEL)?)
}

/// As in the course: the buffer is allocated, and forgotten on success. Gives what C's pointer was, too, so that the lab can clean up.
fn open_as_in_the_course() -> Result<(KBox<MyDevice>, core::ptr::NonNull<Buffer>), Errno> {
    let dev = allocate(MyDevice { buffer: None, _held: Held::new() }, false)?;
    let buffer = allocate(Buffer { _bytes: [0; 256], _held: Held::new() }, false)?;
    // file->private_data = dev; return 0;
    Ok((dev, KBox::into_raw(buffer)))
}

/// The right one: `?` and scopes. The hardware is switched off again unless all went well.
fn device_open(fails: Fails) -> Result<KBox<MyDevice>, Errno> {
    let mut dev = allocate(MyDevice { buffer: None, _held: Held::new() }, fails == Fails::Device)?;
    dev.buffer = Some(allocate(Buffer { _bytes: [0; 256], _held: Held::new() }, fails == Fails::Buffer)?);
    let hardware = ScopeGuard::new(Held::new(), drop);
    if fails == Fails::Hardware {
        return Err(Errno::EIO);
    }
    // Open for as long as this lab cares: switched off by hand, since nobody else will.
    drop(hardware.dismiss());
    Ok(dev)
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    let before = HELD.read();
    book.wrong("the course's device_open and device_release")?;
    let (dev, buffer) = open_as_in_the_course()?;
    // device_release: kfree(dev->buffer); kfree(dev);
    let is_stored = dev.buffer.is_some();
    drop(dev);
    let leaked = HELD.read() - before;
    book.value("things still held after open and release", leaked)?;
    book.claim("the buffer: dev->buffer was never set", leaked == 1 && !is_stored)?;
    // SAFETY: from `into_raw` in `open_as_in_the_course`; nothing else has it.
    drop(unsafe { KBox::from_raw(buffer) });

    book.right("`?`, Drop and a ScopeGuard; every step made to fail")?;
    let mut all_clean = true;
    for (name, fails, expected) in [
        ("nothing fails", Fails::Nothing, None),
        ("no memory for the device", Fails::Device, Some(Errno::ENOMEM)),
        ("no memory for the buffer", Fails::Buffer, Some(Errno::ENOMEM)),
        ("the hardware does not answer", Fails::Hardware, Some(Errno::EIO)),
    ] {
        let result = device_open(fails);
        let error = result.as_ref().err().copied();
        let held = HELD.read() - before;
        drop(result);
        let left = HELD.read() - before;
        let answer = error.map_or(padded(format_args!("open")), |error| padded(format_args!("-{error}")));
        writeln!(book, "  {name:32} {answer:16} held {held}, in the end {left}")?;
        all_clean &= left == 0 && error == expected;
    }
    Ok(book.claim("each way out leaves nothing behind", all_clean)?)
}
