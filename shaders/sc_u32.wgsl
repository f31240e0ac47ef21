// The portable variant of sc_u64.wgsl: integers mod n in 20 limbs of 13 bits; Montgomery's factor is 2^260.

alias Sc = Limbs;

// a * b / 2^260 mod n, loose. In: loose. A column holds at most 20 + 20 products of 26 bits and a carry: < 2^32.
fn sc_mul(a: Sc, b: Sc) -> Sc {
    let t = limb_mul(a, b);
    // Low columns: choose q so that each one becomes a multiple of 2^13.
    let a0 = t[0];
    let q0 = (a0 * SC_N0INV) & LIMB_MASK;
    let c0 = (a0 + q0*SC_N_0) >> 13u;
    let a1 = t[1] + c0 + q0*SC_N_1;
    let q1 = (a1 * SC_N0INV) & LIMB_MASK;
    let c1 = (a1 + q1*SC_N_0) >> 13u;
    let a2 = t[2] + c1 + q0*SC_N_2 + q1*SC_N_1;
    let q2 = (a2 * SC_N0INV) & LIMB_MASK;
    let c2 = (a2 + q2*SC_N_0) >> 13u;
    let a3 = t[3] + c2 + q0*SC_N_3 + q1*SC_N_2 + q2*SC_N_1;
    let q3 = (a3 * SC_N0INV) & LIMB_MASK;
    let c3 = (a3 + q3*SC_N_0) >> 13u;
    let a4 = t[4] + c3 + q0*SC_N_4 + q1*SC_N_3 + q2*SC_N_2 + q3*SC_N_1;
    let q4 = (a4 * SC_N0INV) & LIMB_MASK;
    let c4 = (a4 + q4*SC_N_0) >> 13u;
    let a5 = t[5] + c4 + q0*SC_N_5 + q1*SC_N_4 + q2*SC_N_3 + q3*SC_N_2 + q4*SC_N_1;
    let q5 = (a5 * SC_N0INV) & LIMB_MASK;
    let c5 = (a5 + q5*SC_N_0) >> 13u;
    let a6 = t[6] + c5 + q0*SC_N_6 + q1*SC_N_5 + q2*SC_N_4 + q3*SC_N_3 + q4*SC_N_2 + q5*SC_N_1;
    let q6 = (a6 * SC_N0INV) & LIMB_MASK;
    let c6 = (a6 + q6*SC_N_0) >> 13u;
    let a7 = t[7] + c6 + q0*SC_N_7 + q1*SC_N_6 + q2*SC_N_5 + q3*SC_N_4 + q4*SC_N_3 + q5*SC_N_2 + q6*SC_N_1;
    let q7 = (a7 * SC_N0INV) & LIMB_MASK;
    let c7 = (a7 + q7*SC_N_0) >> 13u;
    let a8 = t[8] + c7 + q0*SC_N_8 + q1*SC_N_7 + q2*SC_N_6 + q3*SC_N_5 + q4*SC_N_4 + q5*SC_N_3 + q6*SC_N_2 + q7*SC_N_1;
    let q8 = (a8 * SC_N0INV) & LIMB_MASK;
    let c8 = (a8 + q8*SC_N_0) >> 13u;
    let a9 = t[9] + c8 + q0*SC_N_9 + q1*SC_N_8 + q2*SC_N_7 + q3*SC_N_6 + q4*SC_N_5 + q5*SC_N_4 + q6*SC_N_3 + q7*SC_N_2 + q8*SC_N_1;
    let q9 = (a9 * SC_N0INV) & LIMB_MASK;
    let c9 = (a9 + q9*SC_N_0) >> 13u;
    let a10 = t[10] + c9 + q0*SC_N_10 + q1*SC_N_9 + q2*SC_N_8 + q3*SC_N_7 + q4*SC_N_6 + q5*SC_N_5 + q6*SC_N_4 + q7*SC_N_3
        + q8*SC_N_2 + q9*SC_N_1;
    let q10 = (a10 * SC_N0INV) & LIMB_MASK;
    let c10 = (a10 + q10*SC_N_0) >> 13u;
    let a11 = t[11] + c10 + q0*SC_N_11 + q1*SC_N_10 + q2*SC_N_9 + q3*SC_N_8 + q4*SC_N_7 + q5*SC_N_6 + q6*SC_N_5 + q7*SC_N_4
        + q8*SC_N_3 + q9*SC_N_2 + q10*SC_N_1;
    let q11 = (a11 * SC_N0INV) & LIMB_MASK;
    let c11 = (a11 + q11*SC_N_0) >> 13u;
    let a12 = t[12] + c11 + q0*SC_N_12 + q1*SC_N_11 + q2*SC_N_10 + q3*SC_N_9 + q4*SC_N_8 + q5*SC_N_7 + q6*SC_N_6 + q7*SC_N_5
        + q8*SC_N_4 + q9*SC_N_3 + q10*SC_N_2 + q11*SC_N_1;
    let q12 = (a12 * SC_N0INV) & LIMB_MASK;
    let c12 = (a12 + q12*SC_N_0) >> 13u;
    let a13 = t[13] + c12 + q0*SC_N_13 + q1*SC_N_12 + q2*SC_N_11 + q3*SC_N_10 + q4*SC_N_9 + q5*SC_N_8 + q6*SC_N_7 + q7*SC_N_6
        + q8*SC_N_5 + q9*SC_N_4 + q10*SC_N_3 + q11*SC_N_2 + q12*SC_N_1;
    let q13 = (a13 * SC_N0INV) & LIMB_MASK;
    let c13 = (a13 + q13*SC_N_0) >> 13u;
    let a14 = t[14] + c13 + q0*SC_N_14 + q1*SC_N_13 + q2*SC_N_12 + q3*SC_N_11 + q4*SC_N_10 + q5*SC_N_9 + q6*SC_N_8 + q7*SC_N_7
        + q8*SC_N_6 + q9*SC_N_5 + q10*SC_N_4 + q11*SC_N_3 + q12*SC_N_2 + q13*SC_N_1;
    let q14 = (a14 * SC_N0INV) & LIMB_MASK;
    let c14 = (a14 + q14*SC_N_0) >> 13u;
    let a15 = t[15] + c14 + q0*SC_N_15 + q1*SC_N_14 + q2*SC_N_13 + q3*SC_N_12 + q4*SC_N_11 + q5*SC_N_10 + q6*SC_N_9 + q7*SC_N_8
        + q8*SC_N_7 + q9*SC_N_6 + q10*SC_N_5 + q11*SC_N_4 + q12*SC_N_3 + q13*SC_N_2 + q14*SC_N_1;
    let q15 = (a15 * SC_N0INV) & LIMB_MASK;
    let c15 = (a15 + q15*SC_N_0) >> 13u;
    let a16 = t[16] + c15 + q0*SC_N_16 + q1*SC_N_15 + q2*SC_N_14 + q3*SC_N_13 + q4*SC_N_12 + q5*SC_N_11 + q6*SC_N_10 + q7*SC_N_9
        + q8*SC_N_8 + q9*SC_N_7 + q10*SC_N_6 + q11*SC_N_5 + q12*SC_N_4 + q13*SC_N_3 + q14*SC_N_2 + q15*SC_N_1;
    let q16 = (a16 * SC_N0INV) & LIMB_MASK;
    let c16 = (a16 + q16*SC_N_0) >> 13u;
    let a17 = t[17] + c16 + q0*SC_N_17 + q1*SC_N_16 + q2*SC_N_15 + q3*SC_N_14 + q4*SC_N_13 + q5*SC_N_12 + q6*SC_N_11 + q7*SC_N_10
        + q8*SC_N_9 + q9*SC_N_8 + q10*SC_N_7 + q11*SC_N_6 + q12*SC_N_5 + q13*SC_N_4 + q14*SC_N_3 + q15*SC_N_2 + q16*SC_N_1;
    let q17 = (a17 * SC_N0INV) & LIMB_MASK;
    let c17 = (a17 + q17*SC_N_0) >> 13u;
    let a18 = t[18] + c17 + q0*SC_N_18 + q1*SC_N_17 + q2*SC_N_16 + q3*SC_N_15 + q4*SC_N_14 + q5*SC_N_13 + q6*SC_N_12 + q7*SC_N_11
        + q8*SC_N_10 + q9*SC_N_9 + q10*SC_N_8 + q11*SC_N_7 + q12*SC_N_6 + q13*SC_N_5 + q14*SC_N_4 + q15*SC_N_3 + q16*SC_N_2
        + q17*SC_N_1;
    let q18 = (a18 * SC_N0INV) & LIMB_MASK;
    let c18 = (a18 + q18*SC_N_0) >> 13u;
    let a19 = t[19] + c18 + q0*SC_N_19 + q1*SC_N_18 + q2*SC_N_17 + q3*SC_N_16 + q4*SC_N_15 + q5*SC_N_14 + q6*SC_N_13 + q7*SC_N_12
        + q8*SC_N_11 + q9*SC_N_10 + q10*SC_N_9 + q11*SC_N_8 + q12*SC_N_7 + q13*SC_N_6 + q14*SC_N_5 + q15*SC_N_4 + q16*SC_N_3
        + q17*SC_N_2 + q18*SC_N_1;
    let q19 = (a19 * SC_N0INV) & LIMB_MASK;
    let c19 = (a19 + q19*SC_N_0) >> 13u;
    // High columns: the result.
    let a20 = t[20] + c19 + q1*SC_N_19 + q2*SC_N_18 + q3*SC_N_17 + q4*SC_N_16 + q5*SC_N_15 + q6*SC_N_14 + q7*SC_N_13 + q8*SC_N_12
        + q9*SC_N_11 + q10*SC_N_10 + q11*SC_N_9 + q12*SC_N_8 + q13*SC_N_7 + q14*SC_N_6 + q15*SC_N_5 + q16*SC_N_4 + q17*SC_N_3
        + q18*SC_N_2 + q19*SC_N_1;
    let a21 = t[21] + (a20 >> 13u) + q2*SC_N_19 + q3*SC_N_18 + q4*SC_N_17 + q5*SC_N_16 + q6*SC_N_15 + q7*SC_N_14 + q8*SC_N_13
        + q9*SC_N_12 + q10*SC_N_11 + q11*SC_N_10 + q12*SC_N_9 + q13*SC_N_8 + q14*SC_N_7 + q15*SC_N_6 + q16*SC_N_5 + q17*SC_N_4
        + q18*SC_N_3 + q19*SC_N_2;
    let a22 = t[22] + (a21 >> 13u) + q3*SC_N_19 + q4*SC_N_18 + q5*SC_N_17 + q6*SC_N_16 + q7*SC_N_15 + q8*SC_N_14 + q9*SC_N_13
        + q10*SC_N_12 + q11*SC_N_11 + q12*SC_N_10 + q13*SC_N_9 + q14*SC_N_8 + q15*SC_N_7 + q16*SC_N_6 + q17*SC_N_5 + q18*SC_N_4
        + q19*SC_N_3;
    let a23 = t[23] + (a22 >> 13u) + q4*SC_N_19 + q5*SC_N_18 + q6*SC_N_17 + q7*SC_N_16 + q8*SC_N_15 + q9*SC_N_14 + q10*SC_N_13
        + q11*SC_N_12 + q12*SC_N_11 + q13*SC_N_10 + q14*SC_N_9 + q15*SC_N_8 + q16*SC_N_7 + q17*SC_N_6 + q18*SC_N_5 + q19*SC_N_4;
    let a24 = t[24] + (a23 >> 13u) + q5*SC_N_19 + q6*SC_N_18 + q7*SC_N_17 + q8*SC_N_16 + q9*SC_N_15 + q10*SC_N_14 + q11*SC_N_13
        + q12*SC_N_12 + q13*SC_N_11 + q14*SC_N_10 + q15*SC_N_9 + q16*SC_N_8 + q17*SC_N_7 + q18*SC_N_6 + q19*SC_N_5;
    let a25 = t[25] + (a24 >> 13u) + q6*SC_N_19 + q7*SC_N_18 + q8*SC_N_17 + q9*SC_N_16 + q10*SC_N_15 + q11*SC_N_14 + q12*SC_N_13
        + q13*SC_N_12 + q14*SC_N_11 + q15*SC_N_10 + q16*SC_N_9 + q17*SC_N_8 + q18*SC_N_7 + q19*SC_N_6;
    let a26 = t[26] + (a25 >> 13u) + q7*SC_N_19 + q8*SC_N_18 + q9*SC_N_17 + q10*SC_N_16 + q11*SC_N_15 + q12*SC_N_14 + q13*SC_N_13
        + q14*SC_N_12 + q15*SC_N_11 + q16*SC_N_10 + q17*SC_N_9 + q18*SC_N_8 + q19*SC_N_7;
    let a27 = t[27] + (a26 >> 13u) + q8*SC_N_19 + q9*SC_N_18 + q10*SC_N_17 + q11*SC_N_16 + q12*SC_N_15 + q13*SC_N_14 + q14*SC_N_13
        + q15*SC_N_12 + q16*SC_N_11 + q17*SC_N_10 + q18*SC_N_9 + q19*SC_N_8;
    let a28 = t[28] + (a27 >> 13u) + q9*SC_N_19 + q10*SC_N_18 + q11*SC_N_17 + q12*SC_N_16 + q13*SC_N_15 + q14*SC_N_14
        + q15*SC_N_13 + q16*SC_N_12 + q17*SC_N_11 + q18*SC_N_10 + q19*SC_N_9;
    let a29 = t[29] + (a28 >> 13u) + q10*SC_N_19 + q11*SC_N_18 + q12*SC_N_17 + q13*SC_N_16 + q14*SC_N_15 + q15*SC_N_14
        + q16*SC_N_13 + q17*SC_N_12 + q18*SC_N_11 + q19*SC_N_10;
    let a30 = t[30] + (a29 >> 13u) + q11*SC_N_19 + q12*SC_N_18 + q13*SC_N_17 + q14*SC_N_16 + q15*SC_N_15 + q16*SC_N_14
        + q17*SC_N_13 + q18*SC_N_12 + q19*SC_N_11;
    let a31 = t[31] + (a30 >> 13u) + q12*SC_N_19 + q13*SC_N_18 + q14*SC_N_17 + q15*SC_N_16 + q16*SC_N_15 + q17*SC_N_14
        + q18*SC_N_13 + q19*SC_N_12;
    let a32 = t[32] + (a31 >> 13u) + q13*SC_N_19 + q14*SC_N_18 + q15*SC_N_17 + q16*SC_N_16 + q17*SC_N_15 + q18*SC_N_14
        + q19*SC_N_13;
    let a33 = t[33] + (a32 >> 13u) + q14*SC_N_19 + q15*SC_N_18 + q16*SC_N_17 + q17*SC_N_16 + q18*SC_N_15 + q19*SC_N_14;
    let a34 = t[34] + (a33 >> 13u) + q15*SC_N_19 + q16*SC_N_18 + q17*SC_N_17 + q18*SC_N_16 + q19*SC_N_15;
    let a35 = t[35] + (a34 >> 13u) + q16*SC_N_19 + q17*SC_N_18 + q18*SC_N_17 + q19*SC_N_16;
    let a36 = t[36] + (a35 >> 13u) + q17*SC_N_19 + q18*SC_N_18 + q19*SC_N_17;
    let a37 = t[37] + (a36 >> 13u) + q18*SC_N_19 + q19*SC_N_18;
    let a38 = t[38] + (a37 >> 13u) + q19*SC_N_19;
    return Sc(
        a20 & LIMB_MASK, a21 & LIMB_MASK, a22 & LIMB_MASK, a23 & LIMB_MASK, a24 & LIMB_MASK,
        a25 & LIMB_MASK, a26 & LIMB_MASK, a27 & LIMB_MASK, a28 & LIMB_MASK, a29 & LIMB_MASK,
        a30 & LIMB_MASK, a31 & LIMB_MASK, a32 & LIMB_MASK, a33 & LIMB_MASK, a34 & LIMB_MASK,
        a35 & LIMB_MASK, a36 & LIMB_MASK, a37 & LIMB_MASK, a38 & LIMB_MASK,
        a38 >> 13u);
}

