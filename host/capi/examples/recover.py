"""Recovers the senders of raw transactions from Python, checks them, and says how fast it was.

    python3 host/capi/examples/recover.py target/release/liblockstep.so FILE

FILE is that of recover.c beside this one. Only ctypes is used; an array of numpy's would do as well (`array.ctypes.data`).
"""

import ctypes
import mmap
import struct
import sys
import time
from ctypes import POINTER, byref, c_char_p, c_int32, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p

ABI_VERSION = 2
OK = 1
CPU = 1


class Bytes(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("len", c_size_t)]


class U64s(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("len", c_size_t)]


class Items(ctypes.Structure):
    _fields_ = [("bytes", Bytes), ("offsets", U64s)]


class Out(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("capacity", c_size_t), ("len", c_size_t)]


class Options(ctypes.Structure):
    _fields_ = [("backend", c_uint32), ("flags", c_uint32), ("threads", c_size_t), ("device", Bytes)]


class Signatures(ctypes.Structure):
    _fields_ = [("raw", Items), ("hashes", Bytes), ("r", Bytes), ("s", Bytes), ("parities", Bytes), ("flags", c_uint32)]


NAMES = ("addresses", "statuses", "authority_offsets", "authorities", "authority_statuses", "errors", "error_offsets")


class Signers(ctypes.Structure):
    _fields_ = [(name, Out) for name in NAMES]


def load(path):
    library = ctypes.CDLL(path)
    library.lockstep_abi_version.restype = c_uint32
    library.lockstep_create.argtypes = [c_uint32, POINTER(Options), POINTER(c_uint64)]
    library.lockstep_recover.argtypes = [c_uint64, POINTER(Signatures), POINTER(Signers)]
    library.lockstep_destroy.argtypes = [c_uint64]
    library.lockstep_last_error.argtypes = [c_uint64, c_char_p, c_size_t]
    library.lockstep_last_error.restype = c_size_t
    return library


def check(library, code):
    if code != OK:
        text = ctypes.create_string_buffer(512)
        library.lockstep_last_error(0, text, len(text))
        raise RuntimeError(f"code {c_int32(code).value}: {text.value.decode()}")


def main(path, file):
    library = load(path)
    with open(file, "rb") as opened:
        data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
    (count,) = struct.unpack_from("<Q", data, 0)
    start = 8 + 8 * (count + 1)
    (length,) = struct.unpack_from("<Q", data, start - 8)
    expected = data[start + length :]
    # Where the file lies in memory: nothing of it is copied.
    view = (c_uint8 * len(data)).from_buffer(data)
    base = ctypes.addressof(view)

    handle = c_uint64()
    check(library, library.lockstep_create(ABI_VERSION, byref(Options(backend=CPU)), byref(handle)))
    signatures = Signatures(raw=Items(Bytes(base + start, length), U64s(base + 8, count + 1)))
    addresses = (c_uint8 * (20 * count))()
    statuses = (c_uint8 * count)()
    signers = Signers(
        addresses=Out(ctypes.addressof(addresses), 20 * count), statuses=Out(ctypes.addressof(statuses), count)
    )
    best = least = float("inf")
    for _ in range(5):
        begin, used = time.perf_counter(), time.process_time()
        # ctypes gives up the interpreter's lock meanwhile: other threads of Python run on.
        check(library, library.lockstep_recover(handle, byref(signatures), byref(signers)))
        best, least = min(best, time.perf_counter() - begin), min(least, time.process_time() - used)
        if bytes(statuses) != bytes([OK]) * count or bytes(addresses) != expected:
            raise RuntimeError("another sender than expected")
    print(f"{count} senders in {best:.6f} s: {count / best:.0f} a second, {least / count * 1e9:.1f} ns of CPU time each")
    check(library, library.lockstep_destroy(handle))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: recover.py LIBRARY FILE")
    main(*sys.argv[1:])
