// Which edges of the control flow lanes take: maps behind the counters, one for all lanes or one each, cleared when a batch
// starts. host/src/coverage.rs says what an edge is.

//#include "lane.wgsl"

// The bit of an edge.
fn coverage_place(salt: u32, origin: u32, to: u32) -> u32 {
    var h = salt ^ (origin * 0x9e3779b1u) ^ (to * 0x85ebca77u);
    h = (h ^ (h >> 15u)) * 0x2c1b3c6du;
    return (h ^ (h >> 13u)) % COVERAGE_BITS;
}

// Adds the edge from a jump at `origin` to `to` in the code at `code_base`.
fn coverage_add(code_base: u32, origin: u32, to: u32, lane: u32) {
    // The last four bytes of the code hash, which stands before the code.
    let place = coverage_place(codes[code_base - CODE_WORDS + CODE_HASH], origin, to);
    var map = COUNTERS;
    if (params.coverage == COVERAGE_EACH) { map += lane * (COVERAGE_BITS / 32u); }
    let at = map + place / 32u;
    let bit = 1u << (place % 32u);
    // A loop takes its edges many times, and lanes take each other's: looking is cheaper than writing.
    if ((atomicLoad(&counters[at]) & bit) == 0u) { atomicOr(&counters[at], bit); }
}
