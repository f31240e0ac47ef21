// The field: integers mod p = 2^256 - 2^32 - 977 in 20 limbs of 13 bits, lazily reduced.
//
// A *weak* element has limbs <= 8287 and stands for its value mod p; any value below about 16 p has several weak forms.
// All functions take and give weak elements unless they say otherwise. Comparison, parity and storage need fe_to_words,
// which is canonical. Folding uses 2^260 = 2^36 + 15632 (mod p), that is limbs 7440, 1, 1024 at the bottom.

//#include "limb.wgsl"
//#include "curve.wgsl"

alias Fe = Limbs;

// Weak form of a sum. In: limbs < 2^18. Out: limbs <= 8285.
// One parallel carry step; the carry out of limb 19 (<= 32) is folded, which can overfill limbs 0 and 2 only.
fn fe_carry(a: Fe) -> Fe {
    let top = a[19] >> 13u;
    let r0 = (a[0] & LIMB_MASK) + top * 7440u;
    let r2 = (a[2] & LIMB_MASK) + (a[1] >> 13u) + top * 1024u;
    return Fe(
        r0 & LIMB_MASK,
        (a[1] & LIMB_MASK) + (a[0] >> 13u) + top + (r0 >> 13u),
        r2 & LIMB_MASK,
        (a[3] & LIMB_MASK) + (a[2] >> 13u) + (r2 >> 13u),
        (a[4] & LIMB_MASK) + (a[3] >> 13u),
        (a[5] & LIMB_MASK) + (a[4] >> 13u),
        (a[6] & LIMB_MASK) + (a[5] >> 13u),
        (a[7] & LIMB_MASK) + (a[6] >> 13u),
        (a[8] & LIMB_MASK) + (a[7] >> 13u),
        (a[9] & LIMB_MASK) + (a[8] >> 13u),
        (a[10] & LIMB_MASK) + (a[9] >> 13u),
        (a[11] & LIMB_MASK) + (a[10] >> 13u),
        (a[12] & LIMB_MASK) + (a[11] >> 13u),
        (a[13] & LIMB_MASK) + (a[12] >> 13u),
        (a[14] & LIMB_MASK) + (a[13] >> 13u),
        (a[15] & LIMB_MASK) + (a[14] >> 13u),
        (a[16] & LIMB_MASK) + (a[15] >> 13u),
        (a[17] & LIMB_MASK) + (a[16] >> 13u),
        (a[18] & LIMB_MASK) + (a[17] >> 13u),
        (a[19] & LIMB_MASK) + (a[18] >> 13u));
}

fn fe_add(a: Fe, b: Fe) -> Fe {
    return fe_carry(Fe(
        a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4],
        a[5] + b[5], a[6] + b[6], a[7] + b[7], a[8] + b[8], a[9] + b[9],
        a[10] + b[10], a[11] + b[11], a[12] + b[12], a[13] + b[13], a[14] + b[14],
        a[15] + b[15], a[16] + b[16], a[17] + b[17], a[18] + b[18], a[19] + b[19]));
}

// ka * a - kb * b. In: ka * 8287 + kb * 16382 < 2^18, so for instance (1, 8) or (3, 2).
// 32 p is written with every limb >= 9696, so no limb of the difference is negative.
fn fe_lin(ka: u32, a: Fe, kb: u32, b: Fe) -> Fe {
    return fe_carry(Fe(
        ka * a[0] + kb * (FE_32P_0 - b[0]), ka * a[1] + kb * (FE_32P_1 - b[1]),
        ka * a[2] + kb * (FE_32P_2 - b[2]), ka * a[3] + kb * (FE_32P_3 - b[3]),
        ka * a[4] + kb * (FE_32P_4 - b[4]), ka * a[5] + kb * (FE_32P_5 - b[5]),
        ka * a[6] + kb * (FE_32P_6 - b[6]), ka * a[7] + kb * (FE_32P_7 - b[7]),
        ka * a[8] + kb * (FE_32P_8 - b[8]), ka * a[9] + kb * (FE_32P_9 - b[9]),
        ka * a[10] + kb * (FE_32P_10 - b[10]), ka * a[11] + kb * (FE_32P_11 - b[11]),
        ka * a[12] + kb * (FE_32P_12 - b[12]), ka * a[13] + kb * (FE_32P_13 - b[13]),
        ka * a[14] + kb * (FE_32P_14 - b[14]), ka * a[15] + kb * (FE_32P_15 - b[15]),
        ka * a[16] + kb * (FE_32P_16 - b[16]), ka * a[17] + kb * (FE_32P_17 - b[17]),
        ka * a[18] + kb * (FE_32P_18 - b[18]), ka * a[19] + kb * (FE_32P_19 - b[19])));
}

