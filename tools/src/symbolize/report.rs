//! The text of a report: where its addresses are and which kind each is.
//!
//! A return address points behind its call, often to another line or even another function (a call that never returns
//! may be a function's last instruction), so it is looked up one byte earlier. The interrupted pc is exact. Which is
//! which follows from the report's form: `pc` and `elr` are exact, `lr` and `x30` are return addresses; of a run of
//! backtrace lines the first is exact and the others are return addresses, but for the one marked as interrupted: there
//! an exception broke in. A line between two runs begins anew.

use std::fmt::Write;
use std::sync::LazyLock;

use regex::Regex;

/// A log line's head, `[    12.345678] cpu2 `, with or without a level.
static LOG_PREFIX: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\s*(<\d>)?\[\s*\d+\.\d+\]\s*(cpu\d+:?\s)?").expect("a constant"));
/// What a backtrace line may begin with: a number as in `#3`, ` 3:` or `[3]`, then the address.
static FRAME_HEAD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*(?:#|\[)?(?:(\d{1,3})[:\]]?\s+)?(?:[\[<(]+)?(?:0x)?[0-9a-fA-F]{16}\b").expect("a constant"));
/// An address and, if there is one, the word before it.
static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:\b([A-Za-z]\w*)\s*[:=]?\s*)?\b((?:0x)?[0-9a-fA-F]{16}|0x[0-9a-fA-F]{1,15})\b").expect("a constant"));
/// How `src/debug/backtrace.rs` marks an interrupted function's address.
const INTERRUPTED_MARK: &str = "<- interrupted here";
static BUILD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bbuild:\s*([0-9a-fA-F]{16})\b").expect("a constant"));

/// One function at an address; the innermost inlined one comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The demangled name.
    pub name: Option<String>,
    /// `file:line`.
    pub place: Option<String>,
}

/// What is known of addresses.
pub trait Symbols {
    /// Whether code lies at `address`.
    fn is_code(&self, address: u64) -> bool;
    /// The functions at `address`, innermost first.
    fn frames(&self, address: u64) -> Vec<Frame>;
}

/// A report with lines put in.
pub struct Annotated {
    /// The report.
    pub text: String,
    /// How many addresses of code were in it.
    pub nr_found: usize,
}

/// Puts file, line and inlined frames beneath each line of `text` that has an address of code.
pub fn annotate(text: &str, symbols: &impl Symbols) -> Annotated {
    let mut annotated = Annotated { text: String::new(), nr_found: 0 };
    let mut in_backtrace = false;
    for line in text.lines() {
        annotated.text.push_str(line);
        annotated.text.push('\n');
        let found = addresses(line, &mut in_backtrace, symbols);
        annotated.nr_found += found.len();
        for (nth, at) in found.iter().enumerate() {
            let address = (found.len() > 1).then_some(at.address);
            describe(&mut annotated.text, address, &symbols.frames(at.lookup()), nth);
        }
    }
    annotated
}

/// The build id that the report names, in lower case.
pub fn build(text: &str) -> Option<String> {
    BUILD.captures(text).map(|captures| captures[1].to_ascii_lowercase())
}

/// Warns if the report says that it is of another build than the ELF, or if nobody can tell.
pub fn build_warning(text: &str, elf_build: Option<&str>) -> Option<String> {
    match (build(text), elf_build) {
        (Some(report), Some(elf)) if report == elf => None,
        (Some(report), Some(elf)) => Some(format!("the report is of build {report}, the ELF is build {elf}: the lines below are wrong")),
        (Some(report), None) => Some(format!("the report is of build {report}, the ELF has no build id to compare")),
        (None, _) => Some("the report has no `build:` line: the lines below hold only if the ELF is the very kernel".to_owned()),
    }
}

struct Found {
    address: u64,
    is_return: bool,
}

impl Found {
    fn lookup(&self) -> u64 {
        if self.is_return { self.address - 1 } else { self.address }
    }
}

/// The addresses of code in `line`; `in_backtrace` says whether the line before was one of a backtrace.
fn addresses(line: &str, in_backtrace: &mut bool, symbols: &impl Symbols) -> Vec<Found> {
    let body = &line[LOG_PREFIX.find(line).map_or(0, |prefix| prefix.end())..];
    let head = FRAME_HEAD.captures(body);
    let is_first = match head.as_ref().and_then(|head| head.get(1)) {
        Some(number) => number.as_str().parse() == Ok(0),
        None => !*in_backtrace,
    };
    let is_exact = is_first || body.contains(INTERRUPTED_MARK);
    *in_backtrace = head.is_some();

    let mut found = Vec::new();
    for captures in ADDRESS.captures_iter(body) {
        let digits = captures[2].trim_start_matches("0x");
        let Ok(address) = u64::from_str_radix(digits, 16) else { continue };
        let is_return = match captures.get(1).map(|word| word.as_str().to_ascii_lowercase()).as_deref() {
            Some("lr" | "x30") => true,
            Some("pc" | "elr" | "elr_el1" | "elr_el2") => false,
            _ => head.is_some() && found.is_empty() && !is_exact,
        };
        let at = Found { address, is_return };
        // The call may be the last instruction of all code: then only the byte before belongs to it.
        if symbols.is_code(if is_return { address.wrapping_sub(1) } else { address }) {
            found.push(at);
        }
    }
    found
}

