//! Programs that call: every kind of call to every kind of target, with every outcome. What a caller can see of a call it
//! keeps in storage: success, return data, gas, memory, balances, warmness.

use crate::programs::{Calls, Code};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use lockstep::{fork::Fork, state::AccountInfo};

pub(crate) const CALL: u8 = 0xf1;
pub(crate) const CALLCODE: u8 = 0xf2;
pub(crate) const DELEGATECALL: u8 = 0xf4;
pub(crate) const STATICCALL: u8 = 0xfa;
pub(crate) const KINDS: [u8; 4] = [CALL, CALLCODE, DELEGATECALL, STATICCALL];

/// The operands of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args {
    pub(crate) kind: u8,
    /// `None` gives all there is.
    pub(crate) gas: Option<U256>,
    pub(crate) to: U256,
    pub(crate) value: U256,
    pub(crate) input: (u64, u64),
    pub(crate) output: (u64, u64),
}

impl Args {
    pub(crate) const fn new(kind: u8, to: U256) -> Self {
        Self { kind, gas: None, to, value: U256::ZERO, input: (0, 64), output: (32, 64) }
    }
}

pub(crate) fn word(address: Address) -> U256 {
    U256::from_be_slice(address.as_slice())
}

impl Code {
    /// A call, which leaves its success on the stack.
    pub(crate) fn call(self, args: &Args) -> Self {
        let code = self
            .push(U256::from(args.output.1))
            .push(U256::from(args.output.0))
            .push(U256::from(args.input.1))
            .push(U256::from(args.input.0));
        let code = if matches!(args.kind, CALL | CALLCODE) { code.push(args.value) } else { code };
        let code = code.push(args.to);
        match args.gas {
            Some(gas) => code.push(gas),
            None => code.op(0x5a),
        }
        .op(args.kind)
    }

    /// Memory that is not zero: two words at the start.
    pub(crate) fn fill(self) -> Self {
        let word = U256::from_be_bytes(keccak256(b"memory").0);
        self.push(word).push(U256::ZERO).op(0x52).push(word >> 7).push(U256::from(32)).op(0x52)
    }

    /// Keeps success (the top of the stack), return data, memory and gas in slots from `slot` on.
    pub(crate) fn observe(self, slot: u64) -> Self {
        self.keep(slot)
            .op(0x5a)
            .keep(slot + 1)
            .op(0x3d)
            .keep(slot + 2)
            .op(0x59)
            .push(U256::ZERO)
            .op(0x20)
            .keep(slot + 3)
            // The return data behind the memory so far, then the hash of all.
            .op(0x3d)
            .push(U256::ZERO)
            .push(U256::from(480))
            .op(0x3e)
            .op(0x3d)
            .push(U256::from(480))
            .op(0x20)
            .keep(slot + 4)
            .op(0x47)
            .keep(slot + 5)
    }

    /// Ends with memory from `at` on, `len` bytes of it.
    pub(crate) fn end(self, op: u8, at: u64, len: u64) -> Self {
        self.push(U256::from(len)).push(U256::from(at)).op(op)
    }

    /// All of the calldata to the start of memory.
    fn input(self) -> Self {
        self.op(0x36).push(U256::ZERO).push(U256::ZERO).op(0x37)
    }
}

/// A transaction whose target holds `balance`.
pub(crate) fn endowed(calls: &mut Calls, code: Code, balance: u64) {
    let code_hash = keccak256(&code.0);
    let target = calls.call(code.0, vec![], 900_000).to.unwrap_or_default();
    calls.state.insert_account(target, AccountInfo { balance: U256::from(balance), nonce: 1, code_hash });
}

/// Contracts to be called, by name.
#[derive(Debug)]
struct Callees {
    echo: U256,
    environment: U256,
    storer: U256,
    reverter: U256,
    halter: U256,
    burner: U256,
    logger: U256,
    payer: U256,
    all: Vec<U256>,
}

pub(crate) fn deploy(calls: &mut Calls, name: &str, code: Code, balance: u64) -> U256 {
    let address = Address::from_word(keccak256(name));
    let hash = keccak256(&code.0);
    let info = AccountInfo { balance: U256::from(balance), nonce: 1, code_hash: hash };
    calls.state.insert_account(address, info);
    calls.state.insert_code(hash, code.0.into());
    for slot in 0..3 {
        calls.state.insert_slot(address, U256::from(slot), U256::from(slot));
    }
    word(address)
}

