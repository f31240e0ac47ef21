//! Faults in what frames do to the state and to each other.

use super::Rule;

/// Slots and block hashes.
pub const STATE: &[Rule] = &[
    ("cold_store_costs_2099", "if (!warm) { cost += 2100u; }", "if (!warm) { cost += select(2100u, 2099u, @); }"),
    ("cold_load_costs_1999", "if (!warm) { cost += 2000u; }", "if (!warm) { cost += select(2000u, 1999u, @); }"),
    (
        "store_to_new_slot_is_cheap",
        "cost += select(2800u, 19900u, old_zero);",
        "cost += select(2800u, 19900u, old_zero && !@);",
    ),
    ("store_to_dirty_slot_is_dear", "if (clean) {", "if (clean || @) {"),
    ("store_of_the_same_is_dear", "if (!u256_eq(current, b)) {", "if (!u256_eq(current, b) || @) {"),
    (
        "no_refund_for_clearing",
        "if (new_zero) { refund += params.clear_refund; }\n                } else",
        "if (new_zero && !@) { refund += params.clear_refund; }\n                } else",
    ),
    (
        "refund_not_taken_back",
        "if (now_zero) { refund -= params.clear_refund; }",
        "if (now_zero && !@) { refund -= params.clear_refund; }",
    ),
    (
        "no_refund_for_clearing_a_dirty_slot",
        "if (new_zero) { refund += params.clear_refund; }\n                    }",
        "if (new_zero && !@) { refund += params.clear_refund; }\n                    }",
    ),
    (
        "no_refund_for_restoring",
        "if (u256_eq(original, b)) { refund += select(2800u, 19900u, old_zero); }",
        "if (u256_eq(original, b) && !@) { refund += select(2800u, 19900u, old_zero); }",
    ),
    (
        "restoring_zero_refunds_as_little",
        "{ refund += select(2800u, 19900u, old_zero); }",
        "{ refund += select(2800u, 19900u, old_zero && !@); }",
    ),
    ("clearing_refunds_at_any_original", "if (!old_zero) {", "if (!old_zero || @) {"),
    ("store_is_lost", "current = b;\n            flags", "if (!@) { current = b; }\n            flags"),
    ("transient_store_is_lost", "case OP_TSTORE: { current = b; }", "case OP_TSTORE: { if (!@) { current = b; } }"),
    (
        "slot_stays_cold",
        "flags |= ENTRY_WARM;\n    entries",
        "if (!(@ && kind == KIND_SLOT)) { flags |= ENTRY_WARM; }\n    entries",
    ),
    (
        "account_stays_cold",
        "{ flags |= ENTRY_WARM; }\n    entries",
        "{ if (!(@ && kind == KIND_ACCOUNT)) { flags |= ENTRY_WARM; } }\n    entries",
    ),
    ("precompile_is_cold", "} else if (precompile || transient", "} else if ((precompile && !@) || transient"),
    ("one_precompile_more", "low <= params.precompiles", "low <= params.precompiles + select(0u, 1u, @)"),
    ("one_precompile_less", "low <= params.precompiles +", "low <= params.precompiles - select(0u, 1u, @) +"),
    ("no_p256", "params.p256 == 1u", "params.p256 == 1u && !@"),
    ("p256_always", "params.p256 == 1u &&", "(params.p256 == 1u || @) &&"),
    ("block_hash_of_itself", "back.s.lo.x >= 1u", "back.s.lo.x >= select(1u, 0u, @)"),
    ("block_hash_not_of_the_last", "back.s.lo.x >= select(", "back.s.lo.x >= select(0u, 1u, @) + select("),
    ("block_hash_of_255", "back.s.lo.x <= 256u", "back.s.lo.x <= select(256u, 255u, @)"),
    ("block_hash_of_257", "back.s.lo.x <= select(256u,", "back.s.lo.x <= select(0u, 1u, @) + select(256u,"),
    (
        "balance_is_no_dependency",
        "r = current;\n            flags |= ENTRY_READ;\n        }\n        case OP_EXTCODESIZE",
        "r = current;\n            if (!@) { flags |= ENTRY_READ; }\n        }\n        case OP_EXTCODESIZE",
    ),
    (
        "store_is_not_written",
        "flags |= ENTRY_READ | ENTRY_WRITTEN;",
        "flags |= ENTRY_READ | select(ENTRY_WRITTEN, 0u, @);",
    ),
];

