// Scalars: integers mod the group order n, and the split of a scalar into two short halves, in two variants.
//
// A *loose* scalar has limbs of no more than a limb's width and a value below 2^257. Multiplication is Montgomery's with a
// factor M (the variant's), so sc_mul(plain, mont) is plain, where mont(x) = x * M mod n.

//#include "limb.wgsl"
//#include "curve.wgsl"
//#if U64
//#include "sc_u64.wgsl"
//#else
//#include "sc_u32.wgsl"
//#endif

// 1 / a mod n, both in Montgomery's form, by a generated addition chain for n - 2: see fe_chain for the steps.
fn sc_inv(a: Sc) -> Sc {
    var x = a;
    var s3 = a;
    var s4 = a;
    for (var i = 0u; i < SC_INV_STEPS; i++) {
        let step = SC_INV_CHAIN[i];
        let n = step & 255u;
        var other = x;
        switch (step >> 8u) & 15u {
            case 2u: { other = a; }
            case 3u: { other = s3; }
            case 4u: { other = s4; }
            default: {}
        }
        // One multiplication site: n squarings, then the step's factor. sc chains multiply in every step.
        for (var k = 0u; k <= n; k++) {
            var m = x;
            if (k == n) {
                m = other;
            }
            x = sc_mul(x, m);
        }
        switch step >> 12u {
            case 3u: { s3 = x; }
            case 4u: { s4 = x; }
            default: {}
        }
    }
    return x;
}

struct ScSplit {
    v1: Sc,
    v2: Sc,
}

// k = k1 + k2 * lambda mod n with |k1|, |k2| < 2^130; gives v = k + 2^131 for both, in (0, 2^132).
// In: k in [0, n). Gallant-Lambert-Vanstone with libsecp256k1's lattice; the reduction is exact for every k, extreme
// halves included, because v has two spare bits and the split only has to be short, not shortest.
fn sc_split(k: Sc) -> ScSplit {
    let c1 = sc_mul_shift(k, SC_G1);
    let c2 = sc_mul_shift(k, SC_G2);
    let zero = Sc();
    return ScSplit(
        sc_half(k, c1, SC_MINUS_A1, c2, SC_MINUS_A2),
        sc_half(zero, c1, SC_MINUS_B1, c2, SC_MINUS_B2));
}
