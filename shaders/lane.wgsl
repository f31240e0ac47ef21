// What a lane sees: the buffers of `execute`, and how bytes, keys and overlay entries are found in them.
//
// Buffers of a lane are interleaved, [row][lane], so that neighbours touch neighbouring words. Functions here
// that loop are called from as few places as can be: drivers inline them all, and compile time grows with the accesses.

//#include "abi.wgsl"
//#include "u256.wgsl"
//#include "keccak.wgsl"
//#include "sha256.wgsl"

@group(0) @binding(0) var<uniform> params: Params;
// Lanes to run, transaction records, block environments, calldata, blob hashes.
@group(0) @binding(1) var<storage, read> batch: array<u32>;
// Each code as CodeHeader, bytes and jump destination bits.
@group(0) @binding(2) var<storage, read> codes: array<u32>;
// The index, four places a row, then SnapshotEntry as eight rows.
@group(0) @binding(3) var<storage, read> snapshot: array<vec4<u32>>;
// LaneState as eight rows, then FrameState as eleven for each depth; interleaved [row][lane] like every buffer below.
@group(0) @binding(4) var<storage, read_write> lanes: array<vec4<u32>>;
// EVM words as two rows, bottom of the stack first; the frames' stacks one on the other.
@group(0) @binding(5) var<storage, read_write> stack: array<vec4<u32>>;
// EVM memory in memory order, the frames' one behind the other; then log data, then return data.
@group(0) @binding(6) var<storage, read_write> memory: array<u32>;
// OverlayEntry as three rows, params.slots of them; LogEntry as ten, params.logs of them; JournalRecord as three.
@group(0) @binding(7) var<storage, read_write> overlay: array<vec4<u32>>;
// Running lanes, steps, parked lanes, work, lanes that fall back; then maps of edges, see coverage.wgsl.
@group(0) @binding(8) var<storage, read_write> counters: array<atomic<u32>>;
// Opcode rows; two words of each mean something.
@group(0) @binding(9) var<uniform> opcodes: array<vec4<u32>, 256>;

// Where bytes are read from.
const SOURCE_NONE = 0u;
const SOURCE_BATCH = 1u;
const SOURCE_CODE = 2u;
const SOURCE_MEMORY = 3u;
const SOURCE_WORD = 4u;

// Opcodes in a run at most: other lanes may wait for its end.
const QUICK_RUN = 32u;

// Beyond any length that a cap allows, and far from where byte offsets would wrap.
const FAR = 0x70000000u;

// The 32-bit limb at `index` of a source, its bytes at and past byte `limit` zero. `base` is the word offset of the
// source in its arena; `word` is the big-endian image of a word source.
fn limb_at(source: u32, base: u32, index: u32, limit: u32, lane: u32, word: U256) -> u32 {
    if (index >= (limit + 3u) >> 2u) {
        return 0u;
    }
    var limb = 0u;
    switch source {
        case SOURCE_BATCH: { limb = batch[base + index]; }
        case SOURCE_CODE: { limb = codes[base + index]; }
        case SOURCE_MEMORY: { limb = memory[index * params.lanes + lane]; }
        case SOURCE_WORD: { limb = select(word.lo[index & 3u], word.hi[index & 3u], index >= 4u); }
        default: {}
    }
    let rest = limit - 4u * index;
    return select(limb, limb & ((1u << ((rest & 3u) * 8u)) - 1u), rest < 4u);
}

// The bytes of a word in memory order: limb 0 holds the four most significant bytes.
fn word_image(a: U256) -> U256 {
    return U256(u32_swap4(a.hi.wzyx), u32_swap4(a.lo.wzyx));
}

// The word at `place` of the lane's stack, counted from the bottom of the outermost frame's.
fn stack_load(place: u32, lane: u32) -> U256 {
    let at = 2u * place * params.lanes + lane;
    return U256(stack[at], stack[at + params.lanes]);
}

fn stack_store(place: u32, word: U256, lane: u32) {
    let at = 2u * place * params.lanes + lane;
    stack[at] = word.lo;
    stack[at + params.lanes] = word.hi;
}

// Where a load of `len` bytes from byte `offset` on begins: up to three bytes before, so that the last group of four ends
// with the last byte.
struct Groups {
    count: u32,
    // Limb of the first byte, and how many bits of it lie before.
    index: u32,
    shift: u32,
    // Of the first group.
    mask: u32,
}

fn groups_of(offset: u32, len: u32) -> Groups {
    let count = (len + 3u) >> 2u;
    let begin = offset + len - 4u * count;
    return Groups(count, u32(i32(begin) >> 2u), (begin & 3u) * 8u, 0xffffffffu >> ((4u * count - len) * 8u));
}

