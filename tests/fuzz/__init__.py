"""Bytes of a PLC, invented: whatever arrives, a driver raises an error of ``edge_agent.errors`` or nothing.

``loop``      an event loop whose connections answer with prepared bytes, and in which waiting takes no time
``targets``   what is fuzzed: by protocol and phase, through ``connect``, ``exchange``, ``prove``, ``decode``
``mutation``  seeded changes, for ``make test``
``guided``    coverage-guided, by atheris, in an environment of its own: ``make fuzz``
``corpus``    where both begin: honest and dishonest conversations as lines of hex
"""
