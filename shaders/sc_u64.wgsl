// The 64-bit variant of sc_u32.wgsl: integers mod n in 9 limbs of 29 bits; Montgomery's factor is 2^261.

alias Sc = Limbs;

// a * b / 2^261 mod n, loose. In: loose. A column holds at most 9 + 9 products of 58 bits and a carry: < 2^63.
fn sc_mul(a: Sc, b: Sc) -> Sc {
    let t = limb_mul(a, b);
    // Low columns: choose q so that each one becomes a multiple of 2^29.
    let a0 = t[0];
    let q0 = u64((u32(a0) * SC_N0INV) & LIMB_MASK);
    let c0 = (a0 + q0*SC_N_0) >> 29u;
    let a1 = t[1] + c0 + q0*SC_N_1;
    let q1 = u64((u32(a1) * SC_N0INV) & LIMB_MASK);
    let c1 = (a1 + q1*SC_N_0) >> 29u;
    let a2 = t[2] + c1 + q0*SC_N_2 + q1*SC_N_1;
    let q2 = u64((u32(a2) * SC_N0INV) & LIMB_MASK);
    let c2 = (a2 + q2*SC_N_0) >> 29u;
    let a3 = t[3] + c2 + q0*SC_N_3 + q1*SC_N_2 + q2*SC_N_1;
    let q3 = u64((u32(a3) * SC_N0INV) & LIMB_MASK);
    let c3 = (a3 + q3*SC_N_0) >> 29u;
    let a4 = t[4] + c3 + q0*SC_N_4 + q1*SC_N_3 + q2*SC_N_2 + q3*SC_N_1;
    let q4 = u64((u32(a4) * SC_N0INV) & LIMB_MASK);
    let c4 = (a4 + q4*SC_N_0) >> 29u;
    let a5 = t[5] + c4 + q0*SC_N_5 + q1*SC_N_4 + q2*SC_N_3 + q3*SC_N_2 + q4*SC_N_1;
    let q5 = u64((u32(a5) * SC_N0INV) & LIMB_MASK);
    let c5 = (a5 + q5*SC_N_0) >> 29u;
    let a6 = t[6] + c5 + q0*SC_N_6 + q1*SC_N_5 + q2*SC_N_4 + q3*SC_N_3 + q4*SC_N_2 + q5*SC_N_1;
    let q6 = u64((u32(a6) * SC_N0INV) & LIMB_MASK);
    let c6 = (a6 + q6*SC_N_0) >> 29u;
    let a7 = t[7] + c6 + q0*SC_N_7 + q1*SC_N_6 + q2*SC_N_5 + q3*SC_N_4 + q4*SC_N_3 + q5*SC_N_2 + q6*SC_N_1;
    let q7 = u64((u32(a7) * SC_N0INV) & LIMB_MASK);
    let c7 = (a7 + q7*SC_N_0) >> 29u;
    let a8 = t[8] + c7 + q0*SC_N_8 + q1*SC_N_7 + q2*SC_N_6 + q3*SC_N_5 + q4*SC_N_4 + q5*SC_N_3 + q6*SC_N_2 + q7*SC_N_1;
    let q8 = u64((u32(a8) * SC_N0INV) & LIMB_MASK);
    let c8 = (a8 + q8*SC_N_0) >> 29u;
    // High columns: the result.
    let a9 = t[9] + c8 + q1*SC_N_8 + q2*SC_N_7 + q3*SC_N_6 + q4*SC_N_5 + q5*SC_N_4 + q6*SC_N_3 + q7*SC_N_2 + q8*SC_N_1;
    let a10 = t[10] + (a9 >> 29u) + q2*SC_N_8 + q3*SC_N_7 + q4*SC_N_6 + q5*SC_N_5 + q6*SC_N_4 + q7*SC_N_3 + q8*SC_N_2;
    let a11 = t[11] + (a10 >> 29u) + q3*SC_N_8 + q4*SC_N_7 + q5*SC_N_6 + q6*SC_N_5 + q7*SC_N_4 + q8*SC_N_3;
    let a12 = t[12] + (a11 >> 29u) + q4*SC_N_8 + q5*SC_N_7 + q6*SC_N_6 + q7*SC_N_5 + q8*SC_N_4;
    let a13 = t[13] + (a12 >> 29u) + q5*SC_N_8 + q6*SC_N_7 + q7*SC_N_6 + q8*SC_N_5;
    let a14 = t[14] + (a13 >> 29u) + q6*SC_N_8 + q7*SC_N_7 + q8*SC_N_6;
    let a15 = t[15] + (a14 >> 29u) + q7*SC_N_8 + q8*SC_N_7;
    let a16 = t[16] + (a15 >> 29u) + q8*SC_N_8;
    return Sc(
        u32(a9) & LIMB_MASK, u32(a10) & LIMB_MASK, u32(a11) & LIMB_MASK, u32(a12) & LIMB_MASK, u32(a13) & LIMB_MASK,
        u32(a14) & LIMB_MASK, u32(a15) & LIMB_MASK, u32(a16) & LIMB_MASK, u32(a16 >> 29u));
}

