//! The number of a grace period, and what a caller has to wait for.
//!
//! One word that only grows: odd while a grace period runs, even between two. A caller takes a *snapshot*, the value that the word has when a whole
//! grace period, begun after the call, is over: one that runs already does not count, since it may have begun before the caller took its data out of
//! sight. Comparing is by difference, so the word may wrap; at a million grace periods a second that takes 300000 years.

/// Set while a grace period runs.
const RUNNING: u64 = 1;

/// A grace period runs.
pub const fn is_running(seq: u64) -> bool {
    seq & RUNNING != 0
}

/// The value at the end of the first grace period that begins after `seq` was read: Linux's `rcu_seq_snap`.
pub const fn snapshot(seq: u64) -> u64 {
    (seq.wrapping_add(3)) & !RUNNING
}

/// The word has reached `snapshot`: Linux's `rcu_seq_done`.
pub const fn is_done(seq: u64, snapshot: u64) -> bool {
    seq.wrapping_sub(snapshot) <= u64::MAX / 2
}

/// How many grace periods have ended.
pub const fn nr_ended(seq: u64) -> u64 {
    seq / 2
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_running_grace_period_does_not_count() {
        assert_eq!(snapshot(4), 6, "between two: the next one");
        assert_eq!(snapshot(5), 8, "one runs: the one behind it");
        for seq in 0..100 {
            let wanted = snapshot(seq);
            assert!(!is_running(wanted) && !is_done(seq, wanted));
            // From even to odd, at or after `seq`: a begin; two more steps to its end.
            let begin = (seq..).find(|at| !is_running(*at)).expect("every second one") + 1;
            assert_eq!(wanted, begin + 1);
        }
    }

    #[test]
    fn the_word_may_wrap() {
        let last = u64::MAX - 1;
        assert_eq!(snapshot(last), 0);
        assert!(!is_done(last, 0) && !is_done(last + 1, 0) && is_done(0, 0) && is_done(1, 0));
    }
}
