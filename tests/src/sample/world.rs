//! The state under the sample block: who has what, and which contracts stand where.

use crate::{
    contracts::{Arg, Contract, ContractError, mapping_slot, word},
    sign::Wallet,
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use lockstep::{memory::MemoryState, state::AccountInfo};

/// "LOCK": a chain of our own, so that nothing signed here is valid anywhere else.
pub const CHAIN_ID: u64 = 0x4c4f_434b;

/// Seconds since the epoch.
pub const TIMESTAMP: u64 = 1_767_225_600;

/// 10^18: wei in an ether, and one in contracts that count in fixed point.
pub const WAD: u128 = 1_000_000_000_000_000_000;

const USERS: usize = 32;

/// `count` of the unit of 10^18.
pub fn wad(count: u64) -> U256 {
    U256::from(count) * U256::from(WAD)
}

/// A name's address, without a key.
pub fn place(name: &str) -> Address {
    Address::from_word(keccak256(format!("lockstep sample {name}")))
}

/// A name's wallet.
pub fn wallet(name: &str) -> Wallet {
    Wallet::new(&format!("lockstep sample {name}"))
}

/// A contract at its address.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// What it is.
    pub contract: Contract,
    /// Where it stands.
    pub address: Address,
}

impl Deployed {
    /// Calldata for it.
    ///
    /// # Errors
    /// It has no such function.
    pub fn input(&self, signature: &str, args: &[Arg]) -> Result<Bytes, ContractError> {
        self.contract.call(signature, args)
    }

    /// The storage key of `variable[keys[0]][keys[1]]…`.
    ///
    /// # Errors
    /// It has no such variable.
    pub fn key(&self, variable: &str, keys: &[U256]) -> Result<U256, ContractError> {
        Ok(keys.iter().fold(self.contract.slot(variable)?, |slot, key| mapping_slot(*key, slot)))
    }
}

/// Accounts, contracts and wallets.
#[derive(Clone, Debug)]
pub struct World {
    /// The state; more than the block reads of it.
    pub state: MemoryState,
    /// Wallets with ether and a share in every contract.
    pub users: Vec<Wallet>,
    /// Owner of everything that has an owner.
    pub owner: Wallet,
    /// Receives the fees; has nothing else.
    pub beneficiary: Wallet,
    /// ERC-20 tokens.
    pub tokens: Vec<Deployed>,
    /// Markets with ledgers of their own.
    pub pairs: Vec<Deployed>,
    /// Markets over tokens 0 and 1, and over tokens 1 and 2.
    pub open_pairs: Vec<Deployed>,
    /// Hot slots.
    pub counters: Vec<Deployed>,
    /// Collectibles.
    pub nft: Deployed,
    /// Ballots: proposal 1 is open, proposal 2 over.
    pub vote: Deployed,
    /// A pool whose interest is due.
    pub lending: Deployed,
    /// Fixed-term loans.
    pub loan: Deployed,
    /// Items.
    pub supply_chain: Deployed,
    /// Calls pairs and tokens.
    pub router: Deployed,
    /// Creates pairs and clones.
    pub factory: Deployed,
}

/// Puts contracts and slots into a state.
struct Founder {
    state: MemoryState,
    owner: Address,
}

impl Founder {
    fn deploy(&mut self, contract: &str, name: &str) -> Result<Deployed, ContractError> {
        let deployed = Deployed { contract: Contract::load(contract)?, address: place(name) };
        let code_hash = keccak256(&deployed.contract.runtime_code);
        self.state.insert_code(code_hash, deployed.contract.runtime_code.clone());
        self.state.insert_account(deployed.address, AccountInfo { balance: U256::ZERO, nonce: 1, code_hash });
        if deployed.contract.slot("owner").is_ok() {
            self.set(&deployed, "owner", &[], word(self.owner))?;
        }
        Ok(deployed)
    }

    fn deploy_all(&mut self, contract: &str, count: usize) -> Result<Vec<Deployed>, ContractError> {
        (0..count).map(|i| self.deploy(contract, &format!("{contract} {i}"))).collect()
    }

    fn set(&mut self, deployed: &Deployed, variable: &str, keys: &[U256], value: U256) -> Result<(), ContractError> {
        let slot = deployed.key(variable, keys)?;
        self.state.insert_slot(deployed.address, slot, value);
        Ok(())
    }

    fn fund(&mut self, address: Address, balance: U256) {
        self.state.insert_account(address, AccountInfo { balance, ..AccountInfo::default() });
    }

    /// Reserves share a slot with the time of their last change.
    fn fill(&mut self, pair: &Deployed, reserve0: U256, reserve1: U256) -> Result<(), ContractError> {
        let packed = reserve0 | reserve1 << 112 | U256::from(TIMESTAMP - 60) << 224;
        self.set(pair, "reserve0", &[], packed)
    }
}

