"""The simulated platform behind an MQTT broker, a process of its own."""

from __future__ import annotations

from pathlib import Path

from tests.plant.mocks import Park
from tests.plant.processes import Child


class MqttPark(Park):
    """As the HTTP park, but for ``url``. ``broker_port`` 0: it brings a broker of its own."""

    def __init__(self, folder: Path, broker_port: int = 0, *options: str) -> None:
        self.child = Child(
            ["hardware_mocks", "mqtt-park", "--broker-port", str(broker_port), "--with-parent", *options],
            folder / f"mqtt-park-{broker_port}.log",
        )

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.child.ports['broker']}"
