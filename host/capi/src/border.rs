//! What every function of the border does around its body: no panic gets out, and every failure leaves its text.

use crate::{
    fault::{Fault, Outcome},
    handles::{self, Entry},
    types::{lockstep_code, lockstep_handle},
};
use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
};

thread_local! {
    static LAST_ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs a body that needs no handle.
pub(crate) fn guarded(body: impl FnOnce() -> Outcome) -> lockstep_code {
    settle(caught(body))
}

/// Runs a body on what a handle stands for.
pub(crate) fn on_handle(handle: lockstep_handle, body: impl FnOnce(&Entry) -> Outcome) -> lockstep_code {
    let on_entry = || {
        let entry = handles::get(handle)?;
        caught(|| body(&entry)).inspect_err(|fault| entry.note(&fault.text))
    };
    settle(caught(on_entry))
}

/// Runs a body whose failure is nobody's business: it has no code, and leaves no text.
pub(crate) fn quietly<T>(body: impl FnOnce() -> Outcome<T>) -> Option<T> {
    caught(body).ok()
}

fn caught<T>(body: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    // Whatever the body has half done is its own: what outlives it is behind locks that hold whole values.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| Err(panicked(&*payload)))
}

fn panicked(payload: &(dyn Any + Send)) -> Fault {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no text");
    Fault::of(lockstep_code::Panic, "panic", text)
}

fn settle(outcome: Outcome) -> lockstep_code {
    match outcome {
        Ok(()) => lockstep_code::Ok,
        Err(Fault { code, text }) => {
            note(text);
            code
        }
    }
}

/// Notes an error that is no failure of the call: where a failure would be noted.
pub(crate) fn note_item(entry: &Entry, text: String) {
    entry.note(&text);
    note(text);
}

/// Sets the calling thread's text. A thread that is about to end has none any more.
fn note(text: String) {
    let _ = LAST_ERROR.try_with(|last| last.replace(text));
}

/// The calling thread's text.
pub(crate) fn last_error() -> String {
    LAST_ERROR.try_with(|last| last.borrow().clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_code_with_its_text() {
        assert_eq!(guarded(|| panic!("of {}", "its own")), lockstep_code::Panic);
        assert_eq!(last_error(), "panic: of its own");
        assert_eq!(guarded(|| std::panic::panic_any(7)), lockstep_code::Panic);
        assert_eq!(last_error(), "panic: no text");
        assert_eq!(guarded(|| Ok(())), lockstep_code::Ok);
        assert_eq!(last_error(), "panic: no text", "success leaves the last text");
    }
}
