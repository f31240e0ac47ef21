//! Sender recovery and Keccak-256 on every backend against libsecp256k1, tiny-keccak and the published suites.

use alloy_primitives::{Address, B256, U256, hex};
use libtest_mimic::Failed;
use lockstep::{
    abi::{RecoverResult, STATUS_EXCEPTIONAL, STATUS_INVALID, STATUS_RECOVERED},
    backend::{
        Backend, BackendError,
        wgpu::{Integers, WgpuBackend},
    },
    bench::workload::Signatures,
    block_file::BlockFile,
    recover::{Engine, RecoverError, RecoverRequest, authority_request, recover_batch, recover_one, sender_request},
    tx::Transaction,
};
use lockstep_tests::{
    arithmetic,
    harness::{self, Suite, Target},
    transactions::{self, Accepted},
    vectors::{self, Vector},
};
use secp256k1::PublicKey;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{io::Read, path::Path, process::ExitCode, sync::LazyLock};

/// Of [`vectors::random_requests`].
const RANDOM_SEED: u64 = 2026;

type Recovered = Vec<Result<Address, RecoverError>>;

static TRAPS: LazyLock<Vec<Vector>> = LazyLock::new(vectors::traps);

/// What recovers: a CPU engine by its name, on the calling thread, or a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Engine(Engine),
    Backend(Target),
}

impl Subject {
    fn all() -> impl Iterator<Item = Self> {
        Engine::ALL.into_iter().map(Self::Engine).chain(Target::ALL.into_iter().map(Self::Backend))
    }

    /// A test of its own, its name in the test's; a skip where it is not there.
    fn test(self, suite: &mut Suite, name: &str, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) {
        match self {
            Self::Backend(target) => suite.on(target, name, move |_| run()),
            Self::Engine(engine) => {
                let name = format!("{engine}::{name}");
                if engine.is_available() {
                    suite.test(name, run);
                } else {
                    suite.skip(name, engine.name(), format!("this CPU has no {engine}"));
                }
            }
        }
    }
}

/// By a target's device itself: the engine would hide its failure behind the CPU.
fn recover(subject: Subject, requests: &[RecoverRequest]) -> Result<Recovered, Failed> {
    let target = match subject {
        Subject::Backend(target) => target,
        Subject::Engine(engine) => {
            let mut results = vec![Err(RecoverError::Range); requests.len()];
            recover_batch(engine, requests, &mut results);
            return Ok(results);
        }
    };
    match harness::device(target)? {
        Some(device) => Ok(device.recover(requests)?),
        None => Ok(harness::engine(target)?.recover(requests)),
    }
}

fn keccak256(target: Target, messages: &[&[u8]]) -> Result<Vec<B256>, Failed> {
    match harness::device(target)? {
        Some(device) => Ok(device.keccak256(messages)?),
        None => Ok(harness::engine(target)?.keccak256(messages)),
    }
}

fn check(subject: Subject, vectors: &[Vector]) -> Result<(), Failed> {
    Ok(vectors::compare(vectors, &recover(subject, &vectors::requests(vectors))?)?)
}

/// Every trap of RECOVERY.md.
fn traps(subject: Subject) -> Result<(), Failed> {
    check(subject, &TRAPS)
}

fn random_signatures(subject: Subject) -> Result<(), Failed> {
    check(subject, &vectors::random_signatures(4_000, 20))
}

