//! The state under the workloads of `bench simulate` and `bench blocks`: the sample's contracts, and ten thousand holders
//! with a share in each.

use crate::{block::BlockEnv, block_file::BlockFile, memory::MemoryState, sample::SAMPLE, state::AccountInfo};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

/// Accounts that call. Fewer than revm's loop keeps from call to call, so that it never reads one twice.
pub(super) const HOLDERS: usize = 10_000;

/// Where Solidity keeps the variables, as `storageLayout` in `tests/contracts/artifacts` has it.
pub(super) mod slot {
    pub(super) const TOKEN_BALANCE_OF: u64 = 2;
    pub(super) const TOKEN_ALLOWANCE: u64 = 3;
    pub(in crate::bench) const PAIR_BALANCE0_OF: u64 = 2;
    pub(in crate::bench) const PAIR_BALANCE1_OF: u64 = 3;
    pub(super) const LENDING_POSITION_OF: u64 = 4;
    pub(super) const LENDING_COLLATERAL_BALANCE_OF: u64 = 5;
    pub(super) const LOAN_CREDIT_OF: u64 = 3;
    pub(in crate::bench) const VOTE_PROPOSAL_COUNT: u64 = 1;
    pub(super) const VOTE_WEIGHT_OF: u64 = 3;
    pub(in crate::bench) const VOTE_PROPOSAL_OF: u64 = 4;
    pub(super) const SUPPLY_CHAIN_IS_MAKER: u64 = 1;
    pub(super) const SUPPLY_CHAIN_ITEM_OF: u64 = 2;
}

/// `count` of the unit of 10^18.
pub(super) fn wad(count: u64) -> U256 {
    U256::from(count) * U256::from(1_000_000_000_000_000_000_u64)
}

/// An address as a word of calldata.
pub(super) fn word(address: Address) -> U256 {
    address.into_word().into()
}

/// The word that a name or number stands for.
pub(super) fn named(name: &str) -> B256 {
    keccak256(format!("lockstep bench {name}"))
}

/// Calldata: the selector of a signature and arguments of one word each.
pub(super) fn input(signature: &str, words: &[U256]) -> Bytes {
    let mut bytes = Vec::with_capacity(4 + 32 * words.len());
    bytes.extend(&keccak256(signature)[..4]);
    words.iter().for_each(|word| bytes.extend(word.to_be_bytes::<32>()));
    bytes.into()
}

/// Where the value of a key stands in the mapping that starts in `slot`.
pub(super) fn mapped(slot: U256, key: U256) -> U256 {
    keccak256([key.to_be_bytes::<32>(), slot.to_be_bytes()].concat()).into()
}

/// Block, state, and who is where in it.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) env: BlockEnv,
    pub(super) state: MemoryState,
    pub(super) holders: Vec<Address>,
    pub(super) token: Address,
    /// A market that keeps its own ledgers.
    pub(super) pair: Address,
    /// Markets over tokens 0 and 1, and 1 and 2.
    pub(super) open_pairs: [Address; 2],
    pub(super) router: Address,
    pub(super) lending: Address,
    pub(super) nft: Address,
    pub(super) vote: Address,
    pub(super) supply_chain: Address,
    pub(super) loan: Address,
}

impl World {
    /// The same every time. The sample is part of the binary, and a test of its own says that it parses.
    pub(super) fn new() -> Result<Self, String> {
        let file = BlockFile::parse(SAMPLE).map_err(|error| error.to_string())?;
        let place = |name: &str| Address::from_word(keccak256(format!("lockstep sample {name}")));
        let mut world = Self {
            env: file.block.env,
            state: file.state,
            holders: (0..HOLDERS).map(|index| Address::from_word(named(&format!("holder {index}")))).collect(),
            token: place("Token 0"),
            pair: place("Pair 0"),
            open_pairs: [place("open Pair 0"), place("open Pair 1")],
            router: place("Router"),
            lending: place("Lending"),
            nft: place("Nft"),
            vote: place("Vote"),
            supply_chain: place("SupplyChain"),
            loan: place("Loan"),
        };
        for index in 0..HOLDERS {
            world.endow(index);
        }
        Ok(world)
    }

    /// The item that a holder has made.
    pub(super) fn item(index: usize) -> U256 {
        named(&format!("item {index}")).into()
    }

    /// Gives a holder ether and a share in every contract.
    fn endow(&mut self, index: usize) {
        let holder = self.holders[index];
        self.state.insert_account(holder, AccountInfo { balance: wad(100), ..AccountInfo::default() });
        let of_holder = word(holder);
        let allowance = mapped(U256::from(slot::TOKEN_ALLOWANCE), of_holder);
        let collateral_and_debt = wad(10) | wad(1) << 128;
        // Its holder, step 1 (made), one step so far.
        let made = of_holder | U256::ONE << 160 | U256::ONE << 168;
        let entries = [
            (self.token, slot::TOKEN_BALANCE_OF, of_holder, wad(10_000)),
            (self.pair, slot::PAIR_BALANCE0_OF, of_holder, wad(5_000)),
            (self.pair, slot::PAIR_BALANCE1_OF, of_holder, wad(5_000)),
            (self.lending, slot::LENDING_POSITION_OF, of_holder, collateral_and_debt),
            (self.lending, slot::LENDING_COLLATERAL_BALANCE_OF, of_holder, wad(100)),
            (self.loan, slot::LOAN_CREDIT_OF, of_holder, wad(500)),
            (self.vote, slot::VOTE_WEIGHT_OF, of_holder, U256::from(1 + index)),
            (self.supply_chain, slot::SUPPLY_CHAIN_IS_MAKER, of_holder, U256::ONE),
            (self.supply_chain, slot::SUPPLY_CHAIN_ITEM_OF, Self::item(index), made),
        ];
        for (contract, variable, key, value) in entries {
            self.state.insert_slot(contract, mapped(U256::from(variable), key), value);
        }
        self.state.insert_slot(self.token, mapped(allowance, word(self.router)), U256::MAX);
    }
}
