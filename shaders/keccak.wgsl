// keccak-f[1600] and the absorbing of 32-bit words (FIPS 202 permutation, the original keccak padding byte 0x01).
//
// The state is 25 lanes of 64 bits as low/high pairs: words 2 i and 2 i + 1 are lane i = x + 5 y. Byte order in a word is
// memory order, so absorbing and squeezing copy words. Everything is indexed with constants, which keeps the state in
// registers; code size is one round. Drivers inline all calls: call keccak_f1600 from one place, in a loop.

const KECCAK_RATE_WORDS: u32 = 34u;

const KECCAK_RC_LO = array<u32, 24>(
    0x00000001u, 0x00008082u, 0x0000808au, 0x80008000u, 0x0000808bu, 0x80000001u,
    0x80008081u, 0x00008009u, 0x0000008au, 0x00000088u, 0x80008009u, 0x8000000au,
    0x8000808bu, 0x0000008bu, 0x00008089u, 0x00008003u, 0x00008002u, 0x00000080u,
    0x0000800au, 0x8000000au, 0x80008081u, 0x00008080u, 0x80000001u, 0x80008008u);

const KECCAK_RC_HI = array<u32, 24>(
    0x00000000u, 0x00000000u, 0x80000000u, 0x80000000u, 0x00000000u, 0x00000000u,
    0x80000000u, 0x80000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x00000000u, 0x80000000u, 0x80000000u, 0x80000000u, 0x80000000u, 0x80000000u,
    0x00000000u, 0x80000000u, 0x80000000u, 0x80000000u, 0x00000000u, 0x80000000u);