/// Numbers of every kind against libsecp256k1. `LOCKSTEP_RANDOM` says how many.
fn random_requests(subject: Subject) -> Result<(), Failed> {
    static ASKED: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("LOCKSTEP_RANDOM").ok().and_then(|count| count.parse().ok()));
    static RANDOM: LazyLock<Vec<(RecoverRequest, Option<Address>)>> =
        LazyLock::new(|| vectors::random_requests(0..ASKED.unwrap_or(100_000), RANDOM_SEED));
    let software = match subject {
        // Software drivers take a tenth of a millisecond for each.
        Subject::Backend(Target::Wgpu) => Some(20_000),
        Subject::Backend(Target::WgpuU32) => Some(5_000),
        Subject::Backend(Target::Cpu) | Subject::Engine(_) => None,
    };
    let count = software.filter(|_| ASKED.is_none()).unwrap_or(RANDOM.len()).min(RANDOM.len());
    for (part, random) in RANDOM[..count].chunks(100_000).enumerate() {
        let requests: Vec<_> = random.iter().map(|(request, _)| *request).collect();
        let results = recover(subject, &requests)?;
        // Which error it is, libsecp256k1 does not say: our own reference does.
        let right = |(result, (request, signer)): (&Result<Address, _>, &(RecoverRequest, Option<Address>))| {
            result.ok() == *signer && (result.is_ok() || *result == recover_one(request))
        };
        if let Some(wrong) = results.iter().zip(random).position(|pair| !right(pair)) {
            return Err(format!(
                "request {}: got {:?}, want {:?}",
                part * 100_000 + wrong,
                results[wrong],
                random[wrong]
            )
            .into());
        }
        if results.len() != random.len() {
            return Err("a result is missing".into());
        }
    }
    Ok(())
}

/// The signatures of the real transactions, and the EIP-7702 tuples among them.
fn mainnet(subject: Subject, path: &Path) -> Result<(), Failed> {
    let mut vectors = Vec::new();
    for entry in path.read_dir()? {
        let path = entry?.path();
        if !path.to_string_lossy().ends_with(".json.zst") {
            continue;
        }
        let file = BlockFile::read(&path)?;
        for (tx, (raw, claim)) in file.block.transactions.iter().zip(&file.claims).enumerate() {
            let decoded = Transaction::decode(raw)?;
            let request = sender_request(&decoded, file.block.env.fork);
            let vector = Vector::new(format!("{} {tx}", path.display()), request);
            if vector.signer != Some(claim.sender) {
                return Err(format!("{}: the file claims another sender", vector.name).into());
            }
            vectors.push(vector);
            let tuples = decoded.authorizations.iter().filter_map(authority_request);
            vectors.extend(tuples.map(|request| Vector::new(format!("{} {tx}, tuple", path.display()), request)));
        }
    }
    if vectors.len() < 11_305 {
        return Err(format!("{} signatures, not 11,305", vectors.len()).into());
    }
    check(subject, &vectors)
}

/// More than the device takes at once, with bad signatures on both sides of where it is cut, and out of step with it.
fn several_chunks(subject: Subject) -> Result<(), Failed> {
    let good = vectors::random_signatures(997, 26);
    let mut batch: Vec<_> = good.iter().cycle().take(2 * 65_536 + 1_000).cloned().collect();
    let bad = Vector::new("s = 0", RecoverRequest { s: U256::ZERO, ..good[0].request });
    for at in [0, 65_535, 65_536, 65_537, 2 * 65_536 - 1, 2 * 65_536, batch.len() - 1] {
        batch[at] = bad.clone();
    }
    check(subject, &batch)?;
    // The buffers are kept; another call finds nothing of this one in them.
    check(subject, &good)?;

    let bytes: Vec<u8> = (0..600_000_u32).map(|i| (i >> 5) as u8).collect();
    let messages: Vec<&[u8]> = bytes.windows(40).map(|window| &window[..usize::from(window[0] & 31)]).collect();
    let digests = keccak256(Target::Wgpu, &messages)?;
    match messages.iter().zip(&digests).position(|(message, digest)| vectors::keccak256(message) != *digest) {
        _ if digests.len() != messages.len() => Err(format!("{} digests", digests.len()).into()),
        Some(at) => Err(format!("message {at}: got {}", digests[at]).into()),
        None => Ok(()),
    }
}

fn batch_sizes(subject: Subject) -> Result<(), Failed> {
    let vectors = vectors::random_signatures(200, 21);
    (0..=3).chain(62..=66).chain(126..=130).chain([200]).try_for_each(|n| check(subject, &vectors[..n]))
}