// A word moved up by four bytes, which begin in `left` and end in `right`, of which `mask` stays.
fn word_append(word: U256, left: u32, right: u32, shift: u32, mask: u32) -> U256 {
    let image = (left >> shift) | ((right << (31u - shift)) << 1u);
    let limb = u32_swap4(vec4<u32>(image)).x & mask;
    return U256(vec4<u32>(limb, word.lo.xyz), vec4<u32>(word.lo.w, word.hi.xyz));
}

// Up to 32 bytes from byte `offset` of a source, big-endian, right-aligned.
fn load_bytes(source: u32, base: u32, limit: u32, offset: u32, len: u32, lane: u32) -> U256 {
    let groups = groups_of(offset, len);
    var word = u256_zero();
    var mask = groups.mask;
    var left = limb_at(source, base, groups.index, limit, lane, word);
    for (var i = 1u; i <= groups.count; i++) {
        let right = limb_at(source, base, groups.index + i, limit, lane, word);
        word = word_append(word, left, right, groups.shift, mask);
        mask = 0xffffffffu;
        left = right;
    }
    return word;
}

// Up to 32 bytes of code, the same way.
fn load_code(base: u32, offset: u32, len: u32) -> U256 {
    let groups = groups_of(offset, len);
    var word = u256_zero();
    var mask = groups.mask;
    var left = codes[base + groups.index];
    for (var i = 1u; i <= groups.count; i++) {
        let right = codes[base + groups.index + i];
        word = word_append(word, left, right, groups.shift, mask);
        mask = 0xffffffffu;
        left = right;
    }
    return word;
}

// Copies `len` > 0 bytes into the lane's memory at byte `to`; bytes of the source at and past `limit` are zero.
// Memory onto itself may overlap. `image` is a word source.
fn copy_bytes(source: u32, base: u32, limit: u32, begin: u32, to: u32, len: u32, lane: u32, image: U256) {
    let first = to >> 2u;
    let count = ((to + len - 1u) >> 2u) - first + 1u;
    // Downwards where source and destination may overlap that way.
    let backwards = to > begin;
    // Byte of the source that lands in the lowest byte of the first limb; may lie up to three before its start.
    let at = i32(begin) + i32(first * 4u) - i32(to);
    let shift = u32(at & 3) * 8u;
    // A limb takes bytes of two limbs of the source, one of which the limb before it took from too.
    let step = select(1u, 0xffffffffu, backwards);
    var index = u32(at >> 2u) + select(0u, count, backwards);
    var last = limb_at(source, base, index, limit, lane, image);
    for (var i = 0u; i < count; i++) {
        let limb = first + select(i, count - 1u - i, backwards);
        index += step;
        let next = limb_at(source, base, index, limit, lane, image);
        let left = select(last, next, backwards);
        let right = select(next, last, backwards);
        last = next;
        let value = (left >> shift) | ((right << (31u - shift)) << 1u);
        let start = select(0u, to - limb * 4u, limb * 4u < to) * 8u;
        let stop = min(to + len - limb * 4u, 4u) * 8u;
        let above = select(0xffffffffu << stop, 0u, stop == 32u);
        let write = (0xffffffffu << start) & ~above;
        let address = limb * params.lanes + lane;
        var kept = 0u;
        if (write != 0xffffffffu) { kept = memory[address] & ~write; }
        memory[address] = kept | (value & write);
    }
}

// Keccak-256 of `len` bytes of the lane's memory at byte `offset`, as a word.
fn keccak_memory(offset: u32, len: u32, lane: u32) -> U256 {
    var state = array<u32, 50>();
    let shift = (offset & 3u) * 8u;
    let limit = select(0u, FAR, len != 0u);
    var index = offset >> 2u;
    var position = 0u;
    var blocks = len / 136u + 1u;
    var left = limb_at(SOURCE_MEMORY, 0u, index, limit, lane, u256_zero());
    loop {
        if (blocks == 0u) { break; }
        blocks -= 1u;
        for (var i = 0u; i < KECCAK_RATE_WORDS; i++) {
            var limb = 0u;
            if (position < len) {
                let right = limb_at(SOURCE_MEMORY, 0u, index + 1u, limit, lane, u256_zero());
                limb = (left >> shift) | ((right << (31u - shift)) << 1u);
                left = right;
            }
            // Padding: 0x01 after the last byte, 0x80 in the last byte of the last block.
            let rest = len - position;
            if (position <= len && rest < 4u) {
                let bits = rest * 8u;
                limb = (limb & ((1u << bits) - 1u)) | (1u << bits);
            }
            if (blocks == 0u && i == KECCAK_RATE_WORDS - 1u) { limb ^= 0x80000000u; }
            keccak_absorb_word(&state, i, limb);
            position += 4u;
            index += 1u;
        }
        keccak_f1600(&state);
    }
    let digest = U256(vec4<u32>(state[0], state[1], state[2], state[3]), vec4<u32>(state[4], state[5], state[6], state[7]));
    return word_image(digest);
}

