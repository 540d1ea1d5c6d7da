//! A test in herd7's own form: translated threads side by side, initial values, what to show at the end.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};

use super::code::{self, Functions};
use super::template::{Condition, Location, Test, Twin};
use super::translate::{CORE_AREA, COUNT_WORD, CURRENT, DONE, Line, translate};

/// A test whose threads are translated.
#[derive(Clone, Debug)]
pub struct Litmus {
    name: String,
    locations: Vec<Location>,
    arguments: Vec<Vec<String>>,
    threads: Vec<Vec<Line>>,
}

impl Litmus {
    /// Translates the functions that `test` names.
    pub fn new(test: &Test, functions: &Functions) -> Result<Self> {
        let translated = test.threads.iter().enumerate().map(|(number, thread)| {
            let code = code::get(functions, &thread.function)?;
            translate(code, number, &test.discard).with_context(|| thread.function.clone())
        });
        Ok(Self {
            name: test.name.clone(),
            locations: test.locations.clone(),
            arguments: test.threads.iter().map(|thread| thread.arguments.clone()).collect(),
            threads: translated.collect::<Result<_>>()?,
        })
    }

    /// A copy with all changes of a twin.
    ///
    /// # Errors
    /// If there is nothing to change: the twin would be the test itself.
    pub fn weakened(&self, twin: &[Twin]) -> Result<Self> {
        twin.iter().try_fold(self.clone(), Self::changed)
    }

    fn changed(mut self, twin: &Twin) -> Result<Self> {
        let mut changes = 0;
        for (number, thread) in self.threads.iter_mut().enumerate() {
            if twin.thread.is_none_or(|only| only == number) {
                thread.retain_mut(|line| {
                    let Some(rest) = matching(line, &twin.from) else { return true };
                    changes += 1;
                    let Some(to) = &twin.to else { return false };
                    *line = Line::Code(format!("{to}{rest}"));
                    true
                });
            }
        }
        ensure!(changes > 0, "test {}: no `{}` to weaken", self.name, twin.from);
        Ok(self)
    }

    /// Every copy with one ordering instruction weakened by one step, and what was done, without registers.
    pub fn mutants(&self) -> Vec<(String, Self)> {
        let mut mutants = Vec::new();
        for (thread, lines) in self.threads.iter().enumerate() {
            for (index, line) in lines.iter().enumerate() {
                let Line::Code(text) = line else { continue };
                for weaker in weaker(text) {
                    let mut copy = self.clone();
                    let what = format!("{} -> {}", kind(text), weaker.as_deref().map_or("nothing", kind));
                    match weaker {
                        Some(text) => copy.threads[thread][index] = Line::Code(text),
                        None => drop(copy.threads[thread].remove(index)),
                    }
                    mutants.push((what, copy));
                }
            }
        }
        mutants
    }

    /// The text for herd7.
    pub fn render(&self) -> Result<String> {
        let mut text = format!("AArch64 {}\n{{\n", self.name);
        for Location { kind, name, length, value } in &self.locations {
            let length = length.map_or_else(String::new, |length| format!("[{length}]"));
            let value = value.as_ref().map_or_else(String::new, |value| format!("={value}"));
            writeln!(text, "{kind} {name}{length}{value};")?;
        }
        for (number, arguments) in self.arguments.iter().enumerate() {
            writeln!(text, "{number}:X{}={};", COUNT_WORD.0, COUNT_WORD.1)?;
            for (register, argument) in arguments.iter().enumerate() {
                match argument.split_once('=') {
                    Some(("core_area", area)) => writeln!(text, "{number}:X{CORE_AREA}={area};")?,
                    Some(("current", block)) => writeln!(text, "{number}:X{CURRENT}={block};")?,
                    _ => writeln!(text, "{number}:X{register}={argument};")?,
                }
            }
        }
        text.push_str("}\n");
        self.render_threads(&mut text)?;

        let show = (0..self.threads.len()).map(|number| format!("{number}:X0; {number}:X{DONE};"));
        let cells = self.locations.iter().filter(|location| location.length.is_none()).map(|location| format!("{};", location.name));
        writeln!(text, "locations [{}]", show.chain(cells).collect::<Vec<_>>().join(" "))?;
        let done = (0..self.threads.len()).map(|number| format!("{number}:X{DONE}=1"));
        writeln!(text, "exists ({})", done.collect::<Vec<_>>().join(" /\\ "))?;
        Ok(text)
    }

