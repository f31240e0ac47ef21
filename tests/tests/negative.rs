//! Bad input, through the library and through the program: always an error with its place, the same on every backend, never a panic.

use alloy_primitives::{Bytes, hex, keccak256};
use alloy_rlp::Header;
use libtest_mimic::Failed;
use lockstep::{
    block_file::BlockFile,
    engine::Engine,
    fork::Fork,
    intrinsic::check_intrinsic,
    outcome::TxStatus,
    recover::{recover_one, sender_request},
    tx::Transaction,
};
use lockstep_tests::{
    binary::{self, Folder, Ran},
    harness::{self, Suite, Target},
    small_block,
};
use serde_json::{Value, json};
use std::{
    fs,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

type Outcome = Result<(), Failed>;

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.test("rlp::every_truncation_fails", truncations);
    suite.test("rlp::a_wrong_type_names_its_field", wrong_types);
    suite.test("rlp::a_wrong_width_names_its_field", wrong_widths);
    suite.test("rlp::a_missing_or_extra_field_is_named", wrong_counts);
    suite.test("mutants::transactions", mutant_transactions);
    for (name, _, place, change) in CASES {
        suite.each(&format!("block::{name}"), move |engine| bad_block(engine, *place, *change));
    }
    suite.each("block::a_full_target_halts", full_target);
    match harness::data("blocks/2675000.json.zst") {
        Ok(path) => suite.test("mutants::a_real_block_file", move || mutant_files(&path)),
        Err(reason) => suite.skip("mutants::a_real_block_file", "data", reason),
    }
    suite.each("mutants::quantities", mutant_quantities);
    suite.test("cpu::program::each_bad_file_is_named_and_the_others_run", || program(Target::Cpu));
    if lockstep::backend::wgpu::list().is_empty() {
        suite.skip("wgpu::program::each_bad_file_is_named_and_the_others_run", "wgpu", "no adapter".into());
    } else {
        suite.test("wgpu::program::each_bad_file_is_named_and_the_others_run", || program(Target::Wgpu));
    }
    suite.run()
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what().into()) }
}

// Transactions: the fields of each type in their order, up to the signature.

const FIELDS: [&[&str]; 5] = [
    &["nonce", "gas_price", "gas_limit", "to", "value", "input", "v", "r", "s"],
    &["chain_id", "nonce", "gas_price", "gas_limit", "to", "value", "input", "access_list", "y_parity", "r", "s"],
    &[
        "chain_id",
        "nonce",
        "max_priority_fee_per_gas",
        "max_fee_per_gas",
        "gas_limit",
        "to",
        "value",
        "input",
        "access_list",
        "y_parity",
        "r",
        "s",
    ],
    &[
        "chain_id",
        "nonce",
        "max_priority_fee_per_gas",
        "max_fee_per_gas",
        "gas_limit",
        "to",
        "value",
        "input",
        "access_list",
        "max_fee_per_blob_gas",
        "blob_hashes",
        "y_parity",
        "r",
        "s",
    ],
    &[
        "chain_id",
        "nonce",
        "max_priority_fee_per_gas",
        "max_fee_per_gas",
        "gas_limit",
        "to",
        "value",
        "input",
        "access_list",
        "authorization_list",
        "y_parity",
        "r",
        "s",
    ],
];

/// A transaction of a type, taken apart.
struct Parts {
    tx_type: u8,
    /// The encoded items, one a field.
    items: Vec<Vec<u8>>,
}

impl Parts {
    fn of_type(tx_type: usize) -> Result<Self, Failed> {
        let file = small_block::build()?;
        let raw = &file.block.transactions[small_block::OF_TYPE[tx_type]];
        let mut rest = if tx_type == 0 { &raw[..] } else { &raw[1..] };
        let mut payload = Header::decode_bytes(&mut rest, true)?;
        let mut items = Vec::new();
        while !payload.is_empty() {
            let mut after = payload;
            let header = Header::decode(&mut after)?;
            let length = payload.len() - after.len() + header.payload_length;
            items.push(payload[..length].to_vec());
            payload = &payload[length..];
        }
        ensure(items.len() == FIELDS[tx_type].len(), || format!("type {tx_type} has {} fields", items.len()))?;
        Ok(Self { tx_type: tx_type as u8, items })
    }

