//! The grammar of a line: words, quotes, `;`, `|`, `> VIEW`, comments.
//!
//! A line is read pipeline by pipeline into fixed buffers, each just before it runs, because `$?` in it is the status of the one
//! before. [`check`] goes over the whole line first, so a line with an error in it does nothing at all.
//!
//! ```text
//! line      = [ pipeline ] { ( ";" | newline ) [ pipeline ] } [ "#" comment ]
//! pipeline  = stage { "|" stage } [ ">" word ]
//! stage     = word { word }
//! word      = 'as it is' | "with \" \\ and $?" | plain with \any and $?
//! ```
//! What a Unix shell has beyond that (`&&`, `&`, `<`, `>>`) is refused by name, not taken for a word.

use core::fmt::{self, Write};
use core::ops::Range;

use arrayvec::{ArrayString, ArrayVec};

/// The most words in a pipeline, names included.
pub const MAX_WORDS: usize = 64;
/// The most stages in a pipeline.
pub const MAX_STAGES: usize = 8;
/// The most text in a pipeline, quotes removed; above the longest line, so that `$?` can grow.
const MAX_TEXT: usize = 1280;

/// The arguments of a stage.
pub(super) type Words<'a> = ArrayVec<&'a str, MAX_WORDS>;

/// Commands joined by pipes.
pub(super) struct Pipeline {
    /// Where in the line it was typed.
    source: Range<usize>,
    text: ArrayString<MAX_TEXT>,
    /// Where each word ends in `text`.
    ends: ArrayVec<u16, MAX_WORDS>,
    /// How many words there are up to the end of each stage.
    stages: ArrayVec<u8, MAX_STAGES>,
    /// Whether the last word is the view to write to.
    is_redirected: bool,
}

impl Pipeline {
    pub(super) const fn new() -> Self {
        Self {
            source: 0..0,
            text: ArrayString::new_const(),
            ends: ArrayVec::new_const(),
            stages: ArrayVec::new_const(),
            is_redirected: false,
        }
    }

    fn clear(&mut self) {
        self.source = 0..0;
        self.text.clear();
        self.ends.clear();
        self.stages.clear();
        self.is_redirected = false;
    }

    /// How many stages there are.
    pub(super) fn len(&self) -> usize {
        self.stages.len()
    }

    /// The words of a stage.
    pub(super) fn stage(&self, index: usize) -> Words<'_> {
        let start = index.checked_sub(1).map_or(0, |previous| self.stages[previous]);
        (start..self.stages[index]).map(|word| self.word(usize::from(word))).collect()
    }

    /// What was typed for it in `line`.
    pub(super) fn source<'l>(&self, line: &'l str) -> &'l str {
        line.get(self.source.clone()).unwrap_or_default().trim()
    }

    /// Where the output goes, if not to the terminal.
    pub(super) fn redirect(&self) -> Option<&str> {
        self.is_redirected.then(|| self.word(self.ends.len() - 1))
    }

    fn word(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |previous| self.ends[previous]);
        &self.text[usize::from(start)..usize::from(self.ends[index])]
    }

    fn words_in_stage(&self) -> usize {
        self.ends.len() - self.stages.last().map_or(0, |&end| usize::from(end))
    }
}

