//! `lockstep simulate` as its users see it: every form of input, every answer asked of revm, every error at its index.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use lockstep::{
    block::BlockEnv,
    block_file::BlockFile,
    commit::Committed,
    coverage::Coverage,
    error::TxError,
    evm::reference_call,
    memory::MemoryState,
    outcome::{TxOutcome, TxStatus},
    sample::SAMPLE,
    simulate::Call,
};
use lockstep_tests::{
    binary::{self, Backend, Folder, Outcome, Ran, each_backend, ensure, equal, run, run_on, scrape},
    contracts::Arg,
    harness::Suite,
    sample::world::{Deployed, World, wad},
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{ExitCode, Stdio},
    slice,
    time::{Duration, Instant},
};

fn main() -> ExitCode {
    let mut suite = Suite::default();
    each_backend(&mut suite, "json_lines", json_lines);
    each_backend(&mut suite, "csv", csv);
    each_backend(&mut suite, "template", template);
    each_backend(&mut suite, "sequences", sequences);
    each_backend(&mut suite, "stop_on_revert", stop_on_revert);
    each_backend(&mut suite, "state_overrides", state_overrides);
    each_backend(&mut suite, "block_overrides", block_overrides);
    each_backend(&mut suite, "logs_diff_and_lists", logs_diff_and_lists);
    each_backend(&mut suite, "coverage", coverage);
    each_backend(&mut suite, "errors_stand_at_their_index", errors);
    suite.test("bad_sequences_stand_at_their_index", bad_sequences);
    suite.test("usage_errors_exit_2", usage);
    suite.test("bad_files_exit_2", bad_files);
    suite.test("a_state_of_ones_own", own_state);
    suite.test("a_closed_pipe_is_no_error", closed_pipe);
    suite.test("blanks_before_json", blanks_before_json);
    suite.test("metrics_while_it_runs", metrics);
    suite.test("trace", trace);
    suite.test("trace_of_a_sequence", trace_of_a_sequence);
    suite.run()
}

/// The sample: its block, the state before it, and who stands in it.
struct Sample {
    env: BlockEnv,
    state: MemoryState,
    world: World,
}

impl Sample {
    fn new() -> Result<Self, String> {
        let file = BlockFile::parse(SAMPLE).map_err(|error| error.to_string())?;
        let world = World::new().map_err(|error| error.to_string())?;
        Ok(Self { env: file.block.env, state: file.state, world })
    }

    fn user(&self, index: usize) -> Address {
        self.world.users[index].address()
    }

    fn call(&self, user: usize, to: &Deployed, signature: &str, args: &[Arg]) -> Result<Call, String> {
        let input = to.input(signature, args).map_err(|error| error.to_string())?;
        Ok(Call::new(self.user(user), to.address, input))
    }

    /// Calls that end in every way, one of them invalid.
    fn calls(&self) -> Result<Vec<Call>, String> {
        let World { tokens, pairs, lending, counters, router, open_pairs, vote, .. } = &self.world;
        let mut calls = Vec::new();
        for i in 0..6 {
            let other = Arg::from(self.user(i + 1));
            calls.extend([
                self.call(i, &tokens[0], "transfer(address,uint256)", &[other.clone(), wad(i as u64).into()])?,
                self.call(i, &tokens[1], "balanceOf(address)", &[other])?.with_gas(50_000),
                self.call(i, &pairs[0], "quote(bool,uint256)", &[(i % 2 == 0).into(), wad(3).into()])?,
                self.call(i, &pairs[1], "swap(bool,uint256,uint256)", &[true.into(), wad(9).into(), wad(1).into()])?,
                self.call(i, lending, "supply(uint256)", &[wad(1).into()])?,
                self.call(i, vote, "castVote(uint256,uint8)", &[1_u64.into(), 1_u64.into()])?,
            ]);
        }
        let swap = [open_pairs[0].address.into(), true.into(), wad(5).into(), wad(1).into()];
        // Init code that returns one byte: PUSH1 1 PUSH0 RETURN.
        let creation = Call { from: self.user(0), input: hex!("60015ff3").into(), ..Call::default() };
        calls.extend([
            self.call(0, router, "swapExactIn(address,bool,uint256,uint256)", &swap)?,
            self.call(0, &counters[0], "fail()", &[])?,
            self.call(0, &counters[0], "halt()", &[])?.with_gas(70_000),
            self.call(0, &counters[0], "spin(uint256)", &[100_000_u64.into()])?.with_gas(90_000),
            Call::new(self.user(0), self.user(1), Bytes::new()).with_value(wad(1)),
            Call { to: None, ..creation },
        ]);
        Ok(calls)
    }

    fn expected(&self, index: usize, call: &Call) -> Value {
        answer(index, None, &reference_call(&self.env, &self.state, call))
    }
}

/// The line of an answer.
fn answer(index: usize, call: Option<usize>, result: &Result<TxOutcome, TxError>) -> Value {
    let mut line = match result {
        Ok(outcome) => json!({
            "index": index, "status": status(outcome), "gas_used": outcome.gas_used,
            "output": hex::encode_prefixed(&outcome.output),
        }),
        Err(error) => json!({"index": index, "error": error.to_string()}),
    };
    if let Some(call) = call {
        line["call"] = json!(call);
    }
    line
}

