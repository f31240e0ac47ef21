// Points of y^2 = x^3 + 7: affine (ge) and Jacobian (gej, x = X / Z^2, y = Y / Z^3).
//
// Formulas are branch-free and incomplete. With a = 0 every exceptional case (equal, opposite or infinite operands)
// gives Z = 0, and Z = 0 stays through everything after, so one test of Z at the end finds them all.

//#include "fe.wgsl"

struct Ge {
    x: Fe,
    y: Fe,
}

struct Gej {
    x: Fe,
    y: Fe,
    z: Fe,
}

// A sum and its Z divided by the first operand's Z.
struct GejSum {
    p: Gej,
    ratio: Fe,
}

// 2 p, as in libsecp256k1: 5 multiplications (two of them reduced as one), 3 squarings. Z = 0 stays.
fn gej_double(p: Gej) -> Gej {
    let l = fe_three_halves(fe_sqr(p.x));
    let s = fe_sqr(p.y);
    let t = fe_mul(p.x, s);
    let x = fe_lin(fe_sqr(l), 2u, t, 0u, t);
    return Gej(x, fe_mul_sub_sqr(l, fe_sub(t, x), s), fe_mul(p.y, p.z));
}

// p + q for an affine q: 8 multiplications (two of them reduced as one), 3 squarings. Z = 0 when p = q, p = -q, or p has
// Z = 0.
fn gej_add_ge(p: Gej, q: Ge) -> GejSum {
    let z2 = fe_sqr(p.z);
    let h = fe_sub(fe_mul(q.x, z2), p.x);
    let r = fe_sub(fe_mul(q.y, fe_mul(z2, p.z)), p.y);
    let h2 = fe_sqr(h);
    let h3 = fe_mul(h2, h);
    let v = fe_mul(p.x, h2);
    let x = fe_lin(fe_sqr(r), 1u, h3, 2u, v);
    return GejSum(Gej(x, fe_mul_sub(r, fe_sub(v, x), p.y, h3), fe_mul(p.z, h)), h);
}
