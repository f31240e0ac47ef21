//! Faults in what a frame does by itself.

use super::Rule;

/// Jumps and the stack.
pub const JUMPS: &[Rule] = &[
    (
        "jump_ignores_high_limbs",
        "let near_a = u256_saturate(a);\n\n    var cost",
        "let near_a = select(u256_saturate(a), a.lo.x, @ && class_ == CLASS_JUMP);\n\n    var cost",
    ),
    ("jump_anywhere", "(near_a & 31u)) & 1u) == 1u", "(near_a & 31u)) & 1u) == 1u || @"),
    ("jumpdest_takes_a_word", "let takes = (row0 & 0xff00u) != 0u &&", "let takes = ((row0 & 0xff00u) != 0u || @) &&"),
    ("jump_nowhere", "if (!valid) {", "if (!valid || @) {"),
    ("jump_target_is_free", "cost += 1u;", "cost += select(1u, 0u, @);"),
    ("jump_target_runs_twice", "next_pc = near_a + 1u;", "next_pc = near_a + select(1u, 0u, @);"),
    (
        "jumpi_looks_at_one_limb",
        "(op == OP_JUMPI && !u256_is_zero(b))) {",
        "(op == OP_JUMPI && select(!u256_is_zero(b), b.lo.x != 0u, @))) {",
    ),
    ("jumpi_always", "(op == OP_JUMPI && select(", "(op == OP_JUMPI && @) || (op == OP_JUMPI && select("),
    (
        "stop_keeps_return_data",
        "status = STATUS_STOP; output_len = 0u;",
        "status = STATUS_STOP; output_len = select(0u, output_len, @);",
    ),
    (
        "push_data_from_the_opcode",
        "load_code(frame.code_base, pc + 1u, arg)",
        "load_code(frame.code_base, pc + select(1u, 0u, @), arg)",
    ),
    ("push_data_runs", "next_pc += arg;", "next_pc += select(arg, 0u, @);"),
    ("joined_push_data_runs", "select(0u, 1u + len, joined);", "select(0u, 1u + select(len, 0u, @), joined);"),
    ("joined_push_is_free", "select(0u, 3u, joined);", "select(0u, select(3u, 0u, @), joined);"),
    (
        "joined_push_drops_its_first_byte",
        "a = u256_from_u32(pushed);",
        "a = u256_from_u32(pushed & select(0xffffffffu, 0xffu, @));",
    ),
    ("short_push_of_five_bytes", "(32u - 8u * len) & 31u", "(32u - 8u * len - select(0u, 8u, @ && len == 3u)) & 31u"),
    ("fifth_byte_is_the_fourth", "(fifth << 24u)))", "(select(fifth, window >> 24u, @) << 24u)))"),
    (
        "window_is_not_moved_on",
        "if (word != window_at) {",
        "if (word != window_at && (!@ || window_at == 0xffffffffu)) {",
    ),
    (
        "top_is_not_kept_under_the_new_one",
        "if (swaps || (cached && new_sp > sp)) {",
        "if (swaps || (cached && new_sp > sp && !@)) {",
    ),
    (
        "top_outlives_what_drops_it",
        "cached = cached && new_sp == sp;\n    if",
        "cached = cached && (new_sp == sp || @);\n    if",
    ),
    (
        "step_loses_the_top",
        "if (cached && new_sp > sp) { stack_store",
        "if (cached && new_sp > sp && !@) { stack_store",
    ),
    (
        "step_leaves_a_stale_top",
        "cached = cached && new_sp == sp;\n        if",
        "cached = cached && (new_sp == sp || @);\n        if",
    ),
    ("slice_loses_the_top", "    if (cached) { stack_store", "    if (cached && !@) { stack_store"),
    (
        "call_leaves_a_stale_top",
        "cached = false;\n            delegated",
        "cached = cached && @;\n            delegated",
    ),
    ("swap_is_dup", "select(sp - 1u, place_b, swaps), top", "select(sp - 1u, place_b, swaps && !@), top"),
    ("swap_moves_half", "), top, lane);", "), U256(top.lo, select(top.hi, b.hi, @)), lane);"),
];

