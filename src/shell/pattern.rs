//! Regular expressions for `grep`: POSIX basic and extended, without back-references.
//!
//! Compiled to a small non-deterministic automaton whose set of active states is one 128-bit word, so a match takes time in proportion
//! to the line and cannot run away on `(a*)*b`, and memory is fixed. Written here because the crates that need no allocation compile
//! their patterns at build time or wrap C, and `regex` needs an allocator, which a shell must not when memory is what one looks into.
//!
//! Neighbour: `pattern_compiler` (text to program). Sources: K. Thompson, "Regular Expression Search Algorithm", CACM 11(6), 1968; POSIX.1 chapter 9.

use core::fmt;

use arrayvec::ArrayVec;

use super::pattern_compiler::Compiler;

/// The most instructions; one more state means "matched", and all fit into a word.
pub(super) const MAX_PROGRAM: usize = 127;
/// The most ranges in all brackets together.
const MAX_RANGES: usize = 48;

/// How a pattern is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `\+ \? \| \( \) \{ \}` are operators.
    Basic,
    /// `+ ? | ( ) { }` are operators.
    Extended,
    /// Nothing is.
    Fixed,
}

/// Whether `a` and `A` are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// They differ.
    Sensitive,
    /// They are the same, for ASCII letters.
    Ignored,
}

/// A step of a program; distances are relative to the step itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instruction {
    /// This character.
    Char(char),
    /// Any character.
    Any,
    /// A character inside (or outside) `ranges[first..first + len]`.
    Class { first: u8, len: u8, is_negated: bool },
    /// Goes on at both distances.
    Split(i16, i16),
    /// Goes on at a distance.
    Jump(i16),
    /// Goes on at the start of the line only.
    LineStart,
    /// Goes on at the end of the line only.
    LineEnd,
}

use Instruction as I;

pub(super) type Program = ArrayVec<Instruction, MAX_PROGRAM>;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    pub(super) program: Program,
    pub(super) ranges: ArrayVec<(char, char), MAX_RANGES>,
    pub(super) case: Case,
}

/// Why a pattern cannot be used, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// The character of the pattern at fault, from 1.
    pub column: usize,
    /// What is wrong.
    pub kind: PatternErrorKind,
}

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternErrorKind {
    /// A group or bracket does not close.
    Unclosed(char),
    /// A group closes that was not open.
    Unopened,
    /// A repetition with nothing before it.
    NothingToRepeat,
    /// `{...}` without sense.
    BadRepetition,
    /// `[...]` without sense.
    BadBracket,
    /// `\` before something that has no such meaning.
    BadEscape,
    /// More than the automaton holds.
    TooLarge,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use PatternErrorKind as Kind;

        write!(f, "pattern, character {}: ", self.column)?;
        match self.kind {
            Kind::Unclosed(open) => write!(f, "`{open}` is never closed"),
            Kind::Unopened => f.write_str("`)` closes nothing"),
            Kind::NothingToRepeat => f.write_str("nothing to repeat"),
            Kind::BadRepetition => f.write_str("no such repetition"),
            Kind::BadBracket => f.write_str("no such range or class"),
            Kind::BadEscape => f.write_str("no such escape"),
            Kind::TooLarge => write!(f, "more than {MAX_PROGRAM} steps"),
        }
    }
}

impl Pattern {
    /// Creates a pattern that matches everything.
    #[must_use]
    pub const fn new() -> Self {
        Self { program: Program::new_const(), ranges: ArrayVec::new_const(), case: Case::Sensitive }
    }

    /// Becomes the pattern `text`. In place, because a pattern is large for the stack of a kernel.
    ///
    /// # Errors
    /// The first error in the text; the pattern is then good for nothing.
    pub fn compile(&mut self, text: &str, syntax: Syntax, case: Case) -> Result<(), PatternError> {
        self.program.clear();
        self.ranges.clear();
        self.case = case;
        Compiler::new(self, text, syntax).compile()
    }

    /// Whether the pattern matches anywhere in `line`.
    #[must_use]
    pub fn is_match(&self, line: &str) -> bool {
        let matched = 1 << self.program.len();
        let (mut states, mut is_start, mut chars) = (0, true, line.chars());

        loop {
            let next = chars.next();
            states = self.follow(states | 1, is_start, next.is_none());
            if states & matched != 0 {
                return true;
            }
            let Some(c) = next else { return false };
            states = self.step(states, c);
            is_start = false;
        }
    }

