//! The tests as written in `tests/litmus/*.litmus`: which function is which thread, what must never be seen, what must.
//!
//! ```text
//! test SB+{op}                    a name; {op} takes each word of `for`
//! for op in xchg cmpxchg          makes one test a word
//! group xchg                      tests of one thing, whose order they check together (mutants.rs); the word of `for` if none
//! u32 x=0 y=0 lock[2]             locations with their type; initial value 0 if none, or another location's name: its address; of an
//!                                 array all of them, `pair[2]={2,0}`, or some by index, `word[8]=0:1,5:7`
//! P0 sb_{op} x y                  thread 0 runs this function on these arguments; `~part` is the function with that in its symbol
//! P1 sb_{op} y x                  ... its result is called P1 below; `core_area=a` behind the arguments makes TPIDR_EL1 the address of `a`,
//!                                 `current=a` TPIDR_EL0
//! discard report repeat           a call of a function of this name ends a run; so do, by `repeat`, a loop that stores and, by `stack`,
//!                                 a path that loads from the stack (see translate.rs)
//! never P0=0 P1=0                 an outcome that the docs forbid
//! sometimes P0=1 P1=0             an outcome that must be there, or the test shows nothing
//! slow                            for `make verify` alone, not for `make test`
//! twin dmb ish -> drop            a weakened copy, in all threads or in one (`twin P0 ...`), in which a `never` must be seen; where two
//!                                 instructions keep the same order, both are weakened: `twin dmb ish -> drop & stlxr -> stxr`
//! ```

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// Names and values that together make an outcome: `P0`, a thread's result, or a location.
pub type Condition = Vec<(String, String)>;

/// A change that breaks a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The thread that is changed; all if none.
    pub thread: Option<usize>,
    /// Instructions that begin so.
    pub from: String,
    /// What they begin with instead; nothing if they are dropped.
    pub to: Option<String>,
}

/// A location of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub kind: &'static str,
    pub name: String,
    /// Elements, if it is an array.
    pub length: Option<usize>,
    pub value: Option<String>,
}

/// One thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    pub function: String,
    pub arguments: Vec<String>,
}

/// One test.
#[derive(Clone, Debug, Default)]
pub struct Test {
    pub name: String,
    /// What is tested: as given, else the word of `for`, else the name. A weakening must be noticed by one test of its group.
    pub group: String,
    pub locations: Vec<Location>,
    pub threads: Vec<Thread>,
    pub discard: Vec<String>,
    pub never: Vec<Condition>,
    pub sometimes: Vec<Condition>,
    /// Each is a copy with all of its changes.
    pub twins: Vec<Vec<Twin>>,
    /// Not for `make test`.
    pub is_slow: bool,
}

/// Reads all tests of a folder, in the order of the files' names.
pub fn read_folder(folder: &Path) -> Result<Vec<Test>> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).with_context(|| folder.display().to_string())?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "litmus"));
    files.sort();
    let mut tests = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        tests.extend(parse(&text).with_context(|| file.display().to_string())?);
    }
    Ok(tests)
}

/// Reads the tests of one file.
pub fn parse(text: &str) -> Result<Vec<Test>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        if line.starts_with("test ") {
            blocks.push(Vec::new());
        }
        blocks.last_mut().with_context(|| format!("`{line}` before the first test"))?.push(line);
    }
    let mut tests = Vec::new();
    for block in blocks {
        tests.extend(expand(&block)?);
    }
    Ok(tests)
}

/// Makes the tests of a block: one for each word of its `for`.
fn expand(block: &[&str]) -> Result<Vec<Test>> {
    let words = block.iter().find_map(|line| line.strip_prefix("for "));
    let Some(words) = words else { return Ok(vec![test(block)?]) };
    let (variable, words) = words.split_once(" in ").context("`for NAME in WORD...`")?;
    let pattern = format!("{{{}}}", variable.trim());
    words
        .split_whitespace()
        .map(|word| {
            let lines: Vec<String> =
                block.iter().filter(|line| !line.starts_with("for ")).map(|line| line.replace(&pattern, word)).collect();
            let test = test(&lines.iter().map(String::as_str).collect::<Vec<_>>())?;
            let group = if test.group == test.name { word.to_owned() } else { test.group };
            Ok(Test { group, ..test })
        })
        .collect()
}

