//! `--template`: a call as JSON, and which column of a CSV fills what of it.

use super::calls::{CallReader, json, word};
use alloy_primitives::U256;
use lockstep::{
    error::{Invalid, TxError},
    simulate::{Argument, Call, Fills, Function, Parameter, Template, WordType},
};
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
};

/// A template is a call: a longer file is a mistake.
const LONGEST: u64 = 16 << 20;

/// The text of the flag, or of the file that it names.
pub(super) fn source(flag: &str) -> Result<Vec<u8>, String> {
    if flag.trim_start().starts_with('{') {
        return Ok(flag.as_bytes().to_vec());
    }
    let read = || {
        let mut text = Vec::new();
        File::open(flag)?.take(LONGEST).read_to_end(&mut text)?;
        Ok(text)
    };
    read().map_err(|cause: io::Error| format!("{flag}: {cause}"))
}

/// A template whose columns are known.
#[derive(Debug)]
pub(super) struct Bound {
    template: Template,
    /// Name and type of each.
    pub(super) columns: Vec<(String, WordType)>,
}

impl Bound {
    /// Finds what each column of `header` fills.
    ///
    /// # Errors
    /// The field of the template, or the column, that is wrong or missing.
    pub(super) fn new(text: &[u8], header: &[String]) -> Result<Self, String> {
        let draft = Draft::read(text)?;
        let filled = draft.bind(header)?;
        let is_to = |filled: &Filled| matches!(filled, Filled::Field(Fills::To));
        if draft.function.is_some() && draft.call.to.is_none() && !filled.iter().any(is_to) {
            return Err("to: missing: whom the template calls, or a column of that name".into());
        }
        let kinds = filled.iter().map(|filled| match filled {
            Filled::Field(fills) => fills.kind(),
            Filled::Parameter(index) => draft.parameters()[*index].kind,
        });
        let columns = header.iter().cloned().zip(kinds).collect();
        let template = draft.fill(&filled).map_err(|error| error.to_string())?;
        Ok(Self { template, columns })
    }

    /// The call of a row, which has a cell a column.
    pub(super) fn read(&self, cells: &[Cow<'_, str>]) -> Result<Call, TxError> {
        let value = |((name, kind), cell): (&(String, WordType), &Cow<'_, str>)| {
            kind.parse(cell).map_err(|error| Invalid::new("column", format!("{name}: {error}")))
        };
        let row: Vec<U256> = self.columns.iter().zip(cells).map(value).collect::<Result<_, _>>()?;
        self.template.row(&row)
    }
}

/// What a column fills.
#[derive(Clone, Copy, Debug)]
enum Filled {
    Field(Fills),
    Parameter(usize),
}

/// A template as JSON has it.
struct Draft {
    call: Call,
    function: Option<Function>,
    /// By parameter, those that are the same in all rows.
    constants: BTreeMap<usize, U256>,
    /// Names of the fields that have a value.
    fields: Vec<String>,
}

impl Draft {
    fn read(text: &[u8]) -> Result<Self, String> {
        let Value::Object(mut object) = json(text).map_err(|error| error.to_string())? else {
            return Err("not a JSON object".into());
        };
        let function = object.remove("function");
        let args = object.remove("args").unwrap_or_default();
        let fields: Vec<_> = object.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.clone()).collect();
        let call = CallReader::default().call(&Value::Object(object), text.len());
        let function = match &function {
            None => None,
            Some(_) if fields.iter().any(|key| key == "data" || key == "input") => {
                return Err("data: comes from the function: give one of them".into());
            }
            Some(value) => {
                let text = value.as_str().ok_or("function: not a string")?;
                Some(Function::parse(text).map_err(|error| error.to_string())?)
            }
        };
        let call = call.map_err(|error| error.to_string())?;
        let mut draft = Self { call, function, constants: BTreeMap::new(), fields };
        draft.constants = draft.constants(&args).map_err(|reason| format!("args: {reason}"))?;
        Ok(draft)
    }

    fn parameters(&self) -> &[Parameter] {
        self.function.as_ref().map_or(&[], |function| &function.parameters)
    }