fn status(outcome: &TxOutcome) -> &'static str {
    match outcome.status {
        TxStatus::Success => "success",
        TxStatus::Revert => "revert",
        TxStatus::Halt => "halt",
    }
}

/// A call as a line has it; the form of a number depends on the number.
fn line(call: &Call) -> Value {
    let mut line = json!({"from": call.from, "data": call.input});
    if let Some(to) = call.to {
        line["to"] = json!(to);
    }
    if let Some(gas) = call.gas {
        line["gas"] = if gas % 20_000 == 0 { json!(gas) } else { json!(format!("{gas:#x}")) };
    }
    if !call.value.is_zero() {
        line["value"] = json!(call.value.to_string());
    }
    line
}

fn lines(calls: &[Call]) -> String {
    calls.iter().map(|call| format!("{}\n", line(call))).collect()
}

/// The objects on standard output.
fn objects(ran: &Ran) -> Result<Vec<Value>, String> {
    let read = |line: &str| serde_json::from_str(line).map_err(|error| format!("{error}: {line}"));
    ran.stdout.lines().map(read).collect()
}

/// Fails at the first object that differs.
fn same(actual: &[Value], expected: &[Value]) -> Outcome {
    for (actual, expected) in actual.iter().zip(expected) {
        equal("line", actual, expected)?;
    }
    equal("lines", actual.len(), expected.len())
}

fn json_lines(backend: &Backend) -> Outcome {
    let sample = Sample::new()?;
    let calls = sample.calls()?;
    let expected: Vec<_> = calls.iter().enumerate().map(|(index, call)| sample.expected(index, call)).collect();
    for status in ["success", "revert", "halt"] {
        ensure(expected.iter().any(|line| line["status"] == status), || format!("no {status} among the calls"))?;
    }
    let folder = Folder::new(&format!("simulate-lines-{}", backend.kind))?;
    let file = folder.write("calls.jsonl", lines(&calls))?;
    let ran = backend.run(&["simulate", "--calls", &file])?.exits(0)?;
    same(&objects(&ran)?, &expected)?;
    let total = format!("{} calls: ", calls.len());
    ensure(ran.stderr.starts_with(&total) && ran.stderr.contains(" 0 error; "), || ran.stderr.clone())?;
    // The keys come in the order of the contract.
    ensure(ran.stdout.starts_with("{\"index\":0,\"status\":\"success\",\"gas_used\":"), || ran.stdout.clone())?;
    // Between empty lines and from standard input.
    let spaced = format!("\r\n\n{}", lines(&calls).replace('\n', "\r\n\n"));
    for form in [&["simulate", "--json"][..], &["simulate", "--json", "--calls", "-"]] {
        let ran = run_on(spaced.as_bytes(), &backend.args(form))?.exits(0)?;
        equal("stderr", ran.stderr.as_str(), "")?;
        same(&objects(&ran)?, &expected)?;
    }
    Ok(())
}

fn csv(backend: &Backend) -> Outcome {
    let sample = Sample::new()?;
    let calls = sample.calls()?;
    let mut input = String::from("\u{feff}to,\"from\", gas ,value,data\r\n");
    for call in &calls {
        let cell = |value: Option<String>| value.unwrap_or_default();
        let (to, gas) = (cell(call.to.map(|to| to.to_string())), cell(call.gas.map(|gas| gas.to_string())));
        input += &format!("{to},\"{}\",{gas}, {:#x} ,{}\r\n", call.from, call.value, call.input);
    }
    let expected: Vec<_> = calls.iter().enumerate().map(|(index, call)| sample.expected(index, call)).collect();
    let folder = Folder::new(&format!("simulate-csv-{}", backend.kind))?;
    let file = folder.write("calls.csv", &input)?;
    same(&objects(&backend.run(&["simulate", "--calls", &file])?.exits(0)?)?, &expected)?;

    input += ",0x12,,,\n";
    let ran = run_on(input.as_bytes(), &backend.args(&["simulate", "--format", "csv"]))?.exits(2)?;
    let mut rows: Vec<_> = ran.stdout.lines().collect();
    let error = rows.pop().ok_or("no rows")?;
    ensure(error.starts_with(&format!("{},,,,\"from: \"\"0x12\"\" is no address", calls.len())), || error.into())?;
    equal("header", rows.remove(0), "index,status,gas_used,output,error")?;
    let row = |line: &Value| {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        format!("{},{},{},{},", line["index"], text("status"), line["gas_used"], text("output"))
    };
    equal("rows", rows, expected.iter().map(row).collect::<Vec<_>>().iter().map(String::as_str).collect())
}

