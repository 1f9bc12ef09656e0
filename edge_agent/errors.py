"""Every error the agent raises on purpose, named by what the caller must do.

LinesideError
├── ConfigurationError      show its problems to a person; exit 78, or keep the last good configuration
├── DriverError             raised by a Link; the supervisor of that link acts
│   ├── StationError        concerns one station; its neighbours on the link are untouched
│   │   ├── StationSilent   no reply in time            -> its tags are bad, prove it before trusting it
│   │   ├── BadReply        a reply that does not fit   -> the same, and count it
│   │   │   └── Unproven    in doubt, and not asked     -> the same, but nothing came that could be counted
│   │   ├── Busy            "later" (Modbus 5, 6)       -> ask again, not sooner than retry_after_s
│   │   ├── Refused         "never, as configured"      -> slow retry, and say so
│   │   └── Replan          plan again with .learned    -> a hole in the address space, a smaller limit
│   └── LinkLost            the connection is gone      -> new Link object after a back-off
│       └── LinkDenied      credentials or certificate  -> the same, but slowly (60 s), and say so
├── UplinkError             raised by an Uplink; forwarding acts
│   ├── Unreachable         back off and connect again
│   ├── Denied              slow retry and alarm: credentials or certificate
│   ├── TooLarge            send the same items in halves
│   └── Unacceptable        one of the items is poison  -> bisect, then quarantine it alone
└── StorageError            raised by the buffer; its writer acts
    ├── StorageReadOnly     remounted read-only         -> let go of the files, keep in memory, try again
    ├── StorageFull         no room                     -> shrink, keep in memory, account for losses
    └── StorageBroken       not a sound database        -> set it aside, new epoch, go on
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.settings import Problem


class LinesideError(Exception):
    """Base of all. ``str()`` of any of them is a sentence fit for a person, in English for logs; ``text``: in
    both languages where a person may meet it, else the English one twice."""

    def __init__(self, message: str | Text = "") -> None:
        self.text = Text(message, message) if isinstance(message, str) else message
        super().__init__(self.text.en)


class ConfigurationError(LinesideError):
    """The configuration cannot be used. ``problems`` holds every mistake, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{len(self.problems)} configuration problem(s)")


class DriverError(LinesideError):
    """Base of what a driver may raise. Anything else that leaves a driver is a bug in it.

    ``reason`` is one of the fixed labels of ``edgeagent_device_request_failures_total``.
    """

    reason = "other"

    def __init__(self, message: str | Text, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class StationError(DriverError):
    """Concerns the station that was asked and nobody else on the link."""


class StationSilent(StationError):
    reason = "timeout"


class BadReply(StationError):
    reason = "mismatch"


class Unproven(BadReply):
    """Nothing was asked: nobody would know what an answer belongs to. ``reason`` is that of the request which
    left the station in doubt, so that a noisy line is not told as a silent one."""

    reason = "timeout"


class Busy(StationError):
    reason = "busy"

    def __init__(self, message: str | Text, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(StationError):
    reason = "illegal_address"


class Replan(StationError):
    """``learned`` is handed to the driver's ``plan`` in place of what it had learned before."""

    reason = "illegal_address"

    def __init__(self, message: str | Text, learned: Any) -> None:
        super().__init__(message)
        self.learned = learned


class LinkLost(DriverError):
    reason = "reset"


class LinkDenied(LinkLost):
    reason = "auth"


class UplinkError(LinesideError):
    """Base of what an uplink may raise."""


class Unreachable(UplinkError):
    pass


class Denied(UplinkError):
    pass


class TooLarge(UplinkError):
    pass


class Unacceptable(UplinkError):
    pass


class StorageError(LinesideError):
    pass


class StorageReadOnly(StorageError):
    pass


class StorageFull(StorageError):
    pass


class StorageBroken(StorageError):
    pass


_SYSTEM = {  # what the operating system says of a connection or a port
    errno.ECONNREFUSED: "连接被拒绝",
    errno.ECONNRESET: "连接被对方重置",
    errno.ECONNABORTED: "连接被中止",
    errno.EPIPE: "连接已被对方关闭",
    errno.ETIMEDOUT: "连接超时",
    errno.EHOSTUNREACH: "没有到该主机的路由",
    errno.ENETUNREACH: "网络不可达",
    errno.EIO: "读写错误",
    errno.ENXIO: "没有该设备",
    errno.ENODEV: "没有该设备",
    errno.ENOTTY: "不是串口",
}


def words_of(error: Exception) -> Text:
    """What the operating system says of a connection or a port, without the address that asyncio repeats."""
    if not isinstance(error, OSError) or error.errno is None or error.errno <= 0:
        said = str(error) or type(error).__name__
        return Text(said, said)
    said = os.strerror(error.errno)
    known = _SYSTEM.get(error.errno)
    return Text(said, said if known is None else f"{known}（{said}）")