/// Trap 8: a bad lane of every kind, in every position, and all neighbours unharmed.
fn bad_lane_in_every_position(subject: Subject) -> Result<(), Failed> {
    let good = vectors::random_signatures(130, 22);
    let trap =
        |part: &str| TRAPS.iter().find(|trap| trap.name.contains(part)).cloned().ok_or(format!("no trap {part}"));
    let all_ones =
        RecoverRequest { hash: B256::repeat_byte(255), r: U256::MAX, s: U256::MAX, recovery_id: 255, low_s: true };
    let kinds = [
        trap("r = 0, id 0")?,
        TRAPS
            .iter()
            .find(|t| t.name.starts_with("random r") && t.signer.is_none())
            .cloned()
            .ok_or("half of r are no x")?,
        trap("Q at infinity")?,
        trap("u1 G = u2 R, k")?,
        Vector::new("all ones", all_ones),
    ];
    for position in 0..good.len() {
        let mut batch = good.clone();
        batch[position] = kinds[position % kinds.len()].clone();
        check(subject, &batch)
            .map_err(|failed| format!("bad lane {position}: {}", failed.message().unwrap_or_default()))?;
    }
    Ok(())
}

/// r and s of a strict DER signature; `None` where they are not 256-bit numbers.
fn strict_der(sig: &[u8]) -> Option<[U256; 2]> {
    let [0x30, len, rest @ ..] = sig else { return None };
    let mut rest = (*len < 0x80 && usize::from(*len) == rest.len()).then_some(rest)?;
    let mut numbers = [U256::ZERO; 2];
    for number in &mut numbers {
        let [0x02, len, tail @ ..] = rest else { return None };
        let (bytes, tail) = tail.split_at_checked(usize::from(*len))?;
        let minimal = match bytes {
            [0, second, ..] => *second >= 0x80,
            [first, ..] => *first < 0x80,
            [] => false,
        };
        let bytes = minimal.then_some(bytes)?;
        *number = U256::try_from_be_slice(&bytes[usize::from(bytes.len() == 33 && bytes[0] == 0)..])?;
        rest = tail;
    }
    rest.is_empty().then_some(numbers)
}

fn bytes(value: &Value) -> Result<Vec<u8>, Failed> {
    Ok(hex::decode(value.as_str().ok_or_else(|| format!("no text: {value}"))?)?)
}

fn array(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| format!("no list: {value}"))
}

/// A signature is valid exactly if its key is among the four that can be recovered.
fn wycheproof(subject: Subject, path: &Path) -> Result<(), Failed> {
    let json: Value = serde_json::from_reader(harness::unpacked(path)?)?;
    let (mut vectors, mut tests) = (Vec::new(), Vec::new());
    let mut count = 0;
    for group in array(&json["testGroups"])? {
        let key = PublicKey::from_slice(&bytes(&group["publicKey"]["uncompressed"])?)?;
        for test in array(&group["tests"])? {
            count += 1;
            let valid = test["result"] == "valid";
            let Some([r, s]) = strict_der(&bytes(&test["sig"])?) else {
                if valid {
                    return Err(format!("strict DER refuses {test}").into());
                }
                continue;
            };
            let hash = B256::from(<[u8; 32]>::from(Sha256::digest(bytes(&test["msg"])?)));
            tests.push((test["tcId"].to_string(), valid, vectors::address(&key)));
            for recovery_id in 0..4 {
                let request = RecoverRequest { hash, r, s, recovery_id, low_s: true };
                vectors.push(Vector::crafted(format!("{}, id {recovery_id}", test["tcId"]), request));
            }
        }
    }
    if count != 463 {
        return Err(format!("{count} tests, not 463").into());
    }
    let results = recover(subject, &vectors::requests(&vectors))?;
    vectors::compare(&vectors, &results)?;
    for ((id, valid, address), results) in tests.iter().zip(results.chunks(4)) {
        if results.contains(&Ok(*address)) != *valid {
            return Err(format!("test {id}: valid should be {valid}").into());
        }
    }
    Ok(())
}