fn template(backend: &Backend) -> Outcome {
    let sample = Sample::new()?;
    let pair = &sample.world.pairs[0];
    let amounts: Vec<_> = (0..300_u64).map(|i| U256::from(i) << (i % 100)).collect();
    let quote = |side: bool, amount: U256| sample.call(0, pair, "quote(bool,uint256)", &[side.into(), amount.into()]);
    let expect = |calls: Vec<Call>| -> Vec<_> {
        calls.iter().enumerate().map(|(index, call)| sample.expected(index, call)).collect()
    };
    let user = sample.user(0);
    let object = json!({"from": user, "to": pair.address, "function": "quote(bool zeroForOne,uint256 amountIn)"});

    let calls: Vec<_> = amounts.iter().map(|amount| quote(true, *amount)).collect::<Result<_, _>>()?;
    let mut fixed = object.clone();
    fixed["args"] = json!({"zeroForOne": true});
    let rows: String = amounts.iter().map(|amount| format!("{amount}\n")).collect();
    let folder = Folder::new(&format!("simulate-template-{}", backend.kind))?;
    let file = folder.write("template", fixed.to_string())?;
    for template in [&fixed.to_string(), &file] {
        let args = backend.args(&["simulate", "--template", template]);
        let ran = run_on(format!("amountIn\n{rows}").as_bytes(), &args)?.exits(0)?;
        same(&objects(&ran)?, &expect(calls.clone())).map_err(|error| format!("{template}: {error:?}"))?;
    }

    let sides = |i: usize| i.is_multiple_of(3);
    let calls = amounts.iter().enumerate().map(|(i, amount)| Ok(quote(sides(i), *amount)?.with_gas(40_000)));
    let calls: Vec<_> = calls.collect::<Result<_, String>>()?;
    let rows = amounts.iter().enumerate().map(|(i, amount)| format!("{amount:#x},40000,{}\n", sides(i)));
    let input = format!("amountIn,gas,zeroForOne\n{}", rows.collect::<String>());
    let run = |template: &Value, input: &str| {
        run_on(input.as_bytes(), &backend.args(&["simulate", "--calls", "-", "--template", &template.to_string()]))
    };
    same(&objects(&run(&object, &input)?.exits(0)?)?, &expect(calls))?;

    // A value that does not fit is that row's error.
    let ran = run(&object, "zeroForOne,amountIn\ntrue,1\n2,1\nfalse\ntrue,-1\ntrue,1\n")?.exits(2)?;
    let answers = objects(&ran)?;
    let first = sample.expected(0, &quote(true, U256::ONE)?);
    equal("first, last", (&answers[0]["output"], &answers[4]["output"]), (&first["output"], &first["output"]))?;
    for (index, start) in [(1, "column: zeroForOne: \"2\""), (2, "line: 1 cells"), (3, "column: amountIn: \"-1\"")] {
        ensure(answers[index]["error"].as_str().is_some_and(|error| error.starts_with(start)), || ran.stdout.clone())?;
    }
    Ok(())
}

/// Sequences of the sample, and what revm makes of each call on what those before it left.
fn sequence_of(sample: &Sample, index: usize) -> Result<Vec<Call>, String> {
    let World { counters, tokens, .. } = &sample.world;
    let (user, other) = (index % 8, Arg::from(sample.user(index % 8 + 1)));
    Ok(vec![
        sample.call(user, &counters[0], "increment()", &[])?,
        sample.call(user, &counters[0], "count()", &[])?,
        sample.call(user, &tokens[0], "transfer(address,uint256)", &[other.clone(), wad(9_000).into()])?,
        // Not twice: it reverts.
        sample.call(user, &tokens[0], "transfer(address,uint256)", &[other.clone(), wad(9_000).into()])?,
        sample.call(user, &tokens[0], "balanceOf(address)", &[other])?,
        sample.call(user, &counters[0], "add(uint256)", &[(index as u64).into()])?,
        sample.call(user, &counters[0], "count()", &[])?,
    ])
}

fn reference_sequence(sample: &Sample, index: usize, calls: &[Call]) -> Vec<Value> {
    let mut state = Committed::new(&sample.state);
    let answer = |(number, call): (usize, &Call)| {
        let result = reference_call(&sample.env, &state, call);
        if let Ok(outcome) = &result {
            state.commit(outcome);
        }
        answer(index, Some(number), &result)
    };
    calls.iter().enumerate().map(answer).collect()
}

fn sequence_lines(sequences: &[Vec<Call>]) -> String {
    let lines = sequences.iter().enumerate().map(|(index, calls)| {
        let calls: Value = calls.iter().map(line).collect();
        if index % 2 == 0 { format!("{calls}\n") } else { format!("{}\n", json!({"calls": calls})) }
    });
    lines.collect()
}

fn sequences(backend: &Backend) -> Outcome {
    let sample = Sample::new()?;
    let sequences: Vec<_> = (0..40).map(|index| sequence_of(&sample, index)).collect::<Result<_, _>>()?;
    let input = sequence_lines(&sequences);
    let ran = run_on(input.as_bytes(), &backend.args(&["simulate", "--sequences"]))?.exits(0)?;
    let each = sequences.iter().enumerate().map(|(index, calls)| reference_sequence(&sample, index, calls));
    let expected: Vec<_> = each.flatten().collect();
    same(&objects(&ran)?, &expected)?;
    let ran = run_on(input.as_bytes(), &backend.args(&["simulate", "--sequences", "--format", "csv"]))?.exits(0)?;
    let mut rows = ran.stdout.lines();
    equal("header", rows.next(), Some("index,call,status,gas_used,output,error"))?;
    let first = &expected[0];
    let text = format!("0,0,success,{},{},", first["gas_used"], first["output"].as_str().unwrap_or_default());
    equal("first", rows.next(), Some(text.as_str()))
}