/// Why a line makes no sense, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The column of the character at fault, from 1.
    pub column: usize,
    /// What is wrong with it.
    pub kind: SyntaxErrorKind,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyntaxErrorKind {
    /// A quote opens here and never closes.
    OpenQuote(char),
    /// The line ends in a backslash.
    OpenEscape,
    /// There is no command before this operator.
    NothingBefore(char),
    /// There is no command after this operator.
    NothingAfter(char),
    /// An operator of other shells.
    Unsupported(&'static str),
    /// More text follows the view to write to.
    AfterRedirect,
    /// Bytes that were no UTF-8.
    Malformed,
    /// More words than a pipeline can have.
    TooManyWords,
    /// More stages than a pipeline can have.
    TooManyStages,
    /// More text than a pipeline can have.
    TooLong,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use SyntaxErrorKind as Kind;

        write!(f, "column {}: ", self.column)?;
        match self.kind {
            Kind::OpenQuote(quote) => write!(f, "this {quote} is never closed"),
            Kind::OpenEscape => f.write_str("nothing follows this backslash"),
            Kind::NothingBefore(operator) => write!(f, "no command before `{operator}`"),
            Kind::NothingAfter('>') => f.write_str("no view after `>`"),
            Kind::NothingAfter(operator) => write!(f, "no command after `{operator}`"),
            Kind::Unsupported(operator) => write!(f, "`{operator}` is not known here; there are `|`, `;` and `> VIEW`"),
            Kind::AfterRedirect => f.write_str("only one view can follow `>`"),
            Kind::Malformed => f.write_str("the input is no UTF-8 here"),
            Kind::TooManyWords => write!(f, "more than {MAX_WORDS} words"),
            Kind::TooManyStages => write!(f, "more than {MAX_STAGES} commands in a pipe"),
            Kind::TooLong => write!(f, "more than {MAX_TEXT} bytes in one command"),
        }
    }
}

/// Goes over the whole line without running it.
///
/// # Errors
/// The first error in the line.
pub(super) fn check(line: &str, scratch: &mut Pipeline) -> Result<(), SyntaxError> {
    let mut parser = Parser::new(line);
    while parser.next_pipeline(u8::MAX, scratch)? {}
    Ok(())
}

/// Reads a line, one pipeline at a time.
pub(super) struct Parser<'a> {
    line: &'a str,
    /// How far it is read, in bytes.
    position: usize,
}

impl<'a> Parser<'a> {
    pub(super) const fn new(line: &'a str) -> Self {
        Self { line, position: 0 }
    }

    /// Reads the next pipeline into `pipeline`; false at the end of the line.
    pub(super) fn next_pipeline(&mut self, status: u8, pipeline: &mut Pipeline) -> Result<bool, SyntaxError> {
        pipeline.clear();
        self.skip_blank_lines();
        let start = self.position;
        let mut last_operator = None;

        loop {
            self.skip_blanks();
            let at = self.position;
            match self.peek() {
                None | Some('\n' | ';') => {
                    self.end_pipeline(at, last_operator, pipeline)?;
                    pipeline.source = start..at;
                    self.bump();
                    return Ok(!pipeline.stages.is_empty());
                }
                Some('|') => {
                    self.operator(pipeline, "||")?;
                    self.end_stage(at, '|', pipeline)?;
                    last_operator = Some((at, '|'));
                }
                Some('>') => {
                    self.operator(pipeline, ">>")?;
                    self.end_stage(at, '>', pipeline)?;
                    pipeline.is_redirected = true;
                    last_operator = Some((at, '>'));
                }
                Some('&') => return Err(self.error(at, Kind::Unsupported(if self.rest().starts_with("&&") { "&&" } else { "&" }))),
                Some('<') => return Err(self.error(at, Kind::Unsupported("<"))),
                Some(_) if pipeline.is_redirected && pipeline.words_in_stage() == 1 => {
                    return Err(self.error(at, Kind::AfterRedirect));
                }
                Some(_) => self.word(status, pipeline)?,
            }
        }
    }

    /// Consumes a one-character operator, unless it is the beginning of `longer` or comes after `>`.
    fn operator(&mut self, pipeline: &Pipeline, longer: &'static str) -> Result<(), SyntaxError> {
        if self.rest().starts_with(longer) {
            return Err(self.error(self.position, Kind::Unsupported(longer)));
        }
        if pipeline.is_redirected {
            return Err(self.error(self.position, Kind::AfterRedirect));
        }
        self.bump();
        Ok(())
    }

    fn end_stage(&self, at: usize, operator: char, pipeline: &mut Pipeline) -> Result<(), SyntaxError> {
        if pipeline.words_in_stage() == 0 {
            return Err(self.error(at, Kind::NothingBefore(operator)));
        }
        let words = u8::try_from(pipeline.ends.len()).map_err(|_| self.error(at, Kind::TooManyWords))?;
        pipeline.stages.try_push(words).map_err(|_| self.error(at, Kind::TooManyStages))
    }

