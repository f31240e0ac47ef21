//! Calls and creations of random programs.

use super::{ABSENT, CHAOS, DELEGATOR, PLAIN, PROBE, Program, STUB};
use crate::{fuzz::scene::LIBRARY, random::Random, sign::Wallet};
use alloy_primitives::{U256, keccak256};
use lockstep::fork::Fork;

/// A signature that ecrecover accepts: hash, parity + 27, r, s.
pub type Signed = [U256; 4];

impl Program<'_> {
    /// Calls the probe with an amount of gas that depends on the sender.
    pub(super) fn call_probe(&mut self) {
        let kind = self.random.pick(&[0xf1, 0xf1, 0xf2, 0xf4, 0xfa, 0xfa]);
        for _ in 0..4 {
            self.small(70);
        }
        if kind < 0xf3 {
            self.small(2);
        }
        self.member(PROBE);
        self.op(0x33);
        self.push(U256::from(8));
        self.op(0x1c);
        self.push(U256::from(31));
        self.op(0x16);
        let unit = self.random.pick(&[1_u64, 4, 15, 100, 400, 2_000]);
        self.push(U256::from(unit));
        self.op(0x02);
        self.op(kind);
    }

    /// A call of any kind to anybody; sometimes what came back is copied.
    pub(super) fn call(&mut self) {
        let kind = self.random.pick(&[0xf1, 0xf1, 0xf1, 0xf2, 0xf4, 0xf4, 0xfa, 0xfa]);
        let dice = self.random.below(100);
        let precompile = match dice {
            55..=78 => Some(match self.random.below(16) {
                0..=5 => 1,
                6..=9 => 2,
                10..=14 => 4,
                _ if self.features.rare_precompiles => self.random.pick(&[3, 5, 6, 7, 8, 9, 10, 11, 0x100]),
                _ => 4,
            }),
            _ => None,
        };
        if precompile == Some(1) {
            self.signature();
        }
        if precompile == Some(1) && self.random.chance(80) {
            // Where a result goes; the signature.
            let out = self.random.pick(&[32_u64, 32, 20, 64, 0]);
            self.push(U256::from(out));
            self.place();
            let len = self.random.pick(&[128_u64, 128, 128, 127, 129, 100, 64]);
            self.push(U256::from(len));
            self.push(U256::ZERO);
        } else {
            self.range();
            self.range();
        }
        if kind < 0xf3 {
            let value = match self.random.below(20) {
                0..=12 => U256::ZERO,
                13..=18 => U256::from(self.random.below(4)),
                _ => self.random.word(),
            };
            self.push(value);
        }
        let mut bounded = true;
        match precompile {
            Some(number) => self.push(U256::from(number)),
            None => match dice {
                0..=54 => {
                    // Those behind, so that nothing recurses for long.
                    let first = self.member + 1;
                    let member = first + self.random.below(u64::from(DELEGATOR - first)) as u8;
                    bounded = member == CHAOS;
                    self.member(member);
                }
                79..=86 => self.member(DELEGATOR),
                87..=89 => self.member(PLAIN),
                90..=91 => self.member(STUB),
                92..=93 => self.member(ABSENT),
                94 => self.push(U256::from_be_slice(LIBRARY.as_slice())),
                95 => self.op(0x30),
                96 => {
                    // A neighbour of whatever runs this.
                    self.op(0x30);
                    self.small(12);
                    self.op(0x18);
                }
                _ => self.someone(),
            },
        }
        match self.random.below(12) {
            0 => self.small(800),
            1 => self.small(4_000),
            2 | 3 => self.small(40_000),
            4 if !bounded => {
                let word = self.random.pick(&[U256::MAX, U256::from(u32::MAX), U256::ONE << 64]);
                self.push(word);
            }
            _ if bounded => {
                let gas = self.random.pick(&[3_000_u64, 6_000, 12_000, 30_000]);
                self.push(U256::from(gas));
            }
            _ => self.op(0x5a),
        }
        self.op(kind);
        if self.random.chance(25) {
            self.op(0x3d);
            self.push(U256::ZERO);
            self.place();
            self.op(0x3e);
        }
    }

    /// Stores a signature at the start of memory, one word of it spoilt now and then.
    fn signature(&mut self) {
        let signed = self.random.pick(self.signed);
        let spoil = self.random.below(12);
        for (index, mut word) in signed.into_iter().enumerate() {
            if spoil == index as u64 {
                let other = self.random.word();
                let by = U256::from(self.random.below(3));
                word = self.random.pick(&[word ^ U256::ONE, word.wrapping_add(by), other, U256::ZERO]);
            }
            self.push(word);
            self.push(U256::from(32 * index));
            self.op(0x52);
        }
    }

    /// CREATE or CREATE2 of small init code, and perhaps a call of what came of it.
    pub(super) fn create(&mut self) {
        let init = init_code(self.random, self.fork);
        let mut image = [0; 64];
        let len = init.len().min(64);
        image[..len].copy_from_slice(&init[..len]);
        for (index, word) in image.chunks(32).enumerate().take(len.div_ceil(32)) {
            self.push(U256::from_be_slice(word));
            self.push(U256::from(32 * index));
            self.op(0x52);
        }
        let salted = self.random.chance(50);
        if salted {
            self.small(2);
        }
        let len = if self.random.chance(5) { self.random.pick(&[0, 49_152, 49_153]) } else { len };
        self.push(U256::from(len));
        self.push(U256::ZERO);
        let value = if self.random.chance(20) { self.random.below(3) } else { 0 };
        self.push(U256::from(value));
        self.op(if salted { 0xf5 } else { 0xf0 });
        if self.random.chance(60) {
            // Keeps the address, calls it with a word.
            self.op(0x80);
            for _ in 0..4 {
                self.small(40);
            }
            self.push(U256::ZERO);
            let below = 0x80 + 5;
            self.op(below);
            self.push(U256::from(30_000));
            self.op(0xf1);
        }
    }
}

