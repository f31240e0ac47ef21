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
use std::{fmt::Display, ops::Range, ptr, slice};

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

    /// How many offsets there are: one more than items, or none.
    pub(crate) fn offsets(&self) -> usize {
        self.offsets.len()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.offsets.windows(2).map(move |ends| &self.bytes[ends[0] as usize..ends[1] as usize])
    }

    pub(crate) fn slice(self, range: Range<usize>) -> Self {
        if range.is_empty() {
            return Self { bytes: &[], offsets: &[] };
        }
        Self { bytes: self.bytes, offsets: &self.offsets[range.start..=range.end] }
    }

    /// In parts of so many items and bytes, each of which holds one item at least.
    pub(crate) fn parts(self, items: usize, bytes: u64) -> impl Iterator<Item = Self> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let most = (start + items).min(self.len());
            let end = self.offsets.get(start..=most)?.partition_point(|offset| offset - self.offsets[start] <= bytes);
            let part = start..(start + end.saturating_sub(1)).max(start + 1).min(self.len());
            start = part.end;
            (!part.is_empty()).then(|| self.slice(part))
        })
    }

    /// Copies, of which some that are neighbours share an allocation.
    pub(crate) fn to_bytes(self) -> impl Iterator<Item = Bytes> + use<'a> {
        let groups = (0..self.len()).step_by(SHARED);
        groups.flat_map(move |first| {
            let offsets = &self.offsets[first..=(first + SHARED).min(self.len())];
            let (start, end) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
            let whole = Bytes::copy_from_slice(&self.bytes[start..end]);
            offsets.windows(2).map(move |ends| whole.slice(ends[0] as usize - start..ends[1] as usize - start))
        })
    }
}

/// Room for elements of one kind.
pub(crate) trait Room {
    type Element: Copy;

    /// Where it is, and for how many.
    fn room(&self) -> (*mut Self::Element, usize);

    /// What the caller is told of how many there are.
    fn len(&mut self) -> &mut usize;
}

impl Room for lockstep_out {
    type Element = u8;

    fn room(&self) -> (*mut u8, usize) {
        (self.data, self.capacity)
    }

    fn len(&mut self) -> &mut usize {
        &mut self.len
    }
}

impl Room for lockstep_out_u64 {
    type Element = u64;

    fn room(&self) -> (*mut u64, usize) {
        (self.data, self.capacity)
    }

    fn len(&mut self) -> &mut usize {
        &mut self.len
    }
}

