//! The root of the trie over items in order, whose keys are rlp(index): that of a block's receipts, and of its transactions.
//!
//! The shape follows from how many items there are. So nodes need not be hashed one by one as the trie is walked: the leaves are, many
//! at once, then all other nodes by depth, the deepest first.

use crate::keccak::{Engine, keccak256_batch};
use alloy_primitives::{B256, keccak256};
use alloy_rlp::{BufMut, EMPTY_STRING_CODE, Header};
use alloy_trie::EMPTY_ROOT_HASH;
use std::ops::Range;

/// Bytes of encoded nodes from which on those that wait are hashed: enough that each finds others of its length.
const BATCH: usize = 1 << 20;

/// The most bytes of a leaf before its value: two headers of 9 and a path of 11.
const ROOM: usize = 29;

/// A node whose encoding is shorter stands in its parent itself, without being hashed.
const HASHED_FROM: usize = 32;

/// The root over `items`, each the bytes that `encode` appends. `EMPTY_ROOT_HASH` over none.
pub(crate) fn root<T>(items: &[T], encode: impl Fn(&T, &mut Vec<u8>)) -> B256 {
    let mut nodes = leaves(items, encode);
    while let Some(depth) = nodes.iter().map(|node| node.depth).max().filter(|depth| *depth > 0) {
        nodes = lifted(&nodes, depth);
    }
    match nodes.first() {
        None => EMPTY_ROOT_HASH,
        Some(Node { held: Held::Hash(hash), .. }) => *hash,
        Some(Node { held: Held::Inline(length, bytes), .. }) => keccak256(&bytes[..usize::from(*length)]),
    }
}

/// A node, hashed, with all that is below it.
#[derive(Clone, Copy)]
struct Node {
    /// Of any leaf below it.
    key: Key,
    /// Nibbles of the key on the way to it.
    depth: usize,
    held: Held,
}

/// What a parent holds of a node.
#[derive(Clone, Copy)]
enum Held {
    Hash(B256),
    /// So many bytes of these.
    Inline(u8, [u8; HASHED_FROM - 1]),
}

impl Held {
    /// Of a node that waits to be hashed.
    const UNKNOWN: Self = Self::Hash(B256::ZERO);

    const fn length(&self) -> usize {
        match self {
            Self::Hash(_) => 33,
            Self::Inline(length, _) => *length as usize,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hash(hash) => {
                out.push(EMPTY_STRING_CODE + 32);
                out.extend_from_slice(&hash[..]);
            }
            Self::Inline(length, bytes) => out.extend_from_slice(&bytes[..usize::from(*length)]),
        }
    }
}

/// rlp(index) from the top bit on, then zeros. No key is the beginning of another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u128);

impl Key {
    fn of(index: usize) -> Self {
        let rlp = alloy_rlp::encode_fixed_size(&index);
        let mut bytes = [0; 16];
        bytes[..rlp.len()].copy_from_slice(&rlp);
        Self(u128::from_be_bytes(bytes))
    }

    /// How many nibbles it has.
    const fn nibbles(self) -> usize {
        let bytes = self.0.to_be_bytes()[0].saturating_sub(EMPTY_STRING_CODE);
        2 * (bytes as usize + 1)
    }

    const fn nibble(self, at: usize) -> usize {
        (self.0 << (4 * at) >> 124) as usize
    }

    /// Nibbles from the start that two different keys have in common.
    const fn common(self, other: Self) -> usize {
        (self.0 ^ other.0).leading_zeros() as usize / 4
    }

    /// The depth of a node with this key, between its neighbours: below the branch where it parts from one of them, if it has any.
    fn depth(self, neighbours: [Option<Self>; 2]) -> usize {
        neighbours.into_iter().flatten().map(|other| self.common(other) + 1).max().unwrap_or(0)
    }

    /// RLP of some of its nibbles in hex-prefix encoding (yellow paper, appendix C), with the place of the first byte.
    fn path(self, nibbles: Range<usize>, is_leaf: bool) -> ([u8; 16], usize) {
        let count = nibbles.len();
        let bits = (self.0 << (4 * nibbles.start)).checked_shr(128 - 4 * count as u32).unwrap_or(0);
        let length = count / 2 + 1;
        let flag = 2 * u128::from(is_leaf) + count as u128 % 2;
        let mut bytes = (bits | flag << (8 * length - 4)).to_be_bytes();
        let mut start = bytes.len() - length;
        // One byte, below 0x80 as flags are, is its own encoding.
        if length > 1 {
            start -= 1;
            bytes[start] = EMPTY_STRING_CODE + length as u8;
        }
        (bytes, start)
    }
}