fn keccak_f1600(state: ptr<function, array<u32, 50>>) {
    var a = *state;
    for (var round = 0u; round < 24u; round++) {
        // theta
        let c0l = a[0] ^ a[10] ^ a[20] ^ a[30] ^ a[40];
        let c0h = a[1] ^ a[11] ^ a[21] ^ a[31] ^ a[41];
        let c1l = a[2] ^ a[12] ^ a[22] ^ a[32] ^ a[42];
        let c1h = a[3] ^ a[13] ^ a[23] ^ a[33] ^ a[43];
        let c2l = a[4] ^ a[14] ^ a[24] ^ a[34] ^ a[44];
        let c2h = a[5] ^ a[15] ^ a[25] ^ a[35] ^ a[45];
        let c3l = a[6] ^ a[16] ^ a[26] ^ a[36] ^ a[46];
        let c3h = a[7] ^ a[17] ^ a[27] ^ a[37] ^ a[47];
        let c4l = a[8] ^ a[18] ^ a[28] ^ a[38] ^ a[48];
        let c4h = a[9] ^ a[19] ^ a[29] ^ a[39] ^ a[49];
        let d0l = c4l ^ (c1l << 1u) ^ (c1h >> 31u);
        let d0h = c4h ^ (c1h << 1u) ^ (c1l >> 31u);
        let d1l = c0l ^ (c2l << 1u) ^ (c2h >> 31u);
        let d1h = c0h ^ (c2h << 1u) ^ (c2l >> 31u);
        let d2l = c1l ^ (c3l << 1u) ^ (c3h >> 31u);
        let d2h = c1h ^ (c3h << 1u) ^ (c3l >> 31u);
        let d3l = c2l ^ (c4l << 1u) ^ (c4h >> 31u);
        let d3h = c2h ^ (c4h << 1u) ^ (c4l >> 31u);
        let d4l = c3l ^ (c0l << 1u) ^ (c0h >> 31u);
        let d4h = c3h ^ (c0h << 1u) ^ (c0l >> 31u);
        // theta's xor, rho and pi: b is lane (y, 2 x + 3 y) of the new state
        let e0l = a[0] ^ d0l;
        let e0h = a[1] ^ d0h;
        let b0l = e0l;
        let b0h = e0h;
        let e5l = a[10] ^ d0l;
        let e5h = a[11] ^ d0h;
        let b16l = (e5h << 4u) | (e5l >> 28u);
        let b16h = (e5l << 4u) | (e5h >> 28u);
        let e10l = a[20] ^ d0l;
        let e10h = a[21] ^ d0h;
        let b7l = (e10l << 3u) | (e10h >> 29u);
        let b7h = (e10h << 3u) | (e10l >> 29u);
        let e15l = a[30] ^ d0l;
        let e15h = a[31] ^ d0h;
        let b23l = (e15h << 9u) | (e15l >> 23u);
        let b23h = (e15l << 9u) | (e15h >> 23u);
        let e20l = a[40] ^ d0l;
        let e20h = a[41] ^ d0h;
        let b14l = (e20l << 18u) | (e20h >> 14u);
        let b14h = (e20h << 18u) | (e20l >> 14u);
        let e1l = a[2] ^ d1l;
        let e1h = a[3] ^ d1h;
        let b10l = (e1l << 1u) | (e1h >> 31u);
        let b10h = (e1h << 1u) | (e1l >> 31u);
        let e6l = a[12] ^ d1l;
        let e6h = a[13] ^ d1h;
        let b1l = (e6h << 12u) | (e6l >> 20u);
        let b1h = (e6l << 12u) | (e6h >> 20u);
        let e11l = a[22] ^ d1l;
        let e11h = a[23] ^ d1h;
        let b17l = (e11l << 10u) | (e11h >> 22u);
        let b17h = (e11h << 10u) | (e11l >> 22u);
        let e16l = a[32] ^ d1l;
        let e16h = a[33] ^ d1h;
        let b8l = (e16h << 13u) | (e16l >> 19u);
        let b8h = (e16l << 13u) | (e16h >> 19u);
        let e21l = a[42] ^ d1l;
        let e21h = a[43] ^ d1h;
        let b24l = (e21l << 2u) | (e21h >> 30u);
        let b24h = (e21h << 2u) | (e21l >> 30u);
        let e2l = a[4] ^ d2l;
        let e2h = a[5] ^ d2h;
        let b20l = (e2h << 30u) | (e2l >> 2u);
        let b20h = (e2l << 30u) | (e2h >> 2u);
        let e7l = a[14] ^ d2l;
        let e7h = a[15] ^ d2h;
        let b11l = (e7l << 6u) | (e7h >> 26u);
        let b11h = (e7h << 6u) | (e7l >> 26u);
        let e12l = a[24] ^ d2l;
        let e12h = a[25] ^ d2h;
        let b2l = (e12h << 11u) | (e12l >> 21u);
        let b2h = (e12l << 11u) | (e12h >> 21u);
        let e17l = a[34] ^ d2l;
        let e17h = a[35] ^ d2h;
        let b18l = (e17l << 15u) | (e17h >> 17u);
        let b18h = (e17h << 15u) | (e17l >> 17u);
        let e22l = a[44] ^ d2l;
        let e22h = a[45] ^ d2h;
        let b9l = (e22h << 29u) | (e22l >> 3u);
        let b9h = (e22l << 29u) | (e22h >> 3u);
        let e3l = a[6] ^ d3l;
        let e3h = a[7] ^ d3h;
        let b5l = (e3l << 28u) | (e3h >> 4u);
        let b5h = (e3h << 28u) | (e3l >> 4u);
        let e8l = a[16] ^ d3l;
        let e8h = a[17] ^ d3h;
        let b21l = (e8h << 23u) | (e8l >> 9u);
        let b21h = (e8l << 23u) | (e8h >> 9u);
        let e13l = a[26] ^ d3l;
        let e13h = a[27] ^ d3h;
        let b12l = (e13l << 25u) | (e13h >> 7u);
        let b12h = (e13h << 25u) | (e13l >> 7u);
        let e18l = a[36] ^ d3l;
        let e18h = a[37] ^ d3h;
        let b3l = (e18l << 21u) | (e18h >> 11u);
        let b3h = (e18h << 21u) | (e18l >> 11u);
        let e23l = a[46] ^ d3l;
        let e23h = a[47] ^ d3h;
        let b19l = (e23h << 24u) | (e23l >> 8u);
        let b19h = (e23l << 24u) | (e23h >> 8u);
        let e4l = a[8] ^ d4l;
        let e4h = a[9] ^ d4h;
        let b15l = (e4l << 27u) | (e4h >> 5u);
        let b15h = (e4h << 27u) | (e4l >> 5u);
        let e9l = a[18] ^ d4l;
        let e9h = a[19] ^ d4h;
        let b6l = (e9l << 20u) | (e9h >> 12u);
        let b6h = (e9h << 20u) | (e9l >> 12u);
        let e14l = a[28] ^ d4l;
        let e14h = a[29] ^ d4h;
        let b22l = (e14h << 7u) | (e14l >> 25u);
        let b22h = (e14l << 7u) | (e14h >> 25u);
        let e19l = a[38] ^ d4l;
        let e19h = a[39] ^ d4h;
        let b13l = (e19l << 8u) | (e19h >> 24u);
        let b13h = (e19h << 8u) | (e19l >> 24u);
        let e24l = a[48] ^ d4l;
        let e24h = a[49] ^ d4h;
        let b4l = (e24l << 14u) | (e24h >> 18u);
        let b4h = (e24h << 14u) | (e24l >> 18u);
        // chi
        a[0] = b0l ^ (~b1l & b2l);
        a[1] = b0h ^ (~b1h & b2h);
        a[2] = b1l ^ (~b2l & b3l);
        a[3] = b1h ^ (~b2h & b3h);
        a[4] = b2l ^ (~b3l & b4l);
        a[5] = b2h ^ (~b3h & b4h);
        a[6] = b3l ^ (~b4l & b0l);
        a[7] = b3h ^ (~b4h & b0h);
        a[8] = b4l ^ (~b0l & b1l);
        a[9] = b4h ^ (~b0h & b1h);
        a[10] = b5l ^ (~b6l & b7l);
        a[11] = b5h ^ (~b6h & b7h);
        a[12] = b6l ^ (~b7l & b8l);
        a[13] = b6h ^ (~b7h & b8h);
        a[14] = b7l ^ (~b8l & b9l);
        a[15] = b7h ^ (~b8h & b9h);
        a[16] = b8l ^ (~b9l & b5l);
        a[17] = b8h ^ (~b9h & b5h);
        a[18] = b9l ^ (~b5l & b6l);
        a[19] = b9h ^ (~b5h & b6h);
        a[20] = b10l ^ (~b11l & b12l);
        a[21] = b10h ^ (~b11h & b12h);
        a[22] = b11l ^ (~b12l & b13l);
        a[23] = b11h ^ (~b12h & b13h);
        a[24] = b12l ^ (~b13l & b14l);
        a[25] = b12h ^ (~b13h & b14h);
        a[26] = b13l ^ (~b14l & b10l);
        a[27] = b13h ^ (~b14h & b10h);
        a[28] = b14l ^ (~b10l & b11l);
        a[29] = b14h ^ (~b10h & b11h);
        a[30] = b15l ^ (~b16l & b17l);
        a[31] = b15h ^ (~b16h & b17h);
        a[32] = b16l ^ (~b17l & b18l);
        a[33] = b16h ^ (~b17h & b18h);
        a[34] = b17l ^ (~b18l & b19l);
        a[35] = b17h ^ (~b18h & b19h);
        a[36] = b18l ^ (~b19l & b15l);
        a[37] = b18h ^ (~b19h & b15h);
        a[38] = b19l ^ (~b15l & b16l);
        a[39] = b19h ^ (~b15h & b16h);
        a[40] = b20l ^ (~b21l & b22l);
        a[41] = b20h ^ (~b21h & b22h);
        a[42] = b21l ^ (~b22l & b23l);
        a[43] = b21h ^ (~b22h & b23h);
        a[44] = b22l ^ (~b23l & b24l);
        a[45] = b22h ^ (~b23h & b24h);
        a[46] = b23l ^ (~b24l & b20l);
        a[47] = b23h ^ (~b24h & b20h);
        a[48] = b24l ^ (~b20l & b21l);
        a[49] = b24h ^ (~b20h & b21h);
        // iota
        a[0] ^= KECCAK_RC_LO[round];
        a[1] ^= KECCAK_RC_HI[round];
    }
    *state = a;
}

