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

// 2 p (dbl-2009-l): 2 multiplications, 5 squarings. Z = 0 stays.
fn gej_double(p: Gej) -> Gej {
    let a = fe_sqr(p.x);
    let b = fe_sqr(p.y);
    let c = fe_sqr(b);
    let s = fe_sqr(fe_add(p.x, b));
    let d = fe_lin(2u, fe_sub(fe_sub(s, a), c), 0u, a);
    let e = fe_lin(3u, a, 0u, a);
    let x = fe_lin(1u, fe_sqr(e), 2u, d);
    let y = fe_lin(1u, fe_mul(e, fe_sub(d, x)), 8u, c);
    let yz = fe_mul(p.y, p.z);
    return Gej(x, y, fe_lin(2u, yz, 0u, yz));
}

// p + q for an affine q: 8 multiplications, 3 squarings. Z = 0 when p = q, p = -q, or p has Z = 0.
fn gej_add_ge(p: Gej, q: Ge) -> GejSum {
    let z2 = fe_sqr(p.z);
    let h = fe_sub(fe_mul(q.x, z2), p.x);
    let r = fe_sub(fe_mul(q.y, fe_mul(z2, p.z)), p.y);
    let h2 = fe_sqr(h);
    let h3 = fe_mul(h2, h);
    let v = fe_mul(p.x, h2);
    let x = fe_sub(fe_lin(1u, fe_sqr(r), 2u, v), h3);
    let y = fe_sub(fe_mul(r, fe_sub(v, x)), fe_mul(p.y, h3));
    return GejSum(Gej(x, y, fe_mul(p.z, h)), h);
}