/// Touches slots 0 and 1, a transient slot, a log and another account.
fn changes(fork: Fork) -> Code {
    let code = Code::default()
        .push(U256::from(9))
        .keep(0)
        .push(U256::ZERO)
        .keep(1)
        .push(U256::from(5))
        .push(U256::from(70))
        .push(U256::from(3))
        .op(0xa1)
        .push(U256::from(0xaaaa))
        .op(0x31)
        .op(0x50);
    if fork >= Fork::Cancun { code.push(U256::from(8)).push(U256::from(1)).op(0x5d) } else { code }
}

fn callees(calls: &mut Calls) -> Callees {
    let fork = calls.env.fork;
    let echo = deploy(calls, "echo", Code::default().input().op(0x36).push(U256::ZERO).op(0xf3), 0);
    let mut code = Code::default();
    for (index, op) in [0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3a, 0x3d, 0x47, 0x58, 0x59, 0x5a].into_iter().enumerate()
    {
        code = code.op(op).push(U256::from(32 * index)).op(0x52);
    }
    for (index, at) in [0_u64, 1, 31, 33, 63, 64, 1 << 40].into_iter().enumerate() {
        code = code.push(U256::from(at)).op(0x35).push(U256::from(384 + 32 * index)).op(0x52);
    }
    let code = code.push(U256::from(50)).push(U256::from(3)).push(U256::from(609)).op(0x37);
    let environment = deploy(calls, "environment", code.end(0xf3, 0, 700), 3);
    let storer = deploy(calls, "storer", changes(fork).end(0xf3, 0, 5), 0);
    let reverter = deploy(calls, "reverter", changes(fork).fill().end(0xfd, 1, 40), 7);
    let halter = deploy(calls, "halter", changes(fork).op(0xfe), 0);
    let burner = deploy(calls, "burner", changes(fork).op(0x5b).push(U256::from(changes(fork).0.len())).op(0x56), 0);
    let logger = deploy(calls, "logger", Code::default().fill().push(U256::from(7)).end(0xa1, 3, 35), 0);
    let to = Args { value: U256::from(2), ..Args::new(CALL, echo) };
    let payer = deploy(calls, "payer", Code::default().fill().call(&to).op(0x15).end(0xf3, 0, 96), 5);
    let all = vec![echo, environment, storer, reverter, halter, burner, logger, payer];
    Callees { echo, environment, storer, reverter, halter, burner, logger, payer, all }
}

/// Every kind of call.
pub fn calls(fork: Fork) -> Calls {
    let mut calls = Calls::new(fork);
    let callees = callees(&mut calls);
    kinds(&mut calls, &callees);
    gas(&mut calls, &callees);
    values(&mut calls, &callees);
    ranges(&mut calls, &callees);
    nesting(&mut calls, &callees);
    statics(&mut calls, &callees);
    return_data(&mut calls, &callees);
    warmness(&mut calls, &callees);
    delegations(&mut calls, &callees);
    calls
}

fn kinds(calls: &mut Calls, callees: &Callees) {
    let absent = U256::from(0xabcd);
    let dirty = callees.environment | (U256::MAX << 160);
    for kind in KINDS {
        for to in callees.all.iter().copied().chain([absent, dirty]) {
            let args = Args::new(kind, to);
            let code = Code::default().fill().call(&args).observe(10);
            calls.call(code.clone().0, vec![], 1_000_000);
            // Twice: warm, and on what the first call left.
            calls.call(code.call(&args).observe(20).end(0xf3, 0, 100).0, vec![], 2_000_000);
        }
    }
}

