//! Turns transactions, each in its context, and what they may read into a flat [`Batch`].

mod code;
mod snapshot;

pub use code::{CodeArena, CodeCache};
pub use snapshot::{Base, Numbered, SnapshotTable, key_of};

use crate::{
    abi::{self, CodeHeader, FrameState, LaneState, OverlayEntry, Params, TxRecord},
    block::BlockEnv,
    context::Contexts,
    coverage::{Coverage, CoverageMode},
    fallback::FallbackReason,
    fork::Fork,
    opcode,
    plan::{Lane, LaneLimits},
    state::{StateError, StateKey},
};
use alloy_primitives::{
    Address, B256, U256,
    map::{HashMap, HashSet},
};
use bytemuck::Zeroable;
use std::sync::Arc;

const RECORD_WORDS: usize = size_of::<TxRecord>() / 4;

const UNPREPARED: u32 = abi::STATUS_FALLBACK + FallbackReason::Retry as u32;

/// Lanes as the device gets them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What the lanes may use.
    pub limits: LaneLimits,
    /// The uniform; `slice_steps`, `first`, `listed`, `coverage` and `snapshot_mask` are the backend's.
    pub params: Params,
    /// [`opcode::Opcode::row`] of each byte.
    pub opcodes: Arc<[[u32; 4]]>,
    /// Every lane in order, transaction records, block environments, blob hashes, calldata.
    pub arena: Vec<u32>,
    /// Registers at the start, one a lane.
    pub lanes: Vec<LaneState>,
    /// The outermost frames, one a lane.
    pub frames: Vec<FrameState>,
    /// Overlay entries at the start: of each lane as many as its registers say.
    pub entries: Vec<OverlayEntry>,
    /// Which maps of edges are asked for; the lanes must be no more than [`LaneLimits::covering`] allows.
    pub coverage: CoverageMode,
}

/// Rows of [`LaneState`] that are not zero at the start.
pub const LANE_START_ROWS: usize = 4;

/// Rows of [`FrameState`] that are not zero at the start.
pub const FRAME_START_ROWS: usize = 8;

impl Batch {
    /// The overlay entries of each lane.
    pub fn entries_by_lane(&self) -> impl ExactSizeIterator<Item = &[OverlayEntry]> {
        let mut rest = &self.entries[..];
        self.lanes.iter().map(move |state| {
            let (entries, behind) = rest.split_at(state.entries as usize);
            rest = behind;
            entries
        })
    }
}

/// A log entry as a lane left it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneLog {
    /// The emitting contract.
    pub address: Address,
    /// Zero to four.
    pub topics: Vec<B256>,
    /// Unindexed data.
    pub data: Vec<u8>,
}

/// What a lane left.
#[derive(Clone, Debug)]
pub struct LaneResult {
    /// Registers at the end.
    pub state: LaneState,
    /// Every key that the lane touched, in order of first touch.
    pub entries: Vec<OverlayEntry>,
    /// In order of emission.
    pub logs: Vec<LaneLog>,
    /// Return or revert data.
    pub output: Vec<u8>,
    /// The edges that it took, where they were asked for lane by lane.
    pub coverage: Option<Box<Coverage>>,
}

/// `[u32; 8]`, least significant limb first.
pub fn limbs_of(value: U256) -> [u32; 8] {
    let limbs = value.as_limbs();
    std::array::from_fn(|i| (limbs[i / 2] >> (32 * (i % 2))) as u32)
}

/// The inverse of [`limbs_of`].
pub fn from_limbs(limbs: [u32; 8]) -> U256 {
    U256::from_limbs(std::array::from_fn(|i| u64::from(limbs[2 * i]) | u64::from(limbs[2 * i + 1]) << 32))
}

/// An address in memory order.
pub fn address_limbs(address: &Address) -> [u32; 5] {
    let mut limbs = [0; 5];
    for (limb, bytes) in limbs.iter_mut().zip(address.as_chunks::<4>().0) {
        *limb = u32::from_le_bytes(*bytes);
    }
    limbs
}