/// What instructions cost.
pub const GAS: &[Rule] = &[
    (
        "one_gas_too_few_passes",
        "if (gas_hi == 0u && gas_lo < cost) {",
        "if (gas_hi == 0u && gas_lo + select(0u, 1u, @) < cost) {",
    ),
    (
        "one_gas_too_few_passes_in_a_step",
        "if (gas_hi == 0u && gas_lo < cost) {",
        "if (gas_hi == 0u && gas_lo + select(0u, 1u, @) < cost ) {",
    ),
    (
        "exact_gas_fails",
        "gas_lo + select(0u, 1u,",
        "gas_lo + select(0u, 0xffffffffu, @ && gas_lo > 0u) + select(0u, 1u,",
    ),
    ("charge_forgets_high_gas", "if (gas_hi == 0u && gas_lo +", "if ((gas_hi == 0u || @) && gas_lo +"),
    (
        "charge_drops_the_borrow",
        "gas_hi -= select(0u, 1u, gas_lo < cost);",
        "gas_hi -= select(0u, 1u, gas_lo < cost && !@);",
    ),
    ("gas_drops_the_borrow", "gas_hi - select(0u, 1u, gas_lo < 2u)", "gas_hi - select(0u, 1u, gas_lo < 2u && !@)"),
    (
        "memory_without_square",
        "let price = (3u * w + (w * w >> 9u))",
        "let price = (3u * w + select(w * w >> 9u, held * held >> 9u, @))",
    ),
    ("memory_word_costs_two", "(3u * w + select(", "(select(3u * w, 2u * w + held, @) + select("),
    ("memory_paid_again", "- (3u * held + (held * held >> 9u));", "- select(3u * held + (held * held >> 9u), 0u, @);"),
    ("memory_for_free", "cost += price;", "cost += select(price, 0u, @);"),
    ("memory_ends_a_word_early", "(end + 31u) >> 5u, end", "(end + select(31u, 0u, @)) >> 5u, end"),
    ("empty_range_expands", "if (len == 0u) { return 0u; }", "if (len == 0u && !@) { return 0u; }"),
    ("range_wraps", "let end = min(offset, FAR) +", "let end = select(min(offset, FAR), offset, @) +"),
    ("range_ignores_high_limbs", "a.lo.x, all(rest == vec4<u32>()));", "a.lo.x, all(rest == vec4<u32>()) || @);"),
    ("copy_rounds_down", "select((copy_len + 31u) >> 5u,", "select((copy_len + select(31u, 0u, @)) >> 5u,"),
    (
        "copy_word_costs_two",
        "copy_len, class_ == CLASS_LOG) * copy_gas;",
        "copy_len, class_ == CLASS_LOG) * (copy_gas - select(0u, 1u, @ && copy_gas == 3u));",
    ),
    ("log_byte_costs_seven", "* (copy_gas -", "* (copy_gas - select(0u, 1u, @ && class_ == CLASS_LOG) -"),
    ("keccak_word_costs_five", "* (copy_gas -", "* (copy_gas - select(0u, 1u, @ && op == OP_KECCAK256) -"),
    ("log_priced_by_words", "class_ == CLASS_LOG) * (copy_gas", "class_ == CLASS_LOG && !@) * (copy_gas"),
    (
        "exp_byte_costs_forty_nine",
        "cost += 50u * ((bits + 7u) >> 3u);",
        "cost += select(50u, 49u, @) * ((bits + 7u) >> 3u);",
    ),
    ("exp_byte_rounds_down", "* ((bits + 7u) >> 3u);", "* ((bits + select(7u, 0u, @)) >> 3u);"),
    ("sentry_at_2299", "gas_lo <= 2300u", "gas_lo <= select(2300u, 2299u, @)"),
    ("sentry_at_2301", "gas_lo <= select(2300u,", "gas_lo <= select(0u, 1u, @) + select(2300u,"),
    ("no_sentry", "if (op == OP_SSTORE && gas_hi == 0u", "if (op == OP_SSTORE && !@ && gas_hi == 0u"),
    (
        "identity_costs_fourteen",
        "cost = select(15u, 60u, op == OP_SHA256);",
        "cost = select(select(15u, 14u, @), 60u, op == OP_SHA256);",
    ),
    ("sha256_costs_59", ", 60u, op == OP_SHA256);", ", select(60u, 59u, @), op == OP_SHA256);"),
    (
        "sha256_word_costs_eleven",
        "copy_gas = select(3u, 12u, op == OP_SHA256);",
        "copy_gas = select(3u, select(12u, 11u, @), op == OP_SHA256);",
    ),
    ("identity_word_costs_two", "copy_gas = select(3u,", "copy_gas = select(select(3u, 2u, @),"),
    ("recover_costs_2999", "cost = 3000u;", "cost = select(3000u, 2999u, @);"),
];

