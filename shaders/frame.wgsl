// Call frames: a block of rows for each depth behind the lane's registers (FrameState), and the journal that undoes what
// a failed call did to the overlay.

//#include "lane.wgsl"

// Steps that no opcode asks for, in the same stages: the value leaves the caller, arrives and touches the callee, a
// precompile runs, the caller goes on after a call.
const OP_DEBIT = 0x101u;
const OP_CREDIT = 0x102u;
const OP_RESUME = 0x104u;
// What a destroyed account held goes to its heir.
const OP_BEQUEST = 0x105u;
// The host has named the account to be created; what it has analysed is its code.
const OP_CREATED = 0x106u;
const OP_DEPLOY = 0x107u;

// In `LaneState.resume`.
const RESUME_DELEGATED = 0x80000000u;

const LANE_ROWS = 8u;
const LANE_ROW_REQUEST = 4u;
const FRAME_ROWS = 11u;
// Rows of a FrameState.
const FRAME_ROW_CODE = 6u;
const FRAME_ROW_INPUT = 7u;
const FRAME_ROW_CALL = 8u;

const JOURNAL_ROWS = 3u;
const LOG_ROWS = 10u;

// What the steps of a frame need at hand.
struct Frame {
    address0: u32,
    address_rest: vec4<u32>,
    code_base: u32,
    code_len: u32,
    jumps_base: u32,
    // MODE_*.
    mode: u32,
    // Word offset in the batch arena at depth zero; zero deeper, where calldata start at byte `input_start` of memory.
    input_base: u32,
    input_start: u32,
    input_len: u32,
    stack_base: u32,
    // In bytes.
    memory_base: u32,
}

// What a frame goes on with when its call returns.
struct Resume {
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
}

// What the lane asks of the host: a kind with an address and a word, and bytes of its memory.
fn lane_park(kind: u32, address0: u32, address_rest: vec4<u32>, offset: u32, len: u32, word: U256, lane: u32) {
    let n = params.lanes;
    let at = LANE_ROW_REQUEST * n + lane;
    lanes[at] = vec4<u32>(kind, address0, address_rest.xy);
    lanes[at + n] = vec4<u32>(address_rest.zw, offset, len);
    lanes[at + 2u * n] = word.lo;
    lanes[at + 3u * n] = word.hi;
}

// Index of the first row of the frame at `depth`.
fn frame_row(depth: u32, lane: u32) -> u32 {
    return (LANE_ROWS + FRAME_ROWS * depth) * params.lanes + lane;
}

fn frame_load(depth: u32, lane: u32) -> Frame {
    let n = params.lanes;
    let at = frame_row(depth, lane);
    let image = word_image(U256(lanes[at], lanes[at + n]));
    let code = lanes[at + FRAME_ROW_CODE * n];
    let input = lanes[at + FRAME_ROW_INPUT * n];
    let nested = depth > 0u;
    return Frame(
        image.lo.w,
        image.hi,
        code.x,
        code.y,
        code.z,
        code.w,
        select(input.x, 0u, nested),
        select(0u, input.x, nested),
        input.y,
        input.z,
        input.w,
    );
}

fn frame_resume(depth: u32, lane: u32) -> Resume {
    let n = params.lanes;
    let at = frame_row(depth, lane) + FRAME_ROW_CALL * n;
    let a = lanes[at];
    let b = lanes[at + n];
    let c = lanes[at + 2u * n];
    return Resume(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w, c.x, c.y, c.z);
}

// The frame at `depth` makes a call of kind `op` to `callee` with `value`: keeps what it goes on with, and writes the
// rows of the frame one deeper. `code` and `input` are its rows of these names.
fn frame_call(op: u32, depth: u32, callee: U256, value: U256, code: vec4<u32>, input: vec4<u32>, keep: Resume, lane: u32) {
    let n = params.lanes;
    let at = frame_row(depth, lane);
    var address = U256(lanes[at], lanes[at + n]);
    var caller = U256(lanes[at + 2u * n], lanes[at + 3u * n]);
    var apparent = U256(lanes[at + 4u * n], lanes[at + 5u * n]);
    if (op != OP_DELEGATECALL) {
        caller = address;
        apparent = value;
    }
    if (op == OP_CALL || op == OP_STATICCALL) {
        address = U256(callee.lo, vec4<u32>(callee.hi.x, 0u, 0u, 0u));
    }
    let kept = at + FRAME_ROW_CALL * n;
    lanes[kept] = vec4<u32>(keep.pc, keep.sp, keep.gas_lo, keep.gas_hi);
    lanes[kept + n] = vec4<u32>(keep.memory_words, keep.out_offset, keep.out_len, keep.journal);
    lanes[kept + 2u * n] = vec4<u32>(keep.logs, keep.log_limbs, keep.refund, 0u);
    let next = at + FRAME_ROWS * n;
    lanes[next] = address.lo;
    lanes[next + n] = address.hi;
    lanes[next + 2u * n] = caller.lo;
    lanes[next + 3u * n] = caller.hi;
    lanes[next + 4u * n] = apparent.lo;
    lanes[next + 5u * n] = apparent.hi;
    lanes[next + FRAME_ROW_CODE * n] = code;
    lanes[next + FRAME_ROW_INPUT * n] = input;
}

// Index of the first row of a journal record.
fn journal_row(record: u32, lane: u32) -> u32 {
    return (params.slots * ENTRY_ROWS + params.logs * LOG_ROWS + record * JOURNAL_ROWS) * params.lanes + lane;
}

// Gives back what the records from `first` to `end` hold, last first. What was loaded or read stays so: validation
// depends on it.
fn journal_revert(first: u32, end: u32, lane: u32) {
    let n = params.lanes;
    var record = end;
    loop {
        if (record <= first) { break; }
        record -= 1u;
        let held = journal_row(record, lane);
        let head = overlay[held];
        let at = ENTRY_ROWS * head.x * n + lane;
        let entry = overlay[at];
        overlay[at] = vec4<u32>(entry.x, (entry.y & ~ENTRY_REVERTED) | head.y, head.zw);
        overlay[at + n] = overlay[held + n];
        overlay[at + 2u * n] = overlay[held + 2u * n];
    }
}

// Words of memory that a range ends in; zero where it is empty, 2^32-1 where it ends beyond any.
fn words_to(offset: u32, len: u32) -> u32 {
    if (len == 0u) { return 0u; }
    // Two of them do not wrap.
    let end = min(offset, FAR) + min(len, FAR);
    return select(0xffffffffu, (end + 31u) >> 5u, end < FAR);
}
