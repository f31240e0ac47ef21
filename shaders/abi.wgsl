// Generated from host/src/abi.rs, do not edit.

const STATUS_NOT_RUN = 0x0u;
const STATUS_STOP = 0x1u;
const STATUS_RETURN = 0x2u;
const STATUS_RECOVERED = 0x3u;
const STATUS_REVERT = 0x10u;
const STATUS_OUT_OF_GAS = 0x20u;
const STATUS_STACK = 0x21u;
const STATUS_INVALID_OPCODE = 0x22u;
const STATUS_INVALID_JUMP = 0x23u;
const STATUS_RETURN_DATA = 0x24u;
const STATUS_STATIC = 0x25u;
const STATUS_CREATE = 0x26u;
const STATUS_INVALID = 0x80u;
const STATUS_FALLBACK = 0x100u;
const STATUS_RUNNING = 0x200u;
const STATUS_PARKED = 0x201u;
const STATUS_EXCEPTIONAL = 0x202u;
const KIND_ACCOUNT = 0x1u;
const KIND_SLOT = 0x2u;
const KIND_TRANSIENT = 0x3u;
const KIND_BLOCK_HASH = 0x4u;
const REQUEST_CREATE = 0x10u;
const REQUEST_CREATE2 = 0x11u;
const REQUEST_DEPLOY = 0x12u;
const REQUEST_RECOVER = 0x13u;
const KEY_STATE = 0x10u;
const KEY_TRANSIENT = 0x80000000u;
const ACCOUNT_ALIVE = 0x1u;
const ENTRY_WARM = 0x1u;
const ENTRY_LOADED = 0x2u;
const ENTRY_READ = 0x4u;
const ENTRY_WRITTEN = 0x8u;
const ENTRY_READ_CODE = 0x10u;
const ENTRY_READ_NONCE = 0x20u;
const ENTRY_TOUCHED = 0x40u;
const ENTRY_CREATED = 0x80u;
const ENTRY_DESTROYED = 0x100u;
const ENTRY_CODE = 0x200u;
const ENTRY_FRESH = 0x400u;
const ENTRY_REVERTED = 0x3c9u;
const ENTRY_SLACK_SHIFT = 0x10u;
const MODE_STATIC = 0x1u;
const MODE_CREATED = 0x2u;
const MODE_INIT = 0x4u;
const RULE_LONDON = 0x1u;
const RULE_SHANGHAI = 0x2u;
const RULE_CANCUN = 0x4u;
const OP_IDENTITY = 0x103u;
const OP_SHA256 = 0x110u;
const OP_RECOVER = 0x111u;
const OP_RECOVERED = 0x112u;
const ROW_RESULT = 0x10000u;
const READS_A = 0x20000u;
const READS_B = 0x40000u;
const READS_C = 0x80000u;
const ENV_WORDS = 0x8u;
const ENV_NUMBER = 0x2u;
const WORKGROUP = 0x20u;
const RECOVER_LOW_S = 0x1u;
const COUNTERS = 0x5u;
const COVERAGE_OFF = 0x0u;
const COVERAGE_MERGED = 0x1u;
const COVERAGE_EACH = 0x2u;
const COVERAGE_BITS = 0x10000u;
const FALLBACK_FORK = 0x100u;
const FALLBACK_OPCODE = 0x101u;
const FALLBACK_PRECOMPILE = 0x102u;
const FALLBACK_CREATE = 0x103u;
const FALLBACK_DEPTH = 0x104u;
const FALLBACK_STACK = 0x105u;
const FALLBACK_MEMORY = 0x106u;
const FALLBACK_SLOTS = 0x107u;
const FALLBACK_ACCOUNTS = 0x108u;
const FALLBACK_LOGS = 0x109u;
const FALLBACK_CALLDATA = 0x10au;
const FALLBACK_CODE_SIZE = 0x10bu;
const FALLBACK_STEPS = 0x10cu;
const FALLBACK_MISS_ROUNDS = 0x10du;
const FALLBACK_STALE = 0x10eu;
const FALLBACK_DEVICE_ERROR = 0x10fu;
const FALLBACK_RETRY = 0x110u;
const CLASS_UNDEFINED = 0x0u;
const CLASS_PUSH = 0x1u;
const CLASS_DUP = 0x2u;
const CLASS_SWAP = 0x3u;
const CLASS_REGISTER = 0x4u;
const CLASS_ALU = 0x5u;
const CLASS_JUMP = 0x6u;
const CLASS_PLAIN = 0x7u;
const CLASS_LOG = 0x8u;
const CLASS_ENV_BLOCK = 0x9u;
const CLASS_ENV_TX = 0xau;
const CLASS_FRAME = 0xbu;
const CLASS_CALL = 0xcu;
const CLASS_CREATE = 0xdu;
const OP_STOP = 0x0u;
const OP_ADD = 0x1u;
const OP_MUL = 0x2u;
const OP_SUB = 0x3u;
const OP_DIV = 0x4u;
const OP_SDIV = 0x5u;
const OP_MOD = 0x6u;
const OP_SMOD = 0x7u;
const OP_ADDMOD = 0x8u;
const OP_MULMOD = 0x9u;
const OP_EXP = 0xau;
const OP_SIGNEXTEND = 0xbu;
const OP_LT = 0x10u;
const OP_GT = 0x11u;
const OP_SLT = 0x12u;
const OP_SGT = 0x13u;
const OP_EQ = 0x14u;
const OP_ISZERO = 0x15u;
const OP_AND = 0x16u;
const OP_OR = 0x17u;
const OP_XOR = 0x18u;
const OP_NOT = 0x19u;
const OP_BYTE = 0x1au;
const OP_SHL = 0x1bu;
const OP_SHR = 0x1cu;
const OP_SAR = 0x1du;
const OP_CLZ = 0x1eu;
const OP_KECCAK256 = 0x20u;
const OP_ADDRESS = 0x30u;
const OP_BALANCE = 0x31u;
const OP_ORIGIN = 0x32u;
const OP_CALLER = 0x33u;
const OP_CALLVALUE = 0x34u;
const OP_CALLDATALOAD = 0x35u;
const OP_CALLDATASIZE = 0x36u;
const OP_CALLDATACOPY = 0x37u;
const OP_CODESIZE = 0x38u;
const OP_CODECOPY = 0x39u;
const OP_GASPRICE = 0x3au;
const OP_EXTCODESIZE = 0x3bu;
const OP_EXTCODECOPY = 0x3cu;
const OP_RETURNDATASIZE = 0x3du;
const OP_RETURNDATACOPY = 0x3eu;
const OP_EXTCODEHASH = 0x3fu;
const OP_BLOCKHASH = 0x40u;
const OP_COINBASE = 0x41u;
const OP_TIMESTAMP = 0x42u;
const OP_NUMBER = 0x43u;
const OP_PREVRANDAO = 0x44u;
const OP_GASLIMIT = 0x45u;
const OP_CHAINID = 0x46u;
const OP_SELFBALANCE = 0x47u;
const OP_BASEFEE = 0x48u;
const OP_BLOBHASH = 0x49u;
const OP_BLOBBASEFEE = 0x4au;
const OP_POP = 0x50u;
const OP_MLOAD = 0x51u;
const OP_MSTORE = 0x52u;
const OP_MSTORE8 = 0x53u;
const OP_SLOAD = 0x54u;
const OP_SSTORE = 0x55u;
const OP_JUMP = 0x56u;
const OP_JUMPI = 0x57u;
const OP_PC = 0x58u;
const OP_MSIZE = 0x59u;
const OP_GAS = 0x5au;
const OP_JUMPDEST = 0x5bu;
const OP_TLOAD = 0x5cu;
const OP_TSTORE = 0x5du;
const OP_MCOPY = 0x5eu;
const OP_PUSH0 = 0x5fu;
const OP_CREATE = 0xf0u;
const OP_CALL = 0xf1u;
const OP_CALLCODE = 0xf2u;
const OP_RETURN = 0xf3u;
const OP_DELEGATECALL = 0xf4u;
const OP_CREATE2 = 0xf5u;
const OP_STATICCALL = 0xfau;
const OP_REVERT = 0xfdu;
const OP_SELFDESTRUCT = 0xffu;
const PARAMS_LANES = 0x0u;
const PARAMS_SLICE_STEPS = 0x1u;
const PARAMS_MAX_STEPS = 0x2u;
const PARAMS_SNAPSHOT_MASK = 0x3u;
const PARAMS_STACK_WORDS = 0x4u;
const PARAMS_MEMORY_LIMBS = 0x5u;
const PARAMS_LOG_LIMBS = 0x6u;
const PARAMS_RETURN_LIMBS = 0x7u;
const PARAMS_DEPTH = 0x8u;
const PARAMS_JOURNAL = 0x9u;
const PARAMS_SLOTS = 0xau;
const PARAMS_LOGS = 0xbu;
const PARAMS_TX_BASE = 0xcu;
const PARAMS_CLEAR_REFUND = 0xdu;
const PARAMS_PRECOMPILES = 0xeu;
const PARAMS_P256 = 0xfu;
const PARAMS_RULES = 0x10u;
const PARAMS_FIRST = 0x11u;
const PARAMS_LISTED = 0x12u;
const PARAMS_COVERAGE = 0x13u;
const PARAMS_WORDS = 0x18u;
const TX_BLOBS_OFFSET = 0x0u;
const TX_BLOBS = 0x1u;
const TX_BLOCK = 0x2u;
const TX_STATE = 0x3u;
const TX_BASE = 0x4u;
const TX_ENV = 0x5u;
const TX_WORDS = 0x15u;
const FRAME_ADDRESS = 0x0u;
const FRAME_CALLER = 0x8u;
const FRAME_VALUE = 0x10u;
const FRAME_CODE_OFFSET = 0x18u;
const FRAME_CODE_LEN = 0x19u;
const FRAME_JUMPS_OFFSET = 0x1au;
const FRAME_MODE = 0x1bu;
const FRAME_INPUT_BASE = 0x1cu;
const FRAME_INPUT_LEN = 0x1du;
const FRAME_STACK_BASE = 0x1eu;
const FRAME_MEMORY_BASE = 0x1fu;
const FRAME_PC = 0x20u;
const FRAME_SP = 0x21u;
const FRAME_GAS_LO = 0x22u;
const FRAME_GAS_HI = 0x23u;
const FRAME_MEMORY_WORDS = 0x24u;
const FRAME_OUT_OFFSET = 0x25u;
const FRAME_OUT_LEN = 0x26u;
const FRAME_JOURNAL = 0x27u;
const FRAME_LOGS = 0x28u;
const FRAME_LOG_LIMBS = 0x29u;
const FRAME_REFUND = 0x2au;
const FRAME_WORDS = 0x2cu;
const LANE_STATUS = 0x0u;
const LANE_PC = 0x1u;
const LANE_SP = 0x2u;
const LANE_ENTRIES = 0x3u;
const LANE_GAS_LO = 0x4u;
const LANE_GAS_HI = 0x5u;
const LANE_REFUND = 0x6u;
const LANE_MEMORY_WORDS = 0x7u;
const LANE_LOGS = 0x8u;
const LANE_LOG_LIMBS = 0x9u;
const LANE_OUTPUT_OFFSET = 0xau;
const LANE_OUTPUT_LEN = 0xbu;
const LANE_STEPS = 0xcu;
const LANE_DEPTH = 0xdu;
const LANE_JOURNAL = 0xeu;
const LANE_RESUME = 0xfu;
const LANE_REQUEST_KIND = 0x10u;
const LANE_REQUEST_ADDRESS = 0x11u;
const LANE_REQUEST_OFFSET = 0x16u;
const LANE_REQUEST_LEN = 0x17u;
const LANE_REQUEST_WORD = 0x18u;
const LANE_WORDS = 0x20u;
const SNAP_KIND = 0x0u;
const SNAP_ADDRESS0 = 0x1u;
const SNAP_SLOT = 0x2u;
const SNAP_ADDRESS = 0xau;
const SNAP_CODE = 0xeu;
const SNAP_FLAGS = 0xfu;
const SNAP_VALUE = 0x10u;
const SNAP_NONCE_LO = 0x18u;
const SNAP_NONCE_HI = 0x19u;
const SNAP_WORDS = 0x20u;
const OVER_KEY = 0x0u;
const OVER_FLAGS = 0x1u;
const OVER_NONCE_DELTA = 0x2u;
const OVER_CODE = 0x3u;
const OVER_CURRENT = 0x4u;
const OVER_WORDS = 0xcu;
const LOG_TOPICS = 0x0u;
const LOG_DATA_LIMB = 0x1u;
const LOG_DATA_LEN = 0x2u;
const LOG_ADDRESS0 = 0x3u;
const LOG_ADDRESS = 0x4u;
const LOG_TOPIC = 0x8u;
const LOG_WORDS = 0x28u;
const JOURNAL_ENTRY = 0x0u;
const JOURNAL_FLAGS = 0x1u;
const JOURNAL_NOTE = 0x2u;
const JOURNAL_CURRENT = 0x4u;
const JOURNAL_WORDS = 0xcu;
const BATCHPARAMS_COUNT = 0x0u;
const BATCHPARAMS_STRIDE = 0x1u;
const BATCHPARAMS_FIRST = 0x2u;
const BATCHPARAMS_LAST = 0x3u;
const BATCHPARAMS_INVERTERS = 0x4u;
const BATCHPARAMS_WIDTH = 0x5u;
const BATCHPARAMS_WORDS = 0x8u;
const ITEM_Z = 0x0u;
const ITEM_R = 0x8u;
const ITEM_S = 0x10u;
const ITEM_RECOVERY_ID = 0x18u;
const ITEM_FLAGS = 0x19u;
const ITEM_WORDS = 0x20u;
const RESULT_STATUS = 0x0u;
const RESULT_ADDRESS = 0x1u;
const RESULT_WORDS = 0x8u;
const CODE_LEN = 0x0u;
const CODE_JUMPS_OFFSET = 0x1u;
const CODE_HASH = 0x4u;
const CODE_WORDS = 0xcu;

