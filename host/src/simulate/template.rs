//! Templates: one call, columns of arguments, and the answers as columns. Calls are made as they are needed, so that there is
//! never more than a chunk of them.

use super::{Answer, Call, Function, Summary, WordType};
use crate::{
    error::{Invalid, TxError},
    outcome::TxStatus,
};
use alloy_primitives::{Address, Bytes, U256};

/// What a column fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fills {
    /// The word of calldata that starts at a byte, with values of a type.
    Input(usize, WordType),
    /// The sender.
    From,
    /// Whom it calls.
    To,
    /// The value in wei.
    Value,
    /// The gas limit.
    Gas,
}

impl Fills {
    /// The type of the values.
    pub const fn kind(self) -> WordType {
        match self {
            Self::Input(_, kind) => kind,
            Self::From | Self::To => WordType::Address,
            Self::Value => WordType::Uint(256),
            Self::Gas => WordType::Uint(64),
        }
    }

    const fn field(self) -> &'static str {
        match self {
            Self::Input(..) => "input",
            Self::From => "from",
            Self::To => "to",
            Self::Value => "value",
            Self::Gas => "gas",
        }
    }
}

/// A place in a call that a column fills. A column may fill several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Index of the column.
    pub column: usize,
    /// What it fills.
    pub fills: Fills,
}

/// A call and what is different in each row.
///
/// ```
/// use lockstep::{
///     block_file::BlockFile, context::Context, engine::Engine, sample::SAMPLE,
///     simulate::{Call, Columns, Options, Template},
/// };
/// use alloy_primitives::{U256, address};
///
/// let file = BlockFile::parse(SAMPLE)?;
/// let base = Context { env: &file.block.env, state: &file.state };
/// // A market of the sample: what it gives for 1 to 1,000 of its first token.
/// let pair = address!("ca68676f3a708391c7c8a4bfd254858d7ccee4a9");
/// let call = Call { to: Some(pair), ..Call::default() };
/// let template = Template::function("quote(bool zeroForOne,uint256 amountIn)", call)?;
/// let amounts = (1..=1_000_u64).map(|amount| U256::from(amount) * U256::from(10).pow(U256::from(18)));
/// let columns = Columns::new(vec![vec![U256::ONE; 1_000], amounts.collect()])?;
///
/// let results = Engine::builder().build()?.simulate_template(&base, &template, &columns, &Options::default())?;
/// let quotes = results.words(0);
/// assert!(quotes.len() == 1_000 && quotes.iter().all(Option::is_some) && quotes.is_sorted());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    call: Call,
    holes: Vec<Hole>,
}

/// Columns of one length; a value is a word as the ABI encodes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    columns: Vec<Vec<U256>>,
}

impl Columns {
    /// Columns in order.
    ///
    /// # Errors
    /// Two differ in length.
    pub fn new(columns: Vec<Vec<U256>>) -> Result<Self, Invalid> {
        let rows = columns.first().map_or(0, Vec::len);
        match columns.iter().enumerate().find(|(_, column)| column.len() != rows) {
            Some((index, column)) => {
                let reason = format!("column {index} has {} rows, the first has {rows}", column.len());
                Err(Invalid::new("columns", reason))
            }
            None => Ok(Self { columns }),
        }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// How many columns.
    pub const fn count(&self) -> usize {
        self.columns.len()
    }
}

impl Template {
    /// A call and its holes. Of two that overlap the later one counts.
    ///
    /// # Errors
    /// A hole reaches beyond the calldata.
    pub fn new(call: Call, holes: Vec<Hole>) -> Result<Self, Invalid> {
        for hole in &holes {
            if let Fills::Input(offset, _) = hole.fills
                && offset.checked_add(32).is_none_or(|end| end > call.input.len())
            {
                let reason = format!("column {}: no word at byte {offset} of {}", hole.column, call.input.len());
                return Err(Invalid::new("input", reason));
            }
        }
        Ok(Self { call, holes })
    }

