// Address recovery (ecrecover) for a batch: one lane, one signature, seven short dispatches over the same buffers.
//
//   recover_lift      validates by compare, finds the point R = (x, y) of the signature
//   recover_invert_r  1 / (2 r), one inversion for many lanes
//   recover_scalars   u1 = -z / r, u2 = s / r, recoded into signed odd digits
//   recover_table     odd multiples of R up to 15, on a common Z
//   recover_ladder    Q = u2 R + u1 G, rounds [first, last) of 49; may be dispatched in slices
//   recover_invert_z  1 / Z, one inversion for many lanes
//   recover_finish    affine Q, keccak256, address, status
//
// The inversions are Montgomery's trick: invocation i of `inverters` multiplies the values of the lanes i, i + inverters, ..
// together, inverts the product and takes it apart again. A value of zero would take its neighbours with it, so such a lane
// contributes one and is told apart by its status.
//
// A scalar a is recoded as v with a = 2 v + 1 - 2^L (mod n), so that a window digit d of w bits stands for the odd number
// 2 d + 1 - 2^w: no digit is zero, no lane ever skips, and the accumulator never starts at infinity.
// u2 is first split into two halves of 33 windows of 4 bits; u1 takes 32 windows of 8 bits from a fixed table of G.

//#include "abi.wgsl"
//#include "gej.wgsl"
//#include "sc.wgsl"
//#include "keccak.wgsl"

// State planes: word w of lane i is state[w * stride + i].
const STATE_STATUS: u32 = 0u;
const STATE_X: u32 = 1u;
const STATE_Y: u32 = 9u;
const STATE_Z: u32 = 17u;
const STATE_TABLE_Z: u32 = 25u;
// 1 / (2 r) until recover_scalars, 1 / Z after recover_ladder: STATE_TABLE_Z lives between.
const STATE_INVERSE: u32 = 25u;
const STATE_V1: u32 = 33u;
const STATE_V2: u32 = 38u;
const STATE_VG: u32 = 43u;

const R_ROUNDS: u32 = 33u;

@group(0) @binding(0) var<uniform> params: BatchParams;
// RecoverItem a lane.
@group(0) @binding(1) var<storage, read> items: array<u32>;
// RecoverResult a lane.
@group(0) @binding(2) var<storage, read_write> results: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<u32>;
// Per lane 8 entries of 6 vec4: x, y, beta x of (2 e + 1) R.
@group(0) @binding(4) var<storage, read_write> r_table: array<vec4<u32>>;
// Entry (window j, index e) at 4 (128 j + e): x, y of (2 e + 1) 256^j G.
@group(0) @binding(5) var<storage, read> g_table: array<vec4<u32>>;

fn item_words(lane: u32, word: u32) -> Words {
    let i = lane * ITEM_WORDS + word;
    return Words(items[i], items[i + 1u], items[i + 2u], items[i + 3u],
        items[i + 4u], items[i + 5u], items[i + 6u], items[i + 7u]);
}

fn state_words(lane: u32, plane: u32) -> Words {
    let n = params.stride;
    let i = plane * n + lane;
    return Words(state[i], state[i + n], state[i + 2u * n], state[i + 3u * n],
        state[i + 4u * n], state[i + 5u * n], state[i + 6u * n], state[i + 7u * n]);
}

fn state_set_words(lane: u32, plane: u32, w: Words) {
    let n = params.stride;
    let i = plane * n + lane;
    state[i] = w[0];
    state[i + n] = w[1];
    state[i + 2u * n] = w[2];
    state[i + 3u * n] = w[3];
    state[i + 4u * n] = w[4];
    state[i + 5u * n] = w[5];
    state[i + 6u * n] = w[6];
    state[i + 7u * n] = w[7];
}

fn fe_from_vec4(lo: vec4<u32>, hi: vec4<u32>) -> Fe {
    return fe_from_words(Words(lo.x, lo.y, lo.z, lo.w, hi.x, hi.y, hi.z, hi.w));
}