fn transaction_tests(subject: Subject, path: &Path) -> Result<(), Failed> {
    let (cases, files) = transactions::read(path)?;
    if files != 210 {
        return Err(format!("{files} files, not 210").into());
    }
    Ok(transactions::check(&cases, |requests| recover(subject, requests).map_err(|failed| format!("{failed:?}")))?)
}

/// The comparison above has to see a lie about sender, hash, gas or acceptance.
fn wrong_transactions(subject: Subject, path: &Path) -> Result<(), Failed> {
    let (cases, _) = transactions::read(path)?;
    let right = cases.iter().find(|case| case.name.ends_with("RightVRSTest.json Cancun")).ok_or("no RightVRSTest")?;
    let accepted = right.expected.ok_or("RightVRSTest is taken")?;
    let lies = [
        Some(Accepted { sender: Address::ZERO, ..accepted }),
        Some(Accepted { hash: B256::ZERO, ..accepted }),
        Some(Accepted { gas: accepted.gas + 1, ..accepted }),
        None,
    ];
    let check = |expected| {
        let case = transactions::Case { expected, ..right.clone() };
        transactions::check(&[case], |requests| recover(subject, requests).map_err(|failed| format!("{failed:?}")))
    };
    check(Some(accepted))?;
    match lies.into_iter().find(|lie| check(*lie).is_ok()) {
        Some(lie) => Err(format!("taken for right: {lie:?}").into()),
        None => Ok(()),
    }
}

fn keccak_known_answers(target: Target, path: &Path) -> Result<(), Failed> {
    let mut text = String::new();
    harness::unpacked(path)?.read_to_string(&mut text)?;
    let field = |name: &str| -> Vec<&str> {
        text.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix(" = ")).collect()
    };
    let (lengths, messages, digests) = (field("Len"), field("Msg"), field("MD"));
    if [lengths.len(), messages.len(), digests.len()] != [321; 3] {
        return Err(format!("{} answers, not 321", digests.len()).into());
    }
    let mut inputs = Vec::new();
    for (bits, message) in lengths.iter().zip(messages) {
        let mut message = hex::decode(message)?;
        message.truncate(bits.parse::<usize>()? / 8);
        inputs.push(message);
    }
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    for (index, (got, want)) in keccak256(target, &inputs)?.iter().zip(digests).enumerate() {
        if got[..] != hex::decode(want)? {
            return Err(format!("vector {index}: got {got}").into());
        }
    }
    Ok(())
}