fn stop_on_revert(backend: &Backend) -> Outcome {
    let sample = Sample::new()?;
    let sequences: Vec<_> = (0..20).map(|index| sequence_of(&sample, index)).collect::<Result<_, _>>()?;
    let args = backend.args(&["simulate", "--sequences", "--stop-on-revert"]);
    let ran = run_on(sequence_lines(&sequences).as_bytes(), &args)?.exits(0)?;
    let mut expected = Vec::new();
    for (index, calls) in sequences.iter().enumerate() {
        let all = reference_sequence(&sample, index, calls);
        let ends = all.iter().position(|line| line["status"] != "success").ok_or("no revert")?;
        expected.extend_from_slice(&all[..=ends]);
    }
    ensure(expected.len() <= 4 * sequences.len(), || format!("{} lines", expected.len()))?;
    same(&objects(&ran)?, &expected)
}

fn words(line: &Value) -> Result<Vec<U256>, String> {
    let bytes = line["output"].as_str().and_then(|text| hex::decode(text).ok()).ok_or_else(|| line.to_string())?;
    Ok(bytes.chunks(32).map(U256::from_be_slice).collect())
}

fn state_overrides(backend: &Backend) -> Outcome {
    let sample = Sample::new()?;
    let [own, other, rich] = [0x71, 0x72, 0x73].map(Address::repeat_byte);
    let counter = &sample.world.counters[0];
    let count = counter.input("count()", &[]).map_err(|error| error.to_string())?;
    let slot = counter.key("count", &[]).map_err(|error| error.to_string())?;
    // Returns the balance of the caller and the slots 0 and 1: CALLER BALANCE PUSH0 MSTORE, and so on.
    let code = "0x33315f525f5460205260015460405260605ff3";
    let accounts = json!({
        own.to_string(): {"code": code, "stateDiff": {"0x0": "0x7", "1": 8}},
        rich.to_string(): {"balance": "1000000000000000000000000", "nonce": 5},
        counter.address.to_string(): {"state": {format!("{slot:#x}"): "0x2a"}},
    });
    let calls = [
        json!({"from": rich, "to": own, "stateOverrides": accounts}),
        json!({"from": rich, "to": counter.address, "data": count, "stateOverrides": accounts}),
        // It has no such balance where nothing says so.
        json!({"from": rich, "to": other, "value": "1000000000000000000000000"}),
        json!({"from": rich, "to": other, "value": "1000000000000000000000000", "stateOverrides": accounts}),
        json!({"to": counter.address, "input": count, "stateOverrides": {other.to_string(): {"balance": 1}}}),
    ];
    let input: String = calls.iter().map(|call| format!("{call}\n")).collect();
    let ran = run_on(input.as_bytes(), &backend.args(&["simulate"]))?.exits(2)?;
    let lines = objects(&ran)?;
    equal("balance, slots", words(&lines[0])?, vec![wad(1_000_000), U256::from(7), U256::from(8)])?;
    equal("replaced", words(&lines[1])?, vec![U256::from(42)])?;
    ensure(lines[2]["error"].as_str().is_some_and(|error| error.starts_with("balance: ")), || ran.stdout.clone())?;
    equal("paid", &lines[3]["status"], &json!("success"))?;
    equal("untouched", words(&lines[4])?, vec![U256::ZERO])?;

    // In a sequence they stay in force.
    let sequence = json!([calls[1], {"to": counter.address, "data": count}]);
    let ran = run_on(sequence.to_string().as_bytes(), &backend.args(&["simulate", "--sequences"]))?.exits(0)?;
    let lines = objects(&ran)?;
    equal("in a sequence", [words(&lines[0])?, words(&lines[1])?], [vec![U256::from(42)], vec![U256::from(42)]])
}

fn block_overrides(backend: &Backend) -> Outcome {
    let sample = Sample::new()?;
    let own = Address::repeat_byte(0x71);
    // NUMBER TIMESTAMP GASLIMIT COINBASE BASEFEE PREVRANDAO BLOBBASEFEE, a word each.
    let opcodes = [0x43, 0x42, 0x45, 0x41, 0x48, 0x44, 0x4a];
    let store = opcodes.iter().enumerate().flat_map(|(index, opcode)| [*opcode, 0x60, 32 * index as u8, 0x52]);
    let code: Bytes = store.chain([0x60, 32 * opcodes.len() as u8, 0x5f, 0xf3]).collect();
    let state = json!({own.to_string(): {"code": code}});
    let beneficiary = Address::repeat_byte(9);
    let block = json!({
        "number": 77, "time": "0x1000", "gasLimit": "40000000", "feeRecipient": beneficiary, "baseFeePerGas": 5,
        "prevRandao": B256::repeat_byte(3), "blobBaseFee": "0x6",
    });
    let calls = [
        json!({"to": own, "stateOverrides": state, "blockOverrides": block}),
        json!({"to": own, "stateOverrides": state}),
        json!({"to": own, "blockOverrides": {"difficulty": 1}}),
    ];
    let input: String = calls.iter().map(|call| format!("{call}\n")).collect();
    let ran = run_on(input.as_bytes(), &backend.args(&["simulate"]))?.exits(2)?;
    let lines = objects(&ran)?;
    let word = |address: Address| U256::from_be_bytes(address.into_word().0);
    let small = |number: u64| U256::from(number);
    let randao = U256::from_be_bytes([3; 32]);
    let over = [small(77), small(4096), small(40_000_000), word(beneficiary), small(5), randao, small(6)];
    equal("overridden", words(&lines[0])?, over.to_vec())?;
    let env = &sample.env;
    let own = [env.number, env.timestamp, env.gas_limit].map(small);
    equal("as the block has it", &words(&lines[1])?[..3], &own)?;
    equal("beneficiary", words(&lines[1])?[3], word(env.beneficiary))?;
    ensure(lines[2]["error"].as_str().is_some_and(|error| error.starts_with("difficulty: ")), || ran.stdout.clone())
}

