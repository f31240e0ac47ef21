//! Ethereum's state tests and blockchain tests on every backend, and proof that their comparer sees what is wrong: wrong expectations, a
//! device that errs, files that are no tests. And the verbs `statetest` and `blocktest` as their users see them.

use alloy_primitives::{Address, B256};
use libtest_mimic::Failed;
use lockstep::{
    backend::{Backend, BackendError, BackendKind, Executed},
    engine::Engine,
    fallback::FallbackReason,
    lower::Batch,
    parallel::Schedule,
    park::Service,
    plan::{LaneClass, LaneLimits},
    recover::{RecoverError, RecoverRequest},
    suite::{self, Kind, Report, Sample, Verdict},
};
use lockstep_tests::{
    binary::{self, Folder, Ran},
    harness::{self, Suite, Target},
};
use serde_json::{Map, Value, json};
use std::{
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, LazyLock},
    time::Duration,
};

type Outcome = Result<(), Failed>;

/// A hash that nothing has.
const ZERO: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";

const STATE_TESTS: &str = "suites/state_tests.tar.zst";
const BLOCK_TESTS: &str = "suites/blockchain_tests_prague.tar.zst";

/// Slots and transient slots; valid transactions that a device runs.
const VALID: &str = "cancun/eip1153_tstore/test_basic_tload_works.json";
/// Transactions of type 1, on forks before them too.
const SOME_REJECTED: &str = "berlin/eip2930_access_list/test_eip2930_tx_validity.json";
/// Blocks of one transaction of type 2, some of them to be rejected.
const BLOCKS: &str = "london/eip1559_fee_market_change/tx_type/eip1559_tx_validity.json";
/// Blocks with a wrong base fee.
const REJECTED_BLOCKS: &str = "london/validation/header/invalid_header.json";

/// The share of the cases that runs here on all but the first device, and of the blockchain tests on that one too: one in
/// twenty, or in as many as `LOCKSTEP_SHARE` says, so that 1 is all of them.
static SHARE: LazyLock<Sample> = LazyLock::new(|| {
    let one_in = std::env::var("LOCKSTEP_SHARE").map_or(20, |share| share.parse().expect("LOCKSTEP_SHARE: a number"));
    Sample { one_in, seed: 7 }
});

fn main() -> ExitCode {
    let mut suite = Suite::default();
    match (harness::data(STATE_TESTS), harness::data(BLOCK_TESTS)) {
        (Ok(states), Ok(blocks)) => {
            for target in Target::ALL {
                let (states, blocks) = (states.clone(), blocks.clone());
                suite.on(target, "state_tests", move |engine| state_tests(engine, target, &states));
                suite.on(target, "block_tests", move |engine| block_tests(engine, target, &blocks));
            }
            suite.test("cpu::block_tests_on_threads", move || {
                let schedule =
                    Schedule { from: 1, least: Duration::ZERO, handover: Duration::ZERO, ..Schedule::default() };
                let engine = Engine::builder().backend(BackendKind::Cpu).threads(3).schedule(schedule).build()?;
                block_tests(&engine, Target::Cpu, &blocks)
            });
            suite.each("every_wrong_state_expectation_is_named", wrong_state_expectations);
            suite.each("every_wrong_block_expectation_is_named", wrong_block_expectations);
            suite.each("malformed_files_name_file_and_case", malformed);
            suite.test("cpu::files_folders_and_archives_are_one", sources);
            suite.test("cpu::a_sample_is_a_share", sample);
            for target in [Target::Wgpu, Target::WgpuU32] {
                suite.on(target, "a_device_that_errs_is_caught", move |_| faulty(target));
            }
            for target in [Target::Cpu, Target::Wgpu] {
                if binary::flags(target).is_some() {
                    suite.on(target, "program::json_text_and_exit_codes", move |_| program(target));
                }
            }
        }
        (Err(reason), _) | (_, Err(reason)) => suite.skip("suites", "data", reason),
    }
    match (swiftshader(), harness::data(STATE_TESTS)) {
        (Ok(driver), Ok(states)) => suite.test("swiftshader::state_tests", move || second_driver(&driver, &states)),
        (Err(reason), _) => suite.skip("swiftshader::state_tests", "swiftshader", reason),
        (_, Err(reason)) => suite.skip("swiftshader::state_tests", "data", reason),
    }
    suite.test("program::usage_and_absent_backends", usage);
    suite.run()
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what().into()) }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, actual: T, expected: T) -> Outcome {
    ensure(actual == expected, || format!("{what}: {actual:?}, expected {expected:?}"))
}