// Xors `word` into rate word `position`, known at run time only. In: position < 34; others change nothing.
fn keccak_absorb_word(state: ptr<function, array<u32, 50>>, position: u32, word: u32) {
    (*state)[0] ^= select(0u, word, position == 0u);
    (*state)[1] ^= select(0u, word, position == 1u);
    (*state)[2] ^= select(0u, word, position == 2u);
    (*state)[3] ^= select(0u, word, position == 3u);
    (*state)[4] ^= select(0u, word, position == 4u);
    (*state)[5] ^= select(0u, word, position == 5u);
    (*state)[6] ^= select(0u, word, position == 6u);
    (*state)[7] ^= select(0u, word, position == 7u);
    (*state)[8] ^= select(0u, word, position == 8u);
    (*state)[9] ^= select(0u, word, position == 9u);
    (*state)[10] ^= select(0u, word, position == 10u);
    (*state)[11] ^= select(0u, word, position == 11u);
    (*state)[12] ^= select(0u, word, position == 12u);
    (*state)[13] ^= select(0u, word, position == 13u);
    (*state)[14] ^= select(0u, word, position == 14u);
    (*state)[15] ^= select(0u, word, position == 15u);
    (*state)[16] ^= select(0u, word, position == 16u);
    (*state)[17] ^= select(0u, word, position == 17u);
    (*state)[18] ^= select(0u, word, position == 18u);
    (*state)[19] ^= select(0u, word, position == 19u);
    (*state)[20] ^= select(0u, word, position == 20u);
    (*state)[21] ^= select(0u, word, position == 21u);
    (*state)[22] ^= select(0u, word, position == 22u);
    (*state)[23] ^= select(0u, word, position == 23u);
    (*state)[24] ^= select(0u, word, position == 24u);
    (*state)[25] ^= select(0u, word, position == 25u);
    (*state)[26] ^= select(0u, word, position == 26u);
    (*state)[27] ^= select(0u, word, position == 27u);
    (*state)[28] ^= select(0u, word, position == 28u);
    (*state)[29] ^= select(0u, word, position == 29u);
    (*state)[30] ^= select(0u, word, position == 30u);
    (*state)[31] ^= select(0u, word, position == 31u);
    (*state)[32] ^= select(0u, word, position == 32u);
    (*state)[33] ^= select(0u, word, position == 33u);
}