// The number mod n in [0, n), limbs <= 8191. In: limbs signed (two's complement), |limb| < 2^30, value in [0, 3 n).
fn sc_reduce(a: Sc) -> Sc {
    var v = a;
    v[1] += u32(i32(v[0]) >> 13u); v[0] &= LIMB_MASK;
    v[2] += u32(i32(v[1]) >> 13u); v[1] &= LIMB_MASK;
    v[3] += u32(i32(v[2]) >> 13u); v[2] &= LIMB_MASK;
    v[4] += u32(i32(v[3]) >> 13u); v[3] &= LIMB_MASK;
    v[5] += u32(i32(v[4]) >> 13u); v[4] &= LIMB_MASK;
    v[6] += u32(i32(v[5]) >> 13u); v[5] &= LIMB_MASK;
    v[7] += u32(i32(v[6]) >> 13u); v[6] &= LIMB_MASK;
    v[8] += u32(i32(v[7]) >> 13u); v[7] &= LIMB_MASK;
    v[9] += u32(i32(v[8]) >> 13u); v[8] &= LIMB_MASK;
    v[10] += u32(i32(v[9]) >> 13u); v[9] &= LIMB_MASK;
    v[11] += u32(i32(v[10]) >> 13u); v[10] &= LIMB_MASK;
    v[12] += u32(i32(v[11]) >> 13u); v[11] &= LIMB_MASK;
    v[13] += u32(i32(v[12]) >> 13u); v[12] &= LIMB_MASK;
    v[14] += u32(i32(v[13]) >> 13u); v[13] &= LIMB_MASK;
    v[15] += u32(i32(v[14]) >> 13u); v[14] &= LIMB_MASK;
    v[16] += u32(i32(v[15]) >> 13u); v[15] &= LIMB_MASK;
    v[17] += u32(i32(v[16]) >> 13u); v[16] &= LIMB_MASK;
    v[18] += u32(i32(v[17]) >> 13u); v[17] &= LIMB_MASK;
    v[19] += u32(i32(v[18]) >> 13u); v[18] &= LIMB_MASK;
    for (var i = 0u; i < 2u; i++) {
        var w = v;
        w[0] -= SC_N_0;        w[1] -= SC_N_1;        w[2] -= SC_N_2;        w[3] -= SC_N_3;        w[4] -= SC_N_4;
        w[5] -= SC_N_5;        w[6] -= SC_N_6;        w[7] -= SC_N_7;        w[8] -= SC_N_8;        w[9] -= SC_N_9;
        w[10] -= SC_N_10;        w[11] -= SC_N_11;        w[12] -= SC_N_12;        w[13] -= SC_N_13;        w[14] -= SC_N_14;
        w[15] -= SC_N_15;        w[16] -= SC_N_16;        w[17] -= SC_N_17;        w[18] -= SC_N_18;        w[19] -= SC_N_19;
        w[1] += u32(i32(w[0]) >> 13u); w[0] &= LIMB_MASK;
        w[2] += u32(i32(w[1]) >> 13u); w[1] &= LIMB_MASK;
        w[3] += u32(i32(w[2]) >> 13u); w[2] &= LIMB_MASK;
        w[4] += u32(i32(w[3]) >> 13u); w[3] &= LIMB_MASK;
        w[5] += u32(i32(w[4]) >> 13u); w[4] &= LIMB_MASK;
        w[6] += u32(i32(w[5]) >> 13u); w[5] &= LIMB_MASK;
        w[7] += u32(i32(w[6]) >> 13u); w[6] &= LIMB_MASK;
        w[8] += u32(i32(w[7]) >> 13u); w[7] &= LIMB_MASK;
        w[9] += u32(i32(w[8]) >> 13u); w[8] &= LIMB_MASK;
        w[10] += u32(i32(w[9]) >> 13u); w[9] &= LIMB_MASK;
        w[11] += u32(i32(w[10]) >> 13u); w[10] &= LIMB_MASK;
        w[12] += u32(i32(w[11]) >> 13u); w[11] &= LIMB_MASK;
        w[13] += u32(i32(w[12]) >> 13u); w[12] &= LIMB_MASK;
        w[14] += u32(i32(w[13]) >> 13u); w[13] &= LIMB_MASK;
        w[15] += u32(i32(w[14]) >> 13u); w[14] &= LIMB_MASK;
        w[16] += u32(i32(w[15]) >> 13u); w[15] &= LIMB_MASK;
        w[17] += u32(i32(w[16]) >> 13u); w[16] &= LIMB_MASK;
        w[18] += u32(i32(w[17]) >> 13u); w[17] &= LIMB_MASK;
        w[19] += u32(i32(w[18]) >> 13u); w[18] &= LIMB_MASK;
        if (i32(w[19]) >= 0) {
            v = w;
        }
    }
    return v;
}

