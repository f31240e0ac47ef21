//! The program as its users see it: flags, variables, exit codes, streams, and the JSON that others parse. The contract is in README.md.

use alloy_primitives::{hex, keccak256};
use libtest_mimic::Failed;
use lockstep::block_file::BlockFile;
use lockstep_tests::{
    binary::{self, Backend, Folder, Outcome, each_backend, ensure, equal, has_keys, run, run_on, run_with},
    harness::{Suite, is_required},
    small_block,
};
use serde_json::{Value, json};
use std::{io::Write, process::ExitCode, process::Stdio};

const VERBS: [&str; 5] = ["replay", "recover", "keccak", "simulate", "devices"];

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.test("usage_errors_exit_2", usage_errors);
    suite.test("help_and_version_exit_0", help);
    suite.test("absent_backends_exit_3", absent_backends);
    suite.test("variables_stand_in_for_flags", variables);
    suite.test("logs_go_to_stderr", logs);
    suite.test("a_closed_pipe_is_no_error", closed_pipe);
    suite.test("keccak::input_forms", keccak_input);
    suite.test("keccak::bad_messages_exit_2", keccak_bad);
    suite.test("replay::profile", replay_profile);
    suite.test("recover::no_transactions_exit_2", recover_nothing);
    suite.test("devices::auto_and_cpu", devices_cpu);
    suite.test("bench::usage_errors_exit_2", bench_usage);
    suite.test("bench::what_is_named_must_be_there", bench_absent);
    suite.test("bench::text", bench_text);
    if cfg!(target_os = "linux") && std::path::Path::new("/usr/bin/script").exists() {
        suite.test("progress_only_on_a_terminal", progress);
    } else {
        suite.skip("progress_only_on_a_terminal", "script", "no /usr/bin/script to make a terminal with".into());
    }
    each_backend(&mut suite, "replay::json", replay_json);
    each_backend(&mut suite, "replay::text", replay_text);
    each_backend(&mut suite, "replay::every_wrong_value_is_named", wrong_values);
    each_backend(&mut suite, "recover::text_and_json", recover);
    each_backend(&mut suite, "recover::a_wrong_sender_differs", recover_wrong_sender);
    each_backend(&mut suite, "keccak::text_and_json", keccak);
    each_backend(&mut suite, "devices::named", devices_named);
    each_backend(&mut suite, "bench::recover_json", bench_recover);
    each_backend(&mut suite, "bench::keccak_json", bench_keccak);
    each_backend(&mut suite, "bench::simulate_json", bench_simulate);
    each_backend(&mut suite, "bench::blocks_json", bench_blocks);
    suite.test("bench::block_files", bench_block_files);
    suite.run()
}

/// The small block as a file, after a change.
fn block_file(folder: &Folder, name: &str, change: impl FnOnce(&mut Value)) -> Result<String, String> {
    let mut json = small_block::build()?.to_json();
    change(&mut json);
    folder.write(name, json.to_string())
}

fn usage_errors() -> Outcome {
    let bad: [&[&str]; 11] = [
        &[],
        &["frobnicate"],
        &["replay", "--frobnicate"],
        &["keccak", "--backend", "gpu"],
        &["keccak", "--backend", "CPU"],
        &["keccak", "--threads", "0"],
        &["keccak", "--threads", "-1"],
        &["keccak", "--threads", "many"],
        &["keccak", "--log", "loud"],
        &["keccak", "in", "--files", "other"],
        &["devices", "extra"],
    ];
    for args in bad {
        let ran = run(args)?.exits(2)?;
        ensure(ran.stdout.is_empty() && !ran.stderr.is_empty(), || format!("{args:?}: {ran:?}"))?;
    }
    for (variable, value) in [("LOCKSTEP_BACKEND", "gpu"), ("LOCKSTEP_THREADS", "0"), ("LOCKSTEP_THREADS", "two")] {
        let ran = run_with(&[(variable, value)], &["keccak"])?.exits(2)?;
        ensure(ran.stderr.contains(value) && ran.stdout.is_empty(), || format!("{variable}: {ran:?}"))?;
    }
    Ok(())
}

fn help() -> Outcome {
    let ran = run(&["--help"])?.exits(0)?;
    for word in VERBS.into_iter().chain([
        "bench",
        "fetch",
        "--metrics",
        "--backend",
        "--device",
        "--threads",
        "--json",
        "--log",
        "cuda-host",
        "LOCKSTEP_BACKEND",
    ]) {
        ensure(ran.stdout.contains(word), || format!("no {word} in: {}", ran.stdout))?;
    }
    for verb in VERBS.into_iter().chain(["bench", "fetch"]) {
        ensure(run(&[verb, "--help"])?.exits(0)?.stdout.contains("--json"), || format!("{verb} --help"))?;
    }
    let version = run(&["--version"])?.exits(0)?;
    equal("version", version.stdout.trim(), concat!("lockstep ", env!("CARGO_PKG_VERSION")))
}

