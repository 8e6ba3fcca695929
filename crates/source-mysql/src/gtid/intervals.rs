//! Whole numbers as closed intervals: sorted, apart from each other by at least one number.
//!
//! All operations keep that form, so that equal sets are equal values and have one text.

/// The numbers of one source's transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// First and last number of each interval.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    pub fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < number);
        self.0.get(at).is_some_and(|(first, _)| *first <= number)
    }

    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|(first, last)| {
            let at = self.0.partition_point(|(_, end)| *end < first);
            self.0.get(at).is_some_and(|(start, end)| *start <= first && last <= *end)
        })
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.iter().fold(0, |sum, (first, last)| sum.saturating_add(last.saturating_sub(first)).saturating_add(1))
    }

    /// Adds all numbers from `first` to `last`; nothing if there are none.
    pub fn add(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        // The intervals that touch or overlap become one with it. Nearly always it is the last one that grows.
        let from = self.0.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self.0.partition_point(|(start, _)| *start <= last.saturating_add(1)).max(from);
        let merged = self.0.get(from..to).unwrap_or_default();
        let start = merged.first().map_or(first, |(start, _)| first.min(*start));
        let end = merged.last().map_or(last, |(_, end)| last.max(*end));
        if let [only] = merged
            && *only == (start, end)
        {
            return;
        }
        self.0.splice(from..to, [(start, end)]);
    }

    pub fn add_all(&mut self, other: &Self) {
        for (first, last) in other.iter() {
            self.add(first, last);
        }
    }

    pub fn subtract(&mut self, other: &Self) {
        let mut left = Vec::with_capacity(self.0.len());
        for (mut first, last) in self.iter() {
            let mut whole = true;
            for (start, end) in other.iter() {
                if end < first || start > last {
                    continue;
                }
                if start > first {
                    left.push((first, start.saturating_sub(1)));
                }
                if end >= last {
                    whole = false;
                    break;
                }
                first = end.saturating_add(1);
            }
            if whole {
                left.push((first, last));
            }
        }
        self.0 = left;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(parts: &[(u64, u64)]) -> Intervals {
        let mut set = Intervals::default();
        for (first, length) in parts {
            set.add(*first, first + length);
        }
        set
    }

    fn numbers(set: &Intervals) -> BTreeSet<u64> {
        set.iter().flat_map(|(first, last)| first..=last).collect()
    }

    #[test]
    fn neighbours_become_one() {
        let mut set = Intervals::default();
        for number in [5, 1, 3, 2, 4, 4] {
            set.add(number, number);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [(1, 5)]);
        set.add(u64::MAX, u64::MAX);
        set.add(9, 8);
        assert_eq!(set.iter().collect::<Vec<_>>(), [(1, 5), (u64::MAX, u64::MAX)]);
        assert!(set.contains(u64::MAX) && !set.contains(6) && set.contains(1));
    }

    proptest! {
        #[test]
        fn it_is_a_set(a in prop::collection::vec((1u64..60, 0u64..9), 0..12), b in prop::collection::vec((1u64..60, 0u64..9), 0..12)) {
            let (a, b) = (set(&a), set(&b));
            let (left, right) = (numbers(&a), numbers(&b));
            let mut union = a.clone();
            union.add_all(&b);
            prop_assert_eq!(numbers(&union), &left | &right);
            let mut difference = a.clone();
            difference.subtract(&b);
            prop_assert_eq!(numbers(&difference), &left - &right);
            prop_assert_eq!(a.contains_all(&b), right.is_subset(&left));
            prop_assert_eq!(a.count(), u64::try_from(left.len()).unwrap());
            for set in [&union, &difference] {
                let parts: Vec<_> = set.iter().collect();
                prop_assert!(parts.iter().all(|(first, last)| first <= last));
                prop_assert!(parts.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
            for number in 0..80 {
                prop_assert_eq!(a.contains(number), left.contains(&number));
            }
        }
    }
}
