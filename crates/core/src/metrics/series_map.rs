//! The series of a stream, found by their attributes without a lock.

use std::sync::Arc;

use crate::metrics::attribute_set::{AttributeSet, Item};
use crate::process::sync::{Mutex, OnceLock};

/// What is measured with one set of attributes.
pub struct Series<T> {
    pub attributes: AttributeSet,
    pub value: T,
}

/// Series are added and never removed, so that finding one takes no lock: a tree whose branches are chosen by two bits
/// of the hash at a time, and whose empty places are filled once.
pub struct SeriesMap<T> {
    root: OnceLock<Box<Node<T>>>,
    /// In the order in which they were added. Whoever adds one holds the lock.
    all: Mutex<Vec<Arc<Series<T>>>>,
}

struct Node<T> {
    series: Arc<Series<T>>,
    branches: [OnceLock<Box<Node<T>>>; 4],
}

impl<T> Default for SeriesMap<T> {
    fn default() -> Self {
        Self { root: OnceLock::new(), all: Mutex::new(Vec::new()) }
    }
}

impl<T> SeriesMap<T> {
    #[inline]
    pub fn find(&self, items: &[Item<'_>], hash: u64) -> Option<&Series<T>> {
        let mut bits = hash;
        let mut place = &self.root;
        while let Some(node) = place.get() {
            if node.series.attributes.is(items, hash) {
                return Some(&node.series);
            }
            place = node.branch(bits);
            bits >>= 2;
        }
        None
    }

    /// The series with these attributes; `make` makes it if there is none, and may refuse. It is called with the number
    /// of series that there are.
    pub fn find_or_add(
        &self,
        items: &[Item<'_>],
        hash: u64,
        make: impl FnOnce(usize) -> Option<Series<T>>,
    ) -> Option<&Series<T>> {
        let mut all = self.all.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(found) = self.find(items, hash) {
            return Some(found);
        }
        let series = Arc::new(make(all.len())?);
        all.push(Arc::clone(&series));
        let mut bits = hash;
        let mut place = &self.root;
        while let Some(node) = place.get() {
            place = node.branch(bits);
            bits >>= 2;
        }
        Some(&place.get_or_init(|| Box::new(Node { series, branches: Default::default() })).series)
    }

    pub fn is_empty(&self) -> bool {
        self.root.get().is_none()
    }

    /// All series so far, in the order in which they were added.
    pub fn all(&self) -> Vec<Arc<Series<T>>> {
        self.all.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

impl<T> Node<T> {
    #[inline]
    fn branch(&self, bits: u64) -> &OnceLock<Box<Self>> {
        &self.branches[(bits & 3) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::attribute_set::{Scalar, hash_of};

    fn add(map: &SeriesMap<u64>, number: i64) -> u64 {
        let items = [Item { key: "number", value: Scalar::Int(number) }];
        let hash = hash_of(&items);
        let attributes = AttributeSet::new(&items, hash, 7).unwrap();
        let make = |_| Some(Series { attributes, value: number as u64 });
        map.find_or_add(&items, hash, make).unwrap().value
    }

    #[test]
    fn threads_that_add_the_same_series_get_one() {
        const COUNT: i64 = if cfg!(miri) { 15 } else { 1000 };
        let map = SeriesMap::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let map = &map;
                scope.spawn(move || {
                    for number in 0..COUNT {
                        let number = (number * 7 + thread * 13) % COUNT;
                        assert_eq!(add(map, number), number as u64);
                    }
                });
            }
        });
        let mut all: Vec<u64> = map.all().iter().map(|series| series.value).collect();
        all.sort_unstable();
        assert_eq!(all, (0..COUNT as u64).collect::<Vec<u64>>());
    }

    #[test]
    fn series_with_the_same_hash_are_told_apart() {
        let map = SeriesMap::default();
        for number in 0..if cfg!(miri) { 18 } else { 100 } {
            let items = [Item { key: "number", value: Scalar::Int(number) }];
            let make = |_| Some(Series { attributes: AttributeSet::new(&items, 5, 7).unwrap(), value: number });
            assert_eq!(map.find_or_add(&items, 5, make).unwrap().value, number);
        }
        let items = [Item { key: "number", value: Scalar::Int(17) }];
        assert_eq!(map.find(&items, 5).map(|series| series.value), Some(17));
        assert!(map.find(&[], 5).is_none());
    }

    #[test]
    fn what_is_refused_is_not_there() {
        let map = SeriesMap::<u64>::default();
        assert!(map.find_or_add(&[], 0, |_| None).is_none());
        assert!(map.find(&[], 0).is_none() && map.all().is_empty());
    }
}
