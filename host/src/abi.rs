//! Every struct and constant that crosses to a device, once. `shaders/abi.wgsl` and `kernels/abi.cuh` are generated
//! from here (see [`crate::abi_text`]); a test proves them fresh.
//!
//! All is `u32`: U256 = `[u32; 8]` least significant limb first, Address = `[u32; 5]` in memory order (limb i holds
//! bytes 4i..4i+4, lowest byte first), 64-bit values as `_lo, _hi`. Arenas of bytes are packed in memory order too.

use bytemuck::{Pod, Zeroable};

/// A struct of the ABI: its name, the prefix of its word offsets, and (field, offset, length) in words.
#[derive(Clone, Copy, Debug)]
pub struct StructInfo {
    /// The type's name in every language.
    pub name: &'static str,
    /// Prefix of the generated word offsets.
    pub prefix: &'static str,
    /// Name, offset and length in words of each field, in order.
    pub fields: &'static [(&'static str, usize, usize)],
    /// Size in words.
    pub words: usize,
}

macro_rules! abi_structs {
    ($($(#[$doc:meta])* struct $name:ident($prefix:literal) { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* })*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
        #[repr(C)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* })*

        /// Every struct of the ABI.
        pub const STRUCTS: &[StructInfo] = &[$(StructInfo {
            name: stringify!($name),
            prefix: $prefix,
            fields: &[$((stringify!($field), core::mem::offset_of!($name, $field) / 4, size_of::<$ty>() / 4),)*],
            words: size_of::<$name>() / 4,
        },)*];
    };
}

macro_rules! abi_consts {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$doc])* pub const $name: u32 = $value;)*

        /// Every constant of the ABI, in order.
        pub const CONSTS: &[(&str, u32)] = &[$((stringify!($name), $name),)*];
    };
}

