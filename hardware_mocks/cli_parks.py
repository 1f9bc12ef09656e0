"""Commands of the platforms that receive what an agent sends."""

from __future__ import annotations

from pathlib import Path

import click

from hardware_mocks.cli_options import chain, parent, port, run
from hardware_mocks.hj212_park import Hj212Park
from hardware_mocks.influx_park import InfluxPark
from hardware_mocks.mqtt_park import MqttPark
from hardware_mocks.park import Park

PARK_PORT, PARK_CONTROL_PORT = 18080, 18082

park_options = chain(
    [
        port("--park-port", PARK_PORT, "Port for deliveries"),
        port("--park-control-port", PARK_CONTROL_PORT, "HTTP port for modes and reports"),
        click.option("--store", type=click.Path(dir_okay=False, path_type=Path), help="JSONL file, synced."),
        click.option("--discard", is_flag=True, help="Count and echo the keys, keep nothing (benchmarks)."),
    ]
)


def park_ports(platform: Park) -> dict[str, int]:
    return {"park": platform.port, "park_control": platform.control_port}


@click.command()
@park_options
@parent
def park(
    park_port: int, park_control_port: int, store: Path | None, discard: bool, with_parent: bool
) -> None:
    """The park platform."""
    platform = Park(park_port, park_control_port, store, discard)
    run([platform], lambda: park_ports(platform), with_parent)


@click.command("influx-park")
@port("--park-port", 0, "Port for writes")
@port("--park-control-port", 0, "HTTP port for modes and reports")
@click.option("--secret", default="", help="Token, or password of any user, that is asked for.")
@parent
def influx_park(park_port: int, park_control_port: int, secret: str, with_parent: bool) -> None:
    """A time series database that takes line protocol (database, org and bucket: lineside, plant)."""
    database = InfluxPark(park_port, park_control_port, secret=secret)
    run([database], lambda: park_ports(database), with_parent)


@click.command("mqtt-park")
@click.option("--broker-port", type=click.IntRange(0, 65535), default=0, help="0: a broker of its own.")
@port("--park-control-port", 0, "HTTP port for modes and reports")
@click.option("--ack-topic", default="", help="Where keys are confirmed, with {agent}; empty: nowhere.")
@click.option("--level", type=click.Choice(["4", "5"]), default="5", help="4: MQTT 3.1.1.")
@parent
def mqtt_park(
    broker_port: int, park_control_port: int, ack_topic: str, level: str, with_parent: bool
) -> None:
    """The park platform behind an MQTT broker on this machine."""
    platform = MqttPark(broker_port, park_control_port, ack_topic=ack_topic, level=int(level))
    ports = lambda: {"broker": platform.port, "park_control": platform.control_port}  # noqa: E731
    run([platform], ports, with_parent)


@click.command("hj212-park")
@port("--park-port", 0, "Port of the platform")
@port("--park-control-port", 0, "HTTP port for modes and reports")
@parent
def hj212_park(park_port: int, park_control_port: int, with_parent: bool) -> None:
    """A platform that speaks HJ 212-2017 (its MN and PW: hardware_mocks/hj212_park.py)."""
    platform = Hj212Park(park_port, park_control_port)
    run([platform], lambda: {"park": platform.host.port, "park_control": platform.desk.port}, with_parent)


@click.command("sparkplug-park")
@port("--broker-port", 0, "Port of the broker")
@port("--park-control-port", 0, "HTTP port for reports")
@parent
def sparkplug_park(broker_port: int, park_control_port: int, with_parent: bool) -> None:
    """A broker and a Sparkplug B host application, scada, behind it."""
    from hardware_mocks.sparkplug_park import SparkplugPark  # aiomqtt, which only tests need

    platform = SparkplugPark(broker_port, park_control_port)
    ports = lambda: {"broker": platform.broker.port, "park_control": platform.desk.port}  # noqa: E731
    run([platform], ports, with_parent)


PLATFORMS = (park, influx_park, mqtt_park, hj212_park, sparkplug_park)