/// The inverse of [`address_limbs`].
pub fn address_from_limbs(limbs: [u32; 5]) -> Address {
    let mut address = Address::ZERO;
    for (bytes, limb) in address.chunks_exact_mut(4).zip(limbs) {
        bytes.copy_from_slice(&limb.to_le_bytes());
    }
    address
}

/// Appends bytes in memory order and at least `padding` zero bytes; gives the word offset.
fn push_bytes(arena: &mut Vec<u32>, bytes: &[u8], padding: usize) -> u32 {
    let offset = arena.len() as u32;
    let (chunks, rest) = bytes.as_chunks::<4>();
    arena.extend(chunks.iter().map(|chunk| u32::from_le_bytes(*chunk)));
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    arena.push(u32::from_le_bytes(last));
    arena.resize(arena.len() + padding / 4, 0);
    offset
}

/// A word as 32 big-endian bytes in memory order.
fn image(value: U256) -> [u32; 8] {
    let bytes: [u8; 32] = value.to_be_bytes();
    std::array::from_fn(|i| u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]]))
}

/// An address as a word of the EVM.
pub(crate) fn address_word(address: &Address) -> U256 {
    U256::from_be_slice(address.as_slice())
}

/// A block environment as the lanes see it: the words of [`opcode::ENV_BLOCK`].
fn environment(env: &BlockEnv) -> impl Iterator<Item = u32> {
    let randomness = if env.fork >= Fork::Merge { U256::from_be_bytes(env.prevrandao.0) } else { env.difficulty };
    let words: [U256; abi::ENV_WORDS as usize] = [
        address_word(&env.beneficiary),
        U256::from(env.timestamp),
        U256::from(env.number),
        randomness,
        U256::from(env.gas_limit),
        U256::from(env.chain_id),
        U256::from(env.base_fee),
        U256::from(env.blob_base_fee().unwrap_or_default()),
    ];
    words.into_iter().flat_map(image)
}

/// The part of a batch that is the same for every batch of a fork.
#[derive(Clone, Debug)]
pub struct Lowering {
    opcodes: Arc<[[u32; 4]]>,
    params: Params,
}

impl Lowering {
    /// For a fork that the device runs.
    pub fn new(fork: Fork) -> Self {
        let opcodes = opcode::table(fork).iter().map(opcode::Opcode::row).collect();
        let precompiles = match fork {
            fork if fork >= Fork::Prague => 0x11,
            Fork::Cancun => 0x0a,
            _ => 9,
        };
        let params = Params {
            clear_refund: if fork >= Fork::London { 4800 } else { 15_000 },
            precompiles,
            p256: u32::from(fork >= Fork::Osaka),
            rules: rules(fork),
            ..Params::zeroed()
        };
        Self { opcodes, params }
    }

