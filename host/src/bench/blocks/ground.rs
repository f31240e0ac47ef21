//! The state under the generated workloads of `bench blocks`: the world, and beside each contract that is shared as many copies as
//! there are holders, so that transactions can have nothing in common.

use crate::{
    bench::world::{HOLDERS, World, mapped, named, slot, wad, word},
    memory::MemoryState,
    state::AccountInfo,
};
use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};

/// Room for every transaction of a workload.
const BLOCK_GAS_LIMIT: u64 = 1 << 40;

/// The proposals that are nobody else's start here; below stand the sample's.
const OWN_PROPOSALS: u64 = 1_000;

/// Solidity's plain variables, which a copy of a contract takes over, stand below this slot.
const VARIABLES: u64 = 16;

/// JUMPDEST GAS PUSH2 10000 LT PUSH0 JUMPI: turns until hardly any gas is left.
const BURNER: [u8; 8] = [0x5b, 0x5a, 0x61, 0x27, 0x10, 0x10, 0x5f, 0x57];

/// Counts its callers, and burns all gas of one whose calldata is not the count.
/// PUSH0 CALLDATALOAD PUSH0 SLOAD DUP2 EQ PUSH1 next JUMPI, the burner's turns, STOP, next: PUSH1 1 ADD PUSH0 SSTORE STOP.
const TRAP: [u8; 25] = hex!("5f355f5481146013575b5a61271010600957005b6001015f55");

/// The world, and what is one holder's own in it.
#[derive(Clone, Debug)]
pub struct Ground {
    pub(super) world: World,
    /// Accounts that only receive: the first from everybody, the others one for each holder.
    pub(super) receivers: Vec<Address>,
    /// A market for each holder, where nobody else trades.
    pub(super) pairs: Vec<Address>,
    /// A market of everybody, beside the world's.
    pub(super) other_pair: Address,
    /// A collection for each holder.
    pub(super) nfts: Vec<Address>,
    /// Burns the gas that it is given.
    pub(super) burner: Address,
    /// Burns that of callers out of turn.
    pub(super) trap: Address,
}

impl Ground {
    /// The same every time.
    ///
    /// # Errors
    /// The sample block is none.
    pub fn new() -> Result<Self, String> {
        let mut world = World::new()?;
        world.env.gas_limit = BLOCK_GAS_LIMIT;
        let receivers: Vec<_> = (0..=HOLDERS).map(|index| place(&format!("receiver {index}"))).collect();
        for receiver in &receivers {
            world.state.insert_account(*receiver, AccountInfo { balance: wad(1), ..AccountInfo::default() });
        }
        let (pair, nft) = (world.pair, world.nft);
        let pairs = copies(&mut world.state, pair, "pair", HOLDERS);
        let nfts = copies(&mut world.state, nft, "nft", HOLDERS);
        let other_pair = copies(&mut world.state, pair, "other pair", 1)[0];
        for (own_pair, holder) in pairs.iter().zip(&world.holders) {
            for pair in [*own_pair, other_pair] {
                for ledger in [slot::PAIR_BALANCE0_OF, slot::PAIR_BALANCE1_OF] {
                    world.state.insert_slot(pair, mapped(U256::from(ledger), word(*holder)), wad(5_000));
                }
            }
        }
        open_proposals(&mut world);
        let burner = contract(&mut world.state, "burner", &BURNER);
        let trap = contract(&mut world.state, "trap", &TRAP);
        Ok(Self { world, receivers, pairs, other_pair, nfts, burner, trap })
    }

    /// The proposal that a holder votes on alone.
    pub(super) fn proposal(index: usize) -> U256 {
        U256::from(OWN_PROPOSALS + index as u64)
    }
}

fn place(name: &str) -> Address {
    Address::from_word(named(name))
}

fn contract(state: &mut MemoryState, name: &str, code: &'static [u8]) -> Address {
    let (address, code_hash) = (place(name), keccak256(code));
    state.insert_code(code_hash, Bytes::from_static(code));
    state.insert_account(address, AccountInfo { code_hash, nonce: 1, ..AccountInfo::default() });
    address
}

/// Contracts with the code and the plain variables of another.
fn copies(state: &mut MemoryState, of: Address, name: &str, count: usize) -> Vec<Address> {
    let info = state.accounts().find(|(address, _)| **address == of).map(|(_, info)| *info).unwrap_or_default();
    let is_variable = |address: &Address, slot: &U256| *address == of && *slot < U256::from(VARIABLES);
    let variables: Vec<_> = state
        .slots()
        .filter(|(address, slot, _)| is_variable(address, slot))
        .map(|(_, slot, value)| (*slot, *value))
        .collect();
    let copy = |index| {
        let address = place(&format!("{name} {index}"));
        state.insert_account(address, info);
        variables.iter().for_each(|(slot, value)| state.insert_slot(address, *slot, *value));
        address
    };
    (0..count).map(copy).collect()
}

/// A proposal for each holder, open for an hour.
fn open_proposals(world: &mut World) {
    let count = OWN_PROPOSALS + HOLDERS as u64;
    world.state.insert_slot(world.vote, U256::from(slot::VOTE_PROPOSAL_COUNT), U256::from(count));
    let closes_at = U256::from(world.env.timestamp + 3600) << 128;
    for index in 0..HOLDERS {
        let proposal = mapped(U256::from(slot::VOTE_PROPOSAL_OF), Ground::proposal(index));
        world.state.insert_slot(world.vote, proposal + U256::ONE, closes_at);
        world.state.insert_slot(world.vote, proposal + U256::from(2), B256::repeat_byte(1).into());
    }
}