    /// What parameters are called here: by their name, or by their position.
    fn names(&self) -> Vec<Cow<'_, str>> {
        let name = |(index, parameter): (usize, &'_ Parameter)| match &parameter.name {
            Some(name) => Cow::from(name.clone()),
            None => index.to_string().into(),
        };
        self.parameters().iter().enumerate().map(name).collect()
    }

    fn constants(&self, args: &Value) -> Result<BTreeMap<usize, U256>, String> {
        let names = self.names();
        let constant = |(key, value): (&String, &Value)| {
            let index = names.iter().position(|name| name == key);
            let index = index.ok_or_else(|| format!("no parameter {key:?}"))?;
            let word = word(value, self.parameters()[index].kind).map_err(|reason| format!("{key}: {reason}"))?;
            Ok((index, word))
        };
        match args {
            Value::Null => Ok(BTreeMap::new()),
            Value::Object(args) => args.iter().map(constant).collect(),
            _ => Err("not an object of values by parameter".into()),
        }
    }

    /// What each column fills: the parameter of its name, the field of its name, or the next parameter without one.
    fn bind(&self, header: &[String]) -> Result<Vec<Filled>, String> {
        let names = self.names();
        let is_named = |index: &usize| header.iter().any(|column| *column == names[*index]);
        let is_constant = |index: &usize| self.constants.contains_key(index);
        if let Some(both) = (0..names.len()).find(|index| is_named(index) && is_constant(index)) {
            return Err(format!("parameter {:?} is in args and a column: give one of them", names[both]));
        }
        let is_open = |index: &usize| !is_named(index) && !is_constant(index);
        let mut open = (0..names.len()).filter(is_open).peekable();
        let mut filled = Vec::new();
        for (at, column) in header.iter().enumerate() {
            if header[..at].contains(column) {
                return Err(format!("column {column:?} is there twice"));
            }
            if let Some(index) = names.iter().position(|name| name == column) {
                filled.push(Filled::Parameter(index));
            } else if let Some(fills) = field(column) {
                if self.fields.contains(column) {
                    return Err(format!("{column} is in the template and a column: give one of them"));
                }
                filled.push(Filled::Field(fills));
            } else if let Some(index) = open.next_if(|index| self.parameters()[*index].name.is_none()) {
                filled.push(Filled::Parameter(index));
            } else {
                let known: Vec<_> = names.iter().map(|name| &**name).chain(["from", "to", "value", "gas"]).collect();
                return Err(format!("unknown column {column:?}: the template takes {}", known.join(", ")));
            }
        }
        match open.next() {
            Some(missing) => {
                let kind = self.parameters()[missing].kind;
                Err(format!("no column {:?}, and it is not in args: {kind}", names[missing]))
            }
            None => Ok(filled),
        }
    }

    fn fill(self, filled: &[Filled]) -> Result<Template, Invalid> {
        let constants = self.constants.into_iter().map(|(index, word)| (index, Argument::Constant(word)));
        let mut arguments: BTreeMap<usize, Argument> = constants.collect();
        let mut fields = Vec::new();
        for (column, filled) in filled.iter().enumerate() {
            match filled {
                Filled::Field(fills) => fields.push((column, *fills)),
                Filled::Parameter(index) => drop(arguments.insert(*index, Argument::Column(column))),
            }
        }
        let arguments: Vec<_> = arguments.into_values().collect();
        let template = match &self.function {
            Some(function) => Template::with_arguments(function, &arguments, self.call)?,
            None => Template::new(self.call, Vec::new())?,
        };
        fields.into_iter().try_fold(template, |template, (column, fills)| template.with_hole(column, fills))
    }
}

