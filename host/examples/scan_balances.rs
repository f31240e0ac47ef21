//! Scans 100,000 token balances by calling `balanceOf(address)` of each account: the total, and the largest.
//!
//!     cargo run --release --example scan_balances          # or: -- wgpu, or LOCKSTEP_BACKEND=wgpu
//!
//! Answers are looked at as they come, in order, while later calls still run: neither all calls nor all answers are ever
//! held at once.
#![expect(clippy::print_stdout, reason = "an example shows what it finds")]

use alloy_primitives::{Address, U256, keccak256};
use lockstep::{
    backend::BackendKind,
    block_file::BlockFile,
    context::Context,
    engine::Engine,
    sample::SAMPLE,
    simulate::{Call, Options},
};
use std::{error::Error, ops::ControlFlow, time::Instant};

const ACCOUNTS: u64 = 100_000;

/// `mapping(address => uint256) balanceOf` of the token is in slot 2: after `owner` and `totalSupply`, one slot each.
const BALANCE_OF: U256 = U256::from_limbs([2, 0, 0, 0]);

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().backend(backend()?).build()?;

    // The sample block's state with balances of our own: every third account has one.
    let mut file = BlockFile::parse(SAMPLE)?;
    let token = Address::from_word(keccak256("lockstep sample Token 0"));
    let account = |index: u64| Address::from_word(keccak256(index.to_be_bytes()));
    let balance = |index: u64| match index % 3 {
        0 => U256::from(index * index % 1_000_003) * U256::from(1_000_000_000_000_000_u64),
        _ => U256::ZERO,
    };
    for index in 0..ACCOUNTS {
        file.state.insert_slot(token, mapping_slot(account(index), BALANCE_OF), balance(index));
    }

    let selector = &keccak256("balanceOf(address)")[..4];
    let call = |index: u64| Call::new(Address::ZERO, token, [selector, account(index).into_word().as_slice()].concat());
    let base = Context { env: &file.block.env, state: &file.state };
    let (mut total, mut holders, mut largest) = (U256::ZERO, 0_u64, (U256::ZERO, 0));
    let mut trouble = None;
    let start = Instant::now();
    let summary = engine.simulate(&base, (0..ACCOUNTS).map(call), &Options::default(), |index, answer| {
        let found = answer.map_err(|error| error.to_string()).and_then(|result| {
            U256::try_from_be_slice(&result.output).filter(|_| result.output.len() == 32).ok_or("not one word".into())
        });
        match found {
            // What was put in must come out.
            Ok(found) if found == balance(index as u64) => {
                total += found;
                holders += u64::from(!found.is_zero());
                largest = largest.max((found, index));
                ControlFlow::Continue(())
            }
            found => {
                trouble = Some(format!("account {index}: {found:?}, not {}", balance(index as u64)));
                // Nothing more is run.
                ControlFlow::Break(())
            }
        }
    });
    let time = start.elapsed();
    if let Some(trouble) = trouble {
        return Err(trouble.into());
    }
    assert_eq!((summary.calls, summary.errors), (ACCOUNTS, 0));
    assert_eq!(total, (0..ACCOUNTS).map(balance).fold(U256::ZERO, |sum, balance| sum + balance));

    println!("{holders} of {ACCOUNTS} accounts hold {:.3} tokens", tokens(total));
    println!("the largest is {} with {:.3}", account(largest.1 as u64), tokens(largest.0));
    println!("{ACCOUNTS} balances in {time:.1?}, {:.0} a second", ACCOUNTS as f64 / time.as_secs_f64());
    Ok(())
}

/// Where Solidity keeps the value of `key` in the mapping that starts in `slot`.
fn mapping_slot(key: Address, slot: U256) -> U256 {
    keccak256([key.into_word().0, slot.to_be_bytes()].concat()).into()
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
