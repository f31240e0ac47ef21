//! The transactions of the generated workloads, from their number alone. Every sender has one, but for items that are handed on.

use super::ground::Ground;
use crate::{
    bench::{
        order::shuffled,
        world::{HOLDERS, World, input, wad, word},
    },
    tx::{Transaction, TxType},
};
use alloy_primitives::{Address, Bytes, U256, map::AddressMap};

/// The shares of hot transactions, in percent.
pub const HOT: [usize; 3] = [0, 30, 90];

/// Workloads of which a share is hot: those all use one account, market, pool, collection, proposal or item, the others nothing that
/// another one uses.
pub const SHARED: [&str; 7] = ["transfers", "token", "swaps", "lending", "nft", "vote", "supply-chain"];

/// Workloads that are hard to divide: each transaction on the one before; two markets in turn; a few huge ones at the end; one slot
/// of all; calls that are cheap in order, and burn all their gas out of it.
pub const ADVERSE: [&str; 5] = ["serial", "alternating", "bombs", "slot", "trap"];

/// Huge transactions at the end of `bombs`, and the gas of each, and of those of `trap`: below the most that a transaction may have (EIP-7825).
const BOMBS: usize = 4;
const BOMB_GAS: u64 = 15_000_000;

/// Of the others.
const GAS: u64 = 300_000;

/// For the beneficiary, in wei.
const TIP: u64 = 1_000_000_000;

/// Transactions and their senders.
pub(super) type Signed = (Vec<Transaction>, Vec<Address>);

/// What a transaction is, besides who sends it and its nonce.
struct Action {
    to: Address,
    value: U256,
    input: Bytes,
    gas: u64,
}

impl Action {
    const fn call(to: Address, input: Bytes) -> Self {
        Self { to, value: U256::ZERO, input, gas: GAS }
    }
}

/// `n` transactions of one of [`SHARED`], of which so many percent are hot, spread among the others.
pub(super) fn shared(ground: &Ground, name: &str, hot: usize, n: usize) -> Option<Signed> {
    let mut places = shuffled(n, 1);
    places.truncate(n * hot / 100);
    places.sort_unstable();
    let mut turns = places.iter().enumerate().peekable();
    let each = |index: usize| match turns.next_if(|(_, place)| **place == index) {
        Some((turn, _)) => hot_action(ground, name, index, turn, &places),
        None => Some((index, cold_action(ground, name, index)?)),
    };
    let actions: Option<Vec<_>> = (0..n).map(each).collect();
    Some(signed(ground, actions?))
}

/// `n` transactions of one of [`ADVERSE`].
pub(super) fn adverse(ground: &Ground, name: &str, n: usize) -> Option<Signed> {
    let world = &ground.world;
    let each = |index: usize| {
        let action = match name {
            "serial" => transfer(world, world.holders[(index + 1) % HOLDERS], index),
            "alternating" => swap(if index.is_multiple_of(2) { world.pair } else { ground.other_pair }, index),
            "bombs" if index + BOMBS >= n => Action { gas: BOMB_GAS, ..Action::call(ground.burner, Bytes::new()) },
            "bombs" => cold_action(ground, "token", index)?,
            "slot" => mint(world.nft, world.holders[index]),
            "trap" => Action { gas: BOMB_GAS, ..Action::call(ground.trap, U256::from(index).to_be_bytes_vec().into()) },
            _ => return None,
        };
        Some((index, action))
    };
    let actions: Option<Vec<_>> = (0..n).map(each).collect();
    Some(signed(ground, actions?))
}

/// Gives each its sender, the holder of that number, and the nonce that is next.
fn signed(ground: &Ground, actions: Vec<(usize, Action)>) -> Signed {
    let env = &ground.world.env;
    let mut nonces = AddressMap::default();
    let each = |(holder, action): (usize, Action)| {
        let sender = ground.world.holders[holder];
        let next: &mut u64 = nonces.entry(sender).or_default();
        let nonce = *next;
        *next += 1;
        let tx = Transaction {
            nonce,
            gas_limit: action.gas,
            max_fee_per_gas: U256::from(env.base_fee) + U256::from(TIP),
            max_priority_fee_per_gas: Some(U256::from(TIP)),
            to: Some(action.to),
            value: action.value,
            input: action.input,
            ..Transaction::blank(TxType::DynamicFee, env.chain_id)
        };
        (tx, sender)
    };
    actions.into_iter().map(each).unzip()
}

/// What uses nothing that another one uses, sent by the holder of that number.
fn cold_action(ground: &Ground, name: &str, index: usize) -> Option<Action> {
    let world = &ground.world;
    let receiver = ground.receivers[1 + index];
    Some(match name {
        "transfers" => send(receiver, index),
        "token" => transfer(world, receiver, index),
        "swaps" => swap(ground.pairs[index], index),
        "lending" => Action::call(world.lending, input("supply(uint256)", &[amount(index)])),
        "nft" => mint(ground.nfts[index], receiver),
        "vote" => vote(world, Ground::proposal(index), index),
        "supply-chain" => ship(world, World::item(index), receiver),
        _ => return None,
    })
}

/// What all use, and who sends it. `places` are those of the hot ones, of which this one is number `turn`.
fn hot_action(ground: &Ground, name: &str, index: usize, turn: usize, places: &[usize]) -> Option<(usize, Action)> {
    let world = &ground.world;
    let action = match name {
        "transfers" => send(ground.receivers[0], index),
        "token" => transfer(world, ground.receivers[0], index),
        "swaps" => swap(world.pair, index),
        "lending" => Action::call(world.lending, input("borrow(uint256)", &[amount(index)])),
        "nft" => mint(world.nft, ground.receivers[1 + index]),
        "vote" => vote(world, U256::ONE, index),
        // An item of the first, who ships it to the second, who accepts it and ships it to the third.
        "supply-chain" => {
            let item = World::item(places[0]);
            let (from, to) = (places[turn / 2], places.get(turn / 2 + 1));
            return Some(match (turn % 2, to) {
                (1, Some(to)) => (*to, Action::call(world.supply_chain, input("accept(bytes32)", &[item]))),
                (_, to) => (from, ship(world, item, to.map_or(ground.receivers[0], |to| world.holders[*to]))),
            });
        }
        _ => return None,
    };
    Some((index, action))
}

/// Small enough for everybody to have it.
fn amount(index: usize) -> U256 {
    wad(1) / U256::from(1_000 + index)
}

fn send(to: Address, index: usize) -> Action {
    Action { to, value: amount(index), input: Bytes::new(), gas: 21_000 }
}

fn transfer(world: &World, to: Address, index: usize) -> Action {
    Action::call(world.token, input("transfer(address,uint256)", &[word(to), amount(index)]))
}

fn swap(pair: Address, index: usize) -> Action {
    let direction = U256::from(index / 2 % 2);
    Action::call(pair, input("swap(bool,uint256,uint256)", &[direction, amount(index), U256::ONE]))
}

fn mint(nft: Address, to: Address) -> Action {
    let price = wad(1) / U256::from(100);
    Action { value: price, ..Action::call(nft, input("mint(address)", &[word(to)])) }
}

fn vote(world: &World, proposal: U256, index: usize) -> Action {
    let choice = U256::from(1 + index % 3);
    Action::call(world.vote, input("castVote(uint256,uint8)", &[proposal, choice]))
}

fn ship(world: &World, item: U256, to: Address) -> Action {
    Action::call(world.supply_chain, input("ship(bytes32,address)", &[item, word(to)]))
}
