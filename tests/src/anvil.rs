//! A real node beside us: anvil on loopback, with the world of the sample as its genesis.

use crate::{harness::workspace, sample::world::World};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::{Map, Value, json};
use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// Where anvil is: `LOCKSTEP_ANVIL`, or where `tests/run` has npm put it.
///
/// # Errors
/// It is not there.
pub fn binary() -> Result<PathBuf, String> {
    if let Some(path) = env::var_os("LOCKSTEP_ANVIL") {
        return Ok(path.into());
    }
    let packages = workspace().join("target/anvil/node_modules/@foundry-rs");
    let name = if cfg!(windows) { "bin/anvil.exe" } else { "bin/anvil" };
    let entries = fs::read_dir(&packages).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path().join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| "no anvil: tests/run gets it with npm, or set LOCKSTEP_ANVIL".to_owned())
}

/// A node that ends with this value.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    url: String,
    agent: ureq::Agent,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Anvil {
    /// Starts it on a port of its own choice. It mines when told, in the order in which transactions came.
    ///
    /// # Errors
    /// It does not start: what it said.
    pub fn start(binary: &Path, hardfork: &str, chain_id: u64, genesis: &Path) -> Result<Self, String> {
        let mut command = Command::new(binary);
        command.args(["--host", "127.0.0.1", "--port", "0", "--hardfork", hardfork, "--no-mining", "--order", "fifo"]);
        command.args(["--chain-id", &chain_id.to_string(), "--gas-limit", "60000000", "--init"]).arg(genesis);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60))).build();
        let mut node = Self { child, url: String::new(), agent: config.into() };
        let mut lines = BufReader::new(stdout.ok_or("no stdout")?).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("Listening on 127.0.0.1:")?.trim().to_owned()));
        let Some(port) = port else {
            let mut said = String::new();
            _ = stderr.map(|mut stderr| stderr.read_to_string(&mut said));
            return Err(format!("anvil ended: {said}"));
        };
        node.url = format!("http://127.0.0.1:{port}");
        // What is not read stops it once the pipe is full.
        thread::spawn(move || lines.for_each(drop));
        thread::spawn(move || stderr.map(|stderr| BufReader::new(stderr).lines().for_each(drop)));
        Ok(node)
    }

    /// Its endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The result of a call.
    ///
    /// # Errors
    /// The node's own, or there is no answer.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value, String> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        let mut response = request.send(body).map_err(|error| format!("{method}: {error}"))?;
        let text = response.body_mut().with_config().limit(1 << 28).read_to_string();
        let text = text.map_err(|error| format!("{method}: {error}"))?;
        let mut answer: Value = serde_json::from_str(&text).map_err(|error| format!("{method}: {error}"))?;
        match answer.get("error") {
            Some(error) => Err(format!("{method}: {error}")),
            None => Ok(answer["result"].take()),
        }
    }

    /// A quantity of its answer.
    ///
    /// # Errors
    /// As [`Self::call`], or it is none.
    pub fn quantity(&self, method: &str, params: &Value) -> Result<U256, String> {
        let answer = self.call(method, params)?;
        answer.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| format!("{method}: {answer}"))
    }

    /// Mines what is waiting, at a time.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn mine(&self, timestamp: u64) -> Result<(), String> {
        self.call("evm_setNextBlockTimestamp", &json!([timestamp]))?;
        self.call("evm_mine", &json!([])).map(drop)
    }
}

/// A genesis file: the world's accounts, and more of them.
pub fn genesis(world: &World, chain_id: u64, timestamp: u64, more: &[(Address, Bytes)]) -> Value {
    let word = |word: &U256| B256::from(*word).to_string();
    let mut storage: Map<String, Value> = Map::new();
    for (address, slot, value) in world.state.slots() {
        let slots = storage.entry(hex::encode_prefixed(address)).or_insert_with(|| json!({}));
        slots[word(slot)] = json!(word(value));
    }
    let mut alloc = Map::new();
    for (address, info) in world.state.accounts() {
        let address = hex::encode_prefixed(address);
        let code = world.state.codes().find(|(hash, _)| **hash == info.code_hash).map(|(_, code)| code.clone());
        let mut account =
            json!({"balance": info.balance, "nonce": format!("{:#x}", info.nonce), "code": code.unwrap_or_default()});
        if let Some(slots) = storage.remove(&address) {
            account["storage"] = slots;
        }
        alloc.insert(address, account);
    }
    for (address, code) in more {
        let balance = U256::from(100) * U256::from(crate::sample::world::WAD);
        alloc.insert(hex::encode_prefixed(address), json!({"balance": balance, "code": code}));
    }
    json!({
        "config": {"chainId": chain_id}, "nonce": "0x0", "timestamp": format!("{timestamp:#x}"), "extraData": "0x",
        "gasLimit": "0x3938700", "difficulty": "0x0", "mixHash": B256::ZERO, "coinbase": Address::ZERO, "alloc": alloc,
    })
}