    /// The table of instructions, a column a thread.
    fn render_threads(&self, text: &mut String) -> Result<()> {
        let heads: Vec<String> = (0..self.threads.len()).map(|number| format!(" P{number:<28}")).collect();
        writeln!(text, "{};", heads.join("|"))?;
        let rows = self.threads.iter().map(Vec::len).max().unwrap_or(0);
        for row in 0..rows {
            let cell = |thread: &Vec<Line>| match thread.get(row) {
                Some(Line::Label(name)) => format!("{:<30}", format!("{name}:")),
                Some(Line::Code(code) | Line::Unknown(code)) => format!(" {code:<29}"),
                None => " ".repeat(30),
            };
            writeln!(text, "{};", self.threads.iter().map(cell).collect::<Vec<_>>().join("|"))?;
        }
        Ok(())
    }
}

/// What follows `from` in a line of code that begins with it as whole words.
fn matching<'a>(line: &'a Line, from: &str) -> Option<&'a str> {
    let Line::Code(text) = line else { return None };
    text.strip_prefix(from).filter(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

/// The steps by which an ordering instruction can be weakened; `None` is to leave it out.
fn weaker(text: &str) -> Vec<Option<String>> {
    let (mnemonic, operands) = text.split_once(' ').unwrap_or((text, ""));
    let with = |mnemonic: &str| vec![Some(format!("{mnemonic} {operands}"))];
    match (mnemonic, operands) {
        ("DMB", "ISH") => vec![None, Some("DMB ISHLD".to_owned()), Some("DMB ISHST".to_owned())],
        ("DMB" | "DSB" | "ISB", _) => vec![None],
        ("LDAR" | "LDARB" | "LDARH" | "LDAXR" | "LDAXRB" | "LDAXRH", _) => with(&mnemonic.replacen("LDA", "LD", 1)),
        ("STLR" | "STLRB" | "STLRH" | "STLXR" | "STLXRB" | "STLXRH", _) => with(&mnemonic.replacen("STL", "ST", 1)),
        _ => Vec::new(),
    }
}

/// An instruction without its registers.
fn kind(text: &str) -> &str {
    match text.split_once(' ') {
        Some((mnemonic, _)) if !matches!(mnemonic, "DMB" | "DSB") => mnemonic,
        _ => text,
    }
}

/// The name by which herd7's states show what a condition calls `P0` or `x`.
pub fn state_name(name: &str) -> String {
    match name.strip_prefix('P').map(str::parse::<usize>) {
        Some(Ok(number)) => format!("{number}:X0"),
        _ => name.to_owned(),
    }
}

/// An outcome as text.
pub fn show(condition: &Condition) -> String {
    condition.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn litmus(code: &[&str]) -> Litmus {
        let lines = code.iter().map(|&text| Line::Code(text.to_owned())).collect();
        Litmus { name: "T".to_owned(), locations: Vec::new(), arguments: vec![vec!["x".to_owned()]], threads: vec![lines] }
    }

    #[test]
    fn a_twin_changes_whole_words() {
        let twin = |from: &str, to: Option<&str>| [Twin { thread: None, from: from.to_owned(), to: to.map(str::to_owned) }];
        let test = litmus(&["STLXR W1,W2,[X0]", "DMB ISHLD", "DMB ISH"]);
        assert_eq!(test.weakened(&twin("DMB ISH", None)).unwrap().threads[0].len(), 2);
        assert_eq!(test.weakened(&twin("STLXR", Some("STXR"))).unwrap().threads[0][0], Line::Code("STXR W1,W2,[X0]".to_owned()));
        assert!(test.weakened(&twin("STL", Some("ST"))).is_err());
    }

    #[test]
    fn every_order_has_its_mutants() {
        let names: Vec<String> =
            litmus(&["LDAXR W1,[X0]", "STLR W1,[X0]", "DMB ISH", "LDR W1,[X0]"]).mutants().into_iter().map(|(what, _)| what).collect();
        assert_eq!(names, ["LDAXR -> LDXR", "STLR -> STR", "DMB ISH -> nothing", "DMB ISH -> DMB ISHLD", "DMB ISH -> DMB ISHST"]);
    }
}
