// A stage of `execute`: a run of opcodes that need nothing but code, stack and registers, which are nine of ten. Stands
// in the step loop's body, and ends before the first opcode that needs more: that one is `found`.
//
// PUSH1 to PUSH3 are done together with the opcode that takes their word, where that is of a class from CLASS_ALU to
// CLASS_JUMP; a jump together with the JUMPDEST that it goes to. Both ways to halt halt the frame alike, so it does not
// matter which of the two opcodes ran short.

// Two words of code from word `window_at` on.
var window_at = 0xffffffffu;
var low = 0u;
var high = 0u;
// A call that resolves a delegation goes on in any case.
var left = QUICK_RUN;
loop {
    let spent = work >= params.slice_steps && !delegated;
    if (left == 0u || found || spent) { break; }
    left -= 1u;

    // Fetch the opcode and the four bytes after it. Past the end of the code stand zeros, and zero is STOP.
    let word = frame.code_base + (pc >> 2u);
    if (word != window_at) {
        window_at = word;
        low = codes[word];
        high = codes[word + 1u];
    }
    let shift = (pc & 3u) * 8u;
    let window = (low >> shift) | ((high << (31u - shift)) << 1u);
    let fifth = (high >> shift) & 0xffu;
    op = window & 0xffu;
    let len = op - OP_PUSH0;
    let short = len - 1u < 3u;
    var row_of = op;
    if (short) { row_of = select((window >> 8u) >> (8u * len), fifth, len == 3u) & 0xffu; }
    row0 = opcodes[row_of].x;
    row1 = opcodes[row_of].y;
    // JUMPDEST takes none.
    let takes = (row0 & 0xff00u) != 0u && (row0 & 0xffu) >= CLASS_ALU && (row0 & 0xffu) <= CLASS_JUMP;
    let joined = short && takes;
    if (joined) {
        op = row_of;
    } else if (short) {
        // The row of PUSH1 to PUSH3, spared a second look: one word more, three gas.
        row0 = CLASS_PUSH | 0x90000u | (len << 24u);
        row1 = ROW_RESULT | 3u;
    }
    let class_ = row0 & 0xffu;
    // Undefined is zero.
    if (class_ - 1u >= CLASS_JUMP) {
        found = true;
        continue;
    }
    let need = (row0 >> 8u) & 0xffu;
    let arg = row0 >> 24u;
    let height = sp + select(0u, 1u, joined);
    let new_sp = height + ((row0 >> 16u) & 0xffu) - 8u;
    if (new_sp > params.stack_words) { status = FALLBACK_STACK; }
    if (height - frame.stack_base < need || max(height, new_sp) - frame.stack_base > 1024u) { status = STATUS_STACK; }
    if (steps >= params.max_steps) { status = FALLBACK_STEPS; }
    if (status != STATUS_RUNNING) { break; }

    // Operands: the top, the one at the depth that DUP and SWAP ask for or the second, the third.
    let pushed = u32_swap4(vec4<u32>((window >> 8u) | (fifth << 24u))).x >> ((32u - 8u * len) & 31u);
    var reach = 1u;
    if (class_ == CLASS_DUP) { reach = arg - 1u; }
    if (class_ == CLASS_SWAP) { reach = arg; }
    let place_b = height - 1u - reach;
    if ((row1 & READS_A) != 0u && !cached && !joined) { top = stack_load(sp - 1u, lane); }
    var a = top;
    var b = top;
    if (joined) { a = u256_from_u32(pushed); }
    if ((row1 & READS_B) != 0u && !(cached && place_b + 1u == sp)) { b = stack_load(place_b, lane); }
    let near_a = u256_saturate(a);

    var cost = (row1 & 0xffffu) + select(0u, 3u, joined);
    var done = height - sp + 1u;
    var next_pc = pc + 1u + select(0u, 1u + len, joined);
    // Where a jump leads to.
    var leads_to = next_pc;
    var r = b;
    if (class_ == CLASS_ALU) {
        r = u256_zero();
        var c = r;
        if ((row1 & READS_C) != 0u) { c = stack_load(height - 3u, lane); }
        //#include "stage_alu.wgsl"
    } else if (class_ == CLASS_PUSH) {
        next_pc += arg;
        r = u256_from_u32(select(pushed, 0u, arg == 0u));
        if (arg > 4u) { r = load_code(frame.code_base, pc + 1u, arg); }
    } else if (class_ == CLASS_JUMP) {
        if (op == OP_JUMP || (op == OP_JUMPI && !u256_is_zero(b))) {
            // A bit a byte of code; zero past the end.
            var valid = false;
            if (near_a < frame.code_len) {
                valid = ((codes[frame.jumps_base + (near_a >> 5u)] >> (near_a & 31u)) & 1u) == 1u;
            }
            if (!valid) { status = STATUS_INVALID_JUMP; }
            leads_to = near_a;
            next_pc = near_a + 1u;
            cost += 1u;
            done += 1u;
        }
    } else if (class_ == CLASS_REGISTER) {
        r = u256_zero();
        switch op {
            case OP_CALLDATASIZE: { r.lo.x = frame.input_len; }
            case OP_CODESIZE: { r.lo.x = frame.code_len; }
            case OP_RETURNDATASIZE: { r.lo.x = output_len; }
            case OP_PC: { r.lo.x = pc; }
            case OP_MSIZE: { r.lo.x = memory_words * 32u; }
            default: { r.lo.x = gas_lo - 2u; r.lo.y = gas_hi - select(0u, 1u, gas_lo < 2u); }
        }
    }
    steps += done;
    work += done;

    // Charge.
    if (gas_hi == 0u && gas_lo < cost) { status = STATUS_OUT_OF_GAS; }
    if (status != STATUS_RUNNING) { break; }
    gas_hi -= select(0u, 1u, gas_lo < cost);
    gas_lo -= cost;

    if (params.coverage != COVERAGE_OFF) {
        let origin = pc + select(0u, 1u + len, joined);
        if (op == OP_JUMP || op == OP_JUMPI) { coverage_add(frame.code_base, origin, leads_to, lane); }
    }

    // What was the top goes to its place under the new one; SWAP has another place for it.
    let swaps = class_ == CLASS_SWAP;
    if (swaps || (cached && new_sp > sp)) {
        stack_store(select(sp - 1u, place_b, swaps), top, lane);
    }
    cached = cached && new_sp == sp;
    if ((row1 & ROW_RESULT) != 0u) {
        top = r;
        cached = true;
    }
    sp = new_sp;
    pc = next_pc;
}
