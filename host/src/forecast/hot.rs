//! Names that conflicts were about.

use super::{ALL, MOST_REMEMBERED};
use crate::access::make_room;
use alloy_primitives::map::HashMap;

/// Words of the table that tells most names that are not among them at a glance: nearly all that are asked for are not.
const WORDS: usize = 64;

/// Names that conflicts were about, and for how many blocks each is remembered.
#[derive(Clone, Debug)]
pub(super) struct HotNames {
    left: HashMap<u64, u32>,
    /// A bit for each of them, by twelve bits of the name, and for some that are forgotten.
    glance: [u64; WORDS],
}

impl Default for HotNames {
    fn default() -> Self {
        Self { left: HashMap::default(), glance: [0; WORDS] }
    }
}

/// Where the bit of a name is.
const fn place(name: u64) -> (usize, u64) {
    ((name >> 6) as usize % WORDS, 1 << (name % 64))
}

impl HotNames {
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.left.len()
    }

    pub(super) fn contains(&self, name: u64) -> bool {
        let (word, bit) = place(name);
        self.glance[word] & bit != 0 && self.left.contains_key(&name)
    }

    /// Changes for how many blocks a name is remembered: one at least, and zero is what was before for one that is not.
    pub(super) fn change(&mut self, name: u64, left: impl FnOnce(u32) -> u32) {
        make_room(&mut self.left, name, MOST_REMEMBERED);
        let held = self.left.entry(name).or_default();
        *held = left(*held).clamp(1, ALL);
        let (word, bit) = place(name);
        self.glance[word] |= bit;
    }

    /// A block is over.
    pub(super) fn fade(&mut self) {
        self.glance = [0; WORDS];
        let glance = &mut self.glance;
        self.left.retain(|name, left| {
            *left -= 1;
            let (word, bit) = place(*name);
            glance[word] |= if *left > 0 { bit } else { 0 };
            *left > 0
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.left.iter().map(|(name, left)| (*name, *left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_remembered_for_so_many_blocks() {
        let mut hot = HotNames::default();
        // The second shares the first one's bit.
        let (name, other) = (7, 7 + (1 << 12));
        hot.change(name, |left| left + 2);
        assert!(hot.contains(name) && !hot.contains(other) && !hot.contains(8));
        hot.change(other, |left| left);
        hot.fade();
        assert!(hot.contains(name) && !hot.contains(other));
        hot.fade();
        assert!(!hot.contains(name) && hot.is_empty());
        assert_eq!(hot.glance, [0; WORDS]);
    }
}
