//! The C ABI from C and Python: the header is fresh, the examples run and are right, whole blocks have the engine's results, many threads at
//! once get right answers, and memory checkers find nothing. What needs no C is tested beside the border itself.

use alloy_primitives::Address;
use libtest_mimic::Failed;
use lockstep::{backend::BackendKind, block_file::BlockFile, engine::Engine, sample::SAMPLE, signers::SignerRequest};
use lockstep_tests::{
    binary::{self, Folder, Outcome, Ran, ensure, equal, run_program},
    flat_block::{Results, sections_of, strings},
    harness::{self, Suite, Target, workspace},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

/// A name, the programs that it takes, and the test, which is given blocks.
type Test = (&'static str, &'static [&'static str], fn(&[BlockFile]) -> Outcome);

const TESTS: &[Test] = &[
    ("c::recover_by_the_shared_library", &["cc"], |blocks| recover_in_c(blocks, Link::Shared)),
    ("c::recover_by_the_static_library", &["cc"], |blocks| recover_in_c(blocks, Link::Static)),
    ("c::execute_and_simulate", &["cc"], |_| examples_in_c()),
    ("cpu::c::blocks", &["cc"], |blocks| blocks_in_c(blocks, Target::Cpu)),
    ("c::limits", &["cc"], |_| alone("tests/capi/limits.c")),
    ("c::fork", &["cc"], |_| alone("tests/capi/fork.c")),
    ("c::threads", &["cc"], threads),
    ("c::address_sanitizer", &["cc"], address_sanitizer),
    ("c::valgrind", &["cc", "valgrind"], valgrind),
    ("python::recover", &["python3"], recover_in_python),
    ("python::execute_and_simulate", &["python3"], |_| examples_in_python()),
    ("go::recover", &["go", "cc"], recover_in_go),
    ("csharp::recover", &["dotnet"], recover_in_csharp),
    ("the_library_exports_what_the_header_declares", &["nm"], |_| exports()),
];

fn main() -> ExitCode {
    let mut suite = Suite::default();
    let why_not = if cfg!(windows) {
        Some("not tried with the compilers of Windows")
    } else {
        env::var_os("LOCKSTEP_BIN").map(|_| "LOCKSTEP_BIN is set: there is no source tree to build from")
    };
    if let Some(reason) = why_not {
        suite.skip("capi", "cargo", reason.into());
        return suite.run();
    }
    // Without the shared data, the sample has to do.
    let blocks = harness::data("blocks");
    if let Err(reason) = &blocks {
        suite.skip("shared_blocks", "data", reason.clone());
    }
    suite.test("the_header_is_fresh", header);
    for (name, programs, test) in TESTS {
        let blocks = blocks.clone().ok();
        match programs.iter().find(|program| find(program).is_none()) {
            Some(program) => suite.skip(*name, program, format!("no {program} on the path")),
            None => suite.test(*name, move || test(&read(blocks.as_deref())?)),
        }
    }
    match (find("cc"), harness::device(Target::Wgpu)) {
        (None, _) => suite.skip("wgpu::c::blocks", "cc", "no cc on the path".into()),
        (_, Err(reason)) => suite.skip("wgpu::c::blocks", "wgpu", reason),
        (Some(_), Ok(_)) => suite.test("wgpu::c::blocks", || blocks_in_c(&read(None)?, Target::Wgpu)),
    }
    suite.run()
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

/// The sample, and the shared blocks.
fn read(folder: Option<&Path>) -> Result<Vec<BlockFile>, Failed> {
    let mut blocks = vec![BlockFile::parse(SAMPLE)?];
    if let Some(folder) = folder {
        let mut paths: Vec<_> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.to_string_lossy().ends_with(".json.zst"));
        paths.sort();
        for path in paths {
            blocks.push(BlockFile::read(&path)?);
        }
    }
    Ok(blocks)
}

/// The transactions of all blocks: as requests, and as the file that the examples read.
struct Senders {
    items: Vec<SignerRequest>,
    senders: Vec<Address>,
}

impl Senders {
    fn new(blocks: &[BlockFile]) -> Self {
        let raws = blocks.iter().flat_map(|file| &file.block.transactions);
        let claims = blocks.iter().flat_map(|file| &file.claims);
        Self {
            // The oldest are from before Homestead.
            items: raws.map(|bytes| SignerRequest::Raw { bytes: bytes.clone(), low_s: false }).collect(),
            senders: claims.map(|claim| claim.sender).collect(),
        }
    }

    /// Little-endian: the number, the offsets, the bytes, and the senders that are expected.
    fn write(&self, folder: &Folder, most: usize) -> Result<String, String> {
        let count = self.items.len().min(most);
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

    /// The best of some rounds of the Rust library.
    fn rates(&self, engine: &Engine) -> Result<Rates, Failed> {
        let mut rates = Rates::NONE;
        let (count, singles) = (self.items.len() as f64, self.items.len().min(512));
        for _ in 0..5 {
            let (start, used) = (Instant::now(), cpu_time());
            let signers = engine.recover_signers(&self.items);
            let (time, used) = (start.elapsed().as_secs_f64(), cpu_time() - used);
            for (signers, sender) in signers.into_iter().zip(&self.senders) {
                ensure(signers?.signer == *sender, || "another sender than the block file's".into())?;
            }
            let start = Instant::now();
            for item in &self.items[..singles] {
                std::hint::black_box(engine.recover_signers(std::slice::from_ref(item)));
            }
            let alone_ns = start.elapsed().as_secs_f64() * 1e9 / singles as f64;
            rates = rates.best(Rates { per_second: count / time, cpu_ns: used / count, alone_ns });
        }
        Ok(rates)
    }
}

/// What was measured of recoveries; the best of several.
#[derive(Clone, Copy, Debug)]
struct Rates {
    per_second: f64,
    /// CPU time of one among many, on all threads.
    cpu_ns: f64,
    /// Time of one in a call of its own.
    alone_ns: f64,
}

impl Rates {
    const NONE: Self = Self { per_second: 0.0, cpu_ns: f64::INFINITY, alone_ns: f64::INFINITY };

    fn best(self, other: Self) -> Self {
        Self {
            per_second: self.per_second.max(other.per_second),
            cpu_ns: self.cpu_ns.min(other.cpu_ns),
            alone_ns: self.alone_ns.min(other.alone_ns),
        }
    }
}

impl std::fmt::Display for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { per_second, cpu_ns, alone_ns } = self;
        write!(f, "{per_second:.0}/s, {cpu_ns:.0} ns of CPU time each, {alone_ns:.0} ns alone")
    }
}

/// Nanoseconds that all threads of this process have run, where the system tells.
fn cpu_time() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.filter_map(spent).sum()
}

/// Runs an example, which checks what it finds. With `LOCKSTEP_CAPI_ROUNDS` as often, in turn with the Rust library: a signature must not
/// take 5 % more of the CPU's time, which says more than the clock's where others work as well.
#[expect(clippy::print_stdout, reason = "the rates are what is asked for")]
fn beside_rust(blocks: &[BlockFile], run: impl Fn(&str) -> Result<Ran, String>) -> Outcome {
    let folder = Folder::new("senders")?;
    let senders = Senders::new(blocks);
    let file = senders.write(&folder, usize::MAX)?;
    let Some(rounds) = env::var("LOCKSTEP_CAPI_ROUNDS").ok().and_then(|rounds| rounds.parse::<u32>().ok()) else {
        number_before(&run(&file)?.exits(0)?.stdout, " a second")?;
        return Ok(());
    };
    let engine = Engine::builder().backend(BackendKind::Cpu).build()?;
    let (mut rust, mut other) = (Rates::NONE, Rates::NONE);
    for _ in 0..rounds {
        rust = rust.best(senders.rates(&engine)?);
        let ran = run(&file)?.exits(0)?;
        let number = |unit| number_before(&ran.stdout, unit).unwrap_or(f64::INFINITY);
        let found = Rates {
            per_second: number_before(&ran.stdout, " a second")?,
            cpu_ns: number(" ns of CPU"),
            alone_ns: number(" ns alone"),
        };
        other = other.best(found);
    }
    println!("{} senders: {other}; Rust: {rust}", senders.items.len());
    let within = |ours: f64, theirs: f64| !theirs.is_finite() || theirs <= 1.05 * ours;
    ensure(within(rust.cpu_ns, other.cpu_ns), || "slower by more than 5 %".into())
}

fn number_before(text: &str, unit: &str) -> Result<f64, String> {
    let before = text.split(unit).next().filter(|before| before.len() < text.len());
    let number = before.and_then(|before| before.rsplit(' ').next()?.parse().ok());
    number.ok_or_else(|| format!("no number of{unit} in {text:?}"))
}

fn recover_in_c(blocks: &[BlockFile], link: Link) -> Outcome {
    let folder = Folder::new("c")?;
    let program = compile(&folder, "host/capi/examples/recover.c", link, &[])?;
    beside_rust(blocks, |file| run_program(&program, &[file]))?;
    // A wrong sender is noticed, and so is another version.
    let mut senders = Senders::new(blocks);
    senders.senders[1] = Address::ZERO;
    let ran = run_program(&program, &[&senders.write(&folder, 3)?])?.exits(1)?;
    ensure(ran.stderr.contains("transaction 1: another sender"), || format!("{ran:?}"))
}

/// The shared library.
fn shared() -> Result<&'static Path, String> {
    let library = binary::libraries()?.iter();
    let library = library
        .map(PathBuf::as_path)
        .find(|path| path.extension().is_some_and(|found| found == env::consts::DLL_EXTENSION));
    library.ok_or_else(|| "no shared library".into())
}

