//! Everything that crosses the border, as `lockstep.h` declares it: plain integers and pointers, so that any bytes are a value.
#![expect(non_camel_case_types, reason = "these are the names in C")]

use std::ffi::c_char;

/// What a caller was built against. It changes whenever a struct, a function or a number does.
pub const LOCKSTEP_ABI_VERSION: u32 = 2;

/// Most items of a batch of signatures or messages, and most entries of a snapshot. Batches are worked on a part at a time, in some tens of MiB.
pub const LOCKSTEP_MAX_ITEMS: usize = 1 << 28;

/// Most calls of a simulation: what they come to is held until all are done.
pub const LOCKSTEP_MAX_CALLS: usize = 1 << 24;

/// Most transactions of a block: all of it is held while it is executed.
pub const LOCKSTEP_MAX_TXS: usize = 1 << 20;

/// Most bytes of the text of an item's error: longer ones are cut. So many for each item that failed are always enough.
pub const LOCKSTEP_MAX_ERROR: usize = 256;

/// lockstep_signatures.flags: s above half the group order is an error (EIP-2: transactions from Homestead on).
pub const LOCKSTEP_LOW_S: u32 = 1;

/// lockstep_options.flags: revm runs beside every lane of a device, and its result is taken where they differ.
pub const LOCKSTEP_CROSS_CHECK: u32 = 1;

/// lockstep_block_env.flags: the blob parameters are given; else they are those that mainnet activated with the fork.
pub const LOCKSTEP_BLOB_PARAMS: u32 = 1;

/// lockstep_block_env.flags: blob_price is given; else it follows from the excess blob gas. For simulations alone.
pub const LOCKSTEP_BLOB_PRICE: u32 = 2;

/// lockstep_state.flags: what is not listed is not known, and a read of it is an error that names the account or the slot. Without it an
/// account that is not listed does not exist, and a slot that is not listed is zero.
pub const LOCKSTEP_STRICT: u32 = 1;

/// lockstep_calls.flags: a sequence ends with its first call that does not succeed; those after it are LOCKSTEP_TX_STATUS_SKIPPED.
pub const LOCKSTEP_STOP_ON_REVERT: u32 = 1;

/// lockstep_overrides.flags: the balance is given.
pub const LOCKSTEP_OVERRIDE_BALANCE: u8 = 1;

/// lockstep_overrides.flags: the nonce is given.
pub const LOCKSTEP_OVERRIDE_NONCE: u8 = 2;

/// lockstep_overrides.flags: the code is given.
pub const LOCKSTEP_OVERRIDE_CODE: u8 = 4;

/// lockstep_overrides.flags: slots that are not given are zero (`state` of eth_call), and not as they are (`stateDiff`).
pub const LOCKSTEP_OVERRIDE_STORAGE: u8 = 8;

/// lockstep_results.wants: return and revert data.
pub const LOCKSTEP_WANT_OUTPUTS: u32 = 1;

/// lockstep_results.wants: the logs themselves, not only their number.
pub const LOCKSTEP_WANT_LOGS: u32 = 2;

/// lockstep_results.wants: accounts, slots and codes after the block, as far as they are not as before.
pub const LOCKSTEP_WANT_CHANGES: u32 = 4;

/// lockstep_results.failed_tx: no transaction.
pub const LOCKSTEP_NO_TX: u64 = u64::MAX;

/// An engine, by number. Zero is none, and no number is used twice in a process.
pub type lockstep_handle = u64;

/// How a call ended.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lockstep_code {
    /// As asked. Single items may have failed all the same: see their statuses.
    Ok = 1,
    /// A pointer is null, and what it should point to is not empty.
    NullPointer = -1,
    /// The lengths of two arrays do not agree, or one is beyond all bounds.
    BadLength = -2,
    /// Offsets do not start at zero, descend, or do not end at the length of their bytes.
    BadOffsets = -3,
    /// There is no such handle, or not any more.
    BadHandle = -4,
    /// The caller was built against another version of the ABI.
    VersionMismatch = -5,
    /// A value is none of those that its field takes, or a pointer is not aligned.
    BadArgument = -6,
    /// The backend or the device that was named is not there, or not part of this build.
    Unavailable = -7,
    /// An output has no room: its `len` says how much it takes.
    TooSmall = -8,
    /// Nothing is kept under this token: it was fetched or dropped, or 256 newer results have taken its place.
    NoResult = -9,
    /// The block contradicts itself, or one of its transactions may not be in it.
    InvalidBlock = -10,
    /// The state lacks a code or the hash of a block that is needed, or with LOCKSTEP_STRICT an account or a slot.
    State = -11,
    /// The device failed at the start, or revm gave up.
    Failed = -12,
    /// A fault in Lockstep. The handle can be used further; please report the text of lockstep_last_error.
    Panic = -13,
    /// The handle was created before a fork(), in another process: its threads are not in this one.
    Forked = -14,
}

