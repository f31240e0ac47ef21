//! Types that the ABI encodes in one word, as templates take them.

use alloy_primitives::{Address, U256, hex};
use std::{fmt, str::FromStr};

/// A type of one word, by the Solidity ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WordType {
    /// `uintN`: so many bits.
    Uint(u16),
    /// `intN`: so many bits, in two's complement.
    Int(u16),
    /// `address`.
    Address,
    /// `bool`: zero or one.
    Bool,
    /// `bytesN`: so many bytes, from the left.
    Bytes(u8),
}

/// What is no value of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} is no {kind}: {reason}")]
pub struct WordError {
    /// As it was given.
    pub value: String,
    /// What it should be.
    pub kind: WordType,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// An address as the word that stands for it.
pub fn address_word(address: Address) -> U256 {
    address.into_word().into()
}

impl WordType {
    /// Whether a word is a value of this type, as strict decoders take it.
    ///
    /// # Errors
    /// It is not: bits that must not be set, or are not those of a sign.
    pub fn check(self, word: U256) -> Result<(), WordError> {
        let fits = match self {
            Self::Uint(bits) => word.bit_len() <= usize::from(bits),
            // All bits from the sign's on are alike.
            Self::Int(bits) => {
                let sign = word.bit(usize::from(bits) - 1);
                let above = if sign { !word } else { word };
                above.bit_len() < usize::from(bits)
            }
            Self::Address => word.bit_len() <= 160,
            Self::Bool => word.bit_len() <= 1,
            Self::Bytes(bytes) => word.trailing_zeros() >= 256 - 8 * usize::from(bytes),
        };
        if fits { Ok(()) } else { Err(self.error(format!("{word:#x}"), "it has more bits")) }
    }

    /// The word of a text: numbers in decimal or in hex after `0x`, with a minus where the type has one; `true` or `false`;
    /// addresses and bytes in hex after `0x`, of exactly their length.
    ///
    /// # Errors
    /// The text is no value of this type.
    pub fn parse(self, text: &str) -> Result<U256, WordError> {
        let error = |reason| self.error(format!("{text:?}"), reason);
        match self {
            Self::Uint(_) => {
                let number = number(text).map_err(error)?;
                self.check(number).map_err(|_| error("it has more bits"))?;
                Ok(number)
            }
            Self::Int(bits) => signed(text, bits).map_err(error),
            Self::Bool => match text {
                "true" | "1" | "0x1" => Ok(U256::ONE),
                "false" | "0" | "0x0" => Ok(U256::ZERO),
                _ => Err(error("true or false is due")),
            },
            Self::Address => Ok(U256::from_be_slice(&bytes(text, 20).map_err(error)?)),
            Self::Bytes(length) => {
                let mut word = [0; 32];
                word[..length.into()].copy_from_slice(&bytes(text, length.into()).map_err(error)?);
                Ok(U256::from_be_bytes(word))
            }
        }
    }

    const fn error(self, value: String, reason: &'static str) -> WordError {
        WordError { value, kind: self, reason }
    }
}

impl fmt::Display for WordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uint(bits) => write!(f, "uint{bits}"),
            Self::Int(bits) => write!(f, "int{bits}"),
            Self::Address => f.write_str("address"),
            Self::Bool => f.write_str("bool"),
            Self::Bytes(bytes) => write!(f, "bytes{bytes}"),
        }
    }
}

/// A name that the ABI does not know, or a type that does not fit into one word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {reason}: one of address, bool, uint8 to uint256, int8 to int256, bytes1 to bytes32 is due")]
pub struct NoWordType {
    /// As it was given.
    pub name: String,
    /// What it is instead.
    pub reason: &'static str,
}

impl FromStr for WordType {
    type Err = NoWordType;

    fn from_str(name: &str) -> Result<Self, NoWordType> {
        let error = |reason| NoWordType { name: name.to_owned(), reason };
        let size = |digits: &str, most: u16| {
            let plain = !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit());
            digits.parse().ok().filter(|size| plain && (1..=most).contains(size)).ok_or_else(|| error("is no type"))
        };
        let bits = |digits: &str| match digits {
            "" => Ok(256),
            _ => size(digits, 256).and_then(|bits| if bits % 8 == 0 { Ok(bits) } else { Err(error("is no type")) }),
        };
        match name {
            "address" => Ok(Self::Address),
            "bool" => Ok(Self::Bool),
            "bytes" | "string" => Err(error("is dynamic")),
            _ if name.ends_with("[]") => Err(error("is dynamic")),
            _ if name.ends_with(']') => Err(error("takes several words")),
            _ => match (name.strip_prefix("uint"), name.strip_prefix("int"), name.strip_prefix("bytes")) {
                (Some(digits), _, _) => bits(digits).map(Self::Uint),
                (_, Some(digits), _) => bits(digits).map(Self::Int),
                (_, _, Some(digits)) => size(digits, 32).map(|bytes| Self::Bytes(bytes as u8)),
                _ => Err(error("is no type")),
            },
        }
    }
}