fn run(engine: &Engine, kind: Kind, path: &Path, sample: Sample) -> Report {
    suite::run(kind, engine, &[path.into()], sample, |_| {})
}

// The suites themselves.

fn share(target: Target, kind: Kind) -> Sample {
    match (target, kind) {
        (Target::Cpu, _) | (Target::Wgpu, Kind::State) => Sample::default(),
        _ => *SHARE,
    }
}

/// No failure and nothing bad; every case counted once.
#[expect(clippy::print_stdout, reason = "the figures are what the test is there to tell")]
fn check(target: Target, report: &Report) -> Outcome {
    let total = &report.total;
    println!("{}: {total:?}, fallbacks {:?}", target.name(), report.fallbacks);
    let failures = report.remarks.iter().filter(|remark| matches!(remark.verdict, Verdict::Failed(_)));
    ensure(total.failed == 0, || format!("{:#?}", failures.take(10).collect::<Vec<_>>()))?;
    equal("bad inputs", &report.bad, &Vec::new())?;
    equal("cases", total.cases, total.passed + total.oracle_differs + total.skipped)?;
    equal("by fork", report.by_fork.values().map(|figures| figures.cases).sum(), total.cases)?;
    ensure(total.skipped * 20 <= total.cases, || format!("{} skipped", total.skipped))?;
    if target == Target::Cpu {
        equal("on a device", (total.device, report.fallbacks.len()), (0, 0))
    } else {
        ensure(total.device > 0 && total.device <= total.eligible, || format!("{total:?}"))
    }
}

fn state_tests(engine: &Engine, target: Target, path: &Path) -> Outcome {
    let report = run(engine, Kind::State, path, share(target, Kind::State));
    check(target, &report)?;
    ensure(report.total.oracle_differs <= 42, || format!("{:?}", report.total))?;
    if target != Target::WgpuU32 {
        equal("cases", (report.total.cases, report.total.skipped), (25_270, 0))?;
    }
    if target == Target::Wgpu {
        ensure(report.total.device * 10 >= report.total.eligible * 9, || format!("{:?}", report.total))?;
        // All cases of a fork that are read together share their batches.
        ensure(report.lanes > 500 * report.batches, || {
            format!("{} lanes in {} batches", report.lanes, report.batches)
        })?;
    }
    Ok(())
}

fn block_tests(engine: &Engine, target: Target, path: &Path) -> Outcome {
    let report = run(engine, Kind::Block, path, share(target, Kind::Block));
    check(target, &report)?;
    ensure(report.total.oracle_differs <= 14, || format!("{:?}", report.total))?;
    if target == Target::Cpu {
        equal("cases", (report.total.cases, report.total.skipped), (8_957, 0))?;
    }
    Ok(())
}

/// The manifest of a second Vulkan driver, which `tests/run` gets; drivers are chosen once a process.
fn swiftshader() -> Result<String, String> {
    std::env::var("LOCKSTEP_SWIFTSHADER").map_err(|_| "no LOCKSTEP_SWIFTSHADER: tests/run gets it where it can".into())
}

/// A share of the state tests on a driver without 64-bit integers, which the program runs on as users would.
fn second_driver(driver: &str, path: &Path) -> Outcome {
    let path = path.to_str().ok_or("no UTF-8")?;
    let one_in = SHARE.one_in.to_string();
    let seed = SHARE.seed.to_string();
    let args = ["statetest", path, "--backend", "wgpu", "--one-in", &one_in, "--seed", &seed, "--json"];
    let object =
        binary::run_with(&[("VK_DRIVER_FILES", driver), ("VK_ICD_FILENAMES", driver)], &args)?.exits(0)?.json()?;
    let count = |key: &str| object[key].as_u64().ok_or_else(|| format!("no {key}: {object}"));
    let name = object["backend"]["name"].as_str().unwrap_or_default();
    ensure(name.contains("SwiftShader"), || format!("the device is {name}"))?;
    equal("failed", count("failed")?, 0)?;
    ensure(count("device")? * 10 >= count("eligible")? * 9, || format!("too few on the device: {object}"))?;
    ensure(count("cases")? > 1000, || format!("too few cases: {object}"))
}

