/*
 * Lockstep from C: batches of Ethereum work, answered exactly as revm and libsecp256k1 answer, on CPU threads or a GPU.
 *
 * What holds for every function:
 *
 * Memory.  All arrays are the caller's, and Lockstep keeps no pointer after a call has returned. Nothing is ever to be freed. Inputs and
 *   outputs must not overlap, and nobody may write to either while the call runs. An array of length zero may be null.
 * Inputs.  An array comes with its length, and a wrong one is a code, not a crash. What no library can see is the caller's promise: that
 *   an array is as long as it says it is.
 * Outputs.  A lockstep_out has a capacity, and is told how many elements there are (len). If they do not fit into one of them, no array is
 *   written to, and the code is LOCKSTEP_CODE_TOO_SMALL. Where the number is known beforehand that comes before any work. lockstep_execute and
 *   lockstep_simulate keep what they found and set `token`: call again with it and with room, and no work is done twice, or free it with
 *   lockstep_discard. lockstep_recover writes while it works: see lockstep_signers. A capacity beside a null pointer is a code before any work.
 * Numbers.  Integers are the machine's. 256-bit words are 32 bytes, big-endian; addresses are 20 bytes.
 * Codes.  LOCKSTEP_CODE_OK is 1 and every other code is negative: zero is none, so a result that was never set does not pass for one. The
 *   same goes for the status of an item.
 * Threads.  Every function may be called by any number of threads at once, with one handle or with many. A handle that is destroyed while
 *   others use it lasts until they are done. After a fork() a handle is of use in the parent alone, which has its threads: in the child every
 *   function with it gives LOCKSTEP_CODE_FORKED at once. The child may create handles of its own, on the CPU, if none of the parent's threads
 *   was inside Lockstep when it forked.
 * Faults.  A panic of Rust's ends at the border, as LOCKSTEP_CODE_PANIC.
 */


#ifndef LOCKSTEP_H
#define LOCKSTEP_H

/* Generated from host/capi/src by cbindgen: cargo run --manifest-path host/capi/header/Cargo.toml */

#include <stddef.h>
#include <stdint.h>

// What a caller was built against. It changes whenever a struct, a function or a number does.
#define LOCKSTEP_ABI_VERSION 2

// Most items of a batch of signatures or messages, and most entries of a snapshot. Batches are worked on a part at a time, in some tens of MiB.
#define LOCKSTEP_MAX_ITEMS (1 << 28)

// Most calls of a simulation: what they come to is held until all are done.
#define LOCKSTEP_MAX_CALLS (1 << 24)

// Most transactions of a block: all of it is held while it is executed.
#define LOCKSTEP_MAX_TXS (1 << 20)

// Most bytes of the text of an item's error: longer ones are cut. So many for each item that failed are always enough.
#define LOCKSTEP_MAX_ERROR 256

// lockstep_signatures.flags: s above half the group order is an error (EIP-2: transactions from Homestead on).
#define LOCKSTEP_LOW_S 1

// lockstep_options.flags: revm runs beside every lane of a device, and its result is taken where they differ.
#define LOCKSTEP_CROSS_CHECK 1

// lockstep_block_env.flags: the blob parameters are given; else they are those that mainnet activated with the fork.
#define LOCKSTEP_BLOB_PARAMS 1

// lockstep_block_env.flags: blob_price is given; else it follows from the excess blob gas. For simulations alone.
#define LOCKSTEP_BLOB_PRICE 2

// lockstep_state.flags: what is not listed is not known, and a read of it is an error that names the account or the slot. Without it an
// account that is not listed does not exist, and a slot that is not listed is zero.
#define LOCKSTEP_STRICT 1

// lockstep_calls.flags: a sequence ends with its first call that does not succeed; those after it are LOCKSTEP_TX_STATUS_SKIPPED.
#define LOCKSTEP_STOP_ON_REVERT 1

// lockstep_overrides.flags: the balance is given.
#define LOCKSTEP_OVERRIDE_BALANCE 1

// lockstep_overrides.flags: the nonce is given.
#define LOCKSTEP_OVERRIDE_NONCE 2

// lockstep_overrides.flags: the code is given.
#define LOCKSTEP_OVERRIDE_CODE 4