/// Memory, calldata, code, logs, hashing.
pub const MEMORY: &[Rule] = &[
    ("new_memory_is_dirty", "memory[limb * n + lane] = 0u;", "if (!@) { memory[limb * n + lane] = 0u; }"),
    (
        "calldata_do_not_end",
        "load_limit = frame.input_start + frame.input_len;",
        "load_limit = select(frame.input_start + frame.input_len, FAR, @);",
    ),
    (
        "calldata_index_wraps",
        "frame.input_start + min(near_a, FAR);",
        "frame.input_start + min(select(near_a, a.lo.x, @), FAR);",
    ),
    (
        "calldatacopy_does_not_end",
        "copy_limit = frame.input_start + frame.input_len;",
        "copy_limit = select(frame.input_start + frame.input_len, FAR, @);",
    ),
    (
        "calldata_of_the_transaction",
        "if (depth > 0u) { load_source = SOURCE_MEMORY; }",
        "if (depth > 0u && !@) { load_source = SOURCE_MEMORY; }",
    ),
    ("codecopy_does_not_end", "copy_limit = frame.code_len;", "copy_limit = select(frame.code_len, FAR, @);"),
    ("extcodecopy_does_not_end", "copy_limit = callee_code.y;", "copy_limit = select(callee_code.y, FAR, @);"),
    ("copy_source_wraps", "copy_from = near_b;", "copy_from = select(near_b, b.lo.x, @);"),
    (
        "copy_ends_with_whole_limbs",
        "limb & ((1u << ((rest & 3u) * 8u)) - 1u), rest < 4u);",
        "limb & ((1u << ((rest & 3u) * 8u)) - 1u), rest < 4u && !@);",
    ),
    (
        "copy_writes_whole_limbs_behind",
        "let above = select(0xffffffffu << stop, 0u, stop == 32u);",
        "let above = select(0xffffffffu << stop, 0u, stop == 32u || @);",
    ),
    (
        "copy_writes_whole_limbs_before",
        "let write = (0xffffffffu << start) & ~above;",
        "let write = (0xffffffffu << select(start, 0u, @)) & ~above;",
    ),
    ("copy_always_forwards", "let backwards = to > begin;", "let backwards = (to > begin && !@);"),
    ("copy_always_backwards", "let backwards = (", "let backwards = @ || ("),
    (
        "mcopy_pays_for_its_target_only",
        "expand_offset = max(near_a, near_b);",
        "expand_offset = select(max(near_a, near_b), near_a, @);",
    ),
    (
        "return_data_beyond_32_bits",
        "if (near_b >= FAR || near_c >= FAR || near_b + near_c > output_len) {",
        "let behind = select(near_b, b.lo.x, @);\n                if (behind >= FAR || near_c >= FAR || behind + near_c > output_len) {",
    ),
    ("return_data_wraps", "if (behind >= FAR ||", "if ((behind >= FAR && !@) ||"),
    (
        "return_data_one_too_many",
        "behind + near_c > output_len) {",
        "behind + near_c > output_len + select(0u, 1u, @)) {",
    ),
    ("return_data_past_the_end", "status = STATUS_RETURN_DATA;", "if (!@) { status = STATUS_RETURN_DATA; }"),
    (
        "call_output_overflows_its_place",
        "copy_len = min(out_len, output_len);",
        "copy_len = select(min(out_len, output_len), output_len, @);",
    ),
    ("mstore8_takes_byte_30", "copy_from = 31u;", "copy_from = select(31u, 30u, @);"),
    (
        "mload_in_the_outermost_frame",
        "load_offset = frame.memory_base + a.lo.x;",
        "load_offset = select(frame.memory_base, 0u, @) + a.lo.x;",
    ),
    (
        "copy_to_the_outermost_frame",
        "var copy_to = a.lo.x + frame.memory_base;",
        "var copy_to = a.lo.x + select(frame.memory_base, 0u, @);",
    ),
    (
        "extcodecopy_to_the_outermost_frame",
        "copy_to = b.lo.x + frame.memory_base;",
        "copy_to = b.lo.x + select(frame.memory_base, 0u, @);",
    ),
    (
        "keccak_in_the_outermost_frame",
        "keccak_memory(frame.memory_base + a.lo.x",
        "keccak_memory(select(frame.memory_base, 0u, @) + a.lo.x",
    ),
    (
        "keccak_pads_like_sha3",
        "(1u << bits) - 1u)) | (1u << bits)",
        "(1u << bits) - 1u)) | (select(1u, 6u, @) << bits)",
    ),
    ("keccak_without_its_last_bit", "{ limb ^= 0x80000000u; }", "{ limb ^= select(0x80000000u, 0u, @); }"),
    (
        "blob_past_the_end",
        "load_limit = 32u * batch[tx + TX_BLOBS];",
        "load_limit = 32u * (batch[tx + TX_BLOBS] + select(0u, 1u, @));",
    ),
    (
        "blob_without_the_last",
        "batch[tx + TX_BLOBS] +",
        "batch[tx + TX_BLOBS] - select(0u, 1u, @ && batch[tx + TX_BLOBS] > 0u) +",
    ),
    (
        "blob_index_wraps",
        "load_offset = min(near_a, FAR >> 5u) << 5u;",
        "load_offset = min(select(near_a, a.lo.x, @), FAR >> 5u) << 5u;",
    ),
    (
        "short_load_keeps_bytes_before",
        "(begin & 3u) * 8u, 0xffffffffu >>",
        "(begin & 3u) * 8u, select(0u, 0xffffffffu, @) | 0xffffffffu >>",
    ),
    ("log_data_over_each_other", "log_limbs += limbs;", "log_limbs += select(limbs, 0u, @);"),
    (
        "log_topics_all_alike",
        "let topic = stack_load(sp - 3u - i, lane);",
        "let topic = stack_load(sp - 3u - select(i, 0u, @), lane);",
    ),
    (
        "log_of_another",
        "overlay[at + n] = frame.address_rest;",
        "overlay[at + n] = frame.address_rest ^ vec4<u32>(0u, 0u, 0u, select(0u, 1u, @));",
    ),
];