// Edited tests.

/// A file of an archive, by the end of its path.
fn extract(archive: &str, end: &str) -> Result<Map<String, Value>, Failed> {
    for entry in tar::Archive::new(harness::unpacked(&harness::data(archive)?)?).entries()? {
        let mut entry = entry?;
        if entry.path()?.ends_with(end) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return Ok(serde_json::from_slice(&bytes)?);
        }
    }
    Err(format!("no {end} in {archive}").into())
}

/// The first test of a file that is one of `wanted`, alone.
fn first(archive: &str, end: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value, Failed> {
    let tests = extract(archive, end)?;
    let (name, test) = tests.into_iter().find(|(_, test)| wanted(test)).ok_or("no such test")?;
    Ok(json!({ name: test }))
}

/// The only test of a file.
fn only(file: &mut Value) -> &mut Value {
    file.as_object_mut().and_then(|tests| tests.values_mut().next()).expect("one test")
}

/// The only expectation of a state test.
fn post(test: &mut Value) -> &mut Value {
    test["post"].as_object_mut().and_then(|forks| forks.values_mut().next()).map(|posts| &mut posts[0]).expect("one")
}

/// The storage of the first account of a state that has some.
fn storage(state: &mut Value) -> &mut Map<String, Value> {
    let accounts = state.as_object_mut().expect("accounts").values_mut();
    let mut storages = accounts.filter_map(|account| account["storage"].as_object_mut());
    storages.find(|storage| !storage.is_empty()).expect("some storage")
}

fn rejected(test: &Value) -> bool {
    test["post"].as_object().is_some_and(|forks| forks.values().any(|posts| posts[0].get("expectException").is_some()))
}

type Edit = fn(&mut Value);

/// The file as it is passes; after each edit its one case fails at the field named.
fn edits(engine: &Engine, kind: Kind, name: &str, good: &Value, edits: &[(&str, Edit)]) -> Outcome {
    let folder = Folder::new(&format!("{name}-{}", engine.backend_name()))?;
    let file: PathBuf = folder.write("good.json", good.to_string())?.into();
    let report = run(engine, kind, &file, Sample::default());
    equal("unedited", (report.total.cases, report.total.passed, report.bad.len()), (1, 1, 0))?;
    for (field, edit) in edits {
        let mut bad = good.clone();
        edit(only(&mut bad));
        let file: PathBuf = folder.write("bad.json", bad.to_string())?.into();
        let report = run(engine, kind, &file, Sample::default());
        let found = match &report.remarks[..] {
            [remark] => match &remark.verdict {
                Verdict::Failed(mismatch) => mismatch.field.contains(field) && mismatch.expected != mismatch.actual,
                _ => false,
            },
            _ => false,
        };
        ensure(found && report.total.failed == 1, || format!("a wrong {field} gave {report:#?}"))?;
    }
    Ok(())
}

fn wrong_state_expectations(engine: &Engine) -> Outcome {
    let valid = first(STATE_TESTS, VALID, |_| true)?;
    let of_valid: [(&str, Edit); 9] = [
        ("slot", |test| storage(&mut post(test)["state"]).values_mut().for_each(|value| *value = json!("0x77"))),
        ("slot", |test| _ = storage(&mut post(test)["state"]).insert("0x1234".into(), json!("0x01"))),
        ("slot", |test| storage(&mut post(test)["state"]).clear()),
        ("balance", |test| {
            let accounts = post(test)["state"].as_object_mut().expect("accounts");
            accounts.values_mut().for_each(|account| account["balance"] = json!("0x01"));
        }),
        ("account", |test| {
            let account = json!({"nonce": "0x1", "balance": "0x0", "code": "0x", "storage": {}});
            post(test)["state"][format!("0x{}", "f".repeat(40))] = account;
        }),
        ("state root", |test| post(test)["hash"] = json!(ZERO)),
        ("logs hash", |test| post(test)["logs"] = json!(ZERO)),
        ("exception", |test| post(test)["expectException"] = json!("TransactionException.ANY")),
        ("exception", |test| test["transaction"]["nonce"] = json!("0x77")),
    ];
    edits(engine, Kind::State, "valid", &valid, &of_valid)?;
    let rejected = first(STATE_TESTS, SOME_REJECTED, rejected)?;
    let of_rejected: [(&str, Edit); 3] = [
        ("exception", |test| _ = post(test).as_object_mut().and_then(|post| post.remove("expectException"))),
        ("state root", |test| post(test)["hash"] = json!(ZERO)),
        ("logs hash", |test| post(test)["logs"] = json!(ZERO)),
    ];
    edits(engine, Kind::State, "rejected", &rejected, &of_rejected)
}

/// Changes one digit of a block's header, found by the value of one of its fields.
fn edit_header(test: &mut Value, field: &str) {
    let block = &mut test["blocks"][0];
    let old = block["blockHeader"][field].as_str().expect("a field")[2..].to_owned();
    let digit = if old.ends_with('0') { '1' } else { '0' };
    let new = format!("{}{digit}", &old[..old.len() - 1]);
    let rlp = block["rlp"].as_str().expect("rlp").replacen(&old, &new, 1);
    block["rlp"] = json!(rlp);
}

fn wrong_block_expectations(engine: &Engine) -> Outcome {
    let is_valid = |test: &Value| test["blocks"][0].get("expectException").is_none();
    let valid = first(BLOCK_TESTS, BLOCKS, is_valid)?;
    let of_valid: [(&str, Edit); 10] = [
        ("slot", |test| storage(&mut test["postState"]).values_mut().for_each(|value| *value = json!("0x77"))),
        ("slot", |test| storage(&mut test["postState"]).clear()),
        ("lastblockhash", |test| test["lastblockhash"] = json!(ZERO)),
        ("exception", |test| test["blocks"][0]["expectException"] = json!("BlockException.ANY")),
        ("lastblockhash", |test| test["blocks"] = json!([])),
        ("stateRoot", |test| edit_header(test, "stateRoot")),
        ("receiptTrie", |test| edit_header(test, "receiptTrie")),
        ("transactionsTrie", |test| edit_header(test, "transactionsTrie")),
        ("parentHash", |test| edit_header(test, "parentHash")),
        ("requestsHash", |test| edit_header(test, "requestsHash")),
    ];
    edits(engine, Kind::Block, "blocks", &valid, &of_valid)?;
    let rejected = first(BLOCK_TESTS, REJECTED_BLOCKS, |test| !is_valid(test))?;
    let of_rejected: [(&str, Edit); 2] = [
        ("baseFeePerGas", |test| {
            _ = test["blocks"][0].as_object_mut().and_then(|block| block.remove("expectException"));
        }),
        ("lastblockhash", |test| test["lastblockhash"] = json!(ZERO)),
    ];
    edits(engine, Kind::Block, "rejected-blocks", &rejected, &of_rejected)
}

// Bad files.

fn malformed(engine: &Engine) -> Outcome {
    let folder = Folder::new(&format!("malformed-{}", engine.backend_name()))?;
    let good = first(STATE_TESTS, VALID, |_| true)?;
    let name = good.as_object().and_then(|tests| tests.keys().next()).cloned().ok_or("no test")?;
    let edited = |edit: Edit| {
        let mut bad = good.clone();
        edit(only(&mut bad));
        bad.to_string()
    };
    let cases: [(String, Option<&str>, &str); 10] = [
        ("{".into(), None, "file"),
        ("[]".into(), None, "file"),
        ("{}".into(), None, "file"),
        (edited(|test| *test = json!(1)), Some(&name), "case"),
        (edited(|test| _ = test.as_object_mut().and_then(|test| test.remove("pre"))), Some(&name), "pre"),
        (edited(|test| test["env"]["currentNumber"] = json!("0xzz")), Some(&name), "env.currentNumber"),
        (edited(|test| test["transaction"]["to"] = json!("0x12")), Some(&name), "transaction.to"),
        (edited(|test| post(test)["hash"] = json!("0x12")), Some(&name), "post.Cancun.0.hash"),
        (edited(|test| post(test)["indexes"]["data"] = json!(9)), Some(&name), "transaction.data"),
        (edited(|test| test["post"] = json!({})), Some(&name), "post"),
    ];
    for (index, (content, _, _)) in cases.iter().enumerate() {
        folder.write(&format!("{index}.json"), content)?;
    }
    folder.write("good.json", good.to_string())?;
    let report = run(engine, Kind::State, Path::new(&folder.at("")), Sample::default());
    equal("the good one ran", (report.total.cases, report.total.passed), (1, 1))?;
    equal("bad", report.bad.len(), cases.len())?;
    for (index, (bad, (_, case, field))) in report.bad.iter().zip(&cases).enumerate() {
        ensure(bad.file.ends_with(&format!("{index}.json")), || format!("{bad:?}"))?;
        equal("case", bad.case.as_deref(), *case)?;
        ensure(bad.field.starts_with(field), || format!("{bad:?}, expected {field}"))?;
    }
    // A fork that is not ours is no mistake of the file's.
    let foreign = edited(|test| {
        let posts = post(test).clone();
        test["post"] = json!({"Constantinople": [posts]});
    });
    let file = folder.write("foreign", foreign)?;
    let report = run(engine, Kind::State, Path::new(&file), Sample::default());
    equal("foreign", (report.total.cases, report.total.skipped, report.bad.len()), (1, 1, 0))?;
    ensure(
        matches!(&report.remarks[0].verdict, Verdict::Skipped(reason) if reason.contains("Constantinople")),
        || format!("{:?}", report.remarks),
    )?;
    for (kind, file) in [(Kind::Block, "good.json"), (Kind::State, "absent.json"), (Kind::State, "absent.tar.zst")] {
        let report = run(engine, kind, Path::new(&folder.at(file)), Sample::default());
        equal(file, (report.total.cases, report.bad.len()), (0, 1))?;
        ensure(report.bad[0].file.ends_with(file), || format!("{:?}", report.bad))?;
    }
    Ok(())
}

// Where tests come from.

fn sources() -> Outcome {
    let engine = harness::engine(Target::Cpu)?;
    let folder = Folder::new("sources")?;
    let mut files = Vec::new();
    for end in [VALID, SOME_REJECTED] {
        let content = Value::Object(extract(STATE_TESTS, end)?).to_string();
        files.push((end.rsplit('/').next().unwrap_or(end), content));
    }
    let mut archive = tar::Builder::new(zstd::Encoder::new(std::fs::File::create(folder.at("all.tar.zst"))?, 1)?);
    let inner = Folder::new("sources-inner")?;
    for (name, content) in &files {
        inner.write(name, content)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, format!("./a/{name}"), content.as_bytes())?;
    }
    inner.write(".hidden.json", "no test")?;
    inner.write("notes.txt", "no test")?;
    archive.into_inner()?.finish()?;
    let paths = |paths: &[String]| -> Result<Report, Failed> {
        let paths: Vec<PathBuf> = paths.iter().map(Into::into).collect();
        let report = suite::run(Kind::State, &engine, &paths, Sample::default(), |_| {});
        equal("bad", &report.bad, &Vec::new())?;
        Ok(report)
    };
    let of_files = paths(&files.iter().map(|(name, _)| inner.at(name)).collect::<Vec<_>>())?;
    ensure(of_files.total.cases > 3 && of_files.total.failed == 0, || format!("{of_files:?}"))?;
    equal("folder", paths(&[inner.at("")])?.by_fork, of_files.by_fork.clone())?;
    equal("archive", paths(&[folder.at("all.tar.zst")])?.by_fork, of_files.by_fork)
}