fn fe_sub(a: Fe, b: Fe) -> Fe {
    return fe_lin(1u, a, 1u, b);
}

// a or -a.
fn fe_neg_if(negate: bool, a: Fe) -> Fe {
    let n = fe_lin(0u, a, 1u, a);
    return Fe(
        select(a[0], n[0], negate), select(a[1], n[1], negate), select(a[2], n[2], negate),
        select(a[3], n[3], negate), select(a[4], n[4], negate), select(a[5], n[5], negate),
        select(a[6], n[6], negate), select(a[7], n[7], negate), select(a[8], n[8], negate),
        select(a[9], n[9], negate), select(a[10], n[10], negate), select(a[11], n[11], negate),
        select(a[12], n[12], negate), select(a[13], n[13], negate), select(a[14], n[14], negate),
        select(a[15], n[15], negate), select(a[16], n[16], negate), select(a[17], n[17], negate),
        select(a[18], n[18], negate), select(a[19], n[19], negate));
}

// Weak form of raw product columns. In: columns <= 2^32 - 2^28, value < 4 * 2^520. Out: limbs <= 8192.
fn fe_reduce(columns: Columns) -> Fe {
    var t = columns;
    // Columns 20 and up become 13-bit limbs; t20..t38 and `top` are then the multiple of 2^260.
    t[21] += t[20] >> 13u; t[20] &= LIMB_MASK;
    t[22] += t[21] >> 13u; t[21] &= LIMB_MASK;
    t[23] += t[22] >> 13u; t[22] &= LIMB_MASK;
    t[24] += t[23] >> 13u; t[23] &= LIMB_MASK;
    t[25] += t[24] >> 13u; t[24] &= LIMB_MASK;
    t[26] += t[25] >> 13u; t[25] &= LIMB_MASK;
    t[27] += t[26] >> 13u; t[26] &= LIMB_MASK;
    t[28] += t[27] >> 13u; t[27] &= LIMB_MASK;
    t[29] += t[28] >> 13u; t[28] &= LIMB_MASK;
    t[30] += t[29] >> 13u; t[29] &= LIMB_MASK;
    t[31] += t[30] >> 13u; t[30] &= LIMB_MASK;
    t[32] += t[31] >> 13u; t[31] &= LIMB_MASK;
    t[33] += t[32] >> 13u; t[32] &= LIMB_MASK;
    t[34] += t[33] >> 13u; t[33] &= LIMB_MASK;
    t[35] += t[34] >> 13u; t[34] &= LIMB_MASK;
    t[36] += t[35] >> 13u; t[35] &= LIMB_MASK;
    t[37] += t[36] >> 13u; t[36] &= LIMB_MASK;
    t[38] += t[37] >> 13u; t[37] &= LIMB_MASK;
    let top = t[38] >> 13u;
    t[38] &= LIMB_MASK;
    // Fold: every limb h at 20 + i adds 7440 h, h and 1024 h at i, i + 1 and i + 2.
    t[0] += 7440u * t[20];
    t[1] += 7440u * t[21] + t[20];
    t[2] += 7440u * t[22] + t[21] + (t[20] << 10u);
    t[3] += 7440u * t[23] + t[22] + (t[21] << 10u);
    t[4] += 7440u * t[24] + t[23] + (t[22] << 10u);
    t[5] += 7440u * t[25] + t[24] + (t[23] << 10u);
    t[6] += 7440u * t[26] + t[25] + (t[24] << 10u);
    t[7] += 7440u * t[27] + t[26] + (t[25] << 10u);
    t[8] += 7440u * t[28] + t[27] + (t[26] << 10u);
    t[9] += 7440u * t[29] + t[28] + (t[27] << 10u);
    t[10] += 7440u * t[30] + t[29] + (t[28] << 10u);
    t[11] += 7440u * t[31] + t[30] + (t[29] << 10u);
    t[12] += 7440u * t[32] + t[31] + (t[30] << 10u);
    t[13] += 7440u * t[33] + t[32] + (t[31] << 10u);
    t[14] += 7440u * t[34] + t[33] + (t[32] << 10u);
    t[15] += 7440u * t[35] + t[34] + (t[33] << 10u);
    t[16] += 7440u * t[36] + t[35] + (t[34] << 10u);
    t[17] += 7440u * t[37] + t[36] + (t[35] << 10u);
    t[18] += 7440u * t[38] + t[37] + (t[36] << 10u);
    t[19] += 7440u * top + t[38] + (t[37] << 10u);
    let f20 = top + (t[38] << 10u);
    let f21 = top << 10u;
    t[1] += t[0] >> 13u; t[0] &= LIMB_MASK;
    t[2] += t[1] >> 13u; t[1] &= LIMB_MASK;
    t[3] += t[2] >> 13u; t[2] &= LIMB_MASK;
    t[4] += t[3] >> 13u; t[3] &= LIMB_MASK;
    t[5] += t[4] >> 13u; t[4] &= LIMB_MASK;
    t[6] += t[5] >> 13u; t[5] &= LIMB_MASK;
    t[7] += t[6] >> 13u; t[6] &= LIMB_MASK;
    t[8] += t[7] >> 13u; t[7] &= LIMB_MASK;
    t[9] += t[8] >> 13u; t[8] &= LIMB_MASK;
    t[10] += t[9] >> 13u; t[9] &= LIMB_MASK;
    t[11] += t[10] >> 13u; t[10] &= LIMB_MASK;
    t[12] += t[11] >> 13u; t[11] &= LIMB_MASK;
    t[13] += t[12] >> 13u; t[12] &= LIMB_MASK;
    t[14] += t[13] >> 13u; t[13] &= LIMB_MASK;
    t[15] += t[14] >> 13u; t[14] &= LIMB_MASK;
    t[16] += t[15] >> 13u; t[15] &= LIMB_MASK;
    t[17] += t[16] >> 13u; t[16] &= LIMB_MASK;
    t[18] += t[17] >> 13u; t[17] &= LIMB_MASK;
    t[19] += t[18] >> 13u; t[18] &= LIMB_MASK;
    // What is left above 2^260 is below 2^40: fold it once more and carry until nothing large is left.
    let e20 = f20 + (t[19] >> 13u);
    t[19] &= LIMB_MASK;
    let e21 = f21 + (e20 >> 13u);
    let h0 = e20 & LIMB_MASK;
    let h1 = e21 & LIMB_MASK;
    let h2 = e21 >> 13u;
    t[0] += 7440u * h0;
    t[1] += 7440u * h1 + h0;
    t[2] += 7440u * h2 + h1 + (h0 << 10u);
    t[3] += h2 + (h1 << 10u);
    t[4] += h2 << 10u;
    t[1] += t[0] >> 13u; t[0] &= LIMB_MASK;
    t[2] += t[1] >> 13u; t[1] &= LIMB_MASK;
    t[3] += t[2] >> 13u; t[2] &= LIMB_MASK;
    t[4] += t[3] >> 13u; t[3] &= LIMB_MASK;
    t[5] += t[4] >> 13u; t[4] &= LIMB_MASK;
    t[6] += t[5] >> 13u; t[5] &= LIMB_MASK;
    return Fe(
        t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9],
        t[10], t[11], t[12], t[13], t[14], t[15], t[16], t[17], t[18], t[19]);
}