/// Init code of at most 64 bytes, good and bad.
pub fn init_code(random: &mut Random, fork: Fork) -> Vec<u8> {
    // What is deployed: stores, dies, returns, logs, calls back.
    let mut runtime: Vec<u8> = match random.below(6) {
        0 => vec![0x60, 0, 0x35, 0x60, 1, 0x55],
        1 => vec![0x33, 0xff],
        2 => vec![0x30, 0xff],
        3 => vec![0x60, 1, 0x54, 0x60, 1, 0x01, 0x60, 1, 0x55, 0x58, 0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0xf3],
        4 => vec![0x60, 0, 0x60, 0, 0xa0, 0x60, 0, 0x60, 0, 0xfd],
        _ => {
            let len = random.below(24);
            random.bytes(len)
        }
    };
    if random.chance(8) {
        runtime.insert(0, 0xef);
    }
    let len = runtime.len() as u8;
    match random.below(12) {
        0 => {
            let len = random.below(40);
            random.bytes(len)
        }
        1 => vec![0x60, 3, 0x60, 0, 0xfd],
        // Zeros, up to more than a contract may have.
        2 => {
            let [high, low] = random.pick(&[0_u16, 1, 300, 24_576, 24_577]).to_be_bytes();
            vec![0x61, high, low, 0x60, 0, 0xf3]
        }
        3 => vec![0x60, 1, 0x60, 2, 0x55, 0x33, 0xff],
        4 => vec![0x60, 1, 0x60, 2, 0x55, 0x60, 0, 0x60, 0, 0xa0, 0x00],
        5 if fork >= Fork::Cancun => {
            vec![0x60, 1, 0x60, 2, 0x5d, 0x60, 2, 0x5c, 0x60, 3, 0x55, 0x30, 0x3b, 0x60, 4, 0x55]
        }
        _ => {
            // Stores a slot on the way; deploys what stands behind.
            let head = [0x60, 7, 0x60, 1, 0x55, 0x60, len, 0x60, 17, 0x60, 0, 0x39, 0x60, len, 0x60, 0, 0xf3];
            let head = &head[if random.chance(50) { 5 } else { 0 }..];
            let mut init = head.to_vec();
            let at = init.len() - 9;
            // The operand of CODECOPY's source is where the init code ends.
            init[at] = init.len() as u8;
            [init, runtime].concat()
        }
    }
}

/// Signatures of hashes, by a key that nobody else has.
pub fn signatures() -> Vec<Signed> {
    let wallet = Wallet::new("precompile");
    let sign = |index: u8| {
        let hash = keccak256([index]);
        let signature = wallet.sign_hash(hash);
        [hash.into(), U256::from(27 + u8::from(signature.y_parity)), signature.r, signature.s]
    };
    (0..4).map(sign).collect()
}
