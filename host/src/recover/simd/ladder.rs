//! Q = u2 R + u1 G for `G` groups of lanes: lift, table of R, ladder, comb.

use super::{
    Simd,
    comb::{self, Comb},
    field::{Field, LaneLimbs, Lanes, Limbs},
    gej::{Ge, Gej},
    sc,
};
use alloy_primitives::{U256, uint};
use secp256k1::constants;

const BETA: U256 = uint!(0x7AE96A2B_657C0710_6E64479E_AC3434E9_9CF04975_12F58995_C1396C28_719501EE_U256);
const GENERATOR: [U256; 2] = [U256::from_be_bytes(constants::GENERATOR_X), U256::from_be_bytes(constants::GENERATOR_Y)];

/// Windows of 4 bits of a half of u2, and the odd multiples that their digits stand for.
pub(super) const WINDOWS: usize = 33;
pub(super) const ENTRIES: usize = 8;

/// One group's signatures as the ladder reads them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group<const L: usize> {
    /// x of R.
    pub(super) x: LaneLimbs<L>,
    /// The lanes whose y of R is odd.
    pub(super) odd: u8,
    /// The halves of u2, recoded.
    pub(super) halves: [[[u64; L]; 3]; 2],
    /// u1, recoded; the last word is zero.
    pub(super) comb: [[u64; L]; 5],
}

impl<const L: usize> Group<L> {
    pub(super) const ZERO: Self = Self { x: [[0; L]; 5], odd: 0, halves: [[[0; L]; 3]; 2], comb: [[0; L]; 5] };

    pub(super) fn set(&mut self, lane: usize, x: &Limbs, odd: bool, digits: &sc::Digits) {
        for (limb, value) in self.x.iter_mut().zip(x) {
            limb[lane] = *value;
        }
        self.odd |= u8::from(odd) << lane;
        for (words, values) in self.halves.iter_mut().zip(&digits.halves) {
            for (word, value) in words.iter_mut().zip(values) {
                word[lane] = *value;
            }
        }
        for (word, value) in self.comb.iter_mut().zip(&digits.comb) {
            word[lane] = *value;
        }
    }
}

/// x, beta x and y of (2 e + 1) R on a common Z.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Table<const L: usize>(pub(super) [[LaneLimbs<L>; 3]; ENTRIES]);

impl<const L: usize> Table<L> {
    pub(super) const ZERO: Self = Self([[[[0; L]; 5]; 3]; ENTRIES]);
}

#[inline(always)]
fn put<const L: usize, const G: usize>(
    tables: &mut [Table<L>; G],
    entry: usize,
    field: usize,
    value: &impl Lanes<L, G>,
) {
    for (group, table) in tables.iter_mut().enumerate() {
        value.store(group, &mut table.0[entry][field]);
    }
}

#[inline(always)]
fn get<const L: usize, const G: usize, F: Lanes<L, G>>(tables: &[Table<L>; G], entry: usize, field: usize) -> F {
    F::load(&tables.each_ref().map(|table| table.0[entry][field]))
}

/// R of each lane, and the lanes that have one; the others get G, so that nothing downstream meets a value that is not a point.
#[inline(always)]
fn lift<const L: usize, const G: usize, F: Lanes<L, G>>(groups: &[Group<L>; G]) -> (Ge<F>, [u8; G]) {
    const MINUS_SEVEN: U256 = uint!(0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_FFFFFC28_U256);
    let x = F::load(&groups.each_ref().map(|group| group.x));
    let c = x.sqr().mul_sub(&x, &F::constant(&F::limbs(MINUS_SEVEN.as_limbs())));
    let y = c.sqrt();
    let (words, squares, wanted) = (y.canonical_words(), y.sqr().canonical_words(), c.canonical_words());
    let [mut good, mut flip] = [[0; G]; 2];
    for g in 0..G {
        for lane in 0..L {
            let equal = (0..4).all(|word| squares[g][word][lane] == wanted[g][word][lane]);
            good[g] |= u8::from(equal) << lane;
            flip[g] |= (words[g][0][lane] as u8 & 1) << lane;
        }
        flip[g] ^= groups[g].odd;
    }
    let [g_x, g_y] = GENERATOR.map(|coordinate| F::constant(&F::limbs(coordinate.as_limbs())));
    (Ge { x: g_x.select(&x, &good), y: g_y.select(&y.select(&y.neg(), &flip), &good) }, good)
}