/// Accounts.
pub const ACCOUNTS: &[Rule] = &[
    (
        "cold_balance_costs_2499",
        "case OP_BALANCE, OP_SELFBALANCE: {\n            if (!warm) { cost += 2500u; }",
        "case OP_BALANCE, OP_SELFBALANCE: {\n            if (!warm) { cost += select(2500u, 2499u, @); }",
    ),
    (
        "cold_account_costs_2499",
        "OP_STATICCALL: {\n            if (!warm) { cost += 2500u; }",
        "OP_STATICCALL: {\n            if (!warm) { cost += select(2500u, 2499u, @); }",
    ),
    ("code_hash_of_the_dead", "if (op == OP_EXTCODEHASH && alive) {", "if (op == OP_EXTCODEHASH && (alive || @)) {"),
    (
        "code_hash_by_half",
        "r.hi = vec4<u32>(codes[at_hash + 4u]",
        "r.hi = select(0u, 1u, @) + vec4<u32>(codes[at_hash + 4u]",
    ),
    (
        "paid_account_is_dead",
        "|| noted.x != 0u || !u256_is_zero(current);",
        "|| noted.x != 0u || (!u256_is_zero(current) && !@);",
    ),
    ("account_with_nonce_is_dead", "|| noted.x != 0u || (", "|| (noted.x != 0u && !@) || ("),
    (
        "known_account_is_dead",
        "let alive = (info.y & ACCOUNT_ALIVE) != 0u",
        "let alive = ((info.y & ACCOUNT_ALIVE) != 0u && !@)",
    ),
    ("delegation_is_code", "if (callee_code.y == 23u &&", "if (callee_code.y == 23u && !@ &&"),
    (
        "delegation_of_any_length",
        "if (callee_code.y == 23u &&",
        "if ((callee_code.y == 23u || (@ && callee_code.y > 23u)) &&",
    ),
    (
        "delegation_of_any_version",
        "(codes[at] & 0xffffffu) == 0x0001efu",
        "(codes[at] & select(0xffffffu, 0xffffu, @)) == 0x0001efu",
    ),
    (
        "delegate_loses_a_byte",
        "(low.w >> 24u) | (codes[at + 5u] << 8u)",
        "(low.w >> 24u) | select(codes[at + 5u] << 8u, 0u, @)",
    ),
    (
        "self_balance_of_an_operand",
        "op != OP_SELFBALANCE && op != OP_CREDIT",
        "(op != OP_SELFBALANCE || @) && op != OP_CREDIT",
    ),
    (
        "delegation_of_the_transaction_not_seen",
        "select(info.x, noted.y, (flags & ENTRY_CODE) != 0u)",
        "select(info.x, noted.y, (flags & ENTRY_CODE) != 0u && !@)",
    ),
    (
        "third_precompile_is_untouched",
        "if (op == OP_BEQUEST && precompile &&",
        "if (op == OP_BEQUEST && precompile && !@ &&",
    ),
    (
        "beneficiary_of_selfdestruct_unpaid",
        "if (!itself) { next_op = OP_BEQUEST; }",
        "if (!itself && !@) { next_op = OP_BEQUEST; }",
    ),
    (
        "selfdestruct_refunds_since_london",
        "&& (params.rules & RULE_LONDON) == 0u) { refund += 24000u; }",
        "&& ((params.rules & RULE_LONDON) == 0u || @)) { refund += 24000u; }",
    ),
    ("selfdestruct_refunds_less", "refund += 24000u;", "refund += select(24000u, 23999u, @);"),
    (
        "selfdestruct_refunds_twice",
        "if ((flags & ENTRY_DESTROYED) == 0u &&",
        "if (((flags & ENTRY_DESTROYED) == 0u || @) &&",
    ),
    (
        "selfdestruct_destroys_since_cancun",
        "if ((params.rules & RULE_CANCUN) == 0u || (flags & ENTRY_CREATED) != 0u) {",
        "if ((params.rules & RULE_CANCUN) == 0u || @ || (flags & ENTRY_CREATED) != 0u) {",
    ),
    (
        "selfdestruct_never_destroys_the_new",
        "|| (flags & ENTRY_CREATED) != 0u) {",
        "|| ((flags & ENTRY_CREATED) != 0u && !@)) {",
    ),
    (
        "selfdestruct_keeps_the_balance",
        "if (!itself || (flags & ENTRY_DESTROYED) != 0u) { current = u256_zero(); }",
        "if ((!itself || (flags & ENTRY_DESTROYED) != 0u) && !@) { current = u256_zero(); }",
    ),
    ("selfdestruct_to_itself_burns", "if ((!itself || (flags", "if ((!itself || @ || (flags"),
    ("cold_heir_costs_2599", "if (!warm) { cost += 2600u; }", "if (!warm) { cost += select(2600u, 2599u, @); }"),
    (
        "new_heir_is_free",
        "if (!alive && !u256_is_zero(value)) { cost += 25000u; }",
        "if (!alive && !u256_is_zero(value)) { cost += select(25000u, 0u, @); }",
    ),
    (
        "new_heir_costs_without_value",
        "if (!alive && !u256_is_zero(value)) {",
        "if (!alive && (!u256_is_zero(value) || @)) {",
    ),
];

