//! Senders, signers and EIP-7702 authorities.
#![expect(unsafe_code, reason = "functions of C")]

use crate::{
    border::{note_item, on_handle},
    caller::{Caller, Items, count, length, too_small},
    errors::Errors,
    fault::{Fault, Outcome},
    handles::Entry,
    types::{
        LOCKSTEP_LOW_S, lockstep_code, lockstep_handle, lockstep_item_status, lockstep_signatures, lockstep_signers,
    },
};
use alloy_primitives::Address;
use lockstep::{
    backend::BackendKind,
    recover::RecoverError,
    signers::{SignerError, SignerRequest, SignerResults, requests_from_columns},
    submit::Pending,
};
use std::mem;

/// Items that are recovered at once, and their bytes: more are no faster, and an item takes half a KiB meanwhile.
const PART: usize = 1 << 16;
const PART_BYTES: u64 = 64 << 20;

/// Raw transactions up to which there is one part; on the CPU more are divided into parts of so many.
const AT_ONCE: usize = 1 << 12;

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
        let recovered = Input::read(caller, &signatures).and_then(|input| recover(entry, caller, &input, &mut out));
        caller.write(signers, out, "signers")?;
        recovered
    })
}

/// What is to be recovered, checked.
struct Input<'a> {
    raw: Items<'a>,
    hashes: &'a [u8],
    r: &'a [u8],
    s: &'a [u8],
    parities: &'a [u8],
    low_s: bool,
}

impl<'a> Input<'a> {
    fn read(caller: Caller, input: &'a lockstep_signatures) -> Outcome<Self> {
        let lockstep_signatures { raw, hashes, r, s, parities, flags } = input;
        if flags & !LOCKSTEP_LOW_S != 0 {
            return Err(Fault::of(lockstep_code::BadArgument, "signatures.flags", "an unknown flag"));
        }
        let input = Self {
            raw: caller.items(raw, "signatures.raw")?,
            hashes: caller.bytes(hashes, "signatures.hashes")?,
            r: caller.bytes(r, "signatures.r")?,
            s: caller.bytes(s, "signatures.s")?,
            parities: caller.bytes(parities, "signatures.parities")?,
            low_s: flags & LOCKSTEP_LOW_S != 0,
        };
        let (items, beside) = match input.raw.len() {
            0 => (count(input.hashes.len(), 32, "signatures.hashes")?, ""),
            _ => (0, ", beside raw transactions,"),
        };
        for (column, each, name) in
            [(input.hashes, 32, "hashes"), (input.r, 32, "r"), (input.s, 32, "s"), (input.parities, 1, "parities")]
        {
            length(column.len(), items, each, format_args!("signatures.{name}{beside}"))?;
        }
        Ok(input)
    }

    /// Either form.
    fn len(&self) -> usize {
        self.raw.len().max(self.parities.len())
    }
}

/// Nobody cancels it.
fn awaited(pending: Pending<SignerResults>) -> Outcome<SignerResults> {
    pending.wait().map_err(|error| Fault::of(lockstep_code::Panic, "signatures", error))
}

/// Part by part, each written as soon as it is done.
fn recover(entry: &Entry, caller: Caller, input: &Input<'_>, out: &mut lockstep_signers) -> Outcome {
    let mut sink = Sink::new(caller, entry, input.len(), out)?;
    let requests = |part: Items<'_>| -> Vec<_> {
        part.to_bytes().map(|bytes| SignerRequest::Raw { bytes, low_s: input.low_s }).collect()
    };
    if input.raw.len() <= AT_ONCE {
        input.raw.parts(PART, PART_BYTES).for_each(|part| sink.signers(entry.engine.recover_signers(&requests(part))));
    } else {
        // A part is copied in, and another one out, while one is recovered.
        let items = if entry.engine.backend_kind() == BackendKind::Cpu { AT_ONCE } else { PART };
        let mut ahead = None;
        for part in input.raw.parts(items, PART_BYTES) {
            if let Some(done) = ahead.replace(entry.engine.submit(requests(part))) {
                sink.signers(awaited(done)?);
            }
        }
        if let Some(done) = ahead {
            sink.signers(awaited(done)?);
        }
    }
    let words = input.hashes.chunks(32 * PART).zip(input.r.chunks(32 * PART)).zip(input.s.chunks(32 * PART));
    for (((hashes, r), s), parities) in words.zip(input.parities.chunks(PART)) {
        let wrong = |error| Fault::new(lockstep_code::BadLength, format_args!("signatures.{error}"));
        let requests = requests_from_columns(hashes, r, s, parities, input.low_s).map_err(wrong)?;
        sink.columns(entry.engine.recover(&requests));
    }
    sink.finish()
}

/// Where signers go: a part, and behind the parts before it the caller's arrays.
struct Sink<'a> {
    caller: Caller,
    entry: &'a Entry,
    out: &'a mut lockstep_signers,
    wants_authorities: bool,
    wants_errors: bool,
    /// Whether an item has failed.
    noted: bool,
    part: Part,
}

/// Columns out.
#[derive(Debug, Default)]
struct Part {
    addresses: Vec<u8>,
    statuses: Vec<u8>,
    authorities: Vec<u8>,
    authority_statuses: Vec<u8>,
    authority_offsets: Vec<u64>,
    errors: Errors,
}

