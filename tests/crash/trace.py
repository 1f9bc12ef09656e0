"""strace's account of a program, as operations on the files below one directory.

A call counts from the moment it returned, in the order in which calls returned. Failed calls did nothing, a
short write wrote what it says. What other directories are touched by is not ours; writes to the marks file
(see ``stories.py``) become ``Said``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.crash.disk import Create, Mkdir, Operation, Rename, Resize, Said, Sync, Unlink, Write

CALLS = (
    "open,openat,openat2,creat,write,writev,pwrite64,pwritev,pwritev2,lseek,fdatasync,fsync,sync,syncfs,"
    "sync_file_range,ftruncate,truncate,fallocate,copy_file_range,sendfile,splice,unlink,unlinkat,rename,renameat,"
    "renameat2,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,mmap"
)
"""Everything by which a file's content, length or name can change."""

_LINE = re.compile(r"^(?P<pid>\d+) +(?:(?P<time>\d+\.\d+) )?(?P<rest>.*)$")
_CALL = re.compile(r"^(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)(?P<note>.*)$", re.DOTALL)
_UNFINISHED = re.compile(r"^(?P<start>.*?) *<unfinished \.\.\.>$", re.DOTALL)
_RESUMED = re.compile(r"^<\.\.\. \w+ resumed>(?P<end>.*)$", re.DOTALL)
_HEX = re.compile(r"\\x([0-9a-f]{2})")
_HANDLE = re.compile(r"^(-?\w+)<(.*?)>(?:\(deleted\))?$", re.DOTALL)


class Untraceable(Exception):
    """The program changed a file in a way that this model does not know."""


def operations(lines: Iterable[str], root: str, marks: str = "") -> Iterator[tuple[float, Operation]]:
    """(wall time or 0, operation) of everything below ``root``."""
    reader = _Reader(root, marks)
    unfinished: dict[str, str] = {}
    for line in lines:
        match = _LINE.match(line.rstrip("\n"))
        if match is None:
            continue
        pid, rest = match["pid"], match["rest"]
        if begun := _UNFINISHED.match(rest):
            unfinished[pid] = begun["start"]
            continue
        if resumed := _RESUMED.match(rest):
            rest = unfinished.pop(pid, "") + resumed["end"]
        call = _CALL.match(rest)
        if call is not None and not call["result"].startswith("-"):
            for operation in reader.read(pid, call):
                yield float(match["time"] or 0), operation


def read(path: Path, root: str, marks: str = "") -> list[tuple[float, Operation]]:
    with path.open(encoding="ascii", errors="replace") as file:
        return list(operations(file, root, marks))


