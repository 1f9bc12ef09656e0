"""Against implementations that share no code with ours or with our client libraries: ``make test-interop``.

pyModbusTCP's server, the C library snap7's server, node-opcua's server. Each runs in a process of its own,
from a cache under ``var/interop`` that ``cache`` fills; none of them is ever imported here.
"""
