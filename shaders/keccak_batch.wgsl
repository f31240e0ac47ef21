// keccak256 of many messages: one lane, one message of any length.

//#include "abi.wgsl"
//#include "keccak.wgsl"

@group(0) @binding(0) var<uniform> params: BatchParams;
// Per message: offset in the arena in words, length in bytes.
@group(0) @binding(1) var<storage, read> messages: array<vec2<u32>>;
// Message bytes in memory order; each message starts at a word. The host checks that offset + length is inside.
@group(0) @binding(2) var<storage, read> arena: array<u32>;
// Per message: the digest's 32 bytes in memory order.
@group(0) @binding(3) var<storage, read_write> digests: array<vec4<u32>>;

// Word `index` of a message of `length` bytes at `offset`, bytes past the end as zero. Without branches, since there are 34
// in a row; what is past the end reads the arena's first word instead.
fn message_word(offset: u32, length: u32, index: u32) -> u32 {
    let whole = length >> 2u;
    let part = index == whole && (length & 3u) != 0u;
    let held = index < whole || part;
    let word = arena[select(0u, offset + index, held)];
    return select(0u, select(word, word & ((1u << ((length & 3u) * 8u)) - 1u), part), held);
}

@compute @workgroup_size(64)
fn keccak_batch(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.count) {
        return;
    }
    let offset = messages[id.x].x;
    let length = messages[id.x].y;
    let last = length / 136u;
    var state = array<u32, 50>();
    // The last block holds 0..135 bytes and the padding: a message that fills its blocks gets one more.
    for (var block = 0u; block <= last; block++) {
        let base = block * KECCAK_RATE_WORDS;
        state[0] ^= message_word(offset, length, base + 0u);
        state[1] ^= message_word(offset, length, base + 1u);
        state[2] ^= message_word(offset, length, base + 2u);
        state[3] ^= message_word(offset, length, base + 3u);
        state[4] ^= message_word(offset, length, base + 4u);
        state[5] ^= message_word(offset, length, base + 5u);
        state[6] ^= message_word(offset, length, base + 6u);
        state[7] ^= message_word(offset, length, base + 7u);
        state[8] ^= message_word(offset, length, base + 8u);
        state[9] ^= message_word(offset, length, base + 9u);
        state[10] ^= message_word(offset, length, base + 10u);
        state[11] ^= message_word(offset, length, base + 11u);
        state[12] ^= message_word(offset, length, base + 12u);
        state[13] ^= message_word(offset, length, base + 13u);
        state[14] ^= message_word(offset, length, base + 14u);
        state[15] ^= message_word(offset, length, base + 15u);
        state[16] ^= message_word(offset, length, base + 16u);
        state[17] ^= message_word(offset, length, base + 17u);
        state[18] ^= message_word(offset, length, base + 18u);
        state[19] ^= message_word(offset, length, base + 19u);
        state[20] ^= message_word(offset, length, base + 20u);
        state[21] ^= message_word(offset, length, base + 21u);
        state[22] ^= message_word(offset, length, base + 22u);
        state[23] ^= message_word(offset, length, base + 23u);
        state[24] ^= message_word(offset, length, base + 24u);
        state[25] ^= message_word(offset, length, base + 25u);
        state[26] ^= message_word(offset, length, base + 26u);
        state[27] ^= message_word(offset, length, base + 27u);
        state[28] ^= message_word(offset, length, base + 28u);
        state[29] ^= message_word(offset, length, base + 29u);
        state[30] ^= message_word(offset, length, base + 30u);
        state[31] ^= message_word(offset, length, base + 31u);
        state[32] ^= message_word(offset, length, base + 32u);
        state[33] ^= message_word(offset, length, base + 33u);
        if (block == last) {
            // Padding: 0x01 after the message, 0x80 in the rate's last byte.
            let rest = length - last * 136u;
            keccak_absorb_word(&state, rest >> 2u, 1u << ((rest & 3u) * 8u));
            state[33] ^= 0x80000000u;
        }
        keccak_f1600(&state);
    }
    digests[2u * id.x] = vec4<u32>(state[0], state[1], state[2], state[3]);
    digests[2u * id.x + 1u] = vec4<u32>(state[4], state[5], state[6], state[7]);
}