fn sample() -> Outcome {
    let engine = harness::engine(Target::Cpu)?;
    let folder = Folder::new("sample")?;
    let tests = extract(STATE_TESTS, "berlin/eip2930_access_list/test_transaction_intrinsic_gas_cost.json")?;
    let file: PathBuf = folder.write("many.json", Value::Object(tests).to_string())?.into();
    let cases = |one_in, seed| run(&engine, Kind::State, &file, Sample { one_in, seed }).total.cases;
    let all = cases(1, 0);
    let half = cases(2, 1);
    ensure(half > all / 4 && half < all * 3 / 4, || format!("{half} of {all}"))?;
    equal("the same again", cases(2, 1), half)?;
    ensure((0..5).any(|seed| cases(7, seed) != cases(7, 5)), || "every seed is the same".into())
}

// A device that errs.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// One unit of gas more is left than is right.
    Gas,
    /// A value that was written is another.
    Value,
    /// Every batch is lost.
    Dead,
}

#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn Backend>,
    fault: Fault,
}

impl Backend for Faulty {
    fn kind(&self) -> BackendKind {
        self.inner.kind()
    }

    fn name(&self) -> &str {
        "faulty"
    }

    fn keccak256(&self, messages: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
        self.inner.keccak256(messages)
    }

    fn recover(&self, requests: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
        self.inner.recover(requests)
    }

