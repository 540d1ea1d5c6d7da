//! `lab seq-number`: 0, odd, even.

use super::Place;
use super::notebook::Notebook;
use crate::proc::ViewError;
use crate::shell;
use crate::sync::{SeqCount, SeqLock};

shell::lab! {
    name: "seq-number",
    place: Place::notes(8, 1),
    title: "the number in a sequence lock: 0, odd, even",
    needs: 1,
    idea: "\
The number begins at 0. write_seqlock makes it odd, write_sequnlock even
again. So an odd number says \"a writer is at it\", and a number that changed
says \"a writer was here\"; the reader needs to know no more.

  do {
          seq = read_seqbegin(&l);      waits while it is odd
          copy
  } while (read_seqretry(&l, seq));     is it the same still?",
    next: "lab torn-read; src/sync/seqlock/count.rs",
    run: run,
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.part("the number alone: SeqCount")?;
    let count = SeqCount::new();
    let first = count.begin();
    book.value("read_seqbegin of a new one", first.number())?;
    let odd = count.write_begin();
    book.value("while a writer is at it", odd.number())?;
    count.write_end(odd);
    let even = count.begin();
    book.value("after it", even.number())?;
    book.claim("0, then odd, then even", first.number() == 0 && odd.number() % 2 == 1 && even.number() == odd.number() + 1)?;

    book.part("a reader with a writer in between, and one without")?;
    let (between, without) = (count.retry(first), count.retry(even));
    book.claim("read_seqretry says: again", between)?;
    book.claim("read_seqretry says: good", !without)?;

    book.right("SeqLock: what was copied is no value before the second look")?;
    let lock = SeqLock::<[u64; 2]>::new([1, 1]);
    let section = lock.begin();
    let copied = section.copy();
    lock.write().set([2, 2]);
    let torn = section.end(copied);
    book.claim("a writer came between: end() gives None", torn.is_none())?;
    let section = lock.begin();
    let copied = section.copy();
    let whole = section.end(copied);
    book.claim("nobody came: end() gives the value", whole == Some([2, 2]))?;
    book.value("writes so far", lock.nr_writes())?;
    Ok(book.claim("one", lock.nr_writes() == 1)?)
}