// a + b mod n in [0, n). In: a loose below n + 2^254, b in [0, n).
fn sc_add(a: Sc, b: Sc) -> Sc {
    return sc_reduce(Sc(
        a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4],
        a[5] + b[5], a[6] + b[6], a[7] + b[7], a[8] + b[8], a[9] + b[9],
        a[10] + b[10], a[11] + b[11], a[12] + b[12], a[13] + b[13], a[14] + b[14],
        a[15] + b[15], a[16] + b[16], a[17] + b[17], a[18] + b[18], a[19] + b[19]));
}

// SC_G_OFFSET - a mod n in [0, n), where SC_G_OFFSET = (2^256 - 1) / 2 mod n. In: a loose below n + 2^254.
// SC_G_OFFSET_2N is that number plus 2 n, so the difference is in [0, 3 n).
fn sc_sub_from_offset(a: Sc) -> Sc {
    return sc_reduce(Sc(
        SC_G_OFFSET_2N[0] - a[0], SC_G_OFFSET_2N[1] - a[1], SC_G_OFFSET_2N[2] - a[2],
        SC_G_OFFSET_2N[3] - a[3], SC_G_OFFSET_2N[4] - a[4], SC_G_OFFSET_2N[5] - a[5],
        SC_G_OFFSET_2N[6] - a[6], SC_G_OFFSET_2N[7] - a[7], SC_G_OFFSET_2N[8] - a[8],
        SC_G_OFFSET_2N[9] - a[9], SC_G_OFFSET_2N[10] - a[10], SC_G_OFFSET_2N[11] - a[11],
        SC_G_OFFSET_2N[12] - a[12], SC_G_OFFSET_2N[13] - a[13], SC_G_OFFSET_2N[14] - a[14],
        SC_G_OFFSET_2N[15] - a[15], SC_G_OFFSET_2N[16] - a[16], SC_G_OFFSET_2N[17] - a[17],
        SC_G_OFFSET_2N[18] - a[18], SC_G_OFFSET_2N[19] - a[19]));
}

