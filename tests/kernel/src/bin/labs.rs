//! Every lab, by its name: it comes out as it must, its page fits a screen or two, and the kernel still works behind it.
#![no_std]
#![no_main]

use core::fmt::{self, Write};
use tetra::printk;
use tetra::shell::labs::{self, LABS, Verdict};
use tetra_tests::{case, check, check_eq, suite};

suite!();

const MAX_COLUMNS: usize = 80;
/// Two screens of a terminal.
const MAX_LINES: usize = 70;

/// Takes a lab's page line by line: into the log, and measured.
struct Page {
    line: [u8; 160],
    len: usize,
    nr_lines: usize,
    widest: usize,
}

impl Write for Page {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                printk!(KERN_NOTICE "# | {}", core::str::from_utf8(&self.line[..self.len]).unwrap_or("?"));
                self.widest = self.widest.max(self.len);
                self.nr_lines += 1;
                self.len = 0;
            } else if self.len < self.line.len() {
                self.line[self.len] = byte;
                self.len += 1;
            }
        }
        Ok(())
    }
}

fn run(name: &str) {
    let Some(lab) = labs::find(name) else {
        return check!(name.is_empty());
    };
    let mut page = Page { line: [0; 160], len: 0, nr_lines: 0, widest: 0 };
    check_eq!(lab.run(&mut page), Ok(Verdict::AsExpected));
    check!(page.widest <= MAX_COLUMNS);
    check!(page.nr_lines <= MAX_LINES);
    check!(tetra::sync::lockdep::is_on());
}

/// A case for each lab, and one that misses none.
macro_rules! labs {
    ($($case:ident $name:literal)+) => {
        $(
            case!($case);
            fn $case() {
                run($name);
            }
        )+

        case!(every_lab_has_a_case);
        fn every_lab_has_a_case() {
            const NAMES: &[&str] = &[$($name),+];
            for lab in LABS {
                if !NAMES.contains(&lab.name) {
                    printk!(KERN_NOTICE "# no case runs {}", lab.name);
                }
                check!(NAMES.contains(&lab.name));
            }
            check_eq!(NAMES.len(), LABS.len());
        }
    };
}

labs! {
    lost_update "lost-update"
    rcu_update "rcu-update"
    rcu_early_free "rcu-early-free"
    which_lock "which-lock"
    kmalloc_vmalloc "kmalloc-vmalloc"
    slab_reuse "slab-reuse"
    gfp_kernel_irq "gfp-kernel-irq"
    gfp_atomic "gfp-atomic"
    dma_zone "dma-zone"
    null_pointer "null-pointer"
    wild_pointer "wild-pointer"
    stack_overflow "stack-overflow"
    bug_warn "bug-warn"
    goto_drop "goto-drop"
    error_flow "error-flow"
    likely "likely"
    cache_line "cache-line"
    false_sharing "false-sharing"
    rcu_nodata "rcu-nodata"
    irqsave "irqsave"
    abba "abba"
    tasklet "tasklet"
    read_then_write "read-then-write"
    reader_writer_irq "reader-writer-irq"
    spin_or_sleep "spin-or-sleep"
    completion "completion"
    bkl "bkl"
    torn_read "torn-read"
    seq_number "seq-number"
    percpu "percpu"
    message_passing "message-passing"
    dmb_dsb "dmb-dsb"
}

case!(the_list_fits_a_terminal);
fn the_list_fits_a_terminal() {
    for lab in LABS {
        check!(lab.name.len() < 18 && lab.title.len() <= 60);
        check!(lab.idea.lines().all(|line| line.len() < MAX_COLUMNS));
    }
}

case!(they_are_listed_in_the_order_of_the_documents);
fn they_are_listed_in_the_order_of_the_documents() {
    check_eq!(labs::sorted().count(), LABS.len());
    check!(labs::sorted().is_sorted_by_key(|lab| lab.place));
    check_eq!(labs::sorted().next().map(|lab| lab.name), Some("lost-update"));
}
