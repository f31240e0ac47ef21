//! The edges that lanes take against those that revm takes, each transaction alone on one state.

use crate::programs::Calls;
use lockstep::{
    backend::Backend,
    context::{Context, Contexts, PlacedTx, Terms},
    coverage::{Coverage, CoverageMode},
    error::TxError,
    evm::edges_of,
    lower::{CodeArena, Lowering, SnapshotTable},
    park::StateService,
    plan::{self, Lane, LaneClass, LaneLimits, Route},
    validate::{End, Speculation, starts},
};

/// Transactions with the edges that revm takes.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Each is valid alone.
    pub calls: Calls,
    /// One a transaction.
    pub edges: Vec<Box<Coverage>>,
}

/// Asks revm; transactions that are invalid on the state as it is are left out.
///
/// # Errors
/// revm cannot run at all.
pub fn expect(mut calls: Calls) -> Result<Expected, String> {
    let mut edges = Vec::with_capacity(calls.txs.len());
    let (mut txs, mut senders) = (Vec::new(), Vec::new());
    for (tx, sender) in calls.txs.drain(..).zip(calls.senders.drain(..)) {
        match edges_of(&calls.env, &calls.state, &tx, sender) {
            Ok(taken) => {
                edges.push(taken);
                txs.push(tx);
                senders.push(sender);
            }
            Err(TxError::Invalid(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    (calls.txs, calls.senders) = (txs, senders);
    Ok(Expected { calls, edges })
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Lanes run, each with a map of its own and again with one for all.
    pub lanes: usize,
    /// Those whose result stands, and whose edges are revm's.
    pub same: usize,
    /// Those that fell back, and whose edges are some of revm's.
    pub fell_back: usize,
    /// Places in the maps of all that stand.
    pub places: u64,
}

/// A lane's end and its own map.
type Ran = (usize, End, Box<Coverage>);

/// Runs the transactions as lanes of a class and compares: lane by lane, then merged.
///
/// # Errors
/// The first difference, by the index of its transaction, or why nothing ran.
pub fn compare(device: &dyn Backend, class: LaneClass, expected: &Expected) -> Result<Compared, String> {
    let Expected { calls, edges } = expected;
    // The same lanes at once in both modes.
    let limits = device.lane_limits(class).covering(CoverageMode::Each);
    let context = Context { env: &calls.env, state: &calls.state };
    let mut lanes = Vec::new();
    for (index, (tx, sender)) in calls.txs.iter().zip(&calls.senders).enumerate() {
        let placed = PlacedTx { tx, sender: *sender, context: 0 };
        let route =
            plan::route(index, placed, &context, Terms::Transaction, &limits).map_err(|error| error.to_string())?;
        if let Route::Device(lane) = route
            && starts(&lane, &calls.env, &calls.state).map_err(|error| error.to_string())?
        {
            lanes.push(*lane);
        }
    }
    let mut compared = Compared { lanes: lanes.len(), ..Compared::default() };
    for lanes in lanes.chunks(limits.lanes) {
        let (each, _) = run(device, CoverageMode::Each, limits, calls, lanes)?;
        let mut all = Coverage::default();
        for (index, end, map) in each {
            all.merge(&map);
            match end {
                End::Done(_) if map == edges[index] => {
                    compared.same += 1;
                    compared.places += u64::from(map.count());
                }
                End::Done(_) => return Err(format!("transaction {index}: {map:?}, revm {:?}", edges[index])),
                End::Fallback(_) | End::Parked if !edges[index].clone().merge(&map) => compared.fell_back += 1,
                End::Fallback(_) | End::Parked => {
                    return Err(format!("transaction {index}, which fell back: {map:?}, revm {:?}", edges[index]));
                }
            }
        }
        let (_, merged) = run(device, CoverageMode::Merged, limits, calls, lanes)?;
        if merged.as_deref() != Some(&all) {
            return Err(format!("merged {merged:?}, each {all:?}"));
        }
    }
    Ok(compared)
}

/// One batch: each lane's map where they are asked for, and what the batch merged.
fn run(
    device: &dyn Backend,
    mode: CoverageMode,
    limits: LaneLimits,
    calls: &Calls,
    lanes: &[Lane<'_>],
) -> Result<(Vec<Ran>, Option<Box<Coverage>>), String> {
    let contexts = Contexts::one(&calls.env, &calls.state);
    let (mut codes, mut snapshot) = (CodeArena::default(), SnapshotTable::default());
    for lane in lanes {
        Lowering::prepare(lane, &contexts, &mut codes, &mut snapshot).map_err(|error| error.to_string())?;
    }
    let by_index: Vec<&Lane<'_>> = lanes.iter().collect();
    let mut batch = Lowering::new(calls.env.fork).batch(&contexts, limits, &by_index, &codes, &snapshot);
    batch.coverage = mode;
    let mut service = StateService::new(device, &contexts, vec![0; lanes.len()], &mut codes, &mut snapshot);
    let executed = device.execute(&batch, &mut service).map_err(|error| error.to_string())?;
    if mode != CoverageMode::Each {
        return Ok((Vec::new(), executed.coverage));
    }
    if executed.coverage.is_some() || executed.lanes.len() != lanes.len() {
        return Err(format!("{} lanes of {}, or a map of all", executed.lanes.len(), lanes.len()));
    }
    let ran = |(lane, result): (&Lane<'_>, _)| {
        let speculation = Speculation::new(lane, result, &snapshot, &codes);
        let map = speculation.coverage.clone().ok_or_else(|| format!("transaction {}: no map", lane.index))?;
        Ok((lane.index, speculation.end, map))
    };
    let each = lanes.iter().zip(executed.lanes).map(ran).collect::<Result<_, String>>()?;
    Ok((each, None))
}
