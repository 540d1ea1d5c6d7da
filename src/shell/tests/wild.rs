//! Input that nobody planned: random keys, random bytes, random lines.

use proptest::prelude::*;

use std::prelude::v1::*;
use std::vec;

use super::*;

/// Bytes as a wild terminal sends them: mostly keys that do something.
fn wild_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => "[ -~]{1,12}".prop_map(String::into_bytes),
        2 => "[é€∀¬]{1,4}".prop_map(String::into_bytes),
        6 => (0u8..32).prop_map(|byte| vec![byte]),
        4 => prop::sample::select(vec!["\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[3~", "\x1bb", "\x1bf", "\x1b[H"]).prop_map(|keys| keys.into()),
        1 => prop::collection::vec(any::<u8>(), 1..8),
        1 => Just(b"w".repeat(90)),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The row that grew by differences is the row as drawn from scratch, with the cursor at the same place.
    #[test]
    fn the_screen_is_always_what_a_redraw_would_show(bytes in wild_bytes()) {
        let mut editor = Box::new(Editor::new());
        let mut grown = emulator();
        let mut out = String::new();
        editor.redraw(&mut out).unwrap();
        for byte in bytes {
            if editor.feed(byte, &mut out) != Event::None {
                editor.redraw(&mut out).unwrap();
            }
        }
        grown.process(out.as_bytes());

        let mut fresh = emulator();
        let mut out = String::new();
        editor.redraw(&mut out).unwrap();
        fresh.process(out.as_bytes());

        let (row, column) = grown.screen().cursor_position();
        let grown_row = grown.screen().rows(0, 80).nth(row.into()).unwrap();
        let fresh_row = fresh.screen().rows(0, 80).next().unwrap();
        prop_assert_eq!(grown_row.trim_end(), fresh_row.trim_end());
        prop_assert_eq!(column, fresh.screen().cursor_position().1);
    }

    /// Whatever is typed is a line that runs or is refused.
    #[test]
    fn any_line_runs_or_is_refused(line in "[ -~é|;>'\"$?\\\\#]{0,60}") {
        let mut session = Session::new();
        let _ = session.shell.run_script(&line);
        prop_assert!(session.shell.status() != 255);
    }
}

/// A small generator of random bytes: xorshift64, G. Marsaglia, "Xorshift RNGs", 2003.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn a_million_random_bytes_leave_the_shell_alive() {
    let mut random = Random(0x5eed);
    let terminal: &'static Silent = Box::leak(Box::new(Silent(Mutex::default())));
    let mut shell = Box::new(Shell::new());
    shell.attach(terminal);

    for _ in 0..1_000 {
        terminal.0.lock().unwrap().extend((0..1_000).map(|_| random.next() as u8));
        shell.serve();
    }
    terminal.0.lock().unwrap().extend(b"\x18\x03echo alive\r");
    shell.serve();
    assert_eq!((shell.editor.entered(), shell.status()), ("echo alive", 0));
}

/// A terminal that nobody looks at.
struct Silent(Mutex<VecDeque<u8>>);

impl Console for Silent {
    fn try_read(&self) -> Option<u8> {
        self.0.lock().unwrap().pop_front()
    }

    fn write_bytes(&self, _: &[u8]) {}

    fn wait_for_input(&self, _: Option<Duration>) {}
}
