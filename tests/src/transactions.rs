//! ethereum/tests TransactionTests: signed bytes, and per fork what mainnet makes of them.

use crate::harness;
use alloy_primitives::{Address, B256, Bytes, U64};
use lockstep::{
    fork::Fork,
    intrinsic::check_intrinsic,
    recover::{RecoverRequest, sender_request},
    tx::Transaction,
};
use serde_json::Value;
use std::{path::Path, str::FromStr};

/// What is said of a transaction that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// keccak256 of the bytes.
    pub hash: B256,
    /// Who signed it.
    pub sender: Address,
    /// Before the first opcode.
    pub gas: u64,
}

/// A transaction at a fork.
#[derive(Clone, Debug)]
pub struct Case {
    /// File and fork.
    pub name: String,
    /// The rules.
    pub fork: Fork,
    /// As a peer would send it.
    pub raw: Bytes,
    /// `None`: it must not be taken.
    pub expected: Option<Accepted>,
}

/// The cases of the archive, and from how many files.
///
/// # Errors
/// The archive cannot be read, or does not say what is expected.
pub fn read(archive: &Path) -> Result<(Vec<Case>, usize), String> {
    let mut cases = Vec::new();
    let mut files = 0;
    for (path, contents) in harness::archive(archive).map_err(|error| error.to_string())? {
        if !path.ends_with(".json") {
            continue;
        }
        files += 1;
        let json: Value = serde_json::from_slice(&contents).map_err(|error| format!("{path}: {error}"))?;
        for (_, test) in json.as_object().into_iter().flatten() {
            let raw: Bytes = parse(&test["txbytes"]).map_err(|error| format!("{path}: {error}"))?;
            for (fork, result) in test["result"].as_object().ok_or_else(|| format!("{path}: no results"))? {
                let name = format!("{path} {fork}");
                let expected = expected(result).map_err(|error| format!("{name}: {error}"))?;
                cases.push(Case { fork: fork_of(fork)?, raw: raw.clone(), expected, name });
            }
        }
    }
    Ok((cases, files))
}

/// Compares the cases with Lockstep's decoding, intrinsic checks and whatever `recover` is; senders are asked for in one batch.
///
/// # Errors
/// `recover`'s own, or the first case that is wrong.
pub fn check<R: Copy>(
    cases: &[Case],
    recover: impl FnOnce(&[RecoverRequest]) -> Result<Vec<Result<Address, R>>, String>,
) -> Result<(), String> {
    let decoded: Vec<_> = cases.iter().map(decode).collect();
    let requests: Vec<_> = decoded.iter().flatten().map(|(_, request)| *request).collect();
    let senders = recover(&requests)?;
    if senders.len() != requests.len() {
        return Err(format!("{} senders for {} requests", senders.len(), requests.len()));
    }
    let mut senders = senders.into_iter();
    for (case, decoded) in cases.iter().zip(decoded) {
        let actual = decoded.and_then(|(accepted, _)| Some(Accepted { sender: senders.next()?.ok()?, ..accepted }));
        if actual != case.expected {
            return Err(format!("{}: got {actual:?}, expected {:?}", case.name, case.expected));
        }
    }
    Ok(())
}

/// All but the sender; `None` if the bytes or the intrinsic rules decide already.
fn decode(case: &Case) -> Option<(Accepted, RecoverRequest)> {
    let tx = Transaction::decode(&case.raw).ok()?;
    let gas = check_intrinsic(&tx, case.fork, 1).ok()?;
    let accepted = Accepted { hash: tx.hash, sender: Address::ZERO, gas: gas.initial };
    Some((accepted, sender_request(&tx, case.fork)))
}

fn expected(result: &Value) -> Result<Option<Accepted>, String> {
    if result.get("exception").is_some() {
        return Ok(None);
    }
    let gas: U64 = parse(&result["intrinsicGas"])?;
    Ok(Some(Accepted { hash: parse(&result["hash"])?, sender: parse(&result["sender"])?, gas: gas.to() }))
}

fn parse<T: FromStr>(value: &Value) -> Result<T, String> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| format!("the vector itself: {value}"))
}

fn fork_of(name: &str) -> Result<Fork, String> {
    Ok(match name {
        "Frontier" => Fork::Frontier,
        "Homestead" => Fork::Homestead,
        "EIP150" => Fork::Tangerine,
        "EIP158" => Fork::SpuriousDragon,
        "Byzantium" => Fork::Byzantium,
        // Constantinople's difference is in an opcode.
        "Constantinople" | "ConstantinopleFix" => Fork::Petersburg,
        "Istanbul" => Fork::Istanbul,
        "Berlin" => Fork::Berlin,
        "London" => Fork::London,
        "Paris" => Fork::Merge,
        "Shanghai" => Fork::Shanghai,
        "Cancun" => Fork::Cancun,
        "Prague" => Fork::Prague,
        "Osaka" => Fork::Osaka,
        _ => return Err(format!("unknown fork {name}")),
    })
}