fn fe_mul(a: Fe, b: Fe) -> Fe {
    return fe_reduce(limb_mul(a, b));
}

fn fe_sqr(a: Fe) -> Fe {
    return fe_reduce(limb_sqr(a));
}

// The number in [0, p) as words, least significant first.
fn fe_to_words(a: Fe) -> Words {
    var v = a;
    // Fold what is above 2^256 (2^32 + 977 each); then v < 2^256 + 2^38.
    let top = v[19] >> 9u;
    v[19] &= 511u;
    v[0] += top * 977u;
    v[2] += top << 6u;
    v[1] += v[0] >> 13u; v[0] &= LIMB_MASK;
    v[2] += v[1] >> 13u; v[1] &= LIMB_MASK;
    v[3] += v[2] >> 13u; v[2] &= LIMB_MASK;
    v[4] += v[3] >> 13u; v[3] &= LIMB_MASK;
    v[5] += v[4] >> 13u; v[4] &= LIMB_MASK;
    v[6] += v[5] >> 13u; v[5] &= LIMB_MASK;
    v[7] += v[6] >> 13u; v[6] &= LIMB_MASK;
    v[8] += v[7] >> 13u; v[7] &= LIMB_MASK;
    v[9] += v[8] >> 13u; v[8] &= LIMB_MASK;
    v[10] += v[9] >> 13u; v[9] &= LIMB_MASK;
    v[11] += v[10] >> 13u; v[10] &= LIMB_MASK;
    v[12] += v[11] >> 13u; v[11] &= LIMB_MASK;
    v[13] += v[12] >> 13u; v[12] &= LIMB_MASK;
    v[14] += v[13] >> 13u; v[13] &= LIMB_MASK;
    v[15] += v[14] >> 13u; v[14] &= LIMB_MASK;
    v[16] += v[15] >> 13u; v[15] &= LIMB_MASK;
    v[17] += v[16] >> 13u; v[16] &= LIMB_MASK;
    v[18] += v[17] >> 13u; v[17] &= LIMB_MASK;
    v[19] += v[18] >> 13u; v[18] &= LIMB_MASK;
    // w = v - p + 2^256: reaches 2^256 exactly when v >= p.
    var w = v;
    w[0] += 977u;
    w[2] += 64u;
    w[1] += w[0] >> 13u; w[0] &= LIMB_MASK;
    w[2] += w[1] >> 13u; w[1] &= LIMB_MASK;
    w[3] += w[2] >> 13u; w[2] &= LIMB_MASK;
    w[4] += w[3] >> 13u; w[3] &= LIMB_MASK;
    w[5] += w[4] >> 13u; w[4] &= LIMB_MASK;
    w[6] += w[5] >> 13u; w[5] &= LIMB_MASK;
    w[7] += w[6] >> 13u; w[6] &= LIMB_MASK;
    w[8] += w[7] >> 13u; w[7] &= LIMB_MASK;
    w[9] += w[8] >> 13u; w[8] &= LIMB_MASK;
    w[10] += w[9] >> 13u; w[9] &= LIMB_MASK;
    w[11] += w[10] >> 13u; w[10] &= LIMB_MASK;
    w[12] += w[11] >> 13u; w[11] &= LIMB_MASK;
    w[13] += w[12] >> 13u; w[12] &= LIMB_MASK;
    w[14] += w[13] >> 13u; w[13] &= LIMB_MASK;
    w[15] += w[14] >> 13u; w[14] &= LIMB_MASK;
    w[16] += w[15] >> 13u; w[15] &= LIMB_MASK;
    w[17] += w[16] >> 13u; w[16] &= LIMB_MASK;
    w[18] += w[17] >> 13u; w[17] &= LIMB_MASK;
    w[19] += w[18] >> 13u; w[18] &= LIMB_MASK;
    let over = w[19] >= 512u;
    w[19] &= 511u;
    return limb_to_words(Fe(
        select(v[0], w[0], over), select(v[1], w[1], over), select(v[2], w[2], over),
        select(v[3], w[3], over), select(v[4], w[4], over), select(v[5], w[5], over),
        select(v[6], w[6], over), select(v[7], w[7], over), select(v[8], w[8], over),
        select(v[9], w[9], over), select(v[10], w[10], over), select(v[11], w[11], over),
        select(v[12], w[12], over), select(v[13], w[13], over), select(v[14], w[14], over),
        select(v[15], w[15], over), select(v[16], w[16], over), select(v[17], w[17], over),
        select(v[18], w[18], over), select(v[19], w[19], over)));
}

