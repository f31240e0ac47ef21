// The 64-bit variant of limb_u32.wgsl: 9 limbs of 29 bits, least significant first, in u32; products and their columns in u64.
//
// 9 products of 58 bits leave room for carries in a column, so nothing is carried between products. u64(a) * u64(b) of two
// u32 is one widening multiply-add on GPUs: 81 a product and 45 a square, against 400 and 210 in 20 limbs of 13 bits.

alias Limbs = array<u32, 9>;
alias Columns = array<u64, 17>;

const LIMB_MASK: u32 = 0x1fffffffu;

// Raw columns of a * b: out[k] = sum of a[i] * b[k - i].
// In: a[i] * b[j] <= 2^64 / 9 for all i, j (for instance both <= 1.43 * 10^9). Out: no carries done, columns < 2^64.
fn limb_mul(a: Limbs, b: Limbs) -> Columns {
    let a0 = u64(a[0]); let a1 = u64(a[1]); let a2 = u64(a[2]); let a3 = u64(a[3]); let a4 = u64(a[4]);
    let a5 = u64(a[5]); let a6 = u64(a[6]); let a7 = u64(a[7]); let a8 = u64(a[8]);
    let b0 = u64(b[0]); let b1 = u64(b[1]); let b2 = u64(b[2]); let b3 = u64(b[3]); let b4 = u64(b[4]);
    let b5 = u64(b[5]); let b6 = u64(b[6]); let b7 = u64(b[7]); let b8 = u64(b[8]);
    return Columns(
        a0*b0,
        a0*b1 + a1*b0,
        a0*b2 + a1*b1 + a2*b0,
        a0*b3 + a1*b2 + a2*b1 + a3*b0,
        a0*b4 + a1*b3 + a2*b2 + a3*b1 + a4*b0,
        a0*b5 + a1*b4 + a2*b3 + a3*b2 + a4*b1 + a5*b0,
        a0*b6 + a1*b5 + a2*b4 + a3*b3 + a4*b2 + a5*b1 + a6*b0,
        a0*b7 + a1*b6 + a2*b5 + a3*b4 + a4*b3 + a5*b2 + a6*b1 + a7*b0,
        a0*b8 + a1*b7 + a2*b6 + a3*b5 + a4*b4 + a5*b3 + a6*b2 + a7*b1 + a8*b0,
        a1*b8 + a2*b7 + a3*b6 + a4*b5 + a5*b4 + a6*b3 + a7*b2 + a8*b1,
        a2*b8 + a3*b7 + a4*b6 + a5*b5 + a6*b4 + a7*b3 + a8*b2,
        a3*b8 + a4*b7 + a5*b6 + a6*b5 + a7*b4 + a8*b3,
        a4*b8 + a5*b7 + a6*b6 + a7*b5 + a8*b4,
        a5*b8 + a6*b7 + a7*b6 + a8*b5,
        a6*b8 + a7*b7 + a8*b6,
        a7*b8 + a8*b7,
        a8*b8);
}

// Raw columns of a * a: limb_mul with the symmetric products taken once. In: limbs <= 1.43 * 10^9.
fn limb_sqr(a: Limbs) -> Columns {
    let a0 = u64(a[0]); let a1 = u64(a[1]); let a2 = u64(a[2]); let a3 = u64(a[3]); let a4 = u64(a[4]);
    let a5 = u64(a[5]); let a6 = u64(a[6]); let a7 = u64(a[7]); let a8 = u64(a[8]);
    // Twice a limb still fits 32 bits, so these too are multiplied in one instruction.
    let d0 = u64(a[0] << 1u); let d1 = u64(a[1] << 1u); let d2 = u64(a[2] << 1u); let d3 = u64(a[3] << 1u);
    let d4 = u64(a[4] << 1u); let d5 = u64(a[5] << 1u); let d6 = u64(a[6] << 1u); let d7 = u64(a[7] << 1u);
    return Columns(
        a0*a0,
        d0*a1,
        d0*a2 + a1*a1,
        d0*a3 + d1*a2,
        d0*a4 + d1*a3 + a2*a2,
        d0*a5 + d1*a4 + d2*a3,
        d0*a6 + d1*a5 + d2*a4 + a3*a3,
        d0*a7 + d1*a6 + d2*a5 + d3*a4,
        d0*a8 + d1*a7 + d2*a6 + d3*a5 + a4*a4,
        d1*a8 + d2*a7 + d3*a6 + d4*a5,
        d2*a8 + d3*a7 + d4*a6 + a5*a5,
        d3*a8 + d4*a7 + d5*a6,
        d4*a8 + d5*a7 + a6*a6,
        d5*a8 + d6*a7,
        d6*a8 + a7*a7,
        d7*a8,
        a8*a8);
}

// Limbs of a 256-bit value given as 8 words, least significant first. Out: limbs < 2^29, limb 8 < 2^24.
fn limb_from_words(w: Words) -> Limbs {
    return Limbs(
        w[0] & LIMB_MASK,
        ((w[0] >> 29u) | (w[1] << 3u)) & LIMB_MASK,
        ((w[1] >> 26u) | (w[2] << 6u)) & LIMB_MASK,
        ((w[2] >> 23u) | (w[3] << 9u)) & LIMB_MASK,
        ((w[3] >> 20u) | (w[4] << 12u)) & LIMB_MASK,
        ((w[4] >> 17u) | (w[5] << 15u)) & LIMB_MASK,
        ((w[5] >> 14u) | (w[6] << 18u)) & LIMB_MASK,
        ((w[6] >> 11u) | (w[7] << 21u)) & LIMB_MASK,
        w[7] >> 8u);
}

// The inverse of limb_from_words. In: limbs < 2^29, limb 8 < 2^24.
fn limb_to_words(a: Limbs) -> Words {
    return Words(
        a[0] | (a[1] << 29u),
        (a[1] >> 3u) | (a[2] << 26u),
        (a[2] >> 6u) | (a[3] << 23u),
        (a[3] >> 9u) | (a[4] << 20u),
        (a[4] >> 12u) | (a[5] << 17u),
        (a[5] >> 15u) | (a[6] << 14u),
        (a[6] >> 18u) | (a[7] << 11u),
        (a[7] >> 21u) | (a[8] << 8u));
}
