//! The boot arguments: one line of text from the device tree, the mailbox or QEMU's `-append`.
//!
//! The rules are Linux's, as its users know them: words between blanks, `key=value` or a bare `key`, quotes keep blanks together and are taken
//! off, `-` and `_` are the same in a key, the last of several values wins. A [`CommandLine`] borrows the text and scans it
//! at every question: a few hundred bytes, asked a few dozen times at boot, need no table and no allocation.
//!
//! Every module that reads an argument declares it beside its code in [`PARAMS`]; so `help boot` can list them all, and
//! an argument that nobody declared (a misspelt one, most often) is warned about once.
//!
//! ```
//! use tetra::util::cmdline::CommandLine;
//!
//! let line = CommandLine::new("loglevel=7 mem=1G quiet run=\"cpus; dmesg\"");
//! assert_eq!(line.number("loglevel"), Ok(Some(7)));
//! assert_eq!(line.number("mem"), Ok(Some(1 << 30)));
//! assert_eq!(line.boolean("quiet"), Ok(Some(true)));
//! assert_eq!(line.string("run"), Some("cpus; dmesg"));
//! assert_eq!(line.number("maxcpus"), Ok(None));
//! ```

use core::fmt;

use super::errno::Errno;

/// A boot argument that some module understands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param {
    /// Its key.
    pub name: &'static str,
    /// What follows the `=`, for the help text, such as `N` or `BYTES`; empty for a flag.
    pub value: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
}

/// Every boot argument that is understood.
///
/// ```ignore
/// #[distributed_slice(PARAMS)]
/// static LOGLEVEL: Param = Param { name: "loglevel", value: "N", help: "console shows messages below level N" };
/// ```
#[linkme::distributed_slice]
pub static PARAMS: [Param];

/// One word of the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Argument<'a> {
    /// What stands before the `=`, or the whole word.
    pub key: &'a str,
    /// What stands after it, without quotes; `None` if there is no `=`.
    pub value: Option<&'a str>,
}

impl Argument<'_> {
    /// Whether this is argument `name`; `-` and `_` are the same.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        let dashes = |byte| if byte == b'_' { b'-' } else { byte };
        self.key.len() == name.len() && self.key.bytes().map(dashes).eq(name.bytes().map(dashes))
    }
}

/// Why a value was not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueError {
    /// It is no number, or no truth value, at all.
    Malformed,
    /// It is a number beyond 64 bits.
    TooLarge,
    /// The argument needs a value and has none.
    Missing,
}

impl From<ValueError> for Errno {
    fn from(error: ValueError) -> Errno {
        match error {
            ValueError::Malformed | ValueError::Missing => Errno::EINVAL,
            ValueError::TooLarge => Errno::ERANGE,
        }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "value is not understood",
            Self::TooLarge => "value is too large",
            Self::Missing => "value is missing",
        })
    }
}

/// A line of boot arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CommandLine<'a> {
    line: &'a str,
}

impl<'a> CommandLine<'a> {
    /// The line `line`, whatever is in it.
    #[must_use]
    pub const fn new(line: &'a str) -> Self {
        Self { line }
    }