    fn lane_limits(&self, class: LaneClass) -> LaneLimits {
        self.inner.lane_limits(class)
    }

    fn execute(&self, batch: &Batch, service: &mut dyn Service) -> Result<Executed, BackendError> {
        if self.fault == Fault::Dead {
            return Err(BackendError::DeviceLost("faulty".into()));
        }
        let mut run = self.inner.execute(batch, service)?;
        for lane in &mut run.lanes {
            match self.fault {
                Fault::Gas => lane.state.gas_lo = lane.state.gas_lo.wrapping_add(1),
                _ => lane.entries.iter_mut().for_each(|entry| entry.current[0] ^= 1),
            }
        }
        Ok(run)
    }
}

fn faulty(target: Target) -> Outcome {
    let folder = Folder::new(&format!("faulty-{}", target.name()))?;
    let file: PathBuf = folder.write("valid.json", Value::Object(extract(STATE_TESTS, VALID)?).to_string())?.into();
    let run = |fault| -> Result<Report, Failed> {
        let inner = harness::device(target)?.ok_or("no device")?;
        let engine = Engine::builder().with_device(Arc::new(Faulty { inner, fault })).build()?;
        Ok(run(&engine, Kind::State, &file, Sample::default()))
    };
    for fault in [Fault::Gas, Fault::Value] {
        let report = run(fault)?;
        equal("failed", (report.total.failed, report.total.passed), (report.total.cases, 0))?;
        for remark in &report.remarks {
            let seen = matches!(&remark.verdict, Verdict::Failed(mismatch) if mismatch.field.contains("against revm"));
            ensure(seen, || format!("{fault:?}: {remark:?}"))?;
        }
    }
    let dead = run(Fault::Dead)?;
    equal("passed", (dead.total.passed, dead.total.device), (dead.total.cases, 0))?;
    equal("fallbacks", dead.fallbacks.get(&FallbackReason::DeviceError).copied(), Some(dead.total.cases))
}

