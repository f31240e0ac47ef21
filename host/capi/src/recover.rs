//! Senders, signers and EIP-7702 authorities.
#![expect(unsafe_code, reason = "functions of C")]

use crate::{
    border::{note, on_handle},
    caller::{Caller, count, length},
    fault::{Fault, Outcome},
    handles::Entry,
    types::{
        LOCKSTEP_LOW_S, lockstep_code, lockstep_handle, lockstep_item_status, lockstep_signatures, lockstep_signers,
    },
};
use alloy_primitives::Address;
use lockstep::{
    recover::RecoverError,
    signers::{SignerError, SignerRequest, SignerResults, requests_from_columns},
};
use std::mem;

/// Recovers the signer of each item, and the authorities of raw transactions, all in one batch. Fewer than 16 items are done on the calling thread. A bad
/// item has a status of its own, and the others do not notice; the last error tells of the first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_recover(
    handle: lockstep_handle,
    signatures: *const lockstep_signatures,
    signers: *mut lockstep_signers,
) -> lockstep_code {
    // SAFETY: the contract of lockstep.h.
    let caller = unsafe { Caller::trusted() };
    on_handle(handle, |entry| {
        let signatures = caller.read(signatures, "signatures")?;
        let mut out = caller.read(signers.cast_const(), "signers")?;
        let filled = recover(entry, caller, &signatures).and_then(|found| found.give(caller, &mut out));
        caller.write(signers, out, "signers")?;
        filled
    })
}

/// Columns out.
#[derive(Debug, Default)]
struct Found {
    addresses: Vec<u8>,
    statuses: Vec<u8>,
    authorities: Vec<u8>,
    authority_statuses: Vec<u8>,
    authority_offsets: Vec<u64>,
    /// Whether an item has failed.
    noted: bool,
}

fn recover(entry: &Entry, caller: Caller, input: &lockstep_signatures) -> Outcome<Found> {
    let lockstep_signatures { raw, hashes, r, s, parities, flags } = input;
    if flags & !LOCKSTEP_LOW_S != 0 {
        return Err(Fault::of(lockstep_code::BadArgument, "signatures.flags", "an unknown flag"));
    }
    let low_s = flags & LOCKSTEP_LOW_S != 0;
    let raw = caller.items(raw, "signatures.raw")?;
    let hashes = caller.bytes(hashes, "signatures.hashes")?;
    let r = caller.bytes(r, "signatures.r")?;
    let s = caller.bytes(s, "signatures.s")?;
    let parities = caller.bytes(parities, "signatures.parities")?;
    if raw.len() == 0 {
        let items = count(hashes.len(), 32, "signatures.hashes")?;
        let wrong = |error| Fault::new(lockstep_code::BadLength, format_args!("signatures.{error}"));
        let requests = requests_from_columns(hashes, r, s, parities, low_s).map_err(wrong)?;
        let mut found = Found::with_capacity(items);
        // Columns have no authorities.
        found.authority_offsets.resize(items + 1, 0);
        for (index, result) in entry.engine.recover(&requests).into_iter().enumerate() {
            found.push(index, result.map_err(SignerError::Recover));
        }
        return Ok(found);
    }
    for (column, name) in [(hashes, "hashes"), (r, "r"), (s, "s"), (parities, "parities")] {
        length(column.len(), 0, 1, &format!("signatures.{name}, beside raw transactions,"))?;
    }
    let items: Vec<_> = raw.to_bytes().map(|bytes| SignerRequest::Raw { bytes, low_s }).collect();
    Ok(Found::of(entry.engine.recover_signers(&items)))
}

impl Found {
    fn with_capacity(items: usize) -> Self {
        Self {
            addresses: Vec::with_capacity(20 * items),
            statuses: Vec::with_capacity(items),
            authority_offsets: Vec::with_capacity(items + 1),
            ..Self::default()
        }
    }

    fn of(results: SignerResults) -> Self {
        let mut found = Self::with_capacity(results.len());
        found.authority_offsets.push(0);
        for (index, result) in results.into_iter().enumerate() {
            let result = result.map(|signers| {
                for authority in signers.authorities {
                    let status = authority.map_or(lockstep_item_status::NoAuthority, |_| lockstep_item_status::Ok);
                    found.authorities.extend_from_slice(authority.unwrap_or_default().as_slice());
                    found.authority_statuses.push(status as u8);
                }
                signers.signer
            });
            found.authority_offsets.push(found.authority_statuses.len() as u64);
            found.push(index, result);
        }
        found
    }

    fn push(&mut self, index: usize, result: Result<Address, SignerError>) {
        let status = match &result {
            Ok(_) => lockstep_item_status::Ok,
            Err(SignerError::Decode(_)) => lockstep_item_status::Malformed,
            Err(SignerError::Recover(RecoverError::Range)) => lockstep_item_status::Range,
            Err(SignerError::Recover(RecoverError::HighS)) => lockstep_item_status::HighS,
            Err(SignerError::Recover(RecoverError::NoPoint)) => lockstep_item_status::NoPoint,
            Err(SignerError::Recover(RecoverError::Infinity)) => lockstep_item_status::Infinity,
        };
        if let Err(error) = &result
            && !mem::replace(&mut self.noted, true)
        {
            note(format!("item {index}: {error}"));
        }
        self.addresses.extend_from_slice(result.unwrap_or_default().as_slice());
        self.statuses.push(status as u8);
    }

    fn give(&self, caller: Caller, out: &mut lockstep_signers) -> Outcome {
        let wanted = out.authorities.capacity != 0 || out.authority_offsets.capacity != 0;
        let mut bytes = vec![(&mut out.addresses, &*self.addresses), (&mut out.statuses, &*self.statuses)];
        if wanted {
            bytes.push((&mut out.authorities, &self.authorities));
            bytes.push((&mut out.authority_statuses, &self.authority_statuses));
            return caller.fill(&mut bytes, &mut [(&mut out.authority_offsets, &self.authority_offsets)]);
        }
        out.authorities.len = self.authorities.len();
        out.authority_statuses.len = self.authority_statuses.len();
        out.authority_offsets.len = self.authority_offsets.len();
        caller.fill(&mut bytes, &mut [])
    }
}