/// What finds the shared library when a program starts.
fn with_library(mut command: Command, library: &Path) -> Command {
    let variable = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
    command.env(variable, library.parent().unwrap_or(Path::new("."))).current_dir(workspace());
    command
}

fn run_command(mut command: Command) -> Result<Ran, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
}

fn recover_in_go(blocks: &[BlockFile]) -> Outcome {
    let folder = Folder::new("go")?;
    let library = shared()?;
    let mut command = with_library(Command::new("go"), library);
    let parent = library.parent().unwrap_or(Path::new("."));
    command.env("CGO_CFLAGS", format!("-I{}", workspace().join("host/capi/include").display()));
    command.env("CGO_LDFLAGS", format!("-L{} -llockstep", parent.display()));
    command.args(["build", "-o", &folder.at("recover"), "host/capi/examples/recover.go"]);
    run_command(command)?.exits(0)?;
    beside_rust(blocks, |file| {
        let mut command = with_library(Command::new(folder.at("recover")), library);
        command.arg(file);
        run_command(command)
    })
}

fn recover_in_csharp(blocks: &[BlockFile]) -> Outcome {
    let folder = Folder::new("csharp")?;
    let library = shared()?;
    // A copy: the compiler writes beside its sources.
    for name in ["Recover.cs", "recover.csproj"] {
        let source = workspace().join("host/capi/examples/csharp").join(name);
        folder.write(name, fs::read(source).map_err(|error| error.to_string())?)?;
    }
    let mut command = with_library(Command::new("dotnet"), library);
    command.args(["build", "-c", "Release", "-o", &folder.at("out"), &folder.at("recover.csproj")]);
    run_command(command)?.exits(0)?;
    beside_rust(blocks, |file| {
        let mut command = with_library(Command::new("dotnet"), library);
        command.args([&folder.at("out/recover.dll"), file]);
        run_command(command)
    })
}

