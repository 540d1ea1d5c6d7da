//! What one case needs and what must come of it; kernel suites and smoke files say it in the same words.
//!
//! docs/testing.md lists the keys.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use regex::Regex;

use crate::dtb::DeviceTree;
use crate::guest::{Action, Cue, End, Limits, Outcome, Sight};
use crate::machine::{Machine, cpus_argument};

/// A case that has a boot of its own.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub name: String,
    /// Whether it ends the kernel it runs in, and so is not run together with others.
    pub alone: bool,
    /// Cargo features of the kernel beyond `checks`.
    pub features: Vec<String>,
    /// The package whose kernel is booted, where it is not Tetra's own.
    pub package: Option<String>,
    append: String,
    run: Option<String>,
    typed: String,
    cues: Vec<Cue>,
    device_tree: Option<String>,
    qemu_args: Vec<String>,
    silence: Option<Duration>,
    wall: Option<Duration>,
    expect: Vec<Regex>,
    reject: Vec<Regex>,
    exit: Exit,
}

/// How a guest must end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Exit {
    #[default]
    Zero,
    Nonzero,
    Code(i32),
    Reset,
    Hang,
}

impl Case {
    /// A case by name, with nothing asked of it but an exit status of 0.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Understands one line, `key value`.
    pub fn set(&mut self, line: &str) -> Result<()> {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.trim();
        let name = self.name.clone();
        let place = || format!("case {name}: {line}");
        let number = || value.parse::<u64>().with_context(place);
        let regex = || Regex::new(&format!("(?m){value}")).with_context(place);
        match key {
            "append" => self.append = format!("{} {value}", self.append),
            "run" => self.run = Some(value.to_owned()),
            "type" => self.typed.push_str(&format!("{value}\r")),
            "break" => self.cues.push(parse_break(value).with_context(place)?),
            "screen" => self.cues.push(Cue { after: Sight::Screen(regex()?), action: Action::Type(Vec::new()) }),
            "keys" => self.add_keys(value).with_context(place)?,
            "cpus" => self.append = format!("{} {}", self.append, cpus_argument(Some(number()?)).with_context(place)?),
            "dtb" => self.device_tree = Some(value.to_owned()),
            "qemu" => self.qemu_args = value.split_whitespace().map(str::to_owned).collect(),
            "features" => self.features = value.split_whitespace().map(str::to_owned).collect(),
            "package" => self.package = Some(value.to_owned()),
            "silence" => self.silence = Some(Duration::from_secs(number()?)),
            "limit" => self.wall = Some(Duration::from_secs(number()?)),
            "expect" => self.expect.push(regex()?),
            "reject" => self.reject.push(regex()?),
            "exit" => self.exit = Exit::parse(value)?,
            _ => bail!("case {}: unknown key in `{line}`", self.name),
        }
        Ok(())
    }

    /// Sets `machine` up for this case.
    pub fn prepare(&self, machine: &mut Machine) -> Result<()> {
        machine.append(&self.append);
        if let Some(commands) = &self.run {
            machine.run(commands);
        }
        if let Some(choice) = &self.device_tree {
            machine.device_tree = DeviceTree::parse(Some(choice))?;
        }
        machine.qemu_args.extend(self.qemu_args.iter().cloned());
        Ok(())
    }

    /// What is typed on the console.
    pub fn typed(&self) -> &[u8] {
        self.typed.as_bytes()
    }

    /// What is done when the console shows something.
    pub fn cues(&self) -> &[Cue] {
        &self.cues
    }

    /// Keys typed when the last screen is there.
    fn add_keys(&mut self, value: &str) -> Result<()> {
        match self.cues.last_mut() {
            Some(Cue { after: Sight::Screen(_), action: Action::Type(keys) }) => keys.extend(parse_keys(value)?),
            _ => bail!("keys are typed when a `screen` is there: say which, in a line before"),
        }
        Ok(())
    }

    /// How long it may take.
    pub fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits { silence: self.silence.unwrap_or(default.silence), wall: self.wall.unwrap_or(default.wall) }
    }

    /// Compares what happened with what must; the error says what differs.
    pub fn judge(&self, outcome: &Outcome) -> Result<(), String> {
        self.exit.judge(&outcome.end)?;
        if let Some(missed) = &outcome.missed {
            return Err(missed.clone());
        }
        // Each text must come after the one before: a report in the wrong order is a wrong report.
        let mut from = 0;
        for pattern in &self.expect {
            let Some(found) = pattern.find(&outcome.console[from..]) else {
                return Err(format!("nothing on the console matches `{}`{}", shown(pattern), order_hint(pattern, outcome)));
            };
            from += found.end();
        }
        match self.reject.iter().find_map(|pattern| pattern.find(&outcome.console)) {
            Some(found) => Err(format!("must not be on the console: `{}`", found.as_str())),
            None => Ok(()),
        }
    }
}

/// `KEY REGEX`.
fn parse_break(value: &str) -> Result<Cue> {
    let (key, after) = value.split_once(' ').context("a key, then what must be on the console first")?;
    let &[key] = key.as_bytes() else { bail!("`{key}` is not one key") };
    Ok(Cue { after: Sight::Text(Regex::new(&format!("(?m){}", after.trim()))?), action: Action::Break(key) })
}

