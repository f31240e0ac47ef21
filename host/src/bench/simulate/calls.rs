//! The calls of the workloads, each made from its number alone: the first so many are the same whatever the size.

use crate::{
    bench::{
        order::shuffled,
        world::{HOLDERS, World, input, wad, word},
    },
    random::splitmix,
    simulate::Call,
};
use alloy_primitives::{Address, B256, U256};

/// Calls of a sequence.
pub(super) const SEQUENCE: usize = 4;

/// One in so many transfers, and in so many calls of the mix and sequences, is made to revert.
pub(super) const TOKEN_FAILS: u64 = 100;
pub(super) const MIX_FAILS: u64 = 50;

/// The contracts of the mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Token,
    Pair,
    Router,
    Lending,
    Nft,
    Vote,
    SupplyChain,
    Loan,
}

impl Kind {
    pub(super) const ALL: [Self; 8] =
        [Self::Token, Self::Pair, Self::Router, Self::Lending, Self::Nft, Self::Vote, Self::SupplyChain, Self::Loan];

    /// Of call `index` of the mix: each eight in a row are all kinds, in an order of their own.
    pub(super) fn of(index: usize) -> Self {
        let len = Self::ALL.len();
        Self::ALL[shuffled(len, (index / len) as u64)[index % len]]
    }
}

/// Numbers that look random, of the call's own.
struct Dice(u64);

impl Dice {
    fn new(workload: u64, index: usize) -> Self {
        Self(workload << 32 ^ index as u64)
    }

    /// From zero to below `end`.
    fn below(&mut self, end: u64) -> u64 {
        splitmix(&mut self.0) % end
    }

    fn holder(&mut self) -> usize {
        self.below(HOLDERS as u64) as usize
    }

    /// Of the unit of 10^18: up to one, in millionths.
    fn amount(&mut self) -> U256 {
        wad(1 + self.below(1_000_000)) / U256::from(1_000_000)
    }
}

/// Whether call `index` of the workload `token` is made to revert.
pub(super) fn token_fails(index: usize) -> bool {
    Dice::new(1, index).below(TOKEN_FAILS) == 0
}

/// Whether call `index` of the workload `mix` is.
pub(super) fn mix_fails(index: usize) -> bool {
    Dice::new(2, index).below(MIX_FAILS) == 0
}

/// Whether sequence `index` is made of calls of which two revert.
pub(super) fn sequence_fails(index: usize) -> bool {
    Dice::new(3, index).below(MIX_FAILS) == 0
}

/// A transfer of a token from one of many holders to another.
pub(super) fn token(world: &World, index: usize) -> Call {
    let mut dice = Dice::new(4, index);
    let (from, to, amount) = (dice.holder(), dice.holder(), dice.amount());
    transfer(world, from, world.holders[to], if token_fails(index) { wad(20_000) } else { amount })
}

/// A call of one of eight contracts.
pub(super) fn mix(world: &World, index: usize) -> Call {
    let mut dice = Dice::new(5, index);
    let (from, fails) = (dice.holder(), mix_fails(index));
    match Kind::of(index) {
        Kind::Token => token_call(world, from, fails, &mut dice),
        Kind::Pair => pair_call(world, from, fails, &mut dice),
        Kind::Router => router_call(world, from, fails, &mut dice),
        Kind::Lending => lending_call(world, from, fails, &mut dice),
        Kind::Nft => {
            let price = if fails { U256::ONE } else { wad(1) / U256::from(100) };
            call(world, from, world.nft, "mint(address)", &[word(world.holders[dice.holder()])]).with_value(price)
        }
        Kind::Vote => {
            // Proposal 1 is open, proposal 2 is over.
            let (id, choice) = (if fails { 2 } else { 1 }, 1 + dice.below(3));
            call(world, from, world.vote, "castVote(uint256,uint8)", &[U256::from(id), U256::from(choice)])
        }
        Kind::SupplyChain => supply_chain_call(world, from, fails, &mut dice),
        Kind::Loan => loan_call(world, from, fails, &mut dice),
    }
}