fn logs_diff_and_lists(backend: &Backend) -> Outcome {
    let sample = Sample::new()?;
    let calls = sample.calls()?;
    let args = backend.args(&["simulate", "--logs", "--state-diff", "--access-list"]);
    let ran = run_on(lines(&calls).as_bytes(), &args)?.exits(0)?;
    let answers = objects(&ran)?;
    equal("lines", answers.len(), calls.len())?;
    for (index, (call, answer)) in calls.iter().zip(&answers).enumerate() {
        let outcome = reference_call(&sample.env, &sample.state, call).map_err(|error| error.to_string())?;
        equal("gas_used", answer["gas_used"].as_u64(), Some(outcome.gas_used))?;
        let logs: Value = outcome
            .logs
            .iter()
            .map(|log| json!({"address": hex::encode_prefixed(log.address), "topics": log.topics, "data": log.data}))
            .collect();
        equal("logs", &answer["logs"], &logs)?;
        let slots: usize = outcome.changes.iter().map(|change| change.storage.len()).sum();
        let diff = answer["state_diff"].as_object().ok_or("state_diff")?;
        let stored = diff.values().filter_map(|account| account["storage"].as_object()).map(serde_json::Map::len);
        equal("slots", stored.sum::<usize>(), slots)?;
        let nonce = &diff.get(&hex::encode_prefixed(call.from)).ok_or("no sender")?["nonce"];
        equal("nonce", nonce, &json!({"before": "0x0", "after": "0x1"}))?;
        ensure(answer["access_list"].is_array(), || format!("{index}: {answer}"))?;
    }
    let (first, token) = (&answers[6], &sample.world.tokens[0]);
    let key = |user: usize| {
        let key = token.key("balanceOf", &[lockstep_tests::contracts::word(sample.user(user))]);
        key.map_err(|error| error.to_string())
    };
    let storage = &first["state_diff"][hex::encode_prefixed(token.address)]["storage"];
    let sent = json!({"before": format!("{:#x}", wad(10_000)), "after": format!("{:#x}", wad(9_999))});
    equal("sent", &storage[format!("{:#x}", key(1)?)], &sent)?;
    // What it touched can be given back as its list, and makes it touch nothing cold.
    let mut keys = vec![B256::from(key(1)?), B256::from(key(2)?)];
    keys.sort_unstable();
    let list = json!([{"address": hex::encode_prefixed(token.address), "storageKeys": keys}]);
    equal("access list", &first["access_list"], &list)?;
    let mut again = line(&calls[6]);
    again["accessList"] = list.clone();
    let ran = run_on(again.to_string().as_bytes(), &backend.args(&["simulate", "--access-list"]))?.exits(0)?;
    let again = ran.json()?;
    equal("the same list", &again["access_list"], &list)?;
    // 2,400 for the address, 1,900 for each key, against 2,000 less for a slot that is warm and 100 for one read.
    ensure(again["gas_used"] != first["gas_used"], || format!("{again}, without the list {first}"))?;
    let creation = answers.last().ok_or("no answers")?;
    let created = hex::encode_prefixed(sample.user(0).create(0));
    equal("created", &creation["state_diff"][&created]["created"], &json!(true))?;
    equal("code", &creation["state_diff"][&created]["code"], &json!("0x00"))
}

fn coverage(backend: &Backend) -> Outcome {
    let sample = Sample::new()?;
    let calls = sample.calls()?;
    let folder = Folder::new(&format!("simulate-coverage-{}", backend.kind))?;
    let file = folder.at("edges.json");
    let args = backend.args(&["simulate", "--coverage", "--coverage-merged", &file]);
    let ran = run_on(lines(&calls).as_bytes(), &args)?.exits(0)?;
    let mut all = std::collections::BTreeSet::new();
    for (call, answer) in calls.iter().zip(objects(&ran)?) {
        let coverage = &answer["coverage"];
        let places: Vec<_> = coverage["places"].as_array().ok_or("places")?.iter().filter_map(Value::as_u64).collect();
        equal("edges", coverage["edges"].as_u64(), Some(places.len() as u64))?;
        let runs = call.to.is_some_and(|to| !sample.world.users.iter().any(|user| user.address() == to));
        equal("runs code", !places.is_empty(), runs)?;
        ensure(places.is_sorted() && places.iter().all(|place| *place < Coverage::BITS.into()), || answer.to_string())?;
        all.extend(places);
    }
    let text = std::fs::read_to_string(&file)?;
    let merged: Value = serde_json::from_str(&text)?;
    equal("merged", &merged, &json!({"edges": all.len(), "places": all}))?;
    ensure(ran.stderr.contains(&format!("; {} edges", all.len())), || ran.stderr.clone())?;
    // Alone it is in no line.
    let ran = run_on(lines(&calls).as_bytes(), &backend.args(&["simulate", "--coverage-merged", &file]))?.exits(0)?;
    ensure(!ran.stdout.contains("coverage"), || ran.stdout)?;
    equal("the same", std::fs::read_to_string(&file)?, text)
}