impl Part {
    fn reserve(&mut self, items: usize) {
        self.addresses.reserve(20 * items);
        self.statuses.reserve(items);
        self.authority_offsets.reserve(items);
        self.errors.offsets.reserve(items);
    }
}

impl<'a> Sink<'a> {
    /// Checks all that can be known before.
    fn new(caller: Caller, entry: &'a Entry, items: usize, out: &'a mut lockstep_signers) -> Outcome<Self> {
        let any = |capacities: &[usize]| capacities.iter().any(|capacity| *capacity != 0);
        let wants_authorities =
            any(&[out.authority_offsets.capacity, out.authorities.capacity, out.authority_statuses.capacity]);
        let wants_errors = any(&[out.error_offsets.capacity, out.errors.capacity]);
        caller.has_room(&mut out.addresses, 20 * items, "signers.addresses")?;
        caller.has_room(&mut out.statuses, items, "signers.statuses")?;
        if wants_authorities {
            caller.has_room(&mut out.authority_offsets, items + 1, "signers.authority_offsets")?;
            caller.has_room(&mut out.authorities, 0, "signers.authorities")?;
            caller.has_room(&mut out.authority_statuses, 0, "signers.authority_statuses")?;
        }
        if wants_errors {
            caller.has_room(&mut out.error_offsets, items + 1, "signers.error_offsets")?;
            caller.has_room(&mut out.errors, 0, "signers.errors")?;
        }
        for out in [&mut out.addresses, &mut out.statuses, &mut out.authorities, &mut out.authority_statuses] {
            out.len = 0;
        }
        (out.errors.len, out.authority_offsets.len, out.error_offsets.len) = (0, 0, 0);
        caller.append(&mut out.authority_offsets, &[0]);
        caller.append(&mut out.error_offsets, &[0]);
        Ok(Self { caller, entry, out, wants_authorities, wants_errors, noted: false, part: Part::default() })
    }

    fn signers(&mut self, results: SignerResults) {
        self.part.reserve(results.len());
        for result in results {
            let result = result.map(|signers| {
                for authority in signers.authorities {
                    let status = authority.map_or(lockstep_item_status::NoAuthority, |_| lockstep_item_status::Ok);
                    self.part.authorities.extend_from_slice(authority.unwrap_or_default().as_slice());
                    self.part.authority_statuses.push(status as u8);
                }
                signers.signer
            });
            self.push(result);
        }
        self.flush();
    }

    /// Columns have no authorities.
    fn columns(&mut self, results: Vec<Result<Address, RecoverError>>) {
        self.part.reserve(results.len());
        results.into_iter().for_each(|result| self.push(result.map_err(SignerError::Recover)));
        self.flush();
    }

    fn push(&mut self, result: Result<Address, SignerError>) {
        let status = match &result {
            Ok(_) => lockstep_item_status::Ok,
            Err(SignerError::Decode(_)) => lockstep_item_status::Malformed,
            Err(SignerError::Recover(RecoverError::Range)) => lockstep_item_status::Range,
            Err(SignerError::Recover(RecoverError::HighS)) => lockstep_item_status::HighS,
            Err(SignerError::Recover(RecoverError::NoPoint)) => lockstep_item_status::NoPoint,
            Err(SignerError::Recover(RecoverError::Infinity)) => lockstep_item_status::Infinity,
        };
        let Self { out, part, .. } = self;
        if let Err(error) = &result
            && !mem::replace(&mut self.noted, true)
        {
            let index = out.statuses.len + part.statuses.len();
            note_item(self.entry, format!("item {index}: {error}"));
        }
        part.addresses.extend_from_slice(result.as_ref().copied().unwrap_or_default().as_slice());
        part.statuses.push(status as u8);
        part.authority_offsets.push((out.authority_statuses.len + part.authority_statuses.len()) as u64);
        part.errors.push(out.errors.len, result.err());
    }

    fn flush(&mut self) {
        let Self { caller, out, .. } = self;
        let Part { addresses, statuses, authorities, authority_statuses, authority_offsets, errors } =
            mem::take(&mut self.part);
        caller.append(&mut out.addresses, &addresses);
        caller.append(&mut out.statuses, &statuses);
        caller.append(&mut out.authorities, &authorities);
        caller.append(&mut out.authority_statuses, &authority_statuses);
        caller.append(&mut out.authority_offsets, &authority_offsets);
        caller.append(&mut out.errors, &errors.texts);
        caller.append(&mut out.error_offsets, &errors.offsets);
    }

    /// What could not be known before.
    fn finish(self) -> Outcome {
        let lockstep_signers { authorities, authority_statuses, errors, .. } = self.out;
        for (wanted, out, name) in [
            (self.wants_authorities, authorities, "signers.authorities"),
            (self.wants_authorities, authority_statuses, "signers.authority_statuses"),
            (self.wants_errors, errors, "signers.errors"),
        ] {
            if wanted && out.len > out.capacity {
                return Err(too_small(name, out.len, out.capacity));
            }
        }
        Ok(())
    }
}
