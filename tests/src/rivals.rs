//! Blocks whose transactions get in each other's way: chains of one sender, hot slots, balances that just suffice, a beneficiary
//! that somebody looks at, accounts that go and come back. Written transaction by transaction on what those before have left, so
//! that all of it is valid, but for one now and then. The same seed gives the same block.

mod code;

use crate::{
    programs::Calls,
    random::{Random, deploy, factory},
    set_code::{designator, insert},
};
use alloy_primitives::{Address, B256, U256, keccak256};
use code::Writer;
use lockstep::{
    commit::Committed,
    error::TxError,
    evm::{BlockGas, Revm},
    fork::Fork,
    intrinsic::{MAX_TX_GAS_OSAKA, intrinsic_gas},
    state::{AccountInfo, StateKey, StateRef},
    tx::{Authorization, Signature, Transaction, TxType},
};

/// The forks whose blocks may run on several threads.
pub const FORKS: [Fork; 11] = [
    Fork::SpuriousDragon,
    Fork::Byzantium,
    Fork::Petersburg,
    Fork::Istanbul,
    Fork::Berlin,
    Fork::London,
    Fork::Merge,
    Fork::Shanghai,
    Fork::Cancun,
    Fork::Prague,
    Fork::Osaka,
];

const SENDERS: usize = 9;
const CONTRACTS: usize = 9;

/// Of the senders: one that is not there before somebody pays it, and one that can hardly be paid.
const ABSENT: usize = 5;
const FULL: usize = 6;

/// Of those that any fork has, and one that only some have.
const PRECOMPILES: [Address; 5] = [
    Address::with_last_byte(1),
    Address::with_last_byte(2),
    Address::with_last_byte(3),
    Address::with_last_byte(4),
    Address::with_last_byte(9),
];

/// What one transfer costs at the highest price that a poor sender pays.
const FARE: u64 = 21_000 * 10;

/// A block, and the key of its state that cannot be read.
#[derive(Clone, Debug)]
pub struct Block {
    /// Environment, state, transactions.
    pub calls: Calls,
    /// If any.
    pub unreadable: Option<StateKey>,
}

/// Who there is.
#[derive(Debug)]
struct Cast {
    senders: Vec<Address>,
    contracts: Vec<Address>,
    /// Two that pay each other what the calldata say, from next to nothing.
    pair: [Address; 2],
    /// Deploys what can die at `child`, always the same.
    maker: Address,
    child: Address,
    /// Empty before the block.
    empties: [Address; 2],
    /// Reads slot 9 where slot 0 is zero, and has touched a precompile by then.
    trap: Address,
    /// Its code is nowhere.
    broken: Address,
    /// All that programs look at and transactions go to.
    known: Vec<Address>,
}

/// What a block is written with.
struct World {
    fork: Fork,
    random: Random,
    cast: Cast,
    beneficiary: Address,
    base_fee: u64,
    /// Where most transactions of this block go, and how many percent of them.
    favourites: Vec<Address>,
    crowding: u64,
    /// How many percent come from whoever sent the one before.
    chains: u64,
    last: Address,
}

/// The block of a seed.
pub fn block(seed: u64) -> Block {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x7269_7661_6c73);
    let fork = random.pick(&FORKS);
    let mut calls = Calls::new(fork);
    let cast = Cast::new(seed);
    calls.env.base_fee *= random.below(2);
    calls.env.beneficiary = beneficiary(&mut calls, &mut random, &cast);
    if random.chance(10) {
        calls.env.gas_limit = 2_000_000 + random.below(8_000_000);
    }
    let mut world = World {
        fork,
        beneficiary: calls.env.beneficiary,
        base_fee: calls.env.base_fee,
        favourites: (0..2 + random.below(4)).map(|_| random.pick(&cast.known)).collect(),
        crowding: random.pick(&[0, 20, 50, 90]),
        chains: random.pick(&[5, 30, 70, 95]),
        last: cast.senders[0],
        cast,
        random,
    };
    world.found(&mut calls);
    let unreadable = world.unreadable();
    world.fill(&mut calls);
    Block { calls, unreadable }
}

/// Who is paid: nobody yet, somebody who also sends, a contract, an account that is empty, one that is next to full.
fn beneficiary(calls: &mut Calls, random: &mut Random, cast: &Cast) -> Address {
    let usual = calls.env.beneficiary;
    let balance = match random.below(14) {
        0 | 1 => return usual,
        2 | 3 => return random.pick(&cast.senders),
        4 => return cast.senders[ABSENT],
        5 => return cast.contracts[0],
        6 => return random.pick(&cast.pair),
        7 => return cast.child,
        8 => return Address::with_last_byte(random.pick(&[2, 3, 9])),
        9 => U256::ZERO,
        10 => (U256::ONE << 255) - U256::from(random.below(1_000_000)),
        11 => U256::MAX - U256::from(random.below(1_000_000)),
        _ => U256::from(random.below(100)),
    };
    calls.state.insert_account(usual, AccountInfo { balance, ..AccountInfo::default() });
    usual
}