// The number mod n in [0, n), limbs < 2^29. In: limbs signed (two's complement), |limb| < 2^31 - 2^3, value in [0, 3 n).
fn sc_reduce(a: Sc) -> Sc {
    var v = a;
    v[1] += u32(i32(v[0]) >> 29u); v[0] &= LIMB_MASK;
    v[2] += u32(i32(v[1]) >> 29u); v[1] &= LIMB_MASK;
    v[3] += u32(i32(v[2]) >> 29u); v[2] &= LIMB_MASK;
    v[4] += u32(i32(v[3]) >> 29u); v[3] &= LIMB_MASK;
    v[5] += u32(i32(v[4]) >> 29u); v[4] &= LIMB_MASK;
    v[6] += u32(i32(v[5]) >> 29u); v[5] &= LIMB_MASK;
    v[7] += u32(i32(v[6]) >> 29u); v[6] &= LIMB_MASK;
    v[8] += u32(i32(v[7]) >> 29u); v[7] &= LIMB_MASK;
    for (var i = 0u; i < 2u; i++) {
        var w = v;
        w[0] -= SC_N_LIMBS[0];
        w[1] -= SC_N_LIMBS[1];
        w[2] -= SC_N_LIMBS[2];
        w[3] -= SC_N_LIMBS[3];
        w[4] -= SC_N_LIMBS[4];
        w[5] -= SC_N_LIMBS[5];
        w[6] -= SC_N_LIMBS[6];
        w[7] -= SC_N_LIMBS[7];
        w[8] -= SC_N_LIMBS[8];
        w[1] += u32(i32(w[0]) >> 29u); w[0] &= LIMB_MASK;
        w[2] += u32(i32(w[1]) >> 29u); w[1] &= LIMB_MASK;
        w[3] += u32(i32(w[2]) >> 29u); w[2] &= LIMB_MASK;
        w[4] += u32(i32(w[3]) >> 29u); w[3] &= LIMB_MASK;
        w[5] += u32(i32(w[4]) >> 29u); w[4] &= LIMB_MASK;
        w[6] += u32(i32(w[5]) >> 29u); w[5] &= LIMB_MASK;
        w[7] += u32(i32(w[6]) >> 29u); w[6] &= LIMB_MASK;
        w[8] += u32(i32(w[7]) >> 29u); w[7] &= LIMB_MASK;
        if (i32(w[8]) >= 0) {
            v = w;
        }
    }
    return v;
}

// a + b mod n in [0, n). In: a loose below n + 2^254, b in [0, n).
fn sc_add(a: Sc, b: Sc) -> Sc {
    return sc_reduce(Sc(
        a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4],
        a[5] + b[5], a[6] + b[6], a[7] + b[7], a[8] + b[8]));
}

// SC_G_OFFSET - a mod n in [0, n), where SC_G_OFFSET = (2^256 - 1) / 2 mod n. In: a loose below n + 2^254.
// SC_G_OFFSET_2N is that number plus 2 n, so the difference is in [0, 3 n).
fn sc_sub_from_offset(a: Sc) -> Sc {
    return sc_reduce(Sc(
        SC_G_OFFSET_2N[0] - a[0], SC_G_OFFSET_2N[1] - a[1], SC_G_OFFSET_2N[2] - a[2],
        SC_G_OFFSET_2N[3] - a[3], SC_G_OFFSET_2N[4] - a[4], SC_G_OFFSET_2N[5] - a[5],
        SC_G_OFFSET_2N[6] - a[6], SC_G_OFFSET_2N[7] - a[7], SC_G_OFFSET_2N[8] - a[8]));
}