impl World {
    /// The world before the first transaction.
    ///
    /// # Errors
    /// An artefact does not hold what is asked of it.
    pub fn new() -> Result<Self, ContractError> {
        let users: Vec<_> = (0..USERS).map(|i| wallet(&format!("user {i}"))).collect();
        let owner = wallet("owner");
        let mut founder = Founder { state: MemoryState::default(), owner: owner.address() };
        founder.fund(owner.address(), wad(100));
        for user in &users {
            founder.fund(user.address(), wad(100));
        }
        let mut world = Self {
            tokens: founder.deploy_all("Token", 3)?,
            pairs: founder.deploy_all("Pair", 4)?,
            open_pairs: (0..2).map(|i| founder.deploy("Pair", &format!("open Pair {i}"))).collect::<Result<_, _>>()?,
            counters: founder.deploy_all("Counter", 3)?,
            nft: founder.deploy("Nft", "Nft")?,
            vote: founder.deploy("Vote", "Vote")?,
            lending: founder.deploy("Lending", "Lending")?,
            loan: founder.deploy("Loan", "Loan")?,
            supply_chain: founder.deploy("SupplyChain", "SupplyChain")?,
            router: founder.deploy("Router", "Router")?,
            factory: founder.deploy("Factory", "Factory")?,
            beneficiary: wallet("beneficiary"),
            state: MemoryState::default(),
            users,
            owner,
        };
        world.give_tokens(&mut founder)?;
        world.fill_markets(&mut founder)?;
        world.open_ballots(&mut founder)?;
        world.fill_pool(&mut founder)?;
        founder.set(&world.nft, "price", &[], U256::from(WAD / 100))?;
        founder.set(&world.supply_chain, "isMaker", &[word(world.users[0].address())], U256::ONE)?;
        world.state = founder.state;
        Ok(world)
    }

    fn give_tokens(&self, founder: &mut Founder) -> Result<(), ContractError> {
        for token in &self.tokens {
            founder.set(token, "totalSupply", &[], wad(1_000_000_000))?;
            for holder in self.users.iter().chain([&self.owner]) {
                founder.set(token, "balanceOf", &[word(holder.address())], wad(10_000))?;
            }
        }
        Ok(())
    }

    fn fill_markets(&self, founder: &mut Founder) -> Result<(), ContractError> {
        for (i, pair) in self.pairs.iter().enumerate() {
            founder.fill(pair, wad(1_000_000), wad(500_000 * (i as u64 + 1)))?;
            founder.set(pair, "totalShares", &[], wad(700_000))?;
            for user in &self.users {
                founder.set(pair, "balance0Of", &[word(user.address())], wad(5_000))?;
                founder.set(pair, "balance1Of", &[word(user.address())], wad(5_000))?;
            }
        }
        for (i, pair) in self.open_pairs.iter().enumerate() {
            founder.fill(pair, wad(200_000), wad(300_000))?;
            for (side, token) in ["token0", "token1"].into_iter().zip(&self.tokens[i..i + 2]) {
                founder.set(pair, side, &[], word(token.address))?;
                founder.set(token, "balanceOf", &[word(pair.address)], wad(400_000))?;
            }
        }
        for user in &self.users[..4] {
            founder.set(&self.tokens[0], "allowance", &[word(user.address()), word(self.router.address)], U256::MAX)?;
        }
        Ok(())
    }

    fn open_ballots(&self, founder: &mut Founder) -> Result<(), ContractError> {
        founder.set(&self.vote, "proposalCount", &[], U256::from(2))?;
        founder.set(&self.vote, "quorum", &[], U256::from(100))?;
        for (id, closes_at, yes) in [(1, TIMESTAMP + 86_400, 0_u64), (2, TIMESTAMP - 1, 1_000)] {
            let first = self.vote.key("proposalOf", &[U256::from(id)])?;
            let words = [U256::from(yes), U256::from(closes_at) << 128, keccak256([id as u8]).into()];
            for (offset, value) in words.into_iter().enumerate() {
                founder.state.insert_slot(self.vote.address, first + U256::from(offset), value);
            }
        }
        for (i, user) in self.users.iter().enumerate() {
            founder.set(&self.vote, "weightOf", &[word(user.address())], U256::from(10 * (i + 1)))?;
        }
        Ok(())
    }

    fn fill_pool(&self, founder: &mut Founder) -> Result<(), ContractError> {
        let ray = U256::from(10).pow(U256::from(27));
        founder.set(&self.lending, "price", &[], wad(2))?;
        founder.set(&self.lending, "index", &[], ray | U256::from(TIMESTAMP - 3_600) << 128)?;
        founder.set(&self.lending, "cash", &[], wad(1_000_000))?;
        founder.set(&self.loan, "price", &[], wad(2_000))?;
        for user in &self.users {
            let user = word(user.address());
            founder.set(&self.lending, "collateralBalanceOf", &[user], wad(100))?;
            founder.set(&self.lending, "cashBalanceOf", &[user], wad(100))?;
            founder.set(&self.loan, "creditOf", &[user], wad(500))?;
        }
        Ok(())
    }
}

/// A serial number.
pub fn serial(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}