/// Text as typed, with `<name>` for keys that have no character and `<text*N>` for a text N times.
fn parse_keys(value: &str) -> Result<Vec<u8>> {
    const KEYS: [(&str, &[u8]); 12] = [
        ("enter", b"\r"),
        ("tab", b"\t"),
        ("esc", b"\x1b"),
        ("backspace", b"\x7f"),
        ("delete", b"\x1b[3~"),
        ("up", b"\x1b[A"),
        ("down", b"\x1b[B"),
        ("right", b"\x1b[C"),
        ("left", b"\x1b[D"),
        ("home", b"\x1b[H"),
        ("end", b"\x1b[F"),
        ("space", b" "),
    ];
    let mut keys = Vec::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('<') {
        let (name, after) = after.split_once('>').context("`<` without `>`")?;
        keys.extend(before.bytes());
        rest = after;
        match (KEYS.iter().find(|(known, _)| *known == name), name.strip_prefix("ctrl-"), name.rsplit_once('*')) {
            (Some((_, bytes)), _, _) => keys.extend(*bytes),
            (_, Some(letter), _) if letter.len() == 1 => keys.push(letter.as_bytes()[0] & 0x1f),
            (_, _, Some((text, times))) => keys.extend(parse_keys(&text.replace('{', "<").replace('}', ">"))?.repeat(times.parse()?)),
            _ => bail!("no key is called <{name}>"),
        }
    }
    keys.extend(rest.bytes());
    Ok(keys)
}

fn shown(pattern: &Regex) -> &str {
    pattern.as_str().trim_start_matches("(?m)")
}

fn order_hint(pattern: &Regex, outcome: &Outcome) -> &'static str {
    if pattern.is_match(&outcome.console) { " behind the text expected before it" } else { "" }
}

impl Exit {
    fn parse(word: &str) -> Result<Self> {
        Ok(match word {
            "zero" => Self::Zero,
            "nonzero" => Self::Nonzero,
            "reset" => Self::Reset,
            "hang" => Self::Hang,
            number => Self::Code(number.parse().with_context(|| format!("exit {number}"))?),
        })
    }

    fn judge(self, end: &End) -> Result<(), String> {
        let is_right = match (self, end) {
            (Self::Zero, End::Exit(0)) | (Self::Reset, End::Reset) | (Self::Hang, End::Hang(_)) => true,
            (Self::Nonzero, End::Exit(code)) => *code != 0,
            (Self::Code(wanted), End::Exit(code)) => wanted == *code,
            _ => false,
        };
        if is_right { Ok(()) } else { Err(format!("must end with {self}, but {}", describe(end))) }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Zero => f.write_str("exit status 0"),
            Self::Nonzero => f.write_str("an exit status other than 0"),
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Reset => f.write_str("a reset"),
            Self::Hang => f.write_str("a hang"),
        }
    }
}

/// Says how a guest ended.
pub fn describe(end: &End) -> String {
    match end {
        End::Exit(code) => format!("ended with exit status {code}"),
        End::Reset => "reset the machine".to_owned(),
        End::Hang(report) => format!("hung, {report}"),
        End::Crash(reason) => reason.clone(),
    }
}

/// The end of a console, for a failed case.
pub fn tail(console: &str) -> String {
    const LINES: usize = 25;

    let lines: Vec<&str> = console.lines().collect();
    let mut text = String::from("end of the console:\n");
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        text.push_str(&format!("  | {}\n", line.trim_end()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(console: &str, end: End) -> Outcome {
        Outcome { console: console.to_owned(), end, missed: None, duration: Duration::ZERO }
    }

    fn case(lines: &[&str]) -> Case {
        let mut case = Case::new("sample");
        lines.iter().try_for_each(|line| case.set(line)).unwrap();
        case
    }

    #[test]
    fn text_must_come_in_order() {
        let case = case(&["expect ^one", "expect two$"]);
        assert!(case.judge(&outcome("one\nis two\n", End::Exit(0))).is_ok());
        let error = case.judge(&outcome("is two\none\n", End::Exit(0))).unwrap_err();
        assert!(error.contains("two$") && error.contains("behind"), "{error}");
    }

    #[test]
    fn what_must_not_appear_fails() {
        let case = case(&["reject WARN"]);
        assert!(case.judge(&outcome("fine\n", End::Exit(0))).is_ok());
        assert!(case.judge(&outcome("WARN: no\n", End::Exit(0))).is_err());
    }

    #[test]
    fn each_end_is_told_from_the_others() {
        let ends = [End::Exit(0), End::Exit(3), End::Reset, End::Hang(String::new())];
        for (word, right) in [("zero", 0), ("nonzero", 1), ("3", 1), ("reset", 2), ("hang", 3)] {
            let case = case(&[&format!("exit {word}")]);
            for (number, end) in ends.iter().enumerate() {
                assert_eq!(case.judge(&outcome("", end.clone())).is_ok(), number == right, "{word} {end:?}");
            }
        }
    }

    #[test]
    fn unknown_words_are_refused() {
        let mut case = Case::new("sample");
        assert!(case.set("break l").is_err() && case.set("break long x").is_err() && case.set("break l x").is_ok());
        assert!(case.set("expct x").is_err() && case.set("exit maybe").is_err() && case.set("expect (").is_err());
    }

    #[test]
    fn keys_have_names_and_repeat() {
        assert_eq!(parse_keys("a<enter><ctrl-c>é").unwrap(), "a\r\u{3}é".as_bytes());
        assert_eq!(parse_keys("<x{tab}*2>!").unwrap(), b"x\tx\t!");
        assert!(parse_keys("<nonsense>").is_err() && parse_keys("a<b").is_err());
    }

    #[test]
    fn keys_need_a_screen_before_them() {
        let mut case = Case::new("c");
        assert!(case.set("keys x").is_err());
        case.set("screen ^prompt").unwrap();
        case.set("keys x").unwrap();
        assert_eq!(case.cues().len(), 1);
    }

    #[test]
    fn a_screen_that_never_came_fails_the_case() {
        let seen = Outcome { missed: Some("the screen never was `x`".to_owned()), ..outcome("", End::Exit(0)) };
        assert!(Case::new("c").judge(&seen).unwrap_err().contains("never was"));
    }
}