/// Every length of the first blocks, lengths around the ends of the next hundred, and a long one.
fn check_lengths(keccak256: impl Fn(&[&[u8]]) -> Result<Vec<B256>, Failed>) -> Result<(), Failed> {
    let bytes: Vec<u8> = (0..20_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let edges = (1..=100).flat_map(|blocks| 136 * blocks - 5..=136 * blocks + 5);
    let messages: Vec<&[u8]> = (0..=300).chain(edges).chain([20_000]).map(|n| &bytes[bytes.len() - n..]).collect();
    let digests = keccak256(&messages)?;
    if digests.len() != messages.len() {
        return Err(format!("{} digests of {} messages", digests.len(), messages.len()).into());
    }
    match messages.iter().zip(&digests).find(|(message, digest)| vectors::keccak256(message) != **digest) {
        Some((message, digest)) => Err(format!("length {}: got {digest}", message.len()).into()),
        None => Ok(()),
    }
}

fn keccak_lengths(target: Target) -> Result<(), Failed> {
    check_lengths(|messages| keccak256(target, messages))?;
    if !keccak256(target, &[])?.is_empty() || keccak256(target, &[&[]])? != [vectors::keccak256(&[])] {
        return Err("no message, or an empty one".into());
    }
    Ok(())
}

/// What no binding holds is the device's error and the engine's work.
fn keccak_too_long(target: Target) -> Result<(), Failed> {
    let long = vec![7; (128 << 20) + 1];
    let messages: [&[u8]; 2] = [&[1], &long];
    let device = harness::device(target)?.ok_or("the CPU knows no such limit")?;
    if !matches!(device.keccak256(&messages), Err(BackendError::OutOfMemory(text)) if text.contains("message 1 ")) {
        return Err("the device should refuse message 1".into());
    }
    if harness::engine(target)?.keccak256(&messages) != messages.map(vectors::keccak256) {
        return Err("the engine should hash it on the CPU".into());
    }
    Ok(())
}

const VARIANTS: [(Target, Integers); 2] = [(Target::Wgpu, Integers::Widest), (Target::WgpuU32, Integers::Portable)];

fn edited(
    integers: Integers,
    kernel: &str,
    edit: impl Fn(&str) -> Result<String, String>,
) -> Result<WgpuBackend, BackendError> {
    WgpuBackend::open_edited(std::env::var("LOCKSTEP_DEVICE").ok().as_deref(), integers, kernel, &edit)
}

fn replaced(text: &str, from: &str, to: &str) -> Result<String, String> {
    if text.contains(from) { Ok(text.replace(from, to)) } else { Err(format!("no {from:?} in the kernel")) }
}

/// What the kernel says of the traps and some honest signatures, before the host redoes anything.
fn lanes(device: &WgpuBackend) -> Result<(Vec<Vector>, Vec<RecoverResult>), Failed> {
    let mut vectors = TRAPS.clone();
    vectors.extend(vectors::random_signatures(64, 24));
    let results = device.recover_lanes(&vectors::requests(&vectors))?;
    Ok((vectors, results))
}

/// Only what somebody who knows k has made is left to the CPU, and every bad signature is refused by the kernel itself.
/// What is left to the CPU comes back right, among others and alone, with a signer or without. The kernel has naga's run-time
/// checks here; the harness's device runs without where the self-test allows it.
fn checked_lanes(integers: Integers) -> Result<(), Failed> {
    let device = edited(integers, "recover", |text| Ok(text.to_owned()))?;
    let (vectors, results) = lanes(&device)?;
    if vectors::compare_lanes(&vectors, &results)? == 0 {
        return Err("no crafted vector reaches Z = 0".into());
    }
    let left: Vec<_> = vectors.iter().zip(results).filter(|(_, result)| result.status == STATUS_EXCEPTIONAL).collect();
    let left: Vec<_> = left.into_iter().map(|(vector, _)| vector.clone()).collect();
    if left.iter().all(|vector| vector.signer.is_some()) || left.iter().all(|vector| vector.signer.is_none()) {
        return Err("both kinds should be left to the CPU".into());
    }
    vectors::compare(&left, &device.recover(&vectors::requests(&left))?)?;
    let mixed: Vec<_> = left.into_iter().zip(vectors::random_signatures(1000, 25)).flat_map(|(a, b)| [a, b]).collect();
    Ok(vectors::compare(&mixed, &device.recover(&vectors::requests(&mixed))?)?)
}

/// The functions under the kernel on edge operands, with a defect where `from` becomes `to`.
fn arithmetic(integers: Integers, from: &str, to: &str) -> Result<(), Failed> {
    let device = edited(integers, "recover", |text| arithmetic::edit(&replaced(text, from, to)?))?;
    let calls = arithmetic::calls(device.has_int64());
    Ok(arithmetic::compare(&calls, &device.recover_lanes(&arithmetic::requests(&calls))?)?)
}

/// The benches' mix has the exceptional signatures that it claims: one in a thousand, besides the invalid ones.
fn mixed_lanes() -> Result<(), Failed> {
    let clean = Signatures::clean(4000);
    let device = edited(Integers::Widest, "recover", |text| Ok(text.to_owned()))?;
    let [clean, mixed] = [&clean, &Signatures::mixed(&clean)].map(|signatures| {
        let results = device.recover_lanes(&signatures.requests)?;
        let count = |status| results.iter().filter(|result| result.status == status).count();
        Ok::<_, Failed>([STATUS_RECOVERED, STATUS_INVALID, STATUS_EXCEPTIONAL].map(count))
    });
    match (clean?, mixed?) {
        ([4000, 0, 0], [3956, 40, 4]) => Ok(()),
        counts => Err(format!("{counts:?}").into()),
    }
}

/// Traps built into the recovery kernel's stages, whose text both variants share; none may go unnoticed.
const RECOVER_MUTANTS: [(&str, &str, &str); 9] = [
    ("s_equal_to_the_order", "words_less(s, SC_N_WORDS)", "true"),
    ("x_past_the_field", "!words_less(r, FE_P_MINUS_N_WORDS)", "false"),
    ("parity_of_an_unreduced_y", "fe_to_words(y)[0] & 1u", "y[0] & 1u"),
    ("sign_of_a_digit", "digit < 128u", "digit < 127u"),
    (
        "sign_of_one_digit_in_one_window",
        "negative = digit < 8u;",
        "negative = digit < 8u && !(window == 30u && digit == 3u);",
    ),
    ("infinity_has_an_address", "words_equal(state_words(lane, STATE_Z), Words())", "false"),
    ("invalid_r_among_others", "0u, 0u), invalid)", "0u, 0u), false)"),
    ("infinity_among_others", "words_equal(z, Words())", "false"),
    ("inversion_of_all_lanes_but_the_last", "lane < params.count; lane +=", "lane < params.count - 1u; lane +="),
];

/// Defects in the functions under the kernel, some of which only an edge operand meets.
const ARITHMETIC_MUTANTS: [(&str, &str, &str); 4] = [
    ("p_is_not_zero", "w[0] += 977u;", "w[0] += 976u;"),
    (
        "one_subtraction_of_n",
        "for (var i = 0u; i < 2u; i++) {\n        var w = v;",
        "for (var i = 0u; i < 1u; i++) {\n        var w = v;",
    ),
    ("three_halves_of_an_odd_number", "let odd = 0u - (a[0] & 1u);", "let odd = 0u;"),
    ("difference_below_zero", "kc * (FE_MULTIPLE_0 - c[0])", "kc * (0u - c[0])"),
];

const KECCAK_MUTANTS: [(&str, &str, &str); 2] = [
    ("keccak_pads_like_sha3", "1u << ((rest & 3u) * 8u)", "6u << ((rest & 3u) * 8u)"),
    ("keccak_full_block_without_another", "length / 136u;", "(max(length, 1u) - 1u) / 136u;"),
];

fn broken_recover(from: &str, to: &str) -> Result<(), Failed> {
    let (vectors, results) = lanes(&edited(Integers::Widest, "recover", |text| replaced(text, from, to))?)?;
    vectors::compare_lanes(&vectors, &results).map_or(Ok(()), |_| Err("no lane differs".into()))
}

fn broken_keccak(from: &str, to: &str) -> Result<(), Failed> {
    let device = edited(Integers::Widest, "keccak_batch", |text| replaced(text, from, to))?;
    check_lengths(|messages| Ok(device.keccak256(messages)?)).map_or(Ok(()), |()| Err("no digest differs".into()))
}

/// The comparers prove nothing if they cannot fail.
fn comparers_see_wrong_results() -> Result<(), Failed> {
    let [good, ..] = &vectors::random_signatures(1, 23)[..] else { return Err("no signature".into()) };
    let bad = Vector::new("bad", RecoverRequest { r: U256::ZERO, ..good.request });
    let signer = good.signer.ok_or("honest")?;
    let vectors = [good.clone(), bad];
    let invalid = Err(RecoverError::Range);
    vectors::compare(&vectors, &[Ok(signer), invalid])?;
    let wrong = [
        vec![Ok(signer)],
        vec![Ok(Address::ZERO), invalid],
        vec![invalid, invalid],
        vec![Ok(signer), Ok(signer)],
        vec![Ok(signer), Ok(Address::ZERO)],
    ];
    if let Some(missed) = wrong.iter().find(|results| vectors::compare(&vectors, results).is_ok()) {
        return Err(format!("taken for right: {missed:?}").into());
    }

    let limbs: [u32; 5] = std::array::from_fn(|i| u32::from_le_bytes(std::array::from_fn(|j| signer[4 * i + j])));
    let lane = |status, address| RecoverResult { status, address, pad0: [0; 2] };
    let (recovered, invalid) = (lane(STATUS_RECOVERED, limbs), lane(STATUS_INVALID, [0; 5]));
    vectors::compare_lanes(&vectors, &[recovered, invalid])?;
    let wrong = [
        vec![recovered],
        vec![invalid, invalid],
        vec![lane(STATUS_RECOVERED, [1; 5]), invalid],
        vec![lane(STATUS_EXCEPTIONAL, [0; 5]), invalid],
        vec![lane(0, [0; 5]), invalid],
        vec![recovered, lane(0, [0; 5])],
        vec![recovered, lane(STATUS_RECOVERED, [0; 5])],
        vec![recovered, lane(STATUS_INVALID, limbs)],
    ];
    match wrong.iter().find(|results| vectors::compare_lanes(&vectors, results).is_ok()) {
        Some(missed) => Err(format!("taken for right: {missed:?}").into()),
        None => Ok(()),
    }
}

type Test = fn(Subject) -> Result<(), Failed>;
type DataTest = fn(Subject, &Path) -> Result<(), Failed>;

const TESTS: [(&str, Test); 5] = [
    ("traps", traps),
    ("random_signatures", random_signatures),
    ("random_requests", random_requests),
    ("batch_sizes", batch_sizes),
    ("bad_lane_in_every_position", bad_lane_in_every_position),
];

const DATA_TESTS: [(&str, &str, DataTest); 4] = [
    ("wycheproof", "suites/wycheproof_ecdsa_secp256k1_sha256_bitcoin.json.zst", wycheproof),
    ("transaction_tests", "suites/transaction_tests.tar.zst", transaction_tests),
    ("wrong_transactions", "suites/transaction_tests.tar.zst", wrong_transactions),
    ("mainnet", "blocks", mainnet),
];

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.test("comparers_see_wrong_results", comparers_see_wrong_results);
    for subject in Subject::all() {
        for (name, run) in TESTS {
            subject.test(&mut suite, name, move || run(subject));
        }
        for (name, path, run) in DATA_TESTS {
            match harness::data(path) {
                Ok(path) => subject.test(&mut suite, name, move || run(subject, &path)),
                Err(reason) => suite.skip(format!("{subject:?}::{name}"), "data", reason),
            }
        }
    }
    for target in Target::ALL {
        suite.on(target, "keccak_lengths", move |_| keccak_lengths(target));
        match harness::data("suites/keccak256_kat.txt.zst") {
            Ok(path) => suite.on(target, "keccak_known_answers", move |_| keccak_known_answers(target, &path)),
            Err(reason) => suite.skip(format!("{}::keccak_known_answers", target.name()), "data", reason),
        }
    }
    suite.on(Target::Wgpu, "keccak_too_long", |_| keccak_too_long(Target::Wgpu));
    for (target, integers) in VARIANTS {
        suite.on(target, "checked_lanes", move |_| checked_lanes(integers));
        suite.on(target, "arithmetic", move |_| arithmetic(integers, "", ""));
        for (name, from, to) in ARITHMETIC_MUTANTS {
            let broken = move || match arithmetic(integers, from, to) {
                Ok(()) => Err("no call differs".into()),
                Err(failed) if failed.message().is_some_and(|text| text.contains("got ")) => Ok(()),
                Err(failed) => Err(failed),
            };
            suite.on(target, &format!("broken_kernel::{name}"), move |_| broken());
        }
    }
    suite.on(Target::Wgpu, "mixed_lanes", |_| mixed_lanes());
    suite.on(Target::Wgpu, "several_chunks", |_| several_chunks(Subject::Backend(Target::Wgpu)));
    for (name, from, to) in RECOVER_MUTANTS {
        suite.on(Target::Wgpu, &format!("broken_kernel::{name}"), move |_| broken_recover(from, to));
    }
    for (name, from, to) in KECCAK_MUTANTS {
        suite.on(Target::Wgpu, &format!("broken_kernel::{name}"), move |_| broken_keccak(from, to));
    }
    suite.run()
}
