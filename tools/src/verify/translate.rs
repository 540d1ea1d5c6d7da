//! From a function's instructions to one thread of a litmus test that herd7 accepts and finishes.
//!
//! What is changed, and why that is sound:
//! - The frame (saving and restoring x19 to x30 on the stack) is dropped: a thread is one function, and nobody looks at those registers
//!   after it. Other stores to the stack are dropped as well, if nothing that is left loads from it: nobody else sees them.
//! - A branch that ends a loop goes to the end, past the mark that the run counts. Such a branch repeats a wait or an LL/SC loop whose round
//!   failed; the round before has only read, so a run that repeats it allows no outcome that the run without it does not. That the round
//!   only reads is checked: no store inside, and an exclusive store only if the branch is its failure. Code that nothing reaches any more
//!   is left out. A branch backwards that is in no loop, to what the compiler has laid out first, stays a branch.
//! - A call of a function that the test names under `discard` ends the run likewise: the test is about the path without it. Any other call
//!   is an error.
//! - A loop that stores ends the run as well where the test says `discard repeat`: then it is about one round. `discard stack` does so for a path that
//!   loads what it has left on the stack.
//! - Hints (YIELD, WFE, SEV, PRFM) and the interrupt mask are dropped: they order nothing.
//!
//! Anything that is not known here is an error and not left out.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use super::code::{Instruction, Target};

/// Register that is 1 at the end of a run that counts. The code under test must not use it.
pub const DONE: &str = "26";
/// Register that stands for this core's area (TPIDR_EL1). The code under test must not use it.
pub const CORE_AREA: &str = "25";
/// Register that names the running thread's block (TPIDR_EL0). The code under test must not use it.
pub const CURRENT: &str = "24";
/// The count word: register and value of a thread in no section (`arch::aarch64::count`).
pub const COUNT_WORD: (&str, u64) = ("18", 1 << 32);
/// Register for what takes more than one instruction here. The code under test must not use it.
const SCRATCH: &str = "23";
/// The word under `discard` that means a loop's second round (see the head of this file).
pub const REPEAT: &str = "repeat";
/// The word under `discard` that means a path which loads from the stack.
const STACK: &str = "stack";

/// A line of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A place to branch to.
    Label(String),
    /// An instruction in herd7's form.
    Code(String),
    /// What cannot be translated: an error unless its block is left out.
    Unknown(String),
}

/// What a kind of instruction becomes.
enum Kind {
    Drop,
    Keep(String),
    Several(Vec<String>),
    Branch,
    Return,
    Unknown(String),
}

/// Translates `code` as thread number `thread`; calls of functions whose symbol contains one of `discard` end the run.
pub fn translate(code: &[Instruction], thread: usize, discard: &[String]) -> Result<Vec<Line>> {
    let (end, drop_run) = (format!("End{thread}"), format!("Drop{thread}"));
    let label = |offset: u64| format!("L{thread}x{offset}");
    let leaders: BTreeSet<u64> = (0..code.len()).filter_map(|index| local(code, index)).collect();

    let mut lines = Vec::new();
    let mut block = 0;
    let mut is_reached = true;
    for (index, instruction) in code.iter().enumerate() {
        if leaders.contains(&instruction.offset) {
            lines.push(Line::Label(label(instruction.offset)));
            block = lines.len();
            is_reached = true;
        }
        if !is_reached {
            continue;
        }
        match kind(instruction).unwrap_or_else(|error| Kind::Unknown(format!("{error:#}"))) {
            Kind::Drop => {}
            Kind::Keep(text) => lines.push(Line::Code(text)),
            Kind::Several(texts) => lines.extend(texts.into_iter().map(Line::Code)),
            Kind::Unknown(_) if is_stack_load(instruction) && discard.iter().any(|name| name == STACK) => {
                lines.truncate(block);
                lines.push(Line::Code(format!("B {drop_run}")));
                is_reached = false;
            }
            Kind::Unknown(why) => lines.push(Line::Unknown(why)),
            Kind::Return => {
                lines.push(Line::Code(format!("B {end}")));
                is_reached = false;
            }
            Kind::Branch => match &instruction.target {
                Some(Target::Symbol(symbol)) => {
                    ensure!(discard.iter().any(|name| symbol.contains(name)), "calls `{symbol}`, which the test does not discard");
                    lines.truncate(block);
                    lines.push(Line::Code(format!("B {drop_run}")));
                    is_reached = false;
                }
                Some(Target::Local(offset)) => {
                    let place = if local(code, index).is_some() {
                        label(*offset)
                    } else {
                        if !discard.iter().any(|name| name == REPEAT) {
                            check_round(code, index, *offset)?;
                        }
                        drop_run.clone()
                    };
                    lines.push(Line::Code(branch(instruction, &place)));
                    block = lines.len();
                    is_reached = instruction.mnemonic != "b";
                }
                None => bail!("`{} {}` has no known target", instruction.mnemonic, instruction.operands),
            },
        }
    }
    if let Some(why) = lines.iter().find_map(|line| if let Line::Unknown(why) = line { Some(why) } else { None }) {
        bail!("{why}");
    }
    lines.extend([Line::Label(end), Line::Code(format!("MOV W{DONE},#1")), Line::Label(drop_run), Line::Code("NOP".to_owned())]);
    Ok(lines)
}