// lockstep_overrides.flags: slots that are not given are zero (`state` of eth_call), and not as they are (`stateDiff`).
#define LOCKSTEP_OVERRIDE_STORAGE 8

// lockstep_results.wants: return and revert data.
#define LOCKSTEP_WANT_OUTPUTS 1

// lockstep_results.wants: the logs themselves, not only their number.
#define LOCKSTEP_WANT_LOGS 2

// lockstep_results.wants: accounts, slots and codes after the block, as far as they are not as before.
#define LOCKSTEP_WANT_CHANGES 4

// lockstep_results.failed_tx: no transaction.
#define LOCKSTEP_NO_TX UINT64_MAX

// How a call ended.
enum lockstep_code
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // As asked. Single items may have failed all the same: see their statuses.
  LOCKSTEP_CODE_OK = 1,
  // A pointer is null, and what it should point to is not empty.
  LOCKSTEP_CODE_NULL_POINTER = -1,
  // The lengths of two arrays do not agree, or one is beyond all bounds.
  LOCKSTEP_CODE_BAD_LENGTH = -2,
  // Offsets do not start at zero, descend, or do not end at the length of their bytes.
  LOCKSTEP_CODE_BAD_OFFSETS = -3,
  // There is no such handle, or not any more.
  LOCKSTEP_CODE_BAD_HANDLE = -4,
  // The caller was built against another version of the ABI.
  LOCKSTEP_CODE_VERSION_MISMATCH = -5,
  // A value is none of those that its field takes, or a pointer is not aligned.
  LOCKSTEP_CODE_BAD_ARGUMENT = -6,
  // The backend or the device that was named is not there, or not part of this build.
  LOCKSTEP_CODE_UNAVAILABLE = -7,
  // An output has no room: its `len` says how much it takes.
  LOCKSTEP_CODE_TOO_SMALL = -8,
  // Nothing is kept under this token: it was fetched or dropped, or 256 newer results have taken its place.
  LOCKSTEP_CODE_NO_RESULT = -9,
  // The block contradicts itself, or one of its transactions may not be in it.
  LOCKSTEP_CODE_INVALID_BLOCK = -10,
  // The state lacks a code or the hash of a block that is needed, or with LOCKSTEP_STRICT an account or a slot.
  LOCKSTEP_CODE_STATE = -11,
  // The device failed at the start, or revm gave up.
  LOCKSTEP_CODE_FAILED = -12,
  // A fault in Lockstep. The handle can be used further; please report the text of lockstep_last_error.
  LOCKSTEP_CODE_PANIC = -13,
  // The handle was created before a fork(), in another process: its threads are not in this one.
  LOCKSTEP_CODE_FORKED = -14,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum lockstep_code lockstep_code;
#else
typedef int32_t lockstep_code;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Where to run.
enum lockstep_backend
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // A real GPU where there is one and it pays, else the CPU.
  LOCKSTEP_BACKEND_AUTO = 0,
  // CPU threads.
  LOCKSTEP_BACKEND_CPU = 1,
  // Vulkan, Metal or DX12.
  LOCKSTEP_BACKEND_WGPU = 2,
  // NVIDIA's.
  LOCKSTEP_BACKEND_CUDA = 3,
  // The CUDA kernels on the CPU.
  LOCKSTEP_BACKEND_CUDA_HOST = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum lockstep_backend lockstep_backend;
#else
typedef uint32_t lockstep_backend;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The rules of a block.
enum lockstep_fork
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Block 1.
  LOCKSTEP_FORK_FRONTIER = 1,
  // Block 1,150,000.
  LOCKSTEP_FORK_HOMESTEAD = 2,
  // Block 2,463,000.
  LOCKSTEP_FORK_TANGERINE = 3,
  // Block 2,675,000.
  LOCKSTEP_FORK_SPURIOUS_DRAGON = 4,
  // Block 4,370,000.
  LOCKSTEP_FORK_BYZANTIUM = 5,
  // Block 7,280,000.
  LOCKSTEP_FORK_PETERSBURG = 6,
  // Block 9,069,000.
  LOCKSTEP_FORK_ISTANBUL = 7,
  // Block 12,244,000.
  LOCKSTEP_FORK_BERLIN = 8,
  // Block 12,965,000.
  LOCKSTEP_FORK_LONDON = 9,
  // Block 15,537,394.
  LOCKSTEP_FORK_MERGE = 10,
  // Block 17,034,870.
  LOCKSTEP_FORK_SHANGHAI = 11,
  // Block 19,426,587.
  LOCKSTEP_FORK_CANCUN = 12,
  // Block 22,431,084.
  LOCKSTEP_FORK_PRAGUE = 13,
  // Block 23,935,694.
  LOCKSTEP_FORK_OSAKA = 14,
  // Not active yet.
  LOCKSTEP_FORK_AMSTERDAM = 15,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum lockstep_fork lockstep_fork;
