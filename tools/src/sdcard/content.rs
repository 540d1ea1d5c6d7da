//! A file for the card: its name there and its bytes.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

/// One file of the boot partition.
pub struct Content {
    /// The name in the root directory, at most 8.3 or a long name; always ASCII.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Content {
    /// Reads `path` as the file that will be called `name` on the card.
    ///
    /// # Errors
    /// The file cannot be read; the message names it.
    pub fn from_file(name: &str, path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { name: name.to_owned(), bytes })
    }

    /// The SHA-256 of the bytes, in hex as `sha256sum` prints it.
    pub fn sha256(&self) -> String {
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(&self.bytes) {
            write!(hex, "{byte:02x}").expect("a String takes what it is given");
        }
        hex
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_the_published_one() {
        let content = Content { name: "abc".into(), bytes: b"abc".to_vec() };
        assert_eq!(content.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