/// The offset that the branch at `index` goes to in its own function, unless it ends a loop: that becomes the end of the run.
fn local(code: &[Instruction], index: usize) -> Option<u64> {
    let branch = &code[index];
    match branch.target {
        Some(Target::Local(offset)) if is_branch(&branch.mnemonic) => {
            (offset > branch.offset || !leads_to(code, offset, index)).then_some(offset)
        }
        _ => None,
    }
}

/// Whether some way from `start` comes to the instruction at `index`.
fn leads_to(code: &[Instruction], start: u64, index: usize) -> bool {
    let at = |offset: u64| code.iter().position(|instruction| instruction.offset == offset);
    let (mut seen, mut open) = (BTreeSet::new(), Vec::from_iter(at(start)));
    while let Some(place) = open.pop() {
        if place == index {
            return true;
        }
        let Some(instruction) = code.get(place).filter(|_| seen.insert(place)) else { continue };
        if let (true, Some(Target::Local(offset))) = (is_branch(&instruction.mnemonic), &instruction.target) {
            open.extend(at(*offset));
        }
        if !matches!(instruction.mnemonic.as_str(), "b" | "ret" | "br") {
            open.push(place + 1);
        }
    }
    false
}

/// Checks that the round which ends in the backward branch at `index` has only read.
fn check_round(code: &[Instruction], index: usize, start: u64) -> Result<()> {
    let branch = &code[index];
    let round = code.iter().filter(|instruction| (start..branch.offset).contains(&instruction.offset));
    let mut status = None;
    for instruction in round {
        let first = instruction.operands.split(',').next().unwrap_or_default().trim().to_owned();
        match instruction.mnemonic.as_str() {
            name if name.starts_with("stxr") || name.starts_with("stlxr") => status = Some(first),
            name if name.starts_with("st") || name == "bl" => bail!("a loop at {start:#x} stores, and cannot be cut"),
            _ => ensure!(status.as_ref() != Some(&first), "the status of an exclusive store is overwritten before it is tested"),
        }
    }
    let is_its_failure = |status| branch.mnemonic == "cbnz" && branch.operands.trim_end_matches(',') == status;
    ensure!(status.is_none_or(is_its_failure), "a loop at {start:#x} repeats after an exclusive store that may have succeeded");
    Ok(())
}

/// Whether an instruction branches or calls.
fn is_branch(mnemonic: &str) -> bool {
    matches!(mnemonic, "b" | "bl" | "cbz" | "cbnz" | "tbz" | "tbnz") || mnemonic.starts_with("b.")
}

/// A branch in herd7's form.
fn branch(instruction: &Instruction, place: &str) -> String {
    let mnemonic = condition(&instruction.mnemonic).to_uppercase();
    match instruction.operands.trim_end_matches(',') {
        "" => format!("{mnemonic} {place}"),
        operands => format!("{mnemonic} {},{place}", registers(operands)),
    }
}

/// herd7 knows the carry conditions by their other names.
fn condition(text: &str) -> String {
    match text {
        "b.hs" => "b.cs".to_owned(),
        "b.lo" => "b.cc".to_owned(),
        other => other.to_owned(),
    }
}