fn fe_from_words(w: Words) -> Fe {
    return limb_from_words(w);
}

// a ^ e by a generated addition chain (host: tables.rs). A step is: square `n` times (bits 0..7), multiply by slot `m`
// (bits 8..11: 0 nothing, 1 the value before the squarings, 2.. a saved value), save the result in slot `s` (bits 12..15).
// invert: e = p - 2, and 0 gives 0. Otherwise e = (p + 1) / 4: the square root where there is one.
fn fe_chain(a: Fe, invert: bool) -> Fe {
    var x = a;
    var s3 = a;
    var s4 = a;
    var s5 = a;
    var s6 = a;
    let steps = select(FE_SQRT_STEPS, FE_INV_STEPS, invert);
    for (var i = 0u; i < steps; i++) {
        var step = FE_INV_CHAIN[i];
        if (!invert) {
            step = FE_SQRT_CHAIN[i];
        }
        var m = x;
        for (var k = step & 255u; k > 0u; k--) {
            x = fe_sqr(x);
        }
        switch (step >> 8u) & 15u {
            case 2u: { m = a; }
            case 3u: { m = s3; }
            case 4u: { m = s4; }
            case 5u: { m = s5; }
            case 6u: { m = s6; }
            default: {}
        }
        if ((step & 0xf00u) != 0u) {
            x = fe_mul(x, m);
        }
        switch step >> 12u {
            case 3u: { s3 = x; }
            case 4u: { s4 = x; }
            case 5u: { s5 = x; }
            case 6u: { s6 = x; }
            default: {}
        }
    }
    return x;
}