    /// Adds the states that `todo` leads to without reading a character.
    fn follow(&self, mut todo: u128, is_start: bool, is_end: bool) -> u128 {
        let mut seen = 0u128;
        while todo != 0 {
            let at = todo.trailing_zeros() as usize;
            todo &= todo - 1;
            seen |= 1 << at;

            let reached = match self.program.get(at) {
                Some(&I::Split(a, b)) => target(at, a) | target(at, b),
                Some(&I::Jump(distance)) => target(at, distance),
                Some(I::LineStart) if is_start => target(at, 1),
                Some(I::LineEnd) if is_end => target(at, 1),
                _ => 0,
            };
            todo |= reached & !seen;
        }
        seen
    }

    /// The states behind `c`.
    fn step(&self, mut states: u128, c: char) -> u128 {
        let mut reached = 0;
        while states != 0 {
            let at = states.trailing_zeros() as usize;
            states &= states - 1;
            if self.program.get(at).is_some_and(|&instruction| self.accepts(instruction, c)) {
                reached |= target(at, 1);
            }
        }
        reached
    }

    fn accepts(&self, instruction: Instruction, c: char) -> bool {
        match instruction {
            I::Char(wanted) if self.case == Case::Ignored => wanted.eq_ignore_ascii_case(&c),
            I::Char(wanted) => wanted == c,
            I::Any => true,
            I::Class { first, len, is_negated } => {
                let ranges = self.ranges.get(usize::from(first)..).unwrap_or_default();
                let ranges = &ranges[..ranges.len().min(usize::from(len))];
                let has = |c: char| ranges.iter().any(|&(low, high)| (low..=high).contains(&c));
                let is_inside = match self.case {
                    Case::Sensitive => has(c),
                    Case::Ignored => has(c.to_ascii_lowercase()) || has(c.to_ascii_uppercase()),
                };
                is_inside != is_negated
            }
            _ => false,
        }
    }
}

impl Default for Pattern {
    fn default() -> Self {
        Self::new()
    }
}

