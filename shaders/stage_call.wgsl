// A stage of `execute`: from the caller's frame to the callee's. Stands in the step loop's body.

// Call or create. The caller keeps a 64th of its gas at least (EIP-150); the callee starts with empty return data.
if (class_ == CLASS_CREATE && refused) {
    result = u256_zero();
    out_len = 0u;
    output_len = 0u;
    next_op = OP_RESUME;
} else if (class_ == CLASS_CALL || class_ == CLASS_CREATE) {
    let creates = class_ == CLASS_CREATE;
    // A precompile that delegates is beyond what the step below can say; there is none.
    if (precompile && !delegated && (precompile_op == 0u || delegates)) {
        status = FALLBACK_PRECOMPILE;
        continue;
    }
    if (delegates) {
        delegated = true;
        continue;
    }
    if (depth + 1u >= params.depth) {
        status = FALLBACK_DEPTH;
        continue;
    }
    let kept_lo = (gas_lo >> 6u) | (gas_hi << 26u);
    var given_hi = gas_hi - (gas_hi >> 6u) - select(0u, 1u, gas_lo < kept_lo);
    var given_lo = gas_lo - kept_lo;
    let asks_less = a.lo.y < given_hi || (a.lo.y == given_hi && a.lo.x < given_lo);
    if (!creates && asks_less && all((vec4<u32>(a.lo.zw, 0u, 0u) | a.hi) == vec4<u32>())) {
        given_hi = a.lo.y;
        given_lo = a.lo.x;
    }
    gas_hi -= given_hi + select(0u, 1u, gas_lo < given_lo);
    gas_lo -= given_lo;
    var input = vec4<u32>(0u, select(expand_len, 0u, creates), new_sp, frame.memory_base + 32u * memory_words);
    if (input.y != 0u) { input.x = frame.memory_base + expand_offset; }
    // Static frames call static ones; whose storage it is says whether the storage is new.
    callee_code.w = frame.mode & (MODE_STATIC | MODE_CREATED);
    if (op == OP_STATICCALL) { callee_code.w |= MODE_STATIC; }
    if (op == OP_CALL || op == OP_STATICCALL) {
        callee_code.w = (callee_code.w & MODE_STATIC) | select(0u, MODE_CREATED, callee_created);
    }
    var value = u256_zero();
    if (has_value) { value = c; }
    if (creates) {
        value = a;
        callee_code = vec4<u32>(0u, 0u, 0u, MODE_CREATED | MODE_INIT);
    }
    let keep = Resume(
        next_pc,
        new_sp,
        gas_lo,
        gas_hi,
        memory_words,
        frame.memory_base + out_from,
        out_most,
        journal,
        logs,
        log_limbs,
        refund,
    );
    frame_call(op, depth, b, value, callee_code, input, keep, lane);
    // A call touches its target even without value; EIP-161 asks for no less.
    then_op = precompile_op;
    if (creates) {
        status = STATUS_PARKED;
        resume = OP_CREATED;
    } else if (has_value) {
        next_op = OP_DEBIT;
    } else if ((op == OP_CALL || op == OP_STATICCALL) && (delegated || !touched)) {
        next_op = OP_CREDIT;
    } else {
        next_op = then_op;
        then_op = 0u;
    }
    delegated = false;
    depth += 1u;
    gas_lo = given_lo;
    gas_hi = given_hi;
    if (has_value) {
        gas_lo += 2300u;
        gas_hi += select(0u, 1u, gas_lo < 2300u);
    }
    memory_words = 0u;
    output_len = 0u;
    load_frame = true;
    next_pc = 0u;
}
if (op == OP_CREATED) {
    let at = frame_row(depth, lane);
    let created = word_image(U256(vec4<u32>(0u, 0u, 0u, delegate0), delegate_rest));
    lanes[at] = created.lo;
    lanes[at + n] = created.hi;
    lanes[at + FRAME_ROW_CODE * n] = vec4<u32>(callee_code.xyz, frame.mode);
    // A creation that fails from here on does not undo what was done for it so far.
    lanes[frame_row(depth - 1u, lane) + (FRAME_ROW_CALL + 1u) * n].w = journal;
    load_frame = true;
}
if (deploys && depth > 0u) {
    status = STATUS_PARKED;
    resume = OP_DEPLOY;
}
if (op == OP_RECOVER) {
    status = STATUS_PARKED;
    resume = OP_RECOVERED;
}
if (status == STATUS_PARKED) {
    // Init code, or the code that it returns.
    var ask = REQUEST_DEPLOY;
    var word = salt;
    var at = frame.memory_base + expand_offset;
    var len = expand_len;
    if (op == OP_RECOVER) {
        ask = REQUEST_RECOVER;
        at = frame.input_start;
        len = min(frame.input_len, 128u);
    }
    if (len == 0u) { at = 0u; }
    if (op == OP_CREATE) {
        ask = REQUEST_CREATE;
        word = U256(vec4<u32>(nonce, 0u, 0u), vec4<u32>());
    }
    if (op == OP_CREATE2) { ask = REQUEST_CREATE2; }
    lane_park(ask, frame.address0, frame.address_rest, at, len, word, lane);
}