/// Nothing is written beside the scripts.
fn run_python(script: &str, arguments: &[&str]) -> Result<Ran, String> {
    let python = find("python3").unwrap_or_default();
    let library = shared()?.display().to_string();
    let script = workspace().join("host/capi/examples").join(script).display().to_string();
    run_program(&python, &[&["-B", &script, &library], arguments].concat())
}

fn recover_in_python(blocks: &[BlockFile]) -> Outcome {
    beside_rust(blocks, |file| run_python("recover.py", &[file]))
}

/// What the examples say, in any language: that of `execute` is EIP-155's, and that of `simulate` counts.
const EXECUTED: &str = "\
transaction 0: state: account 0x3535353535353535353535353535353535353535 is not in the snapshot
transaction 0: status 1, 21000 gas
0x3535353535353535353535353535353535353535: nonce 0, balance 0x0000000000000000000000000000000000000000000000000de0b6b3a7640000
0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f: nonce 10, balance 0x000000000000000000000000000000000000000000000000121dcb4f79cdc000
0xbe00000000000000000000000000000000000000: nonce 0, balance 0x00000000000000000000000000000000000000000000000000016ae36d43f000
";
const SIMULATED: &str = "\
call 0: 7 after 26026 gas
call 1: 8 after 26026 gas
call 2: 9 after 26026 gas
call 3: 7 after 26026 gas
call 4: 41 after 28326 gas
call 5: status 4: balance: lack of funds (0) for max fee (1)
";

fn examples_in_c() -> Outcome {
    let folder = Folder::new("examples")?;
    for (name, says) in [("execute", EXECUTED), ("simulate", SIMULATED)] {
        for link in [Link::Shared, Link::Static] {
            let program = compile(&folder, &format!("host/capi/examples/{name}.c"), link, &[])?;
            equal(name, run_program(&program, &[])?.exits(0)?.stdout.as_str(), says)?;
        }
    }
    Ok(())
}

