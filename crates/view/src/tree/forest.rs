//! Which span hangs from which.

use std::collections::HashMap;

use crate::pending::ReceivedSpan;

#[derive(Clone, Copy)]
pub struct Node {
    pub index: usize,
    pub parent: Parent,
}

/// Where a span's parent is, as seen from the line it is printed on.
#[derive(Clone, Copy, PartialEq)]
pub enum Parent {
    /// It has none, or it is the line it hangs from.
    Above,
    /// Its id is not in the trace as received.
    Elsewhere,
    /// It is below: the spans name each other as parents.
    Below,
}

/// The spans as trees, in which every span occurs exactly once whatever ids the peer has given them.
pub struct Forest {
    pub roots: Vec<Node>,
    /// By the parent's index; each ordered by start time.
    pub children: Vec<Vec<usize>>,
}

impl Forest {
    pub fn new(spans: &[ReceivedSpan]) -> Self {
        // Of spans with the same id the first has the children.
        let mut by_id: HashMap<&[u8], usize> = HashMap::new();
        for (index, received) in spans.iter().enumerate() {
            by_id.entry(&received.span.span_id).or_insert(index);
        }
        let mut by_start: Vec<usize> = (0..spans.len()).collect();
        by_start.sort_by_key(|&index| spans[index].span.start_time_unix_nano);

        let mut claimed: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        let mut roots = Vec::new();
        for &index in &by_start {
            let parent_id = spans[index].span.parent_span_id.as_slice();
            if parent_id.is_empty() {
                roots.push(Node { index, parent: Parent::Above });
            } else if let Some(&parent) = by_id.get(parent_id) {
                claimed[parent].push(index);
            } else {
                roots.push(Node { index, parent: Parent::Elsewhere });
            }
        }

        let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        let mut reached = vec![false; spans.len()];
        let mut reach = |start: usize| {
            let is_new = !std::mem::replace(&mut reached[start], true);
            let mut todo = if is_new { vec![start] } else { Vec::new() };
            while let Some(index) = todo.pop() {
                for &child in &claimed[index] {
                    if !std::mem::replace(&mut reached[child], true) {
                        children[index].push(child);
                        todo.push(child);
                    }
                }
            }
            is_new
        };
        for root in &roots {
            reach(root.index);
        }
        // What no root leads to is on or below a cycle, which is cut at its earliest span.
        for index in by_start {
            if reach(index) {
                roots.push(Node { index, parent: Parent::Below });
            }
        }
        Self { roots, children }
    }
}
