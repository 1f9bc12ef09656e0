"""The stores against plain lists: random lives with crashes, damage, full disks and changing uplinks.

    model.py      what a store must hold, as lists and sets
    life.py       one store in the hands of such a life
    machine.py    the rules Hypothesis chooses from, and what must hold after each of them
    seeded.py     each patch of ``bugs/`` is a fault that these tests, the enumerator or the unit tests find

``python -m tests.storage_model --bugs`` tries the faults one by one.
"""