// Field `field` (0 x, 1 y, 2 beta x) of entry `entry` of the lane's table.
fn r_table_load(lane: u32, entry: u32, field: u32) -> Fe {
    let i = (lane * 8u + entry) * 6u + 2u * field;
    return fe_from_vec4(r_table[i], r_table[i + 1u]);
}

fn r_table_store(lane: u32, entry: u32, field: u32, a: Fe) {
    let i = (lane * 8u + entry) * 6u + 2u * field;
    let w = fe_to_words(a);
    r_table[i] = vec4<u32>(w[0], w[1], w[2], w[3]);
    r_table[i + 1u] = vec4<u32>(w[4], w[5], w[6], w[7]);
}

// a < b.
fn words_less(a: Words, b: Words) -> bool {
    var less = a[0] < b[0];
    less = a[1] < b[1] || (a[1] == b[1] && less);
    less = a[2] < b[2] || (a[2] == b[2] && less);
    less = a[3] < b[3] || (a[3] == b[3] && less);
    less = a[4] < b[4] || (a[4] == b[4] && less);
    less = a[5] < b[5] || (a[5] == b[5] && less);
    less = a[6] < b[6] || (a[6] == b[6] && less);
    return a[7] < b[7] || (a[7] == b[7] && less);
}

fn words_equal(a: Words, b: Words) -> bool {
    return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])
        | (a[4] ^ b[4]) | (a[5] ^ b[5]) | (a[6] ^ b[6]) | (a[7] ^ b[7])) == 0u;
}

fn words_select(a: Words, b: Words, take_b: bool) -> Words {
    return Words(
        select(a[0], b[0], take_b), select(a[1], b[1], take_b), select(a[2], b[2], take_b), select(a[3], b[3], take_b),
        select(a[4], b[4], take_b), select(a[5], b[5], take_b), select(a[6], b[6], take_b), select(a[7], b[7], take_b));
}

// Whether the numbers may be a signature at all: r and s in [1, n), s low where asked, recovery id 0..3, and x = r + n
// below p for ids 2 and 3. Compared, never reduced.
fn signature_in_range(lane: u32) -> bool {
    let zero = Words();
    let r = item_words(lane, ITEM_R);
    let s = item_words(lane, ITEM_S);
    let id = items[lane * ITEM_WORDS + ITEM_RECOVERY_ID];
    let low_s = (items[lane * ITEM_WORDS + ITEM_FLAGS] & RECOVER_LOW_S) != 0u;
    return !words_equal(r, zero) && words_less(r, SC_N_WORDS)
        && !words_equal(s, zero) && words_less(s, SC_N_WORDS)
        && !(low_s && words_less(SC_HALF_N_WORDS, s))
        && id < 4u && !(id >= 2u && !words_less(r, FE_P_MINUS_N_WORDS));
}

// Writes STATE_STATUS (NOT_RUN: so far good) and R to STATE_X, STATE_Y. A lane that is not a signature, or whose x is not
// on the curve, is INVALID and goes on with R = G, so that nothing downstream meets a value that is not a point.
@compute @workgroup_size(64)
fn recover_lift(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if (lane >= params.count) {
        return;
    }
    let in_range = signature_in_range(lane);
    let recovery_id = items[lane * ITEM_WORDS + ITEM_RECOVERY_ID];

    var x = fe_from_words(item_words(lane, ITEM_R));
    let wrapped = fe_add(x, SC_N_LIMBS);
    if ((recovery_id & 2u) != 0u) {
        x = wrapped;
    }
    var seven = Fe();
    seven[0] = 7u;
    let c = fe_add(fe_mul(fe_sqr(x), x), seven);
    let y = fe_chain(c, false);
    let on_curve = words_equal(fe_to_words(fe_sqr(y)), fe_to_words(c));

    let valid = in_range && on_curve;
    let y_odd = fe_to_words(y)[0] & 1u;
    let y_words = fe_to_words(fe_neg_if(y_odd != (recovery_id & 1u), y));
    state[STATE_STATUS * params.stride + lane] = select(STATUS_INVALID, STATUS_NOT_RUN, valid);
    state_set_words(lane, STATE_X, words_select(GE_G_X_WORDS, fe_to_words(x), valid));
    state_set_words(lane, STATE_Y, words_select(GE_G_Y_WORDS, y_words, valid));
}

