//! `lockstep devices`: what is there, whether it works, and what `auto` would pick.

use super::{Common, Exit, Failure, print};
use alloy_primitives::{B256, U256, b256};
use lockstep::{
    engine::Engine,
    recover::{RecoverRequest, recover_one},
};
use serde_json::json;
use std::time::Instant;

/// Enough recoveries for a rate that is good to a few percent.
const SAMPLE: u64 = 512;

pub(super) fn run(common: &Common) -> Result<Exit, Failure> {
    let engine = common.engine()?;
    let self_test = self_test(&engine);
    let rate = recover_rate(&engine);
    let auto = "cpu: this build has no device backend";
    let name = format!("{} threads, revm and libsecp256k1", engine.threads());
    if common.json {
        print(json!({
            "schema": "lockstep-devices/1",
            "devices": [{
                "backend": "cpu", "name": name, "type": "cpu", "driver": "", "limits": {"threads": engine.threads()},
                "self_test": self_test, "recover_per_s": rate.round(), "cross_over_n": null,
            }],
            "auto": auto,
        }))?;
    } else {
        print(format_args!("cpu    {name}: self-test {self_test}, {rate:.0} recoveries/s"))?;
        print(format_args!("auto   {auto}"))?;
    }
    Ok(Exit::Ok)
}

/// A distinct valid request for each n: any hash recovers to some key with a fixed R and s.
fn request(n: u64) -> RecoverRequest {
    let r = b256!("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    RecoverRequest { hash: B256::from(U256::from(n + 2)), r: r.into(), s: U256::ONE, recovery_id: (n & 1) as u8, low_s: true }
}

fn self_test(engine: &Engine) -> String {
    let empty = b256!("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    let requests: Vec<_> = (0..32).map(request).collect();
    if engine.keccak256(&[b""]) != [empty] {
        return "failed: keccak256 of the empty message".into();
    }
    if engine.recover(&requests) != requests.iter().map(recover_one).collect::<Vec<_>>() {
        return "failed: recovery differs from libsecp256k1".into();
    }
    "passed".into()
}

fn recover_rate(engine: &Engine) -> f64 {
    let requests: Vec<_> = (0..SAMPLE).map(request).collect();
    let start = Instant::now();
    let count = engine.recover(&requests).len();
    count as f64 / start.elapsed().as_secs_f64()
}
