// The 64-bit variant of fe_u32.wgsl: integers mod p in 9 limbs of 29 bits.
//
// Weak limbs are < 2^29 + 2^21, wide ones < 1.35 * 10^9. Folding uses 2^261 = 2^37 + 31264 (mod p), that is limbs 31264, 256.
// A multiplication is 81 widening multiplies and 20 for folding, a squaring 45 and 20.

alias Fe = Limbs;

// Weak form of a sum. In: limbs < 2^32. Out: limbs < 2^29 + 2^18.
// One parallel carry step; the carry out of limb 8 (<= 7) is folded.
fn fe_carry(a: Fe) -> Fe {
    let top = a[8] >> 29u;
    return Fe(
        (a[0] & LIMB_MASK) + top * 31264u,
        (a[1] & LIMB_MASK) + (a[0] >> 29u) + (top << 8u),
        (a[2] & LIMB_MASK) + (a[1] >> 29u),
        (a[3] & LIMB_MASK) + (a[2] >> 29u),
        (a[4] & LIMB_MASK) + (a[3] >> 29u),
        (a[5] & LIMB_MASK) + (a[4] >> 29u),
        (a[6] & LIMB_MASK) + (a[5] >> 29u),
        (a[7] & LIMB_MASK) + (a[6] >> 29u),
        (a[8] & LIMB_MASK) + (a[7] >> 29u));
}

fn fe_add(a: Fe, b: Fe) -> Fe {
    return fe_carry(Fe(
        a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4],
        a[5] + b[5], a[6] + b[6], a[7] + b[7], a[8] + b[8]));
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
        a[8] + kb * (FE_MULTIPLE_8 - b[8]) + kc * (FE_MULTIPLE_8 - c[8])));
}

// a or -a.
fn fe_neg_if(negate: bool, a: Fe) -> Fe {
    let n = fe_lin(Fe(), 1u, a, 0u, a);
    return Fe(
        select(a[0], n[0], negate), select(a[1], n[1], negate), select(a[2], n[2], negate),
        select(a[3], n[3], negate), select(a[4], n[4], negate), select(a[5], n[5], negate),
        select(a[6], n[6], negate), select(a[7], n[7], negate), select(a[8], n[8], negate));
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
    return Fe(
        (v0 >> 1u) + ((v1 & 1u) << 28u),
        (v1 >> 1u) + ((v2 & 1u) << 28u),
        (v2 >> 1u) + ((v3 & 1u) << 28u),
        (v3 >> 1u) + ((v4 & 1u) << 28u),
        (v4 >> 1u) + ((v5 & 1u) << 28u),
        (v5 >> 1u) + ((v6 & 1u) << 28u),
        (v6 >> 1u) + ((v7 & 1u) << 28u),
        (v7 >> 1u) + ((v8 & 1u) << 28u),
        v8 >> 1u);
}

// Weak form of raw product columns. In: columns < 2^64 - 2^49, value < 7 * 2^522. Out: limbs < 2^29 + 2^21.
fn fe_reduce(columns: Columns) -> Fe {
    let mask = u64(LIMB_MASK);
    // Columns 9 and up become limbs; h0..h8 are then the multiple of 2^261, all but h8 below 2^29.
    let c10 = columns[10] + (columns[9] >> 29u);
    let c11 = columns[11] + (c10 >> 29u);
    let c12 = columns[12] + (c11 >> 29u);
    let c13 = columns[13] + (c12 >> 29u);
    let c14 = columns[14] + (c13 >> 29u);
    let c15 = columns[15] + (c14 >> 29u);
    let c16 = columns[16] + (c15 >> 29u);
    let h0 = u64(u32(columns[9]) & LIMB_MASK);
    let h1 = u64(u32(c10) & LIMB_MASK);
    let h2 = u64(u32(c11) & LIMB_MASK);
    let h3 = u64(u32(c12) & LIMB_MASK);
    let h4 = u64(u32(c13) & LIMB_MASK);
    let h5 = u64(u32(c14) & LIMB_MASK);
    let h6 = u64(u32(c15) & LIMB_MASK);
    let h7 = u64(u32(c16) & LIMB_MASK);
    let h8 = u64(u32(c16 >> 29u));
    // Fold: every limb h at 9 + i adds 31264 h and 256 h at i and i + 1.
    let t0 = columns[0] + h0 * 31264lu;
    let t1 = columns[1] + (t0 >> 29u) + h1 * 31264lu + (h0 << 8u);
    let t2 = columns[2] + (t1 >> 29u) + h2 * 31264lu + (h1 << 8u);
    let t3 = columns[3] + (t2 >> 29u) + h3 * 31264lu + (h2 << 8u);
    let t4 = columns[4] + (t3 >> 29u) + h4 * 31264lu + (h3 << 8u);
    let t5 = columns[5] + (t4 >> 29u) + h5 * 31264lu + (h4 << 8u);
    let t6 = columns[6] + (t5 >> 29u) + h6 * 31264lu + (h5 << 8u);
    let t7 = columns[7] + (t6 >> 29u) + h7 * 31264lu + (h6 << 8u);
    let t8 = columns[8] + (t7 >> 29u) + h8 * 31264lu + (h7 << 8u);
    // What is left above 2^261 is below 2^41: fold it once more and carry until nothing large is left.
    let e = (t8 >> 29u) + (h8 << 8u);
    let e0 = u64(u32(e) & LIMB_MASK);
    let e1 = u64(u32(e >> 29u));
    let r0 = (t0 & mask) + e0 * 31264lu;
    let r1 = (t1 & mask) + (r0 >> 29u) + e1 * 31264lu + (e0 << 8u);
    let r2 = (t2 & mask) + (r1 >> 29u) + (e1 << 8u);
    return Fe(
        u32(r0) & LIMB_MASK, u32(r1) & LIMB_MASK, u32(r2), u32(t3) & LIMB_MASK, u32(t4) & LIMB_MASK,
        u32(t5) & LIMB_MASK, u32(t6) & LIMB_MASK, u32(t7) & LIMB_MASK, u32(t8) & LIMB_MASK);
}

