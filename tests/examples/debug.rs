use lockstep::{backend::BackendKind, engine::Engine, fork::Fork, report::ExecutionReport};
use lockstep_tests::programs;
fn main() {
    let engine = Engine::builder().backend(BackendKind::Wgpu).cross_check(false).build().unwrap();
    for fork in [Fork::Berlin, Fork::London, Fork::Shanghai, Fork::Cancun, Fork::Osaka] { for (name, f) in [("arith", programs::arithmetic as fn(Fork)->programs::Calls), ("memory", programs::memory), ("flow", programs::flow), ("state", programs::state)] {
    println!("== {name} {fork}"); let calls = f(fork);
    let mut report = ExecutionReport::default();
    let t = std::time::Instant::now();
    let got = engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, &calls.state, &mut report).unwrap();
    println!("{:?}", t.elapsed());
    let cpu = Engine::builder().backend(BackendKind::Cpu).build().unwrap();
    let want = cpu.execute_transactions(&calls.env, &calls.txs, &calls.senders, &calls.state, &mut ExecutionReport::default()).unwrap();
    println!("{} txs device {:?} fallbacks {:?}", calls.txs.len(), report.device, report.fallbacks);
    let mut bad = 0;
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        if g != w && { bad += 1; bad < 6 } {
            println!("tx {i}: status {:?}/{:?} gas {}/{}", g.status, w.status, g.gas_used, w.gas_used);
            let f = |o: &lockstep::outcome::TxOutcome| o.changes.iter().find(|c| Some(c.address) == calls.txs[i].to).map(|c| c.storage.clone()).unwrap_or_default();
            let (a, b) = (f(g), f(w));
            let code = lockstep::state::StateRef::code(&calls.state, &lockstep::state::StateRef::account(&calls.state, &calls.txs[i].to.unwrap()).unwrap().unwrap().code_hash).unwrap();
            println!("  code {}", &alloy_primitives::hex::encode(&code)[..200.min(code.len()*2)]);
            for s in &b { if !a.contains(s) { println!("  want {:x}={:x} got {:?}", s.slot, s.value, a.iter().find(|x| x.slot == s.slot).map(|x| format!("{:x}", x.value))); break; } }
        }
    }
    println!("bad {bad}"); }}
}
