//! What comes from a guest's console, as text: it is text already, or defmt packets between text.

use anyhow::Result;

#[cfg(feature = "defmt")]
use crate::defmt_log;
use crate::kernel::Log;
use crate::machine::Machine;

/// Makes text of a console's bytes.
pub enum Decoder {
    Text,
    #[cfg(feature = "defmt")]
    Defmt(Box<defmt_log::Decoder>),
}

impl Decoder {
    /// A decoder for the kernel of `machine`; decoded lines end with `newline`.
    pub fn new(machine: &Machine, newline: &'static str) -> Result<Self> {
        match machine.log {
            Log::Text => Ok(Self::Text),
            Log::Defmt => Self::defmt(machine, newline),
        }
    }

    #[cfg(feature = "defmt")]
    fn defmt(machine: &Machine, newline: &'static str) -> Result<Self> {
        let decoder = defmt_log::Decoder::new(&std::fs::read(&machine.kernel.elf)?)?;
        Ok(Self::Defmt(Box::new(decoder.with_newline(newline))))
    }

    #[cfg(not(feature = "defmt"))]
    fn defmt(_machine: &Machine, _newline: &'static str) -> Result<Self> {
        anyhow::bail!("these tools were built without `--features defmt`, which make adds for LOG=defmt")
    }

    /// Takes the next bytes, in pieces of any size, and returns the text that they complete.
    pub fn text(&mut self, bytes: &[u8]) -> String {
        match self {
            Self::Text => String::from_utf8_lossy(bytes).into_owned(),
            #[cfg(feature = "defmt")]
            Self::Defmt(decoder) => {
                let mut text = Vec::new();
                decoder.feed(bytes, &mut text).expect("memory takes all that is written");
                String::from_utf8_lossy(&text).into_owned()
            }
        }
    }
}
