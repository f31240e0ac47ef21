//! `lockstep replay --rpc`: blocks of a node, each read while the one before it is executed.

use super::{Bad, Input, Loaded};
use crate::cli::{fetch::parse_number, node::NodeArgs};
use lockstep::rpc::{Cause, RpcError, Source};
use std::{iter, sync::mpsc::sync_channel, thread};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Replay blocks of the node with this JSON-RPC endpoint
    #[arg(long, requires = "blocks", conflicts_with = "paths", value_name = "URL")]
    rpc: Option<String>,
    /// First and last block, both of them included; one number is one block
    #[arg(long, requires = "rpc", value_name = "A..B", value_parser = parse_blocks)]
    blocks: Option<(u64, u64)>,
    #[command(flatten)]
    node: NodeArgs,
}

fn parse_blocks(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (parse_number(first)?, parse_number(last.trim_start_matches('='))?);
    if first <= last { Ok((first, last)) } else { Err(format!("{last} is before {first}")) }
}

impl From<RpcError> for Bad {
    fn from(error: RpcError) -> Self {
        Self { tx: None, field: error.key, reason: format!("{}: {}", error.method, error.cause) }
    }
}

impl Args {
    /// How many blocks, and the blocks; `None` where no node is named. The first fault that lasts ends them, and the first absent block.
    pub(super) fn blocks(&self) -> Option<(usize, Box<dyn Iterator<Item = Input> + '_>)> {
        let (url, (first, last)) = (self.rpc.as_deref()?, self.blocks?);
        let count = count(first, last);
        let source = match self.node.connect(url) {
            Ok(source) => source,
            Err(error) => return Some((count, Box::new(iter::once(("node".into(), Err(error.into())))))),
        };
        let (sender, receiver) = sync_channel(1);
        thread::spawn(move || {
            for number in first..=last {
                let (input, ends) = read(&source, number, last);
                // Nobody reads on if sending fails.
                if sender.send(input).is_err() || ends {
                    return;
                }
            }
        });
        Some((count, Box::new(receiver.into_iter())))
    }
}

/// How many numbers, as far as that can be told.
fn count(first: u64, last: u64) -> usize {
    (last - first).checked_add(1).and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX)
}

/// A block, and whether it is of no use to go on.
fn read(source: &Source, number: u64, last: u64) -> (Input, bool) {
    let name = format!("block {number}").into();
    match source.block(number, |_| {}) {
        Ok(fetched) => ((name, Ok(Loaded { file: fetched.file, proven: Some(fetched.proven) })), false),
        Err(error) => {
            let is_absent = error.cause == Cause::Absent(number);
            let ends = is_absent || error.is_lasting();
            let mut bad = Bad::from(error);
            if ends && number < last {
                let why = if is_absent { "; a node that lacks a block lacks those above" } else { "" };
                bad.reason += &format!(
                    "{why}; blocks from {number} on were not read: what was read before is kept, run again to go on"
                );
            }
            ((name, Err(bad)), ends)
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts() {
        assert_eq!([(7, 7), (7, 9), (1, u64::MAX)].map(|(first, last)| super::count(first, last)), [1, 3, usize::MAX]);
        // One more than there are.
        assert_eq!(super::count(0, u64::MAX), usize::MAX);
    }
}