fn absent_backends() -> Outcome {
    for kind in ["cuda", "cuda-host"] {
        for verb in VERBS {
            let named = run(&[verb, "--backend", kind])?.exits(3)?;
            ensure(named.stdout.is_empty() && named.errors().len() == 1, || format!("{verb}: {named:?}"))?;
            ensure(named.stderr.contains(kind), || format!("{verb}: {named:?}"))?;
            equal(verb, run_with(&[("LOCKSTEP_BACKEND", kind)], &[verb])?, named)?;
        }
    }
    // A device is a part of the name.
    run(&["keccak", "--backend", "cpu", "--device", "0"])?.exits(3)?;
    run(&["keccak", "--backend", "wgpu", "--device", "no such adapter"])?.exits(3)?;
    let variables = [("LOCKSTEP_BACKEND", "wgpu"), ("LOCKSTEP_DEVICE", "no such adapter")];
    for verb in VERBS {
        run_with(&variables, &[verb])?.exits(3)?;
    }
    Ok(())
}

fn variables() -> Outcome {
    let folder = Folder::new("variables")?;
    let file = block_file(&folder, "block.json", |_| {})?;
    let threads = |variables: &[(&str, &str)], more: &[&str]| -> Result<Value, Failed> {
        let args: Vec<_> = ["replay", &file, "--json"].iter().chain(more).copied().collect();
        Ok(run_with(variables, &args)?.exits(0)?.json()?["threads"].clone())
    };
    equal("flag", threads(&[], &["--threads", "3"])?, json!(3))?;
    equal("variable", threads(&[("LOCKSTEP_THREADS", "3")], &[])?, json!(3))?;
    equal("flag over variable", threads(&[("LOCKSTEP_THREADS", "3")], &["--threads", "1"])?, json!(1))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    equal("neither", threads(&[("LOCKSTEP_BACKEND", "cpu")], &[])?, json!(cores))?;
    equal(
        "backend flag over variable",
        threads(&[("LOCKSTEP_BACKEND", "cuda")], &["--backend", "cpu", "--threads", "2"])?,
        json!(2),
    )
}

fn logs() -> Outcome {
    let quiet = run_on(b"00\n", &["keccak"])?.exits(0)?;
    ensure(quiet.stderr.is_empty(), || format!("{quiet:?}"))?;
    let loud = run_on(b"00\n", &["keccak", "--log", "info"])?.exits(0)?;
    ensure(loud.stderr.contains("INFO"), || format!("{loud:?}"))?;
    equal("stdout", loud.stdout, quiet.stdout)?;
    for level in ["off", "error", "warn", "debug", "trace"] {
        run_on(b"00\n", &["keccak", "--log", level])?.exits(0)?;
    }
    Ok(())
}

fn closed_pipe() -> Outcome {
    for more in [&[][..], &["--json"]] {
        let mut command = binary::command(&["keccak"])?;
        let mut child = command.args(more).stdin(Stdio::piped()).spawn()?;
        drop(child.stdout.take());
        // Output starts once the input has ended, when nobody reads any more.
        child.stdin.take().ok_or("no stdin")?.write_all(&b"00\n".repeat(10_000))?;
        let output = child.wait_with_output()?;
        ensure(output.status.code() == Some(0) && output.stderr.is_empty(), || format!("{output:?}"))?;
    }
    Ok(())
}

fn progress() -> Outcome {
    let folder = Folder::new("progress")?;
    let files = [block_file(&folder, "1.json", |_| {})?, block_file(&folder, "2.json", |_| {})?];
    let piped = run(&["replay", &files[0], &files[1], "--backend", "cpu"])?.exits(0)?;
    ensure(piped.stderr.is_empty(), || format!("{piped:?}"))?;
    let on_terminal = |flags: &str| -> Result<String, Failed> {
        let line = format!("{} replay {} {} --backend cpu {flags}", binary::path()?.display(), files[0], files[1]);
        let mut script = std::process::Command::new("/usr/bin/script");
        script.args(["-qefc", &line, "/dev/null"]).env("TERM", "xterm").stdin(Stdio::null());
        Ok(String::from_utf8_lossy(&script.output()?.stdout).into_owned())
    };
    let shown = on_terminal("")?;
    ensure(shown.contains("/2 blocks, ") && shown.contains("2/2 blocks ok"), || shown)?;
    let json = on_terminal("--json")?;
    ensure(!json.contains("/2 blocks, "), || json)
}