impl Cast {
    fn new(seed: u64) -> Self {
        let named = |name: &str, index: usize| Address::from_word(keccak256(format!("{name} {index} {seed}")));
        let senders: Vec<_> = (0..SENDERS).map(|index| named("sender", index)).collect();
        let contracts: Vec<_> = (0..CONTRACTS).map(|index| named("contract", index)).collect();
        let pair = [named("pair", 0), named("pair", 1)];
        let [maker, trap, broken] = ["maker", "trap", "broken"].map(|name| named(name, 0));
        let (_, child) = factory(maker, &code::mortal());
        let empties = [named("empty", 0), named("empty", 1)];
        let others = [
            named("absent", 0),
            named("absent", 1),
            empties[0],
            empties[1],
            child,
            maker,
            pair[0],
            pair[1],
            senders[0].create(0),
            senders[0].create(1),
            senders[1].create(1),
            contracts[0].create(1),
            contracts[1].create(1),
        ];
        let known = [&senders[..], &contracts, &others].concat();
        Self { senders, contracts, pair, maker, child, empties, trap, broken, known }
    }
}

impl World {
    /// The state before the block.
    fn found(&mut self, calls: &mut Calls) {
        let (fork, beneficiary) = (self.fork, self.beneficiary);
        let Self { random, cast, .. } = self;
        for index in (0..SENDERS).filter(|index| *index != ABSENT) {
            let balance = match index {
                3 | 4 => U256::from(FARE * random.below(4) + random.below(3)),
                FULL => U256::MAX - U256::from(random.below(1_000_000_000)),
                _ => U256::from(u128::MAX),
            };
            let nonce = if index == 7 { random.pick(&[0, 5, 5, u64::MAX - 3]) } else { 0 };
            calls.state.insert_account(cast.senders[index], AccountInfo { balance, nonce, ..AccountInfo::default() });
        }
        for (index, address) in cast.contracts.iter().enumerate() {
            let below = &cast.contracts[index + 1..];
            let mut writer = Writer { random, fork, known: &cast.known, below, beneficiary };
            // The last ones take back all that they do.
            let code = writer.contract(index + 2 >= CONTRACTS);
            let balance = if random.chance(10) { u64::MAX } else { random.below(6) };
            insert(calls, *address, u64::from(random.chance(90)), balance, code);
            for slot in 0..random.below(5) {
                calls.state.insert_slot(*address, U256::from(slot), U256::from(random.below(3)));
            }
        }
        for (from, to) in [(0, 1), (1, 0)] {
            insert(calls, cast.pair[from], 1, random.below(6), code::payer(cast.pair[to]));
        }
        insert(calls, cast.maker, 1, 3, factory(cast.maker, &code::mortal()).0);
        insert(calls, cast.trap, 1, 0, code::trap());
        let empties = if random.chance(30) { &[code::KEEPS_TOUCH][..] } else { &[] };
        for address in cast.empties.iter().chain(empties) {
            calls.state.insert_account(*address, AccountInfo::default());
        }
        let lost = AccountInfo { nonce: 1, code_hash: B256::repeat_byte(0xbd), ..AccountInfo::default() };
        calls.state.insert_account(cast.broken, lost);
        // Where something will be created: money, or what it collides with.
        if random.chance(50) {
            insert(calls, cast.senders[0].create(1), 0, 5, vec![]);
        }
        if random.chance(30) {
            insert(calls, cast.senders[1].create(1), 1, 0, vec![]);
        }
        for index in [1, 8] {
            if fork >= Fork::Prague && random.chance(60) {
                let to = random.pick(&cast.contracts);
                insert(calls, cast.senders[index], 1, u64::MAX, designator(to));
            }
        }
    }

    /// Now and then something that cannot be read.
    fn unreadable(&mut self) -> Option<StateKey> {
        let Self { random, cast, .. } = self;
        let slot = U256::from(random.below(4));
        match random.below(40) {
            0 => Some(StateKey::Account(random.pick(&cast.known))),
            1 => Some(StateKey::Slot(random.pick(&cast.contracts), slot)),
            2 => Some(StateKey::BlockHash(code::HASHED)),
            3 => Some(StateKey::Account(self.beneficiary)),
            4..8 => Some(StateKey::Slot(cast.trap, code::TRAPPED)),
            _ => None,
        }
    }

