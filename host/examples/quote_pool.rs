//! Quotes two pools over 10,000 amounts each: the price impact of a trade, and how to split one over both.
//!
//!     cargo run --release --example quote_pool             # or: -- wgpu, or LOCKSTEP_BACKEND=wgpu
//!
//! The pools are constant-product markets of the sample block that the library carries. `quote(bool,uint256)` tells what
//! a sale would give: one call an amount, all against the same state.
#![expect(clippy::print_stdout, reason = "an example shows what it finds")]

use alloy_primitives::{Address, U256, keccak256};
use lockstep::{
    backend::BackendKind,
    block_file::BlockFile,
    context::Context,
    engine::Engine,
    outcome::TxStatus,
    sample::SAMPLE,
    simulate::{Call, Options},
};
use std::{error::Error, time::Instant};

const AMOUNTS: usize = 10_000;

/// A pool packs its reserves into slot 1: `reserve0` in the low 112 bits, `reserve1` in the 112 above.
const RESERVES: U256 = U256::ONE;

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().backend(backend()?).build()?;
    let file = BlockFile::parse(SAMPLE)?;
    let base = Context { env: &file.block.env, state: &file.state };
    let pools = ["Pair 1", "Pair 2"].map(|name| Address::from_word(keccak256(format!("lockstep sample {name}"))));

    // Sell 100, 200, … 1,000,000 of a token with 18 decimals to each pool.
    let step = U256::from(10).pow(U256::from(20));
    let amount = |index: usize| step * U256::from(index + 1);
    let quote = |pool: Address, amount: U256| {
        let zero_for_one = U256::ONE.to_be_bytes::<32>();
        let input = [&keccak256("quote(bool,uint256)")[..4], &zero_for_one, &amount.to_be_bytes::<32>()].concat();
        Call::new(Address::ZERO, pool, input)
    };
    let calls = pools.into_iter().flat_map(|pool| (0..AMOUNTS).map(move |index| quote(pool, amount(index))));

    let start = Instant::now();
    let (answers, _) = engine.simulate_all(&base, calls, &Options::default());
    let time = start.elapsed();

    let mut out = Vec::with_capacity(answers.len());
    for answer in answers {
        let result = answer?;
        assert_eq!(result.status, TxStatus::Success);
        out.push(U256::try_from_be_slice(&result.output).ok_or("not one word")?);
    }

    // The contract's own arithmetic: 0.3 % stay in the pool, and the product of the reserves does not fall.
    for (pool, out) in pools.into_iter().zip(out.chunks(AMOUNTS)) {
        let packed = base.state.storage(&pool, &RESERVES)?;
        let mask = (U256::ONE << 112) - U256::ONE;
        let (held0, held1) = (packed & mask, packed >> 112 & mask);
        for (index, out) in out.iter().enumerate() {
            let paid = amount(index) * U256::from(997);
            assert_eq!(*out, paid * held1 / (held0 * U256::from(1000) + paid), "amount {index}");
        }
    }

    let (one, two) = out.split_at(AMOUNTS);
    println!("{:>8}  {:>10}  {:>10}  {:>6}", "sold", "bought", "price", "impact");
    for index in [0, 9, 99, 999, 4999, 9999] {
        let price = |index: usize| tokens(one[index]) / tokens(amount(index));
        let impact = 100.0 * (1.0 - price(index) / price(0));
        println!("{:8.0}  {:10.2}  {:10.6}  {impact:5.2}%", tokens(amount(index)), tokens(one[index]), price(index));
    }

    // All of the largest amount, so much to the one pool and the rest to the other.
    let split = |index: usize| one[index] + two[AMOUNTS - 2 - index];
    let best = (0..AMOUNTS - 1).max_by_key(|index| split(*index)).ok_or("no amounts")?;
    println!(
        "{:.0} are best sold as {:.0} + {:.0}: {:.2}, and {:.2} or {:.2} in one pool alone",
        tokens(amount(AMOUNTS - 1)),
        tokens(amount(best)),
        tokens(amount(AMOUNTS - 2 - best)),
        tokens(split(best)),
        tokens(one[AMOUNTS - 1]),
        tokens(two[AMOUNTS - 1]),
    );
    println!("{} quotes in {time:.1?}, {:.0} a second", out.len(), out.len() as f64 / time.as_secs_f64());
    Ok(())
}

/// From 18 decimals.
fn tokens(amount: U256) -> f64 {
    f64::from(amount) / 1e18
}

/// From the argument, else from `LOCKSTEP_BACKEND`.
fn backend() -> Result<BackendKind, String> {
    let name = std::env::args().nth(1).or_else(|| std::env::var("LOCKSTEP_BACKEND").ok());
    name.map_or(Ok(BackendKind::Auto), |name| name.parse())
}
