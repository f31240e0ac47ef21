//! The command line: common flags, exit codes, and where output goes. Data on stdout; logs, errors and progress on stderr.

#[cfg(feature = "bench")]
mod bench;
mod devices;
#[cfg(feature = "rpc")]
mod fetch;
mod keccak;
mod lines;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "rpc")]
mod node;
mod profile;
mod recover;
mod replay;
mod simulate;
mod suites;

use clap::{Parser, Subcommand, builder::TypedValueParser};
use lockstep::{
    backend::{BackendError, BackendKind},
    engine::{Engine, EngineBuilder},
    suite::Kind,
};
use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};
use tracing_subscriber::filter::LevelFilter;

/// How a verb ended, from best to worst: the worst input decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exit {
    /// All as expected.
    Ok = 0,
    /// A result differs, and nothing was bad.
    Differs = 1,
    /// Bad input or usage; the other inputs still ran.
    Bad = 2,
    /// The named backend is unavailable.
    Unavailable = 3,
}

/// GPU-accelerated EVM batch executor: exact receipts, or revm's.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags that every verb takes.
#[derive(Debug, clap::Args)]
struct Common {
    /// Where to run; a named backend that cannot start is an error (exit code 3)
    #[arg(long, global = true, env = "LOCKSTEP_BACKEND", default_value = "auto", value_name = "KIND", value_parser = backend_parser())]
    backend: BackendKind,
    /// Adapter to use: part of its name, or its index in `lockstep devices`
    #[arg(long, global = true, env = "LOCKSTEP_DEVICE", value_name = "NAME|INDEX")]
    device: Option<String>,
    /// CPU threads [default: all cores]
    #[arg(long, global = true, env = "LOCKSTEP_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
    /// Log to stderr: off, error, warn, info, debug or trace
    #[arg(long, global = true, default_value = "warn", value_name = "LEVEL", value_parser = level_parser())]
    log: LevelFilter,
    /// Serve what is counted, as Prometheus' text, on loopback while the program runs
    #[cfg(feature = "metrics")]
    #[arg(long, global = true, value_name = "PORT|ADDR", value_parser = metrics::parse_address)]
    metrics: Option<std::net::SocketAddr>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Execute block files and compare with what they promise
    Replay(replay::Args),
    /// Recover the senders of raw transactions or of a block file
    Recover(recover::Args),
    /// Hash messages with Keccak-256
    Keccak(keccak::Args),
    /// Answer independent calls, or sequences of them, on one state
    #[command(after_long_help = simulate::HELP)]
    Simulate(simulate::Args),
    /// Measure engines beside those that others use
    #[cfg(feature = "bench")]
    Bench(bench::Args),
    /// Run Ethereum's state tests
    Statetest(suites::Args),
    /// Run Ethereum's blockchain tests
    Blocktest(suites::Args),
    /// List backends and devices, and what `auto` would pick
    Devices,
    /// Save a block of a node with the state that it needs, as a block file
    #[cfg(feature = "rpc")]
    Fetch(fetch::Args),
}

fn backend_parser() -> impl TypedValueParser<Value = BackendKind> {
    clap::builder::PossibleValuesParser::new(BackendKind::ALL.iter().map(|kind| kind.name()))
        .try_map(|name| name.parse::<BackendKind>())
}

fn level_parser() -> impl TypedValueParser<Value = LevelFilter> {
    clap::builder::PossibleValuesParser::new(["off", "error", "warn", "info", "debug", "trace"])
        .try_map(|name| name.parse::<LevelFilter>())
}

impl Common {
    fn engine(&self) -> Result<Engine, BackendError> {
        self.build(Engine::builder())
    }

    fn build(&self, builder: EngineBuilder) -> Result<Engine, BackendError> {
        let engine = self.threads(builder.backend(self.backend).device(self.device.clone())).build()?;
        tracing::info!(asked = %self.backend, backend = %engine.backend_kind(), name = engine.backend_name(), threads = engine.threads(), "engine started");
        Ok(engine)
    }

    fn threads(&self, builder: EngineBuilder) -> EngineBuilder {
        match self.threads {
            Some(threads) => builder.threads(threads.into()),
            None => builder,
        }
    }
}

/// A verb's failure outside of its inputs.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Parses the command line, runs the verb, and turns its end into an exit code.
pub fn run() -> ExitCode {
    let Cli { common, verb } = Cli::parse();
    let colors = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(common.log)
        .with_writer(io::stderr)
        .with_ansi(colors)
        .with_target(false)
        .init();
    #[cfg(feature = "metrics")]
    if let Some(address) = common.metrics
        && let Err(cause) = metrics::serve(address)
    {
        complain(format_args!("--metrics {address}: {cause}"));
        return ExitCode::from(Exit::Bad as u8);
    }
    let result = match verb {
        Verb::Replay(args) => replay::run(&common, &args),
        Verb::Recover(args) => recover::run(&common, &args),
        Verb::Keccak(args) => keccak::run(&common, &args),
        Verb::Simulate(args) => simulate::run(&common, &args),
        #[cfg(feature = "bench")]
        Verb::Bench(args) => bench::run(&common, &args),
        Verb::Statetest(args) => suites::run(&common, &args, Kind::State),
        Verb::Blocktest(args) => suites::run(&common, &args, Kind::Block),
        Verb::Devices => devices::run(&common),
        #[cfg(feature = "rpc")]
        Verb::Fetch(args) => fetch::run(&common, &args),
    };
    let exit = match result {
        Ok(exit) => exit,
        // The reader has seen enough, as in `lockstep … | head`.
        Err(Failure::Output(cause)) if cause.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(Failure::Output(cause)) => {
            complain(format_args!("cannot write the output: {cause}"));
            Exit::Bad
        }
        Err(Failure::Backend(cause)) => {
            complain(format_args!("{cause}\n  `lockstep devices` lists what is there; `--backend cpu` always works"));
            Exit::Unavailable
        }
    };
    ExitCode::from(exit as u8)
}

/// One error line on stderr; nothing can be done if even that fails.
fn complain(message: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "error: {message}");
}

/// One line, or one JSON object, on stdout.
fn print(line: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn backend_json(engine: &Engine) -> serde_json::Value {
    serde_json::json!({"kind": engine.backend_kind().name(), "name": engine.backend_name()})
}
