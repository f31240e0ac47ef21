"""Executes a block of one transaction on a snapshot from Python, and says what it did and what has changed: the twin of execute.c.

    python3 host/capi/examples/execute.py target/release/liblockstep.so
"""

import sys

from lockstep import OSAKA, STATE, STRICT, TOO_SMALL, WANT_CHANGES, BlockEnv, Lockstep, Results, State
from lockstep import column, make_room, numbers, octets, strings

# The example of EIP-155: one ether to 0x3535…35, at 20 gwei a unit of gas.
RAW = bytes.fromhex(
    "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a0"
    "28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
)
SENDER = bytes.fromhex("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f")
BENEFICIARY = bytes([0xBE]) + bytes(19)


def main(path):
    lockstep = Lockstep(path)
    env = BlockEnv(chain_id=1, number=1, gas_limit=30_000_000, base_fee=10**9, fork=OSAKA)
    env.beneficiary[:] = BENEFICIARY
    transactions = strings([RAW])

    # The sender's nonce is 9, and it has 2^61 wei. Whatever else is read has to be known not to exist: so far that is the beneficiary.
    state = State(
        addresses=octets(SENDER),
        balances=octets((2**61).to_bytes(32, "big")),
        nonces=numbers([9]),
        code_hashes=octets(bytes(32)),
        absent=octets(BENEFICIARY),
        flags=STRICT,
    )
    results = Results(wants=WANT_CHANGES)
    if lockstep.call("lockstep_execute", env, transactions, state, results) != STATE:
        raise RuntimeError("what is not in the snapshot was read")
    print(lockstep.last_error())

    # Now it is. Nothing has room yet, so the results are kept, and the outputs say what they take.
    state.absent = octets(BENEFICIARY + bytes([0x35]) * 20)
    code = lockstep.call("lockstep_execute", env, transactions, state, results)
    if code != TOO_SMALL:
        lockstep.check(code)
    make_room(results)
    lockstep.check(lockstep.call("lockstep_execute", None, None, None, results))

    for index, (status,) in enumerate(column(results.statuses, 1)):
        print(f"transaction {index}: status {status}, {results.tx_gas_used.data[index]} gas")
    accounts = zip(column(results.account_addresses, 20), column(results.account_balances, 32))
    for index, (address, balance) in enumerate(accounts):
        print(f"0x{address.hex()}: nonce {results.account_nonces.data[index]}, balance 0x{balance.hex()}")
    lockstep.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: execute.py LIBRARY")
    main(sys.argv[1])
