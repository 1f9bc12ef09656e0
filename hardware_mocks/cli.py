"""``python -m hardware_mocks``: the simulated line and the park as processes."""

from __future__ import annotations

import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hardware_mocks import orders
from hardware_mocks.bench import Bench
from hardware_mocks.cli_options import chain, parent, port, run, seconds
from hardware_mocks.cli_parks import PARK_CONTROL_PORT, PLATFORMS, park_options, park_ports
from hardware_mocks.faults import Fault
from hardware_mocks.line import Line, Server
from hardware_mocks.modbus import ModbusServer
from hardware_mocks.modbus_serial import ModbusSerialServer
from hardware_mocks.opcua import OpcUaServer
from hardware_mocks.park import Park
from hardware_mocks.process import DRIFT_SCHEDULE, PRESSURE_SCHEDULE, Process, Schedule
from hardware_mocks.replay import replayed
from hardware_mocks.s7 import DEFAULT_PDU, S7Server
from hardware_mocks.serial_lines import PtyLine, TcpLine

MODBUS_PORT, S7_PORT, OPCUA_PORT, CONTROL_PORT = 15020, 10102, 14840, 18081
MODBUS_TLS_PORT = 15802
BENCH_PORT = 15100


@dataclass(frozen=True, slots=True)
class Model:
    """The options that every command with a model has."""

    seed: int
    excursion_first_s: float
    excursion_period_s: float
    excursion_length_s: float
    drift_period_s: float

    def process(self) -> Process:
        pressure = Schedule(self.excursion_first_s, self.excursion_period_s, self.excursion_length_s)
        drift = Schedule(DRIFT_SCHEDULE.first_s, self.drift_period_s, DRIFT_SCHEDULE.length_s)
        return Process(self.seed, pressure, drift)


@dataclass(frozen=True, slots=True)
class Controllers:
    """Ports and sizes of the three servers."""

    modbus_port: int
    modbus_units: int
    s7_port: int
    s7_pdu: int
    opcua_port: int
    max_nodes_per_read: int

    def servers(self, process: Process) -> list[Server]:
        return [
            ModbusServer.of_line(process, self.modbus_port, self.modbus_units),
            S7Server(process, self.s7_port, self.s7_pdu),
            OpcUaServer(process, self.opcua_port, self.max_nodes_per_read),
        ]


