//! `lab cache-line`: which fields share a line, and an error in the course.

use super::Place;
use super::notebook::{Notebook, padded};
use crate::proc::ViewError;
use crate::shell;
use core::fmt::Write;
use core::mem::offset_of;

shell::lab! {
    name: "cache-line",
    place: Place::course(4, 2, 1),
    title: "a structure in cache lines; the course's is off by 8",
    needs: 1,
    idea: "\
What is used together belongs in one line of 64 bytes, what is used rarely in
another. The course's example says that `name[48]` completes the first 64
bytes. It does not: 4 + 4 + 48 is 56, and as the structure is packed, the
list begins at 56 and lies across two lines: one that is hot, one that is not.

`packed` buys nothing there. Without it, and with the cold part aligned, the
compiler does what the comment promised.",
    next: "lab false-sharing; docs/performance.md",
    run: run,
}

const LINE: usize = 64;

/// `struct list_head`: two pointers.
#[repr(C)]
struct ListHead {
    next: usize,
    prev: usize,
}

/// The fields of the course's `struct cache_friendly_struct`, packed as there.
#[repr(C, packed)]
struct Fields {
    status: i32,
    ref_count: i32,
    name: [u8; 48],
    list: ListHead,
    private_data: usize,
}

/// `__attribute__((packed, aligned(64)))`: in Rust the two are said of two types.
#[repr(C, align(64))]
struct CacheFriendly {
    fields: Fields,
}

/// What is used often.
#[repr(C, align(64))]
struct Hot {
    status: i32,
    ref_count: i32,
    name: [u8; 48],
}

/// What is used rarely.
#[repr(C, align(64))]
struct Cold {
    list: ListHead,
    private_data: usize,
}

/// As the comment in the course means it.
#[repr(C)]
struct Layered {
    hot: Hot,
    cold: Cold,
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("the course's structure: packed, aligned(64)")?;
    let base = offset_of!(CacheFriendly, fields);
    field::<i32>(book, "status", base + offset_of!(Fields, status))?;
    field::<i32>(book, "ref_count", base + offset_of!(Fields, ref_count))?;
    field::<[u8; 48]>(book, "name", base + offset_of!(Fields, name))?;
    let crosses = field::<ListHead>(book, "list", base + offset_of!(Fields, list))?;
    field::<usize>(book, "private_data", base + offset_of!(Fields, private_data))?;
    book.value("size", size_of::<CacheFriendly>())?;
    book.claim("56 bytes stand before `list`, not 64", offset_of!(Fields, list) == 56)?;
    book.claim("`list` lies in two lines", crosses)?;

    book.right("hot and cold part, each aligned to a line")?;
    let (hot, cold) = (offset_of!(Layered, hot), offset_of!(Layered, cold));
    field::<i32>(book, "status", hot + offset_of!(Hot, status))?;
    field::<i32>(book, "ref_count", hot + offset_of!(Hot, ref_count))?;
    field::<[u8; 48]>(book, "name", hot + offset_of!(Hot, name))?;
    let crosses = field::<ListHead>(book, "list", cold + offset_of!(Cold, list) + offset_of!(ListHead, next))?;
    field::<usize>(book, "private_data", cold + offset_of!(Cold, private_data))?;
    book.value("size", size_of::<Layered>())?;
    let is_next = offset_of!(ListHead, prev) == size_of::<usize>();
    Ok(book.claim("`list` begins the second line and stays in it", cold == LINE && !crosses && is_next)?)
}

/// Shows where a field of type `T` at `offset` lies. True if it crosses the end of a line.
fn field<T>(book: &mut Notebook<'_>, name: &str, offset: usize) -> Result<bool, ViewError> {
    let (first, last) = (offset / LINE, (offset + size_of::<T>() - 1) / LINE);
    let lines = if first == last { padded(format_args!("line {first}")) } else { padded(format_args!("lines {first} and {last}")) };
    writeln!(book, "  {name:14} bytes {offset:3} to {:3}   {lines}", offset + size_of::<T>() - 1)?;
    Ok(first != last)
}
