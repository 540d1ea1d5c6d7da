//! Options of a command: `-i`, `-n 5`, `-n5`, `-iv`, `-5`, `--`.
//!
//! The one reading of arguments that all commands share, so that they agree on where options end and a value begins.

use super::command::CommandError;

/// Goes through the options at the front of a command's arguments.
pub struct Options<'a> {
    args: &'a [&'a str],
    /// The letters of options that take a value.
    valued: &'static str,
    /// What is left of an argument such as `-iv`.
    cluster: &'a str,
}

impl<'a> Options<'a> {
    /// Reads `args`, in which the options named in `valued` take a value.
    #[must_use]
    pub const fn new(args: &'a [&'a str], valued: &'static str) -> Self {
        Self { args, valued, cluster: "" }
    }

    /// The next option and its value, empty if it takes none. A number, as in `head -5`, is the option `'#'` with the number as value.
    ///
    /// # Errors
    /// `CommandError::Usage` if a value is missing.
    pub fn next_option(&mut self) -> Result<Option<(char, &'a str)>, CommandError> {
        if self.cluster.is_empty() && !self.open_cluster() {
            return Ok(None);
        }
        if self.cluster.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(Some(('#', core::mem::take(&mut self.cluster))));
        }

        let mut letters = self.cluster.chars();
        let Some(letter) = letters.next() else { return Ok(None) };
        self.cluster = letters.as_str();
        if !self.valued.contains(letter) {
            return Ok(Some((letter, "")));
        }
        self.value().map(|value| Some((letter, value)))
    }

    /// The arguments behind the options.
    #[must_use]
    pub const fn operands(&self) -> &'a [&'a str] {
        self.args
    }

    /// Goes to the next argument that begins with a dash; false if there is none.
    fn open_cluster(&mut self) -> bool {
        let Some((first, rest)) = self.args.split_first() else { return false };
        match first.strip_prefix('-') {
            None | Some("") => false,
            Some("-") => {
                self.args = rest;
                false
            }
            Some(letters) => {
                self.args = rest;
                self.cluster = letters;
                true
            }
        }
    }

    fn value(&mut self) -> Result<&'a str, CommandError> {
        let attached = core::mem::take(&mut self.cluster);
        if !attached.is_empty() {
            return Ok(attached);
        }
        let (value, rest) = self.args.split_first().ok_or(CommandError::Usage)?;
        self.args = rest;
        Ok(value)
    }
}

/// Reads a decimal or `0x` number.
///
/// # Errors
/// `CommandError::Usage` if `text` is none, or too large.
pub fn number(text: &str) -> Result<usize, CommandError> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => usize::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| CommandError::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;
    use std::vec;

    fn read<'a>(args: &'a [&'a str]) -> (Vec<(char, &'a str)>, &'a [&'a str]) {
        let mut options = Options::new(args, "nk");
        let mut seen = Vec::new();
        while let Some(option) = options.next_option().expect("every value is there") {
            seen.push(option);
        }
        (seen, options.operands())
    }

    #[test]
    fn reads_all_spellings() {
        assert_eq!(read(&["-iv", "-n", "5", "-k2", "x", "-y"]), (vec![('i', ""), ('v', ""), ('n', "5"), ('k', "2")], &["x", "-y"][..]));
        assert_eq!(read(&["-12", "a"]), (vec![('#', "12")], &["a"][..]));
        assert_eq!(read(&["-i", "--", "-v"]), (vec![('i', "")], &["-v"][..]));
        assert_eq!(read(&["-"]), (vec![], &["-"][..]));
        assert_eq!(Options::new(&["-n"], "n").next_option(), Err(CommandError::Usage));
    }

    #[test]
    fn numbers() {
        assert_eq!(number("0x1F"), Ok(31));
        for bad in ["", "-1", "1k", "0x", "99999999999999999999999"] {
            assert_eq!(number(bad), Err(CommandError::Usage), "{bad}");
        }
    }
}
