// SHA-256 (FIPS 180-4), round by round: the sixteen words of the message schedule move on with each, so that nothing is
// indexed at run time but the round constants. Words are big-endian numbers. Call sha256_round from one place, in a loop.

const SHA256_K = array<u32, 64>(
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u);

// The eight working variables, or the hash so far.
struct Sha256 {
    abcd: vec4<u32>,
    efgh: vec4<u32>,
}

// The last sixteen words of the message schedule, oldest first.
struct Sha256Schedule {
    w0: vec4<u32>,
    w4: vec4<u32>,
    w8: vec4<u32>,
    w12: vec4<u32>,
}

fn sha256_initial() -> Sha256 {
    return Sha256(
        vec4<u32>(0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au),
        vec4<u32>(0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u),
    );
}

// The exclusive or of `x` rotated to the right by three counts.
fn sha256_sigma(x: u32, by: vec3<u32>) -> u32 {
    let turned = (vec3<u32>(x) >> by) | (vec3<u32>(x) << (vec3<u32>(32u) - by));
    return turned.x ^ turned.y ^ turned.z;
}

// The same with the last of them a shift.
fn sha256_sigma_shift(x: u32, by: vec3<u32>) -> u32 {
    let turned = (vec3<u32>(x) >> by) | (vec3<u32>(x, x, 0u) << (vec3<u32>(32u) - by));
    return turned.x ^ turned.y ^ turned.z;
}

// The schedule's next word from the sixteen before it.
fn sha256_extend(w: Sha256Schedule) -> u32 {
    let near = sha256_sigma_shift(w.w12.z, vec3<u32>(17u, 19u, 10u));
    let far = sha256_sigma_shift(w.w0.y, vec3<u32>(7u, 18u, 3u));
    return near + w.w8.y + far + w.w0.x;
}

fn sha256_push(w: Sha256Schedule, word: u32) -> Sha256Schedule {
    return Sha256Schedule(
        vec4<u32>(w.w0.yzw, w.w4.x),
        vec4<u32>(w.w4.yzw, w.w8.x),
        vec4<u32>(w.w8.yzw, w.w12.x),
        vec4<u32>(w.w12.yzw, word),
    );
}

// Round `step`, below 64, with the schedule's word for it.
fn sha256_round(s: Sha256, step: u32, word: u32) -> Sha256 {
    let choice = (s.efgh.x & s.efgh.y) ^ (~s.efgh.x & s.efgh.z);
    let first = s.efgh.w + sha256_sigma(s.efgh.x, vec3<u32>(6u, 11u, 25u)) + choice + SHA256_K[step] + word;
    let majority = (s.abcd.x & s.abcd.y) ^ (s.abcd.x & s.abcd.z) ^ (s.abcd.y & s.abcd.z);
    let second = sha256_sigma(s.abcd.x, vec3<u32>(2u, 13u, 22u)) + majority;
    return Sha256(vec4<u32>(first + second, s.abcd.xyz), vec4<u32>(s.abcd.w + first, s.efgh.xyz));
}