// round(k * g / 2^377), off by at most one. In: k in [0, n), g < 2^249. Out: 10 limbs, value < 2^129.
// Columns below 24 are left out: together they are below 2^331.
fn sc_mul_shift(k: Sc, g: Sc) -> array<u32, 10> {
    let t24 = k[5]*g[19] + k[6]*g[18] + k[7]*g[17] + k[8]*g[16] + k[9]*g[15] + k[10]*g[14] + k[11]*g[13] + k[12]*g[12]
        + k[13]*g[11] + k[14]*g[10] + k[15]*g[9] + k[16]*g[8] + k[17]*g[7] + k[18]*g[6] + k[19]*g[5];
    let t25 = (t24 >> 13u) + k[6]*g[19] + k[7]*g[18] + k[8]*g[17] + k[9]*g[16] + k[10]*g[15] + k[11]*g[14] + k[12]*g[13]
        + k[13]*g[12] + k[14]*g[11] + k[15]*g[10] + k[16]*g[9] + k[17]*g[8] + k[18]*g[7] + k[19]*g[6];
    let t26 = (t25 >> 13u) + k[7]*g[19] + k[8]*g[18] + k[9]*g[17] + k[10]*g[16] + k[11]*g[15] + k[12]*g[14] + k[13]*g[13]
        + k[14]*g[12] + k[15]*g[11] + k[16]*g[10] + k[17]*g[9] + k[18]*g[8] + k[19]*g[7];
    let t27 = (t26 >> 13u) + k[8]*g[19] + k[9]*g[18] + k[10]*g[17] + k[11]*g[16] + k[12]*g[15] + k[13]*g[14] + k[14]*g[13]
        + k[15]*g[12] + k[16]*g[11] + k[17]*g[10] + k[18]*g[9] + k[19]*g[8];
    let t28 = (t27 >> 13u) + 4096u + k[9]*g[19] + k[10]*g[18] + k[11]*g[17] + k[12]*g[16] + k[13]*g[15] + k[14]*g[14]
        + k[15]*g[13] + k[16]*g[12] + k[17]*g[11] + k[18]*g[10] + k[19]*g[9];
    let t29 = (t28 >> 13u) + k[10]*g[19] + k[11]*g[18] + k[12]*g[17] + k[13]*g[16] + k[14]*g[15] + k[15]*g[14] + k[16]*g[13]
        + k[17]*g[12] + k[18]*g[11] + k[19]*g[10];
    let t30 = (t29 >> 13u) + k[11]*g[19] + k[12]*g[18] + k[13]*g[17] + k[14]*g[16] + k[15]*g[15] + k[16]*g[14] + k[17]*g[13]
        + k[18]*g[12] + k[19]*g[11];
    let t31 = (t30 >> 13u) + k[12]*g[19] + k[13]*g[18] + k[14]*g[17] + k[15]*g[16] + k[16]*g[15] + k[17]*g[14] + k[18]*g[13]
        + k[19]*g[12];
    let t32 = (t31 >> 13u) + k[13]*g[19] + k[14]*g[18] + k[15]*g[17] + k[16]*g[16] + k[17]*g[15] + k[18]*g[14] + k[19]*g[13];
    let t33 = (t32 >> 13u) + k[14]*g[19] + k[15]*g[18] + k[16]*g[17] + k[17]*g[16] + k[18]*g[15] + k[19]*g[14];
    let t34 = (t33 >> 13u) + k[15]*g[19] + k[16]*g[18] + k[17]*g[17] + k[18]*g[16] + k[19]*g[15];
    let t35 = (t34 >> 13u) + k[16]*g[19] + k[17]*g[18] + k[18]*g[17] + k[19]*g[16];
    let t36 = (t35 >> 13u) + k[17]*g[19] + k[18]*g[18] + k[19]*g[17];
    let t37 = (t36 >> 13u) + k[18]*g[19] + k[19]*g[18];
    let t38 = (t37 >> 13u) + k[19]*g[19];
    return array<u32, 10>(
        t29 & LIMB_MASK, t30 & LIMB_MASK, t31 & LIMB_MASK, t32 & LIMB_MASK, t33 & LIMB_MASK,
        t34 & LIMB_MASK, t35 & LIMB_MASK, t36 & LIMB_MASK, t37 & LIMB_MASK,
        t38);
}