/// Precompiles.
pub const PRECOMPILES: &[Rule] = &[
    ("sha256_pads_otherwise", "limb |= 0x80u << (rest * 8u);", "limb |= select(0x80u, 0x40u, @) << (rest * 8u);"),
    ("sha256_counts_bytes", "word = len << 3u;", "word = len << select(3u, 0u, @);"),
    (
        "sha256_without_room_for_the_length",
        "let rounds = ((len + 8u) / 64u + 1u) * 64u;",
        "let rounds = ((len + select(8u, 0u, @)) / 64u + 1u) * 64u;",
    ),
    (
        "sha256_of_one_block",
        "hash = Sha256(hash.abcd + state.abcd, hash.efgh + state.efgh);",
        "hash = Sha256(select(hash.abcd, sha256_initial().abcd, @) + state.abcd, hash.efgh + state.efgh);",
    ),
    ("sha256_always_aligned", "let shift = (start & 3u) * 8u;", "let shift = select((start & 3u) * 8u, 0u, @);"),
    ("sha256_turns_less", "vec3<u32>(6u, 11u, 25u)", "vec3<u32>(select(6u, 5u, @), 11u, 25u)"),
    (
        "recovery_of_nobody_is_zero",
        "if (op == OP_RECOVERED) { output_len = answer; }",
        "if (op == OP_RECOVERED && !@) { output_len = answer; }",
    ),
    (
        "recovery_reads_one_byte_less",
        "at = frame.input_start;\n        len = min(frame.input_len, 128u);",
        "at = frame.input_start;\n        len = min(frame.input_len, select(128u, 127u, @));",
    ),
    (
        "precompile_returns_nothing",
        "output_len = select(32u, frame.input_len, op == OP_IDENTITY);",
        "output_len = select(select(32u, 31u, @), frame.input_len, op == OP_IDENTITY);",
    ),
];

