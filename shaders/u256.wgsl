// 256-bit words in registers: two vec4 of 32-bit limbs, least significant first, so that a word moves to and from
// storage in two accesses. Every function is pure and branch-free; the caller keeps the number of call sites low,
// because drivers inline them all.

struct U256 {
    lo: vec4<u32>,
    hi: vec4<u32>,
}

// Four limbs and what was carried out of them.
struct U128Carry {
    s: vec4<u32>,
    c: u32,
}

struct U256Carry {
    s: U256,
    c: u32,
}

const U256_ONES: vec4<u32> = vec4<u32>(0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu);

fn u256_zero() -> U256 {
    return U256(vec4<u32>(), vec4<u32>());
}

fn u256_from_u32(x: u32) -> U256 {
    return U256(vec4<u32>(x, 0u, 0u, 0u), vec4<u32>());
}

fn u256_is_zero(a: U256) -> bool {
    return all((a.lo | a.hi) == vec4<u32>());
}

fn u256_eq(a: U256, b: U256) -> bool {
    return all(((a.lo ^ b.lo) | (a.hi ^ b.hi)) == vec4<u32>());
}

// Whether a < 2^32, that is, a fits its lowest limb.
fn u256_is_u32(a: U256) -> bool {
    return all((vec4<u32>(0u, a.lo.yzw) | a.hi) == vec4<u32>());
}

// The value, or 2^32-1 where it does not fit 32 bits.
fn u256_saturate(a: U256) -> u32 {
    let rest = a.hi | vec4<u32>(a.lo.yzw, 0u);
    return select(0xffffffffu, a.lo.x, all(rest == vec4<u32>()));
}

// a + b + carry; carry is 0 or 1. Generate and propagate bits first, so that only four steps are serial.
fn u128_adc(a: vec4<u32>, b: vec4<u32>, carry: u32) -> U128Carry {
    let s = a + b;
    let g = select(vec4<u32>(), vec4<u32>(1u), s < a);
    let p = select(vec4<u32>(), vec4<u32>(1u), s == U256_ONES);
    let c1 = g.x | (p.x & carry);
    let c2 = g.y | (p.y & c1);
    let c3 = g.z | (p.z & c2);
    return U128Carry(s + vec4<u32>(carry, c1, c2, c3), g.w | (p.w & c3));
}

fn u256_adc(a: U256, b: U256, carry: u32) -> U256Carry {
    let lo = u128_adc(a.lo, b.lo, carry);
    let hi = u128_adc(a.hi, b.hi, lo.c);
    return U256Carry(U256(lo.s, hi.s), hi.c);
}

// a - b; the carry is 1 iff a >= b.
fn u256_sbb(a: U256, b: U256) -> U256Carry {
    return u256_adc(a, U256(~b.lo, ~b.hi), 1u);
}

// a if !negate, else -a.
fn u256_neg_if(a: U256, negate: bool) -> U256 {
    let m = select(0u, 0xffffffffu, negate);
    return u256_adc(U256(a.lo ^ vec4<u32>(m), a.hi ^ vec4<u32>(m)), u256_zero(), m & 1u).s;
}

// a << 1 with `bit` (0 or 1) entering at the bottom; the carry is the bit that left at the top.
fn u256_shl1(a: U256, bit: u32) -> U256Carry {
    let lo = (a.lo << vec4<u32>(1u)) | (vec4<u32>(bit << 31u, a.lo.xyz) >> vec4<u32>(31u));
    let hi = (a.hi << vec4<u32>(1u)) | (vec4<u32>(a.lo.w, a.hi.xyz) >> vec4<u32>(31u));
    return U256Carry(U256(lo, hi), a.hi.w >> 31u);
}

// a << n for n in 0..=255.
fn u256_shl(a: U256, n: u32) -> U256 {
    var lo = a.lo;
    var hi = a.hi;
    if ((n & 128u) != 0u) { hi = lo; lo = vec4<u32>(); }
    if ((n & 64u) != 0u) { hi = vec4<u32>(lo.zw, hi.xy); lo = vec4<u32>(0u, 0u, lo.xy); }
    if ((n & 32u) != 0u) { hi = vec4<u32>(lo.w, hi.xyz); lo = vec4<u32>(0u, lo.xyz); }
    let k = vec4<u32>(n & 31u);
    // Two shifts, since a shift by 32 is not defined.
    let carry_hi = (vec4<u32>(lo.w, hi.xyz) >> (vec4<u32>(31u) - k)) >> vec4<u32>(1u);
    let carry_lo = (vec4<u32>(0u, lo.xyz) >> (vec4<u32>(31u) - k)) >> vec4<u32>(1u);
    return U256((lo << k) | carry_lo, (hi << k) | carry_hi);
}

// a >> n for n in 0..=255, with `fill` (0 or 2^32-1) entering at the top.
fn u256_shr(a: U256, n: u32, fill: u32) -> U256 {
    var lo = a.lo;
    var hi = a.hi;
    if ((n & 128u) != 0u) { lo = hi; hi = vec4<u32>(fill); }
    if ((n & 64u) != 0u) { lo = vec4<u32>(lo.zw, hi.xy); hi = vec4<u32>(hi.zw, fill, fill); }
    if ((n & 32u) != 0u) { lo = vec4<u32>(lo.yzw, hi.x); hi = vec4<u32>(hi.yzw, fill); }
    let k = vec4<u32>(n & 31u);
    let carry_lo = (vec4<u32>(lo.yzw, hi.x) << (vec4<u32>(31u) - k)) << vec4<u32>(1u);
    let carry_hi = (vec4<u32>(hi.yzw, fill) << (vec4<u32>(31u) - k)) << vec4<u32>(1u);
    return U256((lo >> k) | carry_lo, (hi >> k) | carry_hi);
}