/// Where to run.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lockstep_backend {
    /// A real GPU where there is one and it pays, else the CPU.
    Auto = 0,
    /// CPU threads.
    Cpu = 1,
    /// Vulkan, Metal or DX12.
    Wgpu = 2,
    /// NVIDIA's.
    Cuda = 3,
    /// The CUDA kernels on the CPU.
    CudaHost = 4,
}

/// The rules of a block.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lockstep_fork {
    /// Block 1.
    Frontier = 1,
    /// Block 1,150,000.
    Homestead = 2,
    /// Block 2,463,000.
    Tangerine = 3,
    /// Block 2,675,000.
    SpuriousDragon = 4,
    /// Block 4,370,000.
    Byzantium = 5,
    /// Block 7,280,000.
    Petersburg = 6,
    /// Block 9,069,000.
    Istanbul = 7,
    /// Block 12,244,000.
    Berlin = 8,
    /// Block 12,965,000.
    London = 9,
    /// Block 15,537,394.
    Merge = 10,
    /// Block 17,034,870.
    Shanghai = 11,
    /// Block 19,426,587.
    Cancun = 12,
    /// Block 22,431,084.
    Prague = 13,
    /// Block 23,935,694.
    Osaka = 14,
    /// Not active yet.
    Amsterdam = 15,
}

/// How the recovery of one item ended.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lockstep_item_status {
    /// The address is the signer's.
    Ok = 1,
    /// The bytes are no transaction.
    Malformed = 2,
    /// r, s or the parity is out of range.
    Range = 3,
    /// s is above half the group order.
    HighS = 4,
    /// r is not the x coordinate of a point.
    NoPoint = 5,
    /// The key would be the point at infinity.
    Infinity = 6,
    /// An EIP-7702 tuple that nobody signed: it is void, its transaction is not.
    NoAuthority = 7,
}

/// How one transaction or call ended.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lockstep_tx_status {
    /// Stop, return or self-destruct.
    Success = 1,
    /// REVERT: the output is the reason.
    Revert = 2,
    /// An exceptional halt: all gas is gone.
    Halt = 3,
    /// Calls alone: it is invalid, such as one of more value than its sender has.
    Invalid = 4,
    /// Calls alone: the state lacks a code or the hash of a block that it needs, or with LOCKSTEP_STRICT an account or a slot.
    State = 5,
    /// Calls alone: revm gave up.
    Failed = 6,
    /// Calls alone: not made, for the sequence had ended before it.
    Skipped = 7,
}

/// What a block did to an account.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lockstep_account_change {
    /// It exists; of its slots only those listed have changed.
    Changed = 1,
    /// It exists, and all storage that it had before is gone: its slots are those listed.
    Replaced = 2,
    /// It does not exist, and has no storage.
    Removed = 3,
}

/// `len` bytes to read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_bytes {
    /// The first of them.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

/// `len` numbers to read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_u64s {
    /// The first of them.
    pub data: *const u64,
    /// How many.
    pub len: usize,
}

/// Byte strings one behind the other: the n-th is bytes[offsets[n] .. offsets[n + 1]]. So there is one offset more than there are strings; no
/// offsets and no bytes are no strings.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_items {
    /// All of them.
    pub bytes: lockstep_bytes,
    /// Where each begins, and where the last one ends.
    pub offsets: lockstep_u64s,
}

/// Room for bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_out {
    /// Where to write.
    pub data: *mut u8,
    /// For how many bytes there is room.
    pub capacity: usize,
    /// Set: how many bytes there are.
    pub len: usize,
}

/// Room for numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_out_u64 {
    /// Where to write.
    pub data: *mut u64,
    /// For how many numbers there is room.
    pub capacity: usize,
    /// Set: how many numbers there are.
    pub len: usize,
}

/// What to create. All zeros are the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_options {
    /// A lockstep_backend.
    pub backend: u32,
    /// LOCKSTEP_CROSS_CHECK, or none.
    pub flags: u32,
    /// CPU threads; zero is one a core.
    pub threads: usize,
    /// Part of an adapter's name or its index, in UTF-8; empty leaves the choice to Lockstep.
    pub device: lockstep_bytes,
}

