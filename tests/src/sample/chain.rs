//! A chain of blocks like the sample's, for a node's loop: the scenes again and again on the state that they left, and beside them what
//! a block's system calls are there for: deposits, withdrawal requests, consolidations, withdrawals.

use super::{
    SampleError, interleave,
    scenes::{self, GWEI, Scene, Step},
    sign,
    world::{CHAIN_ID, TIMESTAMP, World, place, wad},
};
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS,
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
};
use alloy_primitives::{Address, B256, Bytes, U256, b256, keccak256, map::AddressMap};
use lockstep::{
    block::{BlobParams, Block, BlockEnv},
    fork::Fork,
    memory::MemoryState,
    state::AccountInfo,
};

/// Transactions of each block.
pub const TXS: usize = 400;

/// The forks of the blocks.
pub const FORKS: [Fork; 6] = [Fork::Prague, Fork::Prague, Fork::Prague, Fork::Osaka, Fork::Osaka, Fork::Osaka];

/// Topic of the deposit contract's event (EIP-6110).
const DEPOSIT_EVENT: B256 = b256!("649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");

/// Where in the deposit event's data each field stands, and its length (EIP-6110).
const DEPOSIT_FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];

/// Length of the deposit event's data.
const DEPOSIT_DATA: usize = 576;

/// A block, and what the consensus layer pays with it.
#[derive(Clone, Debug)]
pub struct ChainBlock {
    /// Environment and transactions.
    pub block: Block,
    /// To whom, and how many gwei.
    pub withdrawals: Vec<(Address, u64)>,
}

/// Blocks on each other, and the state under the first.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The genesis.
    pub state: MemoryState,
    /// As many as there are [`FORKS`].
    pub blocks: Vec<ChainBlock>,
}

/// Builds the chain: the same on every call.
///
/// # Errors
/// See [`SampleError`].
pub fn build() -> Result<Chain, SampleError> {
    let mut world = World::new()?;
    found(&mut world);
    let mut nonces = AddressMap::default();
    let mut block = |(index, fork): (u64, Fork)| {
        let mut scenes = scenes::all(&world)?;
        scenes.push(requests(&world, index)?);
        let steps: usize = scenes.iter().map(Vec::len).sum();
        scenes.push(everyday(&world, TXS.saturating_sub(steps))?);
        let transactions = sign(interleave(scenes), &mut nonces);
        let withdrawals = vec![
            (world.users[index as usize].address(), 1_000_000_000 + index),
            (place(&format!("validator {index}")), 32_000_000_000),
            (place("validator"), 1),
            (place("nobody's validator"), 0),
        ];
        Ok(ChainBlock { block: Block { env: env(&world, index, fork), transactions }, withdrawals })
    };
    let blocks = (0..).zip(FORKS).map(&mut block).collect::<Result<_, SampleError>>()?;
    Ok(Chain { state: world.state, blocks })
}

fn env(world: &World, index: u64, fork: Fork) -> BlockEnv {
    BlockEnv {
        chain_id: CHAIN_ID,
        fork,
        number: 1_000_000 + index,
        timestamp: TIMESTAMP + 12 * index,
        beneficiary: world.beneficiary.address(),
        gas_limit: 60_000_000,
        base_fee: GWEI,
        difficulty: U256::ZERO,
        prevrandao: keccak256(format!("lockstep chain prevrandao {index}")),
        excess_blob_gas: 20 << 20,
        blob_params: BlobParams::of(fork),
        blob_price: None,
    }
}

/// Enough ether for all blocks, and the contracts of the system.
fn found(world: &mut World) {
    let rich = AccountInfo { balance: wad(10_000), ..AccountInfo::default() };
    for wallet in world.users.iter().chain([&world.owner]) {
        world.state.insert_account(wallet.address(), rich);
    }
    // CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY, PUSH32 topic CALLDATASIZE PUSH0 LOG1: tells of whatever deposit it is given.
    let deposits = [&[0x36, 0x5f, 0x5f, 0x37, 0x7f], DEPOSIT_EVENT.as_slice(), &[0x36, 0x5f, 0xa1]].concat();
    for (address, code) in [
        (HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone()),
        (BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE.clone()),
        (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone()),
        (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone()),
        (MAINNET_DEPOSIT_CONTRACT_ADDRESS, deposits.into()),
    ] {
        let code_hash = keccak256(&code);
        world.state.insert_code(code_hash, code);
        world.state.insert_account(address, AccountInfo { balance: U256::ZERO, nonce: 1, code_hash });
    }
}

/// Requests to the consensus layer, one that pays no fee, and reads of what the system calls before the block have written.
fn requests(world: &World, index: u64) -> Scene {
    let users = &world.users;
    let send = |from: usize, to: Address, input: Vec<u8>, value: u64| {
        Step::new("request", &users[from], Some(to), input.into()).value(U256::from(value))
    };
    let filler = |len: usize, salt: u64| vec![(index * 16 + salt) as u8 + 1; len];
    let mut steps = Vec::new();
    for i in 0..6 {
        steps.push(send(i as usize, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, filler(56, i), GWEI));
        steps.push(send(i as usize + 8, MAINNET_DEPOSIT_CONTRACT_ADDRESS, deposit(&filler(192, i)), 0));
    }
    for i in 0..3 {
        steps.push(send(i as usize + 16, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, filler(96, i), GWEI));
    }
    steps.extend([
        send(20, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, filler(56, 9), 0),
        send(21, HISTORY_STORAGE_ADDRESS, U256::from(1_000_000 + index - 1).to_be_bytes_vec(), 0),
        send(22, BEACON_ROOTS_ADDRESS, U256::from(TIMESTAMP + 12 * index).to_be_bytes_vec(), 0),
        send(23, BEACON_ROOTS_ADDRESS, U256::from(1).to_be_bytes_vec(), 0),
    ]);
    Ok(steps)
}

/// The data of a deposit event whose fields are cut from `fields`.
fn deposit(mut fields: &[u8]) -> Vec<u8> {
    let mut data = vec![0; DEPOSIT_DATA];
    let word = |value: usize| U256::from(value).to_be_bytes::<32>();
    for (index, (at, len)) in DEPOSIT_FIELDS.into_iter().enumerate() {
        let (field, rest) = fields.split_at(len);
        data[32 * index..][..32].copy_from_slice(&word(at));
        data[at..][..32].copy_from_slice(&word(len));
        data[at + 32..][..len].copy_from_slice(field);
        fields = rest;
    }
    data
}

/// What fills a block.
fn everyday(world: &World, count: usize) -> Scene {
    let users = &world.users;
    let step = |i: usize| {
        let (from, to) = (&users[i % users.len()], users[(i * 5 + 1) % users.len()].address());
        match i % 4 {
            0 => Ok(Step::pay("transfer", from, to, U256::from(i + 1))),
            1 => Step::call(
                "token transfer",
                from,
                &world.tokens[i % 3],
                "transfer(address,uint256)",
                &[to.into(), wad(1).into()],
            ),
            2 => Step::call("own slot", from, &world.counters[i % 3], "incrementOwn()", &[]),
            _ => Ok(Step::new("no function", from, Some(world.counters[0].address), Bytes::new()).gas(40_000)),
        }
    };
    (0..count).map(step).collect()
}