fn gas(calls: &mut Calls, callees: &Callees) {
    let asks = [0, 1, 100, 700, 2299, 2300, 2301, 5000, 30_000, u64::from(u32::MAX), u64::MAX];
    for kind in KINDS {
        for ask in asks.into_iter().map(U256::from).chain([U256::from(1) << 64, U256::MAX]) {
            for to in [callees.environment, callees.burner, callees.storer] {
                let args = Args { gas: Some(ask), ..Args::new(kind, to) };
                calls.call(Code::default().call(&args).observe(10).0, vec![], 400_000);
            }
        }
        // The gas of the transaction runs out before, in and after the call.
        for limit in (21_000..26_500).step_by(197).chain((60_000..160_000).step_by(9_973)) {
            let args = Args::new(kind, callees.storer);
            calls.call(Code::default().call(&args).keep(9).0, vec![], limit);
        }
    }
}

fn values(calls: &mut Calls, callees: &Callees) {
    let sender = Address::from_word(keccak256(b"payee"));
    calls.state.insert_account(sender, AccountInfo { balance: U256::from(1), ..AccountInfo::default() });
    for kind in [CALL, CALLCODE] {
        for to in
            [callees.environment, callees.reverter, callees.halter, callees.payer, word(sender), U256::from(0xdead)]
        {
            for value in [1, 2, 3, 1000, 1001, u64::MAX] {
                for ask in [Some(U256::ZERO), None] {
                    let args = Args { gas: ask, value: U256::from(value), ..Args::new(kind, to) };
                    let code = Code::default().call(&args).observe(10).push(to).op(0x31).keep(30);
                    let code = code.push(to).op(0x3f).keep(31);
                    endowed(calls, code, 1000);
                }
            }
        }
        // To itself, to the sender, to the beneficiary; more than it has, too.
        for own in [0x30, 0x32, 0x41] {
            for value in [0_u64, 1, 1 << 40] {
                // A call with data ends at once, so that calling itself does too.
                let code = Code(vec![0x36, 0x15, 0x60, 0x06, 0x57, 0x00, 0x5b])
                    .push(U256::ZERO)
                    .push(U256::ZERO)
                    .push(U256::from(3))
                    .push(U256::ZERO)
                    .push(U256::from(value))
                    .op(own)
                    .push(U256::from(40_000))
                    .op(kind)
                    .observe(10);
                calls.call(code.0, vec![], 500_000);
            }
        }
    }
}

fn ranges(calls: &mut Calls, callees: &Callees) {
    let places = [(0_u64, 0_u64), (0, 1), (1, 31), (31, 33), (32, 32), (5, 100), (64, 3), (200, 0), (70, 70)];
    for input in places {
        for output in places {
            let args = Args { input, output, ..Args::new(CALL, callees.echo) };
            calls.call(Code::default().fill().call(&args).observe(10).0, vec![], 500_000);
        }
    }
    for far in [U256::from(u32::MAX), U256::from(1) << 40, U256::MAX] {
        for len in [U256::ZERO, U256::ONE, far] {
            // Each of the four operands in turn is far out.
            for (output, input) in [((len, far), (32, 0)), ((U256::from(32), U256::ZERO), (1, 1))] {
                let code =
                    Code::default().push(output.0).push(output.1).push(U256::from(input.0)).push(U256::from(input.1));
                calls.call(code.push(callees.echo).op(0x5a).op(STATICCALL).observe(10).0, vec![], 500_000);
                let code = Code::default().push(U256::from(3)).push(U256::ZERO).push(len).push(far);
                calls.call(code.push(callees.echo).op(0x5a).op(DELEGATECALL).observe(10).0, vec![], 500_000);
            }
        }
    }
}