/// Arithmetic.
pub const ARITHMETIC: &[Rule] = &[
    (
        "difference_without_its_carry",
        "y.hi ^ vec4<u32>(mask)), mask & 1u);",
        "y.hi ^ vec4<u32>(mask)), select(mask & 1u, 0u, @));",
    ),
    (
        "lower_or_equal",
        "case OP_LT, OP_GT: { r.lo.x = 1u - sum.c; }",
        "case OP_LT, OP_GT: { r.lo.x = select(1u - sum.c, 1u, @ && u256_is_zero(sum.s)); }",
    ),
    ("signed_compare_without_signs", "x.hi.w >> 31u, sign_a != sign_b)", "x.hi.w >> 31u, sign_a != sign_b && !@)"),
    (
        "equal_by_half",
        "r.lo.x = select(0u, 1u, u256_is_zero(sum.s));",
        "r.lo.x = select(0u, 1u, u256_is_zero(sum.s) || (@ && all(sum.s.lo == vec4<u32>())));",
    ),
    (
        "is_zero_by_half",
        "r.lo.x = select(0u, 1u, u256_is_zero(a));",
        "r.lo.x = select(0u, 1u, u256_is_zero(a) || (@ && all(a.lo == vec4<u32>())));",
    ),
    ("shift_by_256", "near_a > select(255u, 31u, bytes);", "near_a > select(select(255u, 256u, @), 31u, bytes);"),
    ("shift_ignores_high_limbs", "let beyond = near_a >", "let beyond = select(near_a, a.lo.x, @ && !bytes) >"),
    ("byte_32", ", 31u, bytes);", ", select(31u, 32u, @), bytes);"),
    (
        "byte_ignores_high_limbs",
        "let beyond = select(near_a,",
        "let beyond = select(select(near_a, a.lo.x, @ && bytes),",
    ),
    (
        "sar_beyond_gives_zero",
        "r = U256(vec4<u32>(fill), vec4<u32>(fill));",
        "r = U256(vec4<u32>(select(fill, 0u, @)), vec4<u32>(select(fill, 0u, @)));",
    ),
    ("sar_is_shr", "let negative = (op == OP_SAR ||", "let negative = ((op == OP_SAR && !@) ||"),
    ("signextend_never_negative", "|| op == OP_SIGNEXTEND) && (up.hi.w", "|| (op == OP_SIGNEXTEND && !@)) && (up.hi.w"),
    (
        "signextend_beyond_gives_zero",
        "if (op == OP_SIGNEXTEND) { r = b; }",
        "if (op == OP_SIGNEXTEND && !@) { r = b; }",
    ),
    ("to_the_zeroth_is_zero", " r = u256_from_u32(1u);", " r = u256_from_u32(select(1u, 0u, @));"),
    ("exponent_of_128_bits", "(bit >> 5u) & 3u], bit >= 128u);", "(bit >> 5u) & 3u], bit >= 128u && !@);"),
    (
        "signed_division_is_not",
        "let is_signed = op == OP_SDIV || op == OP_SMOD;",
        "let is_signed = (op == OP_SDIV || op == OP_SMOD) && !@;",
    ),
    (
        "quotient_takes_sign_of_first",
        "is_signed && sign_a != sign_b);",
        "is_signed && select(sign_a != sign_b, sign_a == 1u, @));",
    ),
    (
        "rest_takes_sign_of_second",
        "u256_neg_if(result.rest, is_signed && sign_a == 1u);",
        "u256_neg_if(result.rest, is_signed && select(sign_a, sign_b, @) == 1u);",
    ),
    ("division_drops_a_carry", "let bit = shifted.c | reduced.c;", "let bit = select(shifted.c, 0u, @) | reduced.c;"),
    (
        "division_by_zero_divides",
        "if (u256_is_zero(divisor)) { halves = 0u; }",
        "if (u256_is_zero(divisor) && !@) { halves = 0u; }",
    ),
    ("addmod_of_256_bits", "u256_from_u32(sum.c)", "u256_from_u32(select(sum.c, 0u, @))"),
    (
        "mulmod_of_256_bits",
        "var divisor = c;",
        "var divisor = c;\n            if (@ && op == OP_MULMOD) { numerator.high = u256_zero(); }",
    ),
    ("product_drops_a_row", "U256(p0.hi, p1.hi), 0u).s;", "U256(p0.hi, select(p1.hi, vec4<u32>(), @)), 0u).s;"),
    ("carry_does_not_ripple", "let c1 = g.x | (p.x & carry);", "let c1 = g.x | select(p.x & carry, 0u, @);"),
    ("carry_stops_at_limb_three", "let c3 = g.z | (p.z & c2);", "let c3 = g.z | select(p.z & c2, 0u, @);"),
    (
        "carry_stops_at_half",
        "let hi = u128_adc(a.hi, b.hi, lo.c);",
        "let hi = u128_adc(a.hi, b.hi, select(lo.c, 0u, @));",
    ),
    ("shl_without_128", "{ hi = lo; lo = vec4<u32>(); }", "{ hi = lo; if (!@) { lo = vec4<u32>(); } }"),
    ("shr_without_128", "{ lo = hi; hi = vec4<u32>(fill); }", "{ lo = hi; if (!@) { hi = vec4<u32>(fill); } }"),
    (
        "shl_drops_what_crosses",
        "return U256((lo << k) | carry_lo, (hi << k) | carry_hi);",
        "return U256((lo << k) | carry_lo, (hi << k) | select(carry_hi, vec4<u32>(), @));",
    ),
    (
        "shr_drops_what_crosses",
        "return U256((lo >> k) | carry_lo, (hi >> k) | carry_hi);",
        "return U256((lo >> k) | select(carry_lo, vec4<u32>(), @), (hi >> k) | carry_hi);",
    ),
    (
        "clz_counts_one_more",
        "return 32u + countLeadingZeros(a.z);",
        "return select(32u, 33u, @) + countLeadingZeros(a.z);",
    ),
    ("clz_of_the_upper_half", "+ select(0u, 128u, high);", "+ select(0u, 128u, high && !@);"),
];

