"""What an exception reply, or an error of the operating system, means to the agent. Shared by all links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_agent.errors import BadReply, Busy, DriverError, Refused, Replan, StationSilent
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.request import Learned

EXCEPTIONS = {
    1: Text("illegal function: the device does not know this function code", "非法功能码：设备不支持该功能"),
    2: Text("illegal data address: the device has no such address", "非法数据地址：设备没有该地址"),
    3: Text(
        "illegal data value: the device does not accept this many at once",
        "非法数据值：一次请求的数量设备不接受",
    ),
    4: Text("device failure", "设备故障"),
    5: Text("acknowledge: the device needs more time", "已确认：设备需要更多时间"),
    6: Text("device busy", "设备忙"),
    8: Text("memory parity error", "存储奇偶校验错误"),
    10: Text("gateway path unavailable", "网关路径不可用"),
    11: Text("gateway target device failed to respond", "网关后的设备无应答"),
}
UNKNOWN_EXCEPTION = Text("not in the standard", "标准中没有")


class Asked(Protocol):
    """What a verdict needs to know of a request: a ``Read``, or a write or probe."""

    @property
    def station(self) -> int: ...
    @property
    def function(self) -> int: ...
    @property
    def place(self) -> str: ...
    @property
    def if_hole(self) -> Learned | None: ...
    @property
    def if_too_many(self) -> Learned | None: ...


class Verdicts:
    """Of one link. What a station taught is kept for the life of the link, so that two requests of one plan
    that both fail do not overwrite each other's lesson."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._learned: dict[int, Learned] = {}

    def of(self, asked: Asked, pdu: bytes, frame: bytes) -> DriverError:
        """What a sound frame of the station asked means that is not the plain answer. ``frame``: to show."""
        station = f"{self._name} station {asked.station}"
        if len(pdu) != 2 or pdu[0] != asked.function | 0x80:
            shown = f"{frame[:9].hex(' ')} ({len(frame)} bytes)"
            return BadReply(
                Text(
                    f"{station}: the reply {shown} does not fit the request {asked.place}",
                    f"{station}：应答 {shown} 与请求 {asked.place} 不符",
                )
            )
        code = pdu[1]
        meaning = EXCEPTIONS.get(code, UNKNOWN_EXCEPTION)
        words = Text(
            f"{station}: {asked.place}: exception {code}, {meaning.en}",
            f"{station}：{asked.place}：异常码 {code}（exception {code}），{meaning.zh}",
        )
        match code:
            case 1:
                return Refused(words, reason="illegal_function")
            case 2:
                return self._smaller(words, asked.if_hole, asked.station)
            case 3:
                return self._smaller(words, asked.if_too_many, asked.station)
            case 5 | 6:
                return Busy(words)
            case 10 | 11:
                return StationSilent(words)
            case _:
                return Refused(words, reason="other")

    def _smaller(self, words: Text, learned: Learned | None, station: int) -> DriverError:
        if learned is None:
            return Refused(words)
        known = self._learned.get(station)
        learned = learned if known is None else learned | known
        self._learned[station] = learned
        return Replan(words, learned)


def about(name: str, words: Text) -> Text:
    """What is said of a place."""
    return Text(f"{name}: {words.en}", f"{name}：{words.zh}")


NOT_CONNECTED = Text("not connected", "未连接")


def reason_of(error: Exception | None) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if error is None or isinstance(error, ConnectionError):
        return "reset"
    return "timeout" if isinstance(error, TimeoutError) else "other"