// The low 143 bits of k + 2^131 + c * m + d * n as limbs. In: limbs <= 8191.
fn sc_half(k: Sc, c: array<u32, 10>, m: array<u32, 11>, d: array<u32, 10>, n: array<u32, 11>) -> Sc {
    let t0 = k[0] + c[0]*m[0] + d[0]*n[0];
    let t1 = k[1] + (t0 >> 13u) + c[0]*m[1] + d[0]*n[1] + c[1]*m[0] + d[1]*n[0];
    let t2 = k[2] + (t1 >> 13u) + c[0]*m[2] + d[0]*n[2] + c[1]*m[1] + d[1]*n[1] + c[2]*m[0] + d[2]*n[0];
    let t3 = k[3] + (t2 >> 13u) + c[0]*m[3] + d[0]*n[3] + c[1]*m[2] + d[1]*n[2] + c[2]*m[1] + d[2]*n[1] + c[3]*m[0] + d[3]*n[0];
    let t4 = k[4] + (t3 >> 13u) + c[0]*m[4] + d[0]*n[4] + c[1]*m[3] + d[1]*n[3] + c[2]*m[2] + d[2]*n[2] + c[3]*m[1] + d[3]*n[1]
        + c[4]*m[0] + d[4]*n[0];
    let t5 = k[5] + (t4 >> 13u) + c[0]*m[5] + d[0]*n[5] + c[1]*m[4] + d[1]*n[4] + c[2]*m[3] + d[2]*n[3] + c[3]*m[2] + d[3]*n[2]
        + c[4]*m[1] + d[4]*n[1] + c[5]*m[0] + d[5]*n[0];
    let t6 = k[6] + (t5 >> 13u) + c[0]*m[6] + d[0]*n[6] + c[1]*m[5] + d[1]*n[5] + c[2]*m[4] + d[2]*n[4] + c[3]*m[3] + d[3]*n[3]
        + c[4]*m[2] + d[4]*n[2] + c[5]*m[1] + d[5]*n[1] + c[6]*m[0] + d[6]*n[0];
    let t7 = k[7] + (t6 >> 13u) + c[0]*m[7] + d[0]*n[7] + c[1]*m[6] + d[1]*n[6] + c[2]*m[5] + d[2]*n[5] + c[3]*m[4] + d[3]*n[4]
        + c[4]*m[3] + d[4]*n[3] + c[5]*m[2] + d[5]*n[2] + c[6]*m[1] + d[6]*n[1] + c[7]*m[0] + d[7]*n[0];
    let t8 = k[8] + (t7 >> 13u) + c[0]*m[8] + d[0]*n[8] + c[1]*m[7] + d[1]*n[7] + c[2]*m[6] + d[2]*n[6] + c[3]*m[5] + d[3]*n[5]
        + c[4]*m[4] + d[4]*n[4] + c[5]*m[3] + d[5]*n[3] + c[6]*m[2] + d[6]*n[2] + c[7]*m[1] + d[7]*n[1] + c[8]*m[0] + d[8]*n[0];
    let t9 = k[9] + (t8 >> 13u) + c[0]*m[9] + d[0]*n[9] + c[1]*m[8] + d[1]*n[8] + c[2]*m[7] + d[2]*n[7] + c[3]*m[6] + d[3]*n[6]
        + c[4]*m[5] + d[4]*n[5] + c[5]*m[4] + d[5]*n[4] + c[6]*m[3] + d[6]*n[3] + c[7]*m[2] + d[7]*n[2] + c[8]*m[1] + d[8]*n[1]
        + c[9]*m[0] + d[9]*n[0];
    let t10 = k[10] + (t9 >> 13u) + 2u + c[0]*m[10] + d[0]*n[10] + c[1]*m[9] + d[1]*n[9] + c[2]*m[8] + d[2]*n[8]
        + c[3]*m[7] + d[3]*n[7] + c[4]*m[6] + d[4]*n[6] + c[5]*m[5] + d[5]*n[5] + c[6]*m[4] + d[6]*n[4] + c[7]*m[3] + d[7]*n[3]
        + c[8]*m[2] + d[8]*n[2] + c[9]*m[1] + d[9]*n[1];
    return Sc(
        t0 & LIMB_MASK, t1 & LIMB_MASK, t2 & LIMB_MASK, t3 & LIMB_MASK, t4 & LIMB_MASK, t5 & LIMB_MASK,
        t6 & LIMB_MASK, t7 & LIMB_MASK, t8 & LIMB_MASK, t9 & LIMB_MASK, t10 & LIMB_MASK,
        0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u);
}
