//! What `fetch` and `replay --rpc` share: the flags that say how to read from a node, and where what was read is kept.

use lockstep::{
    fork::Fork,
    rpc::{Cache, ClientOptions, Options, Proofs, RpcError, Source},
};
use std::{env, path::PathBuf, time::Duration};

#[derive(Debug, clap::Args)]
pub(super) struct NodeArgs {
    /// Rules of the blocks, such as PRAGUE; needed where neither the chain is known nor the node tells
    #[arg(long, requires = "rpc", value_name = "FORK")]
    fork: Option<Fork>,
    /// Keep what was read in this folder [default: lockstep in the user's cache folder]
    #[arg(long, requires = "rpc", value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Keep nothing, and use nothing that was kept
    #[arg(long, requires = "rpc", conflicts_with = "cache")]
    no_cache: bool,
    /// Whether values must be proven by the state root: auto (where the node proves), always, never
    #[arg(long, requires = "rpc", default_value = "auto", value_name = "WHEN")]
    proofs: ProofsArg,
    /// Seconds that an answer may take
    #[arg(long, requires = "rpc", default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Attempts after the first, with growing pauses
    #[arg(long, requires = "rpc", default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    retries: u32,
    /// Calls in one HTTP request
    #[arg(long, requires = "rpc", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ProofsArg {
    Auto,
    Always,
    Never,
}

impl NodeArgs {
    /// Asks the node which chain it has.
    pub(super) fn connect(&self, url: &str) -> Result<Source, RpcError> {
        let client = ClientOptions {
            timeout: Duration::from_secs(self.timeout),
            retries: self.retries,
            batch: self.batch as usize,
            ..ClientOptions::default()
        };
        let proofs = match self.proofs {
            ProofsArg::Auto => Proofs::Auto,
            ProofsArg::Always => Proofs::Always,
            ProofsArg::Never => Proofs::Never,
        };
        let folder = if self.no_cache { None } else { self.cache.clone().or_else(user_cache) };
        let options = Options { client, proofs, fork: self.fork, cache: folder.map(Cache::new), ..Options::default() };
        Source::connect(url, options)
    }
}

/// Where this user's programs keep what they can get again; `None` where the environment does not tell.
fn user_cache() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else {
        folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))
    };
    root.map(|root| root.join("lockstep"))
}
