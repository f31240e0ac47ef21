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

//#include "lane.wgsl"

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
    // Steps of this slice, long ones counted by what they do: a dispatch must end soon whatever runs in it.
    var work = 0u;
    loop {
        if (status != STATUS_RUNNING || work >= params.slice_steps) {
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

        work += 1u + (expand_len.lo.x >> 6u) + (multiply >> 2u) + select(0u, 4u, divide != 0u);

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

        // Multiply. What is divided by the third operand is the whole sum or product.
        var product = U512(sum.s, u256_from_u32(sum.c));
        if (multiply != 0u) {
            product = u256_power(a, b, select(0u, multiply, op == OP_EXP));
            r = product.low;
        } else if (op == OP_EXP) {
            r.lo.x = 1u;
        }

        // Divide.
        if (divide != 0u) {
            let is_signed = op == OP_SDIV || op == OP_SMOD;
            var numerator = product;
            var divisor = c;
            if (divide == 1u) {
                numerator = U512(u256_neg_if(a, is_signed && sign_a == 1u), u256_zero());
                divisor = u256_neg_if(b, is_signed && sign_b == 1u);
            }
            let result = u256_divide(numerator, divisor);
            if (op == OP_DIV || op == OP_SDIV) {
                r = u256_neg_if(result.quotient, is_signed && sign_a != sign_b);
            } else {
                r = u256_neg_if(result.rest, is_signed && sign_a == 1u);
            }
        }

        // Load up to 32 bytes, big-endian, right-aligned.
        if (load_source != SOURCE_NONE) {
            if (op == OP_MLOAD) { load_offset = a.lo.x; }
            r = load_bytes(load_source, load_base, load_limit, load_offset, load_len, lane);
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
            let key = key_of(kind, address0, address_rest, slot);
            let entry = overlay_find(key, entries, lane);
            let at = 8u * entry * n + lane;
            var flags = 0u;
            var found = 0u;
            var current = u256_zero();
            var original = u256_zero();
            if (entry < entries) {
                let tail = overlay[at + 3u * n];
                flags = tail.z;
                found = tail.w;
                current = U256(overlay[at + 4u * n], overlay[at + 5u * n]);
                original = U256(overlay[at + 6u * n], overlay[at + 7u * n]);
            } else if (entries >= params.slots) {
                status = select(FALLBACK_SLOTS, FALLBACK_ACCOUNTS, kind == KIND_ACCOUNT);
                break;
            } else if (kind == KIND_ACCOUNT && is_precompile(address0, address_rest)) {
                flags = ENTRY_WARM;
            }
            if ((flags & ENTRY_LOADED) == 0u) {
                if (kind != KIND_TRANSIENT) {
                    found = snapshot_find(key);
                    if (found == SNAPSHOT_MISSING) {
                        status = STATUS_MISS;
                        miss_kind = kind;
                        lanes[4u * n + lane] = vec4<u32>(address0, address_rest.xyz);
                        lanes[5u * n + lane] = vec4<u32>(address_rest.w, 0u, 0u, 0u);
                        lanes[6u * n + lane] = slot.lo;
                        lanes[7u * n + lane] = slot.hi;
                        break;
                    }
                    original = U256(snapshot[8u * found + 4u], snapshot[8u * found + 5u]);
                }
                // Before loading, `current` is what the transaction itself moved.
                current = u256_adc(current, original, 0u).s;
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
            overlay[at] = key.row0;
            overlay[at + n] = key.row1;
            overlay[at + 2u * n] = key.row2;
            overlay[at + 3u * n] = vec4<u32>(key.row3, flags, found);
            overlay[at + 4u * n] = current.lo;
            overlay[at + 5u * n] = current.hi;
            overlay[at + 6u * n] = original.lo;
            overlay[at + 7u * n] = original.hi;
        }

        if (op == OP_KECCAK256) {
            r = keccak_memory(a.lo.x, b.lo.x, lane);
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
            let begin = select(FAR, min(copy_from.lo.x, FAR), u256_is_u32(copy_from));
            let limit = select(copy_limit, FAR, copy_source == SOURCE_MEMORY);
            copy_bytes(copy_source, copy_base, limit, begin, copy_to.lo.x, copy_len.lo.x, lane, word_image(b));
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