_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_control = port("--control-port", CONTROL_PORT, "HTTP port for faults and state")
_model = chain(
    [
        click.option("--seed", type=int, default=1, show_default=True, help="Of the model's noise."),
        seconds(
            "--excursion-first-s", PRESSURE_SCHEDULE.first_s, "First pressure excursion after the start."
        ),
        seconds("--excursion-period-s", PRESSURE_SCHEDULE.period_s, "Between two of them; 0: never."),
        seconds("--excursion-length-s", PRESSURE_SCHEDULE.length_s, "How long one lasts."),
        seconds(
            "--drift-period-s", DRIFT_SCHEDULE.period_s, "Between two drifts of a furnace zone; 0: never."
        ),
    ]
)
_units = click.option("--modbus-units", type=click.IntRange(1, 247), default=3, show_default=True)
_pdu = click.option("--s7-pdu", type=click.IntRange(112, 960), default=DEFAULT_PDU, show_default=True)
_nodes = click.option("--max-nodes-per-read", type=click.IntRange(0), default=100, show_default=True)
_controllers = chain(
    [
        port("--modbus-port", MODBUS_PORT, "Modbus TCP port"),
        _units,
        port("--s7-port", S7_PORT, "S7 port"),
        _pdu,
        port("--opcua-port", OPCUA_PORT, "OPC UA port"),
        _nodes,
    ]
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """A simulated production line and the park that receives its data, over the real protocols.

    Every command prints one JSON line with its ports when it is ready, and ends on SIGTERM or SIGINT.
    """


@main.command()
@_controllers
@_control
@_model
@parent
def line(control_port: int, with_parent: bool, **options: Any) -> None:
    """Modbus, S7 and OPC UA servers over one model, with a control port."""
    model, controllers = _split(options)
    process = model.process()
    _run_line(Line(process, controllers.servers(process), control_port), with_parent)


@main.command()
@port("--port", MODBUS_PORT, "Modbus TCP port")
@_units
@_control
@_model
@parent
def modbus(port: int, modbus_units: int, control_port: int, with_parent: bool, **options: Any) -> None:
    """The Modbus TCP server alone."""
    process = Model(**options).process()
    _run_line(Line(process, [ModbusServer.of_line(process, port, modbus_units)], control_port), with_parent)


@main.command("modbus-tls")
@port("--port", MODBUS_TLS_PORT, "Modbus/TCP Security port")
@click.option("--cert", type=_file, required=True, help="PEM of the server's certificate.")
@click.option("--key", type=_file, required=True, help="PEM of its key.")
@click.option("--ca", type=_file, required=True, help="PEM of the authority of the clients' certificates.")
@_units
@_control
@_model
@parent
def modbus_tls(
    port: int, cert: Path, key: Path, ca: Path, modbus_units: int, control_port: int, with_parent: bool,
    **options: Any,
) -> None:  # fmt: skip
    """The Modbus server inside TLS; a client must show a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(cert, key)
    process = Model(**options).process()
    server = ModbusServer.of_line(process, port, modbus_units, context)
    _run_line(Line(process, [server], control_port), with_parent)


@main.command("modbus-rtu")
@click.option("--framing", type=click.Choice(["rtu", "ascii"]), default="rtu", show_default=True)
@click.option("--tcp-port", type=click.IntRange(0, 65535), help="Behind TCP instead; 0: any free one.")
@click.option("--link", type=click.Path(path_type=Path), help="Symbolic link to keep at the pseudo-terminal.")
@click.option("--baud", type=click.IntRange(50), help="Pace the bytes; at another speed is noise.")
@seconds("--latency-s", 0.0, "From the end of a request to the start of its reply.")
@click.option("--echo", is_flag=True, help="Send requests back, as adapters do that hear themselves.")
@_units
@_control
@_model
@parent
def modbus_rtu(
    framing: str, tcp_port: int | None, link: Path | None, baud: int | None, latency_s: float, echo: bool,
    modbus_units: int, control_port: int, with_parent: bool, **options: Any,
) -> None:  # fmt: skip
    """A serial bus of Modbus stations; prints the path of its pseudo-terminal, or host:port, as "modbus"."""
    process = Model(**options).process()
    wire = PtyLine(link, baud=baud) if tcp_port is None else TcpLine(tcp_port)
    server = ModbusSerialServer.of_line(
        process, wire, modbus_units, framing=framing, baud=baud, latency_s=latency_s, echo=echo
    )
    bus = Line(process, [server], control_port)
    run([bus], lambda: bus.ports | {"modbus": server.place}, with_parent)


@main.command()
@port("--port", S7_PORT, "S7 port")
@_pdu
@_control
@_model
@parent
def s7(port: int, s7_pdu: int, control_port: int, with_parent: bool, **options: Any) -> None:
    """The S7 server alone."""
    process = Model(**options).process()
    _run_line(Line(process, [S7Server(process, port, s7_pdu)], control_port), with_parent)


@main.command()
@port("--port", OPCUA_PORT, "OPC UA port")
@_nodes
@click.option("--secured", is_flag=True, help="With a certificate of its own; no endpoint without security.")
@click.option("--valid-days", type=int, default=3650, help="From now on; negative: it has expired.")
@click.option("--distrusting", is_flag=True, help="Secured, and no client's certificate is accepted.")
@click.option("--user", help="Secured, and only this NAME:PASSWORD is let in.")
@_control
@_model
@parent
def opcua(
    port: int, max_nodes_per_read: int, secured: bool, valid_days: int, distrusting: bool, user: str | None,
    control_port: int, with_parent: bool, **options: Any,
) -> None:  # fmt: skip
    """The OPC UA server alone."""
    process = Model(**options).process()
    protection = _protection(valid_days, distrusting, user) if secured or distrusting or user else None
    server = OpcUaServer(process, port, max_nodes_per_read, protection=protection)
    _run_line(Line(process, [server], control_port), with_parent)


def _protection(days: int, distrusting: bool, user: str | None) -> Any:
    from hardware_mocks.opcua_security import make_protection  # imports cryptography

    name, _, password = (user or "").partition(":")
    return make_protection(
        "urn:lineside:simulated-line", days, distrusting=distrusting, users={name: password} if user else {},
        anonymous=user is None,
    )  # fmt: skip


@main.command("all")
@_controllers
@_control
@park_options
@_model
@parent
def everything(
    control_port: int,
    park_port: int,
    park_control_port: int,
    store: Path | None,
    discard: bool,
    with_parent: bool,
    **options: Any,
) -> None:
    """The line and the park in one process."""
    model, controllers = _split(options)
    process = model.process()
    simulated = Line(process, controllers.servers(process), control_port)
    platform = Park(park_port, park_control_port, store, discard)
    run([simulated, platform], lambda: simulated.ports | park_ports(platform), with_parent)


@main.command("bench-modbus")
@click.option("--devices", type=click.IntRange(1, 247), default=10, show_default=True)
@click.option("--registers", type=click.IntRange(1, 65536), default=500, show_default=True)
@click.option("--shared", is_flag=True, help="All devices as unit ids 1..N on one port.")
@port("--port", BENCH_PORT, "First port; the others follow")
@_control
@parent
def bench_modbus(
    devices: int, registers: int, shared: bool, port: int, control_port: int, with_parent: bool
) -> None:
    """Many cheap Modbus devices for load tests; prints their "ports" in order."""
    bench = Bench(devices, registers, shared, port)
    load = Line(None, [bench], control_port)
    run([load], lambda: load.ports | {"ports": bench.ports}, with_parent)


@main.command()
@click.argument("server", type=click.Choice(["modbus", "s7", "opcua"]))
@click.argument("kind", metavar="FAULT", type=click.Choice([kind.value for kind in Fault]))
@click.option("--unit", type=click.IntRange(0, 255), help="Modbus: this station alone.")
@_control
def fault(server: str, kind: str, unit: int | None, control_port: int) -> None:
    """Make a server that runs misbehave (`hardware_mocks/faults.py` lists how), until `ok`."""
    order = {"server": server, "fault": kind} | ({} if unit is None else {"unit": unit})
    try:
        orders.send(control_port, order)
    except orders.NotObeyed as error:
        click.echo(f"not done: {error}", err=True)
        sys.exit(1)


@main.command("set")
@click.argument("name")
@click.argument("value", type=float)
@_control
def set_(name: str, value: float, control_port: int) -> None:
    """Change the process of a line that runs, such as pressure_setpoint_mpa (`hardware_mocks/line.py`)."""
    _order(control_port, {"process": {name: value}})


@main.command()
@click.argument("mode")
@click.option("--device", "devices", multiple=True, help="Of reject and poison: whose data.")
@click.option("--times", type=click.IntRange(1), help="For so many messages; then ok again.")
@click.option("--seconds", type=click.FloatRange(0), help="Of vanish: for so long; 0: until another mode.")
@port("--park-control-port", PARK_CONTROL_PORT, "HTTP port of the park for modes and reports")
def mood(
    mode: str, devices: tuple[str, ...], times: int | None, seconds: float | None, park_control_port: int
) -> None:
    """Change how a park that runs answers (`hardware_mocks/moods.py` lists the modes)."""
    asked = {"mode": mode, "devices": list(devices) or None, "times": times, "seconds": seconds}
    _order(park_control_port, {key: value for key, value in asked.items() if value is not None})


def _order(port: int, order: dict[str, Any]) -> None:
    try:
        orders.send(port, order)
    except orders.NotObeyed as error:
        click.echo(f"not done: {error}", err=True)
        sys.exit(1)


@main.command()
@click.argument("file", type=_file)
@port("--port", 0, "Port of the played device")
@click.option("--fast", is_flag=True, help="Answer at once instead of as slowly as the device did.")
@parent
def replay(file: Path, port: int, fast: bool, with_parent: bool) -> None:
    """A device as `edge-agent record` found it (Modbus, S7): plays FILE's answers, over and over."""
    try:
        device = replayed(file, port, fast=fast)
    except ValueError as error:
        click.echo(f"cannot play {file}: {error}", err=True)
        sys.exit(2)
    run([device], lambda: {device.name: device.port}, with_parent)


def _split(options: dict[str, Any]) -> tuple[Model, Controllers]:
    model = {name: value for name, value in options.items() if name in Model.__slots__}
    controllers = {name: value for name, value in options.items() if name not in model}
    return Model(**model), Controllers(**controllers)


def _run_line(simulated: Line, with_parent: bool) -> None:
    run([simulated], lambda: simulated.ports, with_parent)


for platform in PLATFORMS:
    main.add_command(platform)
