//! What herd7 said of each test, kept beside the test.
//!
//! An answer depends on nothing but the test's text, the program and its model. Few edits change the few instructions of a test, so `make test` asks
//! again only where one did; `make verify` asks about everything, always. The text is compared, not times of files: a test is written anew in each run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The answers of one version of herd7.
pub struct Answers {
    version: String,
}

impl Answers {
    /// Answers that `version` gave, or will.
    pub fn of(version: &str) -> Self {
        Self { version: version.to_owned() }
    }

    /// What was said of the test in `file` when its text was `text`.
    pub fn find(&self, file: &Path, text: &str) -> Option<String> {
        let kept = std::fs::read_to_string(place(file)).ok()?;
        let (head, answer) = kept.split_once('\n')?;
        (head == self.head(text)).then(|| answer.to_owned())
    }

    /// Keeps what was said.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, file: &Path, text: &str, answer: &str) -> Result<()> {
        let place = place(file);
        std::fs::write(&place, format!("{}\n{answer}", self.head(text))).with_context(|| place.display().to_string())
    }

    /// What an answer depends on, in a line.
    fn head(&self, text: &str) -> String {
        let digest = Sha256::digest(text.as_bytes());
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("herd7 {}, test {digits}", self.version)
    }
}

fn place(file: &Path) -> PathBuf {
    file.with_added_extension("answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_serves_the_same_text_and_version_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("SB+dmb.twin0.litmus");
        let answers = Answers::of("7.58");
        assert_eq!(answers.find(&file, "one"), None);
        answers.keep(&file, "one", "States 1\nx=1;\n").unwrap();
        assert_eq!(answers.find(&file, "one").as_deref(), Some("States 1\nx=1;\n"));
        assert_eq!(answers.find(&file, "two"), None);
        assert_eq!(Answers::of("7.59").find(&file, "one"), None);
        assert_eq!(answers.find(&folder.path().join("SB+dmb.litmus"), "one"), None);
    }
}