    /// The line of these bytes: up to the first NUL, and up to the first byte that is no UTF-8.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or(&[]);
        let line = match core::str::from_utf8(text) {
            Ok(line) => line,
            Err(error) => core::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or(""),
        };
        Self { line }
    }

    /// The line as it was given.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.line
    }

    /// All arguments, in order.
    #[must_use]
    pub const fn iter(&self) -> Arguments<'a> {
        Arguments { rest: self.line }
    }

    /// The last argument of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Argument<'a>> {
        self.iter().filter(|argument| argument.is(name)).last()
    }

    /// The value of the last argument of this name; a bare flag has none.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.value
    }

    /// The number that argument `name` gives: see [`parse_number`]. `Ok(None)` if it is not there.
    ///
    /// # Errors
    /// [`ValueError`] if it is there and gives no number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, ValueError> {
        self.get(name).map(|argument| parse_number(argument.value.ok_or(ValueError::Missing)?)).transpose()
    }

    /// The truth that argument `name` gives; a bare flag is true. `Ok(None)` if it is not there.
    ///
    /// # Errors
    /// [`ValueError::Malformed`] if the value is none of those of [`parse_boolean`].
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ValueError> {
        self.get(name).map(|argument| argument.value.map_or(Ok(true), parse_boolean)).transpose()
    }

    /// The arguments that no entry of `known` names, each key once, in order. Normally `known` is [`PARAMS`].
    pub fn unknown<'p>(&self, known: &'p [Param]) -> impl Iterator<Item = Argument<'a>> + use<'a, 'p> {
        let line = *self;
        self.iter().enumerate().filter_map(move |(index, argument)| {
            let is_known = known.iter().any(|param| argument.is(param.name));
            let is_repeated = line.iter().take(index).any(|earlier| earlier.is(argument.key));
            (!is_known && !is_repeated).then_some(argument)
        })
    }
}

/// Iterator over the arguments of a line.
#[derive(Clone, Debug)]
pub struct Arguments<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Arguments<'a> {
    type Item = Argument<'a>;

    fn next(&mut self) -> Option<Argument<'a>> {
        let line = self.rest.trim_start();
        if line.is_empty() {
            return None;
        }
        let (word, rest) = line.split_at(word_len(line));
        self.rest = rest;
        Some(argument(word))
    }
}

/// Bytes of the word at the start of `line`: up to the first blank outside quotes. A quote that is not closed reaches to the end; one behind a backslash
/// inside of quotes is a character as any other.
fn word_len(line: &str) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let end = line.char_indices().find(|&(_, char)| {
        is_quoted ^= char == '"' && !is_escaped;
        is_escaped = is_quoted && char == '\\' && !is_escaped;
        char.is_whitespace() && !is_quoted
    });
    end.map_or(line.len(), |(index, _)| index)
}

/// Splits a word at its first `=` and takes quotes off, be they round the value or round the whole word.
fn argument(word: &str) -> Argument<'_> {
    let (is_whole, word) = match word.strip_prefix('"') {
        Some(inner) => (true, inner.strip_suffix('"').unwrap_or(inner)),
        None => (false, word),
    };
    match word.split_once('=') {
        Some((key, value)) if !is_whole => Argument { key, value: Some(unquote(value)) },
        Some((key, value)) => Argument { key, value: Some(value) },
        None => Argument { key: word, value: None },
    }
}

/// Takes off the quote at the start and, if it is there, the one at the end.
fn unquote(value: &str) -> &str {
    match value.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
        None => value,
    }
}

/// Reads a number: decimal, or hexadecimal after `0x`, with an optional `K`, `M`, `G` or `T` (powers of 1024, either case) behind it.
///
/// A leading zero does not mean octal, other than in Linux: it surprises more people than it serves.
///
/// # Errors
/// [`ValueError::Malformed`] or [`ValueError::TooLarge`].
pub fn parse_number(text: &str) -> Result<u64, ValueError> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        Some(b't' | b'T') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    if digits.is_empty() || !digits.chars().all(|char| char.is_digit(radix)) {
        return Err(ValueError::Malformed);
    }
    let number = u64::from_str_radix(digits, radix).map_err(|_| ValueError::TooLarge)?;
    number.checked_mul(1 << shift).ok_or(ValueError::TooLarge)
}

/// Reads a truth value: `1 y yes t true on` or `0 n no f false off`, in either case.
///
/// # Errors
/// [`ValueError::Malformed`] for anything else.
pub fn parse_boolean(text: &str) -> Result<bool, ValueError> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is_one_of(&["1", "y", "yes", "t", "true", "on"]) {
        Ok(true)
    } else if is_one_of(&["0", "n", "no", "f", "false", "off"]) {
        Ok(false)
    } else {
        Err(ValueError::Malformed)
    }
}

#[cfg(test)]
mod tests;
