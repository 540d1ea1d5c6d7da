//! `Journal`: what the kernel says of a lab's mistakes, kept off the console and quoted on the page.
//!
//! A report is some twenty lines, with addresses. A lab shows the line that names the mistake; `dmesg` has the rest.

use super::notebook::Notebook;
use crate::log::{self, Reader, Step};
use core::fmt::{self, Write};

/// Shown on the console meanwhile: what ends the machine.
const EMERGENCIES_ONLY: u8 = 1;
/// As much of a message as is quoted.
const QUOTE: usize = 300;

/// The log from now on; the console is quiet until it is dropped.
pub struct Journal {
    level_before: u8,
    reader: Reader,
}

impl Journal {
    /// Begins to listen. Context: thread.
    pub fn begin() -> Self {
        log::drain();
        Self { level_before: log::set_console_loglevel(EMERGENCIES_ONLY), reader: Reader::from_newest() }
    }

    /// Quotes the next message that has `needle` in it. False if there is none.
    ///
    /// # Errors
    /// Those of the output.
    pub fn quote(&mut self, book: &mut Notebook<'_>, needle: &str) -> Result<bool, fmt::Error> {
        loop {
            match self.reader.advance() {
                Step::Record(record) if self.reader.contains(&record, needle) => {
                    let mut text = Cut(arrayvec::ArrayString::new());
                    if record.is_defmt() {
                        text.write_str("(in the binary log)")?;
                    } else {
                        self.reader.write_text(&record, &mut text)?;
                    }
                    book.quote(&text.0)?;
                    return Ok(true);
                }
                Step::Record(_) | Step::Lost(_) => {}
                Step::Waiting | Step::End => return Ok(false),
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // What is hidden is passed over while it is hidden.
        log::drain();
        log::set_console_loglevel(self.level_before);
    }
}

/// Keeps the beginning of a text.
struct Cut(arrayvec::ArrayString<QUOTE>);

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.try_push(character).is_err() {
                break;
            }
        }
        Ok(())
    }
}
