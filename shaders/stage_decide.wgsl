// A stage of `execute`: what each opcode asks of the stages that follow. Stands in the step loop's body.

// Decide.
switch class_ {
    case CLASS_LOG: {
        expand_offset = near_a;
        expand_len = near_b;
        copy_source = SOURCE_MEMORY;
        copy_start = frame.memory_base;
        copy_from = near_a;
        copy_len = near_b;
        copy_gas = 8u;
    }
    case CLASS_ENV_BLOCK: {
        load_source = SOURCE_BATCH;
        load_base = block;
        load_limit = 32u * ENV_WORDS;
        load_offset = arg * 32u;
    }
    case CLASS_ENV_TX: {
        load_source = SOURCE_BATCH;
        load_base = tx + TX_ENV;
        load_limit = 64u;
        load_offset = arg * 32u;
    }
    case CLASS_CALL: {
        kind = KIND_ACCOUNT;
    }
    case CLASS_CREATE: {
        kind = KIND_ACCOUNT;
        expand_offset = near_b;
        expand_len = near_c;
        copy_len = near_c;
        copy_gas = select(0u, 2u, (params.rules & RULE_SHANGHAI) != 0u) + select(0u, 6u, op == OP_CREATE2);
    }
    default: {}
}
if (class_ == CLASS_PLAIN) {
    switch op {
        case OP_STOP: { status = STATUS_STOP; output_len = 0u; }
        case OP_DEBIT, OP_CREDIT, OP_BEQUEST, OP_CREATED, OP_DEPLOY: { kind = KIND_ACCOUNT; }
        case OP_SELFDESTRUCT: { kind = KIND_ACCOUNT; r = a; output_len = 0u; }
        case OP_IDENTITY, OP_SHA256: {
            cost = select(15u, 60u, op == OP_SHA256);
            copy_gas = select(3u, 12u, op == OP_SHA256);
            copy_source = select(SOURCE_BATCH, SOURCE_MEMORY, depth > 0u);
            copy_base = frame.input_base;
            copy_start = frame.input_start;
            copy_len = frame.input_len;
            status = STATUS_RETURN;
        }
        case OP_RECOVER: {
            cost = 3000u;
            // The request points at the lane's memory.
            if (depth == 0u) {
                copy_source = SOURCE_BATCH;
                copy_base = frame.input_base;
                copy_len = min(frame.input_len, 128u);
                copy_to = 0u;
            }
        }
        case OP_RECOVERED: { status = STATUS_RETURN; }
        case OP_RESUME: {
            r = result;
            copy_source = SOURCE_MEMORY;
            copy_start = return_start;
            copy_to = out_offset;
            copy_len = min(out_len, output_len);
        }
        case OP_KECCAK256: {
            expand_offset = near_a;
            expand_len = near_b;
            copy_len = near_b;
            copy_gas = 6u;
        }
        case OP_BALANCE, OP_EXTCODESIZE, OP_EXTCODEHASH, OP_EXTCODECOPY, OP_SELFBALANCE: { kind = KIND_ACCOUNT; }
        case OP_SLOAD, OP_SSTORE: { kind = KIND_SLOT; }
        case OP_TLOAD, OP_TSTORE: { kind = KIND_TRANSIENT; }
        case OP_BLOCKHASH: {
            // Only the 256 blocks before this one have a hash; all of them fit 64 bits.
            let at = block + 8u * ENV_NUMBER;
            let number = U256(u32_swap4(vec4<u32>(batch[at + 7u], batch[at + 6u], 0u, 0u)), vec4<u32>());
            let back = u256_sbb(number, a);
            if (back.c == 1u && u256_is_u32(back.s) && back.s.lo.x >= 1u && back.s.lo.x <= 256u) {
                kind = KIND_BLOCK_HASH;
            }
        }
        case OP_CALLDATALOAD: {
            load_source = SOURCE_BATCH;
            if (depth > 0u) { load_source = SOURCE_MEMORY; }
            load_base = frame.input_base;
            load_limit = frame.input_start + frame.input_len;
            load_offset = frame.input_start + min(near_a, FAR);
        }
        case OP_CALLDATACOPY, OP_CODECOPY, OP_RETURNDATACOPY: {
            expand_offset = near_a;
            expand_len = near_c;
            copy_from = near_b;
            copy_len = near_c;
            copy_gas = 3u;
            copy_source = select(SOURCE_BATCH, SOURCE_MEMORY, depth > 0u);
            copy_base = frame.input_base;
            copy_start = frame.input_start;
            copy_limit = frame.input_start + frame.input_len;
            if (op == OP_CODECOPY) {
                copy_source = SOURCE_CODE;
                copy_base = frame.code_base;
                copy_start = 0u;
                copy_limit = frame.code_len;
            }
            if (op == OP_RETURNDATACOPY) {
                copy_source = SOURCE_MEMORY;
                copy_start = return_start;
                copy_limit = FAR;
                if (near_b >= FAR || near_c >= FAR || near_b + near_c > output_len) {
                    status = STATUS_RETURN_DATA;
                }
            }
        }
        case OP_MCOPY: {
            expand_offset = max(near_a, near_b);
            expand_len = near_c;
            copy_source = SOURCE_MEMORY;
            copy_start = frame.memory_base;
            copy_from = near_b;
            copy_len = near_c;
            copy_gas = 3u;
        }
        case OP_BLOBHASH: {
            load_source = SOURCE_BATCH;
            load_base = batch[tx + TX_BLOBS_OFFSET];
            load_limit = 32u * batch[tx + TX_BLOBS];
            load_offset = min(near_a, FAR >> 5u) << 5u;
        }
        case OP_MLOAD: {
            expand_offset = near_a;
            expand_len = 32u;
            load_source = SOURCE_MEMORY;
            load_offset = frame.memory_base + a.lo.x;
            load_limit = FAR;
        }
        case OP_MSTORE: {
            expand_offset = near_a;
            expand_len = 32u;
            copy_source = SOURCE_WORD;
            copy_limit = 32u;
            copy_len = 32u;
        }
        case OP_MSTORE8: {
            expand_offset = near_a;
            expand_len = 1u;
            copy_source = SOURCE_WORD;
            copy_limit = 32u;
            copy_from = 31u;
            copy_len = 1u;
        }
        case OP_RETURN, OP_REVERT: {
            expand_offset = near_a;
            expand_len = near_b;
            deploys = op == OP_RETURN && (frame.mode & MODE_INIT) != 0u && !u256_is_zero(b);
            if (deploys) {
                cost += 200u * min(b.lo.x, 0x6000u);
                load_source = SOURCE_MEMORY;
                load_offset = frame.memory_base + a.lo.x;
                load_limit = FAR;
                load_len = 1u;
            } else if (depth > 0u) {
                copy_source = SOURCE_MEMORY;
                copy_start = frame.memory_base;
                copy_from = near_a;
                copy_len = near_b;
            }
            status = select(STATUS_REVERT, STATUS_RETURN, op == OP_RETURN);
        }
        default: {}
    }
}