#else
typedef uint32_t lockstep_fork;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How the recovery of one item ended.
enum lockstep_item_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint8_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The address is the signer's.
  LOCKSTEP_ITEM_STATUS_OK = 1,
  // The bytes are no transaction.
  LOCKSTEP_ITEM_STATUS_MALFORMED = 2,
  // r, s or the parity is out of range.
  LOCKSTEP_ITEM_STATUS_RANGE = 3,
  // s is above half the group order.
  LOCKSTEP_ITEM_STATUS_HIGH_S = 4,
  // r is not the x coordinate of a point.
  LOCKSTEP_ITEM_STATUS_NO_POINT = 5,
  // The key would be the point at infinity.
  LOCKSTEP_ITEM_STATUS_INFINITY = 6,
  // An EIP-7702 tuple that nobody signed: it is void, its transaction is not.
  LOCKSTEP_ITEM_STATUS_NO_AUTHORITY = 7,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum lockstep_item_status lockstep_item_status;
#else
typedef uint8_t lockstep_item_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How one transaction or call ended.
enum lockstep_tx_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint8_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Stop, return or self-destruct.
  LOCKSTEP_TX_STATUS_SUCCESS = 1,
  // REVERT: the output is the reason.
  LOCKSTEP_TX_STATUS_REVERT = 2,
  // An exceptional halt: all gas is gone.
  LOCKSTEP_TX_STATUS_HALT = 3,
  // Calls alone: it is invalid, such as one of more value than its sender has.
  LOCKSTEP_TX_STATUS_INVALID = 4,
  // Calls alone: the state lacks a code or the hash of a block that it needs, or with LOCKSTEP_STRICT an account or a slot.
  LOCKSTEP_TX_STATUS_STATE = 5,
  // Calls alone: revm gave up.
  LOCKSTEP_TX_STATUS_FAILED = 6,
  // Calls alone: not made, for the sequence had ended before it.
  LOCKSTEP_TX_STATUS_SKIPPED = 7,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum lockstep_tx_status lockstep_tx_status;
#else
typedef uint8_t lockstep_tx_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a block did to an account.
enum lockstep_account_change
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint8_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // It exists; of its slots only those listed have changed.
  LOCKSTEP_ACCOUNT_CHANGE_CHANGED = 1,
  // It exists, and all storage that it had before is gone: its slots are those listed.
  LOCKSTEP_ACCOUNT_CHANGE_REPLACED = 2,
  // It does not exist, and has no storage.
  LOCKSTEP_ACCOUNT_CHANGE_REMOVED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum lockstep_account_change lockstep_account_change;
#else
typedef uint8_t lockstep_account_change;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// `len` bytes to read.
typedef struct lockstep_bytes {
  // The first of them.
  const uint8_t *data;
  // How many.
  size_t len;
} lockstep_bytes;

// What to create. All zeros are the defaults.
typedef struct lockstep_options {
  // A lockstep_backend.
  uint32_t backend;
  // LOCKSTEP_CROSS_CHECK, or none.
  uint32_t flags;
  // CPU threads; zero is one a core.
  size_t threads;
  // Part of an adapter's name or its index, in UTF-8; empty leaves the choice to Lockstep.
  struct lockstep_bytes device;
} lockstep_options;

// An engine, by number. Zero is none, and no number is used twice in a process.
typedef uint64_t lockstep_handle;

// One device. Texts end with a zero byte, and are cut where they are too long.
typedef struct lockstep_device {
  // A lockstep_backend.
  uint32_t backend;
  // What lockstep_options.device takes; zero for the CPU, which takes none.
  uint32_t index;
  // `discrete`, `integrated`, `virtual`, `cpu` or `other`.
  char kind[16];
  // Its name.
  char name[128];
  // API, driver and version.
  char driver[128];
} lockstep_device;

