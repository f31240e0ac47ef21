//! The caller's memory: the one place where its pointers are followed.
#![expect(unsafe_code, reason = "arrays of C are pointers and lengths")]

use crate::{
    fault::{Fault, Outcome},
    types::{
        LOCKSTEP_MAX_ITEMS, lockstep_answers, lockstep_block_env, lockstep_bytes, lockstep_calls, lockstep_code,
        lockstep_items, lockstep_options, lockstep_out, lockstep_out_u64, lockstep_results, lockstep_signatures,
        lockstep_signers, lockstep_state, lockstep_u64s,
    },
};
use alloy_primitives::Bytes;
use std::{ptr, slice};

/// The caller's promise for one call, as the head of `lockstep.h` has it: every array is as long as it says, and until the call
/// returns nobody else writes to it. Null pointers, pointers that are not aligned, and lengths that cannot be are found here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(());

/// A struct of C made of integers and pointers only, of which any bytes are a value.
pub(crate) trait Plain: Copy {}

impl Plain for lockstep_options {}
impl Plain for lockstep_signatures {}
impl Plain for lockstep_signers {}
impl Plain for lockstep_items {}
impl Plain for lockstep_out {}
impl Plain for lockstep_block_env {}
impl Plain for lockstep_state {}
impl Plain for lockstep_results {}
impl Plain for lockstep_calls {}
impl Plain for lockstep_answers {}

/// Byte strings in one array; the offsets are checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Items<'a> {
    bytes: &'a [u8],
    offsets: &'a [u64],
}

impl<'a> Items<'a> {
    pub(crate) fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    fn ranges(self) -> impl Iterator<Item = std::ops::Range<usize>> + use<'a> {
        self.offsets.windows(2).map(|ends| ends[0] as usize..ends[1] as usize)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.ranges().map(move |range| &self.bytes[range])
    }

    /// Copies that share one allocation.
    pub(crate) fn to_bytes(self) -> impl Iterator<Item = Bytes> + use<'a> {
        let whole = Bytes::copy_from_slice(self.bytes);
        self.ranges().map(move |range| whole.slice(range))
    }
}

impl Caller {
    /// # Safety
    /// What the type stands for must hold for everything that is read or written through it.
    pub(crate) const unsafe fn trusted() -> Self {
        Self(())
    }

    /// A struct.
    pub(crate) fn read<T: Plain>(self, pointer: *const T, name: &str) -> Outcome<T> {
        checked(pointer, name)?;
        // SAFETY: not null and aligned; that a `T` is there is the caller's promise, and any bytes are one.
        Ok(unsafe { ptr::read(pointer) })
    }

    /// Writes a struct back to where it was read.
    pub(crate) fn write<T: Copy>(self, pointer: *mut T, value: T, name: &str) -> Outcome {
        checked(pointer, name)?;
        // SAFETY: not null and aligned; that there is room for a `T` is the caller's promise.
        unsafe { ptr::write(pointer, value) };
        Ok(())
    }