/// Operands in herd7's form.
fn registers(operands: &str) -> String {
    operands.replace(", ", ",").to_uppercase()
}

/// Says what to do with an instruction.
fn kind(instruction: &Instruction) -> Result<Kind> {
    let Instruction { mnemonic, operands, .. } = instruction;
    let used = |number: &str| {
        operands.split(|c: char| !c.is_alphanumeric()).any(|word| word == format!("x{number}") || word == format!("w{number}"))
    };
    ensure!(
        ![DONE, CORE_AREA, CURRENT, SCRATCH].into_iter().any(used),
        "`{mnemonic} {operands}` uses a register that the translation needs"
    );
    if is_branch(mnemonic) {
        return Ok(Kind::Branch);
    }
    if is_frame(mnemonic, operands) || is_stack_store(mnemonic, operands) {
        return Ok(Kind::Drop);
    }

    let list: Vec<&str> = operands.split(", ").collect();
    Ok(match (mnemonic.as_str(), list.as_slice()) {
        ("ret", _) => Kind::Return,
        ("nop" | "yield" | "wfe" | "wfi" | "sev" | "sevl" | "hint" | "prfm" | "clrex", _) => Kind::Drop,
        ("msr", ["daifset" | "daifclr", _]) => Kind::Drop,
        ("mrs", [to, "tpidr_el1" | "TPIDR_EL1"]) => Kind::Keep(format!("MOV {},X{CORE_AREA}", to.to_uppercase())),
        ("mrs", [to, "tpidr_el0" | "TPIDR_EL0"]) => Kind::Keep(format!("MOV {},X{CURRENT}", to.to_uppercase())),
        ("dmb" | "dsb", [option]) => Kind::Keep(format!("{} {}", mnemonic.to_uppercase(), option.to_uppercase())),
        ("isb", _) => Kind::Keep("ISB".to_owned()),
        ("subs", ["wzr" | "xzr", left, right @ ..]) => Kind::Keep(registers(&format!("cmp {left}, {}", right.join(", ")))),
        ("ands", ["wzr" | "xzr", left, right @ ..]) => Kind::Keep(registers(&format!("tst {left}, {}", right.join(", ")))),
        ("movz" | "mov", [to, value]) if value.starts_with('#') => match halves(to, value) {
            Some((low, high)) => {
                Kind::Several(vec![registers(&format!("mov {to}, #{low}")), registers(&format!("movk {to}, #{high}, lsl #16"))])
            }
            None => Kind::Keep(registers(&format!("mov {to}, {}", unsigned(to, value)))),
        },
        ("orr" | "mov", [to, "wzr" | "xzr"] | [to, "wzr" | "xzr", "wzr" | "xzr"]) => Kind::Keep(registers(&format!("mov {to}, #0"))),
        ("orr", [to, "wzr" | "xzr", from]) if !from.starts_with('#') => Kind::Keep(registers(&format!("mov {to}, {from}"))),
        // Only what a dropped call would be told, such as a message: herd7 refuses a test that follows the address.
        ("adrp" | "adr", [to, ..]) => Kind::Keep(registers(&format!("mov {to}, #0"))),
        ("ubfiz" | "sbfiz" | "ubfx" | "sbfx" | "lsr" | "asr", [to, from, numbers @ ..])
            if numbers.iter().all(|number| number.starts_with('#')) =>
        {
            Kind::Keep(bitfield(mnemonic, to, from, numbers)?)
        }
        ("bfi", [to, from, "#32", "#32"]) => Kind::Several(vec![
            registers(&format!("lsl x{SCRATCH}, {from}, #32")),
            registers(&format!("and {to}, {to}, #4294967295")),
            registers(&format!("orr {to}, {to}, x{SCRATCH}")),
        ]),
        ("bfxil", [to, from, low, width]) => inserted(to, from, low, width)?,
        ("extr", [to, from, same, shift]) if from == same && to.starts_with('x') => rotated(to, from, shift)?,
        // Only for what asks for equality behind it: the other flags differ.
        ("ccmp", [left, right, "#4", when]) => {
            let scratch = format!("{}{SCRATCH}", &left[..1]);
            Kind::Several(vec![
                registers(&format!("csel {scratch}, {right}, {left}, {when}")),
                registers(&format!("cmp {left}, {scratch}")),
            ])
        }
        ("uxtb", [to, from]) => Kind::Keep(registers(&format!("and {to}, {from}, #255"))),
        ("uxth", [to, from]) => Kind::Keep(registers(&format!("and {to}, {from}, #65535"))),
        ("csinc", [to, "wzr" | "xzr", "wzr" | "xzr", when]) => Kind::Keep(registers(&format!("cset {to}, {}", inverse(when)?))),
        (
            "add" | "sub" | "adds" | "subs" | "and" | "ands" | "orr" | "orn" | "eor" | "eon" | "bic" | "mvn" | "neg" | "mov" | "movz"
            | "movk" | "movn" | "lsl" | "lslv" | "madd" | "mul" | "rbit" | "sxtw" | "cset" | "csetm" | "cmp" | "tst" | "csel" | "csinc"
            | "csinv" | "ubfm" | "sbfm" | "ldr" | "ldrb" | "ldrh" | "str" | "strb" | "strh" | "ldp" | "stp" | "ldur" | "stur" | "ldar"
            | "ldarb" | "ldarh" | "stlr" | "stlrb" | "stlrh" | "ldxr" | "ldxrb" | "ldxrh" | "ldaxr" | "ldaxrb" | "ldaxrh" | "stxr"
            | "stxrb" | "stxrh" | "stlxr" | "stlxrb" | "stlxrh",
            _,
        ) => {
            ensure!(!operands.contains("sp") && !operands.contains("[x29"), "`{mnemonic} {operands}`: data on the stack is not translated");
            Kind::Keep(format!("{} {}", mnemonic.to_uppercase(), registers(operands)))
        }
        _ => bail!("`{mnemonic} {operands}` is not translated"),
    })
}