/// The leaves, by key.
fn leaves<T>(items: &[T], encode: impl Fn(&T, &mut Vec<u8>)) -> Vec<Node> {
    // 0 is 0x80, between 0x7f and 0x8180.
    let order = (1..items.len().min(128)).chain((!items.is_empty()).then_some(0)).chain(128..items.len());
    let mut order = order.map(|index| (index, Key::of(index))).peekable();
    let mut nodes: Vec<Node> = Vec::with_capacity(items.len());
    let mut waiting = Waiting::default();
    while let Some((index, key)) = order.next() {
        let depth = key.depth([nodes.last().map(|node| node.key), order.peek().map(|(_, key)| *key)]);
        let start = waiting.leaf(key, depth, |out| encode(&items[index], out));
        nodes.push(Node { key, depth, held: Held::UNKNOWN });
        waiting.add_last(start, &mut nodes);
    }
    waiting.hash(&mut nodes);
    nodes
}

/// The nodes by key, all that are at `depth`, the greatest, below a parent: a branch where there are more of the same, or the extension
/// of a branch.
fn lifted(nodes: &[Node], depth: usize) -> Vec<Node> {
    let mut parents: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut waiting = Waiting::default();
    let mut rest = nodes;
    while let Some((first, others)) = rest.split_first() {
        let key = first.key;
        let is_sibling = |node: &&Node| node.depth == depth && node.key.common(key) == depth - 1;
        let siblings = if first.depth == depth { others.iter().take_while(is_sibling).count() } else { 0 };
        let group = &rest[..=siblings];
        rest = &rest[1 + siblings..];
        if first.depth < depth {
            parents.push(*first);
            continue;
        }
        let (start, depth) = if siblings > 0 {
            (waiting.branch(group, depth), depth - 1)
        } else {
            let above = key.depth([parents.last().map(|node| node.key), rest.first().map(|node| node.key)]);
            (waiting.extension(first, above), above)
        };
        parents.push(Node { key, depth, held: Held::UNKNOWN });
        waiting.add_last(start, &mut parents);
    }
    waiting.hash(&mut parents);
    parents
}

/// Encoded nodes that are not hashed yet.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Where each lies in `bytes`, and its place among the nodes.
    spans: Vec<(Range<usize>, usize)>,
}

impl Waiting {
    /// Encodes a leaf; where it starts.
    fn leaf(&mut self, key: Key, depth: usize, encode: impl FnOnce(&mut Vec<u8>)) -> usize {
        let value = self.bytes.len() + ROOM;
        self.bytes.resize(value, 0);
        encode(&mut self.bytes);
        let (path, path_start) = key.path(depth..key.nibbles(), true);
        let path = &path[path_start..];
        let length = self.bytes.len() - value;
        let is_own_encoding = length == 1 && self.bytes[value] < EMPTY_STRING_CODE;
        let string = (!is_own_encoding).then_some(Header { list: false, payload_length: length });
        let payload_length = path.len() + string.as_ref().map_or(0, Header::length) + length;
        // What stands before the value is known only now.
        let mut head = [0; ROOM];
        let mut out = head.as_mut_slice();
        Header { list: true, payload_length }.encode(&mut out);
        out.put_slice(path);
        if let Some(string) = string {
            string.encode(&mut out);
        }
        let used = ROOM - out.len();
        self.bytes[value - used..value].copy_from_slice(&head[..used]);
        value - used
    }

    /// Encodes the branch over nodes at `depth`; where it starts.
    fn branch(&mut self, children: &[Node], depth: usize) -> usize {
        let start = self.bytes.len();
        // Of 17 items, the last a value, those that are not held are empty.
        let held: usize = children.iter().map(|child| child.held.length()).sum();
        Header { list: true, payload_length: held + 17 - children.len() }.encode(&mut self.bytes);
        let mut next = 0;
        for child in children {
            let nibble = child.key.nibble(depth - 1);
            self.bytes.resize(self.bytes.len() + nibble - next, EMPTY_STRING_CODE);
            child.held.encode(&mut self.bytes);
            next = nibble + 1;
        }
        self.bytes.resize(self.bytes.len() + 17 - next, EMPTY_STRING_CODE);
        start
    }

    /// Encodes the extension that leads from `depth` to a branch; where it starts.
    fn extension(&mut self, branch: &Node, depth: usize) -> usize {
        let start = self.bytes.len();
        let (path, path_start) = branch.key.path(depth..branch.depth, false);
        let path = &path[path_start..];
        Header { list: true, payload_length: path.len() + branch.held.length() }.encode(&mut self.bytes);
        self.bytes.extend_from_slice(path);
        branch.held.encode(&mut self.bytes);
        start
    }

