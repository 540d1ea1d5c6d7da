//! `lab dmb-dsb`: who is to see the order, another core or a device?

use super::notebook::Notebook;
use super::{Place, team};
use crate::cpu;
use crate::irq::ipi::AsyncCall;
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::AtomicU64;
use crate::sync::barrier;
use crate::util::errno::Errno;
use core::time::Duration;

shell::lab! {
    name: "dmb-dsb",
    place: Place::notes(10, 1),
    title: "DMB between cores, DSB before what is no memory access",
    needs: 1,
    idea: "\
DMB orders memory accesses: what is before it is seen before what is behind
it. That is enough for another core, and for a device that reads memory when
a register of its own is written (writel has the DMB in it).

DSB waits until the accesses are *done*, and holds up every instruction. It is
needed where the next step is no memory access of this core's: SEV, WFI, TLBI,
or an interrupt for another core, which travels beside memory. The Arm GIC
sends it when its register is written, and says nothing of order: so
`gicv2.rs` has a DSB there. Without it the other core could look too early.",
    next: "lab message-passing; src/sync/mmio.rs, src/drivers/gicv2.rs (send_sgi)",
    run: run,
}

const ROUNDS: u64 = 300;
const COST_ROUNDS: u32 = 2000;

static LETTER: AtomicU64 = AtomicU64::new(0);
static READ: AtomicU64 = AtomicU64::new(0);
static POSTMAN: AsyncCall = AsyncCall::new(&|| READ.set(LETTER.read()));

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.part("what they cost here, ns each")?;
    let barriers: [(&str, fn()); 6] = [
        ("barrier()   no instruction", barrier::barrier),
        ("smp_wmb()   DMB ISHST", barrier::smp_wmb),
        ("smp_mb()    DMB ISH", barrier::smp_mb),
        ("dma_wmb()   DMB OSHST", barrier::dma_wmb),
        ("wmb()       DSB ST", barrier::wmb),
        ("mb()        DSB SY", barrier::mb),
    ];
    for (name, instruction) in barriers {
        let ((), time) = team::timed(|| (0..COST_ROUNDS).for_each(|_| instruction()));
        book.value(name, time.as_nanos() / u128::from(COST_ROUNDS))?;
    }

    book.right("a letter, a DSB, an interrupt: the other core reads the letter")?;
    let target = cpu::online().last().unwrap_or(0);
    let (mut nr_delivered, mut nr_old) = (0, 0);
    for letter in 1..=ROUNDS {
        LETTER.set(letter);
        POSTMAN.send(target).map_err(Errno::from)?;
        let (arrived, _) = team::try_for(Duration::from_secs(2), || (!POSTMAN.is_pending()).then_some(()));
        nr_delivered += u64::from(arrived.is_some());
        nr_old += u64::from(READ.read() != letter);
    }
    book.value("interrupts sent to the last core", ROUNDS)?;
    book.value("delivered", nr_delivered)?;
    book.value("old letters read", nr_old)?;
    book.claim("all delivered, none old", nr_delivered == ROUNDS && nr_old == 0)?;
    Ok(book.note("WRONG would be smp_wmb() there: QEMU delivers in order all the same.")?)
}