abi_structs! {
    /// What one dispatch of `execute` is about; a uniform.
    struct Params("PARAMS") {
        /// Lanes in the batch.
        lanes: u32,
        /// Work that a lane does in one dispatch: steps, long ones counted several times.
        slice_steps: u32,
        /// Steps after which a lane falls back.
        max_steps: u32,
        /// Places in the index of the snapshot table minus one; their number is a power of two, the entries stand behind.
        snapshot_mask: u32,
        /// Words a lane's stack holds.
        stack_words: u32,
        /// 32-bit words of EVM memory a lane holds.
        memory_limbs: u32,
        /// 32-bit words of log data a lane holds, behind its memory.
        log_limbs: u32,
        /// 32-bit words of return data a lane holds, behind its log data.
        return_limbs: u32,
        /// Live frames a lane holds.
        depth: u32,
        /// Journal records a lane holds.
        journal: u32,
        /// Overlay entries a lane holds.
        slots: u32,
        /// Log entries a lane holds.
        logs: u32,
        /// Word offset of the first [`TxRecord`] in the batch arena.
        tx_base: u32,
        /// Refund for clearing a slot (EIP-3529).
        clear_refund: u32,
        /// The precompiles are 1..=this (and 0x100 where the next field says so): warm from the start.
        precompiles: u32,
        /// 1 where P256VERIFY is at 0x100 (EIP-7951).
        p256: u32,
        /// `RULE_*` of the fork.
        rules: u32,
        /// The first place of a slice in the list of lanes that the batch arena begins with.
        first: u32,
        /// Behind its last place; invocations from there on do nothing.
        listed: u32,
        /// `COVERAGE_*`: which maps of edges stand behind the counters.
        coverage: u32,
        /// Nothing in the kernel reads it; the tests select a seeded fault by it.
        pad0: u32,
        /// Keeps the size a multiple of 16 bytes, as do the others.
        pad1: u32,
        /// See `pad1`.
        pad2: u32,
        /// See `pad1`.
        pad3: u32,
    }

    /// One lane's transaction in the batch arena: what is the same in every frame.
    struct TxRecord("TX") {
        /// Word offset of the versioned blob hashes in the batch arena.
        blobs_offset: u32,
        /// How many.
        blobs: u32,
        /// Word offset of the block environment in the batch arena: `ENV_WORDS` words of 32 big-endian bytes.
        block: u32,
        /// Number of the state, times `KEY_STATE`: part of every key.
        state: u32,
        /// The same of the state that keys are looked for in where this one lacks them; the same number where there is none.
        base: u32,
        /// ORIGIN and GASPRICE as 32 big-endian bytes each.
        env: [u32; 16],
    }

    /// A frame in the lane buffer, behind the [`LaneState`]; one block for each depth. The first eight rows stand while the
    /// frame lives, the last three from the call that it makes until that call returns.
    struct FrameState("FRAME") {
        /// ADDRESS as a word: whose storage the frame works on.
        address: [u32; 8],
        /// CALLER as a word.
        caller: [u32; 8],
        /// CALLVALUE.
        value: [u32; 8],
        /// Word offset of the code in the code arena.
        code_offset: u32,
        /// Bytes of code.
        code_len: u32,
        /// Word offset of the jump destination bits in the code arena.
        jumps_offset: u32,
        /// `MODE_*`.
        mode: u32,
        /// Calldata: at depth zero their word offset in the batch arena, where at least 36 zero bytes follow; deeper, their
        /// byte offset in the lane's memory.
        input_base: u32,
        /// Bytes of calldata.
        input_len: u32,
        /// Words on the lane's stack that are not the frame's.
        stack_base: u32,
        /// Byte offset of the frame's memory in the lane's.
        memory_base: u32,
        /// The step after the call.
        pc: u32,
        /// Words on the lane's stack, operands taken.
        sp: u32,
        /// Gas left to the frame.
        gas_lo: u32,
        /// Gas left to the frame, high half.
        gas_hi: u32,
        /// The frame's memory in 32-byte words.
        memory_words: u32,
        /// Where the output of the call goes: byte offset in the lane's memory.
        out_offset: u32,
        /// Most bytes of it.
        out_len: u32,
        /// Journal records at the call: those above are undone if it fails, as the three that follow are.
        journal: u32,
        /// Log entries at the call.
        logs: u32,
        /// Limbs of log data at the call.
        log_limbs: u32,
        /// Refund counter at the call.
        refund: u32,
        /// Keeps the size a multiple of 16 bytes.
        pad0: u32,
    }

    /// A lane's registers: input of its first dispatch, output of its last.
    struct LaneState("LANE") {
        /// Status word, see `STATUS_*`.
        status: u32,
        /// Byte offset in the code.
        pc: u32,
        /// Words on the stack, over all frames.
        sp: u32,
        /// Overlay entries in use.
        entries: u32,
        /// Gas left.
        gas_lo: u32,
        /// Gas left, high half.
        gas_hi: u32,
        /// Refund counter, signed.
        refund: u32,
        /// Memory of the running frame in 32-byte words.
        memory_words: u32,
        /// Log entries in use.
        logs: u32,
        /// Limbs of log data in use.
        log_limbs: u32,
        /// Byte offset of the transaction's output in memory.
        output_offset: u32,
        /// Bytes of return data; at the end, of the transaction's output.
        output_len: u32,
        /// Steps run so far.
        steps: u32,
        /// Calls around the running frame.
        depth: u32,
        /// Journal records in use.
        journal: u32,
        /// Where a parked lane goes on: the step that no opcode asks for, the one after it from bit 12 on, and in bit 31
        /// that a call resolves a delegation, to `request_address`. Zero for a step of the code.
        resume: u32,
        /// What the lane waits for where the status is `STATUS_PARKED`: `KIND_*` of a key, or `REQUEST_*`.
        request_kind: u32,
        /// The key's address.
        request_address: [u32; 5],
        /// Bytes that the request is about: their offset in the lane's memory.
        request_offset: u32,
        /// How many.
        request_len: u32,
        /// The key's slot or number.
        request_word: [u32; 8],
    }

    /// A key and its value in the snapshot table. Before the entries stands their index: open addressing by the hash of
    /// the key with linear probing, the number of an entry plus one in each place, zero where it is free.
    struct SnapshotEntry("SNAP") {
        /// `KIND_*`, plus the number of the state times `KEY_STATE`.
        kind: u32,
        /// First limb of the address.
        address0: u32,
        /// Slot, block number, or zero.
        slot: [u32; 8],
        /// The other limbs of the address.
        address: [u32; 4],
        /// Accounts: word offset of the code's [`CodeHeader`] in the code arena.
        code: u32,
        /// Accounts: `ACCOUNT_*`.
        flags: u32,
        /// Slot value, balance or block hash.
        value: [u32; 8],
        /// Accounts: nonce.
        nonce_lo: u32,
        /// Accounts: nonce, high half.
        nonce_hi: u32,
        /// Keeps the size a power of two.
        pad0: [u32; 6],
    }

    /// A key that a lane touched.
    struct OverlayEntry("OVER") {
        /// Number of the snapshot entry; with [`KEY_TRANSIENT`] the transient slot of that name.
        key: u32,
        /// `ENTRY_*`.
        flags: u32,
        /// Accounts: how far the transaction has raised the nonce.
        nonce_delta: u32,
        /// Accounts: the code that it has set, see `ENTRY_CODE`.
        code: u32,
        /// The value now. Before the entry is loaded: a delta that is added to the snapshot's value.
        current: [u32; 8],
    }

    /// A log entry of a lane; its data stand in the lane's log limbs.
    struct LogEntry("LOG") {
        /// Zero to four.
        topics: u32,
        /// First limb of the data.
        data_limb: u32,
        /// Bytes of data.
        data_len: u32,
        /// First limb of the emitting address.
        address0: u32,
        /// The other limbs of the address.
        address: [u32; 4],
        /// The topics as words.
        topic: [u32; 32],
    }

    /// What a call that fails must give back to an overlay entry.
    struct JournalRecord("JOURNAL") {
        /// Index of the overlay entry.
        entry: u32,
        /// Its `ENTRY_REVERTED` flags before.
        flags: u32,
        /// Its nonce delta and code before.
        note: [u32; 2],
        /// Its value before.
        current: [u32; 8],
    }

    /// What one dispatch of a batched crypto kernel is about; a uniform.
    struct BatchParams("BATCHPARAMS") {
        /// Items; invocations beyond do nothing.
        count: u32,
        /// Lanes that the planes of scratch buffers are laid out for, at least `count`.
        stride: u32,
        /// First round of a ladder slice.
        first: u32,
        /// One past its last round.
        last: u32,
        /// Invocations that share the lanes of a batched inversion, from 1 to `count`.
        inverters: u32,
        /// Words that a lane has in each row of an interleaved buffer.
        width: u32,
        /// Keeps the size a multiple of 16 bytes, as does the other: a uniform has no arrays of words.
        pad0: u32,
        /// See `pad0`.
        pad1: u32,
    }

    /// One signature to recover.
    struct RecoverItem("ITEM") {
        /// Message hash.
        z: [u32; 8],
        /// As in the signature, unchecked.
        r: [u32; 8],
        /// As in the signature, unchecked.
        s: [u32; 8],
        /// Parity of R's y, plus 2 where its x is r + n.
        recovery_id: u32,
        /// `RECOVER_LOW_S` or zero.
        flags: u32,
        /// Keeps the size a power of two.
        pad0: [u32; 6],
    }

    /// What became of it.
    struct RecoverResult("RESULT") {
        /// `STATUS_RECOVERED`, `STATUS_INVALID` or `STATUS_EXCEPTIONAL`.
        status: u32,
        /// Zero unless recovered.
        address: [u32; 5],
        /// Keeps the size a power of two.
        pad0: [u32; 2],
    }

    /// A code in the code arena, named by the word offset of this header; that at zero is the empty code's. The bytes
    /// follow, and at least 36 zero bytes.
    struct CodeHeader("CODE") {
        /// Bytes.
        len: u32,
        /// Word offset in the arena of one bit a byte: valid jump destination.
        jumps_offset: u32,
        /// Keeps what follows aligned to 16 bytes.
        pad0: [u32; 2],
        /// Code hash as a word.
        hash: [u32; 8],
    }
}

