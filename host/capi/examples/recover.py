"""Recovers the senders of raw transactions from Python, checks them, and says how fast it was.

    python3 host/capi/examples/recover.py target/release/liblockstep.so FILE

FILE is that of recover.c beside this one. Only ctypes is used; an array of numpy's would do as well (`array.ctypes.data`).
"""

import ctypes
import mmap
import struct
import sys
import time
from ctypes import c_uint8, c_uint64

from lockstep import OK, Bytes, Items, Lockstep, Out, Signatures, Signers, U64s


def main(path, file):
    with open(file, "rb") as opened:
        data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
    (count,) = struct.unpack_from("<Q", data, 0)
    start = 8 + 8 * (count + 1)
    (length,) = struct.unpack_from("<Q", data, start - 8)
    expected = data[start + length :]
    # Where the file lies in memory: nothing of it is copied.
    view = (c_uint8 * len(data)).from_buffer(data)
    offsets = (c_uint64 * (count + 1)).from_buffer(data, 8)

    lockstep = Lockstep(path)
    signatures = Signatures(raw=Items(Bytes(ctypes.addressof(view) + start, length), U64s(offsets, count + 1)))
    addresses = (c_uint8 * (20 * count))()
    statuses = (c_uint8 * count)()
    signers = Signers(addresses=Out(addresses, 20 * count), statuses=Out(statuses, count))
    best = least = float("inf")
    for _ in range(5):
        begin, used = time.perf_counter(), time.process_time()
        lockstep.check(lockstep.call("lockstep_recover", signatures, signers))
        best, least = min(best, time.perf_counter() - begin), min(least, time.process_time() - used)
        if bytes(statuses) != bytes([OK]) * count or bytes(addresses) != expected:
            raise RuntimeError("another sender than expected")
    print(f"{count} senders in {best:.6f} s: {count / best:.0f} a second, {least / count * 1e9:.1f} ns of CPU time each")
    lockstep.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: recover.py LIBRARY FILE")
    main(*sys.argv[1:])