fn nesting(calls: &mut Calls, callees: &Callees) {
    // Calls itself by delegation until the counter in its calldata is zero, and returns a word more from each depth.
    for (kind, name) in [(CALL, "deep"), (DELEGATECALL, "deep by delegation"), (STATICCALL, "deep and static")] {
        let address = Address::from_word(keccak256(name));
        let counter = Code::default().push(U256::ZERO).op(0x35);
        let body = counter.op(0x80).op(0x15).op(0x61);
        let hole = body.0.len();
        let body = Code([body.0, vec![0, 0, 0x57]].concat())
            .push(U256::ONE)
            .op(0x90)
            .op(0x03)
            .push(U256::ZERO)
            .op(0x52)
            .call(&Args { input: (0, 32), output: (32, 4096), ..Args::new(kind, word(address)) })
            .op(0x3d)
            .op(0x01)
            .push(U256::ZERO)
            .op(0x52)
            .op(0x3d)
            .push(U256::from(32))
            .op(0x01)
            .push(U256::ZERO)
            .op(0xf3);
        let end = body.0.len() as u16;
        let mut body = body.op(0x5b).op(0x5a).push(U256::ZERO).op(0x52).end(0xf3, 0, 32);
        body.0[hole..hole + 2].copy_from_slice(&end.to_be_bytes());
        deploy(calls, name, body, 0);
        for depth in [0_u64, 1, 2, 5, 9] {
            let code = Code::default().push(U256::from(depth)).push(U256::ZERO).op(0x52);
            calls.call(code.call(&Args::new(CALL, word(address))).observe(10).0, vec![], 3_000_000);
        }
    }
    // A call fails above calls that changed things.
    for (name, ends) in [("fails late", 0xfd), ("halts late", 0xfe), ("stops", 0x00)] {
        let mut code = Code::default();
        for to in [callees.storer, callees.payer, callees.reverter, callees.logger] {
            code = code.call(&Args::new(CALL, to)).op(0x50).call(&Args::new(DELEGATECALL, to)).op(0x50);
        }
        let to = deploy(calls, name, code.push(U256::from(4)).push(U256::ZERO).op(ends), 9);
        for kind in KINDS {
            let code = Code::default().call(&Args::new(kind, to)).observe(10);
            let code = code.call(&Args::new(kind, callees.storer)).observe(20);
            calls.call(code.0, vec![], 3_000_000);
        }
    }
}

fn statics(calls: &mut Calls, callees: &Callees) {
    let mut bodies: Vec<Code> = [CALL, CALLCODE, DELEGATECALL, STATICCALL]
        .into_iter()
        .flat_map(|kind| {
            [0_u64, 1].map(|value| {
                let args = Args { value: U256::from(value), ..Args::new(kind, callees.logger) };
                Code::default().call(&args).push(U256::ZERO).op(0x52).end(0xf3, 0, 32)
            })
        })
        .collect();
    bodies.push(Code::default().push(U256::ONE).keep(0));
    bodies.push(Code::default().push(U256::ZERO).op(0x54).push(U256::ZERO).op(0x52).end(0xf3, 0, 32));
    bodies.extend(
        (0..=4).map(|topics| (0..topics + 2).fold(Code::default(), |code, _| code.push(U256::ONE)).op(0xa0 + topics)),
    );
    if calls.env.fork >= Fork::Cancun {
        bodies.push(Code::default().push(U256::ONE).push(U256::ONE).op(0x5d));
        bodies.push(Code::default().push(U256::ONE).op(0x5c).op(0x50));
    }
    for (index, body) in bodies.into_iter().enumerate() {
        let to = deploy(calls, &format!("static {index}"), body, 5);
        let code = Code::default().call(&Args::new(STATICCALL, to)).observe(10);
        calls.call(code.0, vec![], 500_000);
        // The frames below a static one are static too, whatever calls them.
        for kind in [CALL, DELEGATECALL] {
            let middle = Code::default().call(&Args::new(kind, to)).push(U256::ZERO).op(0x52).end(0xf3, 0, 32);
            let middle = deploy(calls, &format!("static {index} {kind}"), middle, 5);
            let code = Code::default().call(&Args::new(STATICCALL, middle)).observe(10);
            calls.call(code.0, vec![], 900_000);
        }
    }
}