    /// Reads what a lane starts with: its code, its parties, its access list.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn prepare(
        lane: &Lane<'_>,
        contexts: &Contexts<'_>,
        codes: &mut CodeArena,
        snapshot: &mut SnapshotTable,
    ) -> Result<(), StateError> {
        if let Some(code) = lane.running() {
            codes.insert(code.hash, || Ok(code.bytes.clone()))?;
        }
        for (hash, code) in lane.delegations.codes() {
            codes.insert(*hash, || Ok(code.clone()))?;
        }
        let (env, state) = (contexts.get(lane.context).env, contexts.state(lane.context));
        if let Some(base) = state.base.filter(|_| lane.running().is_some()) {
            // All of them: what a lane does not find under the layer's number it takes from the base.
            base.layer.own_keys().try_for_each(|key| snapshot.ensure(key, state, codes))?;
        }
        initial_entries(lane, env, codes).iter().try_for_each(|(key, _)| snapshot.ensure(*key, state, codes))
    }

    /// Lowers one batch of lanes that are prepared, whose environments are all of the fork. Coverage is off.
    pub fn batch(
        &self,
        contexts: &Contexts<'_>,
        limits: LaneLimits,
        lanes: &[&Lane<'_>],
        codes: &CodeArena,
        snapshot: &SnapshotTable,
    ) -> Batch {
        let mut entries = Vec::with_capacity(4 * lanes.len());
        let mut arena: Vec<u32> = (0..lanes.len() as u32).collect();
        let tx_base = arena.len();
        arena.resize(arena.len() + lanes.len() * RECORD_WORDS, 0);
        let mut environments: HashMap<*const BlockEnv, u32> = HashMap::default();
        let mut states = Vec::with_capacity(lanes.len());
        let mut frames = Vec::with_capacity(lanes.len());
        for (position, lane) in lanes.iter().enumerate() {
            let code = lane.running().and_then(|code| codes.offset(&code.hash)).unwrap_or(0);
            let input_base = push_bytes(&mut arena, calldata(lane), 36);
            frames.push(outermost(lane, code, &codes.header(code), input_base));
            let (env, state) = (contexts.get(lane.context).env, contexts.state(lane.context));
            let block = *environments.entry(env).or_insert_with(|| {
                arena.extend(environment(env));
                arena.len() as u32 - 8 * abi::ENV_WORDS
            });
            let record = record(lane, block, state, arena.len() as u32);
            arena.extend(lane.tx.blob_hashes.iter().flat_map(|hash| image(U256::from_be_bytes(hash.0))));
            let words: [u32; RECORD_WORDS] = bytemuck::cast(record);
            arena[tx_base + position * RECORD_WORDS..][..RECORD_WORDS].copy_from_slice(&words);
            let gas = lane.tx.gas_limit - lane.gas.initial;
            let first_entry = entries.len();
            let mut prepared = true;
            for (key, entry) in initial_entries(lane, env, codes) {
                match snapshot.number(state, key) {
                    Some(number) => entries.push(OverlayEntry { key: number as u32, ..entry }),
                    None => prepared = false,
                }
            }
            states.push(LaneState {
                status: if prepared { abi::STATUS_RUNNING } else { UNPREPARED },
                entries: (entries.len() - first_entry) as u32,
                gas_lo: gas as u32,
                gas_hi: (gas >> 32) as u32,
                resume: lane.precompile_op(),
                ..LaneState::zeroed()
            });
        }
        let params = Params {
            lanes: lanes.len() as u32,
            max_steps: limits.max_steps,
            stack_words: limits.stack_words,
            memory_limbs: limits.memory_limbs,
            log_limbs: limits.log_limbs,
            return_limbs: limits.return_limbs,
            depth: limits.depth,
            journal: limits.journal,
            slots: limits.slots,
            logs: limits.logs,
            tx_base: tx_base as u32,
            ..self.params
        };
        let opcodes = Arc::clone(&self.opcodes);
        Batch { limits, params, opcodes, arena, lanes: states, frames, entries, coverage: CoverageMode::Off }
    }
}

/// `RULE_*` of a fork.
fn rules(fork: Fork) -> u32 {
    [(Fork::London, abi::RULE_LONDON), (Fork::Shanghai, abi::RULE_SHANGHAI), (Fork::Cancun, abi::RULE_CANCUN)]
        .into_iter()
        .filter(|(since, _)| fork >= *since)
        .fold(0, |rules, (_, rule)| rules | rule)
}

fn record(lane: &Lane<'_>, block: u32, of: Numbered<'_>, blobs_offset: u32) -> TxRecord {
    let mut env = [0; 16];
    for (chunk, word) in env.chunks_exact_mut(8).zip([address_word(&lane.sender), lane.fees.gas_price]) {
        chunk.copy_from_slice(&image(word));
    }
    TxRecord {
        blobs_offset,
        blobs: lane.tx.blob_hashes.len() as u32,
        block,
        state: of.number * abi::KEY_STATE,
        base: of.base_number() * abi::KEY_STATE,
        env,
    }
}

/// What the outermost frame gets; init code gets nothing.
fn calldata<'a>(lane: &Lane<'a>) -> &'a [u8] {
    if lane.creates() { &[] } else { &lane.tx.input }
}

