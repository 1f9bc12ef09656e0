"""Power cuts, enumerated: every disk state that a cut may leave of what a program wrote.

    record.py, trace.py   strace's account of a running program -> operations on files, and what it promised
    disk.py               a model of a disk: what is durable, what may or may not have been written
    stories.py, site.py   the recorded programs: the buffer driven as the agent drives it; the agent itself
    told.py               what had been promised up to a cut
    judge.py              opens one disk state with the program under test, and compares
    enumerator.py         which states, by how many processes

``make test-crash``, or ``python -m tests.crash --help``.
"""
