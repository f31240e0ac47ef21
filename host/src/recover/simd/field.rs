//! What the algorithm asks of a field of vectors: integers mod p = 2^256 - 2^32 - 977, a number in each lane of each of some groups.
//!
//! Every function takes and gives *weak* elements unless it says otherwise: reduced as far as the engine's products need it. A *wide* element is a
//! difference of two weak ones, fit to be one factor of a product, the other weak.
//!
//! Nothing here has target features: all of it is inlined into [`Field::outlined`], which has them.

use super::sc::Words;

/// Limbs of one number, as an engine keeps them: the bits of each.
pub(super) type Limbs = [u64; 5];
/// Limbs of a number in each lane.
pub(super) type LaneLimbs<const L: usize> = [[u64; L]; 5];
/// A 256-bit number in each lane, least significant word first.
pub(super) type LaneWords<const L: usize> = [[u64; L]; 4];

/// 2^256 mod p.
pub(super) const FOLD: u64 = (1 << 32) + 977;

pub(super) trait Field: Copy {
    /// `f(arguments)`, as a function of its own that has the engine's target features. `f` must be `#[inline(always)]`. This is the one way into
    /// all else that the engine does, and its callers have detected the features.
    fn outlined<T, R>(f: impl FnOnce(T) -> R, arguments: T) -> R;

    /// Limbs of a number below 2^256.
    fn limbs(words: &Words) -> Limbs;
    /// The same number in every lane.
    fn constant(limbs: &Limbs) -> Self;

    fn mul(&self, b: &Self) -> Self;
    fn sqr(&self) -> Self;
    /// 2 self b; `b` may be wide.
    fn mul_twice(&self, b: &Self) -> Self;
    /// 2 self^2.
    fn sqr_twice(&self) -> Self;
    /// 3 self^2.
    fn sqr_thrice(&self) -> Self;
    /// self b - c.
    fn mul_sub(&self, b: &Self, c: &Self) -> Self;
    /// self^2 - 2 b.
    fn sqr_sub_twice(&self, b: &Self) -> Self;
    /// self^2 - 2 b - c.
    fn sqr_sub_twice_sub(&self, b: &Self, c: &Self) -> Self;
    /// a b - c d; `b` may be wide.
    fn mul_sub_mul(a: &Self, b: &Self, c: &Self, d: &Self) -> Self;
    /// a b + 2 c^2; `b` may be wide.
    fn mul_add_sqr_twice(a: &Self, b: &Self, c: &Self) -> Self;
    /// self = value, a limb at a time: a copy by the C library reads wider than what was just stored, and waits for it.
    fn set(&mut self, value: &Self);
    fn neg(&self) -> Self;
    /// self - b, wide.
    fn diff(&self, b: &Self) -> Self;

    /// self^(2^n) b.
    #[inline(always)]
    fn sqr_n_mul(&self, n: usize, b: &Self) -> Self {
        Self::outlined(sqr_n_mul, (self, n, b))
    }

    /// self^((p + 1) / 4): the root of a square.
    #[inline(always)]
    fn sqrt(&self) -> Self {
        let (x223, x22, x2) = ones(self);
        x223.sqr_n_mul(23, &x22).sqr_n_mul(6, &x2).sqr().sqr()
    }

    /// self^(p - 2).
    #[inline(always)]
    fn inv(&self) -> Self {
        let (x223, x22, x2) = ones(self);
        x223.sqr_n_mul(23, &x22).sqr_n_mul(5, self).sqr_n_mul(3, &x2).sqr_n_mul(2, self)
    }
}

/// The way between an element of `G` groups of `L` lanes and memory.
pub(super) trait Lanes<const L: usize, const G: usize>: Field {
    fn load(limbs: &[LaneLimbs<L>; G]) -> Self;
    fn store(&self, group: usize, limbs: &mut LaneLimbs<L>);
    /// `b` in the lanes whose bit is set.
    fn select(&self, b: &Self, take_b: &[u8; G]) -> Self;
    /// The one form below p.
    fn canonical_words(&self) -> [LaneWords<L>; G];
}