fn errors(backend: &Backend) -> Outcome {
    let sample = Sample::new()?;
    let good = &sample.calls()?[0];
    let to = sample.user(1);
    let bad = [
        ("{\"to\" 1}".to_owned(), "line: not JSON: expected `:` at column 7"),
        ("[]".to_owned(), "line: not a JSON object"),
        (json!({"to": to, "gasPrice": 1}).to_string(), "line: unknown field \"gasPrice\""),
        (json!({"to": "0x1"}).to_string(), "to: \"0x1\" is no address"),
        (json!({"to": to, "value": 1.5}).to_string(), "value: 1.5 is not an integer"),
        (json!({"to": to, "data": "0x0"}).to_string(), "data: "),
        (json!({"to": to, "data": "0x", "input": "0x00"}).to_string(), "data: differs from input"),
        (json!({"to": to, "blockOverrides": {"coinbase": to}}).to_string(), "blockOverrides: coinbase: unknown field"),
        (json!({"to": to, "stateOverrides": {to.to_string(): {"nonce": -1}}}).to_string(), "stateOverrides: 0x"),
        // Not malformed, but invalid.
        (json!({"from": to, "to": to, "value": wad(1_000).to_string()}).to_string(), "balance: "),
        (json!({"to": to, "gas": 20_000}).to_string(), "gas_limit: "),
        ("\u{e4}".to_owned(), "line: not JSON"),
    ];
    let mut input = lines(slice::from_ref(good));
    for (line, _) in &bad {
        input += &format!("{line}\n{}", lines(slice::from_ref(good)));
    }
    let ran = run_on(input.as_bytes(), &backend.args(&["simulate", "--calls", "-"]))?.exits(2)?;
    let answers = objects(&ran)?;
    equal("lines", answers.len(), 2 * bad.len() + 1)?;
    for (index, answer) in answers.iter().enumerate() {
        if index % 2 == 0 {
            equal("good", answer, &sample.expected(index, good))?;
            continue;
        }
        let error = answer["error"].as_str().ok_or_else(|| answer.to_string())?;
        let (_, start) = &bad[index / 2];
        ensure(error.starts_with(start), || format!("{error}, expected {start}"))?;
        equal("error line", answer, &json!({"index": index, "error": error}))?;
        let told = format!("error: stdin: index {index}: {error}");
        ensure(ran.errors().contains(&told.as_str()), || format!("no {told} in {}", ran.stderr))?;
    }
    equal("told", ran.errors().len(), bad.len())
}

fn bad_sequences() -> Outcome {
    let sample = Sample::new()?;
    let good = sequence_of(&sample, 0)?;
    let input = format!(
        "{good}[{{}},{{\"gas\":\"x\"}}]\n{good}[]\n{{\"call\":[]}}\n{good}",
        good = sequence_lines(slice::from_ref(&good))
    );
    let ran = run_on(input.as_bytes(), &["simulate", "--sequences", "--backend", "cpu"])?.exits(2)?;
    let answers = objects(&ran)?;
    let mut expected = reference_sequence(&sample, 0, &good);
    let error = |at: usize| -> Result<&Value, String> {
        answers.iter().find(|line| line["index"] == at).ok_or_else(|| format!("no index {at}: {ran:?}"))
    };
    for (index, call, start) in [(1, json!(1), "gas: \"x\""), (3, Value::Null, "calls: there is none")] {
        let line = error(index)?;
        equal("call", &line["call"], &call)?;
        ensure(line["error"].as_str().is_some_and(|error| error.starts_with(start)), || line.to_string())?;
    }
    expected.push(error(1)?.clone());
    expected.extend(reference_sequence(&sample, 2, &good));
    expected.extend([error(3)?.clone(), error(4)?.clone()]);
    expected.extend(reference_sequence(&sample, 5, &good));
    same(&answers, &expected)?;
    ensure(ran.errors()[0].starts_with("error: stdin: index 1: call 1: gas: "), || ran.stderr.clone())
}

fn usage() -> Outcome {
    let bad: [(&[&str], &str); 13] = [
        (&["extra"], "extra"),
        (&["--format", "xml"], "xml"),
        (&["--stop-on-revert"], "--sequences"),
        (&["--sequences", "--template", "{}"], "--template"),
        (&["--trace", "x"], "x"),
        (&["--trace", "1:2"], "--sequences"),
        (&["--trace", "1", "--logs"], "--logs"),
        (&["--format", "csv", "--logs"], "--logs"),
        (&["--format", "csv", "--coverage"], "--coverage"),
        (&["--format", "csv", "--json"], "--json"),
        (&["--template", "{\"function\":\"f(bytes)\"}"], "no calls"),
        (&["--coverage-merged", "/no/such/folder/file"], "no calls"),
        (&["--sequences"], "sequences are JSON lines"),
    ];
    for (args, word) in bad {
        let ran = run(&[&["simulate", "--backend", "cpu"], args].concat())?.exits(2)?;
        ensure(ran.stdout.is_empty() && ran.stderr.contains(word), || format!("{args:?}: {ran:?}"))?;
    }
    let help = run(&["simulate", "--help"])?.exits(0)?.stdout;
    for word in ["stateOverrides", "prevRandao", "from,to,value,data,gas", "\"args\"", "state_diff", "Exit codes"] {
        ensure(help.contains(word), || format!("no {word} in {help}"))?;
    }
    Ok(())
}