    fn end_pipeline(&self, at: usize, last: Option<(usize, char)>, pipeline: &mut Pipeline) -> Result<(), SyntaxError> {
        match (pipeline.words_in_stage(), last) {
            (0, Some((at, operator))) => Err(self.error(at, Kind::NothingAfter(operator))),
            (0, None) if self.peek() == Some(';') => Err(self.error(at, Kind::NothingBefore(';'))),
            (0, None) => Ok(()),
            _ if pipeline.is_redirected => Ok(()),
            _ => self.end_stage(at, ';', pipeline),
        }
    }

    /// Reads one word, whose first character is there and no operator.
    fn word(&mut self, status: u8, pipeline: &mut Pipeline) -> Result<(), SyntaxError> {
        let start = self.position;
        let mut quote: Option<(usize, char)> = None;

        while let Some(c) = self.peek() {
            let at = self.position;
            match (c, quote) {
                (char::REPLACEMENT_CHARACTER, _) => return Err(self.error(at, Kind::Malformed)),
                (' ' | '\t' | '\n' | ';' | '|' | '>' | '<' | '&', None) => break,
                ('\'' | '"', None) => quote = Some((at, c)),
                (c, Some((_, open))) if c == open => quote = None,
                ('\\', None | Some((_, '"'))) => {
                    self.bump();
                    self.escaped(at, quote.is_some(), pipeline)?;
                }
                ('$', None | Some((_, '"'))) if self.rest().starts_with("$?") => {
                    self.bump();
                    write!(pipeline.text, "{status}").map_err(|_| self.error(at, Kind::TooLong))?;
                }
                (c, _) => self.push(at, c, pipeline)?,
            }
            self.bump();
        }

        if let Some((at, quote)) = quote {
            return Err(self.error(at, Kind::OpenQuote(quote)));
        }
        let end = u16::try_from(pipeline.text.len()).map_err(|_| self.error(start, Kind::TooLong))?;
        pipeline.ends.try_push(end).map_err(|_| self.error(start, Kind::TooManyWords))
    }

    /// Takes the character after a backslash; between double quotes, only `"` and `\` lose theirs.
    fn escaped(&mut self, at: usize, is_quoted: bool, pipeline: &mut Pipeline) -> Result<(), SyntaxError> {
        let c = self.peek().ok_or_else(|| self.error(at, Kind::OpenEscape))?;
        if c == char::REPLACEMENT_CHARACTER {
            return Err(self.error(self.position, Kind::Malformed));
        }
        if is_quoted && !matches!(c, '"' | '\\' | '$') {
            self.push(at, '\\', pipeline)?;
        }
        self.push(at, c, pipeline)
    }

    fn push(&self, at: usize, c: char, pipeline: &mut Pipeline) -> Result<(), SyntaxError> {
        pipeline.text.try_push(c).map_err(|_| self.error(at, Kind::TooLong))
    }

    /// Skips spaces, and a comment up to the end of its line.
    fn skip_blanks(&mut self) {
        let is_at_word =
            |line: &str, at: usize| at == 0 || line.as_bytes()[at - 1].is_ascii_whitespace() || line.as_bytes()[at - 1] == b';';

        self.skip_while(|c| matches!(c, ' ' | '\t'));
        if self.peek() == Some('#') && is_at_word(self.line, self.position) {
            self.skip_while(|c| c != '\n');
        }
    }

    fn skip_blank_lines(&mut self) {
        self.skip_blanks();
        while self.peek() == Some('\n') {
            self.bump();
            self.skip_blanks();
        }
    }

    fn skip_while(&mut self, is_skipped: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&is_skipped) {
            self.bump();
        }
    }

    fn rest(&self) -> &'a str {
        &self.line[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) {
        self.position += self.peek().map_or(0, char::len_utf8);
    }

    fn error(&self, at: usize, kind: Kind) -> SyntaxError {
        SyntaxError { column: self.line[..at].chars().count() + 1, kind }
    }
}

use SyntaxErrorKind as Kind;