    /// The bytes of a transaction of these items.
    fn join(&self, items: &[Vec<u8>]) -> Vec<u8> {
        let payload = items.concat();
        let mut raw = if self.tx_type == 0 { Vec::new() } else { vec![self.tx_type] };
        Header { list: true, payload_length: payload.len() }.encode(&mut raw);
        [raw, payload].concat()
    }

    /// With one item replaced, decoding fails at `field`.
    fn fails_at(&self, index: usize, item: &[u8], field: &str) -> Outcome {
        let mut items = self.items.clone();
        items[index] = item.to_vec();
        fails(&self.join(&items), field)
    }
}

fn fails(raw: &[u8], field: &str) -> Outcome {
    match Transaction::decode(raw) {
        Ok(_) => Err(format!("{} was taken, a bad {field}", hex::encode(raw)).into()),
        // Lists name their members.
        Err(error) if error.field == field || error.field.starts_with(&format!("{field}.")) => Ok(()),
        Err(error) => Err(format!("{error} does not name {field}: {}", hex::encode(raw)).into()),
    }
}

fn truncations() -> Outcome {
    for raw in &small_block::build()?.block.transactions {
        Transaction::decode(raw)?;
        for length in 0..raw.len() {
            ensure(Transaction::decode(&raw[..length]).is_err(), || format!("{length} bytes of {raw} were taken"))?;
        }
        fails(&[&raw[..], &[0]].concat(), "raw")?;
    }
    for first in 5..0xc0 {
        fails(&[first, 0xc0], "type")?;
    }
    fails(&[0, 0xc0], "type")
}

fn wrong_types() -> Outcome {
    for (tx_type, fields) in FIELDS.iter().enumerate() {
        let parts = Parts::of_type(tx_type)?;
        for (index, field) in fields.iter().enumerate() {
            let wrong: [&[u8]; 3] = match parts.items[index][0] {
                0xc0.. => [&[0x80], &[0x05], &[0x82, 0xc0, 0xc0]],
                _ => [&[0xc0], &[0xc1, 0x05], &[0xc2, 0x80, 0x80]],
            };
            for item in wrong {
                parts.fails_at(index, item, field)?;
            }
        }
    }
    Ok(())
}