/// Four calls that depend on each other: a holder lets a spender have tokens, who sends them to somebody new and trades
/// meanwhile; the new one passes them on.
pub(super) fn sequence(world: &World, index: usize) -> [Call; SEQUENCE] {
    let mut dice = Dice::new(6, index);
    let (holder, spender, last, amount) = (dice.holder(), dice.holder(), dice.holder(), dice.amount());
    let allowed = if sequence_fails(index) { amount - U256::ONE } else { amount };
    let newcomer = Address::from_word(B256::from(U256::ONE << 100 | U256::from(index)));
    let approve = [word(world.holders[spender]), allowed];
    let take = [word(world.holders[holder]), word(newcomer), amount];
    let pass_on = [word(world.holders[last]), amount];
    [
        call(world, holder, world.token, "approve(address,uint256)", &approve),
        call(world, spender, world.token, "transferFrom(address,address,uint256)", &take),
        swap(world, spender, amount, U256::ONE, &mut dice),
        Call::new(newcomer, world.token, input("transfer(address,uint256)", &pass_on)).with_gas(300_000),
    ]
}

fn call(world: &World, from: usize, to: Address, signature: &str, words: &[U256]) -> Call {
    Call::new(world.holders[from], to, input(signature, words)).with_gas(300_000)
}

fn transfer(world: &World, from: usize, to: Address, amount: U256) -> Call {
    call(world, from, world.token, "transfer(address,uint256)", &[word(to), amount])
}

fn swap(world: &World, from: usize, amount: U256, least: U256, dice: &mut Dice) -> Call {
    let direction = U256::from(dice.below(2));
    call(world, from, world.pair, "swap(bool,uint256,uint256)", &[direction, amount, least])
}

fn token_call(world: &World, from: usize, fails: bool, dice: &mut Dice) -> Call {
    let (other, amount) = (world.holders[dice.holder()], dice.amount());
    match dice.below(4) {
        _ if fails => transfer(world, from, other, wad(20_000)),
        0 => call(world, from, world.token, "balanceOf(address)", &[word(other)]),
        1 => call(world, from, world.token, "approve(address,uint256)", &[word(other), amount]),
        _ => transfer(world, from, other, amount),
    }
}

fn pair_call(world: &World, from: usize, fails: bool, dice: &mut Dice) -> Call {
    let amount = dice.amount();
    match dice.below(4) {
        _ if fails => swap(world, from, amount, wad(1_000), dice),
        0 => call(world, from, world.pair, "quote(bool,uint256)", &[U256::from(dice.below(2)), amount]),
        _ => swap(world, from, amount, U256::ONE, dice),
    }
}

fn router_call(world: &World, from: usize, fails: bool, dice: &mut Dice) -> Call {
    let amount = dice.amount();
    let [first, second] = world.open_pairs.map(word);
    let call = if !fails && dice.below(4) == 0 {
        // Two arrays of two: where each starts, the amount, then the lengths with what follows.
        let [one, two] = [U256::ONE, U256::from(2)];
        let words = [U256::from(0x60), U256::from(0xc0), amount, two, first, second, two, one, one];
        call(world, from, world.router, "quotePath(address[],bool[],uint256)", &words)
    } else {
        let least = if fails { wad(1_000) } else { U256::ONE };
        let words = [first, U256::ONE, amount, least];
        call(world, from, world.router, "swapExactIn(address,bool,uint256,uint256)", &words)
    };
    call.with_gas(600_000)
}

fn lending_call(world: &World, from: usize, fails: bool, dice: &mut Dice) -> Call {
    let amount = dice.amount();
    match dice.below(4) {
        _ if fails => call(world, from, world.lending, "borrow(uint256)", &[wad(1_000)]),
        0 => call(world, from, world.lending, "healthFactor(address)", &[word(world.holders[dice.holder()])]),
        1 => call(world, from, world.lending, "supply(uint256)", &[amount]),
        _ => call(world, from, world.lending, "borrow(uint256)", &[amount]),
    }
}

fn supply_chain_call(world: &World, from: usize, fails: bool, dice: &mut Dice) -> Call {
    let (own, other) = (World::item(from), word(world.holders[dice.holder()]));
    match dice.below(2) {
        // It was never received.
        _ if fails => call(world, from, world.supply_chain, "sell(bytes32,address)", &[own, other]),
        0 => call(world, from, world.supply_chain, "ship(bytes32,address)", &[own, other]),
        _ => call(world, from, world.supply_chain, "make(bytes32)", &[U256::from(dice.below(u64::MAX))]),
    }
}

fn loan_call(world: &World, from: usize, fails: bool, dice: &mut Dice) -> Call {
    // One ether is worth 2,000 of credit, of which two thirds can be had.
    let principal = if fails { wad(1_400) } else { wad(1_000) };
    if !fails && dice.below(2) == 0 {
        let words = [word(world.holders[dice.holder()]), dice.amount()];
        return call(world, from, world.loan, "sendCredit(address,uint256)", &words);
    }
    call(world, from, world.loan, "open(uint256)", &[principal]).with_value(wad(1))
}