// Leading zero bits of four limbs; 128 where all are zero.
fn u128_clz(a: vec4<u32>) -> u32 {
    if (a.w != 0u) { return countLeadingZeros(a.w); }
    if (a.z != 0u) { return 32u + countLeadingZeros(a.z); }
    if (a.y != 0u) { return 64u + countLeadingZeros(a.y); }
    return 96u + countLeadingZeros(a.x);
}

// Leading zero bits; 256 for zero.
fn u256_clz(a: U256) -> u32 {
    let high = all(a.hi == vec4<u32>());
    return u128_clz(select(a.hi, a.lo, high)) + select(0u, 128u, high);
}

struct Wide4 {
    lo: vec4<u32>,
    hi: vec4<u32>,
}

// The four 64-bit products x * y[i].
fn u32_mul_wide4(x: u32, y: vec4<u32>) -> Wide4 {
//#if U64
    let p = vec4<u64>(u64(x)) * vec4<u64>(y);
    return Wide4(vec4<u32>(p), vec4<u32>(p >> vec4<u32>(32u)));
//#else
    let mask = vec4<u32>(0xffffu);
    let half = vec4<u32>(16u);
    let x0 = vec4<u32>(x & 0xffffu);
    let x1 = vec4<u32>(x >> 16u);
    let y0 = y & mask;
    let y1 = y >> half;
    let low = x0 * y0;
    let mid = x1 * y0 + (low >> half);
    let mid2 = x0 * y1 + (mid & mask);
    return Wide4((mid2 << half) | (low & mask), x1 * y1 + (mid >> half) + (mid2 >> half));
//#endif
}

// The low and high half of x * y. One row a turn: the lowest limb of the accumulator is final and moves into `low`,
// so that no array is indexed at run time.
struct U512 {
    low: U256,
    high: U256,
}

fn u256_mul_wide(x_in: U256, y: U256) -> U512 {
    var x = x_in;
    var low = u256_zero();
    var acc = u256_zero();
    for (var i = 0u; i < 8u; i++) {
        let p0 = u32_mul_wide4(x.lo.x, y.lo);
        let p1 = u32_mul_wide4(x.lo.x, y.hi);
        let first = u256_adc(acc, U256(p0.lo, p1.lo), 0u);
        low = U256(vec4<u32>(low.lo.yzw, low.hi.x), vec4<u32>(low.hi.yzw, first.s.lo.x));
        let shifted = U256(vec4<u32>(first.s.lo.yzw, first.s.hi.x), vec4<u32>(first.s.hi.yzw, first.c));
        acc = u256_adc(shifted, U256(p0.hi, p1.hi), 0u).s;
        x = U256(vec4<u32>(x.lo.yzw, x.hi.x), vec4<u32>(x.hi.yzw, 0u));
    }
    return U512(low, acc);
}

// Byte order of a limb turned round.
fn u32_swap4(w: vec4<u32>) -> vec4<u32> {
    let t = ((w & vec4<u32>(0x00ff00ffu)) << vec4<u32>(8u)) | ((w >> vec4<u32>(8u)) & vec4<u32>(0x00ff00ffu));
    return (t << vec4<u32>(16u)) | (t >> vec4<u32>(16u));
}

// a * b where `turns` is zero; else a to the power of b > 0 in the low half, `turns` being twice the bits of b.
// Square and multiply from the top bit: odd turns square, even turns multiply where the bit is set.
fn u256_power(a: U256, b: U256, turns: u32) -> U512 {
    var product = U512(u256_zero(), u256_zero());
    var acc = a;
    var turn = 1u;
    if (turns != 0u) {
        acc = u256_from_u32(1u);
        turn = turns;
    }
    loop {
        if (turn == 0u) { break; }
        turn -= 1u;
        var factor = b;
        var skip = false;
        if (turns != 0u) {
            let bit = turn >> 1u;
            let limb = select(b.lo[(bit >> 5u) & 3u], b.hi[(bit >> 5u) & 3u], bit >= 128u);
            factor = acc;
            if ((turn & 1u) == 0u) {
                factor = a;
                skip = ((limb >> (bit & 31u)) & 1u) == 0u;
            }
        }
        if (!skip) {
            product = u256_mul_wide(acc, factor);
            acc = product.low;
        }
    }
    return product;
}

struct Division {
    quotient: U256,
    rest: U256,
}

// The low half of the quotient, and the rest; both zero where the divisor is. One quotient bit a turn, entering where
// the numerator leaves; the high half first, if there is one, then the low half with what is left over.
fn u256_divide(numerator: U512, divisor: U256) -> Division {
    var quotient = u256_zero();
    var rest = u256_zero();
    var halves = select(2u, 1u, u256_is_zero(numerator.high));
    if (u256_is_zero(divisor)) { halves = 0u; }
    loop {
        if (halves == 0u) { break; }
        halves -= 1u;
        quotient = numerator.low;
        if (halves == 1u) { quotient = numerator.high; }
        var turns = 256u;
        if (u256_is_zero(rest)) {
            // Leading zeros yield nothing.
            let zeros = u256_clz(quotient);
            turns -= zeros;
            quotient = u256_shl(quotient, zeros & 255u);
        }
        loop {
            if (turns == 0u) { break; }
            turns -= 1u;
            let shifted = u256_shl1(rest, quotient.hi.w >> 31u);
            let reduced = u256_sbb(shifted.s, divisor);
            let bit = shifted.c | reduced.c;
            rest = shifted.s;
            if (bit == 1u) { rest = reduced.s; }
            quotient = u256_shl1(quotient, bit).s;
        }
    }
    return Division(quotient, rest);
}