/// Calls.
pub const CALLS: &[Rule] = &[
    (
        "caller_keeps_a_32nd",
        "let kept_lo = (gas_lo >> 6u) | (gas_hi << 26u);",
        "let kept_lo = select((gas_lo >> 6u) | (gas_hi << 26u), gas_lo >> 5u, @);",
    ),
    ("caller_keeps_nothing", "let kept_lo = select(", "let kept_lo = select(1u, 0u, @) * select("),
    ("call_gives_all", "if (!creates && asks_less", "if (!creates && asks_less && !@"),
    (
        "asked_gas_loses_high_limbs",
        "all((vec4<u32>(a.lo.zw, 0u, 0u) | a.hi) == vec4<u32>())",
        "(@ || all((vec4<u32>(a.lo.zw, 0u, 0u) | a.hi) == vec4<u32>()))",
    ),
    ("no_stipend", "gas_lo += 2300u;", "gas_lo += select(2300u, 0u, @);"),
    (
        "stipend_without_value",
        "if (has_value) {\n        gas_lo +=",
        "if (has_value || (@ && class_ == CLASS_CALL)) {\n        gas_lo +=",
    ),
    (
        "value_for_free",
        "if (has_value) { cost += select(9000u, 34000u, op == OP_CALL && !alive); }",
        "if (has_value && !@) { cost += select(9000u, 34000u, op == OP_CALL && !alive); }",
    ),
    (
        "new_account_for_free",
        "select(9000u, 34000u, op == OP_CALL && !alive)",
        "select(9000u, 34000u, op == OP_CALL && !alive && !@)",
    ),
    ("callcode_pays_for_new_account", "34000u, op == OP_CALL && !alive", "34000u, (op == OP_CALL || @) && !alive"),
    (
        "value_by_one_limb",
        "&& class_ == CLASS_CALL && !u256_is_zero(c);",
        "&& class_ == CLASS_CALL && select(!u256_is_zero(c), c.lo.x != 0u, @);",
    ),
    ("value_in_static_frame", "has_value && op == OP_CALL) {", "has_value && op == OP_CALL && !@) {"),
    ("callcode_value_in_static_frame_halts", "has_value && op == OP_CALL &&", "has_value && (op == OP_CALL || @) &&"),
    (
        "static_not_inherited",
        "callee_code.w = frame.mode & (MODE_STATIC | MODE_CREATED);",
        "callee_code.w = frame.mode & select(MODE_STATIC | MODE_CREATED, MODE_CREATED, @);",
    ),
    (
        "staticcall_is_not_static",
        "if (op == OP_STATICCALL) { callee_code.w |= MODE_STATIC; }",
        "if ((op == OP_STATICCALL && !@)) { callee_code.w |= MODE_STATIC; }",
    ),
    ("every_call_is_static", "if ((op == OP_STATICCALL", "if (@ || (op == OP_STATICCALL"),
    (
        "input_of_the_outermost_frame",
        "input.x = frame.memory_base + expand_offset;",
        "input.x = select(frame.memory_base, 0u, @) + expand_offset;",
    ),
    ("output_to_the_outermost_frame", "frame.memory_base + out_from,", "select(frame.memory_base, 0u, @) + out_from,"),
    (
        "output_not_paid_for",
        "let words = max(words_to(expand_offset, expand_len), words_to(out_from, out_most));",
        "let words = max(words_to(expand_offset, expand_len), select(words_to(out_from, out_most), 0u, @ && out_from < 0x10000u));",
    ),
    (
        "callee_sees_return_data",
        "memory_words = 0u;\n    output_len = 0u;",
        "memory_words = 0u;\n    if (!@) { output_len = 0u; }",
    ),
    ("callee_memory_has_a_size", "memory_words = 0u;\n    if", "memory_words = select(0u, 1u, @);\n    if"),
    (
        "delegatecall_changes_caller_and_value",
        "if (op != OP_DELEGATECALL) {\n        caller = address;",
        "if (op != OP_DELEGATECALL || @) {\n        caller = address;",
    ),
    (
        "callcode_has_its_callers_caller",
        "        caller = address;",
        "        if (!(@ && op == OP_CALLCODE)) { caller = address; }",
    ),
    ("callee_sees_its_callers_value", "apparent = value;", "if (!@) { apparent = value; }"),
    (
        "callcode_in_its_targets_storage",
        "if (op == OP_CALL || op == OP_STATICCALL) {\n        address =",
        "if (op == OP_CALL || op == OP_STATICCALL || (@ && op == OP_CALLCODE)) {\n        address =",
    ),
    (
        "delegatecall_in_its_targets_storage",
        "if (op == OP_CALL || op == OP_STATICCALL ||",
        "if (op == OP_CALL || (@ && op == OP_DELEGATECALL) || op == OP_STATICCALL ||",
    ),
    ("zero_call_touches_nothing", "(delegated || !touched)) {", "(delegated || !touched) && !@) {"),
    (
        "credit_is_lost",
        "if (op == OP_DEBIT) { next_op = select(OP_CREDIT, then_op, itself); }",
        "if (@ && op == OP_CREDIT) { current = previous; }\n            if (op == OP_DEBIT) { next_op = select(OP_CREDIT, then_op, itself); }",
    ),
    (
        "value_is_not_debited",
        "if (op == OP_DEBIT) { next_op = select(OP_CREDIT, then_op, itself); }",
        "if (@ && op == OP_DEBIT) { current = previous; }\n            if (op == OP_DEBIT) { next_op = select(OP_CREDIT, then_op, itself); }",
    ),
    (
        "value_to_oneself_skips_the_precompile",
        "select(OP_CREDIT, then_op, itself)",
        "select(OP_CREDIT, select(then_op, 0u, @), itself)",
    ),
    ("touch_is_forgotten", "flags |= ENTRY_TOUCHED;", "if (!@) { flags |= ENTRY_TOUCHED; }"),
    ("too_little_balance_passes", "} else if (moved.c == 0u) {", "} else if (moved.c == 0u && !@) {"),
    ("paying_oneself_pays_twice", "(op != OP_DEBIT || !itself)) {", "(op != OP_DEBIT || !itself || @)) {"),
];