/// The state `distance` instructions behind `at`, as a set.
fn target(at: usize, distance: i16) -> u128 {
    at.checked_add_signed(isize::from(distance)).and_then(|at| 1u128.checked_shl(u32::try_from(at).ok()?)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::prelude::v1::*;
    use std::{format, vec};

    fn compile(text: &str, syntax: Syntax, case: Case) -> Result<Pattern, PatternError> {
        let mut pattern = Pattern::new();
        pattern.compile(text, syntax, case).map(|()| pattern)
    }

    fn matches(pattern: &str, line: &str) -> bool {
        compile(pattern, Syntax::Extended, Case::Sensitive).expect(pattern).is_match(line)
    }

    fn error(pattern: &str) -> (usize, PatternErrorKind) {
        let error = compile(pattern, Syntax::Extended, Case::Sensitive).expect_err(pattern);
        (error.column, error.kind)
    }

    #[test]
    fn extended_syntax() {
        for (pattern, yes, no) in [
            ("abc", "xabcx", "ab c"),
            ("^ab|cd$", "xcd", "xabcdx"),
            ("^(a|b|cd)*$", "abcdab", "abc"),
            ("^a{2,3}$", "aaa", "aaaa"),
            ("^a{,2}b{2}c{1,}$", "bbcc", "aaabbc"),
            ("^[]a-c-]+$", "a]-b", "d"),
            ("[^[:digit:][:space:]]", "1 x", "1 2"),
            (r"^\w+\.\d\s\[$", "ab_1.2 [", "ab-1.2 ["),
            ("^$", "", "a"),
            ("a.c", "aéc", "ac"),
            ("^(ab?)+$", "aaba", "abb"),
            ("^(ab|c){2,4}d{0}e{0,2}$", "abcabe", "abcabcabe"),
            ("^(a{2}){0,2}b$", "aaaab", "aaab"),
            ("()", "", "\u{1}^"),
        ] {
            assert!(matches(pattern, yes), "{pattern} must match {yes}");
            assert!(pattern == "()" || !matches(pattern, no), "{pattern} must not match {no}");
        }
    }

    #[test]
    fn basic_fixed_and_case() {
        let test = |pattern, syntax, case, line| compile(pattern, syntax, case).expect(pattern).is_match(line);

        assert!(test("a+b", Syntax::Basic, Case::Sensitive, "a+b"));
        assert!(test(r"^a\+\(b\|c\)$", Syntax::Basic, Case::Sensitive, "aac"));
        assert!(test(r"^x\{2\}$", Syntax::Basic, Case::Sensitive, "xx"));
        assert!(test("*a^$b", Syntax::Basic, Case::Sensitive, "*a^$b"));
        assert!(test(".*[", Syntax::Fixed, Case::Sensitive, "a.*[b"));
        assert!(test("mem[a-f]", Syntax::Extended, Case::Ignored, "MEMF"));
        assert!(!test("mem", Syntax::Extended, Case::Sensitive, "MEM"));
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(error("é(ab"), (2, PatternErrorKind::Unclosed('(')));
        assert_eq!(error("ab)"), (3, PatternErrorKind::Unopened));
        assert_eq!(error("a|*b"), (3, PatternErrorKind::NothingToRepeat));
        assert_eq!(error("a[b"), (2, PatternErrorKind::Unclosed('[')));
        assert_eq!(error("[z-a]"), (2, PatternErrorKind::BadBracket));
        assert_eq!(error("a{3,1}"), (2, PatternErrorKind::BadRepetition));
        assert_eq!(error(r"(a)\1"), (4, PatternErrorKind::BadEscape));
        assert_eq!(error(&"(".repeat(50)).1, PatternErrorKind::TooLarge);
        assert_eq!(error("(a{50}){50}").1, PatternErrorKind::TooLarge);
    }

    #[test]
    fn takes_no_exponential_time() {
        assert!(!matches("^((a*)*(a|aa)*)*b", &"a".repeat(20_000)));
    }

    /// The naive model: a tree, and all positions where a match of it can end.
    #[derive(Clone, Debug)]
    enum Tree {
        Char(char),
        Any,
        Both(Box<Tree>, Box<Tree>),
        Either(Box<Tree>, Box<Tree>),
        Repeat(Box<Tree>, usize, Option<usize>),
    }

    impl Tree {
        fn pattern(&self) -> String {
            match self {
                Tree::Char(c) => c.to_string(),
                Tree::Any => ".".into(),
                Tree::Both(a, b) => a.pattern() + &b.pattern(),
                Tree::Either(a, b) => format!("({}|{})", a.pattern(), b.pattern()),
                Tree::Repeat(a, 0, None) => format!("({})*", a.pattern()),
                Tree::Repeat(a, 1, None) => format!("({})+", a.pattern()),
                Tree::Repeat(a, least, None) => format!("({}){{{least},}}", a.pattern()),
                Tree::Repeat(a, least, Some(most)) => format!("({}){{{least},{most}}}", a.pattern()),
            }
        }

        fn ends(&self, line: &[char], start: usize) -> Vec<usize> {
            let mut ends = match self {
                Tree::Char(c) => {
                    if line.get(start) == Some(c) {
                        vec![start + 1]
                    } else {
                        vec![]
                    }
                }
                Tree::Any => {
                    if start < line.len() {
                        vec![start + 1]
                    } else {
                        vec![]
                    }
                }
                Tree::Both(a, b) => a.ends(line, start).into_iter().flat_map(|middle| b.ends(line, middle)).collect(),
                Tree::Either(a, b) => [a.ends(line, start), b.ends(line, start)].concat(),
                Tree::Repeat(a, least, most) => {
                    let (mut round, mut ends) = (vec![start], vec![]);
                    for count in 0..=most.unwrap_or(least + line.len() + 1) {
                        if count >= *least {
                            ends.extend(&round);
                        }
                        round = round.into_iter().flat_map(|at| a.ends(line, at)).collect();
                        round.sort_unstable();
                        round.dedup();
                    }
                    ends
                }
            };
            ends.sort_unstable();
            ends.dedup();
            ends
        }
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![prop::char::range('a', 'c').prop_map(Tree::Char), Just(Tree::Any)];
        leaf.prop_recursive(3, 10, 2, |inner| {
            let pair = (inner.clone(), inner.clone());
            prop_oneof![
                pair.clone().prop_map(|(a, b)| Tree::Both(a.into(), b.into())),
                pair.prop_map(|(a, b)| Tree::Either(a.into(), b.into())),
                (inner, 0..3usize, prop::option::of(0..2usize)).prop_map(|(a, least, more)| Tree::Repeat(
                    a.into(),
                    least,
                    more.map(|more| least + more)
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_model(tree in tree(), line in "[a-d]{0,8}") {
            let chars: Vec<char> = line.chars().collect();
            let anchored = format!("^({})$", tree.pattern());
            if let Ok(pattern) = compile(&anchored, Syntax::Extended, Case::Sensitive) {
                prop_assert_eq!(pattern.is_match(&line), tree.ends(&chars, 0).contains(&chars.len()), "{} on {}", anchored, line);
            }
            if let Ok(pattern) = compile(&tree.pattern(), Syntax::Extended, Case::Sensitive) {
                prop_assert_eq!(pattern.is_match(&line), (0..=chars.len()).any(|at| !tree.ends(&chars, at).is_empty()));
            }
        }

        #[test]
        fn any_text_is_a_pattern_or_an_error(text in r"[a-c(){}|*+?.^$\[\]\\,0-9é-]{0,40}", line in ".{0,20}") {
            for syntax in [Syntax::Basic, Syntax::Extended, Syntax::Fixed] {
                if let Ok(pattern) = compile(&text, syntax, Case::Ignored) {
                    let _ = pattern.is_match(&line);
                }
            }
        }
    }
}
