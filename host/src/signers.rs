//! Recovery requests as nodes have them: raw transactions, or signatures by their numbers; senders and the authorities of
//! EIP-7702 tuples in one batch.

use crate::{
    fork::Fork,
    recover::{RecoverError, RecoverRequest, authority_request, sender_request},
    tx::{DecodeError, Transaction},
};
use alloy_primitives::{Address, B256, Bytes, U256};

/// One item of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignerRequest {
    /// A signed transaction, whose sender is sought, and the authorities of its EIP-7702 tuples.
    Raw {
        /// EIP-2718 bytes of type 0 to 4, type 3 without its sidecar.
        bytes: Bytes,
        /// Whether s above n / 2 is an error: from Homestead on.
        low_s: bool,
    },
    /// A signature and the hash that was signed.
    Signature(RecoverRequest),
    /// A signed transaction that is decoded already.
    Transaction {
        /// Its signature.
        sender: RecoverRequest,
        /// That of each EIP-7702 tuple, in order; `None` where its parity alone makes the tuple invalid.
        authorities: Vec<Option<RecoverRequest>>,
    },
}

impl SignerRequest {
    /// A signed transaction by its bytes. See [`SignerRequest::Raw`].
    pub fn raw(bytes: &Bytes, low_s: bool) -> Self {
        Self::Raw { bytes: bytes.clone(), low_s }
    }
}

/// Who signed an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers {
    /// The sender.
    pub signer: Address,
    /// One for each EIP-7702 tuple, in order; `None` where its signature makes the tuple invalid, which leaves the
    /// transaction valid. Empty for what has no tuples.
    pub authorities: Vec<Option<Address>>,
}

/// Why an item has no signer. It never affects its neighbours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// The bytes are no transaction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The signature has no signer.
    #[error(transparent)]
    Recover(#[from] RecoverError),
}

/// What a batch yields: one result an item, in order.
pub type SignerResults = Vec<Result<Signers, SignerError>>;

/// A column is not as long as the others ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{column}: {actual} bytes where {expected} are due")]
pub struct ColumnError {
    /// `r`, `s`, `parities` or `hashes`.
    pub column: &'static str,
    /// Its length in bytes.
    pub actual: usize,
    /// What it should be.
    pub expected: usize,
}

/// Requests from flat columns: `hashes`, `r` and `s` of 32 bytes an item, big-endian, and `parities` of one byte an item (0 to
/// 3, see [`RecoverRequest::recovery_id`]). The number of items is that of the hashes.
///
/// # Errors
/// [`ColumnError`] before anything runs. Values out of range are no error here: they give a status to their item.
pub fn requests_from_columns(
    hashes: &[u8],
    r: &[u8],
    s: &[u8],
    parities: &[u8],
    low_s: bool,
) -> Result<Vec<RecoverRequest>, ColumnError> {
    let count = hashes.len() / 32;
    for (column, actual, expected) in [
        ("hashes", hashes.len(), 32 * count),
        ("r", r.len(), 32 * count),
        ("s", s.len(), 32 * count),
        ("parities", parities.len(), count),
    ] {
        if actual != expected {
            return Err(ColumnError { column, actual, expected });
        }
    }
    let words = |column: &[u8], index: usize| U256::from_be_slice(&column[32 * index..][..32]);
    let request = |(index, parity): (usize, &u8)| RecoverRequest {
        hash: B256::from_slice(&hashes[32 * index..][..32]),
        r: words(r, index),
        s: words(s, index),
        recovery_id: *parity,
        low_s,
    };
    Ok(parities.iter().enumerate().map(request).collect())
}

/// An item after decoding: what it asks of recovery.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// Its sender's request, and that of each of its tuples whose parity may be one at all.
    Item(RecoverRequest, Vec<Option<RecoverRequest>>),
    /// No transaction.
    Bad(DecodeError),
}

impl Decoded {
    /// Decodes items, on the calling thread.
    pub(crate) fn batch(items: &[SignerRequest]) -> Vec<Self> {
        let raws: Vec<_> = items
            .iter()
            .filter_map(|item| match item {
                SignerRequest::Raw { bytes, .. } => Some(bytes),
                SignerRequest::Signature(_) | SignerRequest::Transaction { .. } => None,
            })
            .collect();
        let mut transactions = Transaction::decode_for_recovery(&raws).into_iter();
        let decoded = items.iter().map(|item| match item {
            SignerRequest::Signature(request) => Self::Item(*request, Vec::new()),
            SignerRequest::Transaction { sender, authorities } => Self::Item(*sender, authorities.clone()),
            SignerRequest::Raw { low_s, .. } => match transactions.next() {
                Some(Ok(tx)) => Self::of_transaction(&tx, *low_s),
                Some(Err(error)) => Self::Bad(error),
                None => unreachable!("one result a raw transaction"),
            },
        });
        decoded.collect()
    }

    pub(crate) fn of_transaction(tx: &Transaction, low_s: bool) -> Self {
        let sender = RecoverRequest { low_s, ..sender_request(tx, Fork::Osaka) };
        Self::Item(sender, tx.authorizations.iter().map(authority_request).collect())
    }

    /// Every request of every item, in order: what [`Decoded::finish`] wants the answers of.
    pub(crate) fn requests(items: &[Self]) -> Vec<RecoverRequest> {
        let mut requests = Vec::with_capacity(items.len());
        for item in items {
            if let Self::Item(sender, tuples) = item {
                requests.push(*sender);
                requests.extend(tuples.iter().flatten());
            }
        }
        requests
    }

    /// This item's result, its answers taken from the front of `answers`.
    pub(crate) fn finish(
        self,
        answers: &mut impl Iterator<Item = Result<Address, RecoverError>>,
    ) -> Result<Signers, SignerError> {
        match self {
            Self::Bad(error) => Err(error.into()),
            Self::Item(_, tuples) => {
                let mut next = || answers.next().unwrap_or(Err(RecoverError::Range));
                let signer = next();
                let authorities = tuples.into_iter().map(|tuple| tuple.and_then(|_| next().ok())).collect();
                Ok(Signers { signer: signer?, authorities })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_the_wrong_length_is_named() {
        let error = |hashes, r, s, parities| {
            requests_from_columns(&vec![1; hashes], &vec![1; r], &vec![1; s], &vec![1; parities], true).unwrap_err()
        };
        assert_eq!(error(63, 64, 64, 2), ColumnError { column: "hashes", actual: 63, expected: 32 });
        assert_eq!(error(64, 63, 64, 2), ColumnError { column: "r", actual: 63, expected: 64 });
        assert_eq!(error(64, 64, 96, 2), ColumnError { column: "s", actual: 96, expected: 64 });
        assert_eq!(error(64, 64, 64, 3), ColumnError { column: "parities", actual: 3, expected: 2 });
        assert_eq!(requests_from_columns(&[], &[], &[], &[], true), Ok(Vec::new()));
    }

    #[test]
    fn columns_are_read_in_order() {
        let column = |first: u8| [[0; 31].as_slice(), &[first], &[0; 31], &[first + 1]].concat();
        let requests = requests_from_columns(&column(1), &column(3), &column(5), &[0, 9], false).unwrap();
        let expected = |hash: u8, r: u8, s: u8, recovery_id| RecoverRequest {
            hash: B256::with_last_byte(hash),
            r: U256::from(r),
            s: U256::from(s),
            recovery_id,
            low_s: false,
        };
        assert_eq!(requests, [expected(1, 3, 5, 0), expected(2, 4, 6, 9)]);
    }
}