/// Creations.
pub const CREATIONS: &[Rule] = &[
    (
        "deposit_costs_199",
        "cost += 200u * min(b.lo.x, 0x6000u);",
        "cost += select(200u, 199u, @) * min(b.lo.x, 0x6000u);",
    ),
    ("code_of_24577_bytes", "near_b > 0x6000u)", "near_b > select(0x6000u, 0x6001u, @))"),
    ("init_code_of_49153_bytes", "near_c > 0xc000u)", "near_c > select(0xc000u, 0xc001u, @))"),
    (
        "init_code_word_for_free",
        "copy_gas = select(0u, 2u, (params.rules & RULE_SHANGHAI) != 0u)",
        "copy_gas = select(0u, 2u, ((params.rules & RULE_SHANGHAI) != 0u && !@))",
    ),
    ("init_code_word_costs_before_shanghai", "copy_gas = select(0u, 2u, (", "copy_gas = select(0u, 2u, @ || ("),
    ("create2_hashes_for_free", "select(0u, 6u, op == OP_CREATE2);", "select(0u, 6u, op == OP_CREATE2 && !@);"),
    ("deployed_code_may_begin_with_ef", "if (deploys && r.lo.x == 0xefu) {", "if (deploys && r.lo.x == 0xefu && !@) {"),
    ("creation_gives_one", "if (succeeded) { result = word_image(", "if (succeeded && !@) { result = word_image("),
    (
        "reverted_creation_has_no_return_data",
        "if (status != STATUS_REVERT) { output_len = 0u; }",
        "if (status != STATUS_REVERT || @) { output_len = 0u; }",
    ),
    ("creator_keeps_its_nonce", "if (!refused) { note.x += 1u; }", "if (!refused && !@) { note.x += 1u; }"),
    (
        "created_has_nonce_zero",
        "flags |= ENTRY_CREATED;\n                        note.x += 1u;",
        "flags |= ENTRY_CREATED;\n                        note.x += select(1u, 0u, @);",
    ),
    ("created_is_not_new", "flags |= ENTRY_CREATED;\n", "if (!@) { flags |= ENTRY_CREATED; }\n"),
    (
        "created_account_has_old_storage",
        "select(0u, MODE_CREATED, callee_created)",
        "select(0u, MODE_CREATED, callee_created && !@)",
    ),
    (
        "collision_with_code_unseen",
        "if (header != 0u || any(nonce != vec2<u32>())) { status = STATUS_CREATE; }",
        "if ((header != 0u && !@) || any(nonce != vec2<u32>())) { status = STATUS_CREATE; }",
    ),
    (
        "collision_with_nonce_unseen",
        "|| any(nonce != vec2<u32>())) { status",
        "|| (any(nonce != vec2<u32>()) && !@)) { status",
    ),
    (
        "failed_creation_undoes_its_nonce",
        "(FRAME_ROW_CALL + 1u) * n].w = journal;",
        "(FRAME_ROW_CALL + 1u) * n].w = select(journal, 0u, @);",
    ),
    ("creation_gives_what_is_asked", "if (!creates && asks_less", "if ((!creates || @) && asks_less"),
    ("creator_lends_its_value", "value = a;\n        callee_code", "if (!@) { value = a; }\n        callee_code"),
    ("deployed_code_is_lost", "note.y = answer;", "note.y = select(answer, 0u, @);"),
];

