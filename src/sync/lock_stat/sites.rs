//! The call sites of a class that wait most, in four slots.
//!
//! A site that is not in the slots takes the one with the fewest waits and goes on from its count. So a site that waits more often than all but three is
//! found whenever it comes, and a count is too high by at most what the slot held before, which is kept beside it. Rejected: the first four sites
//! ever seen, which hides what matters behind what came early.
//!
//! Source: Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams" (2005).

use core::panic::Location;

/// Sites kept.
pub const NR_SITES: usize = 4;

/// A place where locks of a class are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The call.
    pub at: &'static Location<'static>,
    /// Waits there, at most.
    pub count: u64,
    /// How many of them may be another's.
    pub too_many: u64,
}

/// The sites of a class.
#[derive(Clone, Copy, Debug)]
pub struct TopSites([Option<Site>; NR_SITES]);

impl TopSites {
    /// None.
    pub const EMPTY: Self = Self([None; NR_SITES]);

    /// Counts a wait at `at`.
    pub fn add(&mut self, at: &'static Location<'static>) {
        if let Some(site) = self.0.iter_mut().flatten().find(|site| site.at == at) {
            site.count += 1;
            return;
        }
        let least = self.0.iter_mut().min_by_key(|slot| slot.map_or(0, |site| site.count)).expect("there are four slots");
        let before = least.map_or(0, |site| site.count);
        *least = Some(Site { at, count: before + 1, too_many: before });
    }

    /// The sites, most waits first.
    pub fn sorted(&self) -> impl Iterator<Item = Site> {
        let mut sites = self.0;
        sites.sort_unstable_by_key(|slot| core::cmp::Reverse(slot.map_or(0, |site| site.count)));
        sites.into_iter().flatten()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[track_caller]
    fn here() -> &'static Location<'static> {
        Location::caller()
    }

    #[test]
    fn a_site_that_waits_often_is_found_however_late_it_comes() {
        let early = [here(), here(), here(), here(), here(), here()];
        let late = here();
        let mut sites = TopSites::EMPTY;
        early.iter().for_each(|site| sites.add(site));
        (0..100).for_each(|round: usize| sites.add([late, early[round % 6]][round % 2]));
        let top = sites.sorted().next().unwrap();
        assert!(top.at == late && (50..60).contains(&top.count) && top.count - top.too_many <= 50, "{top:?}");
        assert_eq!(sites.sorted().count(), NR_SITES);
    }
}