// r of the lane, or 1 where it is invalid; in [1, n).
fn scalar_r(lane: u32) -> Words {
    let invalid = state[STATE_STATUS * params.stride + lane] != STATUS_NOT_RUN;
    return words_select(item_words(lane, ITEM_R), Words(1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u), invalid);
}

// Writes 1 / (2 r) in Montgomery's form to STATE_INVERSE. After recover_lift.
@compute @workgroup_size(64)
fn recover_invert_r(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.inverters) {
        return;
    }
    // Each lane's plane first takes the product of the values before it. Every product is short of a factor M, and the
    // inverse has them back: what comes out of the last loop is x M^2 / r, for the x by which the inverse is multiplied.
    var product = Sc();
    product[0] = 1u;
    var lane = id.x;
    for (; lane < params.count; lane += params.inverters) {
        state_set_words(lane, STATE_INVERSE, limb_to_words(sc_reduce(product)));
        product = sc_mul(product, limb_from_words(scalar_r(lane)));
    }
    // sc_mul divides 1 / 2 by M, which leaves M / (2 r).
    var inverse = sc_mul(sc_inv(product), SC_HALF);
    while (lane > id.x) {
        lane -= params.inverters;
        let before = limb_from_words(state_words(lane, STATE_INVERSE));
        state_set_words(lane, STATE_INVERSE, limb_to_words(sc_reduce(sc_mul(inverse, before))));
        inverse = sc_mul(inverse, limb_from_words(scalar_r(lane)));
    }
}

// Writes STATE_V1, STATE_V2 (the halves of u2) and STATE_VG (u1). After recover_invert_r; invalid lanes have r = 1.
@compute @workgroup_size(64)
fn recover_scalars(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if (lane >= params.count) {
        return;
    }
    // s is a number below 2^256 in any case, and what becomes of an invalid lane's does not matter.
    let s = limb_from_words(item_words(lane, ITEM_S));
    let z = limb_from_words(item_words(lane, ITEM_Z));

    // The recodings want halves: 1 / (2 r).
    let inverse = limb_from_words(state_words(lane, STATE_INVERSE));
    // (-z / r + 2^256 - 1) / 2.
    let half_u1 = sc_mul(z, inverse);
    let vg = sc_sub_from_offset(half_u1);
    // (s / r - 1 - lambda) / 2: what the halves' recodings 2 k1 + 1 + lambda (2 k2 + 1) leave over.
    let split = sc_split(sc_add(sc_mul(s, inverse), SC_SPLIT_OFFSET));

    state_set_words(lane, STATE_VG, limb_to_words(vg));
    let v1 = limb_to_words(split.v1);
    let v2 = limb_to_words(split.v2);
    let n = params.stride;
    let i = STATE_V1 * n + lane;
    state[i] = v1[0];
    state[i + n] = v1[1];
    state[i + 2u * n] = v1[2];
    state[i + 3u * n] = v1[3];
    state[i + 4u * n] = v1[4] & 15u;
    let j = STATE_V2 * n + lane;
    state[j] = v2[0];
    state[j + n] = v2[1];
    state[j + 2u * n] = v2[2];
    state[j + 3u * n] = v2[3];
    state[j + 4u * n] = v2[4] & 15u;
}