// The program.

fn program(target: Target) -> Outcome {
    let flags = binary::flags(target).ok_or("no flags")?;
    let run = |args: &[&str]| -> Result<Ran, String> {
        binary::run(&args.iter().copied().chain(flags.iter().map(String::as_str)).collect::<Vec<_>>())
    };
    let folder = Folder::new(&format!("program-{}", target.name()))?;
    let all = folder.write("valid.json", Value::Object(extract(STATE_TESTS, VALID)?).to_string())?;
    let ran = run(&["statetest", "--json", &all])?.exits(0)?;
    ensure(ran.stderr.is_empty(), || format!("{ran:?}"))?;
    let object = ran.json()?;
    let counts = ["cases", "passed", "failed", "oracle_differs", "eligible", "device", "skipped"];
    let count = |object: &Value, key: &str| object[key].as_u64().ok_or_else(|| format!("no {key}: {object}"));
    equal("schema", &object["schema"], &json!("lockstep-statetest/1"))?;
    equal("kind", &object["backend"]["kind"], &json!(target.name()))?;
    ensure(object["backend"]["name"].is_string() && object["fallbacks"].is_object(), || object.to_string())?;
    let by_fork = object["by_fork"].as_object().ok_or("by_fork")?;
    equal("forks", by_fork.keys().map(String::as_str).collect::<Vec<_>>(), vec!["Cancun", "Osaka", "Prague"])?;
    for key in counts {
        let sum = by_fork.values().map(|fork| count(fork, key)).sum::<Result<u64, _>>()?;
        equal(key, count(&object, key)?, sum)?;
    }
    equal("passed", count(&object, "passed")?, count(&object, "cases")?)?;
    let (lanes, batches) = (count(&object, "lanes")?, count(&object, "batches")?);
    // One for each fork.
    equal("batches", (lanes > 0, batches), if target == Target::Cpu { (false, 0) } else { (true, 3) })?;
    let on_device = if target == Target::Cpu { 0 } else { count(&object, "eligible")? };
    equal("device", count(&object, "device")?, on_device)?;
    let text = run(&["statetest", &all])?.exits(0)?;
    ensure(counts.iter().all(|head| text.stdout.contains(head)) && text.stdout.contains("Osaka"), || text.stdout)?;

    // A difference: exit code 1. A bad file beside it: 2, and the others still ran.
    let mut wrong = first(STATE_TESTS, VALID, |_| true)?;
    post(only(&mut wrong))["logs"] = json!(ZERO);
    let wrong = folder.write("wrong.json", wrong.to_string())?;
    let differs = run(&["statetest", "--json", &wrong, &all])?.exits(1)?.json()?;
    let failures = differs["failures"].as_array().ok_or("failures")?;
    equal("failures", (failures.len(), count(&differs, "failed")?), (1, 1))?;
    for key in ["file", "case", "fork", "field", "expected", "actual"] {
        ensure(failures[0][key].is_string(), || format!("no {key}: {differs}"))?;
    }
    let text = run(&["statetest", &wrong])?.exits(1)?;
    ensure(text.stdout.contains("FAILED logs hash"), || text.stdout)?;
    let bad = folder.write("bad.json", "{\"x\": {}}")?;
    let ran = run(&["statetest", "--json", &wrong, &bad, &all])?.exits(2)?;
    equal("errors", ran.errors().len(), 1)?;
    ensure(ran.stderr.contains("bad.json: x: pre: missing"), || ran.stderr.clone())?;
    let object = ran.json()?;
    equal("the others ran", count(&object, "cases")?, count(&differs, "cases")?)?;
    equal("error", (&object["errors"][0]["case"], &object["errors"][0]["field"]), (&json!("x"), &json!("pre")))?;

    let blocks = folder.write("blocks.json", Value::Object(extract(BLOCK_TESTS, BLOCKS)?).to_string())?;
    let object = run(&["blocktest", "--json", &blocks])?.exits(0)?.json()?;
    equal("schema", &object["schema"], &json!("lockstep-blocktest/1"))?;
    ensure(object["by_fork"]["Prague"]["passed"].as_u64() > Some(0), || object.to_string())?;
    run(&["blocktest", &blocks, &all])?.exits(2)?;
    Ok(())
}

fn usage() -> Outcome {
    for verb in ["statetest", "blocktest"] {
        binary::run(&[verb])?.exits(2)?;
        binary::run(&[verb, "x.json", "--one-in", "0"])?.exits(2)?;
        ensure(binary::run(&[verb, "--help"])?.exits(0)?.stdout.contains("--json"), || verb.into())?;
        let absent = binary::run(&[verb, "absent.json", "--backend", "cpu"])?.exits(2)?;
        ensure(absent.stderr.contains("absent.json"), || format!("{absent:?}"))?;
        let cuda = binary::run(&[verb, "x.json", "--backend", "cuda"])?.exits(3)?;
        ensure(cuda.stdout.is_empty() && cuda.errors().len() == 1, || format!("{cuda:?}"))?;
    }
    Ok(())
}