abi_consts! {
    /// Nothing ran.
    STATUS_NOT_RUN = 0;
    /// STOP, or a plain transfer.
    STATUS_STOP = 1;
    /// RETURN.
    STATUS_RETURN = 2;
    /// Recover: the address is the signer's.
    STATUS_RECOVERED = 3;
    /// REVERT.
    STATUS_REVERT = 0x10;
    /// Exceptional halt: out of gas.
    STATUS_OUT_OF_GAS = 0x20;
    /// Exceptional halt: stack underflow or overflow.
    STATUS_STACK = 0x21;
    /// Exceptional halt: undefined opcode.
    STATUS_INVALID_OPCODE = 0x22;
    /// Exceptional halt: jump to what is not a JUMPDEST.
    STATUS_INVALID_JUMP = 0x23;
    /// Exceptional halt: RETURNDATACOPY past the end.
    STATUS_RETURN_DATA = 0x24;
    /// Exceptional halt: a change in a static frame.
    STATUS_STATIC = 0x25;
    /// Exceptional halt: an account that stands already was to be created, or code that may not be deployed.
    STATUS_CREATE = 0x26;
    /// Recover: r, s out of range, high s where forbidden, no such point.
    STATUS_INVALID = 0x80;
    /// Plus a [`crate::fallback::FallbackReason`].
    STATUS_FALLBACK = 0x100;
    /// Has steps to run.
    STATUS_RUNNING = 0x200;
    /// Waits for the host: for a key as if the step had not begun; for a request the step is done, and `resume` says what
    /// follows. At the end: the host could not answer.
    STATUS_PARKED = 0x201;
    /// Recover: an exceptional addition was met; the host redoes the item.
    STATUS_EXCEPTIONAL = 0x202;

    /// Account: address.
    KIND_ACCOUNT = 1;
    /// Storage: address, slot.
    KIND_SLOT = 2;
    /// Transient storage: address, slot; goes by the number of the slot of that name.
    KIND_TRANSIENT = 3;
    /// Block hash: number.
    KIND_BLOCK_HASH = 4;

    /// CREATE: `request_address` creates with the init code in its memory, `request_word` is its nonce. The answer is the
    /// address, which the snapshot then has, and in `request_len` the init code's offset in the code arena.
    REQUEST_CREATE = 0x10;
    /// CREATE2: the same with the salt as `request_word`.
    REQUEST_CREATE2 = 0x11;
    /// The code in memory is deployed at `request_address`; the answer is its offset in the code arena.
    REQUEST_DEPLOY = 0x12;
    /// The bytes are the input of the ecrecover precompile. The answer is what it returns: a word and its length, 32 or zero.
    REQUEST_RECOVER = 0x13;

    /// What a key's kind is a remainder of: above it stands the number of the state.
    KEY_STATE = 16;

    /// Bit of an overlay entry's key: transient storage.
    KEY_TRANSIENT = 0x8000_0000;

    /// Not empty in the sense of EIP-161.
    ACCOUNT_ALIVE = 1;

    /// Warm (EIP-2929).
    ENTRY_WARM = 1;
    /// `current` holds a value.
    ENTRY_LOADED = 2;
    /// The transaction depends on the value.
    ENTRY_READ = 4;
    /// The value was written.
    ENTRY_WRITTEN = 8;
    /// The transaction depends on the account's code or emptiness.
    ENTRY_READ_CODE = 16;
    /// The transaction depends on the account's nonce.
    ENTRY_READ_NONCE = 32;
    /// The account belongs to what the transaction changed, even if nothing differs (EIP-161).
    ENTRY_TOUCHED = 64;
    /// The transaction created the account.
    ENTRY_CREATED = 128;
    /// The account is gone after the transaction (SELFDESTRUCT), whatever it is paid until then.
    ENTRY_DESTROYED = 256;
    /// The entry's `code` names the account's code, not the snapshot.
    ENTRY_CODE = 512;
    /// A slot of an account that the transaction created: zero whatever the snapshot holds.
    ENTRY_FRESH = 1024;
    /// What a failed call takes back: `ENTRY_WARM`, `ENTRY_WRITTEN`, `ENTRY_TOUCHED`, `ENTRY_CREATED`, `ENTRY_DESTROYED`,
    /// `ENTRY_CODE`. What was read stays read.
    ENTRY_REVERTED = 969;
    /// From this bit on: one plus the bit length of the least balance left by a debit, zero where there was none. The
    /// transaction depends on the balance being that much, no more.
    ENTRY_SLACK_SHIFT = 16;

    /// A static frame (EIP-214).
    MODE_STATIC = 1;
    /// The frame works on an account that the transaction has created, so its storage was empty.
    MODE_CREATED = 2;
    /// The frame runs init code: what it returns is deployed.
    MODE_INIT = 4;

    /// No new code starts with 0xef (EIP-3541), no refund for SELFDESTRUCT (EIP-3529).
    RULE_LONDON = 1;
    /// Init code is limited and metered (EIP-3860).
    RULE_SHANGHAI = 2;
    /// SELFDESTRUCT destroys only what the transaction created (EIP-6780).
    RULE_CANCUN = 4;

    /// A step that no opcode asks for: the identity precompile runs.
    OP_IDENTITY = 0x103;
    /// The SHA-256 precompile runs.
    OP_SHA256 = 0x110;
    /// The ecrecover precompile asks the host for the signer.
    OP_RECOVER = 0x111;
    /// It returns what the host has answered.
    OP_RECOVERED = 0x112;

    /// Bits of an opcode row's second word: a result goes to the new top of the stack.
    ROW_RESULT = 0x1_0000;
    /// The top of the stack is an operand.
    READS_A = 0x2_0000;
    /// The second word is, or the one that DUP and SWAP reach for.
    READS_B = 0x4_0000;
    /// The third word is.
    READS_C = 0x8_0000;

    /// EVM words of a block environment.
    ENV_WORDS = 8;
    /// Which of them is the block number.
    ENV_NUMBER = 2;
    /// Invocations a workgroup.
    WORKGROUP = 32;
    /// Flag: s above n / 2 is invalid (EIP-2).
    RECOVER_LOW_S = 1;
    /// Words of a counter set: running lanes, steps, parked lanes, work, lanes that ended with `FALLBACK_*`.
    COUNTERS = 5;

    /// No maps of edges.
    COVERAGE_OFF = 0;
    /// One for all lanes of the batch.
    COVERAGE_MERGED = 1;
    /// One a lane, in the order of the lanes.
    COVERAGE_EACH = 2;
    /// Bits of a map.
    COVERAGE_BITS = crate::coverage::Coverage::BITS;
}