fn replay_json(backend: &Backend) -> Outcome {
    let folder = Folder::new(&format!("replay-json-{}", backend.kind))?;
    let paths = [block_file(&folder, "2.json", |_| {})?, block_file(&folder, "10.json", |_| {})?];
    let ran = backend.run(&["replay", &folder.at(""), "--json"])?.exits(0)?;
    ensure(ran.stderr.is_empty(), || format!("{ran:?}"))?;
    let json = ran.json()?;
    has_keys("replay", &json, &["schema", "backend", "threads", "blocks", "total"])?;
    equal("schema", &json["schema"], &json!("lockstep-replay/1"))?;
    equal("kind", &json["backend"]["kind"], &json!(backend.kind))?;
    ensure(json["backend"]["name"].is_string(), || json["backend"].to_string())?;
    let blocks = json["blocks"].as_array().ok_or("blocks")?;
    equal("blocks", blocks.len(), 2)?;
    let txs = small_block::build()?.block.transactions.len();
    // A folder's files come in the order of their numbers.
    for (block, path) in blocks.iter().zip(paths) {
        equal("file", std::path::Path::new(block["file"].as_str().ok_or("file")?), std::path::Path::new(&path))?;
        let keys = "file number fork txs calls gas ok mismatch device lanes dispatches steps fallbacks conflicts waves time_ms";
        has_keys("block", block, &keys.split(' ').collect::<Vec<_>>())?;
        equal("number, fork", (&block["number"], &block["fork"]), (&json!(100), &json!("PRAGUE")))?;
        equal("txs, calls", (&block["txs"], &block["calls"]), (&json!(txs), &json!(4)))?;
        equal("ok, mismatch", (&block["ok"], &block["mismatch"]), (&json!(true), &Value::Null))?;
        let stages = "decode recover plan lower execute validate fallback commit total";
        has_keys("time_ms", &block["time_ms"], &stages.split(' ').collect::<Vec<_>>())?;
        has_keys("device", &block["device"], &["txs", "calls", "gas"])?;
        let on_device = block["device"]["txs"].as_u64().ok_or("device.txs")?;
        let fell_back: u64 =
            block["fallbacks"].as_object().ok_or("fallbacks")?.values().filter_map(Value::as_u64).sum();
        if backend.kind == "cpu" {
            equal("on the device, fallbacks", (on_device, fell_back), (0, 0))?;
        } else {
            ensure(on_device > 0, || block.to_string())?;
            equal("on the device and fallbacks", on_device + fell_back, txs as u64)?;
        }
    }
    let total = &json["total"];
    has_keys("total", total, &["blocks", "ok", "failed", "txs", "calls", "gas", "device", "fallbacks"])?;
    equal(
        "total.blocks, ok, failed",
        (&total["blocks"], &total["ok"], &total["failed"]),
        (&json!(2), &json!(2), &json!(0)),
    )?;
    let sum = |field: &str| blocks.iter().filter_map(|block| block[field].as_u64()).sum::<u64>();
    for field in ["txs", "calls", "gas"] {
        equal(field, total[field].as_u64(), Some(sum(field)))?;
        let device: u64 = blocks.iter().filter_map(|block| block["device"][field].as_u64()).sum();
        equal("device", total["device"][field].as_u64(), Some(device))?;
    }
    Ok(())
}

fn replay_text(backend: &Backend) -> Outcome {
    let folder = Folder::new(&format!("replay-text-{}", backend.kind))?;
    let good = block_file(&folder, "good.json", |_| {})?;
    let wrong = block_file(&folder, "wrong.json", |file| file["expected"]["results"][1]["gasUsed"] = json!("0x1"))?;
    let ran = backend.run(&["replay", &good, &wrong])?.exits(1)?;
    ensure(ran.stderr.is_empty(), || format!("{ran:?}"))?;
    for text in [" ok\n", "DIFFERS", "transaction 1: gasUsed: expected 1, got ", &wrong, "\n1/2 blocks ok"] {
        ensure(ran.stdout.contains(text), || format!("no {text:?} in {}", ran.stdout))?;
    }
    // A bad file outweighs one that differs, and takes nothing from the others.
    let ran = backend.run(&["replay", &wrong, &folder.at("missing.json"), &good])?.exits(2)?;
    equal("errors", ran.errors().len(), 1)?;
    ensure(ran.stdout.contains("\n1/3 blocks ok"), || ran.stdout)
}

/// One wrong value in each field of what a file promises: seen, placed, and both values shown.
fn wrong_values(backend: &Backend) -> Outcome {
    let changes: [(&str, Option<usize>, Value); 11] = [
        ("/transactions/1/hash", Some(1), json!(format!("0x{}", "11".repeat(32)))),
        ("/transactions/0/sender", Some(0), json!(format!("0x{}", "11".repeat(20)))),
        ("/expected/results/3/status", Some(small_block::REVERT), json!("0x1")),
        ("/expected/results/0/gasUsed", Some(0), json!("0x5209")),
        ("/expected/results/1/logs", Some(1), json!(2)),
        ("/expected/results/5/logsHash", Some(5), json!(format!("0x{}", "22".repeat(32)))),
        ("/expected/results/2/contractAddress", Some(small_block::CREATION), json!(format!("0x{}", "33".repeat(20)))),
        ("/expected/gasUsed", None, json!("0x1")),
        ("/expected/logsBloom", None, json!(format!("0x{}", "44".repeat(256)))),
        ("/expected/receiptsRoot", None, json!(format!("0x{}", "55".repeat(32)))),
        ("/expected/transactionsRoot", None, json!(format!("0x{}", "66".repeat(32)))),
    ];
    let folder = Folder::new(&format!("wrong-{}", backend.kind))?;
    let good = small_block::build()?.to_json();
    let mut args = vec!["replay".to_owned(), "--json".to_owned()];
    for (index, (pointer, _, wrong)) in changes.iter().enumerate() {
        let mut file = good.clone();
        *file.pointer_mut(pointer).ok_or_else(|| format!("no {pointer}"))? = wrong.clone();
        args.push(folder.write(&format!("{index}.json"), file.to_string())?);
    }
    let ran = backend.run(&args.iter().map(String::as_str).collect::<Vec<_>>())?.exits(1)?;
    let json = ran.json()?;
    equal("total.failed", &json["total"]["failed"], &json!(changes.len()))?;
    for (index, (pointer, tx, wrong)) in changes.iter().enumerate() {
        let block = &json["blocks"][index];
        equal("ok", &block["ok"], &json!(false))?;
        let mismatch = &block["mismatch"];
        let field = pointer.rsplit('/').next().unwrap_or_default();
        equal(pointer, (&mismatch["field"], &mismatch["tx"]), (&json!(field), &json!(tx)))?;
        // Numbers are shown in decimal, as people read them; anything else as the file has it.
        let show = |value: &Value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let short = text.strip_prefix("0x").filter(|digits| digits.len() <= 16);
            short.and_then(|digits| u64::from_str_radix(digits, 16).ok()).map_or(text, |number| number.to_string())
        };
        equal(pointer, &mismatch["expected"], &json!(show(wrong)))?;
        equal(pointer, &mismatch["actual"], &json!(show(good.pointer(pointer).unwrap_or(&Value::Null))))?;
    }
    Ok(())
}