/// Fills the tables as if on Z = 1 and gives their true Z.
///
/// With 2 R = (X, Y, Z), the curve scaled by Z has 2 R at the affine (X, Y): the sums are mixed additions there. Neighbours differ by 2 R, so none
/// is exceptional. Going down from the last entry, each is scaled to that one's Z.
#[inline(always)]
pub(super) fn fill<const L: usize, const G: usize, F: Lanes<L, G>>((tables, r): (&mut [Table<L>; G], &Ge<F>)) -> F {
    let one = F::constant(&F::limbs(&[1, 0, 0, 0]));
    let mut minus_twice = Gej { x: r.x, y: r.y, z: one };
    minus_twice.double_neg();
    let step = Ge { x: minus_twice.x, y: minus_twice.y.neg() };
    let z2 = minus_twice.z.sqr();
    let mut sum = Gej { x: r.x.mul(&z2), y: r.y.mul(&z2.mul(&minus_twice.z)), z: one };
    // Field 1 holds an entry's Z over that of the entry before until beta x goes there.
    for entry in 0..ENTRIES {
        put(tables, entry, 0, &sum.x);
        put(tables, entry, 2, &sum.y);
        if entry + 1 < ENTRIES {
            let ratio = sum.add(&step);
            put(tables, entry + 1, 1, &ratio);
        }
    }
    let beta = F::constant(&F::limbs(BETA.as_limbs()));
    let mut scale = one;
    for entry in (0..ENTRIES).rev() {
        let ratio = if entry > 0 { get(tables, entry, 1) } else { minus_twice.z };
        let scale2 = scale.sqr();
        let x = get::<L, G, F>(tables, entry, 0).mul(&scale2);
        let y = get::<L, G, F>(tables, entry, 2).mul(&scale2.mul(&scale));
        put(tables, entry, 0, &x);
        put(tables, entry, 1, &x.mul(&beta));
        put(tables, entry, 2, &y);
        scale = scale.mul(&ratio);
    }
    scale
}

/// Q in Jacobian coordinates and the lanes whose R is a point.
#[inline(always)]
pub(super) fn run<const L: usize, const G: usize, S: Simd<L>>(
    groups: &[Group<L>; G],
    comb: &Comb<S::Entry>,
) -> (Gej<S::Fe<G>>, [u8; G]) {
    let (r, good) = S::Fe::<G>::outlined(lift, groups);
    let mut tables = [Table::ZERO; G];
    let table_z = S::Fe::<G>::outlined(fill, (&mut tables, &r));
    let first = S::table_lookup(&tables, groups, 0, WINDOWS - 1);
    let mut q = Gej { x: first.x, y: first.y, z: S::Fe::constant(&S::Fe::<G>::limbs(&[1, 0, 0, 0])) };
    for window in (0..WINDOWS).rev() {
        if window + 1 < WINDOWS {
            for _ in 0..4 {
                q.double_neg();
            }
            q.add(&S::table_lookup(&tables, groups, 0, window));
        }
        q.add(&S::table_lookup(&tables, groups, 1, window));
    }
    q.z = q.z.mul(&table_z);
    let mut digits = [[[0; L]; 5]; G];
    for (digits, group) in digits.iter_mut().zip(groups) {
        *digits = group.comb;
    }
    let windows = const { comb::windows(S::COMB_BITS) };
    for window in 0..windows {
        let next = S::comb_lookup(&comb.entries, &digits, window);
        if window + 1 < windows {
            S::comb_prefetch(&comb.entries, &digits, window + 1);
        }
        q.add(&next);
    }
    (q, good)
}
