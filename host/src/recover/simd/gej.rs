//! Points of y^2 = x^3 + 7: affine, and Jacobian (x = X / Z^2, y = Y / Z^3).
//!
//! Formulas are branch-free and incomplete. With a = 0 every exceptional case (equal, opposite or infinite operands) gives Z = 0, and Z = 0
//! stays through everything after, so one test of Z at the end finds them all. Where a product is only summed up it is never reduced alone.

use super::field::Field;

#[derive(Clone, Copy, Debug)]
pub(super) struct Ge<F> {
    pub(super) x: F,
    pub(super) y: F,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Gej<F> {
    pub(super) x: F,
    pub(super) y: F,
    pub(super) z: F,
}

impl<F: Field> Gej<F> {
    /// self = -2 self: the sign costs nothing to leave and much to mend, and an even number of doublings mends it.
    #[inline(always)]
    pub(super) fn double_neg(&mut self) {
        F::outlined(double_neg, self);
    }

    /// self += q; gives the new Z divided by the old.
    #[inline(always)]
    pub(super) fn add(&mut self, q: &Ge<F>) -> F {
        F::outlined(add, (self, q))
    }
}

/// With S = 2 Y^2, L = 3 X^2, T = 2 X S: X' = L^2 - 2 T, Y' = L (X' - T) + 2 S^2, Z' = 2 Y Z.
#[inline(always)]
fn double_neg<F: Field>(p: &mut Gej<F>) {
    let s = p.y.sqr_twice();
    let l = p.x.sqr_thrice();
    let t = p.x.mul_twice(&s);
    p.z.set(&p.y.mul_twice(&p.z));
    p.x.set(&l.sqr_sub_twice(&t));
    p.y.set(&F::mul_add_sqr_twice(&l, &p.x.diff(&t), &s));
}

/// madd-2007-bl without the common factor 2.
#[inline(always)]
fn add<F: Field>((p, q): (&mut Gej<F>, &Ge<F>)) -> F {
    let z2 = p.z.sqr();
    let h = q.x.mul_sub(&z2, &p.x);
    let z3 = p.z.mul(&z2);
    let r = q.y.mul_sub(&z3, &p.y);
    let h2 = h.sqr();
    p.z.set(&p.z.mul(&h));
    let h3 = h2.mul(&h);
    let v = p.x.mul(&h2);
    p.x.set(&r.sqr_sub_twice_sub(&v, &h3));
    p.y.set(&F::mul_sub_mul(&r, &v.diff(&p.x), &p.y, &h3));
    h
}