class _Reader:
    def __init__(self, root: str, marks: str) -> None:
        self._inside = root + "/"
        self._root = root
        self._marks = marks
        self._offsets: dict[tuple[str, str], int] = {}

    def read(self, pid: str, call: re.Match[str]) -> Iterator[Operation]:
        name, arguments, result = call["name"], _split(call["arguments"]), int(call["result"])
        method = getattr(self, f"_{name}", None)
        if method is not None:
            yield from method(pid, arguments, result, call["note"])
        elif any(self._ours(path) for path in self._paths(arguments)):
            raise Untraceable(f"{name}({', '.join(a[:80] for a in arguments)})")

    def _ours(self, path: str) -> bool:
        return path.startswith(self._inside) or path == self._root

    def _paths(self, arguments: list[str]) -> Iterator[str]:
        for argument in arguments:
            yield _text(argument)
            if handle := _HANDLE.match(argument):
                yield _plain(handle[2])

    # -- names

    def _openat(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        path, flags = _at(arguments[0], arguments[1]), arguments[2].split("|")
        self._offsets[pid, str(result)] = 0
        if not path.startswith(self._inside):
            return
        if "O_CREAT" in flags or "O_TRUNC" in flags:
            yield Create(path, "O_TRUNC" in flags)
        if "O_APPEND" in flags or "O_TMPFILE" in flags:
            raise Untraceable(f"{path} opened with {arguments[2]}")

    def _rename(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        old, new = (_text(argument) for argument in arguments[:2])
        if self._ours(old) != self._ours(new):
            raise Untraceable(f"{old} was renamed to {new}")
        if self._ours(old):
            yield Rename(old, new)

    def _renameat2(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        if len(arguments) > 4 and arguments[4] not in ("0", "RENAME_NOREPLACE"):
            raise Untraceable(f"renameat2 with {arguments[4]}")
        both = [f'"{_at(*arguments[i : i + 2])}"' for i in (0, 2)]
        yield from self._rename(pid, both, result, note)

    _renameat = _renameat2

    def _unlink(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        if (path := _text(arguments[0])).startswith(self._inside):
            yield Unlink(path)

    def _unlinkat(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        if (path := _at(*arguments[:2])).startswith(self._inside):
            yield Unlink(path)

    _rmdir = _unlink

    def _mkdir(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        if (path := _text(arguments[0])).startswith(self._inside):
            yield Mkdir(path)

    # -- content

    def _pwrite64(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        if self._ours(path := _path(arguments[0])):
            yield Write(path, int(arguments[3]), _data(arguments[1])[:result])

    def _write(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        path, data = _path(arguments[0]), None
        if path == self._marks:
            for line in _data(arguments[1]).decode().splitlines():
                yield Said(line)
        elif self._ours(path):
            key = pid, arguments[0].partition("<")[0]
            if key not in self._offsets:
                raise Untraceable(f"a write to {path} by a thread that did not open it")
            data = _data(arguments[1])[:result]
            yield Write(path, self._offsets[key], data)
            self._offsets[key] += result

    def _lseek(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        self._offsets[pid, arguments[0].partition("<")[0]] = result
        return iter(())

    def _ftruncate(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        if self._ours(path := _path(arguments[0])):
            yield Resize(path, int(arguments[1]))

    def _fallocate(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        if self._ours(path := _path(arguments[0])):
            if arguments[1] != "0":
                raise Untraceable(f"fallocate of {path} with {arguments[1]}")
            yield Resize(path, int(arguments[2]) + int(arguments[3]))

    def _fsync(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        if self._ours(path := _path(arguments[0])):
            yield Sync(path)

    _fdatasync = _fsync

    def _mmap(self, pid: str, arguments: list[str], result: int, note: str) -> Iterator[Operation]:
        """Through a map a file changes without a call. SQLite's index of its log does; it is made anew at
        every start and need not survive."""
        path = _path(arguments[4]) if len(arguments) > 4 else ""
        shared = "MAP_SHARED" in arguments[3] and "PROT_WRITE" in arguments[2]
        if self._ours(path) and shared and not path.endswith("-shm"):
            raise Untraceable(f"{path} is mapped for writing")
        return iter(())


def _split(text: str) -> list[str]:
    """Arguments; text in them is hexadecimal, so a comma separates wherever it stands outside brackets."""
    out, depth, start = [], 0, 0
    for match in re.finditer(r"[,\[\]{}]", text):
        if match[0] in "[{":
            depth += 1
        elif match[0] in "]}":
            depth -= 1
        elif not depth:
            out.append(text[start : match.start()].strip())
            start = match.end()
    return [*out, text[start:].strip()]


def _data(argument: str) -> bytes:
    text, closed, more = argument.removeprefix('"').partition('"')
    if not closed or more:
        raise Untraceable("a write was cut off in the record: strace -s is too small")
    return bytes.fromhex(text.replace("\\x", ""))


def _text(argument: str) -> str:
    return _plain(argument.strip('"')) if argument.startswith('"') else ""


def _plain(text: str) -> str:
    return _HEX.sub(lambda match: chr(int(match[1], 16)), text)


def _path(handle: str) -> str:
    """Of ``5</var/lib/buffer.db>``; "" for a file that has no name any more: nobody will see it."""
    match = _HANDLE.match(handle)
    return "" if match is None or handle.endswith("(deleted)") else _plain(match[2])


def _at(handle: str, path: str) -> str:
    found, base = _text(path), _path(handle)
    return found if found.startswith("/") or not base else f"{base}/{found}"
