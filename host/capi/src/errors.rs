//! The texts of items that failed, one behind the other.

use crate::types::LOCKSTEP_MAX_ERROR;
use std::fmt::Display;

#[derive(Debug, Default)]
pub(crate) struct Errors {
    pub(crate) texts: Vec<u8>,
    /// The end of each item's text.
    pub(crate) offsets: Vec<u64>,
}

impl Errors {
    /// The next item's, behind `before` bytes that are somewhere else already.
    pub(crate) fn push<E: Display>(&mut self, before: usize, error: Option<E>) {
        if let Some(error) = error {
            let text = error.to_string();
            self.texts.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(LOCKSTEP_MAX_ERROR)]);
        }
        self.offsets.push((before + self.texts.len()) as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut errors = Errors::default();
        errors.push(0, Some("é".repeat(LOCKSTEP_MAX_ERROR)));
        errors.push(0, None::<&str>);
        errors.push(0, Some(format!("a{}", "é".repeat(LOCKSTEP_MAX_ERROR))));
        assert_eq!(errors.offsets, [256, 256, 511]);
        assert!(std::str::from_utf8(&errors.texts).is_ok());
    }
}
