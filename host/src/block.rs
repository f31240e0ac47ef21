//! A block to execute: its environment and its signed transactions.

use crate::fork::Fork;
use alloy_primitives::{Address, B256, Bytes, U256};

/// Most blobs of a transaction from Osaka on (EIP-7594).
pub const MAX_BLOBS_PER_TX_OSAKA: u64 = 6;

/// EIP-4844 parameters in force (EIP-7840, EIP-7892).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobParams {
    /// Target blobs a block.
    pub target: u64,
    /// Most blobs a block.
    pub max: u64,
    /// Divisor of the excess blob gas in the fee formula.
    pub update_fraction: u64,
}

impl BlobParams {
    /// The mainnet parameters at a fork; `None` before Cancun.
    pub fn of(fork: Fork) -> Option<Self> {
        match fork {
            _ if fork < Fork::Cancun => None,
            Fork::Cancun => Some(Self { target: 3, max: 6, update_fraction: 3_338_477 }),
            _ => Some(Self { target: 6, max: 9, update_fraction: 5_007_716 }),
        }
    }
}

/// What every transaction of a block sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEnv {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The rules.
    pub fork: Fork,
    /// Block number.
    pub number: u64,
    /// Seconds since the epoch.
    pub timestamp: u64,
    /// Receives the fees.
    pub beneficiary: Address,
    /// Gas limit of the block.
    pub gas_limit: u64,
    /// EIP-1559 base fee in wei; zero before London.
    pub base_fee: u64,
    /// Before the merge.
    pub difficulty: U256,
    /// After it (EIP-4399).
    pub prevrandao: B256,
    /// EIP-4844; zero before Cancun.
    pub excess_blob_gas: u64,
    /// EIP-4844; `None` before Cancun.
    pub blob_params: Option<BlobParams>,
    /// The price of blob gas in wei where it is not to follow from the two above: for simulations alone.
    pub blob_price: Option<u128>,
}

impl BlockEnv {
    /// Price of blob gas in wei (EIP-4844's `fake_exponential`); zero before Cancun, `None` if the parameters are unusable: a zero divisor or
    /// a price above 128 bits.
    pub fn blob_base_fee(&self) -> Option<u128> {
        if self.blob_price.is_some() {
            return self.blob_price;
        }
        let Some(params) = self.blob_params else { return Some(0) };
        let (numerator, denominator) = (u128::from(self.excess_blob_gas), u128::from(params.update_fraction));
        let mut output = 0_u128;
        let mut accumulator = denominator;
        for i in 1_u128.. {
            if accumulator == 0 {
                break;
            }
            output = output.checked_add(accumulator)?;
            accumulator = accumulator.checked_mul(numerator)?.checked_div(denominator.checked_mul(i)?)?;
        }
        output.checked_div(denominator)
    }
}

/// A block's environment and its raw transactions (EIP-2718 bytes) in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The environment.
    pub env: BlockEnv,
    /// Signed transactions.
    pub transactions: Vec<Bytes>,
}
