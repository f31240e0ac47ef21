//! Q = u2 R + u1 G for `G` groups of eight lanes: lift, table of R, ladder, comb.

use super::{
    comb,
    fe::{self, Fe, LaneWords},
    gej::{Ge, Gej},
};
use alloy_primitives::{U256, uint};
use core::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm512_mask_blend_epi64, _mm512_set1_epi64, _mm512_srl_epi64, _mm512_test_epi64_mask,
    _mm512_testn_epi64_mask,
};
use secp256k1::constants;

const BETA: U256 = uint!(0x7AE96A2B_657C0710_6E64479E_AC3434E9_9CF04975_12F58995_C1396C28_719501EE_U256);
const BETA_LIMBS: [u64; 5] = fe::limbs(BETA.as_limbs());

/// Windows of 4 bits of a half of u2, and the odd multiples that their digits stand for.
const WINDOWS: usize = 33;
const ENTRIES: usize = 8;

/// One group's signatures as the ladder reads them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// x of R.
    pub(crate) x: LaneWords,
    /// The lanes whose y of R is odd.
    pub(crate) odd: u8,
    /// The halves of u2, recoded.
    pub(crate) halves: [[[u64; 8]; 3]; 2],
    /// u1, recoded; the last word is zero.
    pub(crate) comb: [[u64; 8]; 5],
}

/// x, beta x and y of (2 e + 1) R on a common Z.
#[derive(Debug)]
#[repr(align(64))]
struct Table([[LaneWords; 3]; ENTRIES]);

