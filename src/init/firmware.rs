//! What the firmware says: by the mailbox and by the device tree, read once into plain facts.
//!
//! The tree is mapped read-only where x0 points, if that is memory and the magic is there; nothing else of x0 is believed.

use crate::arch::{layout, mmu};
use crate::drivers::mailbox::{Clock, MailboxError, MemoryRange};
use crate::mm::addr::{PAGE_SIZE, PhysAddr};
use crate::mm::kernel_map;
use crate::mm::phys_range::PhysRange;
use crate::platform::board::BoardRevision;
use crate::platform::device_tree::{self, DeviceTreeFacts};
use crate::platform::{hardware, rpi4};
use crate::sync::SpinLock;
use spin::Once;

const TREE_WINDOW: usize = layout::DEVICE_BASE + layout::DEVICE_SIZE / 2;
const PAGE: u64 = PAGE_SIZE as u64;

/// What the mailbox answered at boot; `None` where it did not.
#[derive(Clone, Copy, Debug, Default)]
pub struct MailboxFacts {
    /// Model and memory size.
    pub board: Option<BoardRevision>,
    /// Serial number.
    pub serial: Option<u64>,
    /// When the firmware was built, as a Unix time.
    pub firmware: Option<u32>,
    /// The first GiB's part that is the ARM's.
    pub arm_memory: Option<PhysRange>,
    /// The VideoCore's part.
    pub videocore_memory: Option<PhysRange>,
    /// The PL011's clock.
    pub uart_clock_hz: Option<u32>,
}

static MAILBOX: Once<MailboxFacts> = Once::new();
static TREE: Once<Tree> = Once::new();
static COMMAND_LINE: Once<&'static str> = Once::new();
/// Holds the mailbox's command line, when the tree has none.
static COMMAND_LINE_BYTES: SpinLock<[u8; 1024]> = SpinLock::new([0; 1024]);

struct Tree {
    facts: DeviceTreeFacts<'static>,
    blob: PhysRange,
}

/// What the mailbox answered. Context: any, after `ask_mailbox`.
pub fn mailbox() -> &'static MailboxFacts {
    MAILBOX.call_once(MailboxFacts::default)
}

/// The device tree's facts; empty ones if there is none. Context: any, after `read_device_tree`.
pub fn device_tree() -> &'static DeviceTreeFacts<'static> {
    &tree().facts
}

/// Where the device tree lies; empty if there is none.
pub fn device_tree_blob() -> PhysRange {
    tree().blob
}

/// The boot arguments. Context: any, after `read_command_line`.
pub fn command_line() -> &'static str {
    COMMAND_LINE.get().copied().unwrap_or("")
}

fn tree() -> &'static Tree {
    TREE.call_once(|| Tree { facts: DeviceTreeFacts::default(), blob: PhysRange::default() })
}

/// Asks the mailbox everything that boot needs. Unanswered questions are logged and left open.
#[inline(never)]
pub fn ask_mailbox() {
    let Some(mailbox) = hardware::mailbox() else {
        pr_warn!("mailbox: its buffer lies beyond the first GiB, where the VideoCore cannot reach it");
        return;
    };
    let mut mailbox = mailbox.lock();
    let facts = MailboxFacts {
        board: answer("board revision", mailbox.board_revision()),
        serial: answer("serial number", mailbox.board_serial()),
        firmware: answer("firmware revision", mailbox.firmware_revision()),
        arm_memory: answer("ARM memory", mailbox.arm_memory()).and_then(range),
        videocore_memory: answer("VideoCore memory", mailbox.vc_memory()).and_then(range),
        uart_clock_hz: answer("UART clock", mailbox.clock_rate_hz(Clock::Uart)),
    };
    MAILBOX.call_once(|| facts);
}

fn answer<T>(what: &str, result: Result<T, MailboxError>) -> Option<T> {
    result.inspect_err(|error| pr_warn!("mailbox: no {}: {}", what, error)).ok()
}

fn range(memory: MemoryRange) -> Option<PhysRange> {
    PhysRange::from_size(u64::from(memory.base), u64::from(memory.size_bytes))
}

/// Reads the tree that `x0` points to, if one is there.
///
/// Not inlined: what was found is large, and boot has one stack for all of its steps.
#[inline(never)]
pub fn read_device_tree(x0: u64) {
    match find(x0) {
        Ok(blob) => {
            let facts = device_tree::parse(blob);
            for warning in facts.warnings.iter() {
                pr_warn!("device tree: {}", warning);
            }
            let blob = PhysRange::from_size(x0, facts.size_bytes as u64).unwrap_or_default();
            TREE.call_once(|| Tree { facts, blob });
        }
        Err(why) => pr_warn!("no device tree at x0 = {:#x}: {}. Going on with what the mailbox says.", x0, why),
    }
}