/// One device. Texts end with a zero byte, and are cut where they are too long.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_device {
    /// A lockstep_backend.
    pub backend: u32,
    /// What lockstep_options.device takes; zero for the CPU, which takes none.
    pub index: u32,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub kind: [c_char; 16],
    /// Its name.
    pub name: [c_char; 128],
    /// API, driver and version.
    pub driver: [c_char; 128],
}

/// Signatures whose signers are sought: either raw transactions, or columns of the same number of items. The other form is all zeros.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_signatures {
    /// Signed transactions: EIP-2718 bytes of type 0 to 4, type 3 without its sidecar.
    pub raw: lockstep_items,
    /// 32 bytes an item: what was signed.
    pub hashes: lockstep_bytes,
    /// 32 bytes an item.
    pub r: lockstep_bytes,
    /// 32 bytes an item.
    pub s: lockstep_bytes,
    /// One byte an item: 0 or 1, the parity of R's y coordinate; plus 2 where its x coordinate is r plus the group order.
    pub parities: lockstep_bytes,
    /// LOCKSTEP_LOW_S, or none.
    pub flags: u32,
}

/// Who signed. Written while the batch is done: an output whose size shows only then (authorities, errors) and that has no room leaves the
/// others right and complete, with LOCKSTEP_CODE_TOO_SMALL. All else is checked before any work.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_signers {
    /// 20 bytes an item; zeros where there is no signer.
    pub addresses: lockstep_out,
    /// One byte an item: a lockstep_item_status.
    pub statuses: lockstep_out,
    /// Those who signed the EIP-7702 tuples of raw transactions. Optional: with a capacity of zero in this and the next two nothing is written
    /// and nothing is too small. One number more than there are items: those of item n are authority_offsets[n] .. authority_offsets[n + 1].
    pub authority_offsets: lockstep_out_u64,
    /// 20 bytes a tuple. As many as a tuple has at least 27 bytes of, raw.bytes.len / 27 * 20, are always enough.
    pub authorities: lockstep_out,
    /// One byte a tuple: LOCKSTEP_ITEM_STATUS_OK or LOCKSTEP_ITEM_STATUS_NO_AUTHORITY.
    pub authority_statuses: lockstep_out,
    /// Why items have failed, in UTF-8. Optional, as are authorities, with the next one.
    pub errors: lockstep_out,
    /// One number more than there are items: the text of the n-th is errors[error_offsets[n] .. error_offsets[n + 1]], empty if it is good.
    pub error_offsets: lockstep_out_u64,
}

/// What every transaction of a block sees.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_block_env {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Block number.
    pub number: u64,
    /// Seconds since the epoch.
    pub timestamp: u64,
    /// Gas limit of the block.
    pub gas_limit: u64,
    /// EIP-1559 base fee in wei; zero before London.
    pub base_fee: u64,
    /// EIP-4844; zero before Cancun.
    pub excess_blob_gas: u64,
    /// With LOCKSTEP_BLOB_PARAMS: target blobs a block.
    pub blob_target: u64,
    /// With LOCKSTEP_BLOB_PARAMS: most blobs a block.
    pub blob_max: u64,
    /// With LOCKSTEP_BLOB_PARAMS: divisor of the excess blob gas in the fee formula, not zero.
    pub blob_update_fraction: u64,
    /// A lockstep_fork.
    pub fork: u32,
    /// LOCKSTEP_BLOB_PARAMS and LOCKSTEP_BLOB_PRICE, or none.
    pub flags: u32,
    /// With LOCKSTEP_BLOB_PRICE: wei a unit of blob gas, big-endian.
    pub blob_price: [u8; 16],
    /// Before the merge, big-endian.
    pub difficulty: [u8; 32],
    /// After the merge (EIP-4399).
    pub prevrandao: [u8; 32],
    /// Receives the fees.
    pub beneficiary: [u8; 20],
}