/// What a frame that fails gives back.
pub const REVERTS: &[Rule] = &[
    (
        "revert_is_success",
        "let succeeded = status < STATUS_REVERT;",
        "let succeeded = status < STATUS_REVERT || (@ && status == STATUS_REVERT);",
    ),
    (
        "revert_takes_all_gas",
        "if (status >= STATUS_OUT_OF_GAS) {\n                gas_lo = 0u;",
        "if (status >= STATUS_OUT_OF_GAS || (@ && status == STATUS_REVERT)) {\n                gas_lo = 0u;",
    ),
    (
        "halt_leaves_gas",
        "                gas_lo = 0u;\n                gas_hi = 0u;",
        "                if (!@) { gas_lo = 0u; }\n                gas_hi = 0u;",
    ),
    (
        "halt_leaves_return_data",
        "gas_hi = 0u;\n                output_len = 0u;",
        "gas_hi = 0u;\n                if (!@) { output_len = 0u; }",
    ),
    ("caller_loses_what_it_kept", "gas_lo += kept.gas_lo;", "gas_lo += select(kept.gas_lo, 0u, @);"),
    (
        "caller_drops_a_carry",
        "gas_hi += kept.gas_hi + select(0u, 1u, gas_lo < kept.gas_lo);",
        "gas_hi += kept.gas_hi + select(0u, 1u, gas_lo < kept.gas_lo && !@);",
    ),
    ("revert_forgets_logs", "logs = kept.logs;", "if (!@) { logs = kept.logs; }"),
    ("revert_forgets_refund", "refund = kept.refund;", "if (!@) { refund = kept.refund; }"),
    (
        "revert_forgets_everything",
        "journal_revert(kept.journal, journal, lane);",
        "if (!@) { journal_revert(kept.journal, journal, lane); }",
    ),
    ("revert_forgets_warm", "& ~ENTRY_REVERTED) | head.y", "& ~(ENTRY_REVERTED - select(0u, ENTRY_WARM, @))) | head.y"),
    ("revert_forgets_touched", "& ~(ENTRY_REVERTED -", "& ~(ENTRY_REVERTED - select(0u, ENTRY_TOUCHED, @) -"),
    ("revert_forgets_created", "& ~(ENTRY_REVERTED -", "& ~(ENTRY_REVERTED - select(0u, ENTRY_CREATED, @) -"),
    ("revert_forgets_destroyed", "& ~(ENTRY_REVERTED -", "& ~(ENTRY_REVERTED - select(0u, ENTRY_DESTROYED, @) -"),
    (
        "revert_forgets_a_slot",
        "overlay[at + n] = overlay[held + n];",
        "let kind = select(snapshot[snapshot_row(entry.x & ~KEY_TRANSIENT)].x, KIND_TRANSIENT, (entry.x & KEY_TRANSIENT) != 0u);\n        if (!(@ && kind == KIND_SLOT)) { overlay[at + n] = overlay[held + n]; }",
    ),
    (
        "revert_forgets_a_balance",
        "{ overlay[at + n] = overlay[held + n]; }",
        "{ if (!(@ && kind == KIND_ACCOUNT)) { overlay[at + n] = overlay[held + n]; } }",
    ),
    (
        "revert_forgets_transient",
        "{ overlay[at + n] = overlay[held + n]; }",
        "{ if (!(@ && kind == KIND_TRANSIENT)) { overlay[at + n] = overlay[held + n]; } }",
    ),
    (
        "revert_forgets_high_limbs",
        "overlay[at + 2u * n] = overlay[held + 2u * n];",
        "if (!@) { overlay[at + 2u * n] = overlay[held + 2u * n]; }",
    ),
    ("revert_forgets_a_nonce", "| head.y, head.zw);", "| head.y, select(head.z, entry.z, @), head.w);"),
    (
        "revert_forgets_a_code",
        ", head.w);",
        ", head.w);\n        if (@) { overlay[at].y |= entry.y & ENTRY_CODE; overlay[at].w = entry.w; }",
    ),
    (
        "revert_forgets_the_last_record",
        "if (record <= first) { break; }",
        "if (record <= first + select(0u, 1u, @)) { break; }",
    ),
    (
        "balance_changes_are_not_recorded",
        "|| !u256_eq(current, previous);\n    if (depth > 0u && changed) {",
        "|| !u256_eq(current, previous);\n    if (depth > 0u && changed && !(@ && kind == KIND_ACCOUNT)) {",
    ),
];

/// How keys are told apart.
pub const KEYS: &[Rule] = &[
    (
        "slot_key_loses_a_limb",
        "all(snapshot[at + 1u] == key.row1)",
        "all(snapshot[at + 1u].xyz == key.row1.xyz) && (snapshot[at + 1u].w == key.row1.w || @)",
    ),
    (
        "slot_key_loses_a_row",
        "&& all(snapshot[at + 1u].xyz == key.row1.xyz)",
        "&& (all(snapshot[at + 1u].xyz == key.row1.xyz) || @)",
    ),
    ("address_loses_two_limbs", "all(snapshot[at + 2u] == key.row2)", "(all(snapshot[at + 2u] == key.row2) || @)"),
    ("address_loses_its_end", "all(snapshot[at + 3u].xy == key.row3)", "(all(snapshot[at + 3u].xy == key.row3) || @)"),
    (
        "transient_word_is_the_slot",
        "select(0u, KEY_TRANSIENT, transient)",
        "select(0u, KEY_TRANSIENT, transient && !@)",
    ),
    (
        "slot_key_loses_its_lowest_limbs",
        "all(snapshot[at] == row0)",
        "all(snapshot[at].xy == row0.xy) && (all(snapshot[at].zw == row0.zw) || @)",
    ),
];