#[inline(always)]
fn sqr_n_mul<F: Field>((a, n, b): (&F, usize, &F)) -> F {
    let mut x = *a;
    for _ in 0..n {
        x = x.sqr();
    }
    x.mul(b)
}

/// a^(2^223 - 1), a^(2^22 - 1), a^3.
#[inline(always)]
fn ones<F: Field>(a: &F) -> (F, F, F) {
    let x2 = a.sqr_n_mul(1, a);
    let x3 = x2.sqr_n_mul(1, a);
    let x6 = x3.sqr_n_mul(3, &x3);
    let x9 = x6.sqr_n_mul(3, &x3);
    let x11 = x9.sqr_n_mul(2, &x2);
    let x22 = x11.sqr_n_mul(11, &x11);
    let x44 = x22.sqr_n_mul(22, &x22);
    let x88 = x44.sqr_n_mul(44, &x44);
    let x176 = x88.sqr_n_mul(88, &x88);
    let x220 = x176.sqr_n_mul(44, &x44);
    (x220.sqr_n_mul(3, &x3), x22, x2)
}

/// [`Field`] and [`Lanes`] by the engine's methods of the same names, which have the target features `$features`.
macro_rules! implement_field {
    ($lanes:literal, $features:literal) => {
        impl<const G: usize> Field for Fe<G> {
            #[inline(always)]
            fn outlined<T, R>(f: impl FnOnce(T) -> R, arguments: T) -> R {
                #[inline(never)]
                #[target_feature(enable = $features)]
                fn featured<T, R>(f: impl FnOnce(T) -> R, arguments: T) -> R {
                    f(arguments)
                }
                // SAFETY: callers have detected the features, by the contract.
                unsafe { featured(f, arguments) }
            }

            #[inline(always)]
            fn limbs(words: &Words) -> Limbs {
                limbs(words)
            }

            #[inline(always)]
            fn set(&mut self, value: &Self) {
                for (limbs, values) in self.0.iter_mut().zip(&value.0) {
                    let [a, b, c, d, e] = *values;
                    *limbs = [a, b, c, d, e];
                }
            }

            forward! {
                fn constant(limbs: &Limbs) -> Self;
                fn mul(&self, b: &Self) -> Self;
                fn sqr(&self) -> Self;
                fn mul_twice(&self, b: &Self) -> Self;
                fn sqr_twice(&self) -> Self;
                fn sqr_thrice(&self) -> Self;
                fn mul_sub(&self, b: &Self, c: &Self) -> Self;
                fn sqr_sub_twice(&self, b: &Self) -> Self;
                fn sqr_sub_twice_sub(&self, b: &Self, c: &Self) -> Self;
                fn mul_sub_mul(a: &Self, b: &Self, c: &Self, d: &Self) -> Self;
                fn mul_add_sqr_twice(a: &Self, b: &Self, c: &Self) -> Self;
                fn neg(&self) -> Self;
                fn diff(&self, b: &Self) -> Self;
            }
        }

        impl<const G: usize> Lanes<$lanes, G> for Fe<G> {
            forward! {
                fn load(limbs: &[LaneLimbs<$lanes>; G]) -> Self;
                fn store(&self, group: usize, limbs: &mut LaneLimbs<$lanes>) -> ();
                fn select(&self, b: &Self, take_b: &[u8; G]) -> Self;
                fn canonical_words(&self) -> [LaneWords<$lanes>; G];
            }
        }
    };
}

/// Trait methods that call the type's own of the same name.
macro_rules! forward {
    () => {};
    (fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty; $($rest:tt)*) => {
        #[inline(always)]
        fn $name(&self $(, $argument: $type)*) -> $result {
            // SAFETY: reached only through `outlined`, so the CPU has the features.
            unsafe { self.$name($($argument),*) }
        }
        forward! { $($rest)* }
    };
    (fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty; $($rest:tt)*) => {
        #[inline(always)]
        fn $name($($argument: $type),*) -> $result {
            // SAFETY: as above.
            unsafe { Self::$name($($argument),*) }
        }
        forward! { $($rest)* }
    };
}

pub(super) use {forward, implement_field};
