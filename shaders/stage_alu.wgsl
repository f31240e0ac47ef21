// A stage of `execute`: arithmetic, comparisons, logic and shifts of the operands. Stands in the step loop's body.

let sign_a = a.hi.w >> 31u;
let sign_b = b.hi.w >> 31u;
if (op >= OP_AND && op <= OP_NOT) {
    switch op {
        case OP_AND: { r = U256(a.lo & b.lo, a.hi & b.hi); }
        case OP_OR: { r = U256(a.lo | b.lo, a.hi | b.hi); }
        case OP_XOR: { r = U256(a.lo ^ b.lo, a.hi ^ b.hi); }
        default: { r = U256(~a.lo, ~a.hi); }
    }
} else if (op == OP_ISZERO) {
    r.lo.x = select(0u, 1u, u256_is_zero(a));
} else if (op == OP_CLZ) {
    r.lo.x = u256_clz(a);
} else if (op == OP_SIGNEXTEND || op >= OP_BYTE) {
    // Up to 255 (31 for BYTE and SIGNEXTEND) places; past that nothing of the operand is left, or all of it.
    let bytes = op == OP_BYTE || op == OP_SIGNEXTEND;
    let places = select(min(near_a, 255u), 248u - 8u * min(near_a, 31u), bytes);
    let beyond = near_a > select(255u, 31u, bytes);
    let up = u256_shl(b, select(0u, places, op == OP_SHL || op == OP_SIGNEXTEND));
    let negative = (op == OP_SAR || op == OP_SIGNEXTEND) && (up.hi.w >> 31u) == 1u;
    let fill = select(0u, 0xffffffffu, negative);
    r = u256_shr(up, select(places, 0u, op == OP_SHL), fill);
    if (op == OP_BYTE) { r = u256_from_u32(r.lo.x & 0xffu); }
    if (beyond) {
        r = U256(vec4<u32>(fill), vec4<u32>(fill));
        if (op == OP_SIGNEXTEND) { r = b; }
    }
} else {
    // The adder gives x + y or x - y.
    let swap = op == OP_GT || op == OP_SGT;
    var x = a;
    var y = b;
    if (swap) { x = b; y = a; }
    let mask = select(0xffffffffu, 0u, op == OP_ADD || op == OP_ADDMOD);
    let sum = u256_adc(x, U256(y.lo ^ vec4<u32>(mask), y.hi ^ vec4<u32>(mask)), mask & 1u);
    switch op {
        case OP_LT, OP_GT: { r.lo.x = 1u - sum.c; }
        case OP_SLT, OP_SGT: { r.lo.x = select(1u - sum.c, x.hi.w >> 31u, sign_a != sign_b); }
        case OP_EQ: { r.lo.x = select(0u, 1u, u256_is_zero(sum.s)); }
        default: { r = sum.s; }
    }

    if (op != OP_ADD && op < OP_SIGNEXTEND && op != OP_SUB) {
        // Multiply; EXP two multiplications a bit of the exponent. What is divided by the third operand is the whole sum
        // or product.
        var product = U512(sum.s, u256_from_u32(sum.c));
        var turns = 0u;
        if (op == OP_EXP) {
            let bits = 256u - u256_clz(b);
            turns = 2u * bits;
            cost += 50u * ((bits + 7u) >> 3u);
            r = u256_from_u32(1u);
        }
        if (op == OP_MUL || op == OP_MULMOD || turns != 0u) {
            product = u256_power(a, b, turns);
            r = product.low;
        }
        work += turns >> 2u;

        // Divide.
        if (op >= OP_DIV && op <= OP_MULMOD) {
            let is_signed = op == OP_SDIV || op == OP_SMOD;
            var numerator = product;
            var divisor = c;
            if (op <= OP_SMOD) {
                numerator = U512(u256_neg_if(a, is_signed && sign_a == 1u), u256_zero());
                divisor = u256_neg_if(b, is_signed && sign_b == 1u);
            }
            let result = u256_divide(numerator, divisor);
            if (op == OP_DIV || op == OP_SDIV) {
                r = u256_neg_if(result.quotient, is_signed && sign_a != sign_b);
            } else {
                r = u256_neg_if(result.rest, is_signed && sign_a == 1u);
            }
            work += 4u;
        }
    }
}
