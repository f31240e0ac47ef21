//! Every keccak engine that this CPU has, by name, against tiny-keccak on the same inputs.

use alloy_primitives::{B256, hex};
use libtest_mimic::Failed;
use lockstep::keccak::{Engine, keccak256_batch};
use lockstep_tests::harness::{self, Suite};
use std::{io, path::Path, process::ExitCode};
use tiny_keccak::{Hasher, Keccak};

fn oracle(message: &[u8]) -> B256 {
    let mut hasher = Keccak::v256();
    hasher.update(message);
    let mut hash = B256::ZERO;
    hasher.finalize(&mut hash.0);
    hash
}

/// splitmix64: the same bytes on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// Checks one batch on every engine. The places start out as what no message hashes to.
fn check(messages: &[Vec<u8>]) {
    let expected: Vec<B256> = messages.iter().map(|message| oracle(message)).collect();
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    for engine in Engine::available() {
        let mut hashes = vec![B256::repeat_byte(0xEE); messages.len()];
        keccak256_batch(engine, &messages, &mut hashes);
        for (index, (actual, expected)) in hashes.iter().zip(&expected).enumerate() {
            let length = messages[index].len();
            assert_eq!(actual, expected, "{engine}: message {index} of {}, {length} bytes", messages.len());
        }
    }
}

fn engines_are_listed_fastest_first_and_scalar_last() {
    let names: Vec<_> = Engine::available().map(Engine::name).collect();
    assert_eq!(names.first(), Some(&Engine::best().name()));
    assert_eq!(names.last(), Some(&"keccak-asm"));
}

fn every_length_alone_and_in_full_lanes() {
    let mut random = Random(1);
    let around = (1..=10).flat_map(|n| n * 136 - 9..=n * 136 + 9);
    for length in (0..=600).chain(around).chain([1400]) {
        check(&[random.bytes(length)]);
        check(&(0..8).map(|_| random.bytes(length)).collect::<Vec<_>>());
    }
}

fn every_batch_size_of_equal_and_of_mixed_lengths() {
    let mut random = Random(2);
    for size in 0..=40 {
        for length in [0, 64, 135, 136, 300] {
            check(&(0..size).map(|_| random.bytes(length)).collect::<Vec<_>>());
        }
        for bound in [136, 700, 5000] {
            let lengths: Vec<_> = (0..size).map(|_| random.below(bound)).collect();
            check(&lengths.into_iter().map(|length| random.bytes(length)).collect::<Vec<_>>());
        }
    }
}

fn one_long_message_in_every_position() {
    let mut random = Random(3);
    for place in 0..17 {
        for long in [137, 1000, 30_000] {
            check(
                &(0..17).map(|index| random.bytes(if index == place { long } else { index * 9 })).collect::<Vec<_>>(),
            );
        }
    }
}

fn ten_thousand_random_messages() {
    let mut random = Random(4);
    let lengths: Vec<_> = (0..10_000).map(|_| random.below(1400)).collect();
    check(&lengths.into_iter().map(|length| random.bytes(length)).collect::<Vec<_>>());
}

fn known_answers(path: &Path) -> Result<(), Failed> {
    let text = io::read_to_string(harness::unpacked(path)?)?;
    let values =
        |key: &str| text.lines().filter_map(move |line| line.strip_prefix(key)).map(str::trim).collect::<Vec<_>>();
    let (lengths, messages, hashes) = (values("Len = "), values("Msg = "), values("MD = "));
    assert_eq!((lengths.len(), messages.len()), (hashes.len(), hashes.len()));
    assert!(hashes.len() > 200, "{} answers", hashes.len());
    let mut contents = Vec::new();
    for ((bits, message), hash) in lengths.iter().zip(&messages).zip(&hashes) {
        let mut message = hex::decode(message)?;
        message.truncate(bits.parse::<usize>()? / 8);
        assert_eq!(oracle(&message), hash.parse::<B256>()?);
        contents.push(message);
    }
    check(&contents);
    Ok(())
}

fn a_wrong_number_of_places_is_an_error() {
    let wrong = || keccak256_batch(Engine::Scalar, &[b"a", b"b"], &mut [B256::ZERO]);
    assert!(std::panic::catch_unwind(wrong).is_err());
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    let tests: [(&str, fn()); 6] = [
        ("engines_are_listed_fastest_first_and_scalar_last", engines_are_listed_fastest_first_and_scalar_last),
        ("every_length_alone_and_in_full_lanes", every_length_alone_and_in_full_lanes),
        ("every_batch_size_of_equal_and_of_mixed_lengths", every_batch_size_of_equal_and_of_mixed_lengths),
        ("one_long_message_in_every_position", one_long_message_in_every_position),
        ("ten_thousand_random_messages", ten_thousand_random_messages),
        ("a_wrong_number_of_places_is_an_error", a_wrong_number_of_places_is_an_error),
    ];
    for (name, test) in tests {
        suite.test(name, move || {
            test();
            Ok(())
        });
    }
    match harness::data("suites/keccak256_kat.txt.zst") {
        Ok(path) => suite.test("known_answers", move || known_answers(&path)),
        Err(reason) => suite.skip("known_answers", "data", reason),
    }
    suite.run()
}