    pub(crate) fn bytes<'a>(self, bytes: &'a lockstep_bytes, name: &str) -> Outcome<&'a [u8]> {
        self.array(bytes.data, bytes.len, name)
    }

    pub(crate) fn u64s<'a>(self, numbers: &'a lockstep_u64s, name: &str) -> Outcome<&'a [u64]> {
        self.array(numbers.data, numbers.len, name)
    }

    /// The arrays' lengths are their own: `'a` is the call.
    fn array<'a, T>(self, data: *const T, len: usize, name: &str) -> Outcome<&'a [T]> {
        if len == 0 {
            return Ok(&[]);
        }
        room::<T>(len, name)?;
        checked(data, name)?;
        // SAFETY: not null, aligned, and of a possible size; that `len` values are there, unchanged until the call returns, is the
        // caller's promise, and any bytes are a `u8` or a `u64`.
        Ok(unsafe { slice::from_raw_parts(data, len) })
    }

    pub(crate) fn items<'a>(self, items: &'a lockstep_items, name: &str) -> Outcome<Items<'a>> {
        most_items(items.offsets.len.saturating_sub(1), name)?;
        let offsets = self.u64s(&items.offsets, &format!("{name}.offsets"))?;
        let bytes = self.bytes(&items.bytes, &format!("{name}.bytes"))?;
        let wrong = |reason: String| Fault::of(lockstep_code::BadOffsets, name, reason);
        let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
            return if bytes.is_empty() {
                Ok(Items { bytes, offsets })
            } else {
                Err(wrong(format!("{} bytes and no offsets", bytes.len())))
            };
        };
        if *first != 0 {
            return Err(wrong(format!("the first offset is {first}")));
        }
        if let Some(at) = offsets.windows(2).position(|ends| ends[0] > ends[1]) {
            return Err(wrong(format!("offset {} is {} and the next one {}", at, offsets[at], offsets[at + 1])));
        }
        if *last != bytes.len() as u64 {
            return Err(wrong(format!("the last offset is {last} of {} bytes", bytes.len())));
        }
        Ok(Items { bytes, offsets })
    }

    /// Columns out: says how long each is, and if all have room writes them.
    pub(crate) fn fill(
        self,
        bytes: &mut [(&mut lockstep_out, &[u8])],
        numbers: &mut [(&mut lockstep_out_u64, &[u64])],
    ) -> Outcome {
        let mut short = None;
        for (out, values) in &mut *bytes {
            out.len = values.len();
            short = short.or((out.len > out.capacity).then_some((out.len, out.capacity)));
        }
        for (out, values) in &mut *numbers {
            out.len = values.len();
            short = short.or((out.len > out.capacity).then_some((out.len, out.capacity)));
        }
        if let Some((len, capacity)) = short {
            let reason = format!("{len} elements where there is room for {capacity}");
            return Err(Fault::of(lockstep_code::TooSmall, "output", reason));
        }
        // All are checked before the first is written.
        for (out, values) in &*bytes {
            writable(out.data, values)?;
        }
        for (out, values) in &*numbers {
            writable(out.data, values)?;
        }
        for (out, values) in bytes {
            self.copy(values, out.data);
        }
        for (out, values) in numbers {
            self.copy(values, out.data);
        }
        Ok(())
    }

    /// `to` is checked, and has room.
    fn copy<T: Copy>(self, values: &[T], to: *mut T) {
        if !values.is_empty() {
            // SAFETY: `to` is not null and aligned, and its capacity, which the caller vouches for, is no less than the length. What is
            // copied is Lockstep's own memory, which the caller's cannot overlap.
            unsafe { ptr::copy_nonoverlapping(values.as_ptr(), to, values.len()) };
        }
    }

    /// Texts of C: `capacity` bytes, the last of them zero. Says how many the whole takes.
    pub(crate) fn text(self, text: &str, to: *mut u8, capacity: usize) -> usize {
        // A zero byte inside would end it early.
        let text = text.replace('\0', " ");
        if !to.is_null() && capacity > 0 {
            let mut end = text.len().min(capacity - 1);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            self.copy(&text.as_bytes()[..end], to);
            // SAFETY: `end` is less than `capacity`, for which the caller vouches.
            unsafe { *to.add(end) = 0 };
        }
        text.len() + 1
    }
}

fn checked<T>(pointer: *const T, name: &str) -> Outcome {
    if pointer.is_null() {
        return Err(Fault::of(lockstep_code::NullPointer, name, "null"));
    }
    if !pointer.is_aligned() {
        let reason = format!("not aligned to {} bytes", align_of::<T>());
        return Err(Fault::of(lockstep_code::BadArgument, name, reason));
    }
    Ok(())
}

fn writable<T>(to: *mut T, values: &[T]) -> Outcome {
    if values.is_empty() { Ok(()) } else { checked(to, "output") }
}

/// No array is larger than half of what can be addressed.
fn room<T>(len: usize, name: &str) -> Outcome {
    match len.checked_mul(size_of::<T>()) {
        Some(size) if isize::try_from(size).is_ok() => Ok(()),
        _ => Err(Fault::of(lockstep_code::BadLength, name, format_args!("{len} elements"))),
    }
}

/// Refuses batches beyond all bounds.
pub(crate) fn most_items(count: usize, name: &str) -> Outcome {
    if count <= LOCKSTEP_MAX_ITEMS {
        return Ok(());
    }
    Err(Fault::of(lockstep_code::BadLength, name, format_args!("{count} items, most are {LOCKSTEP_MAX_ITEMS}")))
}

/// Refuses a column that is not as long as `count` items of `each` take.
pub(crate) fn length(actual: usize, count: usize, each: usize, name: &str) -> Outcome {
    if count.checked_mul(each) == Some(actual) {
        return Ok(());
    }
    let reason = format_args!("{actual} where {count} items of {each} are due").to_string();
    Err(Fault::of(lockstep_code::BadLength, name, reason))
}

/// How many items of `each` a column has.
pub(crate) fn count(actual: usize, each: usize, name: &str) -> Outcome<usize> {
    if !actual.is_multiple_of(each) {
        return Err(Fault::of(lockstep_code::BadLength, name, format_args!("{actual} is no multiple of {each}")));
    }
    most_items(actual / each, name)?;
    Ok(actual / each)
}
