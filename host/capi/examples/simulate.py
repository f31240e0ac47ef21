"""Asks a contract in several ways from Python: on the snapshot, in a sequence, with overrides and an access list. The twin of simulate.c.

    python3 host/capi/examples/simulate.py target/release/liblockstep.so
"""

import ctypes
import sys

from lockstep import OSAKA, TOO_SMALL, AccessLists, Answers, BlockEnv, Calls, Lockstep, Out, Overrides, State
from lockstep import column, items, make_room, numbers, octets, strings

# Adds one to its slot 0, and returns it.
COUNTER = bytes.fromhex("5f54600101805f555f5260205ff3")
ADDRESS = bytes([0xCC]) + bytes(19)
CALLS = 6


def word(number):
    return number.to_bytes(32, "big")


def main(path):
    lockstep = Lockstep(path)
    env = BlockEnv(chain_id=1, number=1, gas_limit=30_000_000, fork=OSAKA)

    # The snapshot: the counter stands at 6. A code is known by its hash.
    code_hash = (ctypes.c_uint8 * 32)()
    lockstep.check(lockstep.call("lockstep_keccak256", strings([COUNTER]), Out(code_hash, 32)))
    state = State(
        addresses=octets(ADDRESS),
        balances=octets(word(0)),
        nonces=numbers([1]),
        code_hashes=octets(bytes(code_hash)),
        codes=strings([COUNTER]),
        slot_addresses=octets(ADDRESS),
        slot_keys=octets(word(0)),
        slot_values=octets(word(6)),
    )

    # Calls 0 to 2 are one sequence, the others are alone: the 3rd as it is, the 4th where the counter stands at 40 and its slot is warm, the
    # 5th with a wei that its sender has not.
    overrides = Overrides(
        account_offsets=numbers([0, 1]),
        addresses=octets(ADDRESS),
        flags=octets(bytes(1)),
        slot_offsets=numbers([0, 1]),
        slot_keys=octets(word(0)),
        slot_values=octets(word(40)),
    )
    listed = AccessLists(numbers([0, 0, 0, 0, 0, 1, 1]), octets(ADDRESS), numbers([0, 1]), octets(word(0)))
    calls = Calls(
        from_=octets(bytes(20 * CALLS)),
        to=octets(ADDRESS * CALLS),
        values=octets(word(0) * 5 + word(1)),
        inputs=strings([b""] * CALLS),
        access_lists=listed,
        overrides=overrides,
        overrides_of=numbers([0, 0, 0, 0, 1, 0]),
        sequences=numbers([0, 3, 4, 5, 6]),
    )

    # Nothing has room yet, so the answers are kept, and the outputs say what they take.
    answers = Answers()
    code = lockstep.call("lockstep_simulate", env, state, calls, answers)
    if code != TOO_SMALL:
        lockstep.check(code)
    make_room(answers)
    lockstep.check(lockstep.call("lockstep_simulate", None, None, None, answers))
    outputs, errors = items(answers.outputs, answers.output_offsets), items(answers.errors, answers.error_offsets)
    for index, (status,) in enumerate(column(answers.statuses, 1)):
        if status == 1:
            print(f"call {index}: {outputs[index][-1]} after {answers.gas_used.data[index]} gas")
        else:
            print(f"call {index}: status {status}: {errors[index].decode()}")
    lockstep.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: simulate.py LIBRARY")
    main(sys.argv[1])
