//! Blink patterns, as a sequence of phases: pure, no memory, no clock.
//!
//! A pattern says how long the LED stays on or off, and the caller keeps the time: a timer for the heartbeat, a busy wait in a panic. Codes
//! are counted, so they differ by number and not by length: a short blink for each count, then a long pause.

/// How long the LED keeps a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The LED is lit.
    pub is_lit: bool,
    /// For so many milliseconds.
    pub duration_ms: u32,
}

const fn lit(duration_ms: u32) -> Phase {
    Phase { is_lit: true, duration_ms }
}

const fn dark(duration_ms: u32) -> Phase {
    Phase { is_lit: false, duration_ms }
}

/// The blink codes. The number of blinks is the value; `docs/real-hardware.md` shows this table to whoever counts them.
///
/// | blinks | meaning |
/// |---|---|
/// | 2 | died before Rust: an exception, or an unusable exception level, in the first instructions |
/// | 3 | the kernel panicked; the report is on the console |
/// | 4 | panicked while panicking; the report is cut short |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BlinkCode {
    /// Died before Rust; blinked by `boot/early_vectors.S`, which keeps its own copy of the pattern.
    EarlyFault = 2,
    /// The kernel panicked.
    Panic = 3,
    /// Panicked while panicking.
    NestedPanic = 4,
}

impl BlinkCode {
    /// Every code.
    pub const ALL: [BlinkCode; 3] = [BlinkCode::EarlyFault, BlinkCode::Panic, BlinkCode::NestedPanic];

    const LIT: Phase = lit(150);
    const DARK: Phase = dark(250);
    const PAUSE: Phase = dark(1200);

    /// Number of blinks.
    #[must_use]
    pub const fn blinks(self) -> u8 {
        self as u8
    }

    /// The phases of one round; repeat for as long as the condition lasts.
    ///
    /// Context: any.
    pub fn round(self) -> impl Iterator<Item = Phase> {
        let last = self.blinks() - 1;
        (0..=last).flat_map(move |n| [Self::LIT, if n == last { Self::PAUSE } else { Self::DARK }])
    }
}

/// The heartbeat: two beats and a rest, one second in all. It shows that timer interrupts arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    next: usize,
}

impl Heartbeat {
    const PHASES: [Phase; 4] = [lit(70), dark(180), lit(70), dark(680)];

    /// A heartbeat that starts with the first beat.
    #[must_use]
    pub const fn new() -> Heartbeat {
        Heartbeat { next: 0 }
    }

    /// The next phase: set the LED, and call again after the phase's time.
    ///
    /// Context: any.
    pub const fn step(&mut self) -> Phase {
        let phase = Self::PHASES[self.next];
        self.next = (self.next + 1) % Self::PHASES.len();
        phase
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_blinks_its_number() {
        for code in BlinkCode::ALL {
            let round: Vec<Phase> = code.round().collect();
            assert_eq!(round.iter().filter(|phase| phase.is_lit).count(), usize::from(code.blinks()));
            assert!(round.windows(2).all(|pair| pair[0].is_lit != pair[1].is_lit), "levels alternate");
            let dark: Vec<u32> = round.iter().filter(|phase| !phase.is_lit).map(|phase| phase.duration_ms).collect();
            let (pause, between) = dark.split_last().unwrap();
            assert!(between.iter().all(|gap| gap * 3 < *pause), "the pause stands out");
        }
    }

    /// Whoever counts has the table of the docs and nothing else: it must have each code, and no other.
    #[test]
    fn the_docs_have_the_same_codes() {
        let table = include_str!("../../../docs/real-hardware.md");
        let (_, table) = table.split_once("## The LED").unwrap();
        let (table, _) = table.split_once("\n## ").unwrap();
        let listed: Vec<u8> = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok()).collect();
        assert_eq!(listed, BlinkCode::ALL.map(BlinkCode::blinks));
    }

    #[test]
    fn codes_are_distinct() {
        for (i, code) in BlinkCode::ALL.iter().enumerate() {
            assert!(BlinkCode::ALL[..i].iter().all(|earlier| earlier.blinks() < code.blinks()));
        }
    }

    #[test]
    fn heart_beats_once_a_second() {
        let mut heartbeat = Heartbeat::new();
        for _ in 0..3 {
            let second: Vec<Phase> = (0..4).map(|_| heartbeat.step()).collect();
            assert_eq!(second.iter().map(|phase| phase.duration_ms).sum::<u32>(), 1000);
            assert_eq!(second.iter().map(|phase| phase.is_lit).collect::<Vec<_>>(), [true, false, true, false]);
        }
    }
}