/// Reads one test.
fn test(block: &[&str]) -> Result<Test> {
    let mut test = Test::default();
    for line in block {
        if *line == "slow" {
            test.is_slow = true;
            continue;
        }
        let (key, rest) = line.split_once(' ').with_context(|| format!("`{line}`"))?;
        let words = || rest.split_whitespace();
        match key {
            "test" => (test.name, test.group) = (rest.to_owned(), rest.to_owned()),
            "group" => test.group = rest.to_owned(),
            "u8" => add_locations(&mut test, "uint8_t", words())?,
            "u32" => add_locations(&mut test, "uint32_t", words())?,
            "u64" => add_locations(&mut test, "uint64_t", words())?,
            "discard" => test.discard.extend(words().map(str::to_owned)),
            "never" => test.never.push(condition(words())?),
            "sometimes" => test.sometimes.push(condition(words())?),
            "twin" => test.twins.push(rest.split('&').map(|change| twin(change.trim())).collect::<Result<_>>()?),
            _ if key == format!("P{}", test.threads.len()) => {
                let mut words = words().map(str::to_owned);
                let function = words.next().context("a thread needs a function")?;
                test.threads.push(Thread { function, arguments: words.collect() });
            }
            _ => bail!("`{line}`"),
        }
    }
    ensure!(!test.threads.is_empty(), "test {} has no thread", test.name);
    ensure!(test.never.len() + test.sometimes.len() > 0, "test {} checks nothing", test.name);
    ensure!(test.never.is_empty() || !test.twins.is_empty(), "test {} has no twin that it must reject", test.name);
    Ok(test)
}

/// Reads `x=1 y lock[2]`.
fn add_locations<'a>(test: &mut Test, kind: &'static str, words: impl Iterator<Item = &'a str>) -> Result<()> {
    for word in words {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value.to_owned())));
        let (name, length) = match name.split_once('[') {
            Some((name, length)) => (name, Some(length.trim_end_matches(']').parse().with_context(|| format!("`{word}`"))?)),
            None => (name, None),
        };
        let value = match (length, value) {
            (Some(length), Some(sparse)) if !sparse.starts_with('{') => Some(array(length, &sparse).with_context(|| format!("`{word}`"))?),
            (_, value) => value,
        };
        test.locations.push(Location { kind, name: name.to_owned(), length, value });
    }
    Ok(())
}

/// From `0:1,5:7` to all elements, as herd7 wants them.
fn array(length: usize, sparse: &str) -> Result<String> {
    let mut elements = vec!["0"; length];
    for pair in sparse.split(',') {
        let (index, value) = pair.split_once(':').context("an array's values are INDEX:VALUE,...")?;
        *elements.get_mut(index.parse::<usize>()?).context("behind the array's end")? = value;
    }
    Ok(format!("{{{}}}", elements.join(",")))
}

/// Reads `P0=0 x=1`.
fn condition<'a>(words: impl Iterator<Item = &'a str>) -> Result<Condition> {
    words
        .map(|word| {
            let (name, value) = word.split_once('=').with_context(|| format!("`{word}` in an outcome"))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Reads `P0 stlr -> str` or `dmb ish -> drop`.
fn twin(text: &str) -> Result<Twin> {
    let (from, to) = text.split_once("->").with_context(|| format!("twin `{text}`"))?;
    let (from, to) = (from.trim(), to.trim());
    let (thread, from) = match from.strip_prefix('P').and_then(|rest| rest.split_once(' ')) {
        Some((number, from)) => (Some(number.parse().with_context(|| format!("twin `{text}`"))?), from),
        None => (None, from),
    };
    Ok(Twin { thread, from: from.to_uppercase(), to: (to != "drop").then(|| to.to_uppercase()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_read_once_a_word() {
        let text =
            "# comment\ntest SB+{op}\nfor op in a b\nu32 x=1 lock[2]\nu64 p=x\nP0 sb_{op} x 5\nnever P0=0 x=1\ntwin P0 dmb ish -> drop\n";
        let tests = parse(text).unwrap();
        assert_eq!(tests.iter().map(|test| test.name.as_str()).collect::<Vec<_>>(), ["SB+a", "SB+b"]);
        assert_eq!(tests[1].group, "b");
        assert_eq!(tests[1].threads[0], Thread { function: "sb_b".to_owned(), arguments: vec!["x".to_owned(), "5".to_owned()] });
        assert_eq!(tests[0].locations[1].length, Some(2));
        assert_eq!(tests[0].twins, [[Twin { thread: Some(0), from: "DMB ISH".to_owned(), to: None }]]);
    }

    #[test]
    fn arrays_have_values_by_index_and_twins_several_changes() {
        let test = |values: &str| parse(&format!("test T\nu64 a[4]={values}\nP0 f\nnever P0=0\ntwin P1 dmb ish -> drop & stlr -> str\n"));
        let tests = test("1:7,3:a").unwrap();
        assert_eq!(tests[0].locations[0].value.as_deref(), Some("{0,7,0,a}"));
        assert_eq!(tests[0].twins[0].len(), 2);
        assert_eq!(tests[0].twins[0][1], Twin { thread: None, from: "STLR".to_owned(), to: Some("STR".to_owned()) });
        assert!(test("4:1").is_err() && test("7").is_err());
    }

    #[test]
    fn a_slow_test_is_marked() {
        let tests = parse("test A\nP0 f\nsometimes P0=0\nslow\ntest B\nP0 f\nsometimes P0=0\n").unwrap();
        assert_eq!(tests.iter().map(|test| test.is_slow).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_test_without_a_twin_is_refused() {
        assert!(parse("test T\nP0 f\nnever P0=0\n").is_err());
        assert!(parse("test T\nP0 f\n").is_err());
        assert!(parse("P0 f\n").is_err());
    }
}