/// The value of a 32-bit register as herd7 wants it: without a sign, if it is half a word shifted up.
fn unsigned(to: &str, value: &str) -> String {
    match value.trim_start_matches('#').parse::<i64>() {
        Ok(number) if number < 0 && to.starts_with('w') && number as u32 & 0xffff == 0 => format!("#{}", number as u32),
        _ => value.to_owned(),
    }
}

/// The halves of a 32-bit value that herd7 takes neither with nor without its sign.
fn halves(to: &str, value: &str) -> Option<(u32, u32)> {
    let number: i64 = value.strip_prefix('#')?.parse().ok()?;
    let word = number as u32;
    let (low, high) = (word & 0xffff, word >> 16);
    // A small negative number is fine as it is.
    (number < 0 && to.starts_with('w') && low != 0 && high != 0xffff).then_some((low, high))
}

/// A 64-bit rotation to the right.
fn rotated(to: &str, from: &str, shift: &str) -> Result<Kind> {
    let shift: u32 = shift.trim_start_matches('#').parse()?;
    ensure!((1..64).contains(&shift), "rotation by {shift}");
    Ok(Kind::Several(vec![
        registers(&format!("ubfm x{SCRATCH}, {from}, #{shift}, #63")),
        registers(&format!("lsl {to}, {from}, #{}", 64 - shift)),
        registers(&format!("orr {to}, {to}, x{SCRATCH}")),
    ]))
}

/// A field of `from` over the low bits of `to`: taken out, those bits cleared, put together.
fn inserted(to: &str, from: &str, low: &str, width: &str) -> Result<Kind> {
    let bits = if to.starts_with('w') { 32 } else { 64 };
    let (low, width): (u32, u32) = (low.trim_start_matches('#').parse()?, width.trim_start_matches('#').parse()?);
    ensure!(width > 0 && low + width < bits, "field of {width} bits at {low}");
    let scratch = format!("{}{SCRATCH}", &to[..1]);
    Ok(Kind::Several(vec![
        registers(&format!("ubfm {scratch}, {from}, #{low}, #{}", low + width - 1)),
        registers(&format!("ubfm {to}, {to}, #{width}, #{}", bits - 1)),
        registers(&format!("lsl {to}, {to}, #{width}")),
        registers(&format!("orr {to}, {to}, {scratch}")),
    ]))
}