alias ScShort = array<u32, 5>;

// round(k * g / 2^377), off by at most one. In: k in [0, n), g < 2^249. Out: 5 limbs, value < 2^129.
// Columns below 11 are left out: together they are below 2^352.
fn sc_mul_shift(k: Sc, g: Sc) -> ScShort {
    let t11 = u64(k[3])*u64(g[8]) + u64(k[4])*u64(g[7]) + u64(k[5])*u64(g[6]) + u64(k[6])*u64(g[5]) + u64(k[7])*u64(g[4]) + u64(k[8])*u64(g[3]);
    let t12 = (t11 >> 29u) + 0x10000000lu + u64(k[4])*u64(g[8]) + u64(k[5])*u64(g[7]) + u64(k[6])*u64(g[6]) + u64(k[7])*u64(g[5])
        + u64(k[8])*u64(g[4]);
    let t13 = (t12 >> 29u) + u64(k[5])*u64(g[8]) + u64(k[6])*u64(g[7]) + u64(k[7])*u64(g[6]) + u64(k[8])*u64(g[5]);
    let t14 = (t13 >> 29u) + u64(k[6])*u64(g[8]) + u64(k[7])*u64(g[7]) + u64(k[8])*u64(g[6]);
    let t15 = (t14 >> 29u) + u64(k[7])*u64(g[8]) + u64(k[8])*u64(g[7]);
    let t16 = (t15 >> 29u) + u64(k[8])*u64(g[8]);
    return ScShort(u32(t13) & LIMB_MASK, u32(t14) & LIMB_MASK, u32(t15) & LIMB_MASK, u32(t16) & LIMB_MASK, u32(t16 >> 29u));
}

// The low 145 bits of k + 2^131 + c * m + d * n as limbs. In: limbs < 2^29.
fn sc_half(k: Sc, c: ScShort, m: ScShort, d: ScShort, n: ScShort) -> Sc {
    let t0 = u64(k[0]) + u64(c[0])*u64(m[0]) + u64(d[0])*u64(n[0]);
    let t1 = u64(k[1]) + (t0 >> 29u) + u64(c[0])*u64(m[1]) + u64(d[0])*u64(n[1]) + u64(c[1])*u64(m[0]) + u64(d[1])*u64(n[0]);
    let t2 = u64(k[2]) + (t1 >> 29u) + u64(c[0])*u64(m[2]) + u64(d[0])*u64(n[2]) + u64(c[1])*u64(m[1]) + u64(d[1])*u64(n[1]) + u64(c[2])*u64(m[0])
        + u64(d[2])*u64(n[0]);
    let t3 = u64(k[3]) + (t2 >> 29u) + u64(c[0])*u64(m[3]) + u64(d[0])*u64(n[3]) + u64(c[1])*u64(m[2]) + u64(d[1])*u64(n[2]) + u64(c[2])*u64(m[1])
        + u64(d[2])*u64(n[1]) + u64(c[3])*u64(m[0]) + u64(d[3])*u64(n[0]);
    let t4 = u64(k[4]) + (t3 >> 29u) + 0x8000lu + u64(c[0])*u64(m[4]) + u64(d[0])*u64(n[4]) + u64(c[1])*u64(m[3]) + u64(d[1])*u64(n[3])
        + u64(c[2])*u64(m[2]) + u64(d[2])*u64(n[2]) + u64(c[3])*u64(m[1]) + u64(d[3])*u64(n[1]) + u64(c[4])*u64(m[0]) + u64(d[4])*u64(n[0]);
    return Sc(
        u32(t0) & LIMB_MASK, u32(t1) & LIMB_MASK, u32(t2) & LIMB_MASK, u32(t3) & LIMB_MASK, u32(t4) & LIMB_MASK,
        0u, 0u, 0u, 0u);
}
