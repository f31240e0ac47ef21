//! The C ABI from C and Python: the header is fresh, the examples run and are right, whole blocks have the engine's results, many threads at
//! once get right answers, and memory checkers find nothing. What needs no C is tested beside the border itself.

use alloy_primitives::{Address, B256, U256, keccak256};
use libtest_mimic::Failed;
use lockstep::{
    backend::BackendKind,
    block_file::BlockFile,
    commit::Committed,
    engine::{BlockOutput, Engine},
    outcome::TxStatus,
    signers::SignerRequest,
    state::{AccountInfo, StateKey, StateRef},
};
use lockstep_tests::{
    binary::{self, Folder, Outcome, Ran, ensure, equal, run_program},
    harness::{self, Suite, workspace},
};
use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

/// A name, the programs that it takes, and the test, which is given the folder of blocks.
type Test = (&'static str, &'static [&'static str], fn(&Path) -> Outcome);

const TESTS: &[Test] = &[
    ("c::recover_by_the_shared_library", &["cc"], |blocks| recover_in_c(blocks, Link::Shared)),
    ("c::recover_by_the_static_library", &["cc"], |blocks| recover_in_c(blocks, Link::Static)),
    ("c::blocks", &["cc"], blocks_in_c),
    ("c::threads", &["cc"], threads),
    ("c::address_sanitizer", &["cc"], address_sanitizer),
    ("c::valgrind", &["cc", "valgrind"], valgrind),
    ("python::recover", &["python3"], recover_in_python),
    ("the_library_exports_what_the_header_declares", &["nm"], |_| exports()),
];

fn main() -> ExitCode {
    let mut suite = Suite::default();
    if env::var_os("LOCKSTEP_BIN").is_some() || cfg!(windows) {
        suite.skip("capi", "cargo", "there is no source tree to build from, or no C compiler of the usual kind".into());
        return suite.run();
    }
    suite.test("the_header_is_fresh", header);
    for (name, programs, test) in TESTS {
        let missing = programs.iter().find(|program| find(program).is_none());
        match (missing, harness::data("blocks")) {
            (Some(program), _) => suite.skip(*name, program, format!("no {program} on the path")),
            (None, Err(reason)) => suite.skip(*name, "data", reason),
            (None, Ok(blocks)) => suite.test(*name, move || test(&blocks)),
        }
    }
    for (name, program, arguments) in COMPILED {
        match find(program) {
            None => suite.skip(*name, program, format!("no {program} on the path")),
            Some(program) => suite.test(*name, move || compiles(&program, arguments)),
        }
    }
    suite.run()
}

/// Sources in languages whose compiler few machines have.
const COMPILED: &[(&str, &str, &[&str])] = &[("go::compiles", "go", &["vet", "./host/capi/examples/recover.go"])];

fn compiles(program: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace());
    let output = command.output().map_err(|error| error.to_string())?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A program on the path.
fn find(program: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn header() -> Outcome {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--locked", "--manifest-path", "host/capi/header/Cargo.toml"]);
    command.args(["--target-dir", "target/header", "--", "--check"]).current_dir(workspace());
    let output = command.output().map_err(|error| error.to_string())?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Shared,
    Static,
}

/// Compiles a C program with every warning as an error, and links it.
fn compile(folder: &Folder, source: &str, link: Link, flags: &[&str]) -> Result<PathBuf, String> {
    let libraries = binary::libraries()?;
    let of = |extension: &str| {
        let found = libraries.iter().find(|path| path.extension().is_some_and(|found| found == extension));
        found.ok_or_else(|| format!("no library .{extension} among {libraries:?}"))
    };
    let program =
        PathBuf::from(folder.at(Path::new(source).file_stem().and_then(|stem| stem.to_str()).unwrap_or("program")));
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pedantic", "-pthread"]).args(flags);
    command.args(["-I", "host/capi/include", source, "-o"]).arg(&program);
    match link {
        Link::Shared => {
            let library = of(env::consts::DLL_EXTENSION)?;
            let parent = library.parent().unwrap_or(Path::new("."));
            command.arg(library).arg(format!("-Wl,-rpath,{}", parent.display()));
        }
        Link::Static if cfg!(target_os = "macos") => {
            command.arg(of("a")?).args([
                "-framework",
                "Metal",
                "-framework",
                "QuartzCore",
                "-framework",
                "CoreFoundation",
            ]);
        }
        Link::Static => {
            command.arg(of("a")?).args(["-ldl", "-lm", "-lrt", "-lutil", "-lgcc_s"]);
        }
    }
    let output = command.current_dir(workspace()).output().map_err(|error| format!("cc: {error}"))?;
    if output.status.success() { Ok(program) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn block_files(blocks: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(blocks).map_err(|error| error.to_string())?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".json.zst"));
    files.sort();
    Ok(files)
}

/// The transactions of all shared blocks: as requests, and as the file that the examples read.
struct Senders {
    items: Vec<SignerRequest>,
    senders: Vec<Address>,
}

impl Senders {
    fn read(blocks: &Path) -> Result<Self, Failed> {
        let mut all = Self { items: Vec::new(), senders: Vec::new() };
        for path in block_files(blocks)? {
            let file = BlockFile::read(&path)?;
            all.senders.extend(file.claims.iter().map(|claim| claim.sender));
            let items = file.block.transactions.into_iter();
            // The oldest are from before Homestead.
            all.items.extend(items.map(|bytes| SignerRequest::Raw { bytes, low_s: false }));
        }
        Ok(all)
    }

    /// Little-endian: the number, the offsets, the bytes, and the senders that are expected.
    fn write(&self, folder: &Folder, count: usize) -> Result<String, String> {
        let raws = self.items[..count].iter().map(|item| match item {
            SignerRequest::Raw { bytes, .. } => bytes.as_ref(),
            SignerRequest::Signature(_) | SignerRequest::Transaction { .. } => &[],
        });
        let (bytes, offsets) = strings(raws);
        let mut file = (count as u64).to_le_bytes().to_vec();
        file.extend(offsets);
        file.extend(bytes);
        file.extend(self.senders[..count].iter().flatten());
        folder.write("senders", file)
    }

    /// The best of some rounds of the Rust library, in items a second, and nanoseconds of one alone.
    fn rate(&self, engine: &Engine) -> Result<(f64, f64), Failed> {
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let start = Instant::now();
            let signers = engine.recover_signers(&self.items);
            best = best.min(start.elapsed().as_secs_f64());
            let right = signers
                .iter()
                .zip(&self.senders)
                .all(|(signers, sender)| signers.as_ref().is_ok_and(|signers| signers.signer == *sender));
            ensure(right, || "another sender than the block file's".into())?;
        }
        let (mut single, count) = (f64::INFINITY, self.items.len().min(512));
        for _ in 0..5 {
            let start = Instant::now();
            for item in &self.items[..count] {
                std::hint::black_box(engine.recover_signers(std::slice::from_ref(item)));
            }
            single = single.min(start.elapsed().as_secs_f64() / count as f64 * 1e9);
        }
        Ok((self.items.len() as f64 / best, single))
    }
}

fn strings<T: AsRef<[u8]>>(all: impl Iterator<Item = T>) -> (Vec<u8>, Vec<u8>) {
    let (mut bytes, mut offsets) = (Vec::new(), 0_u64.to_le_bytes().to_vec());
    for string in all {
        bytes.extend_from_slice(string.as_ref());
        offsets.extend((bytes.len() as u64).to_le_bytes());
    }
    (bytes, offsets)
}

/// Runs an example beside the Rust library, in turn, and tells both rates. Under a neighbour's load a ratio says little, so only a
/// gross one fails.
#[expect(clippy::print_stdout, reason = "the rates are what is asked for")]
fn beside_rust(blocks: &Path, run: impl Fn(&str) -> Result<Ran, String>) -> Outcome {
    let folder = Folder::new("senders")?;
    let senders = Senders::read(blocks)?;
    let file = senders.write(&folder, senders.items.len())?;
    let engine = Engine::builder().backend(BackendKind::Cpu).build()?;
    let rounds = env::var("LOCKSTEP_CAPI_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let (mut rust, mut rust_single, mut other, mut other_single) = (0_f64, f64::INFINITY, 0_f64, f64::INFINITY);
    for _ in 0..rounds {
        let (rate, single) = senders.rate(&engine)?;
        (rust, rust_single) = (rust.max(rate), rust_single.min(single));
        let ran = run(&file)?.exits(0)?;
        other = other.max(number_before(&ran.stdout, " a second")?);
        if let Ok(single) = number_before(&ran.stdout, " ns each") {
            other_single = other_single.min(single);
        }
    }
    println!("{} senders: {other:.0}/s, Rust {rust:.0}/s: {:.3}", senders.items.len(), other / rust);
    if other_single.is_finite() {
        println!("one alone: {other_single:.0} ns, Rust {rust_single:.0} ns: {:.3}", other_single / rust_single);
    }
    ensure(other > 0.5 * rust, || "less than half the rate of the Rust library".into())
}

fn number_before(text: &str, unit: &str) -> Result<f64, String> {
    let before = text.split(unit).next().filter(|before| before.len() < text.len());
    let number = before.and_then(|before| before.rsplit(' ').next()?.parse().ok());
    number.ok_or_else(|| format!("no number of{unit} in {text:?}"))
}

fn recover_in_c(blocks: &Path, link: Link) -> Outcome {
    let folder = Folder::new("c")?;
    let program = compile(&folder, "host/capi/examples/recover.c", link, &[])?;
    beside_rust(blocks, |file| run_program(&program, &[file]))?;
    // A wrong sender is noticed, and so is another version.
    let mut senders = Senders::read(blocks)?;
    senders.senders[1] = Address::ZERO;
    let ran = run_program(&program, &[&senders.write(&folder, 3)?])?.exits(1)?;
    ensure(ran.stderr.contains("transaction 1: another sender"), || format!("{ran:?}"))
}

fn recover_in_python(blocks: &Path) -> Outcome {
    let python = find("python3").unwrap_or_default();
    let library = binary::libraries()?
        .iter()
        .find(|path| path.extension().is_some_and(|found| found == env::consts::DLL_EXTENSION));
    let library = library.ok_or("no shared library")?.display().to_string();
    let script = workspace().join("host/capi/examples/recover.py").display().to_string();
    beside_rust(blocks, |file| run_program(&python, &[&script, &library, file]))
}

/// `LOCKSTEP_HAMMER_SECONDS` for more than CI has time for.
#[expect(clippy::print_stdout, reason = "the memory in use is what is asked for")]
fn threads(blocks: &Path) -> Outcome {
    let folder = Folder::new("threads")?;
    let program = compile(&folder, "tests/capi/hammer.c", Link::Shared, &[])?;
    let senders = Senders::read(blocks)?;
    let seconds = env::var("LOCKSTEP_HAMMER_SECONDS").unwrap_or_else(|_| "2".into());
    let ran = run_program(&program, &[&senders.write(&folder, 4000)?, &seconds, "64"])?.exits(0)?;
    print!("{}", ran.stdout);
    let kib: Vec<_> =
        ran.stdout.split(" KiB").filter_map(|before| before.rsplit(' ').next()?.parse::<u64>().ok()).collect();
    match kib[..] {
        // Allocators of 64 threads keep what they have had.
        [early, late] => ensure(late < early + early / 4 + 65_536, || format!("memory grows: {}", ran.stdout)),
        _ => Err(format!("{ran:?}").into()),
    }
}

fn address_sanitizer(blocks: &Path) -> Outcome {
    let folder = Folder::new("asan")?;
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let senders = Senders::read(blocks)?;
    let file = senders.write(&folder, 2000)?;
    for (source, arguments) in
        [("host/capi/examples/recover.c", &[file.as_str()][..]), ("tests/capi/hammer.c", &[&file, "1", "8"])]
    {
        let program = compile(&folder, source, Link::Shared, &flags)?;
        let ran = run_program(&program, arguments)?.exits(0)?;
        ensure(ran.stderr.is_empty(), || format!("{ran:?}"))?;
    }
    Ok(())
}

fn valgrind(blocks: &Path) -> Outcome {
    let folder = Folder::new("valgrind")?;
    let program = compile(&folder, "host/capi/examples/recover.c", Link::Shared, &[])?;
    let file = Senders::read(blocks)?.write(&folder, 100)?;
    let valgrind = find("valgrind").unwrap_or_default();
    let program = program.display().to_string();
    let ran = run_program(&valgrind, &["-q", "--error-exitcode=9", &program, &file])?.exits(0)?;
    ensure(ran.stderr.is_empty(), || format!("{ran:?}"))
}

fn exports() -> Outcome {
    let library = binary::libraries()?
        .iter()
        .find(|path| path.extension().is_some_and(|found| found == env::consts::DLL_EXTENSION));
    let library = library.ok_or("no shared library")?.display().to_string();
    let dynamic = if cfg!(target_os = "macos") { "-g" } else { "-D" };
    let ran = run_program(Path::new("nm"), &[dynamic, "--defined-only", &library])?.exits(0)?;
    let symbols = ran.stdout.lines().filter_map(|line| line.split_whitespace().last());
    let mut exported: Vec<_> = symbols.map(|symbol| symbol.trim_start_matches('_')).collect();
    let header =
        fs::read_to_string(workspace().join("host/capi/include/lockstep.h")).map_err(|error| error.to_string())?;
    let name = |line: &str| Some(line.split_once('(')?.0.rsplit(' ').next()?.to_owned());
    let mut declared: Vec<_> = header
        .lines()
        .filter(|line| {
            line.starts_with("lockstep_code lockstep_")
                || line.starts_with("uint32_t lockstep_")
                || line.starts_with("size_t lockstep_")
        })
        .filter_map(name)
        .collect();
    exported.sort_unstable();
    declared.sort_unstable();
    if cfg!(target_os = "macos") {
        exported.retain(|symbol| symbol.starts_with("lockstep_"));
    }
    equal("symbols", exported, declared.iter().map(String::as_str).collect())
}

/// All shared blocks by a C program, each result compared with the engine's.
fn blocks_in_c(blocks: &Path) -> Outcome {
    let folder = Folder::new("blocks")?;
    let program = compile(&folder, "tests/capi/execute.c", Link::Shared, &[])?;
    let engine = Engine::builder().backend(BackendKind::Cpu).build()?;
    for path in block_files(blocks)? {
        let file = BlockFile::read(&path)?;
        let (input, output) = (folder.write("in", sections_of(&file))?, folder.at("out"));
        run_program(&program, &[&input, &output])?.exits(0)?;
        let results = Results::parse(&fs::read(&output).map_err(|error| error.to_string())?)?;
        let expected = engine.execute_block(&file.block, &file.state)?;
        let at = |failed: Failed| Failed::from(format!("{}: {}", path.display(), failed.message().unwrap_or_default()));
        results.compare(&expected).map_err(at)?;
        results.compare_state(&file, &expected).map_err(at)?;
        // The comparison proves nothing if it cannot fail.
        if path.ends_with(COMPARED_WRONG) {
            for (column, wrong) in results.each_wrong() {
                let found = wrong.compare(&expected).is_err() || wrong.compare_state(&file, &expected).is_err();
                ensure(found, || format!("a wrong value in {column} is taken for right"))?;
            }
        }
    }
    Ok(())
}

/// A block with logs, outputs, creations and changes of all kinds.
const COMPARED_WRONG: &str = "19426587.json.zst";

/// What `execute.c` reads.
fn sections_of(file: &BlockFile) -> Vec<u8> {
    let env = &file.block.env;
    let params = env.blob_params;
    let numbers = [
        env.chain_id,
        env.number,
        env.timestamp,
        env.gas_limit,
        env.base_fee,
        env.excess_blob_gas,
        params.map_or(0, |params| params.target),
        params.map_or(0, |params| params.max),
        params.map_or(0, |params| params.update_fraction),
    ];
    let mut head: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    head.extend((env.fork as u32 + 1).to_le_bytes());
    head.extend(u32::from(params.is_some()).to_le_bytes());
    head.extend([0; 16]);
    head.extend(env.difficulty.to_be_bytes::<32>());
    head.extend(env.prevrandao);
    head.extend(env.beneficiary);
    head.extend([0; 4]);

    let mut out = Vec::new();
    put(&mut out, &head);
    let (raw, ends) = strings(file.block.transactions.iter().map(AsRef::as_ref));
    put(&mut out, &raw);
    put(&mut out, &ends);
    let accounts: Vec<_> = file.state.accounts().collect();
    put(&mut out, &accounts.iter().flat_map(|(address, _)| address.0).collect::<Vec<_>>());
    put(&mut out, &accounts.iter().flat_map(|(_, info)| info.balance.to_be_bytes::<32>()).collect::<Vec<_>>());
    put(&mut out, &accounts.iter().flat_map(|(_, info)| info.nonce.to_le_bytes()).collect::<Vec<_>>());
    put(&mut out, &accounts.iter().flat_map(|(_, info)| info.code_hash).collect::<Vec<_>>());
    let slots: Vec<_> = file.state.slots().collect();
    put(&mut out, &slots.iter().flat_map(|(address, _, _)| address.0).collect::<Vec<_>>());
    put(&mut out, &slots.iter().flat_map(|(_, slot, _)| slot.to_be_bytes::<32>()).collect::<Vec<_>>());
    put(&mut out, &slots.iter().flat_map(|(_, _, value)| value.to_be_bytes::<32>()).collect::<Vec<_>>());
    let (codes, ends) = strings(file.state.codes().map(|(_, code)| code.as_ref()));
    put(&mut out, &codes);
    put(&mut out, &ends);
    let hashes: Vec<_> = file.state.block_hashes().collect();
    put(&mut out, &hashes.iter().flat_map(|(number, _)| number.to_le_bytes()).collect::<Vec<_>>());
    put(&mut out, &hashes.iter().flat_map(|(_, hash)| **hash).collect::<Vec<_>>());
    out
}

fn put(out: &mut Vec<u8>, section: &[u8]) {
    out.extend((section.len() as u64).to_le_bytes());
    out.extend(section);
    out.resize(out.len().next_multiple_of(8), 0);
}

/// What `execute.c` writes, by the names of `lockstep_results`.
struct Results {
    bytes: HashMap<&'static str, Vec<u8>>,
    numbers: HashMap<&'static str, Vec<u64>>,
}

const BYTES: [&str; 20] = [
    "receipts_root",
    "transactions_root",
    "logs_bloom",
    "statuses",
    "senders",
    "tx_hashes",
    "contract_addresses",
    "outputs",
    "log_addresses",
    "log_topics",
    "log_data",
    "account_addresses",
    "account_changes",
    "account_balances",
    "account_code_hashes",
    "slot_addresses",
    "slot_keys",
    "slot_values",
    "code_hashes",
    "codes",
];

const NUMBERS: [&str; 8] = [
    "tx_gas_used",
    "cumulative_gas_used",
    "log_offsets",
    "output_offsets",
    "log_topic_offsets",
    "log_data_offsets",
    "account_nonces",
    "code_offsets",
];

impl Results {
    fn parse(mut file: &[u8]) -> Result<Self, String> {
        let mut section = || {
            let (head, rest) = file.split_first_chunk().ok_or("cut short")?;
            let len = u64::from_le_bytes(*head) as usize;
            let section = rest.get(..len).ok_or("cut short")?.to_vec();
            file = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
            Ok::<_, &str>(section)
        };
        let words = |bytes: Vec<u8>| {
            bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes)).collect::<Vec<_>>()
        };
        let gas_used = words(section()?);
        let mut results = Self { bytes: HashMap::new(), numbers: HashMap::from([("gas_used", gas_used)]) };
        for name in BYTES {
            results.bytes.insert(name, section()?);
        }
        for name in NUMBERS {
            results.numbers.insert(name, words(section()?));
        }
        if file.is_empty() { Ok(results) } else { Err(format!("{} bytes too many", file.len())) }
    }

    /// The same with one bit wrong, once a column that has any.
    fn each_wrong(&self) -> impl Iterator<Item = (&'static str, Self)> {
        let copy = || Self { bytes: self.bytes.clone(), numbers: self.numbers.clone() };
        let bytes = self.bytes.iter().filter(|(_, column)| !column.is_empty()).map(move |(name, column)| {
            let (mut wrong, mut column) = (copy(), column.clone());
            column[0] ^= 2;
            wrong.bytes.insert(name, column);
            (*name, wrong)
        });
        let numbers = self.numbers.iter().filter(|(_, column)| !column.is_empty()).map(move |(name, column)| {
            let (mut wrong, mut column) = (copy(), column.clone());
            // The first offset is always zero.
            if let Some(last) = column.last_mut() {
                *last ^= 1;
            }
            wrong.numbers.insert(name, column);
            (*name, wrong)
        });
        bytes.chain(numbers)
    }

    /// Item `index` of a column of `each` bytes; empty where there is none.
    fn item(&self, column: &str, each: usize, index: usize) -> &[u8] {
        self.bytes.get(column).and_then(|column| column.get(each * index..each * (index + 1))).unwrap_or_default()
    }

    fn number(&self, column: &str, index: usize) -> u64 {
        self.numbers.get(column).and_then(|column| column.get(index)).copied().unwrap_or(u64::MAX)
    }

    fn range(&self, offsets: &str, index: usize) -> std::ops::Range<usize> {
        self.number(offsets, index) as usize..self.number(offsets, index + 1) as usize
    }

    fn string(&self, column: &str, offsets: &str, index: usize) -> &[u8] {
        self.bytes
            .get(column)
            .and_then(|column| column.get(self.range(offsets, index)))
            .unwrap_or(b"none of this length")
    }

    fn compare(&self, expected: &BlockOutput) -> Outcome {
        equal("gas used", self.number("gas_used", 0), expected.gas_used)?;
        equal(
            "receipts root",
            &*self.bytes["receipts_root"],
            expected.receipts_root.as_ref().map_or(&[][..], |root| &root[..]),
        )?;
        equal("transactions root", &*self.bytes["transactions_root"], &expected.transactions_root[..])?;
        equal("bloom", &*self.bytes["logs_bloom"], expected.logs_bloom.as_slice())?;
        equal("transactions", self.bytes["statuses"].len(), expected.outcomes.len())?;
        for (tx, outcome) in expected.outcomes.iter().enumerate() {
            let status = match outcome.status {
                TxStatus::Success => 1,
                TxStatus::Revert => 2,
                TxStatus::Halt => 3,
            };
            equal("status", self.item("statuses", 1, tx), &[status])?;
            equal("sender", self.item("senders", 20, tx), expected.senders[tx].as_slice())?;
            equal("hash", self.item("tx_hashes", 32, tx), &expected.transactions[tx].hash[..])?;
            equal(
                "contract",
                self.item("contract_addresses", 20, tx),
                outcome.contract_address.unwrap_or_default().as_slice(),
            )?;
            equal("gas", self.number("tx_gas_used", tx), outcome.gas_used)?;
            equal("cumulative gas", self.number("cumulative_gas_used", tx), expected.receipts[tx].cumulative_gas_used)?;
            equal("output", self.string("outputs", "output_offsets", tx), &*outcome.output)?;
            let logs = self.range("log_offsets", tx);
            equal("logs", logs.len(), outcome.logs.len())?;
            for (log, expected) in logs.zip(&outcome.logs) {
                equal("log's address", self.item("log_addresses", 20, log), expected.address.as_slice())?;
                equal("log's data", self.string("log_data", "log_data_offsets", log), &*expected.data)?;
                let topics: Vec<_> =
                    self.range("log_topic_offsets", log).map(|topic| self.item("log_topics", 32, topic)).collect();
                equal("topics", topics, expected.topics.iter().map(|topic| &topic[..]).collect())?;
            }
        }
        Ok(())
    }

    /// The changes make of the state before exactly what committing each transaction makes of it.
    fn compare_state(&self, file: &BlockFile, expected: &BlockOutput) -> Outcome {
        let mut committed = Committed::new(&file.state);
        expected.outcomes.iter().for_each(|outcome| committed.commit(outcome));
        let word = |column: &str, at| U256::from_be_slice(self.item(column, 32, at));
        let mut accounts = HashMap::new();
        for at in 0..self.bytes["account_changes"].len() {
            let code_hash = B256::from(word("account_code_hashes", at));
            let info = AccountInfo {
                balance: word("account_balances", at),
                nonce: self.number("account_nonces", at),
                code_hash,
            };
            accounts.insert(
                Address::from_slice(self.item("account_addresses", 20, at)),
                (self.bytes["account_changes"][at], info),
            );
        }
        let slots = self.bytes["slot_addresses"].len() / 20;
        let slots = (0..slots).map(|at| {
            ((Address::from_slice(self.item("slot_addresses", 20, at)), word("slot_keys", at)), word("slot_values", at))
        });
        let mut slots: HashMap<_, _> = slots.collect();
        for key in committed.own_keys() {
            match key {
                StateKey::Account(owner) => {
                    let (before, after) = (file.state.account(&owner)?, committed.account(&owner)?);
                    let found = accounts.get(&owner).map_or(before, |(kind, info)| (*kind != 3).then_some(*info));
                    equal("account", found, after)?;
                }
                StateKey::Slot(owner, slot) => {
                    let gone = accounts.get(&owner).is_some_and(|(kind, _)| *kind != 1);
                    let before = if gone { U256::ZERO } else { file.state.storage(&owner, &slot)? };
                    equal("slot", slots.remove(&(owner, slot)).unwrap_or(before), committed.storage(&owner, &slot)?)?;
                }
                StateKey::BlockHash(_) => {}
            }
        }
        equal("slots that nobody wrote", slots.len(), 0)?;
        for code in 0..self.numbers["code_offsets"].len() - 1 {
            let hash = keccak256(self.string("codes", "code_offsets", code));
            equal("code hash", self.item("code_hashes", 32, code), &hash[..])?;
            equal("code", self.string("codes", "code_offsets", code), &*committed.code(&hash)?)?;
        }
        Ok(())
    }
}
