//! The kernel's ELF: which addresses are code, and which lines of source they are.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use object::{Object, ObjectSection, SectionKind};

use super::report::{Frame, Symbols};

/// How many bytes of the GNU build id a report carries.
const BUILD_ID_BYTES: usize = 8;

/// An ELF file with its debug information.
pub struct Elf {
    loader: addr2line::Loader,
    code: Vec<Range<u64>>,
    build_id: Option<String>,
}

impl Elf {
    /// Opens the ELF at `path`.
    ///
    /// # Errors
    /// It is not there, no ELF, or has no code.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let what = || format!("cannot read {} (build the kernel that wrote the report first)", path.display());
        let bytes = std::fs::read(path).with_context(what)?;
        let object = object::File::parse(&*bytes).with_context(what)?;
        let sections = object.sections().filter(|section| section.kind() == SectionKind::Text);
        let code: Vec<_> = sections.map(|section| section.address()..section.address() + section.size()).collect();
        ensure!(!code.is_empty(), "{} holds no code", path.display());

        let build_id = build_id(&object);
        let loader = addr2line::Loader::new(path).map_err(|error| anyhow!("{error}")).with_context(what)?;
        Ok(Self { loader, code, build_id })
    }

    /// The first eight bytes of the build id in hex, as the kernel prints them.
    pub fn build_id(&self) -> Option<&str> {
        self.build_id.as_deref()
    }

    fn try_frames(&self, address: u64) -> Option<Vec<Frame>> {
        let mut found = self.loader.find_frames(address).ok()?;
        let mut frames = Vec::new();
        while let Some(frame) = found.next().ok()? {
            let name = frame.function.as_ref().and_then(|function| function.demangle().ok());
            let place = frame.location.as_ref().and_then(|at| Some(format!("{}:{}", at.file?, at.line?)));
            frames.push(Frame { name: name.map(|name| short(&name)), place });
        }
        Some(frames)
    }
}

/// The first eight bytes of the build id of the ELF at `path`; `None` if there is no such file or no build id in it.
pub fn build_id_of(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    build_id(&object::File::parse(&*bytes).ok()?)
}

fn build_id(object: &object::File<'_>) -> Option<String> {
    let id = object.build_id().ok().flatten()?;
    Some(id.get(..BUILD_ID_BYTES)?.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Symbols for Elf {
    fn is_code(&self, address: u64) -> bool {
        self.code.iter().any(|range| range.contains(&address))
    }

    fn frames(&self, address: u64) -> Vec<Frame> {
        let frames = self.try_frames(address).unwrap_or_default();
        if frames.iter().any(|frame| frame.name.is_some() || frame.place.is_some()) {
            return frames;
        }
        // Assembly without line information still has symbols.
        let name = self.loader.find_symbol(address).map(|name| short(&rustc_demangle::demangle(name).to_string()));
        vec![Frame { name, place: None }]
    }
}

/// The name without the hash that tells instances apart.
fn short(name: &str) -> String {
    let is_hash = |tail: &str| tail.len() == 17 && tail.starts_with('h') && tail[1..].bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.rsplit_once("::") {
        Some((head, tail)) if is_hash(tail) => head.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use object::ObjectSymbol;

    use super::*;
    use crate::symbolize::report;

    /// The line of the call in [`probe`], kept right by `line!` beside it.
    const CALL_LINE: u32 = line!() + 9;

    #[inline(always)]
    fn inlined(values: &[u32]) -> u32 {
        values.iter().fold(1, |product, value| std::hint::black_box(product * value))
    }

    #[inline(never)]
    fn probe(values: &[u32]) -> u32 {
        std::hint::black_box(inlined(values)) + 1
    }

    /// The test's own program is the small ELF: it has functions of known names, lines and inlining.
    fn own_elf() -> (Elf, Range<u64>) {
        assert_eq!(probe(&[2, 3]), 7);
        let path = std::env::current_exe().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let object = object::File::parse(&*bytes).unwrap();
        let is_probe = |name: &str| name.contains("symbolize") && name.contains("probe");
        let symbol = object.symbols().find(|symbol| symbol.name().is_ok_and(is_probe)).expect("`probe` is never inlined");
        (Elf::open(&path).unwrap(), symbol.address()..symbol.address() + symbol.size())
    }

    #[test]
    fn finds_lines_and_inlined_frames_of_this_program() {
        let (elf, range) = own_elf();
        assert!(elf.is_code(range.start));
        assert!(!elf.is_code(0) && !elf.is_code(u64::MAX));

        let first = elf.frames(range.start);
        let outer = first.last().expect("a function has a frame");
        assert!(outer.name.as_ref().unwrap().ends_with("elf::tests::probe"), "{outer:?}");
        assert!(outer.place.as_ref().unwrap().contains("symbolize/elf.rs:"), "{outer:?}");

        let inlined = range
            .map(|address| elf.frames(address))
            .find(|frames| frames.iter().any(|frame| frame.name.as_ref().is_some_and(|name| name.ends_with("elf::tests::inlined"))));
        let inlined = inlined.expect("somewhere in `probe` is the inlined function");
        let caller = inlined.last().unwrap().place.as_ref().unwrap();
        assert!(caller.ends_with(&format!(":{CALL_LINE}")), "want line {CALL_LINE}, got {caller}");
    }

    #[test]
    fn annotates_a_report_over_this_program() {
        let (elf, range) = own_elf();
        let text = format!("pc : {:#018x}\n", range.start);
        let annotated = report::annotate(&text, &elf);
        assert_eq!(annotated.nr_found, 1);
        assert!(annotated.text.contains("probe"), "{}", annotated.text);
    }

    #[test]
    fn cuts_only_hashes() {
        assert_eq!(short("a::b::h0123456789abcdef"), "a::b");
        assert_eq!(short("a::b::hello"), "a::b::hello");
        assert_eq!(short("start"), "start");
    }

    #[test]
    fn says_which_file_is_missing() {
        let error = Elf::open(Path::new("no/such/kernel8")).err().expect("there is none");
        assert!(error.to_string().contains("no/such/kernel8"), "{error}");
    }
}