// `len` numbers to read.
typedef struct lockstep_u64s {
  // The first of them.
  const uint64_t *data;
  // How many.
  size_t len;
} lockstep_u64s;

// Byte strings one behind the other: the n-th is bytes[offsets[n] .. offsets[n + 1]]. So there is one offset more than there are strings; no
// offsets and no bytes are no strings.
typedef struct lockstep_items {
  // All of them.
  struct lockstep_bytes bytes;
  // Where each begins, and where the last one ends.
  struct lockstep_u64s offsets;
} lockstep_items;

// Signatures whose signers are sought: either raw transactions, or columns of the same number of items. The other form is all zeros.
typedef struct lockstep_signatures {
  // Signed transactions: EIP-2718 bytes of type 0 to 4, type 3 without its sidecar.
  struct lockstep_items raw;
  // 32 bytes an item: what was signed.
  struct lockstep_bytes hashes;
  // 32 bytes an item.
  struct lockstep_bytes r;
  // 32 bytes an item.
  struct lockstep_bytes s;
  // One byte an item: 0 or 1, the parity of R's y coordinate; plus 2 where its x coordinate is r plus the group order.
  struct lockstep_bytes parities;
  // LOCKSTEP_LOW_S, or none.
  uint32_t flags;
} lockstep_signatures;

// Room for bytes.
typedef struct lockstep_out {
  // Where to write.
  uint8_t *data;
  // For how many bytes there is room.
  size_t capacity;
  // Set: how many bytes there are.
  size_t len;
} lockstep_out;

// Room for numbers.
typedef struct lockstep_out_u64 {
  // Where to write.
  uint64_t *data;
  // For how many numbers there is room.
  size_t capacity;
  // Set: how many numbers there are.
  size_t len;
} lockstep_out_u64;

// Who signed. Written while the batch is done: an output whose size shows only then (authorities, errors) and that has no room leaves the
// others right and complete, with LOCKSTEP_CODE_TOO_SMALL. All else is checked before any work.
typedef struct lockstep_signers {
  // 20 bytes an item; zeros where there is no signer.
  struct lockstep_out addresses;
  // One byte an item: a lockstep_item_status.
  struct lockstep_out statuses;
  // Those who signed the EIP-7702 tuples of raw transactions. Optional: with a capacity of zero in this and the next two nothing is written
  // and nothing is too small. One number more than there are items: those of item n are authority_offsets[n] .. authority_offsets[n + 1].
  struct lockstep_out_u64 authority_offsets;
  // 20 bytes a tuple. As many as a tuple has at least 27 bytes of, raw.bytes.len / 27 * 20, are always enough.
  struct lockstep_out authorities;
  // One byte a tuple: LOCKSTEP_ITEM_STATUS_OK or LOCKSTEP_ITEM_STATUS_NO_AUTHORITY.
  struct lockstep_out authority_statuses;
  // Why items have failed, in UTF-8. Optional, as are authorities, with the next one.
  struct lockstep_out errors;
  // One number more than there are items: the text of the n-th is errors[error_offsets[n] .. error_offsets[n + 1]], empty if it is good.
  struct lockstep_out_u64 error_offsets;
} lockstep_signers;

// What every transaction of a block sees.
typedef struct lockstep_block_env {
  // EIP-155 chain id.
  uint64_t chain_id;
  // Block number.
  uint64_t number;
  // Seconds since the epoch.
  uint64_t timestamp;
  // Gas limit of the block.
  uint64_t gas_limit;
  // EIP-1559 base fee in wei; zero before London.
  uint64_t base_fee;
  // EIP-4844; zero before Cancun.
  uint64_t excess_blob_gas;
  // With LOCKSTEP_BLOB_PARAMS: target blobs a block.
  uint64_t blob_target;
  // With LOCKSTEP_BLOB_PARAMS: most blobs a block.
  uint64_t blob_max;
  // With LOCKSTEP_BLOB_PARAMS: divisor of the excess blob gas in the fee formula, not zero.
  uint64_t blob_update_fraction;
  // A lockstep_fork.
  uint32_t fork;
  // LOCKSTEP_BLOB_PARAMS and LOCKSTEP_BLOB_PRICE, or none.
  uint32_t flags;
  // With LOCKSTEP_BLOB_PRICE: wei a unit of blob gas, big-endian.
  uint8_t blob_price[16];
  // Before the merge, big-endian.
  uint8_t difficulty[32];
  // After the merge (EIP-4399).
  uint8_t prevrandao[32];
  // Receives the fees.
  uint8_t beneficiary[20];
} lockstep_block_env;