/// The block's raw transactions as lines, and its senders.
fn lines(file: &BlockFile) -> (Vec<String>, Vec<String>) {
    let raws = file.block.transactions.iter().map(hex::encode_prefixed).collect();
    (raws, file.claims.iter().map(|claim| hex::encode_prefixed(claim.sender)).collect())
}

fn recover(backend: &Backend) -> Outcome {
    let folder = Folder::new(&format!("recover-{}", backend.kind))?;
    let block = block_file(&folder, "block.json", |_| {})?;
    let (raws, senders) = lines(&small_block::build()?);
    let good = folder.write("lines", raws.join("\r\n"))?;
    let addresses: String = senders.iter().map(|sender| format!("{sender}\n")).collect();
    for file in [&block, &good] {
        let ran = backend.run(&["recover", file])?.exits(0)?;
        equal(file, (ran.stdout.as_str(), ran.stderr.as_str()), (addresses.as_str(), ""))?;
    }
    // Without the prefix, between empty lines, from standard input.
    let bare: String = raws.iter().map(|raw| format!("\n{}\n", raw.trim_start_matches("0x"))).collect();
    for form in [&["recover"][..], &["recover", "-"]] {
        equal("stdin", run_on(bare.as_bytes(), &backend.args(form))?.exits(0)?.stdout, addresses.clone())?;
    }

    let json = backend.run(&["recover", &good, "--json"])?.exits(0)?.json()?;
    equal("schema", &json["schema"], &json!("lockstep-recover/1"))?;
    equal("backend", &json["backend"]["kind"], &json!(backend.kind))?;
    equal("count, failed", (&json["count"], &json["failed"]), (&json!(raws.len()), &json!(0)))?;
    ensure(json.get("items").is_none(), || json.to_string())?;

    let high_s = format!("{}{}", &raws[2][..raws[2].len() - 64], "7f".to_owned() + &"ff".repeat(31));
    let mixed = folder.write("mixed", [&raws[0], "0x02c0", "zz", &high_s, &raws[1]].join("\n"))?;
    let ran = backend.run(&["recover", &mixed, "--json", "--items"])?.exits(2)?;
    let json = ran.json()?;
    equal("count, failed", (&json["count"], &json["failed"]), (&json!(5), &json!(3)))?;
    let items = json["items"].as_array().ok_or("items")?;
    equal("first", &items[0], &json!({"index": 0, "address": senders[0]}))?;
    equal("last", &items[4], &json!({"index": 4, "address": senders[1]}))?;
    for (index, field) in [(1, "chain_id: missing"), (2, "raw: "), (3, "signature: ")] {
        equal("index", &items[index]["index"], &json!(index))?;
        let error = items[index]["error"].as_str().ok_or("error")?;
        ensure(error.starts_with(field), || format!("{error} is not about {field}"))?;
        let line = format!("error: {mixed}: transaction {index}: {error}");
        ensure(ran.errors().contains(&line.as_str()), || format!("no {line} in {}", ran.stderr))?;
    }
    // A line of output for each line of input.
    let text = backend.run(&["recover", &mixed])?.exits(2)?;
    equal("lines", text.stdout.lines().count(), 5)?;
    equal("stderr", text.stderr, ran.stderr)
}

fn recover_wrong_sender(backend: &Backend) -> Outcome {
    let folder = Folder::new(&format!("sender-{}", backend.kind))?;
    let claimed = format!("0x{}", "11".repeat(20));
    let file = block_file(&folder, "block.json", |file| file["transactions"][4]["sender"] = json!(claimed))?;
    let ran = backend.run(&["recover", &file])?.exits(1)?;
    let (_, senders) = lines(&small_block::build()?);
    let line = format!("error: {file}: transaction 4: sender: expected {claimed}, got {}", senders[4]);
    equal("errors", ran.errors(), vec![line.as_str()])
}

