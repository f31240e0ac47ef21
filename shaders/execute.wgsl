// The EVM, one lane a transaction: runs single-frame code from Berlin to Osaka in bounded slices.
//
// A step is a fixed sequence of stages (fetch, operands, decide, expand memory, multiply, divide, load bytes, touch
// state, hash, copy, charge, store) rather than an arm for each opcode: every place that touches a storage buffer is
// inlined once, and neighbours that run different opcodes share the stages. The decide stage only fills in requests.
//
// Nothing of a step is visible before its end but overlay entries and memory, which a halt discards; so the gas of a
// step is charged once, and a key that the snapshot lacks parks the lane with the step undone.
//
// Every cap ends the lane with FALLBACK_* before anything wrong can be observed. Specification: the Yellow Paper and
// EIPs 145, 1014, 1052, 1153, 1344, 1884, 2200, 2929, 3198, 3529, 3651, 3855, 4399, 4844, 5656, 7516, 7939.

//#include "abi.wgsl"
//#include "u256.wgsl"
//#include "keccak.wgsl"

@group(0) @binding(0) var<uniform> params: Params;
// Opcode rows, block environment, transaction records, calldata, blob hashes.
@group(0) @binding(1) var<storage, read> batch: array<u32>;
// Table of contents (CodeEntry), then bytes and jump destination bits.
@group(0) @binding(2) var<storage, read> codes: array<u32>;
// SnapshotEntry as eight rows.
@group(0) @binding(3) var<storage, read> snapshot: array<vec4<u32>>;
// LaneState as eight rows, interleaved [row][lane] like every buffer below.
@group(0) @binding(4) var<storage, read_write> lanes: array<vec4<u32>>;
// EVM words as two rows, bottom of the stack first.
@group(0) @binding(5) var<storage, read_write> stack: array<vec4<u32>>;
// EVM memory in memory order, then log data; zero before the first dispatch.
@group(0) @binding(6) var<storage, read_write> memory: array<u32>;
// OverlayEntry as eight rows, params.slots of them; then LogEntry as nine rows.
@group(0) @binding(7) var<storage, read_write> overlay: array<vec4<u32>>;
// Running lanes, steps.
@group(0) @binding(8) var<storage, read_write> counters: array<atomic<u32>>;

// Where bytes are read from.
const SOURCE_NONE = 0u;
const SOURCE_BATCH = 1u;
const SOURCE_CODE = 2u;
const SOURCE_MEMORY = 3u;
const SOURCE_WORD = 4u;

const KECCAK_RATE_LIMBS = 34u;
// Beyond any length that a cap allows, and far from where byte offsets would wrap.
const FAR = 0x70000000u;

// The 32-bit limb at `index` of a source, zero at and past byte `limit` (rounded up to a limb: sources are padded with
// zeros). `base` is the word offset of the source in its arena; `word` is the big-endian image of a word source.
fn limb_at(source: u32, base: u32, index: u32, limit: u32, lane: u32, word: U256) -> u32 {
    if (index >= (limit + 3u) >> 2u) {
        return 0u;
    }
    switch source {
        case SOURCE_BATCH: { return batch[base + index]; }
        case SOURCE_CODE: { return codes[base + index]; }
        case SOURCE_MEMORY: { return memory[index * params.lanes + lane]; }
        case SOURCE_WORD: { return select(word.lo[index & 3u], word.hi[index & 3u], index >= 4u); }
        default: { return 0u; }
    }
}

// The bytes of a word in memory order: limb 0 holds the four most significant bytes.
fn word_image(a: U256) -> U256 {
    return U256(u32_swap4(a.hi.wzyx), u32_swap4(a.lo.wzyx));
}

