//! Points of y^2 = x^3 + 7: affine, and Jacobian (x = X / Z^2, y = Y / Z^3).
//!
//! Formulas are branch-free and incomplete. With a = 0 every exceptional case (equal, opposite or infinite operands) gives Z = 0, and Z = 0
//! stays through everything after, so one test of Z at the end finds them all. Where a product is only summed up it is never reduced alone.

use super::fe::Fe;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ge<const G: usize> {
    pub(crate) x: Fe<G>,
    pub(crate) y: Fe<G>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Gej<const G: usize> {
    pub(crate) x: Fe<G>,
    pub(crate) y: Fe<G>,
    pub(crate) z: Fe<G>,
}

impl<const G: usize> Gej<G> {
    /// self = -2 self: the sign costs nothing to leave and much to mend, and an even number of doublings mends it.
    ///
    /// With S = 2 Y^2, L = 3 X^2, T = 2 X S: X' = L^2 - 2 T, Y' = L (X' - T) + 2 S^2, Z' = 2 Y Z.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(crate) fn double_neg(&mut self) {
        let s = self.y.sqr_scaled::<2>();
        let l = self.x.sqr_scaled::<3>();
        let t = self.x.mul_scaled::<2>(&s);
        self.z = self.y.mul_scaled::<2>(&self.z);
        let minus_t = t.raw_neg();
        self.x = l.sqr_plus(&minus_t.raw_add(&minus_t));
        let u = self.x.raw_add(&minus_t).carry();
        self.y = Fe::mul_sqr2(&l, &u, &s);
    }

    /// self += q; gives the new Z divided by the old (madd-2007-bl without the common factor 2).
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(crate) fn add(&mut self, q: &Ge<G>) -> Fe<G> {
        let z2 = self.z.sqr();
        let h = q.x.mul_plus(&z2, &self.x.raw_neg());
        let z3 = self.z.mul(&z2);
        let r = q.y.mul_plus(&z3, &self.y.raw_neg());
        let h2 = h.sqr();
        self.z = self.z.mul(&h);
        let h3 = h2.mul(&h);
        let v = self.x.mul(&h2);
        let minus_v = v.raw_neg();
        self.x = r.sqr_plus(&minus_v.raw_add(&minus_v).raw_add(&h3.raw_neg()));
        let u = self.x.raw_neg().raw_add(&v).carry();
        self.y = Fe::mul_mul(&r, &u, &self.y, &h3.neg());
        h
    }
}
