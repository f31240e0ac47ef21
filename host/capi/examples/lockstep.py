"""lockstep.h in ctypes, for the examples beside this one.

Structs keep what is put into them alive. An input column is `octets(b"…")`, `numbers([…])` or `strings([b"…", …])`; `make_room` gives outputs room.
"""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_size_t, c_uint8, c_uint32, c_uint64

ABI_VERSION = 2
OK, TOO_SMALL, STATE = 1, -8, -11
CPU = 1
OSAKA = 14
STRICT = 1
WANT_CHANGES = 4


class Bytes(ctypes.Structure):
    _fields_ = [("data", c_char_p), ("len", c_size_t)]


class U64s(ctypes.Structure):
    _fields_ = [("data", POINTER(c_uint64)), ("len", c_size_t)]


class Items(ctypes.Structure):
    _fields_ = [("bytes", Bytes), ("offsets", U64s)]


class Out(ctypes.Structure):
    _fields_ = [("data", POINTER(c_uint8)), ("capacity", c_size_t), ("len", c_size_t)]


class OutU64(ctypes.Structure):
    _fields_ = [("data", POINTER(c_uint64)), ("capacity", c_size_t), ("len", c_size_t)]


def fields(kind, names):
    return [(name, kind) for name in names.split()]


class Options(ctypes.Structure):
    _fields_ = [("backend", c_uint32), ("flags", c_uint32), ("threads", c_size_t), ("device", Bytes)]


class Signatures(ctypes.Structure):
    _fields_ = [("raw", Items), *fields(Bytes, "hashes r s parities"), ("flags", c_uint32)]


class Signers(ctypes.Structure):
    _fields_ = [
        *fields(Out, "addresses statuses"),
        ("authority_offsets", OutU64),
        *fields(Out, "authorities authority_statuses errors"),
        ("error_offsets", OutU64),
    ]


class BlockEnv(ctypes.Structure):
    _fields_ = [
        *fields(c_uint64, "chain_id number timestamp gas_limit base_fee excess_blob_gas blob_target blob_max blob_update_fraction"),
        *fields(c_uint32, "fork flags"),
        ("blob_price", c_uint8 * 16),
        *fields(c_uint8 * 32, "difficulty prevrandao"),
        ("beneficiary", c_uint8 * 20),
    ]


class State(ctypes.Structure):
    _fields_ = [
        *fields(Bytes, "addresses balances"),
        ("nonces", U64s),
        *fields(Bytes, "code_hashes slot_addresses slot_keys slot_values"),
        ("codes", Items),
        ("block_numbers", U64s),
        *fields(Bytes, "block_hashes absent"),
        ("flags", c_uint32),
    ]


class Results(ctypes.Structure):
    _fields_ = [
        ("token", c_uint64),
        *fields(c_uint32, "wants has_receipts_root"),
        *fields(c_uint64, "failed_tx gas_used"),
        *fields(c_uint8 * 32, "receipts_root transactions_root"),
        ("logs_bloom", c_uint8 * 256),
        *fields(Out, "statuses senders tx_hashes contract_addresses"),
        *fields(OutU64, "tx_gas_used cumulative_gas_used log_offsets"),
        ("outputs", Out),
        ("output_offsets", OutU64),
        *fields(Out, "log_addresses log_topics"),
        ("log_topic_offsets", OutU64),
        ("log_data", Out),
        ("log_data_offsets", OutU64),
        *fields(Out, "account_addresses account_changes account_balances"),
        ("account_nonces", OutU64),
        *fields(Out, "account_code_hashes slot_addresses slot_keys slot_values code_hashes codes"),
        ("code_offsets", OutU64),
    ]


class AccessLists(ctypes.Structure):
    _fields_ = [("account_offsets", U64s), ("addresses", Bytes), ("key_offsets", U64s), ("keys", Bytes)]


class Overrides(ctypes.Structure):
    _fields_ = [
        ("account_offsets", U64s),
        *fields(Bytes, "addresses flags balances"),
        ("nonces", U64s),
        ("codes", Items),
        ("slot_offsets", U64s),
        *fields(Bytes, "slot_keys slot_values"),
    ]


class Calls(ctypes.Structure):
    _fields_ = [
        *fields(Bytes, "from_ to creates values"),
        ("gas", U64s),
        ("inputs", Items),
        ("access_lists", AccessLists),
        ("overrides", Overrides),
        *fields(U64s, "overrides_of sequences"),
        ("flags", c_uint32),
    ]


class Answers(ctypes.Structure):
    _fields_ = [
        ("token", c_uint64),
        ("statuses", Out),
        ("gas_used", OutU64),
        *fields(Out, "contract_addresses outputs"),
        ("output_offsets", OutU64),
        ("errors", Out),
        ("error_offsets", OutU64),
    ]


def octets(data):
    return Bytes(data, len(data))


def numbers(values):
    return U64s((c_uint64 * len(values))(*values), len(values))


def strings(values):
    ends = [0]
    for value in values:
        ends.append(ends[-1] + len(value))
    return Items(octets(b"".join(values)), numbers(ends))


def make_room(struct):
    """Gives every output of a struct as much room as it says that it takes."""
    for name, kind in struct._fields_:
        if kind in (Out, OutU64):
            out = getattr(struct, name)
            out.data = ((c_uint8 if kind is Out else c_uint64) * out.len)()
            out.capacity = out.len


def column(out, size):
    """The elements of an output, each of so many bytes."""
    data = ctypes.string_at(out.data, out.len) if out.len else b""
    return [data[at : at + size] for at in range(0, len(data), size)]


def items(out, offsets):
    """The byte strings of an output, by their offsets."""
    data = ctypes.string_at(out.data, out.len) if out.len else b""
    return [data[offsets.data[at] : offsets.data[at + 1]] for at in range(offsets.len - 1)]


class Lockstep:
    """An engine on the CPU. ctypes gives up the interpreter's lock during a call: other threads of Python run on."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.lockstep_last_error.restype = c_size_t
        self.handle = c_uint64()
        self.check(self.library.lockstep_create(c_uint32(ABI_VERSION), byref(Options(backend=CPU)), byref(self.handle)))

    def call(self, name, *structs):
        """The code of a function; None is a null pointer."""
        return getattr(self.library, name)(self.handle, *(struct and byref(struct) for struct in structs))

    def check(self, code):
        if code != OK:
            raise RuntimeError(f"code {code}: {self.last_error()}")

    def last_error(self):
        text = ctypes.create_string_buffer(512)
        self.library.lockstep_last_error(c_uint64(0), text, c_size_t(len(text)))
        return text.value.decode()

    def close(self):
        self.check(self.library.lockstep_destroy(self.handle))