fn find(x0: u64) -> Result<&'static [u8], &'static str> {
    let header = PhysRange::from_size(x0, device_tree::HEADER_SIZE as u64).unwrap_or_default();
    if x0 == 0 || !is_memory(header) {
        return Err("that is no memory");
    }
    if header.overlaps(image()) {
        return Err("that is the kernel's own memory");
    }
    if !x0.is_multiple_of(8) {
        return Err("that is no multiple of 8");
    }

    let first_page = x0 & !(PAGE - 1);
    if first_page == 0 {
        return Err("that is page 0, the firmware's");
    }
    map_pages(0, first_page, PAGE)?;
    let address = TREE_WINDOW + (x0 - first_page) as usize;
    // SAFETY: mapped just now, and a multiple of 8, so both words are in this page; nothing writes there.
    let words = unsafe { *(address as *const [u32; 2]) };
    let blob = whole_tree(x0, words).inspect_err(|_| forget_first_page())?;
    // Only what the tree needs: what follows memory, devices perhaps, must not be mapped as if it were memory.
    let second_page = first_page + PAGE;
    map_pages(PAGE, second_page, blob.end().value().next_multiple_of(PAGE).saturating_sub(second_page))?;
    // SAFETY: mapped for ever, from its first page to its last; its pages are reserved before memory is given out, so nothing writes there.
    Ok(unsafe { core::slice::from_raw_parts(address as *const u8, blob.size() as usize) })
}

/// The range of the tree whose first two words these are, if it can be one.
fn whole_tree(x0: u64, words: [u32; 2]) -> Result<PhysRange, &'static str> {
    let size = device_tree::total_size(words).map_err(|_| "the magic number d00dfeed is not there, or the size is implausible")?;
    let blob = PhysRange::from_size(x0, size as u64).unwrap_or_default();
    if !is_memory(blob) {
        return Err("it reaches beyond memory");
    }
    if blob.overlaps(image()) {
        return Err("it reaches into the kernel");
    }
    Ok(blob)
}

/// Whether all of `range` is memory of the ARM's, as far as is known without a device tree: what the mailbox says of the first GiB, and what the
/// board has above it. A chain loader puts a tree anywhere.
fn is_memory(range: PhysRange) -> bool {
    let facts = mailbox();
    let low = facts.arm_memory.unwrap_or(PhysRange::new(PhysAddr::new(0), rpi4::DEFAULT_VIDEOCORE.start()));
    let total = facts.board.filter(|board| board.is_bcm2711()).and_then(BoardRevision::memory_bytes).unwrap_or(0);
    let above = rpi4::ram(total).map(|ram| ram.intersect(PhysRange::new(rpi4::DMA_LIMIT, PhysAddr::new(u64::MAX))));
    !range.is_empty() && (low.contains_range(range) || above.iter().any(|ram| ram.contains_range(range)))
}

/// The image in memory. What was in its place was lost when bss was cleared.
fn image() -> PhysRange {
    let end = layout::image_end() - layout::IMAGE_OFFSET;
    PhysRange::new(PhysAddr::new(layout::LOAD_ADDRESS as u64), PhysAddr::new(end as u64))
}

/// Maps pages of the tree: `len` bytes from `phys`, `offset` bytes into the window.
fn map_pages(offset: u64, phys: u64, len: u64) -> Result<(), &'static str> {
    let address = TREE_WINDOW + offset as usize;
    // SAFETY: the window is the tree's; memory is cached there as everywhere, and read-only.
    kernel_map::with_mapper(|mapper| unsafe { mapper.map(address, phys, len as usize, mmu::Attributes::ReadOnly) })
        .map_err(|_| "it could not be mapped")
}

/// What is no tree does not stay mapped.
fn forget_first_page() {
    // SAFETY: its two words were copied; nobody refers into the page.
    kernel_map::with_mapper(|mapper| unsafe { mapper.unmap(TREE_WINDOW, PAGE as usize) }).expect("it was mapped just now");
}

/// Finds the boot arguments: the tree's, else the mailbox's.
#[inline(never)]
pub fn read_command_line() {
    let text = device_tree().bootargs.filter(|text| !text.is_empty()).or_else(command_line_of_mailbox);
    COMMAND_LINE.call_once(|| text.unwrap_or(""));
    pr_info!("boot arguments: {}", command_line());
}

fn command_line_of_mailbox() -> Option<&'static str> {
    let mut mailbox = hardware::mailbox()?.lock();
    let mut bytes = COMMAND_LINE_BYTES.lock();
    let len = match mailbox.command_line(&mut *bytes) {
        Ok(len) => len,
        Err(error) => {
            pr_warn!("boot arguments: the mailbox has none for us: {}", error);
            return None;
        }
    };
    // SAFETY: the bytes are a static that is written here, once, before anything reads them, and never again.
    let bytes: &'static [u8] = unsafe { core::slice::from_raw_parts(bytes.as_ptr(), len) };
    let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    if valid.len() < bytes.len() {
        pr_warn!("boot arguments: not UTF-8 from byte {} on: the rest is left out", valid.len());
    }
    Some(valid.trim_end_matches('\0'))
}
