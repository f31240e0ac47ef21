//! What the border costs: the same signatures by the engine and through the border, in turn. A measurement, to be run by hand:
//! `cargo test --release -p lockstep-capi -- --ignored --nocapture`.

use super::*;
use crate::recover::*;
use lockstep::signers::SignerRequest;
use std::{hint::black_box, time::Instant};

#[test]
#[ignore = "a measurement, not a test"]
#[expect(clippy::print_stdout, reason = "the ratio is what is asked for")]
fn cost_of_the_border() {
    let (handle, engine, raws) = (Handle::new(), engine(), sample().block.transactions);
    for (count, rounds) in [(1, 20_001), (4, 5_001), (200, 501), (2_048, 101), (16_384, 25)] {
        let raws: Vec<_> = raws.iter().cycle().take(count).cloned().collect();
        let strings = Strings::new(&raws);
        let items: Vec<_> = raws.into_iter().map(|bytes| SignerRequest::Raw { bytes, low_s: true }).collect();
        let input = lockstep_signatures { raw: strings.items(), flags: LOCKSTEP_LOW_S, ..zeroed() };
        let (mut addresses, mut statuses) = (vec![0; 20 * count], vec![0; count]);
        let mut signers = lockstep_signers { addresses: out(&mut addresses), statuses: out(&mut statuses), ..zeroed() };
        let (mut direct, mut border) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let start = Instant::now();
            black_box(engine.recover_signers(black_box(&items)));
            direct.push(start.elapsed().as_nanos());
            let start = Instant::now();
            // SAFETY: every pointer is to an array of our own, and as long as it says.
            let code = unsafe { lockstep_recover(handle.0, black_box(&input), &mut signers) };
            border.push(start.elapsed().as_nanos());
            assert_eq!(code, lockstep_code::Ok);
        }
        direct.sort_unstable();
        border.sort_unstable();
        for (what, at) in [("median", rounds / 2), ("best", 0)] {
            let ratio = border[at] as f64 / direct[at] as f64;
            println!(
                "n = {count}, {what}: {} ns by the engine, {} ns through the border: {ratio:.3}",
                direct[at], border[at]
            );
        }
    }
}