impl Table {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn put<const G: usize>(tables: &mut [Self; G], entry: usize, field: usize, value: &Fe<G>) {
        for g in 0..G {
            for i in 0..5 {
                fe::store(&mut tables[g].0[entry][field][i], value.0[g][i]);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn get<const G: usize>(tables: &[Self; G], entry: usize, field: usize) -> Fe<G> {
        let mut out = Fe::zero();
        for g in 0..G {
            for i in 0..5 {
                out.0[g][i] = fe::load(&tables[g].0[entry][field][i]);
            }
        }
        out
    }

    /// For each lane the limb of `field` of the entry whose bits the masks hold.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
    fn pick(&self, field: usize, limb: usize, bits: [u8; 3]) -> __m512i {
        let pair = |e: usize| {
            let [even, odd] = [0, 1].map(|bit| fe::load(&self.0[e + bit][field][limb]));
            _mm512_mask_blend_epi64(bits[0], even, odd)
        };
        let low = _mm512_mask_blend_epi64(bits[1], pair(0), pair(2));
        let high = _mm512_mask_blend_epi64(bits[1], pair(4), pair(6));
        _mm512_mask_blend_epi64(bits[2], low, high)
    }

    /// For each lane the point that its digit in window `window` of half `half` stands for. A tree of blends: eight entries are too few for a gather.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
    fn lookup<const G: usize>(tables: &[Self; G], groups: &[Group; G], half: usize, window: usize) -> Ge<G> {
        let mut out = Ge { x: Fe::zero(), y: Fe::zero() };
        let (word, shift) = (window / 16, _mm_cvtsi64_si128((4 * window % 64) as i64));
        let mut negative = [0; G];
        for g in 0..G {
            let digit = _mm512_srl_epi64(fe::load(&groups[g].halves[half][word]), shift);
            // A digit d stands for entry d - 8 or, negated, 7 - d: the low bits flipped.
            negative[g] = _mm512_testn_epi64_mask(digit, _mm512_set1_epi64(8));
            let bits = [1, 2, 4].map(|bit| negative[g] ^ _mm512_test_epi64_mask(digit, _mm512_set1_epi64(bit)));
            for i in 0..5 {
                out.x.0[g][i] = tables[g].pick(half, i, bits);
                out.y.0[g][i] = tables[g].pick(2, i, bits);
            }
        }
        out.y = out.y.neg_if(&negative);
        out
    }
}

/// R of each lane, and the lanes that have one; the others get G, so that nothing downstream meets a value that is not a point.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn lift<const G: usize>(groups: &[Group; G]) -> (Ge<G>, [u8; G]) {
    let mut words = [[[0; 8]; 5]; G];
    for g in 0..G {
        words[g] = groups[g].x;
    }
    let x = Fe::load(&words);
    let c = x.sqr().mul_plus(&x, &Fe::small(7));
    let y = c.sqrt();
    let good = y.sqr().canonical().equal(&c.canonical());
    let y = y.canonical();
    let mut flip = y.odd();
    let mut bad = good;
    for g in 0..G {
        flip[g] ^= groups[g].odd;
        bad[g] = !good[g];
    }
    let y = y.select(&y.neg(), &flip);
    let g_x = Fe::constant(const { &fe::limbs(U256::from_be_bytes(constants::GENERATOR_X).as_limbs()) });
    let g_y = Fe::constant(const { &fe::limbs(U256::from_be_bytes(constants::GENERATOR_Y).as_limbs()) });
    (Ge { x: x.select(&g_x, &bad), y: y.select(&g_y, &bad) }, good)
}

/// Fills the tables as if on Z = 1 and gives their true Z.
///
/// With 2 R = (X, Y, Z), the curve scaled by Z has 2 R at the affine (X, Y): the sums are mixed additions there. Neighbours differ by 2 R, so none
/// is exceptional. Going down from the last entry, each is scaled to that one's Z.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn fill<const G: usize>(tables: &mut [Table; G], r: &Ge<G>) -> Fe<G> {
    let one = Fe::small(1);
    let mut minus_twice = Gej { x: r.x, y: r.y, z: one };
    minus_twice.double_neg();
    let step = Ge { x: minus_twice.x, y: minus_twice.y.neg() };
    let z2 = minus_twice.z.sqr();
    let mut sum = Gej { x: r.x.mul(&z2), y: r.y.mul(&z2.mul(&minus_twice.z)), z: one };
    // Field 1 holds an entry's Z over that of the entry before until beta x goes there.
    for entry in 0..ENTRIES {
        Table::put(tables, entry, 0, &sum.x);
        Table::put(tables, entry, 2, &sum.y);
        if entry + 1 < ENTRIES {
            let ratio = sum.add(&step);
            Table::put(tables, entry + 1, 1, &ratio);
        }
    }
    let beta = Fe::constant(&BETA_LIMBS);
    let mut scale = one;
    for entry in (0..ENTRIES).rev() {
        let ratio = if entry > 0 { Table::get(tables, entry, 1) } else { minus_twice.z };
        let scale2 = scale.sqr();
        let x = Table::get(tables, entry, 0).mul(&scale2);
        let y = Table::get(tables, entry, 2).mul(&scale2.mul(&scale));
        Table::put(tables, entry, 0, &x);
        Table::put(tables, entry, 1, &x.mul(&beta));
        Table::put(tables, entry, 2, &y);
        scale = scale.mul(&ratio);
    }
    scale
}

/// Q in Jacobian coordinates and the lanes whose R is a point.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(crate) fn run<const G: usize>(groups: &[Group; G], comb_table: &[comb::Entry]) -> (Gej<G>, [u8; G]) {
    let (r, good) = lift(groups);
    let mut tables = [const { Table([[[[0; 8]; 5]; 3]; ENTRIES]) }; G];
    let table_z = fill(&mut tables, &r);
    let first = Table::lookup(&tables, groups, 0, WINDOWS - 1);
    let mut q = Gej { x: first.x, y: first.y, z: Fe::small(1) };
    for window in (0..WINDOWS).rev() {
        if window + 1 < WINDOWS {
            for _ in 0..4 {
                q.double_neg();
            }
            q.add(&Table::lookup(&tables, groups, 0, window));
        }
        q.add(&Table::lookup(&tables, groups, 1, window));
    }
    q.z = q.z.mul(&table_z);
    let mut words = [[[0; 8]; 5]; G];
    for g in 0..G {
        words[g] = groups[g].comb;
    }
    for window in 0..comb::WINDOWS {
        let next = comb::lookup(comb_table, &words, window);
        if window + 1 < comb::WINDOWS {
            comb::prefetch(comb_table, &words, window + 1);
        }
        q.add(&next);
    }
    (q, good)
}