fn bad_files() -> Outcome {
    let folder = Folder::new("simulate-files")?;
    let missing = folder.at("missing.jsonl");
    let (calls, empty) = (folder.write("calls.jsonl", "{}\n")?, folder.write("empty.jsonl", "\n\n")?);
    let (no_header, header) = (folder.write("no.csv", "")?, folder.write("header.csv", "to,data\n")?);
    let (unknown, twice) = (folder.write("unknown.csv", "to,amount\n")?, folder.write("twice.csv", "to,to\n")?);
    let merged = folder.at("no/edges");
    let to = Address::repeat_byte(1);
    let template = json!({"to": to, "function": "f(uint8 x)"}).to_string();
    let dynamic = json!({"to": to, "function": "f(string x)"}).to_string();
    let (x, data) = (folder.write("x.csv", "x\n1\n")?, folder.write("data.csv", "x,data\n")?);
    let bad: [(&[&str], &str, &str); 13] = [
        (&["--calls", &missing], &missing, ": "),
        (&["--calls", &calls, "--state", &missing], &missing, ": file: "),
        (&["--calls", &calls, "--state", &calls], &calls, ": format: missing"),
        (&["--calls", &empty], &empty, ": no calls"),
        (&["--calls", &no_header], &no_header, ": no calls"),
        (&["--calls", &header], &header, ": no calls"),
        (&["--calls", &unknown], &unknown, ": header: unknown column \"amount\""),
        (&["--calls", &twice], &twice, ": header: column \"to\" is there twice"),
        (&["--calls", &calls, "--coverage-merged", &merged], &merged, ": "),
        (&["--calls", &calls, "--coverage-merged", &calls], &calls, ": it is read from"),
        (&["--calls", &x, "--template", &missing], &x, ": template: "),
        (&["--calls", &data, "--template", &template], &data, ": template: unknown column \"data\""),
        (&["--calls", &x, "--template", &dynamic], &x, ": template: function: parameter 0: string is dynamic"),
    ];
    for (args, file, what) in bad {
        let ran = run(&[&["simulate", "--backend", "cpu", "--json"], args].concat())?.exits(2)?;
        let start = format!("error: {file}{what}");
        ensure(ran.stdout.is_empty() && ran.stderr.starts_with(&start), || format!("{args:?}: {ran:?}"))?;
        equal("errors", ran.errors().len(), 1)?;
    }
    equal("what is read is not written to", std::fs::read_to_string(&calls)?.as_str(), "{}\n")?;
    // More than a hundred errors are told by their number.
    let many = folder.write("many.jsonl", "{}x\n".repeat(105))?;
    let ran = run(&["simulate", "--backend", "cpu", "--calls", &many])?.exits(2)?;
    equal("told", ran.errors().len(), 101)?;
    ensure(ran.stderr.contains("5 more calls have an error"), || ran.stderr)
}

fn own_state() -> Outcome {
    let small = lockstep_tests::small_block::build()?;
    let folder = Folder::new("simulate-state")?;
    let file = folder.write("block.json", small.to_json().to_string())?;
    let from = small.claims[0].sender;
    let call = Call::new(from, Address::repeat_byte(0x99), Bytes::new()).with_value(U256::ONE);
    let expected = answer(0, None, &reference_call(&small.block.env, &small.state, &call));
    equal("status", &expected["status"], &json!("success"))?;
    let ran = run_on(lines(&[call]).as_bytes(), &["simulate", "--backend", "cpu", "--state", &file])?.exits(0)?;
    same(&objects(&ran)?, &[expected])
}

/// The reader leaves after a line, while the writer has an endless number of calls.
fn closed_pipe() -> Outcome {
    let sample = Sample::new()?;
    let line = lines(&sample.calls()?[1..2]);
    for more in [&["--json"][..], &["--json", "--format", "jsonl", "--threads", "1"]] {
        let mut command = binary::command(&["simulate", "--backend", "cpu"])?;
        let mut child = command.args(more).stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().ok_or("no stdin")?;
        let (block, stdout) = (line.repeat(1_000), child.stdout.take().ok_or("no stdout")?);
        let writer = std::thread::spawn(move || while stdin.write_all(block.as_bytes()).is_ok() {});
        let mut first = String::new();
        BufReader::new(stdout).read_line(&mut first)?;
        ensure(first.starts_with("{\"index\":0,\"status\":\"success\""), || first)?;
        let output = child.wait_with_output()?;
        ensure(output.status.code() == Some(0) && output.stderr.is_empty(), || format!("{output:?}"))?;
        writer.join().map_err(|_| "the writer panicked")?;
    }
    Ok(())
}