    /// Takes what is encoded from `start` on as the last of `nodes`, and hashes if enough has come together.
    fn add_last(&mut self, start: usize, nodes: &mut [Node]) {
        let encoded = &self.bytes[start..];
        if encoded.len() >= HASHED_FROM {
            self.spans.push((start..self.bytes.len(), nodes.len() - 1));
        } else if let Some(node) = nodes.last_mut() {
            let mut bytes = [0; HASHED_FROM - 1];
            bytes[..encoded.len()].copy_from_slice(encoded);
            node.held = Held::Inline(encoded.len() as u8, bytes);
        }
        if self.bytes.len() >= BATCH {
            self.hash(nodes);
        }
    }

    fn hash(&mut self, nodes: &mut [Node]) {
        let messages: Vec<_> = self.spans.iter().map(|(span, _)| &self.bytes[span.clone()]).collect();
        let mut hashes = vec![B256::ZERO; messages.len()];
        keccak256_batch(Engine::best(), &messages, &mut hashes);
        for ((_, at), hash) in self.spans.drain(..).zip(hashes) {
            nodes[at].held = Held::Hash(hash);
        }
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_trie::root::ordered_trie_root_with_encoder;

    /// As alloy has it, one node after the other.
    fn expected(items: &[Vec<u8>]) -> B256 {
        ordered_trie_root_with_encoder(items, |item, out| out.extend_from_slice(item))
    }

    fn actual(items: &[Vec<u8>]) -> B256 {
        root(items, |item, out| out.extend_from_slice(item))
    }

    /// Bytes of every value, and lengths of 0 to 40 with some long ones between.
    fn mixed(count: usize, seed: usize) -> Vec<Vec<u8>> {
        let item = |index: usize| {
            let mixed = (index + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let length = if mixed.is_multiple_of(29) { mixed % 3001 } else { mixed % 41 };
            (0..length).map(|at| (mixed + 7 * at) as u8).collect()
        };
        (0..count).map(item).collect()
    }

    #[test]
    fn equals_alloy_for_every_count() {
        for count in 0..=600 {
            let items = mixed(count, 1000 * count);
            assert_eq!(actual(&items), expected(&items), "{count} items");
        }
    }

    #[test]
    fn equals_alloy_where_nodes_stand_in_their_parents() {
        for length in 0..=40 {
            for count in [1, 2, 3, 15, 16, 17, 127, 128, 129, 130, 144, 255, 256, 257, 258, 272, 300, 513] {
                for byte in [0, 0x7f, 0x80] {
                    let items = vec![vec![byte; length]; count];
                    assert_eq!(actual(&items), expected(&items), "{count} items of {length} bytes {byte}");
                }
            }
        }
    }

    #[test]
    fn equals_alloy_for_large_counts() {
        for count in [4095, 4096, 4097, 65_535, 65_536, 65_537, 65_538, 65_792, 65_793, 70_000] {
            let items: Vec<_> = mixed(count, 3);
            assert_eq!(actual(&items), expected(&items), "{count} items");
        }
    }

    #[test]
    fn equals_alloy_for_lengths_far_apart() {
        for lengths in [[0, 1, 55, 56, 255, 256, 65_535, 65_536], [2_000_000, 3, 140, 300_000, 135, 136, 20_000, 7]] {
            for count in [1, 8, 200] {
                let items: Vec<_> = (0..count).map(|at| vec![at as u8; lengths[at % 8]]).collect();
                assert_eq!(actual(&items), expected(&items), "{count} items of {lengths:?}");
            }
        }
    }

    #[test]
    fn a_wrong_item_or_order_changes_the_root() {
        let items = mixed(300, 5);
        for at in [0, 1, 127, 128, 255, 256, 299] {
            let mut wrong = items.clone();
            wrong[at].push(1);
            assert_ne!(actual(&wrong), actual(&items), "{at}");
        }
        let mut swapped = items.clone();
        swapped.swap(0, 128);
        assert_ne!(actual(&swapped), actual(&items));
        assert_ne!(actual(&items[..299]), actual(&items));
    }

    #[test]
    fn keys_are_ordered_and_have_their_lengths() {
        for (index, nibbles) in [(0, 2), (1, 2), (127, 2), (128, 4), (255, 4), (256, 6), (65_536, 8), (usize::MAX, 18)]
        {
            assert_eq!(Key::of(index).nibbles(), nibbles, "{index}");
        }
        let nodes = leaves(&mixed(1000, 9), |item, out| out.extend_from_slice(item));
        assert!(nodes.is_sorted_by_key(|node| node.key));
        assert_eq!(nodes.len(), 1000);
    }
}