// A snapshot: all that may be read. An account that is not listed does not exist and a slot that is not listed is zero, or either is an
// error, as the flags say; a code or block hash that is not listed is always an error of what needs it. Of two entries with one key the later
// counts.
typedef struct lockstep_state {
  // 20 bytes an account.
  struct lockstep_bytes addresses;
  // 32 bytes an account, in wei.
  struct lockstep_bytes balances;
  // One an account.
  struct lockstep_u64s nonces;
  // 32 bytes an account; 32 zeros, or Keccak-256 of nothing, where there is no code.
  struct lockstep_bytes code_hashes;
  // 20 bytes a slot: whose it is.
  struct lockstep_bytes slot_addresses;
  // 32 bytes a slot.
  struct lockstep_bytes slot_keys;
  // 32 bytes a slot.
  struct lockstep_bytes slot_values;
  // The codes, in any order. Their hashes are computed, never believed.
  struct lockstep_items codes;
  // One a block hash.
  struct lockstep_u64s block_numbers;
  // 32 bytes a block hash.
  struct lockstep_bytes block_hashes;
  // With LOCKSTEP_STRICT: 20 bytes an account that is known not to exist. Its slots are zero, listed or not.
  struct lockstep_bytes absent;
  // LOCKSTEP_STRICT, or none.
  uint32_t flags;
} lockstep_state;

// What executing a block yields. Zero it before the first call, but for what is marked with "in" and the capacities.
typedef struct lockstep_results {
  // In: zero executes, a token fetches. Set: where the result is kept, after LOCKSTEP_CODE_TOO_SMALL; else zero.
  uint64_t token;
  // In: LOCKSTEP_WANT_ flags. Outputs that are not wanted are left alone. Those of the first call count.
  uint32_t wants;
  // Set: 1 where there is a receipts root, from Byzantium on.
  uint32_t has_receipts_root;
  // Set: the transaction at fault, after a code that blames one; else LOCKSTEP_NO_TX.
  uint64_t failed_tx;
  // Set: of the whole block.
  uint64_t gas_used;
  // Set.
  uint8_t receipts_root[32];
  // Set.
  uint8_t transactions_root[32];
  // Set: of all logs.
  uint8_t logs_bloom[256];
  // One byte a transaction: a lockstep_tx_status.
  struct lockstep_out statuses;
  // 20 bytes a transaction: its sender.
  struct lockstep_out senders;
  // 32 bytes a transaction: its hash.
  struct lockstep_out tx_hashes;
  // 20 bytes a transaction: the address of a creation that succeeded; else zeros.
  struct lockstep_out contract_addresses;
  // One a transaction.
  struct lockstep_out_u64 tx_gas_used;
  // One a transaction: its gas and that of those before it.
  struct lockstep_out_u64 cumulative_gas_used;
  // One number more than there are transactions: the logs of the n-th are log_offsets[n] .. log_offsets[n + 1].
  struct lockstep_out_u64 log_offsets;
  // With LOCKSTEP_WANT_OUTPUTS, also the next one.
  struct lockstep_out outputs;
  // One number more than there are transactions: the output of the n-th is outputs[output_offsets[n] .. output_offsets[n + 1]].
  struct lockstep_out_u64 output_offsets;
  // With LOCKSTEP_WANT_LOGS, also the next four: 20 bytes a log, who emitted it.
  struct lockstep_out log_addresses;
  // 32 bytes a topic.
  struct lockstep_out log_topics;
  // One number more than there are logs: the topics of the n-th are topic_offsets[n] .. topic_offsets[n + 1].
  struct lockstep_out_u64 log_topic_offsets;
  // The data of all logs.
  struct lockstep_out log_data;
  // One number more than there are logs: the data of the n-th are log_data[log_data_offsets[n] .. log_data_offsets[n + 1]].
  struct lockstep_out_u64 log_data_offsets;
  // With LOCKSTEP_WANT_CHANGES, also all that follow: 20 bytes an account, in order. An account is here if it is not as it was before.
  struct lockstep_out account_addresses;
  // One byte an account: a lockstep_account_change.
  struct lockstep_out account_changes;
  // 32 bytes an account: what it has after the block.
  struct lockstep_out account_balances;
  // One an account: the same.
  struct lockstep_out_u64 account_nonces;
  // 32 bytes an account: the same; Keccak-256 of nothing where it has no code.
  struct lockstep_out account_code_hashes;
  // 20 bytes a slot: whose it is, in the order of accounts.
  struct lockstep_out slot_addresses;
  // 32 bytes a slot.
  struct lockstep_out slot_keys;
  // 32 bytes a slot: what it holds after the block.
  struct lockstep_out slot_values;
  // 32 bytes a code that the block has set.
  struct lockstep_out code_hashes;
  // These codes.
  struct lockstep_out codes;
  // One number more than there are codes: the n-th is codes[code_offsets[n] .. code_offsets[n + 1]].
  struct lockstep_out_u64 code_offsets;
} lockstep_results;