    /// The transactions, and at some index, perhaps, one that may not stand there.
    fn fill(&mut self, calls: &mut Calls) {
        let most = if self.random.chance(30) { 190 } else { 40 };
        let count = 10 + self.random.below(most) as usize;
        let mut spoilt = self.random.chance(15).then(|| self.random.below(count as u64) as usize);
        let Calls { env, state, txs, senders } = calls;
        let Ok(mut revm) = Revm::new(env, Committed::new(state)) else { return };
        let mut gas = BlockGas::default();
        // Many are invalid where the poor want to send.
        for _ in 0..4 * count {
            if txs.len() >= count {
                break;
            }
            let (mut tx, sender) = self.propose(revm.state(), txs.len());
            let spoils = spoilt == Some(txs.len());
            if spoils {
                self.spoil(&mut tx);
            }
            let ran = gas.check(env, &tx).map_err(TxError::from).and_then(|()| revm.transact(&tx, sender));
            let valid = ran.is_ok();
            if let Ok(outcome) = ran {
                gas.add(&tx, outcome.gas_used);
                revm.state_mut().commit(&outcome);
                self.last = sender;
            }
            if valid || spoils {
                txs.push(tx);
                senders.push(sender);
                spoilt = spoilt.filter(|_| !spoils || valid);
            }
        }
    }

    /// A transaction as it may come next.
    fn propose(&mut self, prefix: &Committed<'_>, index: usize) -> (Transaction, Address) {
        let info = |address: Address| prefix.account(&address).ok().flatten().unwrap_or_default();
        let sender = if self.random.chance(self.chains) { self.last } else { self.random.pick(&self.cast.senders) };
        let held = info(sender);
        let mut tx = Transaction::blank(TxType::Legacy, 1);
        (tx.hash, tx.nonce) = (keccak256(index.to_be_bytes()), held.nonce);
        let to = if self.random.chance(self.crowding) {
            self.random.pick(&self.favourites)
        } else {
            self.random.pick(&self.cast.known)
        };
        let (slot, who) = (self.random.below(8), self.random.pick(&self.cast.known));
        let data = [U256::from(slot).to_be_bytes_vec(), who.into_word().to_vec()].concat();
        tx.value = U256::from(self.random.pick(&[0, 0, 0, 1, 2, 5]));
        tx.to = Some(to);
        match self.random.below(24) {
            // Transfers: of little, of what a fare costs, of half.
            0..=5 => {
                let half = held.balance >> 1;
                let other = self.random.pick(&self.cast.senders);
                tx.to = Some(self.random.pick(&[to, to, who, other]));
                let fares = U256::from(FARE * self.random.below(3) + self.random.below(2));
                tx.value = self.random.pick(&[tx.value, tx.value, fares, fares, half]);
            }
            6 => tx.to = Some(self.beneficiary),
            7 | 8 => {
                let place = self.random.below(2) as usize;
                (tx.to, tx.input) =
                    (Some(self.cast.pair[place]), U256::from(self.random.below(7)).to_be_bytes_vec().into());
            }
            9 => tx.to = Some(self.cast.maker),
            10 | 11 => {
                tx.to = Some(self.cast.child);
                // Without data it dies.
                tx.input = if self.random.chance(60) { data.into() } else { Default::default() };
            }
            12 => {
                tx.to = Some(self.cast.trap);
                tx.input = if self.random.chance(30) { data.into() } else { Default::default() };
            }
            13 | 14 => {
                let mut writer = Writer {
                    random: &mut self.random,
                    fork: self.fork,
                    known: &self.cast.known,
                    below: &[],
                    beneficiary: self.beneficiary,
                };
                let code = writer.created();
                (tx.to, tx.input) = (None, if self.random.chance(20) { code } else { deploy(&code) }.into());
            }
            15 => tx.to = Some(PRECOMPILES[self.random.below(PRECOMPILES.len() as u64) as usize]),
            16 if self.random.chance(10) => tx.to = Some(self.cast.broken),
            17 | 18 if self.fork >= Fork::Prague => {
                for _ in 0..=self.random.below(2) {
                    let tuple = self.authorize(prefix, sender);
                    tx.authorizations.push(tuple);
                }
                tx.input = data.into();
            }
            19 | 20 => {
                tx.to = Some(self.cast.senders[self.random.pick(&[1, 8])]);
                tx.input = data.into();
            }
            _ => {
                tx.to =
                    Some(if self.random.chance(self.crowding) { to } else { self.random.pick(&self.cast.contracts) });
                tx.input = data.into();
            }
        }
        self.adjust(&mut tx, held.balance);
        (tx, sender)
    }