    /// A call of a function, with a column for each parameter in order; the call's own calldata is replaced.
    ///
    /// # Errors
    /// As [`Function::parse`].
    pub fn function(signature: &str, call: Call) -> Result<Self, Invalid> {
        let function = Function::parse(signature)?;
        let arguments: Vec<_> = (0..function.parameters.len()).map(Argument::Column).collect();
        Self::with_arguments(&function, &arguments, call)
    }

    /// The same with arguments that are columns, or the same in all rows.
    ///
    /// # Errors
    /// There are more or fewer arguments than parameters, or one is no value of its parameter's type.
    pub fn with_arguments(function: &Function, arguments: &[Argument], call: Call) -> Result<Self, Invalid> {
        if arguments.len() != function.parameters.len() {
            let reason = format!("{} for {} parameters", arguments.len(), function.parameters.len());
            return Err(Invalid::new("arguments", reason));
        }
        let mut input = function.blank_input();
        let mut holes = Vec::new();
        for (index, (argument, parameter)) in arguments.iter().zip(&function.parameters).enumerate() {
            let offset = Function::offset(index);
            match argument {
                Argument::Column(column) => {
                    holes.push(Hole { column: *column, fills: Fills::Input(offset, parameter.kind) });
                }
                Argument::Constant(word) => {
                    parameter
                        .kind
                        .check(*word)
                        .map_err(|error| Invalid::new("arguments", format!("parameter {index}: {error}")))?;
                    input[offset..offset + 32].copy_from_slice(&word.to_be_bytes::<32>());
                }
            }
        }
        Self::new(Call { input: input.into(), ..call }, holes)
    }

    /// The same with one more hole.
    ///
    /// # Errors
    /// As [`Template::new`].
    pub fn with_hole(mut self, column: usize, fills: Fills) -> Result<Self, Invalid> {
        self.holes.push(Hole { column, fills });
        Self::new(self.call, self.holes)
    }

    /// What is the same in all rows.
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// What is not.
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// The call of a row.
    ///
    /// # Errors
    /// A value is none of its hole's type, or there is none.
    pub fn row(&self, row: &[U256]) -> Result<Call, TxError> {
        let mut call = self.call.clone();
        let mut input = Vec::new();
        for Hole { column, fills } in &self.holes {
            let invalid = |reason| Invalid::new(fills.field(), format!("column {column}: {reason}"));
            let word = *row.get(*column).ok_or_else(|| invalid(format!("a row of {}", row.len())))?;
            fills.kind().check(word).map_err(|error| invalid(error.to_string()))?;
            match *fills {
                Fills::Input(offset, _) => {
                    if input.is_empty() {
                        input.extend_from_slice(&call.input);
                    }
                    input[offset..offset + 32].copy_from_slice(&word.to_be_bytes::<32>());
                }
                Fills::From => call.from = Address::from_word(word.into()),
                Fills::To => call.to = Some(Address::from_word(word.into())),
                Fills::Value => call.value = word,
                Fills::Gas => call.gas = Some(word.to()),
            }
        }
        if !input.is_empty() {
            call.input = Bytes::from(input);
        }
        Ok(call)
    }

    /// The calls of all rows, made one by one as they are taken.
    ///
    /// # Errors
    /// A hole has no column, or a column no hole.
    pub fn calls<'a>(
        &'a self,
        columns: &'a Columns,
    ) -> Result<impl ExactSizeIterator<Item = Result<Call, TxError>> + 'a, Invalid> {
        let count = columns.count();
        if let Some(hole) = self.holes.iter().find(|hole| hole.column >= count) {
            return Err(Invalid::new("columns", format!("{count}, {:?} takes column {}", hole.fills, hole.column)));
        }
        if let Some(column) = (0..count).find(|column| self.holes.iter().all(|hole| hole.column != *column)) {
            return Err(Invalid::new("columns", format!("column {column} fills nothing")));
        }
        let mut row = Vec::with_capacity(count);
        Ok((0..columns.rows()).map(move |index| {
            row.clear();
            row.extend(columns.columns.iter().map(|column| column[index]));
            self.row(&row)
        }))
    }
}

/// What a parameter gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// The column with this index.
    Column(usize),
    /// The same word in all rows.
    Constant(U256),
}

