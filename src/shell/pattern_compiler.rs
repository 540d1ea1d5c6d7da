//! The compiler of `grep`'s regular expressions.
//!
//! Recursive descent that writes the program as it reads. Jumps are relative, so a piece of program can be shifted or copied: that is
//! how `|`, `*` and `{2,5}` are built when they are met, behind what they apply to. Depth and size are bounded.
//!
//! Source: POSIX.1 chapter 9; `\w` and `\s` as GNU `grep` has them, `\d` as everyone expects.

use arrayvec::ArrayVec;

use super::pattern::Instruction::{self, self as I};
use super::pattern::PatternErrorKind as Kind;
use super::pattern::{MAX_PROGRAM, Pattern, PatternError, Syntax};

/// How deep groups can nest.
const MAX_DEPTH: usize = 12;
/// How many `|` a group can have.
const MAX_ALTERNATIVES: usize = 32;

/// A pattern half read.
pub(super) struct Compiler<'a> {
    text: &'a str,
    position: usize,
    syntax: Syntax,
    pattern: &'a mut Pattern,
}

/// What stands at the front of the rest of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Literal(char),
    Operator(char),
    /// A backslash before a letter or digit.
    Escape(char),
}

impl<'a> Compiler<'a> {
    /// A compiler into `pattern`, which is empty.
    pub(super) fn new(pattern: &'a mut Pattern, text: &'a str, syntax: Syntax) -> Self {
        Self { text, position: 0, syntax, pattern }
    }

    pub(super) fn compile(mut self) -> Result<(), PatternError> {
        self.alternatives(0)?;
        if self.peek().is_some() { Err(self.error(Kind::Unopened)) } else { Ok(()) }
    }

    fn alternatives(&mut self, depth: usize) -> Result<(), PatternError> {
        if depth > MAX_DEPTH {
            return Err(self.error(Kind::TooLarge));
        }
        let mut jumps: ArrayVec<u8, MAX_ALTERNATIVES> = ArrayVec::new();

        loop {
            let start = self.pattern.program.len();
            self.sequence(depth)?;
            if self.peek() != Some(Token::Operator('|')) {
                break;
            }
            self.bump();

            let len = self.distance_from(start);
            self.insert(start, I::Split(1, len + 2))?;
            let jump = u8::try_from(self.pattern.program.len()).map_err(|_| self.error(Kind::TooLarge))?;
            jumps.try_push(jump).map_err(|_| self.error(Kind::TooLarge))?;
            self.push(I::Jump(0))?;
        }

        for jump in jumps.into_iter().map(usize::from) {
            self.pattern.program[jump] = I::Jump(self.distance_from(jump));
        }
        Ok(())
    }

    fn sequence(&mut self, depth: usize) -> Result<(), PatternError> {
        let mut is_first = true;
        while let Some(token) = self.peek() {
            if matches!(token, Token::Operator('|' | ')')) {
                break;
            }
            let start = self.pattern.program.len();
            self.atom(token, is_first, depth)?;
            is_first = self.syntax == Syntax::Basic && token == Token::Operator('^');
            if !is_first {
                self.repetitions(start)?;
            }
        }
        Ok(())
    }

