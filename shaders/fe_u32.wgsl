// The portable variant of fe_u64.wgsl: integers mod p in 20 limbs of 13 bits.
//
// Weak limbs are <= 8287, wide ones <= 14650. Folding uses 2^260 = 2^36 + 15632 (mod p), that is limbs 7440, 1, 1024.
// A multiplication is 400 multiplies and 23 for folding, a squaring 210 and 23.

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

// a - kb * b - kc * c. In: kb + kc <= 3. No limb of FE_MULTIPLE is below a weak one, so no difference is negative.
fn fe_lin(a: Fe, kb: u32, b: Fe, kc: u32, c: Fe) -> Fe {
    return fe_carry(Fe(
        a[0] + kb * (FE_MULTIPLE_0 - b[0]) + kc * (FE_MULTIPLE_0 - c[0]),
        a[1] + kb * (FE_MULTIPLE_1 - b[1]) + kc * (FE_MULTIPLE_1 - c[1]),
        a[2] + kb * (FE_MULTIPLE_2 - b[2]) + kc * (FE_MULTIPLE_2 - c[2]),
        a[3] + kb * (FE_MULTIPLE_3 - b[3]) + kc * (FE_MULTIPLE_3 - c[3]),
        a[4] + kb * (FE_MULTIPLE_4 - b[4]) + kc * (FE_MULTIPLE_4 - c[4]),
        a[5] + kb * (FE_MULTIPLE_5 - b[5]) + kc * (FE_MULTIPLE_5 - c[5]),
        a[6] + kb * (FE_MULTIPLE_6 - b[6]) + kc * (FE_MULTIPLE_6 - c[6]),
        a[7] + kb * (FE_MULTIPLE_7 - b[7]) + kc * (FE_MULTIPLE_7 - c[7]),
        a[8] + kb * (FE_MULTIPLE_8 - b[8]) + kc * (FE_MULTIPLE_8 - c[8]),
        a[9] + kb * (FE_MULTIPLE_9 - b[9]) + kc * (FE_MULTIPLE_9 - c[9]),
        a[10] + kb * (FE_MULTIPLE_10 - b[10]) + kc * (FE_MULTIPLE_10 - c[10]),
        a[11] + kb * (FE_MULTIPLE_11 - b[11]) + kc * (FE_MULTIPLE_11 - c[11]),
        a[12] + kb * (FE_MULTIPLE_12 - b[12]) + kc * (FE_MULTIPLE_12 - c[12]),
        a[13] + kb * (FE_MULTIPLE_13 - b[13]) + kc * (FE_MULTIPLE_13 - c[13]),
        a[14] + kb * (FE_MULTIPLE_14 - b[14]) + kc * (FE_MULTIPLE_14 - c[14]),
        a[15] + kb * (FE_MULTIPLE_15 - b[15]) + kc * (FE_MULTIPLE_15 - c[15]),
        a[16] + kb * (FE_MULTIPLE_16 - b[16]) + kc * (FE_MULTIPLE_16 - c[16]),
        a[17] + kb * (FE_MULTIPLE_17 - b[17]) + kc * (FE_MULTIPLE_17 - c[17]),
        a[18] + kb * (FE_MULTIPLE_18 - b[18]) + kc * (FE_MULTIPLE_18 - c[18]),
        a[19] + kb * (FE_MULTIPLE_19 - b[19]) + kc * (FE_MULTIPLE_19 - c[19])));
}

// a or -a.
fn fe_neg_if(negate: bool, a: Fe) -> Fe {
    let n = fe_lin(Fe(), 1u, a, 0u, a);
    return Fe(
        select(a[0], n[0], negate), select(a[1], n[1], negate), select(a[2], n[2], negate),
        select(a[3], n[3], negate), select(a[4], n[4], negate), select(a[5], n[5], negate),
        select(a[6], n[6], negate), select(a[7], n[7], negate), select(a[8], n[8], negate),
        select(a[9], n[9], negate), select(a[10], n[10], negate), select(a[11], n[11], negate),
        select(a[12], n[12], negate), select(a[13], n[13], negate), select(a[14], n[14], negate),
        select(a[15], n[15], negate), select(a[16], n[16], negate), select(a[17], n[17], negate),
        select(a[18], n[18], negate), select(a[19], n[19], negate));
}