fn outermost(lane: &Lane<'_>, code: u32, header: &CodeHeader, input_base: u32) -> FrameState {
    FrameState {
        address: limbs_of(address_word(&lane.to)),
        caller: limbs_of(address_word(&lane.sender)),
        value: limbs_of(lane.tx.value),
        code_offset: code + (size_of::<CodeHeader>() / 4) as u32,
        code_len: header.len,
        jumps_offset: header.jumps_offset,
        input_base,
        input_len: calldata(lane).len() as u32,
        mode: if lane.creates() { abi::MODE_CREATED | abi::MODE_INIT } else { 0 },
        ..FrameState::zeroed()
    }
}

/// An overlay entry and the key whose number it is to hold.
type Initial = (StateKey, OverlayEntry);

/// An account as the transaction has left it when its code starts.
fn account_entry(lane: &Lane<'_>, address: Address, flags: u32, codes: &CodeArena) -> Initial {
    let mut entry = OverlayEntry {
        flags,
        nonce_delta: raised_before(lane, &address),
        current: limbs_of(moved_before(lane, &address)),
        ..OverlayEntry::zeroed()
    };
    if let Some((hash, _)) = lane.delegations.get(&address).and_then(|authority| authority.code.as_ref()) {
        entry.flags |= abi::ENTRY_CODE | abi::ENTRY_TOUCHED;
        entry.code = codes.offset(hash).unwrap_or(0);
    }
    (StateKey::Account(address), entry)
}

/// What the transaction itself has moved to an account, modulo 2^256, when its code starts.
pub fn moved_before(lane: &Lane<'_>, address: &Address) -> U256 {
    let mut moved = U256::ZERO;
    if *address == lane.sender {
        moved = moved.wrapping_sub(lane.fees.upfront).wrapping_sub(lane.tx.value);
    }
    if *address == lane.to {
        moved = moved.wrapping_add(lane.tx.value);
    }
    moved
}

/// How far the transaction itself has raised an account's nonce when its code starts.
pub fn raised_before(lane: &Lane<'_>, address: &Address) -> u32 {
    let delegated = lane.delegations.get(address).map_or(0, |authority| authority.raised);
    delegated + u32::from(*address == lane.sender || (*address == lane.to && lane.creates()))
}

/// What is warm from the start (EIP-2929, 2930, 3651, 7702), with what the sender has paid and the target received.
fn initial_entries(lane: &Lane<'_>, env: &BlockEnv, codes: &CodeArena) -> Vec<Initial> {
    let mut entries = Vec::with_capacity(4);
    if lane.running().is_none() {
        return entries;
    }
    let party = abi::ENTRY_WARM | abi::ENTRY_TOUCHED;
    let target = if lane.creates() { party | abi::ENTRY_CREATED } else { party };
    for (address, flags) in [(lane.sender, party), (lane.to, target)] {
        if entries.is_empty() || lane.sender != lane.to {
            entries.push(account_entry(lane, address, flags, codes));
        }
    }
    for authority in &lane.delegations.authorities {
        if authority.address != lane.sender && authority.address != lane.to {
            entries.push(account_entry(lane, authority.address, abi::ENTRY_WARM, codes));
        }
    }
    // Most have no access list, and nothing but the parties.
    let mut seen: HashSet<StateKey> = HashSet::default();
    if !lane.tx.access_list.is_empty() {
        seen.extend(entries.iter().map(|(key, _)| *key));
    }
    let beneficiary = (env.fork >= Fork::Shanghai).then_some(env.beneficiary);
    let delegate = lane.code.as_ref().and_then(|code| code.delegate);
    let listed = lane.tx.access_list.iter().flat_map(|(address, slots)| {
        let slots = slots.iter().map(|slot| StateKey::Slot(*address, U256::from_be_bytes(slot.0)));
        std::iter::once(StateKey::Account(*address)).chain(slots)
    });
    let warm = beneficiary.into_iter().chain(delegate).map(StateKey::Account).chain(listed);
    for key in warm {
        let is_new = if lane.tx.access_list.is_empty() {
            entries.iter().all(|(held, _)| *held != key)
        } else {
            seen.insert(key)
        };
        if is_new {
            entries.push((key, OverlayEntry { flags: abi::ENTRY_WARM, ..OverlayEntry::zeroed() }));
        }
    }
    entries
}