// Writes the lane's table: R, 3 R, .. 15 R with x, y as if on Z = 1, beta x beside, and their true Z to STATE_TABLE_Z.
// With 2 R = (X, Y, Z), the curve scaled by Z has 2 R at the affine (X, Y): the sums are mixed additions there. Neighbours
// differ by 2 R, so none is exceptional. After recover_lift.
@compute @workgroup_size(64)
fn recover_table(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if (lane >= params.count) {
        return;
    }
    var one = Fe();
    one[0] = 1u;
    var x = fe_from_words(state_words(lane, STATE_X));
    var y = fe_from_words(state_words(lane, STATE_Y));
    let d = gej_double(Gej(x, y, one));
    var scale = d.z;
    // Step 0 takes R to the scaled curve and sums up the entries, each with its Z over the entry before's in the third
    // field. Steps 1..8 go from the last entry down and scale each to the last one's Z. Both multiply x and y by powers
    // of `scale`, in one place: code size is compile time.
    for (var step = 0u; step < 9u; step++) {
        let entry = 8u - step;
        var ratio = d.z;
        if (step > 0u) {
            x = r_table_load(lane, entry, 0u);
            y = r_table_load(lane, entry, 1u);
            ratio = r_table_load(lane, entry, 2u);
        }
        let scale2 = fe_sqr(scale);
        x = fe_mul(x, scale2);
        y = fe_mul(y, fe_mul(scale2, scale));
        if (step == 0u) {
            var p = Gej(x, y, one);
            for (var e = 0u; e < 8u; e++) {
                r_table_store(lane, e, 0u, p.x);
                r_table_store(lane, e, 1u, p.y);
                r_table_store(lane, e, 2u, ratio);
                if (e < 7u) {
                    let sum = gej_add_ge(p, Ge(d.x, d.y));
                    p = sum.p;
                    ratio = sum.ratio;
                }
            }
            scale = one;
        } else {
            r_table_store(lane, entry, 0u, x);
            r_table_store(lane, entry, 1u, y);
            r_table_store(lane, entry, 2u, fe_mul(x, FE_BETA));
            scale = fe_mul(scale, ratio);
        }
    }
    // Entry 0's ratio is Z of 2 R, so the product of all ratios is the last entry's Z on the true curve.
    state_set_words(lane, STATE_TABLE_Z, fe_to_words(scale));
}

// The point that round `round` adds for half `half` (0, 1).
fn ladder_operand(lane: u32, round: u32, half: u32) -> Ge {
    var x: Fe;
    var y: Fe;
    var negative: bool;
    if (round < R_ROUNDS) {
        let window = R_ROUNDS - 1u - round;
        let plane = select(STATE_V1, STATE_V2, half == 1u) + (window >> 3u);
        let digit = (state[plane * params.stride + lane] >> ((window & 7u) * 4u)) & 15u;
        negative = digit < 8u;
        let entry = select(digit - 8u, 7u - digit, negative);
        x = r_table_load(lane, entry, 2u * half);
        y = r_table_load(lane, entry, 1u);
    } else {
        let window = 2u * (round - R_ROUNDS) + half;
        let word = state[(STATE_VG + (window >> 2u)) * params.stride + lane];
        let digit = (word >> ((window & 3u) * 8u)) & 255u;
        negative = digit < 128u;
        let i = 4u * (128u * window + select(digit - 128u, 127u - digit, negative));
        x = fe_from_vec4(g_table[i], g_table[i + 1u]);
        y = fe_from_vec4(g_table[i + 2u], g_table[i + 3u]);
    }
    return Ge(x, fe_neg_if(negative, y));
}

// Rounds [first, last) of 49. Rounds 0..33: four doublings (not in round 0) and one addition for each half of u2, on the
// table's scaled curve. Then back to the true curve, and rounds 33..49 add two windows of u1 G each.
@compute @workgroup_size(64)
fn recover_ladder(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if (lane >= params.count) {
        return;
    }
    var p = Gej(
        fe_from_words(state_words(lane, STATE_X)),
        fe_from_words(state_words(lane, STATE_Y)),
        fe_from_words(state_words(lane, STATE_Z)));
    for (var round = params.first; round < params.last; round++) {
        if (round > 0u && round < R_ROUNDS) {
            for (var k = 0u; k < 4u; k++) {
                p = gej_double(p);
            }
        }
        if (round == R_ROUNDS) {
            p.z = fe_mul(p.z, fe_from_words(state_words(lane, STATE_TABLE_Z)));
        }
        for (var half = 0u; half < 2u; half++) {
            let q = ladder_operand(lane, round, half);
            if (round == 0u && half == 0u) {
                var one = Fe();
                one[0] = 1u;
                p = Gej(q.x, q.y, one);
            } else {
                p = gej_add_ge(p, q).p;
            }
        }
    }
    state_set_words(lane, STATE_X, fe_to_words(p.x));
    state_set_words(lane, STATE_Y, fe_to_words(p.y));
    state_set_words(lane, STATE_Z, fe_to_words(p.z));
}

