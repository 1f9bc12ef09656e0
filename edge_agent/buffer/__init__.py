"""Store-and-forward: samples and events are kept until every uplink has settled them, and as history after.

Constraints
    the card wears out     1,000 tags at 1 s may cost 12 bytes written per sample, everything included
    the power goes         what was committed is there afterwards; what memory held (one flush) is told
    polling never waits    the event loop only hands over; encoding, commits and reads happen in threads
    the disk refuses       full, read-only, broken, slow: the agent runs on, from memory, and heals by itself
    nothing goes silently  every sample that will not be delivered stands in the ledger: extent and reason
    a key means one body   (stream, epoch, seq) is given out once, and only after its commit

Layout
    state directory
    ├── agent-id, agent-id.2   32 hex digits; each of these two in two copies with a CRC
    ├── epoch, epoch.2         a counter: + 1 at every start and with every new database
    ├── buffer.db  (+ -wal)    samples; SQLite, WAL, synchronous = FULL, one writing connection
    │     schema    digest -> columns: stored before the first segment that uses it
    │     segment   seq -> one schema's batches of one flush, packed, with a CRC over body and key
    │     position  per uplink: settled numbers as ranges, four counters; "" is the store: what it deleted
    │     quarantine, loss, run (one row per start, with the clean mark), meta
    │     offset    per boot whose clock had to be set: wall minus monotonic time, or that stamps are frozen
    ├── periods.db (+ -wal)    the same for period values, under the samples' epoch
    ├── events.db  (+ -wal)    the same around  event  and  window_state
    ├── ballast                8 MB to give up when the disk is full
    └── *.db.broken-N          set aside, the two newest; what is sound in them is stored again (salvage.py)

      event loop                           │ writer thread (one per file)    │ reader thread
      append ──> Memory, bounded           │                                 │
      flush  ──> batches, positions,       │  encode, then ONE transaction:  │
                 ledger, deletions ────────┼─>  insert, update, delete       │
      take LIVE  <── newest flush, in RAM <┼── commit (fsync) holds          │
      take BACKLOG ────────────────────────┼─────────────────────────────────┼─> rows, CRC, decode
      acknowledge, quarantine ──> Accounts │  (durable with the next flush)  │

Crash story
    before a commit     the batches of at most one flush are gone. The next start finds no clean mark and
                        writes the ledger row ``unclean_stop``: extent unknown, from the last commit to now.
    after a commit      nothing is gone. Acknowledgements since the last commit are: those segments are sent
                        again, under the same keys, and the receiver drops them.
    commit fails        nobody knows whether it holds: the connection is given up, and the revision in the
                        reopened file decides. A failed fsync is never tried again on the same handle.
    the disk is full    ballast goes, then history; below the floor of free space the file does not grow
    no room for long    85 % undelivered: one reading in five (thinning.py); 95 %: the oldest go
    the clock was off   held, corrected when sent, or frozen and marked; decided once, durably (stamps.py)
    a page is damaged   a segment that fails its CRC is skipped and written off; a file that SQLite calls
                        broken, that is no database or made by a newer program is set aside, epoch + 1, go on.
    everything lost     the epoch then starts at the wall clock's seconds: no key is ever given out twice.

Looking back
    Buffer.history      what is on disk and in memory, oldest first, page by page in the reader thread
    open_history        the same for commands, from the files alone, beside a running agent
    no index on time    a page per flush would be its price; halving finds a span as well (seek.py)

``docs/storage.md`` is the same for operators, with figures.
"""

from typing import TYPE_CHECKING, Any

from edge_agent.buffer.aside import Aside, Refused
from edge_agent.buffer.database import Tuning
from edge_agent.buffer.epoch import read_identity
from edge_agent.buffer.events import EventStore
from edge_agent.buffer.history import History, Recall, open_history
from edge_agent.buffer.ledger import Loss, loss_event
from edge_agent.buffer.notes import Notes
from edge_agent.buffer.samples import Buffer
from edge_agent.buffer.segment import Codec, SegmentCorrupt
from edge_agent.buffer.stamps import Offset, correction_event

if TYPE_CHECKING:
    from edge_agent.buffer.inspection import inspect

__all__ = [
    "Aside",
    "Buffer",
    "Codec",
    "EventStore",
    "History",
    "Loss",
    "Notes",
    "Offset",
    "Recall",
    "Refused",
    "SegmentCorrupt",
    "Tuning",
    "correction_event",
    "inspect",
    "loss_event",
    "open_history",
    "read_identity",
]


def __getattr__(name: str) -> Any:
    if name == "inspect":  # for commands; the running agent never needs it
        from edge_agent.buffer.inspection import inspect

        return inspect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