/// Outputs by name, and what each is to hold.
#[derive(Debug, Default)]
pub(crate) struct Columns<'a> {
    pub(crate) bytes: Vec<(&'static str, &'a mut lockstep_out, &'a [u8])>,
    pub(crate) numbers: Vec<(&'static str, &'a mut lockstep_out_u64, &'a [u64])>,
}

/// Strings that share an allocation. One for all would have one counter for all, over which threads would fight; the engine's threads
/// take as many items at once.
const SHARED: usize = 64;

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

    pub(crate) fn bytes(self, bytes: &lockstep_bytes, name: impl Display + Copy) -> Outcome<&[u8]> {
        self.array(bytes.data, bytes.len, name)
    }

    pub(crate) fn u64s(self, numbers: &lockstep_u64s, name: impl Display + Copy) -> Outcome<&[u64]> {
        self.array(numbers.data, numbers.len, name)
    }

    /// The arrays' lengths are their own: `'a` is the call.
    fn array<'a, T>(self, data: *const T, len: usize, name: impl Display + Copy) -> Outcome<&'a [T]> {
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
        at_most(items.offsets.len.saturating_sub(1), LOCKSTEP_MAX_ITEMS, name)?;
        let offsets = self.u64s(&items.offsets, format_args!("{name}.offsets"))?;
        let bytes = self.bytes(&items.bytes, format_args!("{name}.bytes"))?;
        if offsets.is_empty() && !bytes.is_empty() {
            let reason = format!("{} bytes and no offsets", bytes.len());
            return Err(Fault::of(lockstep_code::BadOffsets, name, reason));
        }
        ascending(offsets, bytes.len(), name)?;
        Ok(Items { bytes, offsets })
    }

    /// Offsets that divide `of` elements. Without any there are no groups, and nothing to divide.
    pub(crate) fn groups<'a>(self, offsets: &'a lockstep_u64s, of: usize, name: &str) -> Outcome<&'a [u64]> {
        let offsets = self.u64s(offsets, name)?;
        if offsets.is_empty() && of != 0 {
            return Err(Fault::of(lockstep_code::BadOffsets, name, format_args!("none, for {of} elements")));
        }
        ascending(offsets, of, name)?;
        Ok(offsets)
    }

    /// Refuses an output that has no room for `len` elements, before any work, and says how many they are.
    pub(crate) fn has_room<R: Room>(self, out: &mut R, len: usize, name: &str) -> Outcome {
        fits(out, len, name)?;
        writable(out, name)
    }

    /// Refuses outputs that cannot be written to, before any work.
    pub(crate) fn can_write(self, columns: &mut Columns<'_>) -> Outcome {
        columns.bytes.iter_mut().try_for_each(|(name, out, _)| writable(*out, name))?;
        columns.numbers.iter_mut().try_for_each(|(name, out, _)| writable(*out, name))
    }

    /// Columns out: says how long each is, and if all have room writes them.
    pub(crate) fn fill(self, columns: &mut Columns<'_>) -> Outcome {
        let mut short = Ok(());
        for (name, out, values) in &mut columns.bytes {
            short = short.and(fits(*out, values.len(), name));
        }
        for (name, out, values) in &mut columns.numbers {
            short = short.and(fits(*out, values.len(), name));
        }
        short?;
        // All are checked before the first is written.
        self.can_write(columns)?;
        for (_, out, values) in &mut columns.bytes {
            self.copy(values, out.data);
        }
        for (_, out, values) in &mut columns.numbers {
            self.copy(values, out.data);
        }
        Ok(())
    }

    /// Writes behind what is written already, and counts on where there is no more room. The output must be writable.
    pub(crate) fn append<R: Room>(self, out: &mut R, values: &[R::Element]) {
        let (data, capacity) = out.room();
        let start = *out.len();
        *out.len() += values.len();
        if start + values.len() <= capacity {
            self.copy(values, data.wrapping_add(start));
        }
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

fn checked<T>(pointer: *const T, name: impl Display) -> Outcome {
    if pointer.is_null() {
        return Err(Fault::of(lockstep_code::NullPointer, name, "null"));
    }
    if !pointer.is_aligned() {
        let reason = format!("not aligned to {} bytes", align_of::<T>());
        return Err(Fault::of(lockstep_code::BadArgument, name, reason));
    }
    Ok(())
}

/// Says how long an output is to be, and refuses it if that is more than it has room for.
fn fits<R: Room>(out: &mut R, len: usize, name: &str) -> Outcome {
    *out.len() = len;
    match out.room() {
        (_, capacity) if len > capacity => Err(too_small(name, len, capacity)),
        _ => Ok(()),
    }
}

/// Without room there is nowhere to write.
fn writable<R: Room>(out: &mut R, name: &str) -> Outcome {
    match out.room() {
        (_, 0) => Ok(()),
        (data, _) => checked(data, name),
    }
}

pub(crate) fn too_small(name: &str, len: usize, capacity: usize) -> Fault {
    Fault::of(lockstep_code::TooSmall, name, format_args!("{len} elements where there is room for {capacity}"))
}

/// Refuses offsets that do not lead from zero to `end`.
fn ascending(offsets: &[u64], end: usize, name: &str) -> Outcome {
    let wrong = |reason: String| Err(Fault::of(lockstep_code::BadOffsets, name, reason));
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return Ok(()) };
    if *first != 0 {
        return wrong(format!("the first offset is {first}"));
    }
    if let Some(at) = offsets.windows(2).position(|ends| ends[0] > ends[1]) {
        return wrong(format!("offset {at} is {} and the next one {}", offsets[at], offsets[at + 1]));
    }
    if *last != end as u64 {
        return wrong(format!("the last offset is {last} of {end}"));
    }
    Ok(())
}

/// No array is larger than half of what can be addressed.
fn room<T>(len: usize, name: impl Display) -> Outcome {
    match len.checked_mul(size_of::<T>()) {
        Some(size) if isize::try_from(size).is_ok() => Ok(()),
        _ => Err(Fault::of(lockstep_code::BadLength, name, format_args!("{len} elements"))),
    }
}

/// Refuses batches beyond all bounds.
pub(crate) fn at_most(count: usize, most: usize, name: &str) -> Outcome {
    if count <= most {
        return Ok(());
    }
    Err(Fault::of(lockstep_code::BadLength, name, format_args!("{count} items, most are {most}")))
}

/// Refuses a column that is not as long as `count` items of `each` take.
pub(crate) fn length(actual: usize, count: usize, each: usize, name: impl Display) -> Outcome {
    if count.checked_mul(each) == Some(actual) {
        return Ok(());
    }
    let reason = format_args!("{actual} where {count} items of {each} are due").to_string();
    Err(Fault::of(lockstep_code::BadLength, name, reason))
}

/// The same for a column that may be empty.
pub(crate) fn optional(actual: usize, count: usize, each: usize, name: &str) -> Outcome {
    if actual == 0 { Ok(()) } else { length(actual, count, each, name) }
}

/// Refuses a number of offsets that is not one more than that of the `what` whose groups they are.
pub(crate) fn one_more(offsets: usize, count: usize, what: &str, name: &str) -> Outcome {
    if offsets.saturating_sub(1) == count {
        return Ok(());
    }
    let reason = format!("{offsets} offsets where {count} {what} need {}", count + 1);
    Err(Fault::of(lockstep_code::BadLength, name, reason))
}

/// The same where there may be no groups.
pub(crate) fn one_more_or_none(offsets: usize, count: usize, what: &str, name: &str) -> Outcome {
    if offsets <= 1 { Ok(()) } else { one_more(offsets, count, what, name) }
}

/// How many items of `each` a column has.
pub(crate) fn count(actual: usize, each: usize, name: &str) -> Outcome<usize> {
    if !actual.is_multiple_of(each) {
        return Err(Fault::of(lockstep_code::BadLength, name, format_args!("{actual} is no multiple of {each}")));
    }
    at_most(actual / each, LOCKSTEP_MAX_ITEMS, name)?;
    Ok(actual / each)
}
