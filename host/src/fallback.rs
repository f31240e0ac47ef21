//! Why the device declined a transaction. A fallback is counted and shown, and invisible in the results.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why revm ran a transaction that a device backend was asked to run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum FallbackReason { $($(#[$doc])* $variant,)* }

        impl FallbackReason {
            /// Every reason; the position equals the discriminant.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The reason with this discriminant.
            pub fn from_u32(value: u32) -> Option<Self> {
                Self::ALL.get(value as usize).copied()
            }

            /// The name in reports and JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

reasons! {
    /// The block's fork is not on the device.
    Fork = "fork",
    /// An opcode that the kernel lacks.
    Opcode = "opcode",
    /// A precompile that the kernel lacks.
    Precompile = "precompile",
    /// A contract creation that is revm's to judge.
    Create = "create",
    /// More call frames than a lane has.
    Depth = "depth",
    /// More stack words than a lane has.
    Stack = "stack",
    /// More memory than a lane has.
    Memory = "memory",
    /// More storage slots than a lane has.
    Slots = "slots",
    /// More accounts than a lane has.
    Accounts = "accounts",
    /// More logs or log data than a lane has.
    Logs = "logs",
    /// Calldata larger than a lane takes.
    Calldata = "calldata",
    /// Code larger than the batch takes.
    CodeSize = "code_size",
    /// More steps than a lane may run.
    Steps = "steps",
    /// Keys outside the snapshot were asked for too often.
    MissRounds = "miss_rounds",
    /// A value that it read changed before its turn.
    Stale = "stale",
    /// The device failed.
    DeviceError = "device_error",
    /// The device asked for the transaction to be redone.
    Retry = "retry",
}

impl FallbackReason {
    /// Whether it is a cap of the lane's size, beyond which a larger lane may get.
    pub const fn is_cap(self) -> bool {
        matches!(self, Self::Depth | Self::Stack | Self::Memory | Self::Slots | Self::Accounts | Self::Logs)
    }
}

impl fmt::Display for FallbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