// 3 a / 2, wide. 3 a is made even by adding p, whose limbs are FE_P.
fn fe_three_halves(a: Fe) -> Fe {
    let odd = 0u - (a[0] & 1u);
    let v0 = 3u * a[0] + (FE_P_0 & odd);
    let v1 = 3u * a[1] + (FE_P_1 & odd);
    let v2 = 3u * a[2] + (FE_P_2 & odd);
    let v3 = 3u * a[3] + (FE_P_3 & odd);
    let v4 = 3u * a[4] + (FE_P_4 & odd);
    let v5 = 3u * a[5] + (FE_P_5 & odd);
    let v6 = 3u * a[6] + (FE_P_6 & odd);
    let v7 = 3u * a[7] + (FE_P_7 & odd);
    let v8 = 3u * a[8] + (FE_P_8 & odd);
    let v9 = 3u * a[9] + (FE_P_9 & odd);
    let v10 = 3u * a[10] + (FE_P_10 & odd);
    let v11 = 3u * a[11] + (FE_P_11 & odd);
    let v12 = 3u * a[12] + (FE_P_12 & odd);
    let v13 = 3u * a[13] + (FE_P_13 & odd);
    let v14 = 3u * a[14] + (FE_P_14 & odd);
    let v15 = 3u * a[15] + (FE_P_15 & odd);
    let v16 = 3u * a[16] + (FE_P_16 & odd);
    let v17 = 3u * a[17] + (FE_P_17 & odd);
    let v18 = 3u * a[18] + (FE_P_18 & odd);
    let v19 = 3u * a[19] + (FE_P_19 & odd);
    return fe_carry(Fe(
        (v0 >> 1u) + ((v1 & 1u) << 12u),
        (v1 >> 1u) + ((v2 & 1u) << 12u),
        (v2 >> 1u) + ((v3 & 1u) << 12u),
        (v3 >> 1u) + ((v4 & 1u) << 12u),
        (v4 >> 1u) + ((v5 & 1u) << 12u),
        (v5 >> 1u) + ((v6 & 1u) << 12u),
        (v6 >> 1u) + ((v7 & 1u) << 12u),
        (v7 >> 1u) + ((v8 & 1u) << 12u),
        (v8 >> 1u) + ((v9 & 1u) << 12u),
        (v9 >> 1u) + ((v10 & 1u) << 12u),
        (v10 >> 1u) + ((v11 & 1u) << 12u),
        (v11 >> 1u) + ((v12 & 1u) << 12u),
        (v12 >> 1u) + ((v13 & 1u) << 12u),
        (v13 >> 1u) + ((v14 & 1u) << 12u),
        (v14 >> 1u) + ((v15 & 1u) << 12u),
        (v15 >> 1u) + ((v16 & 1u) << 12u),
        (v16 >> 1u) + ((v17 & 1u) << 12u),
        (v17 >> 1u) + ((v18 & 1u) << 12u),
        (v18 >> 1u) + ((v19 & 1u) << 12u),
        v19 >> 1u));
}

// Weak form of raw product columns. In: columns <= 2^32 - 2^27, value < 4 * 2^520. Out: limbs <= 8192.
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

// a * b - c * d. Two reductions: the raw columns of both products at once are more than the registers hold.
fn fe_mul_sub(a: Fe, b: Fe, c: Fe, d: Fe) -> Fe {
    return fe_sub(fe_mul(a, b), fe_mul(c, d));
}

// a * b - c * c.
fn fe_mul_sub_sqr(a: Fe, b: Fe, c: Fe) -> Fe {
    return fe_sub(fe_mul(a, b), fe_sqr(c));
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