fn wrong_widths() -> Outcome {
    let string = |length: u8| [&[0x80 + length], &vec![1; length.into()][..]].concat();
    for (tx_type, fields) in FIELDS.iter().enumerate() {
        let parts = Parts::of_type(tx_type)?;
        for (index, field) in fields.iter().enumerate() {
            // Not canonical: one small byte with a header, a long header for a short string; then lengths beyond the end.
            for item in [&[0x81, 0x05][..], &[0xb8, 0x01, 0xff], &[0xb9, 0x00, 0x40], &[0xbf; 9], &[0xff; 9]] {
                parts.fails_at(index, item, field)?;
            }
            match *field {
                "to" => {
                    for length in [1, 19, 21, 32] {
                        parts.fails_at(index, &string(length), field)?;
                    }
                }
                "access_list" => {
                    for item in [&[0xc1, 0x80][..], &[0xc1, 0xc0], &[0xc3, 0xc2, 0x80, 0xc0], &[0xc2, 0xc1, 0x05]] {
                        parts.fails_at(index, item, field)?;
                    }
                }
                "blob_hashes" => parts.fails_at(index, &[&[0xe0], &string(31)[..]].concat(), field)?,
                "authorization_list" => {
                    for item in [&[0xc1, 0x80][..], &[0xc1, 0xc0], &[0xc2, 0xc1, 0x05]] {
                        parts.fails_at(index, item, field)?;
                    }
                }
                "input" => {}
                integer => {
                    for item in [&[0x00][..], &[0x82, 0x00, 0x01], &[&[0xa1], &[1; 33][..]].concat()] {
                        parts.fails_at(index, item, integer)?;
                    }
                    if matches!(integer, "nonce" | "gas_limit" | "chain_id") {
                        parts.fails_at(index, &string(9), integer)?;
                    }
                    let out_of_range: &[&[u8]] = match integer {
                        "v" => &[&[0x80], &[0x01], &[26], &[29], &[34], &[0x8a, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
                        "y_parity" => &[&[0x02], &[0x1b], &[0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0]],
                        _ => &[],
                    };
                    for item in out_of_range {
                        parts.fails_at(index, item, integer)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn wrong_counts() -> Outcome {
    for (tx_type, fields) in FIELDS.iter().enumerate() {
        let parts = Parts::of_type(tx_type)?;
        for (index, field) in fields.iter().enumerate() {
            fails(&parts.join(&parts.items[..index]), field)?;
        }
        let mut longer = parts.items.clone();
        longer.push(vec![0x80]);
        fails(&parts.join(&longer), "raw")?;
    }
    Ok(())
}

// Blocks: one change to a good file, and where the error must be.

/// Name, what the error's text must contain, its place, and the change.
type Case = (&'static str, &'static str, Place, fn(&mut Value));
/// The transaction and the field.
type Place = (Option<usize>, &'static str);

const RAW: &str = "transactions.raw";

const CASES: &[Case] = &[
    ("truncated_rlp", "", (Some(1), "raw"), |file| edit_raw(file, 1, |raw| raw.truncate(raw.len() - 3))),
    ("empty_rlp", "empty", (Some(4), "raw"), |file| edit_raw(file, 4, Vec::clear)),
    ("trailing_bytes", "after", (Some(2), "raw"), |file| edit_raw(file, 2, |raw| raw.push(0))),
    ("wrong_typed_rlp", "", (Some(0), "nonce"), |file| edit_raw(file, 0, |raw| raw[2] = 0xc0)),
    ("unknown_type", "0x7f", (Some(3), "type"), |file| edit_raw(file, 3, |raw| raw[0] = 0x7f)),
    ("s_out_of_range", "out of range", (Some(5), "signature"), |file| edit_s(file, 5, 0xff)),
    ("high_s", "EIP-2", (Some(6), "signature"), |file| edit_s(file, 6, 0x80)),
    ("wrong_chain_id", "", (Some(0), "chain_id"), |file| file["chainId"] = json!(5)),
    ("nonce_gap", "", (Some(2), "nonce"), |file| set_account(file, 2, "nonce", "0x1")),
    ("nonce_used", "", (Some(0), "nonce"), |file| set_account(file, 0, "nonce", "0xffffffffffffffff")),
    ("gap_behind_a_success", "", (Some(2), "nonce"), |file| drop_tx(file, 2)),
    ("no_funds", "", (Some(5), "balance"), |file| set_account(file, 5, "balance", "0x1")),
    ("no_sender", "", (Some(4), "balance"), |file| {
        let sender = sender(file, 4);
        file["pre"].as_object_mut().map(|pre| pre.remove(&sender));
    }),
    ("no_funds_for_a_later_one", "", (Some(1), "balance"), |file| set_account(file, 1, "balance", "0xf5000")),
    ("block_full", "", (Some(1), "gas_limit"), |file| file["header"]["gasLimit"] = json!("0x1b000")),
    ("base_fee_above_cap", "", (Some(0), "max_fee_per_gas"), |file| file["header"]["baseFeePerGas"] = json!("0xb")),
    ("blob_fee_above_cap", "", (Some(4), "max_fee_per_blob_gas"), |file| {
        file["header"]["excessBlobGas"] = json!("0x5000000");
    }),
    ("type_before_its_fork", "", (Some(5), "type"), |file| file["fork"] = json!("CANCUN")),
    ("unknown_fork", "NOPE", (None, "fork"), |file| file["fork"] = json!("NOPE")),
    ("lower_case_fork", "prague", (None, "fork"), |file| file["fork"] = json!("prague")),
    ("wrong_format", "lockstep-block/9", (None, "format"), |file| file["format"] = json!("lockstep-block/9")),
    ("no_format", "missing", (None, "format"), |file| file["format"] = Value::Null),
    ("wrong_code", "hash is", (None, "codes."), |file| change_codes(file, |code| *code = json!("0x00"))),
    ("no_code", "missing from `codes`", (None, "pre."), |file| file["codes"] = json!({})),
    ("odd_hex", "", (Some(1), RAW), |file| file["transactions"][1]["raw"] = json!("0x123")),
    ("no_hex", "", (Some(1), RAW), |file| file["transactions"][1]["raw"] = json!("0xzz")),
    ("no_prefix", "0x", (Some(1), RAW), |file| file["transactions"][1]["raw"] = json!("02")),
    ("no_string", "string", (Some(1), RAW), |file| file["transactions"][1]["raw"] = json!(2)),
    ("no_object", "object", (Some(3), "transactions"), |file| file["transactions"][3] = json!("0x")),
    ("no_array", "array", (None, "transactions"), |file| file["transactions"] = json!({})),
    ("short_sender", "20", (Some(0), "transactions.sender"), |file| file["transactions"][0]["sender"] = json!("0x12")),
    ("wide_number", "64 bits", (None, "header.number"), |file| file["header"]["number"] = json!("0x10000000000000000")),
    ("wide_balance", "256 bits", (None, "pre."), |file| {
        set_account(file, 0, "balance", &format!("0x1{}", "0".repeat(64)));
    }),
    ("bad_address", "the key", (None, "pre.0x12"), |file| {
        file["pre"]["0x12"] = json!({"balance": "0x0", "nonce": "0x0"});
    }),
    ("bad_slot", "the key", (None, "pre."), |file| {
        let sender = sender(file, 0);
        file["pre"][sender]["storage"] = json!({"5": "0x1"});
    }),
    ("hex_block_number", "the key", (None, "blockHashes.0x5"), |file| file["blockHashes"]["0x5"] = json!("0x")),
    ("too_few_results", "results", (None, "expected.results"), |file| file["expected"]["results"] = json!([])),
    ("status_2", "", (Some(2), "expected.results.status"), |file| {
        file["expected"]["results"][2]["status"] = json!("0x2");
    }),
];

fn sender(file: &Value, tx: usize) -> String {
    file["transactions"][tx]["sender"].as_str().unwrap_or_default().to_owned()
}

fn set_account(file: &mut Value, tx: usize, field: &str, value: &str) {
    let sender = sender(file, tx);
    file["pre"][sender][field] = json!(value);
}

fn edit_raw(file: &mut Value, tx: usize, change: impl FnOnce(&mut Vec<u8>)) {
    let raw = &mut file["transactions"][tx]["raw"];
    let mut bytes = raw.as_str().and_then(|raw| hex::decode(raw).ok()).unwrap_or_default();
    change(&mut bytes);
    *raw = json!(hex::encode_prefixed(bytes));
}

/// The last item of every type is s.
fn edit_s(file: &mut Value, tx: usize, fill: u8) {
    edit_raw(file, tx, |raw| {
        let start = raw.len() - 32;
        raw[start..].fill(fill);
    });
}

fn drop_tx(file: &mut Value, tx: usize) {
    file["transactions"].as_array_mut().map(|txs| txs.remove(tx));
    file["expected"]["results"].as_array_mut().map(|results| results.remove(tx));
}

fn change_codes(file: &mut Value, change: impl FnMut(&mut Value)) {
    file["codes"].as_object_mut().into_iter().flat_map(|codes| codes.values_mut()).for_each(change);
}

/// Where and how a file fails; `None` if it runs.
type End = Option<(Option<usize>, String, String)>;

fn end(engine: &Engine, bytes: &[u8]) -> End {
    let file = match BlockFile::parse(bytes) {
        Ok(file) => file,
        Err(error) => return Some((error.tx, error.field.clone(), error.to_string())),
    };
    let error = engine.execute_block(&file.block, &file.state).err()?;
    Some((error.tx(), error.field().to_owned(), error.to_string()))
}

fn cpu() -> Result<Engine, Failed> {
    Ok(Engine::builder().backend(lockstep::backend::BackendKind::Cpu).build()?)
}

fn bad_block(engine: &Engine, (tx, field): Place, change: fn(&mut Value)) -> Outcome {
    let mut file = small_block::build()?.to_json();
    ensure(end(engine, file.to_string().as_bytes()).is_none(), || "the good file fails".into())?;
    change(&mut file);
    let text = file.to_string();
    let Some((at, named, error)) = end(engine, text.as_bytes()) else { return Err("no error".into()) };
    ensure(at == tx && is_field(&named, field), || format!("{error:?} is not about {tx:?} {field}"))?;
    let on_cpu = end(&cpu()?, text.as_bytes());
    ensure(on_cpu == Some((at, named, error.clone())), || format!("{error:?}, on the CPU {on_cpu:?}"))
}

/// A field that ends in a dot stands for any key behind it.
fn is_field(named: &str, field: &str) -> bool {
    named == field || (field.ends_with('.') && named.starts_with(field))
}

/// Valid, and still nothing that a lane sees: the targets of both transfers of value already hold all that 256 bits can say.
fn full_target(engine: &Engine) -> Outcome {
    let mut json = small_block::build()?.to_json();
    json["pre"][hex::encode_prefixed(small_block::REVERTER)]["balance"] = json!(format!("0x{}", "f".repeat(64)));
    set_account(&mut json, 2, "balance", &format!("0x{}", "f".repeat(64)));
    let file = BlockFile::parse(json.to_string().as_bytes())?;
    let outcomes = engine.execute_block(&file.block, &file.state)?.outcomes;
    ensure(outcomes[0].status == TxStatus::Halt && outcomes[small_block::REVERT].status == TxStatus::Halt, || {
        format!("{outcomes:?}")
    })?;
    ensure(outcomes == cpu()?.execute_block(&file.block, &file.state)?.outcomes, || "not as on the CPU".into())
}

// Through the program.

fn program(target: Target) -> Outcome {
    let folder = Folder::new(&format!("negative-{}", target.name()))?;
    let good = small_block::build()?.to_json();
    let packed = zstd::encode_all(good.to_string().as_bytes(), 3)?;
    let mut expected = Vec::new();
    let mut add = |name: &str, content: &[u8], place: String| {
        expected.push((folder.write(&format!("{name}.json"), content)?, place));
        Ok::<_, Failed>(())
    };
    for (name, text, (tx, field), change) in CASES {
        let mut file = good.clone();
        change(&mut file);
        let tx = tx.map_or(String::new(), |tx| format!("transaction {tx}: "));
        add(name, file.to_string().as_bytes(), format!("{tx}{field}|{text}"))?;
    }
    add("empty", b"", "file|not JSON".into())?;
    add("text", b"hello", "file|not JSON".into())?;
    add("cut", &good.to_string().as_bytes()[..1000], "file|not JSON".into())?;
    add("list", b"[]", "file|object".into())?;
    add("deep", &[b'['; 100_000], "file|not JSON".into())?;
    add("binary", &[0xff; 100], "file|not JSON".into())?;
    add("cut_zstd", &packed[..packed.len() / 2], "file|not zstd".into())?;
    add("zstd_magic", &packed[..4], "file|not zstd".into())?;
    add("zstd_of_zstd", &zstd::encode_all(&packed[..], 3)?, "file|not JSON".into())?;
    expected.push((folder.at("missing.json"), "file|".into()));
    fs::create_dir_all(folder.at("without_blocks"))?;
    expected.push((folder.at("without_blocks"), "file|no .json".into()));
    let first = folder.write("0.json.zst", &packed)?;
    let last = folder.write("z.json", good.to_string())?;

    let flags = binary::flags(target).ok_or("no flags")?;
    let files = expected.iter().map(|(path, _)| path.as_str());
    let args: Vec<_> = ["replay", &first].into_iter().chain(files).chain([last.as_str()]).collect();
    let ran = binary::run(&[&args[..], &flags.iter().map(String::as_str).collect::<Vec<_>>()].concat())?.exits(2)?;
    check_errors(&ran, &expected)?;
    ensure(ran.stdout.contains(&format!("\n2/{} blocks ok", expected.len() + 2)), || ran.stdout.clone())?;
    let on_cpu = binary::run(&[&args[..], &["--backend", "cpu"]].concat())?.exits(2)?;
    ensure(sorted(&on_cpu) == sorted(&ran), || format!("{:?}, on the CPU {:?}", ran.errors(), on_cpu.errors()))?;

    // The same with --json: the good files' results, and each bad file's error.
    let ran = binary::run(&[&args[..], &["--backend", "cpu", "--json"]].concat())?.exits(2)?;
    let json = ran.json()?;
    check_errors(&ran, &expected)?;
    let total = &json["total"];
    ensure(total["ok"] == 2 && total["failed"] == expected.len(), || total.to_string())?;
    ensure(json["blocks"].as_array().is_some_and(|blocks| blocks.len() == 2), || json["blocks"].to_string())?;
    ensure(json["errors"].as_array().is_some_and(|errors| errors.len() == expected.len()), || {
        json["errors"].to_string()
    })
}

fn sorted(ran: &Ran) -> Vec<&str> {
    let mut errors = ran.errors();
    errors.sort_unstable();
    errors
}

/// One line for each file: its path, then the place, then what is wrong.
fn check_errors(ran: &Ran, expected: &[(String, String)]) -> Outcome {
    ensure(ran.errors().len() == expected.len(), || format!("{} errors for {}", ran.errors().len(), expected.len()))?;
    for (path, place) in expected {
        let (place, text) = place.split_once('|').unwrap_or((place, ""));
        let start = format!("error: {path}: {place}");
        let found = ran.errors().into_iter().find(|line| line.starts_with(&start));
        let line = found.ok_or_else(|| format!("no line {start:?} in {}", ran.stderr))?;
        ensure(line.contains(text) && (place.ends_with('.') || line[start.len()..].starts_with(": ")), || {
            format!("{line}: no {text:?}")
        })?;
    }
    Ok(())
}

// Mutants. Seeded, so that a failure comes again.

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, range: Range<usize>) -> usize {
        range.start + (self.next() % range.len().max(1) as u64) as usize
    }

    /// One to four edits of the kinds that break parsers.
    fn mutate(&mut self, bytes: &mut Vec<u8>, alphabet: &[u8]) {
        for _ in 0..self.below(1..5) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(0..bytes.len());
            let byte = match alphabet {
                [] => self.next() as u8,
                _ => alphabet[self.below(0..alphabet.len())],
            };
            match self.below(0..8) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                3 => {
                    let end = self.below(at..bytes.len()).min(at + 40);
                    bytes.drain(at..end);
                }
                4 => {
                    let end = self.below(at..bytes.len()).min(at + 40);
                    let copy = bytes[at..end].to_vec();
                    let to = self.below(0..bytes.len());
                    bytes.splice(to..to, copy);
                }
                5 => bytes[at] = bytes[at].wrapping_add(1),
                _ => bytes[at] = byte,
            }
        }
    }
}

/// Fewer where nothing is optimised.
const fn count(mutants: u64) -> u64 {
    if cfg!(debug_assertions) { mutants / 10 } else { mutants }
}

/// Runs seeds until `mutants` are done: none panics, each ends soon, and all of them too. Gives how many were `true`.
fn survive(mutants: u64, mut run: impl FnMut(&mut Random) -> bool) -> Result<u64, Failed> {
    let start = Instant::now();
    let mut hits = 0;
    for seed in 0..count(mutants) {
        let began = Instant::now();
        let random = &mut Random(seed);
        let hit = catch_unwind(AssertUnwindSafe(|| run(random))).map_err(|_| format!("seed {seed} panics"))?;
        ensure(began.elapsed() < Duration::from_secs(2), || format!("seed {seed} takes {:?}", began.elapsed()))?;
        hits += u64::from(hit);
    }
    ensure(start.elapsed() < Duration::from_secs(20), || format!("all take {:?}", start.elapsed()))?;
    Ok(hits)
}

fn mutant_transactions() -> Outcome {
    let raws = small_block::build()?.block.transactions;
    let decoded = survive(200_000, |random| {
        let mut raw = raws[random.below(0..raws.len())].to_vec();
        random.mutate(&mut raw, &[]);
        let Ok(tx) = Transaction::decode(&raw) else { return false };
        for fork in [Fork::Frontier, Fork::Prague, Fork::Amsterdam] {
            // Either answer is right; it is only to be one.
            let _ = check_intrinsic(&tx, fork, 1);
        }
        let _ = recover_one(&sender_request(&tx, Fork::Prague));
        true
    })?;
    // Mutants that all fail at the first byte would prove nothing.
    ensure(decoded > count(200_000) / 50, || format!("only {decoded} decode"))
}

fn mutant_files(path: &Path) -> Outcome {
    let engine = cpu()?;
    let mut json = Vec::new();
    std::io::Read::read_to_end(&mut harness::unpacked(path)?, &mut json)?;
    let packed = fs::read(path)?;
    let parsed = survive(30_000, |random| {
        // Nothing but hex digits leaves the JSON whole and gets further than anything else.
        let (mut bytes, alphabet): (_, &[u8]) = match random.below(0..4) {
            0 => (packed.clone(), &[]),
            1 => (json.clone(), b"{}[]\",:0x-.e \\nut"),
            _ => (json.clone(), b"0123456789abcdef"),
        };
        if alphabet.len() == 16 && random.below(0..4) > 0 {
            for _ in 0..random.below(1..4) {
                let at = random.below(0..bytes.len());
                if bytes[at].is_ascii_hexdigit() {
                    bytes[at] = alphabet[random.below(0..16)];
                }
            }
        } else {
            random.mutate(&mut bytes, alphabet);
        }
        let Ok(file) = BlockFile::parse(&bytes) else { return false };
        let _ = engine.execute_block(&file.block, &file.state).map(|output| lockstep::compare::compare(&file, &output));
        true
    })?;
    ensure(parsed > count(30_000) / 50, || format!("only {parsed} parse"))
}

/// Extreme numbers anywhere in the environment and the state, other forks and other code: as on the CPU, error or not.
fn mutant_quantities(engine: &Engine) -> Outcome {
    const EXTREMES: [&str; 7] = [
        "0x0",
        "0x1",
        "0xffffffff",
        "0xfffffffffffffffe",
        "0xffffffffffffffff",
        "0x8000000000000000000000000000000000000000000000000000000000000000",
        "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];
    let cpu = cpu()?;
    let good = small_block::build()?.to_json();
    let mut places = Vec::new();
    quantities(&good["header"], "/header", &mut places);
    quantities(&good["pre"], "/pre", &mut places);
    let mut differs = None;
    let mutants = if engine.backend_kind() == cpu.backend_kind() { 10_000 } else { 1_500 };
    let ran = survive(mutants, |random| {
        let mut file = good.clone();
        for _ in 0..random.below(1..4) {
            match random.below(0..8) {
                0 => file["fork"] = json!(Fork::ALL[random.below(0..Fork::ALL.len())].name()),
                1 => replace_code(&mut file, random),
                _ => {
                    let place = &places[random.below(0..places.len())];
                    if let Some(value) = file.pointer_mut(place) {
                        *value = json!(EXTREMES[random.below(0..EXTREMES.len())]);
                    }
                }
            }
        }
        // Rules that older forks ask of the header.
        file["header"]["difficulty"] = json!("0x1");
        let Ok(file) = BlockFile::parse(file.to_string().as_bytes()) else { return false };
        let run = |engine: &Engine| {
            engine
                .execute_block(&file.block, &file.state)
                .map(|output| output.outcomes)
                .map_err(|error| error.to_string())
        };
        let (actual, expected) = (run(engine), run(&cpu));
        if actual != expected {
            differs
                .get_or_insert_with(|| format!("{}: {actual:?}, on the CPU {expected:?}", BlockFile::to_json(&file)));
        }
        expected.is_ok()
    })?;
    if let Some(differs) = differs {
        return Err(differs.into());
    }
    ensure(ran > count(mutants) / 50, || format!("only {ran} run"))
}

/// The pointers of all hex numbers that are no longer than a word.
fn quantities(value: &Value, path: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                quantities(value, &format!("{path}/{key}"), places);
            }
        }
        Value::String(text) if text.len() <= 66 => places.push(path.to_owned()),
        _ => {}
    }
}

/// Random code under its right hash, in place of one that is there.
fn replace_code(file: &mut Value, random: &mut Random) {
    let code: Bytes = (0..random.below(1..60)).map(|_| random.next() as u8).collect::<Vec<_>>().into();
    let hash = json!(keccak256(&code).to_string());
    file["codes"][keccak256(&code).to_string()] = json!(code.to_string());
    let accounts = file["pre"].as_object_mut().into_iter().flat_map(|pre| pre.values_mut());
    for account in accounts.filter(|account| account.get("codeHash").is_some()) {
        account["codeHash"] = hash.clone();
    }
}
