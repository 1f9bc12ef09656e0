"""pyModbusTCP's server, values packed by its own functions. Argument: port. Runs in the cache's environment.

Lines on stdin: ``registers ADDRESS COUNT`` and ``coils ADDRESS COUNT`` print what the server holds now.
"""

import json
import sys

from pyModbusTCP.server import ModbusServer
from pyModbusTCP.utils import encode_ieee, get_2comp, long_list_to_word

INT32 = get_2comp(-123456789, 32)
FLOAT = encode_ieee(0.1)
DOUBLE = encode_ieee(-2.5e-7, double=True)


def main() -> None:
    server = ModbusServer("127.0.0.1", int(sys.argv[1]), no_block=True)
    bank = server.data_bank
    bank.set_holding_registers(0, [54321, get_2comp(-12345, 16)])
    bank.set_holding_registers(10, long_list_to_word([INT32]))
    bank.set_holding_registers(12, long_list_to_word([INT32], big_endian=False))
    bank.set_holding_registers(20, long_list_to_word([FLOAT]))
    bank.set_holding_registers(22, long_list_to_word([FLOAT], big_endian=False))
    bank.set_holding_registers(30, long_list_to_word([DOUBLE], long_long=True))
    bank.set_holding_registers(40, long_list_to_word([2**63 + 12345], long_long=True))
    bank.set_holding_registers(65_535, [7])
    bank.set_input_registers(5, [1005])
    bank.set_coils(3, [True, False, True])
    bank.set_discrete_inputs(8, [False, True])
    server.start()
    print(json.dumps({"port": server.port}), flush=True)
    for line in sys.stdin:
        what, address, count = line.split()
        get = bank.get_holding_registers if what == "registers" else bank.get_coils
        print(json.dumps(get(int(address), int(count))), flush=True)


if __name__ == "__main__":
    main()