/// What an input is, is told by its first byte that is no blank, wherever that stands.
fn blanks_before_json() -> Outcome {
    let sample = Sample::new()?;
    let call = sample.calls()?[0].clone();
    let expected = sample.expected(0, &call);
    let blanks = [" ".repeat(40), "\n".repeat(5_000), format!("\u{feff}{}", " \r\n\t".repeat(10))];
    for blank in blanks {
        let ran = run_on((blank + &lines(slice::from_ref(&call))).as_bytes(), &["simulate", "--backend", "cpu"])?;
        same(&objects(&ran.exits(0)?)?, slice::from_ref(&expected))?;
    }
    Ok(())
}

fn metrics() -> Outcome {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let sample = Sample::new()?;
    let (line, gas) = (lines(&sample.calls()?[..1]), sample.expected(0, &sample.calls()?[0])["gas_used"].clone());
    let args = ["simulate", "--backend", "cpu", "--metrics", &port.to_string()];
    let mut child = binary::command(&args)?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("no stdin")?;
    // It reads on for as long as the pipe is open.
    let count = 40_000_u64;
    let writer = std::thread::spawn(move || stdin.write_all(line.repeat(count as usize).as_bytes()).map(|()| stdin));
    let value = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).and_then(|rest| rest.trim().parse().ok());
        line.unwrap_or(0_u64)
    };
    let (start, mut text) = (Instant::now(), String::new());
    let calls = "lockstep_simulated_calls_total{route=\"cpu\"}";
    while value(&text, calls) == 0 && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
        text = scrape(port, "/metrics").unwrap_or_default();
    }
    drop(writer.join().map_err(|_| "the writer panicked")??);
    equal("ends", child.wait()?.success(), true)?;
    let (counted, gas) = (value(&text, calls), gas.as_u64().ok_or("no gas")?);
    ensure(counted > 0 && counted <= count, || text.clone())?;
    equal("gas", value(&text, "lockstep_simulated_gas_total{route=\"cpu\"}"), counted * gas)?;
    equal("on a device", value(&text, "lockstep_simulated_calls_total{route=\"device\"}"), 0)
}

/// The last line of a trace says what the answer does.
fn ends_as(ran: &Ran, answer: &Value) -> Outcome {
    let trace = objects(ran)?;
    let last = trace.last().ok_or("no trace")?;
    let gas = answer["gas_used"].as_u64().ok_or_else(|| answer.to_string())?;
    equal("gasUsed", &last["gasUsed"], &json!(format!("{gas:#x}")))?;
    equal("pass", &last["pass"], &json!(answer["status"] == "success"))?;
    equal("output", &last["output"], &answer["output"])?;
    ensure(trace.len() > 10 && trace[0]["pc"] == 0 && trace[0]["opName"].is_string(), || ran.stdout.clone())
}

fn trace() -> Outcome {
    let sample = Sample::new()?;
    let calls = sample.calls()?;
    let folder = Folder::new("simulate-trace")?;
    let file = folder.write("calls.jsonl", lines(&calls) + "{\"gas\":\"x\"}\n")?;
    let trace = |at: &str| run(&["simulate", "--backend", "cpu", "--calls", &file, "--trace", at]);
    // A success, a revert, a halt, and gas that runs out.
    for index in [0, 2, 37, 38, 39] {
        let ran = trace(&index.to_string())?.exits(0)?;
        equal("stderr", ran.stderr.as_str(), "")?;
        ends_as(&ran, &sample.expected(index, &calls[index])).map_err(|error| format!("{index}: {error:?}"))?;
    }
    for (index, start) in [(calls.len(), "gas: \"x\""), (calls.len() + 1, "there are")] {
        let ran = trace(&index.to_string())?.exits(2)?;
        ensure(ran.stdout.is_empty() && ran.stderr.contains(start), || format!("{ran:?}"))?;
        ensure(ran.stderr.contains(&format!("index {index}")), || format!("{ran:?}"))?;
    }
    Ok(())
}

fn trace_of_a_sequence() -> Outcome {
    let sample = Sample::new()?;
    let sequences = [sequence_of(&sample, 0)?, sequence_of(&sample, 3)?];
    let answers = reference_sequence(&sample, 1, &sequences[1]);
    let folder = Folder::new("simulate-trace-sequence")?;
    let file = folder.write("calls", sequence_lines(&sequences))?;
    let trace = |more: &[&str]| {
        run(&[&["simulate", "--backend", "cpu", "--sequences", "--calls", &file, "--trace"], more].concat())
    };
    for (at, call) in [("1:0", 0), ("1:1", 1), ("1:3", 3), ("1", answers.len() - 1)] {
        ends_as(&trace(&[at])?.exits(0)?, &answers[call]).map_err(|error| format!("{at}: {error:?}"))?;
    }
    // With an early end the last call is the one that reverts, and there are none after it.
    ends_as(&trace(&["1", "--stop-on-revert"])?.exits(0)?, &answers[3])?;
    for (more, part) in [
        (&["1:5", "--stop-on-revert"][..], "index 1: the sequence ends with call 3"),
        (&["1:7"], "index 1: no call 7: there are 7"),
        (&["2"], "no index 2: there are 2 lines"),
    ] {
        let ran = trace(more)?.exits(2)?;
        ensure(ran.stdout.is_empty() && ran.stderr.contains(part), || format!("{more:?}: {ran:?}"))?;
    }
    Ok(())
}