/// The plain form of a bit field alias.
fn bitfield(mnemonic: &str, to: &str, from: &str, numbers: &[&str]) -> Result<String> {
    let bits = if to.starts_with('w') { 32 } else { 64 };
    let numbers: Vec<u32> = numbers.iter().map(|number| Ok(number.trim_start_matches('#').parse()?)).collect::<Result<_>>()?;
    let (rotate, last) = match (mnemonic, numbers.as_slice()) {
        ("ubfiz" | "sbfiz", [low, width]) => ((bits - low) % bits, width - 1),
        ("ubfx" | "sbfx", [low, width]) => (*low, low + width - 1),
        ("lsr" | "asr", [shift]) => (*shift, bits - 1),
        _ => bail!("`{mnemonic}` with {numbers:?}"),
    };
    let plain = if mnemonic.starts_with('s') || mnemonic == "asr" { "sbfm" } else { "ubfm" };
    Ok(registers(&format!("{plain} {to}, {from}, #{rotate}, #{last}")))
}

/// Whether an instruction builds or leaves a stack frame.
fn is_frame(mnemonic: &str, operands: &str) -> bool {
    let saved = |name: &str| name[1..].parse::<u8>().is_ok_and(|number| (19..=30).contains(&number));
    let list: Vec<&str> = operands.split(", ").collect();
    match (mnemonic, list.as_slice()) {
        ("stp" | "ldp", [one, two, base, ..]) => base.starts_with("[sp") && saved(one) && saved(two),
        ("str" | "ldr", [one, base, ..]) => base.starts_with("[sp") && saved(one),
        ("add" | "sub" | "mov", ["x29" | "sp", "sp", ..]) => true,
        _ => false,
    }
}

/// Whether an instruction stores to the thread's own stack. Loads from there are not translated, so nothing misses it.
fn is_stack_store(mnemonic: &str, operands: &str) -> bool {
    let base = operands.split_once('[').map_or("", |(_, rest)| rest);
    matches!(mnemonic, "str" | "stp" | "stur" | "strb" | "strh") && ["sp", "x29"].into_iter().any(|name| base.starts_with(name))
}

/// Whether an instruction loads from the thread's own stack.
fn is_stack_load(instruction: &Instruction) -> bool {
    let base = instruction.operands.split_once('[').map_or("", |(_, rest)| rest);
    instruction.mnemonic.starts_with("ld") && ["sp", "x29"].into_iter().any(|name| base.starts_with(name))
}

