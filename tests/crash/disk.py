"""What a disk may hold after a power cut.

The rules, per file: what was there at the last fsync is there. Of every 512-byte sector written since, the
disk has the synced content or that of any later write to it, each sector by itself; the file has the synced
length or any it has had since. What is cut off goes at once and with all that was written there before; it is
not there in part. Two rules for directories, one of them drawn per state:

    ordered   as ext4 does it: entries are made, renamed and removed in order, any fsync of a file or of a
              directory makes all earlier changes durable, and of later ones some number of the first may be
    loose     as POSIX allows it: only an fsync of the directory makes its entries durable, any of the later
              changes may be there and any may be missing; a rename is there as a whole or not at all

A card that *lies* answers a flush at once and writes later: with ``lies`` = k the last k flushes before the
cut have had no effect yet.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random

SECTOR = 512
State = dict[str, bytes | int | None]
"""Path below ``root`` -> content; an int: so many bytes of nothing; None: a directory."""


@dataclass(frozen=True, slots=True)
class Create:
    """Opened with O_CREAT or O_TRUNC. ``existed`` False: it was made by this call."""

    path: str
    truncate: bool


@dataclass(frozen=True, slots=True)
class Write:
    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    path: str
    length: int


@dataclass(frozen=True, slots=True)
class Sync:
    """fsync or fdatasync, of a file or of a directory."""

    path: str


@dataclass(frozen=True, slots=True)
class Rename:
    path: str
    to: str


@dataclass(frozen=True, slots=True)
class Unlink:
    path: str


@dataclass(frozen=True, slots=True)
class Mkdir:
    path: str


@dataclass(frozen=True, slots=True)
class Said:
    """Not an operation on the disk: something the program promised at this moment."""

    text: str


Operation = Create | Write | Resize | Sync | Rename | Unlink | Mkdir | Said


@dataclass(slots=True)
class _File:
    """``now``: as the program sees it. ``base``: as it was at the last flush that counted. ``sectors``:
    number -> (time, content) of each write since; None: cut off. ``lengths`` likewise."""

    directory: bool = False
    now: bytearray = field(default_factory=bytearray)
    base: bytearray = field(default_factory=bytearray)
    sectors: dict[int, list[tuple[int, bytes | None]]] = field(default_factory=dict)
    lengths: list[tuple[int, int]] = field(default_factory=list)
    length: int = 0

    def write(self, time: int, offset: int, data: bytes) -> None:
        end = offset + len(data)
        if end > len(self.now):
            self._resized(time, end)
        self.now[offset:end] = data
        self._touched(time, offset, end)

    def resize(self, time: int, length: int) -> None:
        before = len(self.now)
        self._resized(time, length)
        if length % SECTOR and length < before:
            self._touched(time, length, length + 1)
        for sector in range(-(-length // SECTOR), -(-before // SECTOR)):
            self.sectors.setdefault(sector, []).append((time, None))

    def _resized(self, time: int, length: int) -> None:
        del self.now[length:]
        self.now.extend(bytes(length - len(self.now)))
        self.lengths.append((time, length))

    def _touched(self, time: int, start: int, end: int) -> None:
        for sector in range(start // SECTOR, (end - 1) // SECTOR + 1):
            content = bytes(self.now[sector * SECTOR : (sector + 1) * SECTOR]).ljust(SECTOR, b"\0")
            self.sectors.setdefault(sector, []).append((time, content))

    def sync(self, time: int) -> None:
        """Everything up to ``time`` is durable; what came later is still on its way."""
        for sector, versions in list(self.sectors.items()):
            later = [v for v in versions if v[0] > time]
            if len(later) < len(versions):
                _place(self.base, sector, versions[-len(later) - 1][1])
            if later:
                self.sectors[sector] = later
            else:
                del self.sectors[sector]
        done = [length for at, length in self.lengths if at <= time]
        self.length = done[-1] if done else self.length
        self.lengths = [pair for pair in self.lengths if pair[0] > time]

    def drawn(self, random: Random, kept: float) -> bytes | int:
        """The length alone, of a file into which nothing was ever written."""
        out = bytearray(self.base)
        upto, length = 0, self.length
        if self.lengths and random.random() < max(kept, 0.2):
            upto, length = self.lengths[-1] if random.random() < 0.7 else random.choice(self.lengths)
        for sector, versions in self.sectors.items():
            possible = _possible(versions, upto)
            if possible and (possible[0] is None or random.random() < kept):
                _place(out, sector, possible[-1] if random.random() < 0.7 else random.choice(possible))
        return bytes(out[:length]).ljust(length, b"\0") if self.base or self.sectors else length


def _possible(versions: list[tuple[int, bytes | None]], upto: int) -> list[bytes | None]:
    """Contents the sector may have when changes of the length up to that time are on the disk. It may keep
    its synced content too, unless the first of them is None: then that was cut off."""
    contents: list[bytes | None] = []
    for time, content in versions:
        if content is None and time > upto:
            break
        if content is None:
            contents.clear()
        contents.append(content)
    return contents


def _place(content: bytearray, sector: int, data: bytes | None) -> None:
    data = bytes(SECTOR) if data is None else data
    start = sector * SECTOR
    if len(content) < start:
        content.extend(bytes(start - len(content)))
    content[start : start + SECTOR] = data


@dataclass(frozen=True, slots=True)
class _Change:
    """Of names: path -> file, or None where the name is gone. ``places``: the directories it concerns."""

    time: int
    names: dict[str, _File | None]

    def concerns(self, directory: str) -> bool:
        return any(_parent(name) == directory for name in self.names)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


class Disk:
    """``apply`` operations in their order; ``draw`` as often as wanted in between. Paths begin with the
    recorded directory, ``root``, which itself is durable."""

    def __init__(self, root: str, lies: int = 0) -> None:
        self.root = root
        self.syncs = 0
        self._lies = lies
        self._time = 0
        self._now: dict[str, _File] = {}
        self._ordered: tuple[dict[str, _File], list[_Change]] = ({}, [])
        self._loose: tuple[dict[str, _File], list[_Change]] = ({}, [])
        self._pending: deque[tuple[int, str, _File | None]] = deque()

    def apply(self, operation: Operation) -> None:
        self._time += 1
        match operation:
            case Create(path, truncate):
                if path not in self._now:
                    self._name({path: _File()})
                elif truncate and self._now[path].now:
                    self._now[path].resize(self._time, 0)
            case Write(path, offset, data):
                if path in self._now:
                    self._now[path].write(self._time, offset, data)
            case Resize(path, length):
                if path in self._now:
                    self._now[path].resize(self._time, length)
            case Rename(path, to):
                self._name({path: None, to: self._now[path]})
            case Unlink(path):
                self._name({path: None})
            case Mkdir(path):
                self._name({path: _File(directory=True)})
            case Sync(path):
                self._sync(path)
            case _:
                pass

    def _name(self, names: dict[str, _File | None]) -> None:
        _change(self._now, names)
        change = _Change(self._time, names)
        self._ordered[1].append(change)
        self._loose[1].append(change)

    def _sync(self, path: str) -> None:
        self.syncs += 1
        self._pending.append((self._time, path, self._now.get(path)))
        while len(self._pending) > self._lies:
            self._flush(*self._pending.popleft())

    def _flush(self, time: int, path: str, file: _File | None) -> None:
        if file is not None:
            file.sync(time)
        durable, changes = self._ordered
        while changes and changes[0].time <= time:
            _change(durable, changes.pop(0).names)
        durable, changes = self._loose
        done = [c for c in changes if c.time <= time and c.concerns(path)]
        for change in done:
            _change(durable, change.names)
        self._loose = durable, [c for c in changes if c not in done]

    def draw(self, random: Random) -> State:
        """One state of many."""
        kept = random.choice((0.0, 0.1, 0.5, 0.5, 0.9, 1.0))
        names = self._drawn_names(random, kept)
        out: State = {}
        for path, file in names.items():
            parent = _parent(path)
            if parent == self.root or (parent in names and names[parent].directory):  # it is durable itself
                out[path[len(self.root) + 1 :]] = None if file.directory else file.drawn(random, kept)
        return out

    def _drawn_names(self, random: Random, kept: float) -> dict[str, _File]:
        if random.random() < 0.5:
            durable, changes = self._ordered
            count = random.choice((0, len(changes), random.randint(0, len(changes))))
            chosen = changes[:count]
        else:
            durable, changes = self._loose
            chosen = [c for c in changes if random.random() < kept]
        names = dict(durable)
        for change in chosen:
            _change(names, change.names)
        return names

    def contents(self) -> dict[str, bytes]:
        """As the program sees its files now: what a test compares with the real ones."""
        return {
            path[len(self.root) + 1 :]: bytes(file.now)
            for path, file in self._now.items()
            if not file.directory
        }


def _change(names: dict[str, _File], changes: dict[str, _File | None]) -> None:
    for name, file in changes.items():
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file