@compute @workgroup_size(32)
fn execute(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let n = params.lanes;
    if (lane >= n) {
        return;
    }
    let r0 = lanes[lane];
    var status = r0.x;
    if (status != STATUS_RUNNING) {
        return;
    }
    let r1 = lanes[n + lane];
    let r2 = lanes[2u * n + lane];
    let r3 = lanes[3u * n + lane];
    var pc = r0.y;
    var sp = r0.z;
    var entries = r0.w;
    var gas_lo = r1.x;
    var gas_hi = r1.y;
    var refund = r1.z;
    var memory_words = r1.w;
    var logs = r2.x;
    var log_limbs = r2.y;
    var output_offset = r2.z;
    var output_len = r2.w;
    var steps = r3.x;
    var miss_kind = 0u;

    let tx = params.tx_base + lane * TX_WORDS;
    let code_base = batch[tx + TX_CODE_OFFSET];
    let code_len = batch[tx + TX_CODE_LEN];
    let jumps_base = batch[tx + TX_JUMPS_OFFSET];
    let input_base = batch[tx + TX_INPUT_OFFSET];
    let input_len = batch[tx + TX_INPUT_LEN];
    let target0 = batch[tx + TX_CALLEE];
    let target_rest = vec4<u32>(
        batch[tx + TX_CALLEE + 1u],
        batch[tx + TX_CALLEE + 2u],
        batch[tx + TX_CALLEE + 3u],
        batch[tx + TX_CALLEE + 4u],
    );

    let first_step = steps;
    loop {
        if (status != STATUS_RUNNING || steps - first_step >= params.slice_steps) {
            break;
        }
        if (steps >= params.max_steps) {
            status = FALLBACK_STEPS;
            break;
        }
        steps += 1u;

        // Fetch. Past the end of the code stands STOP.
        var op = OP_STOP;
        if (pc < code_len) {
            op = (codes[code_base + (pc >> 2u)] >> ((pc & 3u) * 8u)) & 0xffu;
        }
        let row0 = batch[2u * op];
        let row1 = batch[2u * op + 1u];
        let class_ = row0 & 0xffu;
        let need = (row0 >> 8u) & 0xffu;
        let arg = row0 >> 24u;
        let new_sp = sp + ((row0 >> 16u) & 0xffu) - 8u;
        if (class_ == CLASS_UNDEFINED) {
            status = STATUS_INVALID_OPCODE;
            break;
        }
        if (sp < need || (new_sp > 1024u && sp >= need)) {
            status = STATUS_STACK;
            break;
        }
        if (class_ == CLASS_UNSUPPORTED) {
            status = STATUS_FALLBACK + arg;
            break;
        }
        if (new_sp > params.stack_words) {
            status = FALLBACK_STACK;
            break;
        }

        // Operands: the top three, the second at the depth that DUP and SWAP ask for.
        var depth = 1u;
        if (class_ == CLASS_DUP) { depth = arg - 1u; }
        if (class_ == CLASS_SWAP) { depth = arg; }
        let at_a = select(0u, 2u * (sp - 1u) * n + lane, sp > 0u);
        let at_b = select(0u, 2u * (sp - 1u - depth) * n + lane, sp > depth);
        let at_c = select(0u, 2u * (sp - 3u) * n + lane, sp > 2u);
        let a = U256(stack[at_a], stack[at_a + n]);
        let b = U256(stack[at_b], stack[at_b + n]);
        let c = U256(stack[at_c], stack[at_c + n]);

        var cost = row1 & 0xffffu;
        var next_pc = pc + 1u;
        var r = u256_zero();

        // Requests to the stages below.
        var load_source = SOURCE_NONE;
        var load_base = 0u;
        var load_limit = 0u;
        var load_offset = 0u;
        var load_len = 32u;
        var touch = false;
        var expand_offset = u256_zero();
        var expand_len = u256_zero();
        var copy_source = SOURCE_NONE;
        var copy_base = 0u;
        var copy_limit = 0u;
        var copy_from = u256_zero();
        var copy_to = a;
        var copy_len = u256_zero();
        var copy_gas = 0u;
        var multiply = 0u;
        var divide = 0u;
        var kind = 0u;
        var jump = false;
        // The adder computes x + y or x - y; the shifters x << left and >> right, both by up to 255.
        var subtract = true;
        var x = a;
        var y = b;
        var left = 0u;
        var right = 0u;
        var fill = 0u;

        let sign_a = a.hi.w >> 31u;
        let sign_b = b.hi.w >> 31u;

        // Decide.
        switch class_ {
            case CLASS_PUSH: {
                load_source = SOURCE_CODE;
                load_base = code_base;
                load_limit = FAR;
                load_offset = pc + 1u;
                load_len = arg;
                next_pc += arg;
            }
            case CLASS_DUP: { r = b; }
            case CLASS_SWAP: { r = b; }
            case CLASS_LOG: {
                expand_offset = a;
                expand_len = b;
                touch = true;
                copy_source = SOURCE_MEMORY;
                copy_from = a;
                copy_len = b;
                copy_gas = 8u;
            }
            case CLASS_ENV_BLOCK: {
                load_source = SOURCE_BATCH;
                load_base = BATCH_ENV;
                load_limit = 256u;
                load_offset = arg * 32u;
            }
            case CLASS_ENV_TX: {
                load_source = SOURCE_BATCH;
                load_base = tx + TX_ENV;
                load_limit = 192u;
                load_offset = arg * 32u;
            }
            default: {}
        }
        if (class_ == CLASS_PLAIN) {
            switch op {
                case OP_STOP: { status = STATUS_STOP; }
                case OP_ADD: { subtract = false; }
                case OP_GT, OP_SGT: { x = b; y = a; }
                case OP_MUL: { multiply = 1u; }
                case OP_EXP: {
                    // Two multiplications a bit of the exponent.
                    let bits = 256u - u256_clz(b);
                    multiply = 2u * bits;
                    cost += 50u * ((bits + 7u) >> 3u);
                }
                case OP_DIV, OP_MOD: { divide = 1u; }
                case OP_SDIV, OP_SMOD: { divide = 1u; }
                case OP_ADDMOD: { subtract = false; divide = 2u; }
                case OP_MULMOD: { multiply = 1u; divide = 2u; }
                case OP_ISZERO: { r.lo.x = select(0u, 1u, u256_is_zero(a)); }
                case OP_AND: { r = U256(a.lo & b.lo, a.hi & b.hi); }
                case OP_OR: { r = U256(a.lo | b.lo, a.hi | b.hi); }
                case OP_XOR: { r = U256(a.lo ^ b.lo, a.hi ^ b.hi); }
                case OP_NOT: { r = U256(~a.lo, ~a.hi); }
                case OP_CLZ: { r.lo.x = u256_clz(a); }
                case OP_BYTE: { x = b; right = 248u - 8u * min(a.lo.x, 31u); }
                case OP_SHL: { x = b; left = min(a.lo.x, 255u); }
                case OP_SHR: { x = b; right = min(a.lo.x, 255u); }
                case OP_SAR: { x = b; right = min(a.lo.x, 255u); fill = 0u - sign_b; }
                case OP_SIGNEXTEND: {
                    x = b;
                    left = 248u - 8u * min(a.lo.x, 31u);
                    right = left;
                }
                case OP_KECCAK256: {
                    expand_offset = a;
                    expand_len = b;
                    touch = true;
                    copy_len = b;
                    copy_gas = 6u;
                }
                case OP_BALANCE, OP_EXTCODESIZE, OP_EXTCODEHASH, OP_EXTCODECOPY, OP_SELFBALANCE: { kind = KIND_ACCOUNT; }
                case OP_SLOAD, OP_SSTORE: { kind = KIND_SLOT; }
                case OP_TLOAD, OP_TSTORE: { kind = KIND_TRANSIENT; }
                case OP_BLOCKHASH: {
                    // Only the 256 blocks before this one have a hash; all of them fit 64 bits.
                    let number = U256(vec4<u32>(params.number_lo, params.number_hi, 0u, 0u), vec4<u32>());
                    let back = u256_sbb(number, a);
                    if (back.c == 1u && u256_is_u32(back.s) && back.s.lo.x >= 1u && back.s.lo.x <= 256u) {
                        kind = KIND_BLOCK_HASH;
                    }
                }
                case OP_CALLDATALOAD: {
                    load_source = SOURCE_BATCH;
                    load_base = input_base;
                    load_limit = input_len;
                    load_offset = select(FAR, min(a.lo.x, FAR), u256_is_u32(a));
                }
                case OP_CALLDATACOPY, OP_CODECOPY, OP_RETURNDATACOPY: {
                    expand_offset = a;
                    expand_len = c;
                    touch = true;
                    copy_from = b;
                    copy_len = c;
                    copy_gas = 3u;
                    copy_source = SOURCE_BATCH;
                    copy_base = input_base;
                    copy_limit = input_len;
                    if (op == OP_CODECOPY) {
                        copy_source = SOURCE_CODE;
                        copy_base = code_base;
                        copy_limit = code_len;
                    }
                    // Without calls the return data are empty: any byte of them is out of bounds.
                    if (op == OP_RETURNDATACOPY) {
                        copy_source = SOURCE_NONE;
                        if (!u256_is_zero(b) || !u256_is_zero(c)) { status = STATUS_RETURN_DATA; }
                    }
                }
                case OP_MCOPY: {
                    let back = u256_sbb(a, b);
                    expand_offset.lo = select(b.lo, a.lo, back.c == 1u);
                    expand_offset.hi = select(b.hi, a.hi, back.c == 1u);
                    expand_len = c;
                    touch = true;
                    copy_source = SOURCE_MEMORY;
                    copy_from = b;
                    copy_len = c;
                    copy_gas = 3u;
                }
                case OP_BLOBHASH: {
                    load_source = SOURCE_BATCH;
                    load_base = batch[tx + TX_BLOBS_OFFSET];
                    load_limit = 32u * batch[tx + TX_BLOBS];
                    load_offset = select(FAR, min(a.lo.x, FAR >> 5u) << 5u, u256_is_u32(a));
                }
                case OP_MLOAD: {
                    expand_offset = a;
                    expand_len.lo.x = 32u;
                    touch = true;
                    load_source = SOURCE_MEMORY;
                    load_limit = FAR;
                }
                case OP_MSTORE: {
                    expand_offset = a;
                    expand_len.lo.x = 32u;
                    touch = true;
                    copy_source = SOURCE_WORD;
                    copy_limit = 32u;
                    copy_len.lo.x = 32u;
                }
                case OP_MSTORE8: {
                    expand_offset = a;
                    expand_len.lo.x = 1u;
                    touch = true;
                    copy_source = SOURCE_WORD;
                    copy_limit = 32u;
                    copy_from.lo.x = 31u;
                    copy_len.lo.x = 1u;
                }
                case OP_JUMP: { jump = true; }
                case OP_JUMPI: { jump = !u256_is_zero(b); }
                case OP_PC: { r.lo.x = pc; }
                case OP_MSIZE: { r.lo.x = memory_words * 32u; }
                case OP_GAS: { r.lo.x = gas_lo - 2u; r.lo.y = gas_hi - select(0u, 1u, gas_lo < 2u); }
                case OP_RETURN, OP_REVERT: {
                    expand_offset = a;
                    expand_len = b;
                    touch = true;
                    status = select(STATUS_REVERT, STATUS_RETURN, op == OP_RETURN);
                }
                default: {}
            }
        }

        // EXTCODECOPY alone has four operands.
        if (op == OP_EXTCODECOPY) {
            let at_d = 2u * (sp - 4u) * n + lane;
            expand_offset = b;
            expand_len = U256(stack[at_d], stack[at_d + n]);
            touch = true;
            copy_source = SOURCE_CODE;
            copy_from = c;
            copy_to = b;
            copy_len = expand_len;
            copy_gas = 3u;
        }

        if (jump) {
            // A bit a byte of code; zero past the end.
            next_pc = a.lo.x;
            var valid = false;
            if (u256_is_u32(a) && next_pc < code_len) {
                valid = ((codes[jumps_base + (next_pc >> 5u)] >> (next_pc & 31u)) & 1u) == 1u;
            }
            if (!valid) {
                status = STATUS_INVALID_JUMP;
                break;
            }
        }

        // Expand memory. After this stage every length is within the lane's memory, or zero.
        if (touch && !u256_is_zero(expand_len)) {
            let end = u256_adc(expand_offset, expand_len, 0u);
            var words = 0xffffffffu;
            if (end.c == 0u && u256_is_u32(end.s) && end.s.lo.x < FAR) {
                words = (end.s.lo.x + 31u) >> 5u;
            }
            if (words > memory_words) {
                // 3w + w²/512 fits 32 bits up to w = 65535; beyond that it exceeds the cost there.
                let w = min(words, 0xffffu);
                let held = memory_words;
                let price = (3u * w + (w * w >> 9u)) - (3u * held + (held * held >> 9u));
                if (gas_hi == 0u && gas_lo < price) {
                    status = STATUS_OUT_OF_GAS;
                    break;
                }
                if (words > params.memory_limbs >> 3u) {
                    status = FALLBACK_MEMORY;
                    break;
                }
                cost += price;
                memory_words = words;
            }
        }
        if (copy_gas != 0u) {
            cost += select((copy_len.lo.x + 31u) >> 5u, copy_len.lo.x, copy_gas == 8u) * copy_gas;
        }
        if (op == OP_RETURN || op == OP_REVERT) {
            output_offset = a.lo.x;
            output_len = b.lo.x;
        }

        // Add, subtract, compare.
        let mask = select(0u, 0xffffffffu, subtract);
        let sum = u256_adc(x, U256(y.lo ^ vec4<u32>(mask), y.hi ^ vec4<u32>(mask)), mask & 1u);
        if (class_ == CLASS_PLAIN) {
            switch op {
                case OP_ADD, OP_SUB: { r = sum.s; }
                case OP_LT, OP_GT: { r.lo.x = 1u - sum.c; }
                case OP_SLT, OP_SGT: { r.lo.x = select(1u - sum.c, x.hi.w >> 31u, sign_a != sign_b); }
                case OP_EQ: { r.lo.x = select(0u, 1u, u256_is_zero(sum.s)); }
                default: {}
            }
        }

        // Shift.
        if (op >= OP_SIGNEXTEND && op <= OP_SAR && class_ == CLASS_PLAIN) {
            let up = u256_shl(x, left);
            if (op == OP_SIGNEXTEND) { fill = 0u - (up.hi.w >> 31u); }
            let down = u256_shr(up, right, fill);
            // Past 255 (31 for BYTE and SIGNEXTEND) nothing of the operand is left, or all of it.
            let beyond = !u256_is_u32(a) || a.lo.x > 255u;
            let beyond_byte = !u256_is_u32(a) || a.lo.x > 31u;
            switch op {
                case OP_SIGNEXTEND: { r = down; if (beyond_byte) { r = b; } }
                case OP_BYTE: { r.lo.x = select(down.lo.x & 0xffu, 0u, beyond_byte); }
                case OP_SHL, OP_SHR: { r = down; if (beyond) { r = u256_zero(); } }
                case OP_SAR: { r = down; if (beyond) { r = U256(vec4<u32>(fill), vec4<u32>(fill)); } }
                default: {}
            }
        }

        // Multiply; EXP as square and multiply from the top bit.
        var product = U512(sum.s, u256_from_u32(sum.c));
        if (multiply != 0u) {
            var acc = u256_from_u32(1u);
            if (op != OP_EXP) { acc = a; }
            var turn = multiply;
            loop {
                if (turn == 0u) { break; }
                turn -= 1u;
                var factor = b;
                var skip = false;
                if (op == OP_EXP) {
                    // Odd turns square; even turns multiply where the bit turn/2 of the exponent is set.
                    let bit = turn >> 1u;
                    let limb = select(b.lo[(bit >> 5u) & 3u], b.hi[(bit >> 5u) & 3u], bit >= 128u);
                    factor = acc;
                    if ((turn & 1u) == 0u) {
                        factor = a;
                        skip = ((limb >> (bit & 31u)) & 1u) == 0u;
                    }
                }
                if (!skip) {
                    product = u256_mul_wide(acc, factor);
                    acc = product.low;
                }
            }
            r = acc;
        } else if (op == OP_EXP) {
            r.lo.x = 1u;
        }

        // Divide: one quotient bit a turn, the quotient entering where the numerator leaves. Two passes over 512 bits.
        if (divide != 0u) {
            let is_signed = op == OP_SDIV || op == OP_SMOD;
            var divisor = b;
            if (divide == 2u) { divisor = c; }
            divisor = u256_neg_if(divisor, is_signed && sign_b == 1u);
            var pass_ = divide;
            var rest = u256_zero();
            var quotient = u256_zero();
            if (u256_is_zero(divisor)) { pass_ = 0u; }
            loop {
                if (pass_ == 0u) { break; }
                pass_ -= 1u;
                if (pass_ == 1u) {
                    quotient = product.high;
                } else if (divide == 2u) {
                    quotient = product.low;
                } else {
                    quotient = u256_neg_if(a, is_signed && sign_a == 1u);
                }
                var turns = 256u;
                if (u256_is_zero(rest)) {
                    // Leading zeros yield nothing.
                    let zeros = u256_clz(quotient);
                    turns -= zeros;
                    quotient = u256_shl(quotient, zeros & 255u);
                }
                loop {
                    if (turns == 0u) { break; }
                    turns -= 1u;
                    let shifted = u256_shl1(rest, quotient.hi.w >> 31u);
                    let reduced = u256_sbb(shifted.s, divisor);
                    let bit = shifted.c | reduced.c;
                    rest = shifted.s;
                    if (bit == 1u) { rest = reduced.s; }
                    quotient = u256_shl1(quotient, bit).s;
                }
            }
            if (op == OP_DIV || op == OP_SDIV) {
                r = u256_neg_if(quotient, is_signed && sign_a != sign_b);
            } else {
                r = u256_neg_if(rest, is_signed && sign_a == 1u);
            }
        }

        // Load up to 32 bytes, big-endian, right-aligned.
        if (load_source != SOURCE_NONE) {
            if (op == OP_MLOAD) { load_offset = a.lo.x; }
            // From up to three bytes before, so that the last group ends with the last byte.
            let groups = (load_len + 3u) >> 2u;
            let from_ = load_offset + load_len - 4u * groups;
            let shift = (from_ & 3u) * 8u;
            let index = u32(i32(from_) >> 2u);
            let extra = (4u * groups - load_len) * 8u;
            var left_limb = limb_at(load_source, load_base, index, load_limit, lane, a);
            for (var i = 0u; i < groups; i++) {
                let right_limb = limb_at(load_source, load_base, index + i + 1u, load_limit, lane, a);
                let image = (left_limb >> shift) | ((right_limb << (31u - shift)) << 1u);
                var limb = u32_swap4(vec4<u32>(image)).x;
                if (i == 0u) { limb &= 0xffffffffu >> extra; }
                r = U256(vec4<u32>(limb, r.lo.xyz), vec4<u32>(r.lo.w, r.hi.xyz));
                left_limb = right_limb;
            }
        }

        // Touch state: one look in the overlay, one in the snapshot.
        if (kind != 0u) {
            var address0 = target0;
            var address_rest = target_rest;
            var slot = a;
            if (kind == KIND_ACCOUNT) {
                if (op != OP_SELFBALANCE) {
                    let image = word_image(a);
                    address0 = image.lo.w;
                    address_rest = image.hi;
                }
                slot = u256_zero();
            }
            if (kind == KIND_BLOCK_HASH) {
                address0 = 0u;
                address_rest = vec4<u32>();
            }
            if (op == OP_SSTORE && gas_hi == 0u && gas_lo <= 2300u) {
                // EIP-2200.
                status = STATUS_OUT_OF_GAS;
                break;
            }
            let key0 = vec4<u32>(kind, address0, slot.lo.xy);
            let key1 = vec4<u32>(slot.lo.zw, slot.hi.xy);
            let key2 = vec4<u32>(slot.hi.zw, address_rest.xy);
            let key3 = address_rest.zw;

            var entry = 0u;
            var at = lane;
            var tail = vec4<u32>();
            loop {
                if (entry >= entries) { break; }
                if (all(overlay[at] == key0) && all(overlay[at + n] == key1) && all(overlay[at + 2u * n] == key2)) {
                    tail = overlay[at + 3u * n];
                    if (all(tail.xy == key3)) { break; }
                }
                entry += 1u;
                at += 8u * n;
            }
            var flags = 0u;
            var found = 0u;
            var current = u256_zero();
            var original = u256_zero();
            if (entry < entries) {
                flags = tail.z;
                found = tail.w;
                current = U256(overlay[at + 4u * n], overlay[at + 5u * n]);
                original = U256(overlay[at + 6u * n], overlay[at + 7u * n]);
            } else {
                if (entries >= params.slots) {
                    status = select(FALLBACK_SLOTS, FALLBACK_ACCOUNTS, kind == KIND_ACCOUNT);
                    break;
                }
                // Precompiles are warm. The number stands in the last, big-endian, limb of the address.
                let low = u32_swap4(vec4<u32>(address_rest.w)).x;
                if (kind == KIND_ACCOUNT && all(vec4<u32>(address0, address_rest.xyz) == vec4<u32>())) {
                    let precompile = (low >= 1u && low <= params.precompiles) || (low == 0x100u && params.p256 == 1u);
                    flags = select(0u, ENTRY_WARM, precompile);
                }
            }
            if ((flags & ENTRY_LOADED) == 0u) {
                var value = u256_zero();
                if (kind != KIND_TRANSIENT) {
                    var h = key0 * vec4<u32>(0x9e3779b1u) + key1 * vec4<u32>(0x85ebca77u);
                    h = (h ^ (h >> vec4<u32>(15u))) + key2 * vec4<u32>(0xc2b2ae3du) + vec4<u32>(key3, 0u, 0u) * vec4<u32>(0x27d4eb2fu);
                    h ^= h >> vec4<u32>(13u);
                    found = (h.x * 0x165667b1u + h.y * 0x9e3779b1u) ^ (h.z * 0x85ebca77u + h.w * 0xc2b2ae3du);
                    found ^= found >> 16u;
                    var missing = false;
                    loop {
                        found &= params.snapshot_mask;
                        let head = snapshot[8u * found];
                        if (head.x == 0u) { missing = true; break; }
                        if (all(head == key0) && all(snapshot[8u * found + 1u] == key1) && all(snapshot[8u * found + 2u] == key2)
                            && all(snapshot[8u * found + 3u].xy == key3)) { break; }
                        found += 1u;
                    }
                    if (missing) {
                        status = STATUS_MISS;
                        lanes[4u * n + lane] = vec4<u32>(address0, address_rest.xyz);
                        lanes[5u * n + lane] = vec4<u32>(address_rest.w, 0u, 0u, 0u);
                        lanes[6u * n + lane] = slot.lo;
                        lanes[7u * n + lane] = slot.hi;
                        miss_kind = kind;
                        break;
                    }
                    value = U256(snapshot[8u * found + 4u], snapshot[8u * found + 5u]);
                }
                current = u256_adc(current, value, 0u).s;
                original = value;
                flags |= ENTRY_LOADED;
            }
            let warm = (flags & ENTRY_WARM) != 0u;
            switch op {
                case OP_SSTORE: {
                    // EIP-2200 with the costs of EIP-2929 and the refunds of EIP-3529.
                    if (!warm) { cost += 2100u; }
                    let clean = u256_eq(original, current);
                    let old_zero = u256_is_zero(original);
                    let now_zero = u256_is_zero(current);
                    let new_zero = u256_is_zero(b);
                    if (!u256_eq(current, b)) {
                        if (clean) {
                            cost += select(2800u, 19900u, old_zero);
                            if (new_zero) { refund += params.clear_refund; }
                        } else {
                            if (!old_zero) {
                                if (now_zero) { refund -= params.clear_refund; }
                                if (new_zero) { refund += params.clear_refund; }
                            }
                            if (u256_eq(original, b)) { refund += select(2800u, 19900u, old_zero); }
                        }
                    }
                    current = b;
                    flags |= ENTRY_READ | ENTRY_WRITTEN;
                }
                case OP_SLOAD: {
                    if (!warm) { cost += 2000u; }
                    r = current;
                    flags |= ENTRY_READ;
                }
                case OP_TSTORE: { current = b; }
                case OP_BALANCE, OP_SELFBALANCE: {
                    if (!warm) { cost += 2500u; }
                    r = current;
                    flags |= ENTRY_READ;
                }
                case OP_EXTCODESIZE, OP_EXTCODECOPY, OP_EXTCODEHASH: {
                    if (!warm) { cost += 2500u; }
                    flags |= ENTRY_READ_CODE;
                    let info = snapshot[8u * found + 3u];
                    if (info.z != 0u) {
                        copy_base = codes[(info.z - 1u) * CODE_WORDS + CODE_OFFSET];
                        copy_limit = codes[(info.z - 1u) * CODE_WORDS + CODE_LEN];
                    }
                    if (op == OP_EXTCODESIZE) { r.lo.x = copy_limit; }
                    if (op == OP_EXTCODEHASH && ((info.w & ACCOUNT_ALIVE) != 0u || (flags & ENTRY_ALIVE) != 0u)) {
                        r = U256(snapshot[8u * found + 6u], snapshot[8u * found + 7u]);
                    }
                }
                default: { r = current; }
            }
            flags |= ENTRY_WARM;
            entries = max(entries, entry + 1u);
            overlay[at] = key0;
            overlay[at + n] = key1;
            overlay[at + 2u * n] = key2;
            overlay[at + 3u * n] = vec4<u32>(key3, flags, found);
            overlay[at + 4u * n] = current.lo;
            overlay[at + 5u * n] = current.hi;
            overlay[at + 6u * n] = original.lo;
            overlay[at + 7u * n] = original.hi;
        }

        // Hash. Padding: 0x01 after the last byte, 0x80 in the last byte of the last block.
        if (op == OP_KECCAK256) {
            var state = array<u32, 50>();
            let len = b.lo.x;
            let shift = (a.lo.x & 3u) * 8u;
            var index = a.lo.x >> 2u;
            var position = 0u;
            var blocks = len / 136u + 1u;
            var left_limb = limb_at(SOURCE_MEMORY, 0u, index, select(0u, FAR, len != 0u), lane, a);
            loop {
                if (blocks == 0u) { break; }
                blocks -= 1u;
                for (var i = 0u; i < KECCAK_RATE_LIMBS; i++) {
                    var limb = 0u;
                    if (position < len) {
                        let right_limb = limb_at(SOURCE_MEMORY, 0u, index + 1u, FAR, lane, a);
                        limb = (left_limb >> shift) | ((right_limb << (31u - shift)) << 1u);
                        left_limb = right_limb;
                    }
                    let left_bytes = len - position;
                    if (position <= len && left_bytes < 4u) {
                        let bits = left_bytes * 8u;
                        limb = (limb & ((1u << bits) - 1u)) | (1u << bits);
                    }
                    if (blocks == 0u && i == KECCAK_RATE_LIMBS - 1u) { limb ^= 0x80000000u; }
                    keccak_absorb_word(&state, i, limb);
                    position += 4u;
                    index += 1u;
                }
                keccak_f1600(&state);
            }
            let digest = U256(vec4<u32>(state[0], state[1], state[2], state[3]), vec4<u32>(state[4], state[5], state[6], state[7]));
            r = word_image(digest);
        }

        // Copy into memory, or into the log data behind it.
        if (class_ == CLASS_LOG) {
            let limbs = (copy_len.lo.x + 3u) >> 2u;
            if (logs >= params.logs || log_limbs + limbs > params.log_limbs) {
                status = FALLBACK_LOGS;
                break;
            }
            let at = (params.slots * 8u + logs * 9u) * n + lane;
            overlay[at] = vec4<u32>(arg, log_limbs, copy_len.lo.x, 0u);
            for (var i = 0u; i < arg; i++) {
                let topic = 2u * (sp - 3u - i) * n + lane;
                overlay[at + (2u * i + 1u) * n] = stack[topic];
                overlay[at + (2u * i + 2u) * n] = stack[topic + n];
            }
            copy_to.lo.x = (params.memory_limbs + log_limbs) * 4u;
            logs += 1u;
            log_limbs += limbs;
        }
        if (copy_source != SOURCE_NONE && copy_len.lo.x != 0u) {
            let image = word_image(b);
            let to = copy_to.lo.x;
            let len = copy_len.lo.x;
            let from_ = select(FAR, min(copy_from.lo.x, FAR), u256_is_u32(copy_from));
            let limit = select(copy_limit, FAR, copy_source == SOURCE_MEMORY);
            let first = to >> 2u;
            let count = ((to + len - 1u) >> 2u) - first + 1u;
            // Downwards where source and destination may overlap that way.
            let backwards = to > from_;
            for (var i = 0u; i < count; i++) {
                let limb = first + select(i, count - 1u - i, backwards);
                // Byte of the source that lands in the lowest byte of this limb; may lie up to three before its start.
                let source = i32(from_) + i32(limb * 4u) - i32(to);
                let index = u32(source >> 2u);
                let shift = u32(source & 3) * 8u;
                let left_limb = limb_at(copy_source, copy_base, index, limit, lane, image);
                let right_limb = limb_at(copy_source, copy_base, index + 1u, limit, lane, image);
                let value = (left_limb >> shift) | ((right_limb << (31u - shift)) << 1u);
                let begin = select(0u, to - limb * 4u, limb * 4u < to) * 8u;
                let stop = min(to + len - limb * 4u, 4u) * 8u;
                let keep_high = select(0xffffffffu << stop, 0u, stop == 32u);
                let write = (0xffffffffu << begin) & ~keep_high;
                let address = limb * n + lane;
                memory[address] = (memory[address] & ~write) | (value & write);
            }
        }

        // Charge, then store the results.
        if (gas_hi == 0u && gas_lo < cost) {
            status = STATUS_OUT_OF_GAS;
            break;
        }
        gas_hi -= select(0u, 1u, gas_lo < cost);
        gas_lo -= cost;
        if ((row1 & 0x10000u) != 0u) {
            let top = 2u * (new_sp - 1u) * n + lane;
            stack[top] = r.lo;
            stack[top + n] = r.hi;
            if (class_ == CLASS_SWAP) {
                stack[at_b] = a.lo;
                stack[at_b + n] = a.hi;
            }
        }
        sp = new_sp;
        pc = next_pc;
    }

    lanes[lane] = vec4<u32>(status, pc, sp, entries);
    lanes[n + lane] = vec4<u32>(gas_lo, gas_hi, refund, memory_words);
    lanes[2u * n + lane] = vec4<u32>(logs, log_limbs, output_offset, output_len);
    lanes[3u * n + lane] = vec4<u32>(steps, miss_kind, 0u, 0u);
    if (status == STATUS_RUNNING) {
        atomicAdd(&counters[0], 1u);
    }
    atomicAdd(&counters[1], steps - first_step);
}