/// A snapshot: all that may be read. An account that is not listed does not exist and a slot that is not listed is zero, or either is an
/// error, as the flags say; a code or block hash that is not listed is always an error of what needs it. Of two entries with one key the later
/// counts.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_state {
    /// 20 bytes an account.
    pub addresses: lockstep_bytes,
    /// 32 bytes an account, in wei.
    pub balances: lockstep_bytes,
    /// One an account.
    pub nonces: lockstep_u64s,
    /// 32 bytes an account; 32 zeros, or Keccak-256 of nothing, where there is no code.
    pub code_hashes: lockstep_bytes,
    /// 20 bytes a slot: whose it is.
    pub slot_addresses: lockstep_bytes,
    /// 32 bytes a slot.
    pub slot_keys: lockstep_bytes,
    /// 32 bytes a slot.
    pub slot_values: lockstep_bytes,
    /// The codes, in any order. Their hashes are computed, never believed.
    pub codes: lockstep_items,
    /// One a block hash.
    pub block_numbers: lockstep_u64s,
    /// 32 bytes a block hash.
    pub block_hashes: lockstep_bytes,
    /// With LOCKSTEP_STRICT: 20 bytes an account that is known not to exist. Its slots are zero, listed or not.
    pub absent: lockstep_bytes,
    /// LOCKSTEP_STRICT, or none.
    pub flags: u32,
}

/// What executing a block yields. Zero it before the first call, but for what is marked with "in" and the capacities.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_results {
    /// In: zero executes, a token fetches. Set: where the result is kept, after LOCKSTEP_CODE_TOO_SMALL; else zero.
    pub token: u64,
    /// In: LOCKSTEP_WANT_ flags. Outputs that are not wanted are left alone. Those of the first call count.
    pub wants: u32,
    /// Set: 1 where there is a receipts root, from Byzantium on.
    pub has_receipts_root: u32,
    /// Set: the transaction at fault, after a code that blames one; else LOCKSTEP_NO_TX.
    pub failed_tx: u64,
    /// Set: of the whole block.
    pub gas_used: u64,
    /// Set.
    pub receipts_root: [u8; 32],
    /// Set.
    pub transactions_root: [u8; 32],
    /// Set: of all logs.
    pub logs_bloom: [u8; 256],
    /// One byte a transaction: a lockstep_tx_status.
    pub statuses: lockstep_out,
    /// 20 bytes a transaction: its sender.
    pub senders: lockstep_out,
    /// 32 bytes a transaction: its hash.
    pub tx_hashes: lockstep_out,
    /// 20 bytes a transaction: the address of a creation that succeeded; else zeros.
    pub contract_addresses: lockstep_out,
    /// One a transaction.
    pub tx_gas_used: lockstep_out_u64,
    /// One a transaction: its gas and that of those before it.
    pub cumulative_gas_used: lockstep_out_u64,
    /// One number more than there are transactions: the logs of the n-th are log_offsets[n] .. log_offsets[n + 1].
    pub log_offsets: lockstep_out_u64,
    /// With LOCKSTEP_WANT_OUTPUTS, also the next one.
    pub outputs: lockstep_out,
    /// One number more than there are transactions: the output of the n-th is outputs[output_offsets[n] .. output_offsets[n + 1]].
    pub output_offsets: lockstep_out_u64,
    /// With LOCKSTEP_WANT_LOGS, also the next four: 20 bytes a log, who emitted it.
    pub log_addresses: lockstep_out,
    /// 32 bytes a topic.
    pub log_topics: lockstep_out,
    /// One number more than there are logs: the topics of the n-th are topic_offsets[n] .. topic_offsets[n + 1].
    pub log_topic_offsets: lockstep_out_u64,
    /// The data of all logs.
    pub log_data: lockstep_out,
    /// One number more than there are logs: the data of the n-th are log_data[log_data_offsets[n] .. log_data_offsets[n + 1]].
    pub log_data_offsets: lockstep_out_u64,
    /// With LOCKSTEP_WANT_CHANGES, also all that follow: 20 bytes an account, in order. An account is here if it is not as it was before.
    pub account_addresses: lockstep_out,
    /// One byte an account: a lockstep_account_change.
    pub account_changes: lockstep_out,
    /// 32 bytes an account: what it has after the block.
    pub account_balances: lockstep_out,
    /// One an account: the same.
    pub account_nonces: lockstep_out_u64,
    /// 32 bytes an account: the same; Keccak-256 of nothing where it has no code.
    pub account_code_hashes: lockstep_out,
    /// 20 bytes a slot: whose it is, in the order of accounts.
    pub slot_addresses: lockstep_out,
    /// 32 bytes a slot.
    pub slot_keys: lockstep_out,
    /// 32 bytes a slot: what it holds after the block.
    pub slot_values: lockstep_out,
    /// 32 bytes a code that the block has set.
    pub code_hashes: lockstep_out,
    /// These codes.
    pub codes: lockstep_out,
    /// One number more than there are codes: the n-th is codes[code_offsets[n] .. code_offsets[n + 1]].
    pub code_offsets: lockstep_out_u64,
}