fn replay_profile() -> Outcome {
    let folder = Folder::new("profile")?;
    let profile = folder.at("profile.json");
    let known = |path: &str| -> Result<Value, Failed> { Ok(serde_json::from_slice(&std::fs::read(path)?)?) };
    let args = ["replay", "--profile", &profile, "--threads", "2", "--backend", "cpu"];
    for _ in 0..2 {
        run(&args)?.exits(0)?;
        let calls = known(&profile)?["calls"].as_array().map_or(0, Vec::len);
        ensure(calls > 0, || "nothing was learned of calls".into())?;
    }
    // One that is wrong in all that it says costs time alone.
    let mut lies = known(&profile)?;
    for call in lies["calls"].as_array_mut().into_iter().flatten() {
        call[1] = u64::MAX.into();
    }
    let lies = folder.write("lies.json", lies.to_string())?;
    run(&["replay", "--profile", &lies, "--threads", "2", "--backend", "cpu"])?.exits(0)?;
    // None, one that cannot be read, one that cannot be written.
    let none = folder.write("none.json", r#"{"format": "lockstep-profile/1", "names": [], "calls": [["0x1", 1]]}"#)?;
    let ran = run(&["replay", "--profile", &none])?.exits(2)?;
    ensure(ran.stdout.is_empty() && ran.stderr.contains("calls[0]"), || format!("{ran:?}"))?;
    run(&["replay", "--profile", &folder.at("")])?.exits(2)?;
    // A folder that is not there is missed before anything runs.
    let ran = run(&["replay", "--profile", &folder.at("no/such/folder")])?.exits(2)?;
    ensure(ran.stdout.is_empty() && ran.stderr.contains("no/such/folder"), || format!("{ran:?}"))
}

fn recover_nothing() -> Outcome {
    for verb in ["recover", "keccak"] {
        for input in [&b""[..], b"\n\n"] {
            let ran = run_on(input, &[verb])?.exits(2)?;
            equal("errors", ran.errors().len(), 1)?;
            ensure(ran.stdout.is_empty(), || format!("{ran:?}"))?;
        }
    }
    Ok(())
}

fn keccak(backend: &Backend) -> Outcome {
    let messages: Vec<Vec<u8>> = [0, 1, 31, 32, 135, 136, 137, 272, 1000].map(|length| vec![0xa5; length]).to_vec();
    let input: String = messages.iter().map(|message| format!("{}\n", hex::encode_prefixed(message))).collect();
    let hashes: Vec<String> = messages.iter().map(|message| keccak256(message).to_string()).collect();
    let ran = run_on(input.as_bytes(), &backend.args(&["keccak"]))?.exits(0)?;
    equal("text", ran.stdout.lines().collect::<Vec<_>>(), hashes.iter().map(String::as_str).collect())?;
    let json = run_on(input.as_bytes(), &backend.args(&["keccak", "--json"]))?.exits(0)?.json()?;
    equal("schema, count", (&json["schema"], &json["count"]), (&json!("lockstep-keccak/1"), &json!(messages.len())))?;
    let items: Value = hashes.iter().enumerate().map(|(index, hash)| json!({"index": index, "hash": hash})).collect();
    equal("items", &json["items"], &items)
}

fn keccak_input() -> Outcome {
    let folder = Folder::new("keccak")?;
    let (lines, raw) = (folder.write("lines", "0x\n 00 \n")?, folder.write("raw", [0])?);
    let [empty, zero] = [&[][..], &[0]].map(|message| keccak256(message).to_string());
    let both = format!("{empty}\n{zero}\n");
    equal("file", run(&["keccak", &lines])?.exits(0)?.stdout, both.clone())?;
    equal("-", run_on(b"0x\n00", &["keccak", "-"])?.exits(0)?.stdout, both)?;
    let files = run(&["keccak", "--files", &raw, &raw])?.exits(0)?;
    equal("--files", files.stdout, format!("{zero}  {raw}\n{zero}  {raw}\n"))?;
    let json = run(&["keccak", "--json", "--files", &raw])?.exits(0)?.json()?;
    equal("--files --json", json["items"].clone(), json!([{"index": 0, "hash": zero}]))
}

fn keccak_bad() -> Outcome {
    let folder = Folder::new("keccak-bad")?;
    let zero = keccak256([0]).to_string();
    let ran = run_on(b"00\nxy\n0\n\xff\xfe\n00\n", &["keccak"])?.exits(2)?;
    let out: Vec<_> = ran.stdout.lines().collect();
    equal("lines", (out.len(), out[0], out[4]), (5, zero.as_str(), zero.as_str()))?;
    equal("errors", ran.errors().len(), 3)?;
    ensure(ran.errors()[0].starts_with("error: stdin: message 1: "), || format!("{ran:?}"))?;
    let (raw, missing) = (folder.write("raw", [0])?, folder.at("missing"));
    let ran = run(&["keccak", "--files", &missing, &raw])?.exits(2)?;
    ensure(ran.errors()[0].contains(&missing) && ran.stdout.contains(&zero), || format!("{ran:?}"))?;
    let ran = run(&["keccak", &missing])?.exits(2)?;
    ensure(ran.errors()[0].contains(&missing) && ran.stdout.is_empty(), || format!("{ran:?}"))
}

/// The keys of each device, and those rows that are of a kind.
fn devices<'a>(json: &'a Value, kind: &str) -> Result<Vec<&'a Value>, Failed> {
    equal("schema", &json["schema"], &json!("lockstep-devices/1"))?;
    ensure(json["auto"].as_str().is_some_and(|auto| auto.starts_with("cpu: ")), || json["auto"].to_string())?;
    let rows = json["devices"].as_array().ok_or("devices")?;
    for row in rows {
        has_keys(
            "device",
            row,
            &["backend", "name", "type", "driver", "limits", "self_test", "recover_per_s", "cross_over_n"],
        )?;
        ensure(row["limits"].is_object() && row["name"].is_string() && row["driver"].is_string(), || row.to_string())?;
        let passed = row["self_test"] == "passed";
        ensure(passed == row["recover_per_s"].as_f64().is_some_and(|rate| rate > 0.0), || row.to_string())?;
        ensure(passed || row["self_test"].as_str().is_some_and(|text| text.starts_with("failed: ")), || {
            row.to_string()
        })?;
    }
    Ok(rows.iter().filter(|row| row["backend"] == kind).collect())
}