    fn atom(&mut self, token: Token, is_first: bool, depth: usize) -> Result<(), PatternError> {
        let at = self.position;
        self.bump();
        match token {
            Token::Literal(c) => self.push(I::Char(c)),
            Token::Operator('.') => self.push(I::Any),
            Token::Operator('^') if self.syntax == Syntax::Extended || is_first => self.push(I::LineStart),
            Token::Operator('$') if self.syntax == Syntax::Extended || self.is_at_end() => self.push(I::LineEnd),
            Token::Operator('[') => self.bracket(at),
            Token::Operator('(') => {
                self.alternatives(depth + 1)?;
                if self.peek() != Some(Token::Operator(')')) {
                    return Err(self.error_at(at, Kind::Unclosed('(')));
                }
                self.bump();
                Ok(())
            }
            // In basic syntax a star with nothing before it, and anchors elsewhere, stand for themselves.
            Token::Operator(c @ ('*' | '^' | '$')) if self.syntax == Syntax::Basic => self.push(I::Char(c)),
            Token::Operator(_) => Err(self.error_at(at, Kind::NothingToRepeat)),
            Token::Escape('w') => self.class(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
            Token::Escape('s') => self.class(&[('\t', '\r'), (' ', ' ')]),
            Token::Escape('d') => self.class(&[('0', '9')]),
            Token::Escape(_) => Err(self.error_at(at, Kind::BadEscape)),
        }
    }

    /// Applies the repetitions that follow to the program from `start`.
    fn repetitions(&mut self, start: usize) -> Result<(), PatternError> {
        while let Some(Token::Operator(c @ ('*' | '+' | '?' | '{'))) = self.peek() {
            let at = self.position;
            self.bump();
            let (least, most) = match c {
                '*' => (0, None),
                '+' => (1, None),
                '?' => (0, Some(1)),
                _ => self.bounds(at)?,
            };
            self.repeat(start, least, most)?;
        }
        Ok(())
    }

    /// Replaces the program from `start` by `least` to `most` copies of itself.
    fn repeat(&mut self, start: usize, least: usize, most: Option<usize>) -> Result<(), PatternError> {
        let len = self.distance_from(start);
        match (least, most) {
            (0, Some(0)) => {
                self.pattern.program.truncate(start);
                Ok(())
            }
            (0, Some(most)) => {
                self.insert(start, I::Split(1, len + 1))?;
                (1..most).try_for_each(|_| self.copy(start, len + 1))
            }
            (0, None) => {
                self.insert(start, I::Split(1, len + 2))?;
                self.push(I::Jump(-len - 1))
            }
            (least, None) => {
                (1..least).try_for_each(|_| self.copy(start, len))?;
                self.push(I::Split(-len, 1))
            }
            (least, Some(most)) => {
                (1..least).try_for_each(|_| self.copy(start, len))?;
                (least..most).try_for_each(|_| {
                    self.push(I::Split(1, len + 1))?;
                    self.copy(start, len)
                })
            }
        }
    }

    /// Reads `m}`, `m,}`, `,n}` or `m,n}`.
    #[inline(never)]
    fn bounds(&mut self, at: usize) -> Result<(usize, Option<usize>), PatternError> {
        let bad = self.error_at(at, Kind::BadRepetition);
        let close = if self.syntax == Syntax::Basic { "\\}" } else { "}" };
        let end = self.rest().find(close).ok_or(self.error_at(at, Kind::Unclosed('{')))?;
        let inside = &self.text[self.position..self.position + end];
        self.position += end + close.len();

        let number = |text: &str| text.parse::<usize>().map_err(|_| bad);
        let (least, most) = match inside.split_once(',') {
            None => (number(inside)?, Some(number(inside)?)),
            Some(("", most)) => (0, Some(number(most)?)),
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        match most {
            Some(most) if most < least => Err(bad),
            _ if least.max(most.unwrap_or(0)) > MAX_PROGRAM => Err(self.error_at(at, Kind::TooLarge)),
            _ => Ok((least, most)),
        }
    }

    /// Reads a bracket, whose `[` at `at` is consumed.
    #[inline(never)]
    fn bracket(&mut self, at: usize) -> Result<(), PatternError> {
        let first = self.pattern.ranges.len();
        let is_negated = self.eat("^");
        let mut is_first = true;

        loop {
            let Some(low) = self.rest().chars().next() else { return Err(self.error_at(at, Kind::Unclosed('['))) };
            if low == ']' && !is_first {
                self.position += 1;
                break;
            }
            is_first = false;
            if self.eat("[:") {
                self.named_class()?;
                continue;
            }

            let low_at = self.position;
            self.position += low.len_utf8();
            let mut high = low;
            let mut ahead = self.rest().chars();
            if let (Some('-'), Some(end)) = (ahead.next(), ahead.next())
                && end != ']'
            {
                high = end;
                self.position += 1 + end.len_utf8();
            }
            if low > high {
                return Err(self.error_at(low_at, Kind::BadBracket));
            }
            self.add_range(low, high)?;
        }
        self.push_class(first, is_negated)
    }

    /// Reads the rest of `[:alpha:]`.
    fn named_class(&mut self) -> Result<(), PatternError> {
        const CLASSES: [(&str, &[(char, char)]); 10] = [
            ("alnum:]", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
            ("alpha:]", &[('A', 'Z'), ('a', 'z')]),
            ("blank:]", &[('\t', '\t'), (' ', ' ')]),
            ("digit:]", &[('0', '9')]),
            ("lower:]", &[('a', 'z')]),
            ("print:]", &[(' ', '~')]),
            ("punct:]", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
            ("space:]", &[('\t', '\r'), (' ', ' ')]),
            ("upper:]", &[('A', 'Z')]),
            ("xdigit:]", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
        ];
        let Some((name, ranges)) = CLASSES.iter().find(|(name, _)| self.rest().starts_with(name)) else {
            return Err(self.error(Kind::BadBracket));
        };
        self.position += name.len();
        ranges.iter().try_for_each(|&(low, high)| self.add_range(low, high))
    }

    fn class(&mut self, ranges: &[(char, char)]) -> Result<(), PatternError> {
        let first = self.pattern.ranges.len();
        ranges.iter().try_for_each(|&(low, high)| self.add_range(low, high))?;
        self.push_class(first, false)
    }

    fn push_class(&mut self, first: usize, is_negated: bool) -> Result<(), PatternError> {
        let len = self.pattern.ranges.len() - first;
        match (u8::try_from(first), u8::try_from(len)) {
            (Ok(first), Ok(len)) => self.push(I::Class { first, len, is_negated }),
            _ => Err(self.error(Kind::TooLarge)),
        }
    }

    fn add_range(&mut self, low: char, high: char) -> Result<(), PatternError> {
        self.pattern.ranges.try_push((low, high)).map_err(|_| self.error(Kind::TooLarge))
    }

    fn push(&mut self, instruction: Instruction) -> Result<(), PatternError> {
        self.pattern.program.try_push(instruction).map_err(|_| self.error(Kind::TooLarge))
    }

    /// Appends the `len` instructions from `start` once more.
    fn copy(&mut self, start: usize, len: i16) -> Result<(), PatternError> {
        let end = start + usize::from(len.unsigned_abs());
        (start..end).try_for_each(|at| self.push(self.pattern.program[at]))
    }

    fn insert(&mut self, at: usize, instruction: Instruction) -> Result<(), PatternError> {
        self.pattern.program.try_insert(at, instruction).map_err(|_| self.error(Kind::TooLarge))
    }

    /// How many instructions there are from `start` on: at most 127.
    fn distance_from(&self, start: usize) -> i16 {
        i16::try_from(self.pattern.program.len() - start).unwrap_or(i16::MAX)
    }

    fn peek(&self) -> Option<Token> {
        let mut chars = self.rest().chars();
        let first = chars.next()?;
        if self.syntax == Syntax::Fixed {
            return Some(Token::Literal(first));
        }

        let (c, is_escaped) = if first == '\\' { (chars.next().unwrap_or('\\'), true) } else { (first, false) };
        Some(match c {
            '+' | '?' | '|' | '(' | ')' | '{' | '}' if is_escaped == (self.syntax == Syntax::Extended) => Token::Literal(c),
            '+' | '?' | '|' | '(' | ')' | '{' => Token::Operator(c),
            '.' | '*' | '[' | '^' | '$' if !is_escaped => Token::Operator(c),
            c if is_escaped && c.is_alphanumeric() => Token::Escape(c),
            c => Token::Literal(c),
        })
    }

    /// Consumes what `peek` gives.
    fn bump(&mut self) {
        let mut chars = self.rest().chars();
        if chars.next() == Some('\\') && self.syntax != Syntax::Fixed {
            chars.next();
        }
        self.position = self.text.len() - chars.as_str().len();
    }

    fn eat(&mut self, text: &str) -> bool {
        let is_there = self.rest().starts_with(text);
        self.position += if is_there { text.len() } else { 0 };
        is_there
    }

    fn is_at_end(&self) -> bool {
        matches!(self.peek(), None | Some(Token::Operator('|' | ')')))
    }

    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    fn error(&self, kind: Kind) -> PatternError {
        self.error_at(self.position, kind)
    }

    fn error_at(&self, at: usize, kind: Kind) -> PatternError {
        PatternError { column: self.text[..at].chars().count() + 1, kind }
    }
}
