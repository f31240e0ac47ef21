//! The built `lockstep` program and the examples, run as a user runs them.

use crate::harness::{Suite, Target};
use libtest_mimic::Failed;
use serde_json::Value;
use std::{
    env, fs,
    io::{self, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Variables that would change what the program does; a test sets those that it means.
const VARIABLES: [&str; 3] = ["LOCKSTEP_BACKEND", "LOCKSTEP_DEVICE", "LOCKSTEP_THREADS"];

/// How a test ends.
pub type Outcome = Result<(), Failed>;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output as the one JSON object that `--json` promises.
    ///
    /// # Errors
    /// It is not exactly one line of JSON.
    pub fn json(&self) -> Result<Value, String> {
        match self.stdout.lines().collect::<Vec<_>>()[..] {
            [line] => serde_json::from_str(line).map_err(|error| format!("{error}: {line}")),
            _ => Err(format!("not one line: {self:?}")),
        }
    }

    /// The lines of errors, without logs.
    pub fn errors(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with("error: ")).collect()
    }

    /// The same run, if it ended with `code`.
    ///
    /// # Errors
    /// It did not: all that it said.
    pub fn exits(self, code: i32) -> Result<Self, String> {
        if self.code == Some(code) { Ok(self) } else { Err(format!("expected exit code {code}: {self:?}")) }
    }
}

/// The program: `LOCKSTEP_BIN`, or what cargo builds now in the profile of these tests, so that it is never a stale one.
///
/// # Errors
/// It does not build.
pub fn path() -> Result<&'static Path, String> {
    static PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || executables(&["--bin", "lockstep"])?.pop().ok_or_else(|| "cargo build: no executable".to_owned());
    let path = PATH.get_or_init(|| env::var_os("LOCKSTEP_BIN").map_or_else(build, |path| Ok(path.into())));
    path.as_deref().map_err(Clone::clone)
}

/// Runs an example of the library with arguments, built as [`path`] is, but never by `LOCKSTEP_BIN`.
///
/// # Errors
/// It does not build, or does not start.
pub fn run_example(name: &str, args: &[&str]) -> Result<Ran, String> {
    static PATHS: OnceLock<Result<Vec<PathBuf>, String>> = OnceLock::new();
    let paths = PATHS.get_or_init(|| executables(&["--examples"])).as_ref().map_err(Clone::clone)?;
    let path = paths.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
    finish(prepared(path.ok_or_else(|| format!("no example {name}"))?, args).output())
}

/// Runs any other program.
///
/// # Errors
/// It does not start.
pub fn run_program(program: &Path, args: &[&str]) -> Result<Ran, String> {
    finish(prepared(program, args).output()).map_err(|error| format!("{}: {error}", program.display()))
}

/// The files that C programs link with, built as [`path`] is: the shared library, and the static one.
///
/// # Errors
/// They do not build.
pub fn libraries() -> Result<&'static [PathBuf], String> {
    static PATHS: OnceLock<Result<Vec<PathBuf>, String>> = OnceLock::new();
    let find = || {
        let files = |message: &Value| {
            let files = message["filenames"].as_array().into_iter().flatten();
            files.filter_map(|file| file.as_str().map(PathBuf::from)).collect::<Vec<_>>()
        };
        let capi = |message: &&Value| {
            message["target"]["kind"].as_array().is_some_and(|kinds| kinds.contains(&"cdylib".into()))
        };
        // Together with the host crate, so that it is built with the features that it has for the program.
        let messages = build(&["-p", "lockstep-capi", "--lib"])?;
        Ok(messages.iter().filter(capi).flat_map(files).collect())
    };
    PATHS.get_or_init(find).as_deref().map_err(Clone::clone)
}

/// The executables of the library's targets that are named.
fn executables(targets: &[&str]) -> Result<Vec<PathBuf>, String> {
    let messages = build(targets)?;
    Ok(messages.iter().filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?))).collect())
}