fn devices_cpu() -> Outcome {
    let json = run(&["devices", "--json"])?.exits(0)?.json()?;
    equal("cpu", devices(&json, "cpu")?.len(), 1)?;
    equal("wgpu", devices(&json, "wgpu")?.len(), lockstep::backend::wgpu::list().len())?;
    ensure(!is_required("wgpu") || !devices(&json, "wgpu")?.is_empty(), || "no wgpu adapter".into())?;
    let text = run(&["devices", "--backend", "cpu"])?.exits(0)?;
    for word in ["cpu ", "self-test passed", "recoveries/s", "auto "] {
        ensure(text.stdout.contains(word), || text.stdout.clone())?;
    }
    Ok(())
}

/// A backend that is named is the only one shown, and must work.
fn devices_named(backend: &Backend) -> Outcome {
    let json = backend.run(&["devices", "--json"])?.exits(0)?.json()?;
    let rows = devices(&json, backend.kind)?;
    equal("rows", Some(rows.len()), json["devices"].as_array().map(Vec::len))?;
    ensure(rows.iter().any(|row| row["self_test"] == "passed"), || json.to_string())
}

fn bench_usage() -> Outcome {
    let bad: [(&[&str], &str); 17] = [
        (&[], "recover"),
        (&["blocks", "--sizes", "10001"], "10001"),
        (&["blocks", "--workloads", "mix"], "transfers, token, swaps, lending, nft, vote, supply-chain, serial"),
        (&["blocks", "--only", "revm"], "lockstep, wgpu, sequential"),
        (&["blocks", "--backend", "wgpu", "--only", "lockstep"], "lockstep"),
        (&["recover", "--sizes", "0"], "0"),
        (&["recover", "--sizes", "1,many"], "many"),
        (&["recover", "--sizes", "1,"], "--sizes"),
        (&["recover", "--sizes", "1000000000"], "1000000000"),
        (&["recover", "--rounds", "0"], "0"),
        (&["recover", "--only", "openssl"], "avx512-ifma, avx2, libsecp256k1, k256, alloy, wgpu-u64, wgpu-u32, auto"),
        (&["keccak", "--only", "k256"], "avx512, avx2, keccak-asm, tiny-keccak, wgpu-u64, wgpu-u32, auto"),
        (&["recover", "--backend", "cpu", "--only", "wgpu-u32"], "wgpu-u32"),
        (&["keccak", "--backend", "wgpu", "--only", "tiny-keccak"], "tiny-keccak"),
        (&["simulate", "--only", "k256"], "cpu, wgpu, revm, revm-all"),
        (&["simulate", "--backend", "wgpu", "--only", "revm-all"], "revm-all"),
        (&["simulate", "--sizes", "1048577"], "1048577"),
    ];
    for (args, word) in bad {
        let ran = run(&[&["bench"], args].concat())?.exits(2)?;
        ensure(ran.stdout.is_empty() && ran.stderr.contains(word), || format!("{args:?}: {ran:?}"))?;
    }
    Ok(())
}

fn bench_absent() -> Outcome {
    for what in ["recover", "keccak", "simulate", "blocks"] {
        let named: [&[&str]; 4] = [
            &["--backend", "cuda"],
            &["--backend", "cpu", "--device", "0"],
            &["--backend", "wgpu", "--device", "no such adapter"],
            &[
                "--only",
                if matches!(what, "simulate" | "blocks") { "wgpu" } else { "wgpu-u32" },
                "--device",
                "no such adapter",
            ],
        ];
        for args in named {
            let ran = run(&[&["bench", what, "--sizes", "1"], args].concat())?.exits(3)?;
            ensure(ran.stdout.is_empty() && ran.errors().len() == 1, || format!("{args:?}: {ran:?}"))?;
        }
    }
    // Some CPU lacks each of these.
    let engines = [("recover", "avx512-ifma"), ("keccak", "avx512"), ("keccak", "avx2")];
    for (what, engine) in engines {
        let ran = run(&["bench", what, "--sizes", "1", "--rounds", "1", "--backend", "cpu", "--json"])?.exits(0)?;
        let is_there = ran.json()?["rows"].as_array().ok_or("rows")?.iter().any(|row| row["engine"] == engine);
        let named = run(&["bench", what, "--sizes", "1", "--rounds", "1", "--only", engine])?;
        named.exits(if is_there { 0 } else { 3 })?;
    }
    Ok(())
}