/// Writes one line a frame; `address` only where a line of the report has several.
fn describe(text: &mut String, address: Option<u64>, frames: &[Frame], nth: usize) {
    if let Some(address) = address {
        let _ = writeln!(text, "        ({}) {address:#018x}", nth + 1);
    }
    for (depth, frame) in frames.iter().enumerate() {
        let place = frame.place.as_deref().unwrap_or("no line known");
        let name = frame.name.as_deref().unwrap_or("no name known");
        let role = if depth + 1 < frames.len() { " (inlined)" } else { "" };
        let _ = writeln!(text, "        at {place}  {name}{role}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0xffff_ffff_8008_0000;

    /// Code of 0x1000 bytes; a "function" every 0x100 of them, the first with something inlined.
    struct Fake;

    impl Symbols for Fake {
        fn is_code(&self, address: u64) -> bool {
            (BASE..BASE + 0x1000).contains(&address)
        }

        fn frames(&self, address: u64) -> Vec<Frame> {
            let offset = address - BASE;
            let frame = |name: &str| Frame { name: Some(name.to_owned()), place: Some(format!("src/f.rs:{offset}")) };
            let outer = frame(&format!("f{}", offset / 0x100));
            if offset < 0x100 { vec![frame("inner"), outer] } else { vec![outer] }
        }
    }

    /// The lines that were put in, trimmed.
    fn added(text: &str) -> Vec<String> {
        let annotated = annotate(text, &Fake).text;
        annotated.lines().filter(|line| line.starts_with("        ")).map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn pc_is_exact_and_lr_is_one_less() {
        let text = "pc : ffffffff80080200\nlr : ffffffff80080200\nELR_EL1: 0xffffffff80080300 x30=0xffffffff80080300\n";
        let want = [
            "at src/f.rs:512  f2",
            "at src/f.rs:511  f1",
            "(1) 0xffffffff80080300",
            "at src/f.rs:768  f3",
            "(2) 0xffffffff80080300",
            "at src/f.rs:767  f2",
        ];
        assert_eq!(added(text), want);
    }

    #[test]
    fn frames_after_the_first_are_return_addresses() {
        let forms = [
            "[    1.500000] cpu2 #0 0xffffffff80080200 f2+0x0/0x100\n[    1.500001] cpu2 #1 0xffffffff80080300 f3+0x0\n",
            "  0: 0xffffffff80080200 f2\n  1: 0xffffffff80080300 f3\n",
            "  [<ffffffff80080200>] f2\n  [<ffffffff80080300>] f3\n",
            "Backtrace:\n  0xffffffff80080200 f2+0x0\n  0xffffffff80080300 f3+0x0\n",
        ];
        for form in forms {
            assert_eq!(added(form), ["at src/f.rs:512  f2", "at src/f.rs:767  f2"], "{form}");
        }
    }

    #[test]
    fn the_kernels_own_form() {
        let text = "backtrace:\n  #0  0xffffffff80080200 f2+0x0/0x100\n  #1  0xffffffff80080300 f2+0xff/0x100\n  \
                    #2  0xffffffff80080400 f4+0x0/0x100  <- interrupted here\n  #3  0xffffffff80080500 f4+0xff/0x100\n";
        let want = ["at src/f.rs:512  f2", "at src/f.rs:767  f2", "at src/f.rs:1024  f4", "at src/f.rs:1279  f4"];
        assert_eq!(added(text), want);
    }

    #[test]
    fn an_exception_in_the_middle_begins_anew() {
        let text = "0xffffffff80080200\n0xffffffff80080300\n--- exception: data abort ---\n0xffffffff80080400\n0xffffffff80080500\n";
        let want = ["at src/f.rs:512  f2", "at src/f.rs:767  f2", "at src/f.rs:1024  f4", "at src/f.rs:1279  f4"];
        assert_eq!(added(text), want);
    }

    #[test]
    fn a_call_at_the_end_of_all_code_is_found() {
        assert_eq!(added("lr : ffffffff80081000\n"), ["at src/f.rs:4095  f15"]);
        assert_eq!(added("pc : ffffffff80081000\n"), Vec::<String>::new());
    }

    #[test]
    fn shows_inlined_frames_innermost_first() {
        assert_eq!(added("pc : 0xffffffff80080010\n"), ["at src/f.rs:16  inner (inlined)", "at src/f.rs:16  f0"]);
    }

    #[test]
    fn passes_the_report_through_and_leaves_other_numbers_alone() {
        let text = "far 0x0000000000000010 sp ffffff8000012340 esr 0x96000045\nbuild: 0123456789abcdef\n[ 1.0] cpu0 text\n";
        let annotated = annotate(text, &Fake);
        assert_eq!(annotated.text, text);
        assert_eq!(annotated.nr_found, 0);
    }

    #[test]
    fn warns_of_another_build() {
        let report = "panic\n[    1.0] cpu0 build: 0123456789ABCDEF\n";
        assert_eq!(build_warning(report, Some("0123456789abcdef")), None);
        assert!(build_warning(report, Some("ffff456789abcdef")).unwrap().contains("lines below are wrong"));
        assert!(build_warning(report, None).unwrap().contains("no build id"));
        assert!(build_warning("panic\n", Some("0123456789abcdef")).unwrap().contains("no `build:` line"));
    }
}
