//! A block's transactions made ready for an executor: senders and EIP-7702 authorities in one batch.

use crate::{
    engine::Engine,
    recover::RecoverRequest,
    signers::{SignerError, SignerRequest, Signers},
};
use alloy_consensus::{
    EthereumTxEnvelope, SignableTransaction, TxEip4844, TxEip4844Variant, TxEip7702,
    transaction::{Recovered, RlpEcdsaEncodableTx},
};
use alloy_eips::eip7702::{RecoveredAuthority, RecoveredAuthorization, SignedAuthorization};
use alloy_evm::{
    FromRecoveredTx,
    revm::context::{TxEnv, either::Either},
};
use alloy_primitives::{Address, Signature};

/// A transaction as any executor of alloy-evm for Ethereum takes it, with nothing left to recover.
pub type ReadyTx<T = TxEip4844Variant> = (TxEnv, Recovered<EthereumTxEnvelope<T>>);

/// What blobs' transactions are in an envelope: with a sidecar, without, or either.
pub trait BlobTx: RlpEcdsaEncodableTx + SignableTransaction<Signature> + AsRef<TxEip4844> {}

impl<T: RlpEcdsaEncodableTx + SignableTransaction<Signature> + AsRef<TxEip4844>> BlobTx for T {}

/// A transaction of a block has no sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction {tx}: {source}")]
pub struct TxSignerError {
    /// Index in the block.
    pub tx: usize,
    /// Why.
    pub source: SignerError,
}

impl SignerRequest {
    /// The sender of an envelope, and the authorities of its EIP-7702 tuples. `low_s`: see [`SignerRequest::Raw`].
    pub fn envelope<T: BlobTx>(tx: &EthereumTxEnvelope<T>, low_s: bool) -> Self {
        let signature = tx.signature();
        let sender = RecoverRequest {
            hash: tx.signature_hash(),
            r: signature.r(),
            s: signature.s(),
            recovery_id: u8::from(signature.v()),
            low_s,
        };
        let tuples = tx.as_eip7702().map(|tx| tx.tx().authorization_list.as_slice()).unwrap_or_default();
        Self::Transaction { sender, authorities: tuples.iter().map(authority).collect() }
    }
}

/// What recovers the authority of a tuple; `None` where its parity alone makes it invalid.
fn authority(tuple: &SignedAuthorization) -> Option<RecoverRequest> {
    let recovery_id = tuple.y_parity();
    (recovery_id <= 1).then(|| RecoverRequest {
        hash: tuple.signature_hash(),
        r: tuple.r(),
        s: tuple.s(),
        recovery_id,
        low_s: true,
    })
}

/// Recovers senders and authorities of a block in one batch. What alloy-evm does otherwise is one recovery a sender, and one more
/// a tuple when the executor takes the transaction.
///
/// `low_s` from Homestead on.
///
/// # Errors
/// The first transaction without a sender. A tuple without an authority is invalid by itself and leaves its transaction valid.
pub fn recover_txs<T: BlobTx>(
    engine: &Engine,
    txs: impl IntoIterator<Item = EthereumTxEnvelope<T>>,
    low_s: bool,
) -> Result<Vec<ReadyTx<T>>, TxSignerError> {
    let txs: Vec<_> = txs.into_iter().collect();
    let requests: Vec<_> = txs.iter().map(|tx| SignerRequest::envelope(tx, low_s)).collect();
    let signers = engine.recover_signers(&requests);
    let ready = |(tx, (envelope, signers)): (usize, (_, Result<Signers, SignerError>))| {
        signers.map(|signers| ready_tx(envelope, &signers)).map_err(|source| TxSignerError { tx, source })
    };
    txs.into_iter().zip(signers).enumerate().map(ready).collect()
}

/// A transaction whose signers are known, made ready.
pub fn ready_tx<T: BlobTx>(tx: EthereumTxEnvelope<T>, signers: &Signers) -> ReadyTx<T> {
    let env = match tx.as_eip7702() {
        Some(set_code) => set_code_env(set_code.tx(), signers.signer, &signers.authorities),
        None => TxEnv::from_recovered_tx(&tx, signers.signer),
    };
    (env, Recovered::new_unchecked(tx, signers.signer))
}

/// alloy-evm would recover the authorities here.
fn set_code_env(tx: &TxEip7702, sender: Address, authorities: &[Option<Address>]) -> TxEnv {
    let without = TxEip7702 { authorization_list: Vec::new(), ..tx.clone() };
    let recovered = |(tuple, authority): (&SignedAuthorization, &Option<Address>)| {
        let authority = authority.map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
        Either::Right(RecoveredAuthorization::new_unchecked(tuple.inner().clone(), authority))
    };
    let authorization_list = tx.authorization_list.iter().zip(authorities).map(recovered).collect();
    TxEnv { authorization_list, ..TxEnv::from_recovered_tx(&without, sender) }
}