    /// A tuple that counts, mostly.
    fn authorize(&mut self, prefix: &Committed<'_>, sender: Address) -> Authorization {
        let random = &mut self.random;
        let Cast { senders, contracts, pair, child, empties, .. } = &self.cast;
        let any = random.pick(senders);
        let authority = random.pick(&[senders[1], senders[8], any, sender, self.beneficiary, empties[0]]);
        let held = prefix.account(&authority).ok().flatten().unwrap_or_default().nonce;
        let nonce = held.saturating_add(u64::from(authority == sender) + u64::from(random.chance(10)));
        let any = random.pick(contracts);
        let address = random.pick(&[any, any, contracts[0], pair[0], *child, Address::ZERO]);
        let chain_id = U256::from(random.below(12) % 3);
        Authorization {
            chain_id,
            address,
            nonce,
            signing_hash: Authorization::hash_for_signing(chain_id, address, nonce),
            signature: Signature::default(),
            raw_parity: 0,
            // As if it had been recovered.
            authority: Some(Some(authority)),
        }
    }

    /// Adds what the types carry, and a gas limit: of the poor just what they need.
    fn adjust(&mut self, tx: &mut Transaction, balance: U256) {
        let random = &mut self.random;
        let kinds: &[TxType] = match self.fork {
            fork if fork >= Fork::Cancun && tx.to.is_some() => {
                &[TxType::Legacy, TxType::AccessList, TxType::DynamicFee, TxType::DynamicFee, TxType::Blob]
            }
            fork if fork >= Fork::London => &[TxType::Legacy, TxType::AccessList, TxType::DynamicFee],
            fork if fork >= Fork::Berlin => &[TxType::Legacy, TxType::AccessList],
            _ => &[TxType::Legacy],
        };
        tx.tx_type = if tx.authorizations.is_empty() { random.pick(kinds) } else { TxType::SetCode };
        tx.max_fee_per_gas = U256::from(self.base_fee + random.pick(&[0, 1, 3, 3, 3, 30]));
        match tx.tx_type {
            TxType::Legacy => tx.chain_id = random.pick(&[Some(1), Some(1), None]),
            TxType::AccessList => {}
            _ => tx.max_priority_fee_per_gas = Some(tx.max_fee_per_gas.min(U256::from(random.below(8)))),
        }
        if tx.tx_type == TxType::Blob {
            tx.max_fee_per_blob_gas = U256::from(1000);
            tx.blob_hashes = vec![B256::right_padding_from(&[1, 7])];
        }
        if tx.tx_type != TxType::Legacy {
            for _ in 0..random.pick(&[0, 0, 0, 1, 3]) {
                let slots = (0..random.below(3)).map(|slot| U256::from(slot).into()).collect();
                tx.access_list.push((random.pick(&self.cast.known), slots));
            }
        }
        let least = intrinsic_gas(tx, self.fork);
        let more = match random.below(10) {
            0 => 0,
            1 => random.below(100),
            2 => random.below(8_000),
            3 => random.below(60_000),
            _ => 200_000 + random.below(600_000),
        };
        let poor = balance < U256::from(10 * FARE);
        tx.gas_limit = least.initial.max(least.floor) + if poor { more / 1000 } else { more };
        if self.fork >= Fork::Osaka {
            tx.gas_limit = tx.gas_limit.min(MAX_TX_GAS_OSAKA);
        }
        if poor && random.chance(40) {
            // To the last wei.
            let price = tx.max_fee_per_gas * U256::from(tx.gas_limit);
            tx.value = balance.saturating_sub(price);
        }
    }

    /// Breaks one rule.
    fn spoil(&mut self, tx: &mut Transaction) {
        match self.random.below(9) {
            0 => tx.nonce = tx.nonce.wrapping_add(1),
            1 => tx.nonce = tx.nonce.wrapping_sub(1),
            2 => tx.nonce = tx.nonce.wrapping_add(1 + self.random.below(40)),
            3 => tx.value = U256::MAX - U256::from(self.random.below(1 << 40)),
            4 => tx.gas_limit = 20_000,
            5 => tx.gas_limit = u64::MAX - self.random.below(2),
            6 => tx.chain_id = Some(5),
            7 => tx.max_priority_fee_per_gas = Some(U256::MAX),
            _ => tx.blob_hashes = vec![B256::right_padding_from(&[1, 7]); 12],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_block_and_another_seed_another() {
        let [one, again, other] = [5, 5, 6].map(block);
        assert_eq!((&one.calls.txs, &one.calls.state), (&again.calls.txs, &again.calls.state));
        assert_ne!(one.calls.txs, other.calls.txs);
        assert!(one.calls.txs.len() >= 10);
    }
}
