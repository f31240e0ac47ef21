// A stage of `execute`: storage slots, transient slots, accounts, block hashes. Stands in the step loop's body.

// Touch state: one look in the overlay, one in the snapshot.
if (kind != 0u) {
    var address0 = frame.address0;
    var address_rest = frame.address_rest;
    var slot = a;
    var itself = false;
    if (kind == KIND_ACCOUNT) {
        var who = a;
        if (class_ == CLASS_CALL) { who = b; }
        if (op == OP_DEBIT) {
            let at = frame_row(depth, lane) + 2u * n;
            who = U256(lanes[at], lanes[at + n]);
        }
        let image = word_image(who);
        itself = image.lo.w == address0 && all(image.hi == address_rest);
        if (op != OP_SELFBALANCE && op != OP_CREDIT && op != OP_SELFDESTRUCT && op != OP_DEPLOY && class_ != CLASS_CREATE) {
            address0 = image.lo.w;
            address_rest = image.hi;
        }
        if (delegated || op == OP_CREATED) {
            address0 = delegate0;
            address_rest = delegate_rest;
        }
        precompile = is_precompile(address0, address_rest);
        slot = u256_zero();
    }
    if (kind == KIND_BLOCK_HASH) {
        address0 = 0u;
        address_rest = vec4<u32>();
    }
    if (op == OP_SSTORE && gas_hi == 0u && gas_lo <= 2300u) {
        // EIP-2200.
        status = STATUS_OUT_OF_GAS;
        continue;
    }
    // A transient slot goes by the number of the slot of its name.
    let transient = kind == KIND_TRANSIENT;
    let key_kind = select(kind, KIND_SLOT, transient);
    let found = snapshot_find(key_of(state | key_kind, address0, address_rest, slot), state_under | key_kind);
    if (found == SNAPSHOT_MISSING) {
        if (op == OP_CREATED) {
            // Another request would take the place of the answer.
            status = FALLBACK_RETRY;
            continue;
        }
        // The step runs again, as if it had not begun.
        status = STATUS_PARKED;
        steps -= 1u;
        memory_words = held;
        resume = select(0u, op, op > 0xffu) | (then_op << 12u) | select(0u, RESUME_DELEGATED, delegated);
        lane_park(key_kind, address0, address_rest, 0u, 0u, slot, lane);
        continue;
    }
    let key = found | select(0u, KEY_TRANSIENT, transient);
    let entry = overlay_find(key, entries, lane);
    let at = ENTRY_ROWS * entry * n + lane;
    var flags = 0u;
    // Of accounts: how far the nonce was raised, and the code that was set.
    var note = vec2<u32>();
    var current = u256_zero();
    if (entry < entries) {
        let head = overlay[at];
        flags = head.y;
        note = head.zw;
        current = U256(overlay[at + n], overlay[at + 2u * n]);
    } else if (entries >= params.slots) {
        status = select(FALLBACK_SLOTS, FALLBACK_ACCOUNTS, kind == KIND_ACCOUNT);
        continue;
    } else if (precompile || transient || kind == KIND_BLOCK_HASH) {
        flags = ENTRY_WARM;
    }
    let before = flags;
    let noted = note;
    if (kind == KIND_SLOT && (flags & ENTRY_LOADED) == 0u && (frame.mode & MODE_CREATED) != 0u) { flags |= ENTRY_FRESH; }
    var original = u256_zero();
    if (!transient && (flags & ENTRY_FRESH) == 0u) {
        let at_value = snapshot_row(found) + 4u;
        original = U256(snapshot[at_value], snapshot[at_value + 1u]);
    }
    if ((flags & ENTRY_LOADED) == 0u) {
        // Before loading, `current` is what the transaction itself moved.
        current = u256_adc(current, original, 0u).s;
        flags |= ENTRY_LOADED;
    }
    let previous = current;
    var info = vec2<u32>();
    var header = 0u;
    if (kind == KIND_ACCOUNT) {
        info = snapshot[snapshot_row(found) + 3u].zw;
        header = select(info.x, noted.y, (flags & ENTRY_CODE) != 0u);
        let runs = select(header, answer, op == OP_CREATED);
        callee_code = vec4<u32>(runs + CODE_WORDS, codes[runs + CODE_LEN], codes[runs + CODE_JUMPS_OFFSET], 0u);
    }
    if (class_ == CLASS_CREATE || op == OP_CREATED) {
        nonce = snapshot[snapshot_row(found) + 6u].xy;
        nonce.x += noted.x;
        nonce.y += select(0u, 1u, nonce.x < noted.x);
        // CREATE2 only raises it, unless it is near its end.
        if (op != OP_CREATE2 || nonce.y >= 0x80000000u) { flags |= ENTRY_READ_NONCE; }
    }
    // EIP-161. An account that was empty may have been paid since; the snapshot says that it held nothing.
    let alive = (info.y & ACCOUNT_ALIVE) != 0u || noted.x != 0u || !u256_is_zero(current);
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
        case OP_EXTCODESIZE, OP_EXTCODECOPY, OP_EXTCODEHASH, OP_CALL, OP_CALLCODE, OP_DELEGATECALL, OP_STATICCALL: {
            if (!warm) { cost += 2500u; }
            flags |= ENTRY_READ_CODE;
            if (op == OP_EXTCODESIZE) { r.lo.x = callee_code.y; }
            if (op == OP_EXTCODEHASH && alive) {
                let at_hash = header + CODE_HASH;
                r.lo = vec4<u32>(codes[at_hash], codes[at_hash + 1u], codes[at_hash + 2u], codes[at_hash + 3u]);
                r.hi = vec4<u32>(codes[at_hash + 4u], codes[at_hash + 5u], codes[at_hash + 6u], codes[at_hash + 7u]);
            }
            if (op == OP_EXTCODECOPY) {
                copy_base = callee_code.x;
                copy_limit = callee_code.y;
            }
            if (class_ == CLASS_CALL && !delegated) {
                switch select(0u, address_rest.w, precompile) {
                    case 0x01000000u: { precompile_op = OP_RECOVER; }
                    case 0x02000000u: { precompile_op = OP_SHA256; }
                    case 0x04000000u: { precompile_op = OP_IDENTITY; }
                    default: {}
                }
                touched = (flags & ENTRY_TOUCHED) != 0u;
                callee_created = (flags & ENTRY_CREATED) != 0u;
                if (has_value) { cost += select(9000u, 34000u, op == OP_CALL && !alive); }
                // EIP-7702: 0xef0100 and the address of the delegate.
                let at = callee_code.x;
                if (callee_code.y == 23u && (codes[at] & 0xffffffu) == 0x0001efu) {
                    delegates = true;
                    let low = vec4<u32>(codes[at + 1u], codes[at + 2u], codes[at + 3u], codes[at + 4u]);
                    let limbs = (vec4<u32>(codes[at], low.xyz) >> vec4<u32>(24u)) | (low << vec4<u32>(8u));
                    delegate0 = limbs.x;
                    delegate_rest = vec4<u32>(limbs.yzw, (low.w >> 24u) | (codes[at + 5u] << 8u));
                }
            }
        }
        case OP_SELFDESTRUCT: {
            flags |= ENTRY_READ;
            if ((params.rules & RULE_CANCUN) == 0u || (flags & ENTRY_CREATED) != 0u) {
                if ((flags & ENTRY_DESTROYED) == 0u && (params.rules & RULE_LONDON) == 0u) { refund += 24000u; }
                flags |= ENTRY_DESTROYED;
            }
            // To itself: burnt, or left where it is.
            status = select(STATUS_RUNNING, STATUS_STOP, itself);
            if (!itself) { next_op = OP_BEQUEST; }
            if (!itself || (flags & ENTRY_DESTROYED) != 0u) { current = u256_zero(); }
            // The frame ends, so nobody asks it for its value any more.
            let at_value = frame_row(depth, lane) + 4u * n;
            lanes[at_value] = previous.lo;
            lanes[at_value + n] = previous.hi;
        }
        case OP_CREATED: {
            // What is warm now stays so; a collision is judged without regard to storage (EIP-7610), as revm has it.
            flags |= ENTRY_READ_CODE;
            if (header != 0u || any(nonce != vec2<u32>())) { status = STATUS_CREATE; }
            next_op = OP_DEBIT;
        }
        case OP_DEPLOY: {
            flags |= ENTRY_CODE;
            note.y = answer;
            status = STATUS_RETURN;
        }
        case OP_DEBIT, OP_CREDIT, OP_BEQUEST, OP_CREATE, OP_CREATE2: {
            let at_value = frame_row(depth, lane) + 4u * n;
            var value = a;
            if (class_ != CLASS_CREATE) { value = U256(lanes[at_value], lanes[at_value + n]); }
            let pays = select(0u, 0xffffffffu, op == OP_DEBIT || class_ == CLASS_CREATE);
            let moved = u256_adc(current, U256(value.lo ^ vec4<u32>(pays), value.hi ^ vec4<u32>(pays)), pays & 1u);
            if (pays == 0u) {
                // More than all there is: revm has its own way with that.
                if (moved.c == 1u) { status = FALLBACK_RETRY; }
                if (op == OP_CREDIT) {
                    next_op = then_op;
                    then_op = 0u;
                    if ((frame.mode & MODE_INIT) != 0u) {
                        flags |= ENTRY_CREATED;
                        note.x += 1u;
                    }
                }
            } else if (moved.c == 0u) {
                flags |= ENTRY_READ;
                if (op == OP_DEBIT) { status = STATUS_REVERT; }
                refused = true;
            } else if (!u256_is_zero(value)) {
                let slack = 257u - u256_clz(moved.s);
                let least = flags >> ENTRY_SLACK_SHIFT;
                if (least == 0u || slack < least) {
                    flags = (flags & ((1u << ENTRY_SLACK_SHIFT) - 1u)) | (slack << ENTRY_SLACK_SHIFT);
                }
            }
            // Where sums come near their end the exact balance counts.
            if (any((current.hi | moved.s.hi) != vec4<u32>())) { flags |= ENTRY_READ; }
            if (class_ == CLASS_CREATE) {
                // EIP-2681; the nonce stays raised whatever becomes of the creation.
                refused = refused || all(nonce == vec2<u32>(0xffffffffu));
                if (!refused) { note.x += 1u; }
            }
            // Paying oneself moves and touches nothing.
            if (status == STATUS_RUNNING && class_ != CLASS_CREATE && (op != OP_DEBIT || !itself)) {
                current = moved.s;
                flags |= ENTRY_TOUCHED;
            }
            if (op == OP_DEBIT) { next_op = select(OP_CREDIT, then_op, itself); }
            if (op == OP_BEQUEST) {
                flags |= ENTRY_READ_CODE;
                if (!warm) { cost += 2600u; }
                if (!alive && !u256_is_zero(value)) { cost += 25000u; }
                if (status == STATUS_RUNNING) { status = STATUS_STOP; }
            }
        }
        default: { r = current; }
    }
    if (op == OP_BEQUEST && precompile && address_rest.w == 0x03000000u) {
        // That the third precompile was touched is not undone by what fails, in memory of block 2675119.
        status = FALLBACK_PRECOMPILE;
        continue;
    }
    flags |= ENTRY_WARM;
    entries = max(entries, entry + 1u);
    // What a failed call would have to give back.
    let changed = ((before ^ flags) & ENTRY_REVERTED) != 0u || any(note != noted) || !u256_eq(current, previous);
    if (depth > 0u && changed) {
        if (journal >= params.journal) {
            status = FALLBACK_SLOTS;
            continue;
        }
        let record = journal_row(journal, lane);
        overlay[record] = vec4<u32>(entry, before & ENTRY_REVERTED, noted);
        overlay[record + n] = previous.lo;
        overlay[record + 2u * n] = previous.hi;
        journal += 1u;
    }
    overlay[at] = vec4<u32>(key, flags, note);
    overlay[at + n] = current.lo;
    overlay[at + 2u * n] = current.hi;
}