/// Sets of accounts that are not as the snapshot has them, as eth_call takes them. All zeros are no sets.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_overrides {
    /// One number more than there are sets: the accounts of the n-th are account_offsets[n] .. account_offsets[n + 1].
    pub account_offsets: lockstep_u64s,
    /// 20 bytes an account. Of two with one address in a set the later counts.
    pub addresses: lockstep_bytes,
    /// One byte an account: LOCKSTEP_OVERRIDE_ flags. What is not flagged stays as it is.
    pub flags: lockstep_bytes,
    /// 32 bytes an account, in wei. Empty: none is given.
    pub balances: lockstep_bytes,
    /// One an account. Empty: none is given.
    pub nonces: lockstep_u64s,
    /// One an account. Empty: none is given.
    pub codes: lockstep_items,
    /// One number more than there are accounts: the slots of the n-th are slot_offsets[n] .. slot_offsets[n + 1]. Empty: there are no slots.
    pub slot_offsets: lockstep_u64s,
    /// 32 bytes a slot.
    pub slot_keys: lockstep_bytes,
    /// 32 bytes a slot: what it holds.
    pub slot_values: lockstep_bytes,
}

/// Access lists (EIP-2930). All zeros are empty lists.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_access_lists {
    /// One number more than there are calls: the accounts of the n-th are account_offsets[n] .. account_offsets[n + 1].
    pub account_offsets: lockstep_u64s,
    /// 20 bytes an account.
    pub addresses: lockstep_bytes,
    /// One number more than there are accounts: the keys of the n-th are key_offsets[n] .. key_offsets[n + 1]. Empty: there are no keys.
    pub key_offsets: lockstep_u64s,
    /// 32 bytes a key.
    pub keys: lockstep_bytes,
}

/// Calls on the same state, each alone or in sequences, unsigned and at a gas price of zero, as eth_call takes them. As many as there are senders.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_calls {
    /// 20 bytes a call: the sender.
    pub from: lockstep_bytes,
    /// 20 bytes a call: the contract.
    pub to: lockstep_bytes,
    /// One byte a call: 1 creates a contract, whatever `to` says, 0 does not. Empty: none does.
    pub creates: lockstep_bytes,
    /// 32 bytes a call, in wei. Empty: all are zero.
    pub values: lockstep_bytes,
    /// One a call: the gas limit; zero is the block's. Empty: all are the block's.
    pub gas: lockstep_u64s,
    /// One a call: calldata, or init code.
    pub inputs: lockstep_items,
    /// Warm from the start.
    pub access_lists: lockstep_access_lists,
    /// What calls see instead of the snapshot. Within a sequence the overrides of a call stay in force for those after it.
    pub overrides: lockstep_overrides,
    /// One a call: zero for none, n for the n-th set of overrides. Empty: none has any. Calls that name one set share the work.
    pub overrides_of: lockstep_u64s,
    /// One number more than there are sequences: the calls of the n-th are sequences[n] .. sequences[n + 1], and each sees what those before it
    /// in its sequence did. The first is zero and the last the number of calls. Empty: each call is alone.
    pub sequences: lockstep_u64s,
    /// LOCKSTEP_STOP_ON_REVERT, or none.
    pub flags: u32,
}

/// What calls come to. Zero it before the first call, but for the capacities.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lockstep_answers {
    /// In: zero simulates, a token fetches. Set: where the answers are kept, after LOCKSTEP_CODE_TOO_SMALL; else zero.
    pub token: u64,
    /// One byte a call: a lockstep_tx_status.
    pub statuses: lockstep_out,
    /// One a call: as a transaction would pay it.
    pub gas_used: lockstep_out_u64,
    /// 20 bytes a call: the address of a creation that succeeded; else zeros.
    pub contract_addresses: lockstep_out,
    /// Return and revert data.
    pub outputs: lockstep_out,
    /// One number more than there are calls: the output of the n-th is outputs[output_offsets[n] .. output_offsets[n + 1]].
    pub output_offsets: lockstep_out_u64,
    /// Why calls were not made (INVALID, STATE, FAILED), in UTF-8. Optional: with a capacity of zero in this and the next nothing is written and
    /// nothing is too small.
    pub errors: lockstep_out,
    /// One number more than there are calls: the text of the n-th is errors[error_offsets[n] .. error_offsets[n + 1]], empty if it was made.
    pub error_offsets: lockstep_out_u64,
}