// SHA-256 of `len` bytes of a source, batch or memory, from byte `start` on, as a word.
fn sha256_bytes(source: u32, base: u32, start: u32, len: u32, lane: u32) -> U256 {
    var hash = sha256_initial();
    var state = hash;
    var schedule = Sha256Schedule();
    let shift = (start & 3u) * 8u;
    let limit = start + len;
    var index = start >> 2u;
    var left = limb_at(source, base, index, limit, lane, u256_zero());
    // The length in bits takes eight bytes, the padding before it one at least.
    let rounds = ((len + 8u) / 64u + 1u) * 64u;
    for (var round = 0u; round < rounds; round++) {
        let step = round & 63u;
        var word = sha256_extend(schedule);
        if (step < 16u) {
            index += 1u;
            let right = limb_at(source, base, index, limit, lane, u256_zero());
            var limb = (left >> shift) | ((right << (31u - shift)) << 1u);
            left = right;
            // How many bytes are left; past the end this wraps.
            let rest = len - 4u * ((round >> 6u) * 16u + step);
            if (rest < 4u) { limb |= 0x80u << (rest * 8u); }
            word = u32_swap4(vec4<u32>(limb)).x;
            if (round + 50u == rounds) { word = len >> 29u; }
            if (round + 49u == rounds) { word = len << 3u; }
        }
        schedule = sha256_push(schedule, word);
        state = sha256_round(state, step, word);
        if (step == 63u) {
            hash = Sha256(hash.abcd + state.abcd, hash.efgh + state.efgh);
            state = hash;
        }
    }
    return U256(hash.efgh.wzyx, hash.abcd.wzyx);
}

// A key as the first three and a half rows of SnapshotEntry.
struct Key {
    row0: vec4<u32>,
    row1: vec4<u32>,
    row2: vec4<u32>,
    row3: vec2<u32>,
}

fn key_of(kind: u32, address0: u32, address_rest: vec4<u32>, slot: U256) -> Key {
    return Key(
        vec4<u32>(kind, address0, slot.lo.xy),
        vec4<u32>(slot.lo.zw, slot.hi.xy),
        vec4<u32>(slot.hi.zw, address_rest.xy),
        address_rest.zw,
    );
}

// Index of the lane's overlay entry, `entries` if there is none.
fn overlay_find(key: u32, entries: u32, lane: u32) -> u32 {
    var entry = 0u;
    loop {
        if (entry >= entries || overlay[ENTRY_ROWS * entry * params.lanes + lane].x == key) { break; }
        entry += 1u;
    }
    return entry;
}

const ENTRY_ROWS = 3u;

const SNAPSHOT_MISSING = 0xffffffffu;

// Number of the snapshot entry, or SNAPSHOT_MISSING. A key that the state lacks is looked for in the one under it, where it
// is of the kind `base`. The host fills the index by the same hash and leaves free places.
fn snapshot_find(key: Key, base: u32) -> u32 {
    var row0 = key.row0;
    var found = SNAPSHOT_MISSING;
    loop {
        var h = row0 * vec4<u32>(0x9e3779b1u) + key.row1 * vec4<u32>(0x85ebca77u);
        h = (h ^ (h >> vec4<u32>(15u))) + key.row2 * vec4<u32>(0xc2b2ae3du) + vec4<u32>(key.row3, 0u, 0u) * vec4<u32>(0x27d4eb2fu);
        h ^= h >> vec4<u32>(13u);
        var place = (h.x * 0x165667b1u + h.y * 0x9e3779b1u) ^ (h.z * 0x85ebca77u + h.w * 0xc2b2ae3du);
        place ^= place >> 16u;
        loop {
            place &= params.snapshot_mask;
            found = snapshot[place >> 2u][place & 3u] - 1u;
            if (found == SNAPSHOT_MISSING) { break; }
            let at = snapshot_row(found);
            if (all(snapshot[at] == row0) && all(snapshot[at + 1u] == key.row1) && all(snapshot[at + 2u] == key.row2)
                && all(snapshot[at + 3u].xy == key.row3)) { break; }
            place += 1u;
        }
        if (found != SNAPSHOT_MISSING || row0.x == base) { break; }
        row0.x = base;
    }
    return found;
}

// Index of the first row of a snapshot entry.
fn snapshot_row(entry: u32) -> u32 {
    return ((params.snapshot_mask + 1u) >> 2u) + 8u * entry;
}

// Whether an address is a precompile of the fork: warm from the start (EIP-2929).
fn is_precompile(address0: u32, address_rest: vec4<u32>) -> bool {
    // The number stands in the last, big-endian, limb of the address.
    let low = u32_swap4(vec4<u32>(address_rest.w)).x;
    let small = all(vec4<u32>(address0, address_rest.xyz) == vec4<u32>());
    return small && ((low >= 1u && low <= params.precompiles) || (low == 0x100u && params.p256 == 1u));
}