// Access lists (EIP-2930). All zeros are empty lists.
typedef struct lockstep_access_lists {
  // One number more than there are calls: the accounts of the n-th are account_offsets[n] .. account_offsets[n + 1].
  struct lockstep_u64s account_offsets;
  // 20 bytes an account.
  struct lockstep_bytes addresses;
  // One number more than there are accounts: the keys of the n-th are key_offsets[n] .. key_offsets[n + 1]. Empty: there are no keys.
  struct lockstep_u64s key_offsets;
  // 32 bytes a key.
  struct lockstep_bytes keys;
} lockstep_access_lists;

// Sets of accounts that are not as the snapshot has them, as eth_call takes them. All zeros are no sets.
typedef struct lockstep_overrides {
  // One number more than there are sets: the accounts of the n-th are account_offsets[n] .. account_offsets[n + 1].
  struct lockstep_u64s account_offsets;
  // 20 bytes an account. Of two with one address in a set the later counts.
  struct lockstep_bytes addresses;
  // One byte an account: LOCKSTEP_OVERRIDE_ flags. What is not flagged stays as it is.
  struct lockstep_bytes flags;
  // 32 bytes an account, in wei. Empty: none is given.
  struct lockstep_bytes balances;
  // One an account. Empty: none is given.
  struct lockstep_u64s nonces;
  // One an account. Empty: none is given.
  struct lockstep_items codes;
  // One number more than there are accounts: the slots of the n-th are slot_offsets[n] .. slot_offsets[n + 1]. Empty: there are no slots.
  struct lockstep_u64s slot_offsets;
  // 32 bytes a slot.
  struct lockstep_bytes slot_keys;
  // 32 bytes a slot: what it holds.
  struct lockstep_bytes slot_values;
} lockstep_overrides;

// Calls on the same state, each alone or in sequences, unsigned and at a gas price of zero, as eth_call takes them. As many as there are senders.
typedef struct lockstep_calls {
  // 20 bytes a call: the sender.
  struct lockstep_bytes from;
  // 20 bytes a call: the contract.
  struct lockstep_bytes to;
  // One byte a call: 1 creates a contract, whatever `to` says, 0 does not. Empty: none does.
  struct lockstep_bytes creates;
  // 32 bytes a call, in wei. Empty: all are zero.
  struct lockstep_bytes values;
  // One a call: the gas limit; zero is the block's. Empty: all are the block's.
  struct lockstep_u64s gas;
  // One a call: calldata, or init code.
  struct lockstep_items inputs;
  // Warm from the start.
  struct lockstep_access_lists access_lists;
  // What calls see instead of the snapshot. Within a sequence the overrides of a call stay in force for those after it.
  struct lockstep_overrides overrides;
  // One a call: zero for none, n for the n-th set of overrides. Empty: none has any. Calls that name one set share the work.
  struct lockstep_u64s overrides_of;
  // One number more than there are sequences: the calls of the n-th are sequences[n] .. sequences[n + 1], and each sees what those before it
  // in its sequence did. The first is zero and the last the number of calls. Empty: each call is alone.
  struct lockstep_u64s sequences;
  // LOCKSTEP_STOP_ON_REVERT, or none.
  uint32_t flags;
} lockstep_calls;