/// The answers to the rows of a template, as columns: shorter than the rows only where the simulation was cancelled.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateResults {
    /// How each row ended: one of the constants of this type.
    pub status: Vec<u8>,
    /// Zero for an error.
    pub gas_used: Vec<u64>,
    /// Return and revert data, one behind the other.
    pub output: Vec<u8>,
    /// Where each row's output starts, and at last where all end: one more than rows.
    pub offsets: Vec<usize>,
    /// Rows that are errors, in order.
    pub errors: Vec<(usize, TxError)>,
    /// Counts, routes, fallbacks, time.
    pub summary: Summary,
}

impl TemplateResults {
    /// Stop, return or self-destruct.
    pub const SUCCESS: u8 = 1;
    /// REVERT.
    pub const REVERT: u8 = 2;
    /// Exceptional halt.
    pub const HALT: u8 = 3;
    /// The row has no result; [`TemplateResults::errors`] says why.
    pub const ERROR: u8 = 4;

    pub(crate) fn with_capacity(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            status: Vec::with_capacity(rows),
            gas_used: Vec::with_capacity(rows),
            output: Vec::new(),
            offsets,
            errors: Vec::new(),
            summary: Summary::default(),
        }
    }

    pub(crate) fn push(&mut self, answer: Answer) {
        let (status, gas_used) = match answer {
            Ok(result) => {
                self.output.extend_from_slice(&result.output);
                let status = match result.status {
                    TxStatus::Success => Self::SUCCESS,
                    TxStatus::Revert => Self::REVERT,
                    TxStatus::Halt => Self::HALT,
                };
                (status, result.gas_used)
            }
            Err(error) => {
                self.errors.push((self.rows(), error));
                (Self::ERROR, 0)
            }
        };
        self.status.push(status);
        self.gas_used.push(gas_used);
        self.offsets.push(self.output.len());
    }

    /// Rows answered.
    pub const fn rows(&self) -> usize {
        self.status.len()
    }

    /// The return or revert data of a row; `None` beyond the last.
    pub fn output(&self, row: usize) -> Option<&[u8]> {
        self.output.get(*self.offsets.get(row)?..*self.offsets.get(row + 1)?)
    }

    /// The `n`-th word that each row returned; `None` where it returned fewer or did not succeed.
    pub fn words(&self, n: usize) -> Vec<Option<U256>> {
        let word = |row| {
            let start = n.checked_mul(32)?;
            let bytes = self.output(row)?.get(start..start.checked_add(32)?)?;
            (self.status[row] == Self::SUCCESS).then(|| U256::from_be_slice(bytes))
        };
        (0..self.rows()).map(word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        context::Context,
        engine::Engine,
        fixture,
        simulate::{AccountOverride, Options, StateOverrides, address_word},
    };
    use alloy_primitives::hex;
    use std::sync::Arc;

    fn word(value: u64) -> U256 {
        U256::from(value)
    }

    #[test]
    fn calldata_is_that_of_the_specification() {
        // `baz(69, true)` of the Solidity ABI specification.
        let expected = hex!(
            "cdcd77c0"
            "0000000000000000000000000000000000000000000000000000000000000045"
            "0000000000000000000000000000000000000000000000000000000000000001"
        );
        let baz = Function::parse("baz(uint32 x,bool y)").unwrap();
        let columns = Template::function("baz(uint32 x,bool y)", Call::default()).unwrap();
        assert_eq!(columns.row(&[word(69), word(1)]).unwrap().input.as_ref(), expected);
        let arguments = [Argument::Constant(word(69)), Argument::Column(0)];
        let mixed = Template::with_arguments(&baz, &arguments, Call::default()).unwrap();
        assert_eq!(mixed.row(&[word(1)]).unwrap().input.as_ref(), expected);
        assert_eq!(mixed.holes(), [Hole { column: 0, fills: Fills::Input(36, WordType::Bool) }]);
        assert_eq!(columns.row(&[word(1) << 32, word(1)]).unwrap_err().to_string().split(':').next(), Some("input"));
        assert!(columns.row(&[word(69), word(2)]).is_err() && columns.row(&[word(69)]).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused_before_anything_runs() {
        let hole = |offset| Hole { column: 0, fills: Fills::Input(offset, WordType::Uint(256)) };
        let call = Call { input: vec![0; 36].into(), ..Call::default() };
        assert!(Template::new(call.clone(), vec![hole(4)]).is_ok());
        for offset in [5, 36, usize::MAX] {
            assert_eq!(Template::new(call.clone(), vec![hole(offset)]).unwrap_err().field, "input");
        }
        let baz = Function::parse("baz(uint32,bool)").unwrap();
        let wrong = [Argument::Column(0), Argument::Constant(word(2))];
        for arguments in [&wrong[..1], &wrong] {
            assert_eq!(Template::with_arguments(&baz, arguments, Call::default()).unwrap_err().field, "arguments");
        }
        assert_eq!(Columns::new(vec![vec![word(1)], vec![]]).unwrap_err().field, "columns");
        let template = Template::function("baz(uint32,bool)", Call::default()).unwrap();
        for count in [0, 1, 3] {
            let columns = Columns::new(vec![vec![word(1)]; count]).unwrap();
            assert_eq!(template.calls(&columns).err().map(|error| error.field), Some("columns"), "{count}");
        }
    }

    #[test]
    fn every_field_can_be_a_column() {
        let holes = [Fills::From, Fills::To, Fills::Value, Fills::Gas];
        let holes = holes.into_iter().enumerate().map(|(column, fills)| Hole { column, fills });
        let template = Template::new(Call::default(), holes.collect()).unwrap();
        let (from, to) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let row = [address_word(from), address_word(to), U256::MAX, word(u64::MAX)];
        let call = Call { from, to: Some(to), value: U256::MAX, gas: Some(u64::MAX), ..Call::default() };
        assert_eq!(template.row(&row).unwrap(), call);
        for (column, field) in [(0, "from"), (1, "to"), (3, "gas")] {
            let mut row = row;
            row[column] = U256::MAX;
            assert!(
                matches!(template.row(&row), Err(TxError::Invalid(Invalid { field: named, .. })) if named == field)
            );
        }
    }

    #[test]
    fn answers_come_as_columns() {
        let (block, state) = fixture::block();
        let [echo, halt] = [0x51, 0x52].map(Address::repeat_byte);
        // Returns the argument twice: PUSH1 4 CALLDATALOAD DUP1 PUSH1 0 MSTORE PUSH1 32 MSTORE PUSH1 64 PUSH1 0 RETURN.
        let codes = [(echo, hex!("6004358060005260205260406000f3").to_vec()), (halt, hex!("fe").to_vec())];
        let accounts = codes.map(|(address, code)| {
            (address, AccountOverride { code: Some(code.into()), ..AccountOverride::default() })
        });
        let overrides = Arc::new(StateOverrides { accounts: accounts.into() });
        let call = Call::default().with_gas(100_000).with_state(overrides);
        let template = Template::function("echo(uint256)", call).unwrap().with_hole(1, Fills::To).unwrap();
        let to = [echo, fixture::REVERTER, halt, echo].map(address_word);
        let columns = Columns::new(vec![vec![word(5); 5], [to.as_slice(), &[U256::MAX]].concat()]).unwrap();
        let base = Context { env: &block.env, state: &state };
        let engine = Engine::builder().threads(1).build().unwrap();
        let results = engine.simulate_template(&base, &template, &columns, &Options::default()).unwrap();
        type T = TemplateResults;
        assert_eq!(results.status, [T::SUCCESS, T::REVERT, T::HALT, T::SUCCESS, T::ERROR]);
        assert_eq!(results.offsets, [0, 64, 64, 64, 128, 128]);
        assert_eq!(results.output(3), Some([word(5).to_be_bytes::<32>(); 2].concat().as_slice()));
        for n in [0, 1] {
            assert_eq!(results.words(n), [Some(word(5)), None, None, Some(word(5)), None]);
        }
        assert!(results.words(2).iter().chain(&results.words(usize::MAX)).all(Option::is_none));
        assert_eq!((results.gas_used[2], results.gas_used[4], results.output(5)), (100_000, 0, None));
        assert_eq!(results.errors.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [4]);
        assert_eq!((results.summary.calls, results.summary.errors), (5, 1));
    }
}