fn bench_text() -> Outcome {
    let ran =
        run(&["bench", "recover", "--sizes", "1,100", "--rounds", "1", "--only", "libsecp256k1", "--threads", "1"])?;
    let ran = ran.exits(0)?;
    ensure(ran.stderr.is_empty(), || format!("{ran:?}"))?;
    let rows = ["clean", "clean", "mixed"];
    let table: Vec<_> = ran.stdout.lines().filter(|line| line.contains("libsecp256k1 ")).collect();
    equal("rows", table.len(), rows.len())?;
    for (row, workload) in table.iter().zip(rows) {
        ensure(row.starts_with(workload) && row.ends_with("1.00"), || ran.stdout.clone())?;
    }
    for word in [" cores", "a call", "items/s", "× libsecp256k1", "left out: recover mixed, n = 1: "] {
        ensure(ran.stdout.contains(word), || format!("no {word} in {}", ran.stdout))?;
    }
    Ok(())
}

/// Every key with its type, in a bench of one kind of backend: the rows.
fn bench_rows(backend: &Backend, what: &str, baseline: &str, workloads: &[&str]) -> Result<Vec<Value>, Failed> {
    let json = bench_json(backend, what, &[])?;
    checked_rows(backend, &json, what, baseline, workloads)
}

fn bench_json(backend: &Backend, what: &str, more: &[&str]) -> Result<Value, Failed> {
    let args = ["bench", what, "--sizes", "200,1", "--rounds", "2", "--threads", "2", "--json"];
    let ran = backend.run(&[&args, more].concat())?.exits(0)?;
    ensure(ran.stderr.is_empty(), || format!("{ran:?}"))?;
    Ok(ran.json()?)
}

fn checked_rows(
    backend: &Backend,
    json: &Value,
    what: &str,
    baseline: &str,
    workloads: &[&str],
) -> Result<Vec<Value>, Failed> {
    equal("schema", &json["schema"], &json!("lockstep-bench/1"))?;
    let machine = &json["machine"];
    has_keys("machine", machine, &["cpu", "cores", "memory_gib", "gpu", "driver", "os"])?;
    ensure(machine["cores"].is_u64() && machine["os"].is_string(), || machine.to_string())?;
    let on_device = backend.kind != "cpu";
    equal("gpu, driver", [machine["gpu"].is_string(), machine["driver"].is_string()], [on_device; 2])?;
    ensure(json.get("commit").is_some_and(|commit| commit.is_null() || commit.is_string()), || json.to_string())?;
    for left_out in json["left_out"].as_array().ok_or("left_out")? {
        ensure(left_out["reason"].is_string() && left_out["failed"] == false, || left_out.to_string())?;
    }
    let rows = json["rows"].as_array().ok_or("rows")?;
    for row in rows {
        let number = |key: &str| row[key].as_f64().filter(|number| *number > 0.0).ok_or(format!("{key}: {row}"));
        equal("bench, baseline", (&row["bench"], &row["baseline"]), (&json!(what), &json!(baseline)))?;
        equal("transfers, checked", (&row["transfers"], &row["checked"]), (&json!("in|out"), &json!(true)))?;
        ensure(workloads.iter().any(|workload| row["workload"] == *workload), || row.to_string())?;
        let (n, median) = (number("n")?, number("seconds_median")?);
        ensure(number("seconds_min")? <= median && median <= number("seconds_max")?, || row.to_string())?;
        ensure(number("p50")? <= number("p99")? && number("calls")? >= 2.0, || row.to_string())?;
        ensure((number("per_second")? * median / n - 1.0).abs() < 1e-9, || row.to_string())?;
        has_keys("row", row, &["limit_share", "gas", "fallback_share", "cross_over_n"])?;
        ensure(row["limit_share"].is_null() && row["gas"].is_null() == !matches!(what, "simulate" | "blocks"), || {
            row.to_string()
        })?;
        // The share of a device's limit is not known, which needs a reason.
        equal("device", row["device"].is_string(), row["limit_share_reason"].is_string())?;
        let base = rows.iter().find(|base| {
            base["engine"] == baseline
                && base["threads"] == 1
                && base["n"] == row["n"]
                && base["workload"] == row["workload"]
        });
        let base = base.and_then(|base| base["per_second"].as_f64()).ok_or_else(|| format!("no baseline: {row}"))?;
        ensure((number("per_second")? / base / number("ratio")? - 1.0).abs() < 1e-9, || row.to_string())?;
        ensure(row["n"] == 200 || row["threads"] == 1 || row["device"].is_string(), || row.to_string())?;
    }
    Ok(rows.clone())
}

