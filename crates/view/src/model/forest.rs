//! Which span hangs from which, and in which order they are shown.

use std::collections::HashMap;

use super::traces::ReceivedSpan;

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

/// A span where it is shown.
pub struct Row<'a> {
    pub node: Node,
    pub depth: usize,
    /// Of its siblings.
    pub is_last: bool,
    pub parent_service: &'a str,
}

/// The spans of a trace from top to bottom. With a stack and not by recursion: the depth of the tree is the peer's
/// choice.
pub struct Rows<'a> {
    forest: &'a Forest,
    spans: &'a [ReceivedSpan],
    stack: Vec<Row<'a>>,
}

impl<'a> Rows<'a> {
    pub fn new(forest: &'a Forest, spans: &'a [ReceivedSpan]) -> Self {
        let first_service = forest.roots.first().map_or("", |root| &spans[root.index].service);
        let mut stack = Vec::new();
        push_siblings(&mut stack, forest.roots.iter().copied(), 0, first_service);
        Self { forest, spans, stack }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        let row = self.stack.pop()?;
        let children = self.forest.children[row.node.index].iter();
        let children = children.map(|&index| Node { index, parent: Parent::Above });
        push_siblings(&mut self.stack, children, row.depth + 1, &self.spans[row.node.index].service);
        Some(row)
    }
}

/// Puts siblings on the stack so that the first is popped first.
fn push_siblings<'a>(
    stack: &mut Vec<Row<'a>>,
    nodes: impl DoubleEndedIterator<Item = Node>,
    depth: usize,
    parent_service: &'a str,
) {
    stack.extend(nodes.rev().enumerate().map(|(i, node)| Row { node, depth, is_last: i == 0, parent_service }));
}