fn number(text: &str) -> Result<U256, &'static str> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    if digits.is_empty() || !digits.bytes().all(|digit| char::from(digit).is_digit(radix)) {
        return Err("neither decimal digits nor hex ones after 0x");
    }
    U256::from_str_radix(digits, u64::from(radix)).map_err(|_| "it has more bits")
}

/// A number, or in hex a whole word.
fn signed(text: &str, bits: u16) -> Result<U256, &'static str> {
    let most = U256::ONE << (usize::from(bits) - 1);
    let kind = WordType::Int(bits);
    match text.strip_prefix('-') {
        Some(digits) => match number(digits)? {
            size if size <= most => Ok(size.wrapping_neg()),
            _ => Err("it has more bits"),
        },
        None => match number(text)? {
            size if size < most => Ok(size),
            word if text.len() == 66 && kind.check(word).is_ok() => Ok(word),
            _ => Err("it has more bits"),
        },
    }
}

fn bytes(text: &str, length: usize) -> Result<Vec<u8>, &'static str> {
    let digits = text.strip_prefix("0x").ok_or("hex without 0x")?;
    let bytes = hex::decode(digits).map_err(|_| "not hex")?;
    if bytes.len() == length { Ok(bytes) } else { Err("it has another length") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> WordType {
        name.parse().unwrap()
    }

    #[test]
    fn names_are_those_of_the_abi() {
        for name in ["address", "bool", "uint8", "uint256", "int8", "int248", "bytes1", "bytes32"] {
            assert_eq!(kind(name).to_string(), name);
        }
        assert_eq!([kind("uint"), kind("int")], [WordType::Uint(256), WordType::Int(256)]);
        for (name, reason) in [
            ("bytes", "is dynamic"),
            ("string", "is dynamic"),
            ("uint256[]", "is dynamic"),
            ("uint8[4]", "takes several words"),
            ("uint7", "is no type"),
            ("uint08", "is no type"),
            ("uint264", "is no type"),
            ("bytes33", "is no type"),
            ("bytes0", "is no type"),
            ("Token", "is no type"),
            ("uint+8", "is no type"),
        ] {
            assert_eq!(name.parse::<WordType>().unwrap_err(), NoWordType { name: name.into(), reason });
        }
    }

    #[test]
    fn words_outside_of_a_type_are_refused() {
        let one: U256 = U256::ONE;
        for (name, largest) in [("uint8", one << 8), ("address", one << 160), ("bool", one << 1), ("int8", one << 7)] {
            assert!(kind(name).check(largest).is_err() && kind(name).check(largest - one).is_ok(), "{name}");
        }
        assert!(kind("int8").check(U256::MAX).is_ok() && kind("int8").check((one << 7_usize).wrapping_neg()).is_ok());
        assert!(kind("int8").check((one << 7_usize).wrapping_neg() - one).is_err());
        assert!(kind("bytes3").check(one << 232).is_ok() && kind("bytes3").check(one << 231).is_err());
        assert!(kind("bytes32").check(one).is_ok() && kind("uint256").check(U256::MAX).is_ok());
    }

    #[test]
    fn texts_become_words() {
        let parse = |name: &str, text: &str| kind(name).parse(text);
        assert_eq!(parse("uint256", "1000000000000000000000").unwrap(), U256::from(10).pow(U256::from(21)));
        assert_eq!(parse("uint8", "0xff").unwrap(), U256::from(255));
        assert_eq!(parse("int8", "-128").unwrap(), U256::from(128).wrapping_neg());
        assert_eq!(parse("int8", &U256::MAX.to_string()).unwrap_err().reason, "it has more bits");
        assert_eq!(parse("int256", &format!("{:#x}", U256::MAX)).unwrap(), U256::MAX);
        assert_eq!(parse("bytes3", "0x010203").unwrap(), U256::from(0x01_0203) << 232);
        let address = Address::repeat_byte(7);
        assert_eq!(parse("address", &address.to_string()).unwrap(), address_word(address));
        assert_eq!([parse("bool", "true").unwrap(), parse("bool", "0").unwrap()], [U256::ONE, U256::ZERO]);
        for (name, text) in [
            ("uint8", "256"),
            ("uint8", "-1"),
            ("uint8", ""),
            ("uint8", "0x"),
            ("uint8", "1_0"),
            ("uint256", "1e18"),
            ("int8", "128"),
            ("int8", "-129"),
            ("int256", &format!("-{}", U256::MAX)),
            ("bool", "2"),
            ("address", "0x01"),
            ("address", &"11".repeat(20)),
            ("bytes3", "0x0102"),
        ] {
            assert!(parse(name, text).is_err(), "{name} {text}");
        }
        assert_eq!(
            parse("uint8", "256").unwrap_err().to_string(),
            "\"256\" is no uint8: it has more bits",
            "the value, the type, the reason"
        );
    }
}
