"""The C library snap7's server, values packed by its Python wrapper. Argument: port. Runs in the cache's
environment.

Lines on stdin: ``bytes START COUNT`` prints what DB1 holds now, as hex.
"""

import ctypes
import json
import sys
from importlib.metadata import version

import snap7
from snap7.util import (
    set_bool,
    set_dint,
    set_dword,
    set_int,
    set_real,
    set_string,
    set_udint,
    set_usint,
    set_word,
)


def main() -> None:
    block = (ctypes.c_uint8 * 512)()
    image = bytearray(512)
    set_bool(image, 0, 3, True)
    set_bool(image, 0, 4, False)
    set_usint(image, 1, 200)
    set_int(image, 2, -12345)
    set_word(image, 4, 54321)
    set_dint(image, 8, -123456789)
    set_dword(image, 12, 3123456789)
    set_real(image, 16, 0.1)
    set_udint(image, 24, 4000000000)
    set_string(image, 40, "press 1", 20)
    set_int(image, 500, 77)
    block[:] = image
    server = snap7.server.Server(log=False)
    server.register_area(snap7.types.srvAreaDB, 1, block)
    server.start(tcpport=int(sys.argv[1]))
    print(json.dumps({"port": int(sys.argv[1]), "snap7": version("python-snap7")}), flush=True)
    for line in sys.stdin:
        _, start, count = line.split()
        print(json.dumps(bytes(block)[int(start) : int(start) + int(count)].hex()), flush=True)
    server.stop()


if __name__ == "__main__":
    main()