// A word of the frame, or the host's answer.
if (class_ == CLASS_FRAME || op == OP_RECOVERED) {
    let at = select(frame_row(depth, lane) + 2u * arg * n, (LANE_ROW_REQUEST + 2u) * n + lane, op == OP_RECOVERED);
    r = U256(lanes[at], lanes[at + n]);
}

// The operands below the third, of which EXTCODECOPY and CREATE2 have one.
if (class_ == CLASS_CALL || class_ == CLASS_CREATE || op == OP_EXTCODECOPY) {
    let last = stack_load(new_sp, lane);
    if (op == OP_EXTCODECOPY) {
        expand_offset = near_b;
        expand_len = u256_saturate(last);
        copy_source = SOURCE_CODE;
        copy_limit = 0u;
        copy_from = near_c;
        copy_to = b.lo.x + frame.memory_base;
        copy_len = expand_len;
        copy_gas = 3u;
    } else if (class_ == CLASS_CREATE) {
        salt = last;
    } else {
        out_most = u256_saturate(last);
        out_from = u256_saturate(stack_load(new_sp + 1u, lane));
        expand_len = u256_saturate(stack_load(new_sp + 2u, lane));
        expand_offset = u256_saturate(stack_load(new_sp + 3u, lane));
    }
}
if ((frame.mode & MODE_STATIC) != 0u && has_value && op == OP_CALL) {
    status = STATUS_STATIC;
    continue;
}
// EIP-170, EIP-3860.
let limits_init = class_ == CLASS_CREATE && (params.rules & RULE_SHANGHAI) != 0u;
if ((deploys && near_b > 0x6000u) || (limits_init && near_c > 0xc000u)) {
    status = STATUS_CREATE;
    continue;
}
