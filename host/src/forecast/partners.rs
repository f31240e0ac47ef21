//! Calls that get in the way of others that share no name with them: who trades after another one at the same place, which neither says.

use super::{ALL, MOST_REMEMBERED};
use crate::access::make_room;
use alloy_primitives::map::{HashMap, HashSet};

/// Of a call, by target and selector, the one that last got in its way, and for how many blocks that is remembered.
#[derive(Clone, Debug, Default)]
pub(super) struct Partners {
    follows: HashMap<u64, (u64, u32)>,
    leads: HashSet<u64>,
}

impl Partners {
    pub(super) fn is_empty(&self) -> bool {
        self.follows.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.follows.len()
    }

    /// The call that another one had better run behind.
    pub(super) fn before(&self, call: u64) -> Option<u64> {
        self.follows.get(&call).map(|(by, _)| *by)
    }

    /// Whether any had better run behind this one.
    pub(super) fn leads(&self, call: u64) -> bool {
        self.leads.contains(&call)
    }

    /// For how many blocks more a call is remembered to have been in another one's way, whatever was before.
    pub(super) fn meet(&mut self, call: u64, by: u64, left: u32) {
        make_room(&mut self.follows, call, MOST_REMEMBERED);
        let held = self.follows.entry(call).or_insert((by, 0));
        *held = (by, held.1.saturating_add(left).clamp(1, ALL));
        self.leads.insert(by);
    }

    /// A block is over.
    pub(super) fn fade(&mut self) {
        self.follows.retain(|_, (_, left)| {
            *left -= 1;
            *left > 0
        });
        self.leads = self.follows.values().map(|(by, _)| *by).collect();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64, u32)> {
        self.follows.iter().map(|(call, (by, left))| (*call, *by, *left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_is_remembered_for_so_many_blocks() {
        let mut partners = Partners::default();
        partners.meet(7, 1, 1);
        partners.meet(7, 2, 1);
        assert_eq!((partners.before(7), partners.before(2)), (Some(2), None));
        assert!(partners.leads(2));
        partners.fade();
        assert!(partners.leads(2) && !partners.leads(1));
        partners.fade();
        assert!(partners.is_empty() && !partners.leads(2));
    }
}
