//! Completion: which words can stand where the cursor is.
//!
//! Nothing is collected. A completer offers its words one by one to a closure, and is asked again for each pass: one pass finds the
//! common beginning, one per line of the list finds the next word in order. That is quadratic in the length of a list that a person
//! must read, and needs no memory.

use core::fmt::{self, Write};

use arrayvec::{ArrayString, ArrayVec};

use super::command::{self, COMMANDS};
use super::filter;
use crate::proc;

/// Offers every word that can stand at the cursor; those that do not begin with what is typed are left out by the caller.
pub type Completer = fn(&Request<'_>, &mut dyn FnMut(&str));

/// Where in a command the cursor is.
pub struct Request<'a> {
    /// The arguments before the word at the cursor.
    pub args: &'a [&'a str],
    /// What is typed of the word at the cursor.
    pub word: &'a str,
}

/// The longest word that is completed; a longer one is completed to here.
const WORD_MAX: usize = 128;
/// The most arguments that a completer is told of.
const ARGS_MAX: usize = 16;
/// The most words that are listed.
const LIST_MAX: usize = 150;

type Word = ArrayString<WORD_MAX>;

/// Completes nothing.
pub fn nothing(_: &Request<'_>, _: &mut dyn FnMut(&str)) {}

/// Completes the names of views, or their paths directory by directory once a slash is typed.
pub fn views(request: &Request<'_>, offer: &mut dyn FnMut(&str)) {
    offer_views(request.word, offer, |_| true);
}

/// Completes the names of commands and views.
pub fn commands(_: &Request<'_>, offer: &mut dyn FnMut(&str)) {
    COMMANDS.iter().for_each(|command| offer(command.name()));
    proc::VIEWS.iter().for_each(|view| offer(view.name()));
}

fn offer_views(word: &str, offer: &mut dyn FnMut(&str), is_wanted: impl Fn(&proc::View) -> bool) {
    for view in proc::VIEWS.iter().filter(|view| is_wanted(view)) {
        if !word.starts_with('/') {
            offer(view.name());
        } else if let Some(rest) = view.path().strip_prefix(word) {
            let end = rest.find('/').map_or(view.path().len(), |slash| word.len() + slash + 1);
            offer(&view.path()[..end]);
        }
    }
}

/// How many different words fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matches {
    None,
    One,
    Many,
}

/// What can be said about the word at the cursor.
pub(super) struct Survey {
    pub(super) matches: Matches,
    typed: usize,
    common: Word,
}

impl Survey {
    /// What all words that fit have in common beyond what is typed.
    pub(super) fn rest(&self) -> &str {
        self.common.get(self.typed..).unwrap_or_default()
    }

    pub(super) fn has_progress(&self) -> bool {
        !self.rest().is_empty()
    }

    /// Whether the word is whole, so that a space may follow; a directory is not.
    pub(super) fn is_finished_word(&self) -> bool {
        self.matches == Matches::One && !self.common.ends_with('/')
    }

    fn add(&mut self, word: &str) {
        if self.matches == Matches::None {
            self.matches = Matches::One;
            self.common = cut(word);
            return;
        }
        if word != self.common.as_str() {
            self.matches = Matches::Many;
        }
        let same: usize = self.common.chars().zip(word.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
        self.common.truncate(same);
    }
}

/// Looks at all words that fit at the end of `before`.
pub(super) fn survey(before: &str) -> Survey {
    let mut survey = Survey { matches: Matches::None, typed: word_at_end(before).len(), common: Word::new() };
    for_each_match(before, &mut |word| survey.add(word));
    survey
}

/// Writes the words that fit at the end of `before`, in order, in columns.
///
/// # Errors
/// Those of `out`.
pub(super) fn list(before: &str, columns: usize, out: &mut dyn Write) -> fmt::Result {
    let mut width = 0;
    for_each_match(before, &mut |word| width = width.max(word.chars().count() + 2));
    let per_row = (columns / width.max(1)).max(1);

    let mut last = Word::new();
    for index in 0..LIST_MAX {
        let Some(word) = next_match(before, &last) else {
            return out.write_str("\r\n");
        };
        if index > 0 && index % per_row == 0 {
            out.write_str("\r\n")?;
        }
        write!(out, "{word:width$}")?;
        last = word;
    }

    let mut left = 0;
    for_each_match(before, &mut |word| left += usize::from(word > last.as_str()));
    write!(out, "\r\n... and {left} more\r\n")
}

fn next_match(before: &str, last: &str) -> Option<Word> {
    let mut next: Option<Word> = None;
    for_each_match(before, &mut |word| {
        if word > last && next.is_none_or(|best| word < best.as_str()) {
            next = Some(cut(word));
        }
    });
    next
}

fn for_each_match(before: &str, take: &mut dyn FnMut(&str)) {
    let word = word_at_end(before);
    let mut offer = |candidate: &str| {
        if candidate.starts_with(word) {
            take(candidate);
        }
    };

    // Quotes are not looked at: the words worth completing need none.
    let (operator, stage) = match before.rfind(['|', ';', '>']) {
        Some(index) => (before.as_bytes()[index], &before[index + 1..]),
        None => (b';', before),
    };
    let mut words = stage[..stage.len() - word.len()].split_whitespace();
    let name = words.next();
    let args: ArrayVec<&str, ARGS_MAX> = words.take(ARGS_MAX).collect();

    match (operator, name) {
        (b'>', _) => offer_views(word, &mut offer, proc::View::is_writable),
        (b'|', None) => filter::NAMES.into_iter().for_each(offer),
        (_, None) => commands(&Request { args: &[], word }, &mut offer),
        (_, Some(name)) => {
            if let Some(command) = command::find(name) {
                command.complete(&Request { args: &args, word }, &mut offer);
            }
        }
    }
}

/// The word that ends at the end of `before`, empty after a space or an operator.
fn word_at_end(before: &str) -> &str {
    let start = before.rfind([' ', '|', ';', '>']).map_or(0, |index| index + 1);
    &before[start..]
}

/// As much of `word` as is kept.
fn cut(word: &str) -> Word {
    let mut kept = Word::new();
    for c in word.chars() {
        if kept.try_push(c).is_err() {
            break;
        }
    }
    kept
}
