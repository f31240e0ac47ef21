// A stage of `execute`: what each opcode asks of the stages that follow. Stands in the step loop's body.

// Decide.
var deploys = false;
switch class_ {
    case CLASS_PUSH: {
        load_source = SOURCE_CODE;
        load_base = frame.code_base;
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
        copy_source = SOURCE_MEMORY;
        copy_start = frame.memory_base;
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
        load_limit = 64u;
        load_offset = arg * 32u;
    }
    case CLASS_CALL: {
        kind = KIND_ACCOUNT;
        who = b;
    }
    case CLASS_CREATE: {
        kind = KIND_ACCOUNT;
        expand_offset = b;
        expand_len = c;
        copy_len = c;
        copy_gas = select(0u, 2u, (params.rules & RULE_SHANGHAI) != 0u) + select(0u, 6u, op == OP_CREATE2);
    }
    default: {}
}
if (class_ == CLASS_PLAIN) {
    switch op {
        case OP_STOP: { status = STATUS_STOP; output_len = 0u; }
        case OP_CALLDATASIZE: { r.lo.x = frame.input_len; }
        case OP_CODESIZE: { r.lo.x = frame.code_len; }
        case OP_RETURNDATASIZE: { r.lo.x = output_len; }
        case OP_DEBIT, OP_CREDIT, OP_BEQUEST, OP_CREATED, OP_DEPLOY: { kind = KIND_ACCOUNT; }
        case OP_SELFDESTRUCT: { kind = KIND_ACCOUNT; r = a; output_len = 0u; }
        case OP_IDENTITY, OP_SHA256: {
            cost = select(15u, 60u, op == OP_SHA256);
            copy_gas = select(3u, 12u, op == OP_SHA256);
            copy_source = select(SOURCE_BATCH, SOURCE_MEMORY, depth > 0u);
            copy_base = frame.input_base;
            copy_start = frame.input_start;
            copy_len.lo.x = frame.input_len;
            status = STATUS_RETURN;
        }
        case OP_RECOVER: {
            cost = 3000u;
            // The request points at the lane's memory.
            if (depth == 0u) {
                copy_source = SOURCE_BATCH;
                copy_base = frame.input_base;
                copy_len.lo.x = min(frame.input_len, 128u);
                copy_to = 0u;
            }
        }
        case OP_RECOVERED: { status = STATUS_RETURN; }
        case OP_RESUME: {
            r = result;
            copy_source = SOURCE_MEMORY;
            copy_start = return_start;
            copy_to = out_offset;
            copy_len.lo.x = min(out_len, output_len);
        }
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
            if (depth > 0u) { load_source = SOURCE_MEMORY; }
            load_base = frame.input_base;
            load_limit = frame.input_start + frame.input_len;
            load_offset = frame.input_start + select(FAR, min(a.lo.x, FAR), u256_is_u32(a));
        }
        case OP_CALLDATACOPY, OP_CODECOPY, OP_RETURNDATACOPY: {
            expand_offset = a;
            expand_len = c;
            copy_from = b;
            copy_len = c;
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
                let end = u256_adc(b, c, 0u);
                if (end.c == 1u || !u256_is_u32(end.s) || end.s.lo.x > output_len) {
                    status = STATUS_RETURN_DATA;
                }
            }
        }
        case OP_MCOPY: {
            let back = u256_sbb(a, b);
            expand_offset.lo = select(b.lo, a.lo, back.c == 1u);
            expand_offset.hi = select(b.hi, a.hi, back.c == 1u);
            expand_len = c;
            copy_source = SOURCE_MEMORY;
            copy_start = frame.memory_base;
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
            load_source = SOURCE_MEMORY;
            load_limit = FAR;
        }
        case OP_MSTORE: {
            expand_offset = a;
            expand_len.lo.x = 32u;
            copy_source = SOURCE_WORD;
            copy_limit = 32u;
            copy_len.lo.x = 32u;
        }
        case OP_MSTORE8: {
            expand_offset = a;
            expand_len.lo.x = 1u;
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
            deploys = op == OP_RETURN && (frame.mode & MODE_INIT) != 0u && !u256_is_zero(b);
            if (deploys) {
                cost += 200u * min(b.lo.x, 0x6000u);
                load_source = SOURCE_MEMORY;
                load_limit = FAR;
                load_len = 1u;
            } else if (depth > 0u) {
                copy_source = SOURCE_MEMORY;
                copy_start = frame.memory_base;
                copy_from = a;
                copy_len = b;
            }
            status = select(STATUS_REVERT, STATUS_RETURN, op == OP_RETURN);
        }
        default: {}
    }
}

// A word of the frame: the result, or the account that pays. Or the host's answer.
if (class_ == CLASS_FRAME || op == OP_DEBIT || op == OP_RECOVERED) {
    var at = frame_row(depth, lane) + 2u * select(arg, 1u, op == OP_DEBIT) * n;
    if (op == OP_RECOVERED) { at = (LANE_ROW_REQUEST + 2u) * n + lane; }
    r = U256(lanes[at], lanes[at + n]);
    who = r;
}

// The operands below the third, of which EXTCODECOPY and CREATE2 have one.
var salt = u256_zero();
var out_from = u256_zero();
var out_most = u256_zero();
if (class_ == CLASS_CALL || class_ == CLASS_CREATE || op == OP_EXTCODECOPY) {
    let at = 2u * new_sp * n + lane;
    let last = U256(stack[at], stack[at + n]);
    if (op == OP_EXTCODECOPY) {
        expand_offset = b;
        expand_len = last;
        copy_source = SOURCE_CODE;
        copy_limit = 0u;
        copy_from = c;
        copy_to = b.lo.x + frame.memory_base;
        copy_len = last;
        copy_gas = 3u;
    } else if (class_ == CLASS_CREATE) {
        salt = last;
    } else {
        out_most = last;
        out_from = U256(stack[at + 2u * n], stack[at + 3u * n]);
        expand_len = U256(stack[at + 4u * n], stack[at + 5u * n]);
        expand_offset = U256(stack[at + 6u * n], stack[at + 7u * n]);
    }
}
let has_value = need == 7u && class_ == CLASS_CALL && !u256_is_zero(c);
if ((frame.mode & MODE_STATIC) != 0u && has_value && op == OP_CALL) {
    status = STATUS_STATIC;
    continue;
}
// EIP-170, EIP-3860.
let limits_init = class_ == CLASS_CREATE && (params.rules & RULE_SHANGHAI) != 0u;
if ((deploys && (!u256_is_u32(b) || b.lo.x > 0x6000u)) || (limits_init && (!u256_is_u32(c) || c.lo.x > 0xc000u))) {
    status = STATUS_CREATE;
    continue;
}