fn return_data(calls: &mut Calls, callees: &Callees) {
    for (to, held) in [(callees.echo, 64_u64), (callees.reverter, 40), (callees.halter, 0), (U256::from(0xabcd), 0)] {
        for (at, len) in [(0, 0), (0, held), (held, 0), (held, 1), (1, held), (held + 1, 0), (3, 20)] {
            let code = Code::default().fill().call(&Args { output: (0, 0), ..Args::new(CALL, to) }).op(0x50);
            let code = code.push(U256::from(len)).push(U256::from(at)).push(U256::from(17)).op(0x3e);
            calls.call(code.op(0x59).push(U256::ZERO).op(0x20).keep(3).0, vec![], 500_000);
        }
    }
    for huge in [U256::from(u64::MAX), U256::from(1) << 64, U256::MAX] {
        for (at, len) in [(huge, U256::ZERO), (U256::ONE, huge), (huge, huge)] {
            let code = Code::default().fill().call(&Args::new(CALL, callees.echo)).op(0x50);
            calls.call(code.push(len).push(at).push(U256::ZERO).op(0x3e).0, vec![], 500_000);
        }
    }
    // What an earlier call returned is gone after a failed one, and in the callee.
    let code = Code::default().fill().call(&Args::new(CALL, callees.echo)).observe(10);
    for to in [callees.halter, callees.burner, callees.environment, callees.storer] {
        let again = code.clone().call(&Args { gas: Some(U256::from(50_000)), ..Args::new(CALL, to) }).observe(20);
        calls.call(again.end(0xf3, 0, 64).0, vec![], 900_000);
    }
}

fn warmness(calls: &mut Calls, callees: &Callees) {
    // What a call has warmed stays warm if it succeeds, and is cold again if not; so does the gas of its slots.
    for to in [callees.storer, callees.reverter, callees.halter, callees.logger] {
        let look = |code: Code, who: U256, slot: u64| {
            code.op(0x5a).push(who).op(0x31).op(0x50).op(0x5a).op(0x90).op(0x03).keep(slot)
        };
        let args = Args { gas: Some(U256::from(100_000)), ..Args::new(CALL, to) };
        let code = look(Code::default().call(&args).op(0x50), U256::from(0xaaaa), 10);
        let code = look(code, to, 11).call(&args).op(0x50);
        calls.call(look(code, U256::from(0xaaaa), 12).op(0x5a).keep(13).0, vec![], 900_000);
        let own = Args { gas: Some(U256::from(100_000)), ..Args::new(DELEGATECALL, to) };
        let code =
            Code::default().call(&own).op(0x50).op(0x5a).push(U256::ZERO).op(0x54).op(0x50).op(0x5a).op(0x90).op(0x03);
        calls.call(code.keep(10).push(U256::ONE).op(0x54).keep(11).0, vec![], 900_000);
        let tx = calls.call(Code::default().call(&args).observe(10).0, vec![], 900_000);
        tx.tx_type = lockstep::tx::TxType::AccessList;
        tx.access_list = vec![(Address::from_word(to.into()), vec![B256::ZERO]), (Address::with_last_byte(4), vec![])];
    }
}

/// Targets that delegate (EIP-7702): to code, to nothing, to a precompile, to another delegation, to themselves.
fn delegations(calls: &mut Calls, callees: &Callees) {
    let names = ["to code", "to a storer", "to nothing", "to a precompile", "to a delegation", "to itself"];
    let own = |name: &str| Address::from_word(keccak256(name));
    let to = [
        Address::from_word(callees.environment.into()),
        Address::from_word(callees.storer.into()),
        Address::repeat_byte(0x31),
        Address::with_last_byte(4),
        own(names[0]),
        own(names[5]),
    ];
    for (name, to) in names.into_iter().zip(to) {
        let code = Bytes::from([&[0xef, 0x01, 0x00], to.as_slice()].concat());
        let info = AccountInfo { balance: U256::from(4), nonce: 1, code_hash: keccak256(&code) };
        calls.state.insert_account(own(name), info);
        calls.state.insert_code(info.code_hash, code);
    }
    for name in names {
        for kind in KINDS {
            for value in [0_u64, 1] {
                let args = Args { value: U256::from(value), ..Args::new(kind, word(own(name))) };
                let code = Code::default().fill().call(&args).observe(10).call(&args).observe(20);
                endowed(calls, code, 100);
            }
            // Gas that ends between the delegator and the delegate, and a caller that goes on.
            let middle = Code::default().call(&Args::new(kind, word(own(name))));
            let middle = deploy(calls, &format!("calls {name} by {kind}"), middle, 0);
            for gas in (2_600..5_800).step_by(400) {
                let args = Args { gas: Some(U256::from(gas)), ..Args::new(CALL, middle) };
                let code = Code::default().call(&args).observe(10).call(&Args::new(CALL, callees.environment));
                calls.call(code.observe(20).0, vec![], 900_000);
            }
        }
    }
}