/// The opposite condition.
fn inverse(condition: &str) -> Result<&'static str> {
    Ok(match condition {
        "eq" => "ne",
        "ne" => "eq",
        "cs" | "hs" => "cc",
        "cc" | "lo" => "cs",
        "mi" => "pl",
        "pl" => "mi",
        "hi" => "ls",
        "ls" => "hi",
        "ge" => "lt",
        "lt" => "ge",
        "gt" => "le",
        "le" => "gt",
        other => bail!("condition `{other}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &[(&str, &str, Option<u64>)]) -> Vec<Instruction> {
        let line = |(index, &(mnemonic, operands, target)): (usize, &(&str, &str, Option<u64>))| Instruction {
            offset: index as u64 * 4,
            mnemonic: mnemonic.to_owned(),
            operands: operands.to_owned(),
            target: target.map(Target::Local),
        };
        text.iter().enumerate().map(line).collect()
    }

    fn text(lines: &[Line]) -> Vec<String> {
        lines
            .iter()
            .map(|line| match line {
                Line::Label(name) => format!("{name}:"),
                Line::Code(code) | Line::Unknown(code) => code.clone(),
            })
            .collect()
    }

    #[test]
    fn a_retry_ends_the_run() {
        let code = code(&[
            ("stp", "x29, x30, [sp, #-16]!", None),
            ("ldxr", "w8, [x0]", None),
            ("stlxr", "w9, w1, [x0]", None),
            ("cbnz", "w9", Some(4)),
            ("orr", "w0, wzr, w8", None),
            ("ret", "", None),
        ]);
        let expected = ["LDXR W8,[X0]", "STLXR W9,W1,[X0]", "CBNZ W9,Drop0", "MOV W0,W8", "B End0", "End0:", "MOV W26,#1", "Drop0:", "NOP"];
        assert_eq!(text(&translate(&code, 0, &[]).unwrap()), expected);
    }

    #[test]
    fn what_only_the_stack_sees_is_dropped() {
        let code = code(&[("str", "x8, [sp, #40]", None), ("stur", "x0, [x29, #-8]", None), ("ret", "", None)]);
        assert_eq!(text(&translate(&code, 0, &[]).unwrap())[0], "B End0");
    }

    #[test]
    fn what_herd_does_not_know_is_put_together() {
        let code = code(&[("extr", "x9, x9, x9, #16", None), ("ccmp", "w9, w10, #4, ne", None)]);
        let lines = text(&translate(&code, 0, &[]).unwrap());
        assert_eq!(lines[..3], ["UBFM X23,X9,#16,#63", "LSL X9,X9,#48", "ORR X9,X9,X23"]);
        assert_eq!(lines[3..5], ["CSEL W23,W10,W9,NE", "CMP W9,W23"]);
    }

    #[test]
    fn a_loop_that_stores_is_refused() {
        let plain = code(&[("str", "w1, [x0]", None), ("cbnz", "w9", Some(0))]);
        assert!(translate(&plain, 0, &[]).is_err());
        assert!(translate(&plain, 0, &[REPEAT.to_owned()]).is_ok(), "a test of one round");
        let succeeded = code(&[("stxr", "w9, w1, [x0]", None), ("cbz", "w9", Some(0))]);
        assert!(translate(&succeeded, 0, &[]).is_err());
        let overwritten = code(&[("stxr", "w9, w1, [x0]", None), ("ldr", "w9, [x2]", None), ("cbnz", "w9", Some(0))]);
        assert!(translate(&overwritten, 0, &[]).is_err());
    }

    #[test]
    fn the_unknown_is_refused() {
        for (mnemonic, operands) in
            [("ldadd", "w0, w1, [x2]"), ("ldr", "x0, [sp, #8]"), ("add", "x0, sp, #8"), ("mrs", "x0, cntvct_el0"), ("add", "x26, x0, #1")]
        {
            assert!(translate(&code(&[(mnemonic, operands, None)]), 0, &[]).is_err(), "{mnemonic}");
        }
    }

    #[test]
    fn bit_fields_are_made_plain() {
        let code = code(&[("ubfiz", "x8, x9, #1, #1", None), ("lsr", "w8, w9, #5", None), ("ubfx", "x0, x9, #5, #1", None)]);
        let lines = text(&translate(&code, 0, &[]).unwrap());
        assert_eq!(lines[..3], ["UBFM X8,X9,#63,#0", "UBFM W8,W9,#5,#31", "UBFM X0,X9,#5,#5"]);
    }

    #[test]
    fn a_branch_back_that_is_in_no_loop_stays() {
        let code =
            code(&[("cbz", "w0", Some(12)), ("add", "w0, w0, #1", None), ("ret", "", None), ("str", "w1, [x2]", None), ("b", "", Some(4))]);
        let lines = text(&translate(&code, 0, &[]).unwrap());
        assert_eq!(lines[..7], ["CBZ W0,L0x12", "L0x4:", "ADD W0,W0,#1", "B End0", "L0x12:", "STR W1,[X2]", "B L0x4"]);
    }

    #[test]
    fn a_field_is_inserted_by_steps() {
        let lines = text(&translate(&code(&[("bfxil", "w9, w8, #3, #2", None)]), 0, &[]).unwrap());
        assert_eq!(lines[..4], ["UBFM W23,W8,#3,#4", "UBFM W9,W9,#2,#31", "LSL W9,W9,#2", "ORR W9,W9,W23"]);
    }

    #[test]
    fn a_block_before_a_discarded_call_is_dropped() {
        let mut code = code(&[("cbz", "w0", Some(8)), ("ret", "", None), ("movz", "w1, #2", None), ("bl", "", None), ("b", "", Some(4))]);
        code[3].target = Some(Target::Symbol("_RNv_report".to_owned()));
        let lines = text(&translate(&code, 1, &["report".to_owned()]).unwrap());
        assert_eq!(lines[..5], ["CBZ W0,L1x8", "L1x4:", "B End1", "L1x8:", "B Drop1"]);
        assert!(translate(&code, 1, &[]).is_err());
    }
}