/// What cargo says of the targets that are named.
fn build(targets: &[&str]) -> Result<Vec<Value>, String> {
    // target/PROFILE/deps/this-program
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let profile = this.ancestors().nth(2).and_then(Path::file_name).and_then(|name| name.to_str());
    let profile = match profile {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "-p", "lockstep", "--message-format", "json-render-diagnostics"]).args(targets);
    // As these tests have the library, so that it and all below it are not built a second time.
    command.args(["--features", "alloy-evm"]);
    command.args(["--profile", profile]).current_dir(crate::harness::workspace());
    let output = command.output().map_err(|error| format!("cargo: {error}: set LOCKSTEP_BIN"))?;
    if !output.status.success() {
        return Err(format!("cargo build: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    Ok(messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// `lockstep ARGS`, to be refined by the caller; nothing of the caller's environment chooses a backend.
///
/// # Errors
/// There is no program.
pub fn command(args: &[&str]) -> Result<Command, String> {
    Ok(prepared(path()?, args))
}

fn prepared(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// Runs `lockstep ARGS` with an empty standard input.
///
/// # Errors
/// It does not start.
pub fn run(args: &[&str]) -> Result<Ran, String> {
    finish(command(args)?.output())
}

/// The same with environment variables.
///
/// # Errors
/// It does not start.
pub fn run_with(variables: &[(&str, &str)], args: &[&str]) -> Result<Ran, String> {
    finish(command(args)?.envs(variables.iter().copied()).output())
}

/// The same with a standard input.
///
/// # Errors
/// It does not start.
pub fn run_on(input: &[u8], args: &[&str]) -> Result<Ran, String> {
    let start = || {
        let mut child = command(args).map_err(io::Error::other)?.stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take();
        std::thread::scope(|scope| {
            // A program that does not read it all closes the pipe, which is its right.
            scope.spawn(move || stdin.as_mut().map(|pipe| pipe.write_all(input)));
            child.wait_with_output()
        })
    };
    finish(start())
}

fn finish(output: io::Result<Output>) -> Result<Ran, String> {
    let output = output.map_err(|error| error.to_string())?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|error| error.to_string());
    Ok(Ran { code: output.status.code(), stdout: text(output.stdout)?, stderr: text(output.stderr)? })
}

/// The flags that run the program on a target; `None` for one that it has no name for.
pub fn flags(target: Target) -> Option<Vec<String>> {
    let mut flags = vec!["--backend".to_owned()];
    match target {
        Target::Cpu => flags.push("cpu".into()),
        Target::Wgpu => {
            flags.push("wgpu".into());
            if let Ok(device) = env::var("LOCKSTEP_DEVICE") {
                flags.extend(["--device".into(), device]);
            }
        }
        Target::WgpuU32 => return None,
    }
    Some(flags)
}

/// The same test once a backend that the program has a name for.
pub fn each_backend(suite: &mut Suite, name: &str, test: fn(&Backend) -> Outcome) {
    for target in [Target::Cpu, Target::Wgpu] {
        let name = format!("{}::{name}", target.name());
        let Some(flags) = flags(target) else { continue };
        if target == Target::Wgpu && lockstep::backend::wgpu::list().is_empty() {
            suite.skip(name, "wgpu", "no Vulkan, Metal or DX12 adapter".into());
        } else {
            suite.test(name, move || test(&Backend { kind: target.name(), flags }));
        }
    }
}

/// A backend, and the flags that choose it.
#[derive(Debug)]
pub struct Backend {
    /// Its name.
    pub kind: &'static str,
    flags: Vec<String>,
}

impl Backend {
    /// `args` and the flags.
    pub fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        args.iter().copied().chain(self.flags.iter().map(String::as_str)).collect()
    }

    /// Runs `lockstep ARGS` on it.
    ///
    /// # Errors
    /// It does not start.
    pub fn run(&self, args: &[&str]) -> Result<Ran, String> {
        run(&self.args(args))
    }
}

/// Fails with `what` unless it holds.
///
/// # Errors
/// It does not.
pub fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what().into()) }
}

/// Fails unless both are equal, with both.
///
/// # Errors
/// They are not.
pub fn equal<T: PartialEq + std::fmt::Debug>(what: &str, actual: T, expected: T) -> Outcome {
    ensure(actual == expected, || format!("{what}: {actual:?}, expected {expected:?}"))
}

/// Fails unless the keys of a JSON object are these or more.
///
/// # Errors
/// Those missing.
pub fn has_keys(what: &str, object: &Value, keys: &[&str]) -> Outcome {
    let missing: Vec<_> = keys.iter().filter(|key| object.get(**key).is_none()).collect();
    ensure(missing.is_empty(), || format!("{what} lacks {missing:?}: {object}"))
}

/// A folder of one test's own, removed at its end.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// An empty folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(name: &str) -> Result<Self, String> {
        // Tests of one name may run side by side.
        static FOLDERS: AtomicUsize = AtomicUsize::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("lockstep-{}-{number}-{name}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path })
    }

    /// The path of a name in it.
    pub fn at(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    /// Writes a file and gives its path.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<String, String> {
        let path = self.at(name);
        fs::write(&path, content).map_err(|error| format!("{path}: {error}"))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left for the system to clean where it cannot be removed.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// What a program that runs with `--metrics` answers to a GET on this port of loopback.
///
/// # Errors
/// Nothing listens there, or it breaks off.
pub fn scrape(port: u16, path: &str) -> io::Result<String> {
    scrape_by("GET", port, path)
}

/// The same by another method of HTTP.
///
/// # Errors
/// Nobody answers.
pub fn scrape_by(method: &str, port: u16, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