struct Params {
    lanes: u32,
    slice_steps: u32,
    max_steps: u32,
    snapshot_mask: u32,
    stack_words: u32,
    memory_limbs: u32,
    log_limbs: u32,
    return_limbs: u32,
    depth: u32,
    journal: u32,
    slots: u32,
    logs: u32,
    tx_base: u32,
    clear_refund: u32,
    precompiles: u32,
    p256: u32,
    rules: u32,
    first: u32,
    listed: u32,
    coverage: u32,
    pad0: u32,
    pad1: u32,
    pad2: u32,
    pad3: u32,
}

struct TxRecord {
    blobs_offset: u32,
    blobs: u32,
    block: u32,
    state: u32,
    base: u32,
    env: array<u32, 16>,
}

struct FrameState {
    address: array<u32, 8>,
    caller: array<u32, 8>,
    value: array<u32, 8>,
    code_offset: u32,
    code_len: u32,
    jumps_offset: u32,
    mode: u32,
    input_base: u32,
    input_len: u32,
    stack_base: u32,
    memory_base: u32,
    pc: u32,
    sp: u32,
    gas_lo: u32,
    gas_hi: u32,
    memory_words: u32,
    out_offset: u32,
    out_len: u32,
    journal: u32,
    logs: u32,
    log_limbs: u32,
    refund: u32,
    pad0: u32,
}

