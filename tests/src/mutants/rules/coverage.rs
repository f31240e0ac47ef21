//! Faults in which edges are noted, and where.

use super::Rule;

/// Jumps, destinations, payment, maps.
pub const EDGES: &[Rule] = &[
    (
        "edge_starts_at_the_joined_push",
        "let origin = pc + select(0u, 1u + len, joined);",
        "let origin = pc + select(0u, select(1u + len, 0u, @), joined);",
    ),
    (
        "edge_of_a_plain_jump_is_missing",
        "if (op == OP_JUMP || op == OP_JUMPI) { coverage_add(",
        "if ((op == OP_JUMP && !@) || op == OP_JUMPI) { coverage_add(",
    ),
    (
        "edge_of_a_jump_not_taken_is_missing",
        "|| op == OP_JUMPI) { coverage_add(",
        "|| (op == OP_JUMPI && (!@ || leads_to != origin + 1u))) { coverage_add(",
    ),
    ("edge_leads_behind_the_destination", "leads_to = near_a;", "leads_to = near_a + select(0u, 1u, @);"),
    (
        "edge_is_noted_before_it_is_paid_for",
        "    steps += done;\n",
        "    if (@ && params.coverage != COVERAGE_OFF && status == STATUS_RUNNING && (op == OP_JUMP || op == OP_JUMPI)) {
        coverage_add(frame.code_base, pc + select(0u, 1u + len, joined), leads_to, lane);
    }
    steps += done;\n",
    ),
    (
        "edge_needs_no_gas_for_its_destination",
        "    steps += done;\n",
        "    if (@ && params.coverage != COVERAGE_OFF && status == STATUS_RUNNING && (op == OP_JUMP || op == OP_JUMPI)
        && gas_hi == 0u && gas_lo + 1u == cost) {
        coverage_add(frame.code_base, pc + select(0u, 1u + len, joined), leads_to, lane);
    }
    steps += done;\n",
    ),
    (
        "edge_has_another_limb_of_the_hash",
        "- CODE_WORDS + CODE_HASH]",
        "- CODE_WORDS + CODE_HASH + select(0u, 1u, @)]",
    ),
    (
        "edge_has_no_hash",
        "coverage_place(codes[code_base - CODE_WORDS",
        "coverage_place(select(1u, 0u, @) * codes[code_base - CODE_WORDS",
    ),
    (
        "edge_is_in_the_map_of_another_lane",
        "map += lane * (COVERAGE_BITS",
        "map += select(lane, lane >> 1u, @) * (COVERAGE_BITS",
    ),
    ("edge_has_another_place", "return (h ^ (h >> 13u))", "return (h ^ (h >> select(13u, 12u, @)))"),
    ("edge_takes_the_place_of_another", "atomicOr(&counters[at], bit);", "if (@) { atomicStore(&counters[at], bit); } else { atomicOr(&counters[at], bit); }"),
];
