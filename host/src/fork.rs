//! Ethereum hard forks as values.

use std::{fmt, str::FromStr};

macro_rules! forks {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A hard fork, in order of activation. The names are those of the block file: revm's `SpecId` in upper case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum Fork { $($(#[$doc])* $variant,)* }

        impl Fork {
            /// Every fork, oldest first; the position equals the discriminant.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The upper-case name, e.g. `SPURIOUS_DRAGON`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

forks! {
    /// Block 1.
    Frontier = "FRONTIER",
    /// Block 1,150,000 (EIP-2: low s, creation gas).
    Homestead = "HOMESTEAD",
    /// Block 2,463,000 (EIP-150).
    Tangerine = "TANGERINE",
    /// Block 2,675,000 (EIP-155, 161, 170).
    SpuriousDragon = "SPURIOUS_DRAGON",
    /// Block 4,370,000 (EIP-658: status in receipts).
    Byzantium = "BYZANTIUM",
    /// Block 7,280,000.
    Petersburg = "PETERSBURG",
    /// Block 9,069,000.
    Istanbul = "ISTANBUL",
    /// Block 12,244,000 (EIP-2929, 2930): the oldest fork that the device runs.
    Berlin = "BERLIN",
    /// Block 12,965,000 (EIP-1559, 3198, 3529, 3541).
    London = "LONDON",
    /// Block 15,537,394 (EIP-4399).
    Merge = "MERGE",
    /// Block 17,034,870 (EIP-3651, 3855, 3860).
    Shanghai = "SHANGHAI",
    /// Block 19,426,587 (EIP-1153, 4844, 5656, 6780, 7516).
    Cancun = "CANCUN",
    /// Block 22,431,084 (EIP-2537, 7623, 7702).
    Prague = "PRAGUE",
    /// Block 23,935,694 (EIP-7825, 7883, 7939, 7951).
    Osaka = "OSAKA",
    /// Not active yet.
    Amsterdam = "AMSTERDAM",
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no fork.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown fork {0:?}")]
pub struct UnknownFork(pub String);

impl FromStr for Fork {
    type Err = UnknownFork;

    fn from_str(s: &str) -> Result<Self, UnknownFork> {
        Self::ALL.iter().copied().find(|fork| fork.name() == s).ok_or_else(|| UnknownFork(s.into()))
    }
}