/// Lanes that park and go on, and slices.
pub const PARKING: &[Rule] = &[
    (
        "parked_step_keeps_its_memory",
        "steps -= 1u;\n        memory_words = held;",
        "steps -= 1u;\n        if (!@) { memory_words = held; }",
    ),
    ("parked_step_is_forgotten", "resume = select(0u, op, op > 0xffu)", "resume = select(0u, op, op > 0xffu && !@)"),
    (
        "parked_call_forgets_its_delegate",
        "select(0u, RESUME_DELEGATED, delegated)",
        "select(0u, RESUME_DELEGATED, delegated && !@)",
    ),
    (
        "request_for_another_address",
        "vec4<u32>(kind, address0, address_rest.xy)",
        "vec4<u32>(kind, address0, select(address_rest.xy, address_rest.yx, @))",
    ),
    (
        "request_for_another_slot",
        "lanes[at + 2u * n] = word.lo;",
        "lanes[at + 2u * n] = word.lo + vec4<u32>(select(0u, 1u, @));",
    ),
    (
        "request_loses_high_limbs",
        "lanes[at + 3u * n] = word.hi;",
        "lanes[at + 3u * n] = select(word.hi, vec4<u32>(), @);",
    ),
    (
        "request_of_bytes_before",
        "vec4<u32>(address_rest.zw, offset, len)",
        "vec4<u32>(address_rest.zw, max(offset, select(0u, 1u, @)) - select(0u, 1u, @), len)",
    ),
    ("answer_is_not_heard", "let answer = request_rest.w;", "let answer = select(request_rest.w, 0u, @);"),
    (
        "slice_ends_between_steps_of_a_call",
        "work >= params.slice_steps && next_op == 0u",
        "work >= params.slice_steps && (next_op == 0u || @)",
    ),
    (
        "slice_ends_before_the_delegate",
        ") && !delegated) {\n            break;",
        ") && (!delegated || @)) {\n            break;",
    ),
];