// What calls come to. Zero it before the first call, but for the capacities.
typedef struct lockstep_answers {
  // In: zero simulates, a token fetches. Set: where the answers are kept, after LOCKSTEP_CODE_TOO_SMALL; else zero.
  uint64_t token;
  // One byte a call: a lockstep_tx_status.
  struct lockstep_out statuses;
  // One a call: as a transaction would pay it.
  struct lockstep_out_u64 gas_used;
  // 20 bytes a call: the address of a creation that succeeded; else zeros.
  struct lockstep_out contract_addresses;
  // Return and revert data.
  struct lockstep_out outputs;
  // One number more than there are calls: the output of the n-th is outputs[output_offsets[n] .. output_offsets[n + 1]].
  struct lockstep_out_u64 output_offsets;
  // Why calls were not made (INVALID, STATE, FAILED), in UTF-8. Optional: with a capacity of zero in this and the next nothing is written and
  // nothing is too small.
  struct lockstep_out errors;
  // One number more than there are calls: the text of the n-th is errors[error_offsets[n] .. error_offsets[n + 1]], empty if it was made.
  struct lockstep_out_u64 error_offsets;
} lockstep_answers;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the ABI that this library speaks.
uint32_t lockstep_abi_version(void);

// Starts an engine. `abi_version` is the caller's LOCKSTEP_ABI_VERSION; without `options` (null) all is by default. Sets `handle`, to zero after any
// other code than OK.
lockstep_code lockstep_create(uint32_t abi_version,
                              const struct lockstep_options *options,
                              lockstep_handle *handle);

// Ends an engine, and with it what is kept under its tokens. Its number is never used again.
lockstep_code lockstep_destroy(lockstep_handle handle);

// Frees what is kept under a token that nobody will fetch.
lockstep_code lockstep_discard(lockstep_handle handle, uint64_t token);

// What there is to run on: the CPU, and every adapter. Sets `count` to their number; if it is more than `capacity`, nothing else is written and the
// code is TOO_SMALL.
lockstep_code lockstep_devices(struct lockstep_device *devices,
                               size_t capacity,
                               size_t *count);

// Why a call failed, or the first bad item of a batch: with zero as `handle` the last one of this thread that did, else the last one with that handle,
// by whatever thread. Writes up to `capacity` bytes of UTF-8, the last of them zero, and gives the number that the whole takes; 1 if there is nothing to
// say. Asking changes no text.
size_t lockstep_last_error(lockstep_handle handle,
                           char *text,
                           size_t capacity);

// Recovers the signer of each item, and the authorities of raw transactions, all in one batch. Fewer than 16 items are done on the calling thread. A bad
// item has a status of its own, and the others do not notice; the last error tells of the first.
lockstep_code lockstep_recover(lockstep_handle handle,
                               const struct lockstep_signatures *signatures,
                               struct lockstep_signers *signers);

// Keccak-256 (Ethereum's, not SHA-3) of each message: 32 bytes a message.
lockstep_code lockstep_keccak256(lockstep_handle handle, const struct lockstep_items *messages, struct lockstep_out *hashes);

// Executes an ordered block on a snapshot: its transactions only, without system calls, withdrawals or rewards. All of it or, where one transaction may
// not be there, nothing: then the code is INVALID_BLOCK, and `failed_tx` and the last error say which and why. With a token in `results` it
// fetches what an earlier call has kept; the other pointers may be null then.
lockstep_code lockstep_execute(lockstep_handle handle,
                               const struct lockstep_block_env *env,
                               const struct lockstep_items *transactions,
                               const struct lockstep_state *state,
                               struct lockstep_results *results);

// Answers calls on a snapshot, each alone or in sequences: what a call does, those after it in its sequence see, and no other. With a token in `answers` it fetches what an earlier call has kept; the other
// pointers may be null then. A bad call has a status of its own; the last error tells of the first.
lockstep_code lockstep_simulate(lockstep_handle handle,
                                const struct lockstep_block_env *env,
                                const struct lockstep_state *state,
                                const struct lockstep_calls *calls,
                                struct lockstep_answers *answers);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LOCKSTEP_H */
