"""The keys of a device with ``driver: modbus``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from drivers.modbus.address import AddressError, parse_range
from drivers.modbus.endpoint import SERIAL, endpoint
from drivers.modbus.kinds import ByteOrder, normal_encoding
from edge_agent.driver import DeviceSettings
from edge_agent.settings import ConfigPath, Delay

DEFAULT_BAUD = 9600


def _normal(link: str) -> str:
    return endpoint(link).link


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _encoding(value: Any) -> Any:
    return normal_encoding(value) if isinstance(value, str) else value


def _range(text: str) -> str:
    """As it was written, once it is known to be a range."""
    try:
        parse_range(text)
    except AddressError as error:
        raise PydanticCustomError(
            "modbus_range",
            "{message}",
            {
                "message": error.message.en,
                "zh": error.message.zh,
                "cure_en": error.cure.en,
                "cure_zh": error.cure.zh,
            },
        ) from None
    return text


class ModbusSettings(DeviceSettings):
    """A Modbus device: a PLC, a station behind a gateway, a station on a serial bus. ``link`` is kept in its
    full form, with the port; ``baud`` has its default filled in where the link is a serial port."""

    link: Annotated[str, AfterValidator(_normal)] = Field(
        description="tcp://HOST[:502], tls://HOST[:802], rtu+tcp://HOST:PORT and ascii+tcp://HOST:PORT for "
        "serial frames behind a gateway, rtu:///dev/PORT and ascii:///dev/PORT for a serial port. Devices "
        "with equal links share one connection.",
        examples=["tcp://10.0.0.21:502", "rtu:///dev/serial/by-id/usb-FTDI_USB_Serial-if00-port0"],
    )
    framing: Literal["mbap", "rtu", "ascii"] | None = Field(
        default=None, description="As the link says; leave it out. Devices on one link must agree on it."
    )
    baud: int | None = Field(
        default=None,
        ge=50,
        le=4_000_000,
        description="Bits per second. Default: 9600 on a serial port. With a network link: the speed of the "
        "bus behind the gateway, for the prediction of poll times only.",
    )
    data_bits: Literal[7, 8] = Field(default=8, description="Of one character; RTU needs 8.")
    parity: Literal["even", "odd", "none"] = Field(default="even", description="As set in the devices.")
    stop_bits: Literal[1, 2] = Field(default=1, description="As set in the devices.")
    rs485: bool = Field(
        default=False,
        description="Let the port's driver switch the direction of the line (RTS). Adapters that switch by "
        "themselves, as most USB adapters do, need it off.",
    )
    turnaround: Delay = Field(
        default=0.0,
        description="Pause before each request, for devices that are deaf for a while after a frame.",
    )
    local_echo: bool = Field(
        default=False, description="The adapter hears itself: what was sent comes back and is skipped."
    )
    ca_file: ConfigPath | None = Field(
        default=None, description="tls: PEM of the authority that signed the device's certificate."
    )
    cert_file: ConfigPath | None = Field(
        default=None, description="tls: PEM of this agent's own certificate, shown to the device."
    )
    key_file: ConfigPath | None = Field(
        default=None, description="tls: PEM of its key; needed unless cert_file holds the key as well."
    )
    station: int = Field(
        default=1, ge=0, le=255, description="Unit id: 1 to 247, or 255 for the device itself."
    )
    byte_order: Annotated[ByteOrder, BeforeValidator(_upper)] = Field(
        default=ByteOrder.ABCD,
        description="Order of bytes in values of two registers and more; a tag can have its own.",
    )
    max_registers: int = Field(default=125, ge=1, le=125, description="Registers in one request, at most.")
    max_bits: int = Field(default=2000, ge=1, le=2000, description="Coils or inputs in one request, at most.")
    max_gap: int | None = Field(
        default=None,
        ge=0,
        le=2000,
        description="Unused places to read over so as to save a request. Default: where that is faster.",
    )
    forbidden: tuple[Annotated[str, AfterValidator(_range)], ...] = Field(
        default=(),
        description="Places that are never read, not even to bridge a gap.",
        examples=[["hr:100-120", "400201-400210"]],
    )
    encoding: Annotated[Literal["utf-8", "gbk"], BeforeValidator(_encoding)] = Field(
        default="utf-8", description="Of strings; a tag can have its own."
    )
    response_time: Delay | None = Field(
        default=None,
        description="How long the device takes to answer; the plan weighs requests against gaps with it. "
        "Default: 4ms on Ethernet, 10ms on a serial bus.",
    )
    usb_latency: Delay | None = Field(
        default=None,
        description="How long a USB serial adapter holds a reply back. Default: 16ms where the port is USB.",
    )
    write_with: Literal["single", "multiple", "readback"] = Field(
        default="single",
        description="Function codes for writing: 5 and 6 where one place is enough; always 15 and 16; "
        "or 23, which reads back in the same request.",
    )

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, keys: Any) -> Any:
        """What the link implies, so that devices on one link compare equal however much they spell out."""
        link = keys.get("link") if isinstance(keys, dict) else None
        if not isinstance(link, str):
            return keys
        try:
            where = endpoint(link)
        except PydanticCustomError:
            return keys  # reported at its own key
        implied: dict[str, Any] = {"framing": where.framing}
        if where.scheme in SERIAL:
            implied["baud"] = DEFAULT_BAUD
        return implied | {key: value for key, value in keys.items() if value is not None}

    @field_validator("framing")
    @classmethod
    def _as_the_link_says(cls, framing: str | None, info: ValidationInfo) -> str | None:
        link = info.data.get("link")
        if link is None or framing == (says := endpoint(link).framing):
            return framing
        raise PydanticCustomError(
            "modbus_framing",
            "framing is {framing}, but the link says {says}",
            {
                "framing": str(framing),
                "says": says,
                "zh": f"framing 为 {framing}，而 link 为 {says}",
                "cure_en": "leave framing out: the link decides",
                "cure_zh": "请删去 framing：由 link 决定",
            },
        )