/// The engines of the rows, once each.
fn engines(rows: &[Value]) -> Vec<&str> {
    let mut engines: Vec<_> = rows.iter().filter_map(|row| row["engine"].as_str()).collect();
    engines.sort_unstable();
    engines.dedup();
    engines
}

fn bench_recover(backend: &Backend) -> Outcome {
    let rows = bench_rows(backend, "recover", "libsecp256k1", &["clean", "mixed"])?;
    ensure(rows.iter().any(|row| row["workload"] == "mixed"), || format!("{rows:?}"))?;
    let engines = engines(&rows);
    if backend.kind == "cpu" {
        let ours = lockstep::recover::Engine::available().map(lockstep::recover::Engine::name);
        let mut expected: Vec<_> = ours.chain(["alloy", "k256"]).collect();
        expected.sort_unstable();
        return equal("engines", engines, expected);
    }
    let device = engines.iter().filter(|engine| engine.starts_with("wgpu-u")).count();
    ensure(engines.contains(&"wgpu-u32") && engines.len() == device + 1, || format!("{engines:?}"))
}

fn bench_keccak(backend: &Backend) -> Outcome {
    let rows = bench_rows(backend, "keccak", "keccak-asm", &["32B", "64B", "136B", "532B"])?;
    let engines = engines(&rows);
    if backend.kind == "cpu" {
        let ours = lockstep::keccak::Engine::available().map(lockstep::keccak::Engine::name);
        let mut expected: Vec<_> = ours.chain(["tiny-keccak"]).collect();
        expected.sort_unstable();
        return equal("engines", engines, expected);
    }
    let device = engines.iter().filter(|engine| engine.starts_with("wgpu-u")).count();
    ensure(engines.contains(&"wgpu-u32") && engines.len() == device + 1, || format!("{engines:?}"))
}

fn bench_simulate(backend: &Backend) -> Outcome {
    let rows = bench_rows(backend, "simulate", "revm", &["token", "mix", "sequence"])?;
    let expected: &[&str] = if backend.kind == "cpu" { &["cpu", "revm", "revm-all"] } else { &["revm", "wgpu"] };
    equal("engines", engines(&rows), expected.to_vec())?;
    for row in &rows {
        // Only a device declines, and without a row of the CPU it overtakes nobody.
        let share = row["fallback_share"].as_f64();
        equal("fallback_share", share.is_some(), row["device"].is_string())?;
        ensure(share.is_none_or(|share| (0.0..0.5).contains(&share)), || row.to_string())?;
        ensure(row["cross_over_n"].is_null(), || row.to_string())?;
    }
    Ok(())
}

fn bench_blocks(backend: &Backend) -> Outcome {
    let json = bench_json(backend, "blocks", &["--workloads", "token,slot"])?;
    let rows = checked_rows(backend, &json, "blocks", "sequential", &["token/0", "token/30", "token/90", "slot"])?;
    let expected = if backend.kind == "cpu" { ["lockstep", "sequential"] } else { ["sequential", "wgpu"] };
    equal("engines", engines(&rows), expected.to_vec())?;
    let summaries = json["summaries"].as_array().ok_or("summaries")?;
    let lines = if backend.kind == "cpu" { 2 } else { 1 };
    equal("summaries", summaries.len(), 4 * lines)?;
    for summary in summaries {
        let number =
            |key: &str| summary[key].as_f64().filter(|number| *number > 0.0).ok_or(format!("{key}: {summary}"));
        ensure(number("worst")? <= number("geometric_mean")? * (1.0 + 1e-9), || summary.to_string())?;
        let (_, rows) = (number("ratio_in_sum")?, number("rows")?);
        // One transaction is none for two threads.
        ensure(rows == if summary["threads"] == 2 && backend.kind == "cpu" { 1.0 } else { 2.0 }, || {
            summary.to_string()
        })?;
        equal("device", summary["device"].is_string(), backend.kind != "cpu")?;
        has_keys("summary", summary, &["bench", "group", "engine", "worst_workload", "worst_n"])?;
    }
    Ok(())
}

fn bench_block_files() -> Outcome {
    let folder = Folder::new("bench-blocks")?;
    let good = block_file(&folder, "good.json", |_| ())?;
    let bad = folder.write("bad.json", "{}")?;
    let ran = run(&["bench", "blocks", &good, &bad, "--backend", "cpu", "--rounds", "1", "--json"])?.exits(2)?;
    ensure(ran.errors().len() == 1 && ran.stderr.contains("bad.json"), || format!("{ran:?}"))?;
    let json = ran.json()?;
    let benches: Vec<_> = json["rows"].as_array().ok_or("rows")?.iter().map(|row| &row["bench"]).collect();
    ensure(benches.contains(&&json!("blocks")) && benches.contains(&&json!("blocks-e2e")), || json.to_string())?;
    let wrong = block_file(&folder, "wrong.json", |json| json["expected"]["gasUsed"] = json!("0x1"))?;
    let ran = run(&["bench", "blocks", &wrong, "--backend", "cpu", "--rounds", "1", "--json"])?.exits(1)?;
    ensure(ran.stdout.is_empty() && ran.stderr.contains("gasUsed"), || format!("{ran:?}"))
}