fn examples_in_python() -> Outcome {
    for (name, says) in [("execute", EXECUTED), ("simulate", SIMULATED)] {
        equal(name, run_python(&format!("{name}.py"), &[])?.exits(0)?.stdout.as_str(), says)?;
    }
    Ok(())
}

/// A program that takes nothing, and checks what it does.
#[expect(clippy::print_stdout, reason = "the memory in use is what is asked for")]
fn alone(source: &str) -> Outcome {
    let folder = Folder::new("alone")?;
    let program = compile(&folder, source, Link::Shared, &[])?;
    print!("{}", run_program(&program, &[])?.exits(0)?.stdout);
    Ok(())
}

/// `LOCKSTEP_HAMMER_SECONDS` for more than CI has time for.
#[expect(clippy::print_stdout, reason = "the memory in use is what is asked for")]
fn threads(blocks: &[BlockFile]) -> Outcome {
    let folder = Folder::new("threads")?;
    let program = compile(&folder, "tests/capi/hammer.c", Link::Shared, &[])?;
    let senders = Senders::new(blocks);
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

fn address_sanitizer(blocks: &[BlockFile]) -> Outcome {
    let folder = Folder::new("asan")?;
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let senders = Senders::new(blocks);
    let file = senders.write(&folder, 2000)?;
    let (input, output) = (folder.write("in", sections_of(&blocks[0]))?, folder.at("out"));
    for (source, arguments) in [
        ("host/capi/examples/recover.c", &[file.as_str()][..]),
        ("tests/capi/execute.c", &[&input, &output, "cpu"]),
        ("tests/capi/hammer.c", &[&file, "1", "8"]),
        ("tests/capi/fork.c", &[]),
        ("host/capi/examples/execute.c", &[]),
        ("host/capi/examples/simulate.c", &[]),
    ] {
        let program = compile(&folder, source, Link::Shared, &flags)?;
        let ran = run_program(&program, arguments)?.exits(0)?;
        ensure(ran.stderr.is_empty(), || format!("{ran:?}"))?;
    }
    Ok(())
}

fn valgrind(blocks: &[BlockFile]) -> Outcome {
    let folder = Folder::new("valgrind")?;
    let file = Senders::new(blocks).write(&folder, 100)?;
    let valgrind = find("valgrind").unwrap_or_default();
    for (name, arguments) in [("recover", &[file.as_str()][..]), ("execute", &[]), ("simulate", &[])] {
        let program = compile(&folder, &format!("host/capi/examples/{name}.c"), Link::Shared, &[])?;
        let program = program.display().to_string();
        let flags = ["-q", "--error-exitcode=9", &program];
        let ran = run_program(&valgrind, &[&flags, arguments].concat())?.exits(0)?;
        ensure(ran.stderr.is_empty(), || format!("{ran:?}"))?;
    }
    Ok(())
}

fn exports() -> Outcome {
    let library = shared()?.display().to_string();
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

/// Blocks by a C program, each result compared with the engine's.
fn blocks_in_c(blocks: &[BlockFile], target: Target) -> Outcome {
    let folder = Folder::new("blocks")?;
    let program = compile(&folder, "tests/capi/execute.c", Link::Shared, &[])?;
    let engine = Engine::builder().backend(BackendKind::Cpu).build()?;
    for (index, file) in blocks.iter().enumerate() {
        let (input, output) = (folder.write("in", sections_of(file))?, folder.at("out"));
        run_program(&program, &[&input, &output, target.name()])?.exits(0)?;
        let results = Results::parse(&fs::read(&output).map_err(|error| error.to_string())?)?;
        let expected = engine.execute_block(&file.block, &file.state)?;
        let at = |failed: Failed| {
            Failed::from(format!("block {}: {}", file.block.env.number, failed.message().unwrap_or_default()))
        };
        results.compare(&expected).map_err(at)?;
        results.compare_state(file, &expected).map_err(at)?;
        // The comparison proves nothing if it cannot fail. The sample has changes of all kinds.
        if index == 0 {
            for (column, wrong) in results.each_wrong() {
                let found = wrong.compare(&expected).is_err() || wrong.compare_state(file, &expected).is_err();
                ensure(found, || format!("a wrong value in {column} is taken for right"))?;
            }
        }
    }
    Ok(())
}