/// The field of a call with a name.
fn field(name: &str) -> Option<Fills> {
    match name {
        "from" => Some(Fills::From),
        "to" => Some(Fills::To),
        "value" => Some(Fills::Value),
        "gas" => Some(Fills::Gas),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, hex};

    const TO: Address = Address::repeat_byte(0x11);

    fn bound(template: &str, header: &str) -> Result<Bound, String> {
        let header: Vec<_> = header.split(',').map(str::to_owned).collect();
        Bound::new(template.replace("TO", &TO.to_string()).as_bytes(), &header)
    }

    fn read(template: &str, header: &str, row: &str) -> Result<Call, String> {
        let cells: Vec<_> = row.split(',').map(Cow::from).collect();
        bound(template, header)?.read(&cells).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_fill_parameters_and_fields() {
        let expected = hex!(
            "cdcd77c0"
            "0000000000000000000000000000000000000000000000000000000000000045"
            "0000000000000000000000000000000000000000000000000000000000000001"
        );
        let call = Call::new(Address::ZERO, TO, expected.to_vec());
        for (template, header, row) in [
            (r#"{"to":"TO","function":"baz(uint32 x,bool y)"}"#, "y,x", "true,69"),
            (r#"{"to":"TO","function":"baz(uint32,bool)"}"#, "first,second", "69,true"),
            (r#"{"to":"TO","function":"baz(uint32,bool y)"}"#, "y,first", "1,0x45"),
            (r#"{"to":"TO","function":"baz(uint32 x,bool y)","args":{"y":true}}"#, "x", "69"),
            (r#"{"to":"TO","function":"baz(uint32,bool)","args":{"0":69}}"#, "only", "true"),
        ] {
            assert_eq!(read(template, header, row), Ok(call.clone()), "{template}");
        }
        let fields = read(
            r#"{"function":"baz(uint32 x,bool y)","gas":7}"#,
            "to,x,value,y,from",
            &format!("{TO},69,3,true,{TO}"),
        );
        assert_eq!(fields, Ok(Call { from: TO, value: U256::from(3), ..call }.with_gas(7)));
        let plain = read(r#"{"to":"TO","data":"0x01"}"#, "gas", "5");
        assert_eq!(plain, Ok(Call::new(Address::ZERO, TO, vec![1]).with_gas(5)));
        // A parameter goes before the field of its name.
        let transfer = read(r#"{"to":"TO","function":"transfer(address to,uint256 v)"}"#, "to,v", &format!("{TO},1"));
        assert_eq!((transfer.as_ref().unwrap().to, transfer.unwrap().input[35]), (Some(TO), 0x11));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (template, header, part) in [
            (r#"{"to":"TO","function":"f(uint8 x)"}"#, "y", "unknown column \"y\": the template takes x, from"),
            (r#"{"to":"TO","function":"f(uint8 x,bool y)"}"#, "x", "no column \"y\", and it is not in args: bool"),
            (r#"{"to":"TO","function":"f(uint8 x)"}"#, "x,x", "column \"x\" is there twice"),
            (r#"{"to":"TO","function":"f(uint8 x)","args":{"x":1}}"#, "x", "\"x\" is in args and a column"),
            (r#"{"to":"TO","function":"f(uint8 x)","args":{"y":1}}"#, "x", "args: no parameter \"y\""),
            (r#"{"to":"TO","function":"f(uint8 x)","args":{"x":256}}"#, "gas", "args: x: \"256\" is no uint8"),
            (r#"{"to":"TO","function":"f(uint8 x)","args":7}"#, "x", "args: not an object"),
            (r#"{"to":"TO","function":"f(uint8 x)","gas":1}"#, "x,gas", "gas is in the template and a column"),
            (r#"{"to":"TO","function":"f(bytes x)"}"#, "x", "function: parameter 0: bytes is dynamic"),
            (r#"{"to":"TO","function":"f(uint8 x)","data":"0x"}"#, "x", "data: comes from the function"),
            (r#"{"to":"TO","functio":"f(uint8 x)"}"#, "x", "unknown field \"functio\""),
            (r#"{"function":"f(uint8 x)"}"#, "x", "to: missing"),
            ("[]", "x", "not a JSON object"),
            ("{", "x", "not JSON"),
        ] {
            let error = bound(template, header).unwrap_err();
            assert!(error.contains(part), "{error}, expected {part}");
        }
        let template = r#"{"to":"TO","function":"f(uint8 x)"}"#;
        assert_eq!(read(template, "x", "256").unwrap_err(), "column: x: \"256\" is no uint8: it has more bits");
        assert!(read(template, "x", "").unwrap_err().starts_with("column: x: "));
    }
}