// a * b - c * d, reduced once. In: a wide.
fn fe_mul_sub(a: Fe, b: Fe, c: Fe, d: Fe) -> Fe {
    let t = limb_mul(a, b);
    let u = limb_mul(Fe(
        FE_MULTIPLE_0 - c[0], FE_MULTIPLE_1 - c[1], FE_MULTIPLE_2 - c[2], FE_MULTIPLE_3 - c[3], FE_MULTIPLE_4 - c[4],
        FE_MULTIPLE_5 - c[5], FE_MULTIPLE_6 - c[6], FE_MULTIPLE_7 - c[7], FE_MULTIPLE_8 - c[8]), d);
    return fe_reduce(Columns(
        t[0] + u[0], t[1] + u[1], t[2] + u[2], t[3] + u[3], t[4] + u[4], t[5] + u[5],
        t[6] + u[6], t[7] + u[7], t[8] + u[8], t[9] + u[9], t[10] + u[10], t[11] + u[11],
        t[12] + u[12], t[13] + u[13], t[14] + u[14], t[15] + u[15], t[16] + u[16]));
}

// a * b - c * c, reduced once. In: a wide.
fn fe_mul_sub_sqr(a: Fe, b: Fe, c: Fe) -> Fe {
    return fe_mul_sub(a, b, c, c);
}

// The number in [0, p) as words, least significant first.
fn fe_to_words(a: Fe) -> Words {
    var v = a;
    // Fold what is above 2^256 (2^32 + 977 each); then v < 2 p.
    let top = v[8] >> 24u;
    v[8] &= 0xffffffu;
    v[0] += top * 977u;
    v[1] += top << 3u;
    v[1] += v[0] >> 29u; v[0] &= LIMB_MASK;
    v[2] += v[1] >> 29u; v[1] &= LIMB_MASK;
    v[3] += v[2] >> 29u; v[2] &= LIMB_MASK;
    v[4] += v[3] >> 29u; v[3] &= LIMB_MASK;
    v[5] += v[4] >> 29u; v[4] &= LIMB_MASK;
    v[6] += v[5] >> 29u; v[5] &= LIMB_MASK;
    v[7] += v[6] >> 29u; v[6] &= LIMB_MASK;
    v[8] += v[7] >> 29u; v[7] &= LIMB_MASK;
    // w = v - p + 2^256: reaches 2^256 exactly when v >= p.
    var w = v;
    w[0] += 977u;
    w[1] += 8u;
    w[1] += w[0] >> 29u; w[0] &= LIMB_MASK;
    w[2] += w[1] >> 29u; w[1] &= LIMB_MASK;
    w[3] += w[2] >> 29u; w[2] &= LIMB_MASK;
    w[4] += w[3] >> 29u; w[3] &= LIMB_MASK;
    w[5] += w[4] >> 29u; w[4] &= LIMB_MASK;
    w[6] += w[5] >> 29u; w[5] &= LIMB_MASK;
    w[7] += w[6] >> 29u; w[6] &= LIMB_MASK;
    w[8] += w[7] >> 29u; w[7] &= LIMB_MASK;
    let over = w[8] >= 0x1000000u;
    w[8] &= 0xffffffu;
    return limb_to_words(Fe(
        select(v[0], w[0], over), select(v[1], w[1], over), select(v[2], w[2], over),
        select(v[3], w[3], over), select(v[4], w[4], over), select(v[5], w[5], over),
        select(v[6], w[6], over), select(v[7], w[7], over), select(v[8], w[8], over)));
}
