// The field: integers mod p = 2^256 - 2^32 - 977, lazily reduced, in two variants.
//
// A *weak* element has limbs slightly past a limb's width and stands for its value mod p; any value has several weak forms.
// All functions take and give weak elements unless they say otherwise. A *wide* one is larger (the variant says by how
// much) and may only be an operand of fe_mul and fe_sqr, or the first one of fe_mul_sub. Comparison, parity and storage need
// fe_to_words, which is canonical.

//#include "limb.wgsl"
//#include "curve.wgsl"
//#if U64
//#include "fe_u64.wgsl"
//#else
//#include "fe_u32.wgsl"
//#endif

fn fe_from_words(w: Words) -> Fe {
    return limb_from_words(w);
}

fn fe_sub(a: Fe, b: Fe) -> Fe {
    return fe_lin(a, 1u, b, 0u, b);
}

fn fe_mul(a: Fe, b: Fe) -> Fe {
    return fe_reduce(limb_mul(a, b));
}

fn fe_sqr(a: Fe) -> Fe {
    return fe_reduce(limb_sqr(a));
}

// a ^ e by a generated addition chain (host: curve.rs). A step is: square `n` times (bits 0..7), multiply by slot `m`
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