// Z of the lane as words, or 1 where Z = 0.
fn nonzero_z(lane: u32) -> Words {
    let z = state_words(lane, STATE_Z);
    return words_select(z, Words(1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u), words_equal(z, Words()));
}

// Writes 1 / Z to STATE_INVERSE, 1 where Z = 0. After the last slice of recover_ladder.
@compute @workgroup_size(64)
fn recover_invert_z(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.inverters) {
        return;
    }
    // Each lane's plane first takes the product of the values before it.
    var product = Fe();
    product[0] = 1u;
    var lane = id.x;
    for (; lane < params.count; lane += params.inverters) {
        state_set_words(lane, STATE_INVERSE, fe_to_words(product));
        product = fe_mul(product, fe_from_words(nonzero_z(lane)));
    }
    var inverse = fe_chain(product, true);
    while (lane > id.x) {
        lane -= params.inverters;
        let before = fe_from_words(state_words(lane, STATE_INVERSE));
        state_set_words(lane, STATE_INVERSE, fe_to_words(fe_mul(inverse, before)));
        inverse = fe_mul(inverse, fe_from_words(nonzero_z(lane)));
    }
}

fn swap_bytes(w: u32) -> u32 {
    return (w << 24u) | ((w & 0xff00u) << 8u) | ((w >> 8u) & 0xff00u) | (w >> 24u);
}

// Writes the result. Only RECOVERED carries an address. After recover_invert_z.
@compute @workgroup_size(64)
fn recover_finish(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if (lane >= params.count) {
        return;
    }
    let z_inv = fe_from_words(state_words(lane, STATE_INVERSE));
    let z_inv2 = fe_sqr(z_inv);
    let x = fe_to_words(fe_mul(fe_from_words(state_words(lane, STATE_X)), z_inv2));
    let y = fe_to_words(fe_mul(fe_from_words(state_words(lane, STATE_Y)), fe_mul(z_inv2, z_inv)));

    // keccak256 of the 64 big-endian bytes x, y.
    var sponge = array<u32, 50>();
    sponge[0] = swap_bytes(x[7]);
    sponge[1] = swap_bytes(x[6]);
    sponge[2] = swap_bytes(x[5]);
    sponge[3] = swap_bytes(x[4]);
    sponge[4] = swap_bytes(x[3]);
    sponge[5] = swap_bytes(x[2]);
    sponge[6] = swap_bytes(x[1]);
    sponge[7] = swap_bytes(x[0]);
    sponge[8] = swap_bytes(y[7]);
    sponge[9] = swap_bytes(y[6]);
    sponge[10] = swap_bytes(y[5]);
    sponge[11] = swap_bytes(y[4]);
    sponge[12] = swap_bytes(y[3]);
    sponge[13] = swap_bytes(y[2]);
    sponge[14] = swap_bytes(y[1]);
    sponge[15] = swap_bytes(y[0]);
    sponge[16] = 1u;
    sponge[33] = 0x80000000u;
    keccak_f1600(&sponge);

    var status = STATUS_RECOVERED;
    if (words_equal(state_words(lane, STATE_Z), Words())) {
        status = STATUS_EXCEPTIONAL;
    }
    if (state[STATE_STATUS * params.stride + lane] != STATUS_NOT_RUN) {
        status = STATUS_INVALID;
    }
    let keep = select(0u, 0xffffffffu, status == STATUS_RECOVERED);
    let o = lane * 8u;
    results[o] = status;
    results[o + 1u] = sponge[3] & keep;
    results[o + 2u] = sponge[4] & keep;
    results[o + 3u] = sponge[5] & keep;
    results[o + 4u] = sponge[6] & keep;
    results[o + 5u] = sponge[7] & keep;
}