struct LaneState {
    status: u32,
    pc: u32,
    sp: u32,
    entries: u32,
    gas_lo: u32,
    gas_hi: u32,
    refund: u32,
    memory_words: u32,
    logs: u32,
    log_limbs: u32,
    output_offset: u32,
    output_len: u32,
    steps: u32,
    depth: u32,
    journal: u32,
    resume: u32,
    request_kind: u32,
    request_address: array<u32, 5>,
    request_offset: u32,
    request_len: u32,
    request_word: array<u32, 8>,
}

struct SnapshotEntry {
    kind: u32,
    address0: u32,
    slot: array<u32, 8>,
    address: array<u32, 4>,
    code: u32,
    flags: u32,
    value: array<u32, 8>,
    nonce_lo: u32,
    nonce_hi: u32,
    pad0: array<u32, 6>,
}

struct OverlayEntry {
    key: u32,
    flags: u32,
    nonce_delta: u32,
    code: u32,
    current: array<u32, 8>,
}

struct LogEntry {
    topics: u32,
    data_limb: u32,
    data_len: u32,
    address0: u32,
    address: array<u32, 4>,
    topic: array<u32, 32>,
}

struct JournalRecord {
    entry: u32,
    flags: u32,
    note: array<u32, 2>,
    current: array<u32, 8>,
}

struct BatchParams {
    count: u32,
    stride: u32,
    first: u32,
    last: u32,
    inverters: u32,
    width: u32,
    pad0: u32,
    pad1: u32,
}

struct RecoverItem {
    z: array<u32, 8>,
    r: array<u32, 8>,
    s: array<u32, 8>,
    recovery_id: u32,
    flags: u32,
    pad0: array<u32, 6>,
}

struct RecoverResult {
    status: u32,
    address: array<u32, 5>,
    pad0: array<u32, 2>,
}

struct CodeHeader {
    len: u32,
    jumps_offset: u32,
    pad0: array<u32, 2>,
    hash: array<u32, 8>,
}
