"""A canary in every secret field of every driver and uplink, and nowhere else: the running agent at debug
level, refused and mocked by destinations, everything it shows, keeps, and starts."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import tarfile
import threading
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml
from pydantic import BaseModel, SecretBytes, SecretStr

from edge_agent import registry
from edge_agent.config import load
from hardware_mocks.opcua import OpcUaServer
from hardware_mocks.opcua_security import make_protection
from hardware_mocks.process import Process
from tests.plant.mocks import Line, Park
from tests.plant.processes import Child, eventually
from tests.plant.site import Site, command, free_port

pytestmark = pytest.mark.timeout(300)

URI = "urn:lineside:simulated-line"
_NODE = f"nsu={URI};s=Line.Running"


@dataclass(frozen=True)
class Field:
    """One secret field of a plug-in's settings; ``path`` leads to it through nested models and lists."""

    group: str
    plugin: str
    path: tuple[str, ...]

    @property
    def name(self) -> str:
        return "-".join((self.plugin, *self.path)).replace("_", "-")


SHAPES = {("hj212", "pw"): "Cn4ry!", ("hj212", "sm4_key"): "CanarySm4Key-016"}
"""Where a secret has a form of its own; every other one is a long text."""


def canary(field: Field) -> str:
    return SHAPES.get((field.plugin, field.path[-1]), f"Canary/{field.name}+7f3a=Z&x y")


def secret_fields() -> list[Field]:
    """From the models themselves: a new secret field is covered by being there."""
    found = []
    for group, find in (
        (registry.DRIVERS, registry.load_driver),
        (registry.UPLINKS, registry.load_uplink),
    ):
        for name in registry.names(group):
            settings: Any = find(name).settings
            model = (
                settings.model()
                if hasattr(settings, "model") and not isinstance(settings, type)
                else settings
            )
            found += [Field(group, name, path) for path in _paths(model)]
    return found


def _paths(model: type[BaseModel], seen: tuple[type, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        for kind in _kinds(field.annotation):
            if kind in (SecretStr, SecretBytes):
                yield (field.alias or name,)
            elif isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
                for path in _paths(kind, (*seen, model)):
                    yield (field.alias or name, *path)


def _kinds(annotation: Any) -> Iterator[Any]:
    """All types in ``X | None``, ``list[X]``, ``Annotated[X, ...]`` and the like."""
    inner = typing.get_args(annotation)
    if not inner:
        yield annotation
    for part in inner:
        yield from _kinds(part)


FIELDS = secret_fields()


def uplink_for(field: Field, port: int) -> dict[str, Any]:
    """A valid uplink of that type in which this secret is in use; no two are the same sender."""
    own = f"{FIELDS.index(field):02d}{port:05d}"
    http = f"http://127.0.0.1:{port}"
    bases: dict[str, dict[str, Any]] = {
        "http": {"url": f"{http}/in"},
        "influx": {"url": http, "database": "plant", "strings": True},
        "mqtt": {"url": f"mqtt://127.0.0.1:{port}"},
        "sparkplug": {"url": f"mqtt://127.0.0.1:{port}", "group": "plant", "node": f"line-{own}"},
        "hj212": {
            "address": f"tcp://127.0.0.1:{port}", "mn": f"010000A8900016F00{own}", "st": "31",
            "version": "2025", "factors": [{"code": "a21026", "tag": "press-1.fan", "format": "N5.2"}],
            "pw": "!secret hj212-pw",
        },
    }  # fmt: skip
    beside: dict[tuple[str, str], dict[str, Any]] = {
        ("influx", "password"): {"user": "lineside"},
        ("mqtt", "password"): {"username": "lineside"},
        ("sparkplug", "password"): {"username": "lineside"},
        ("http", "secret"): {
            "url": f"{http}/in?key={{{{secret}}}}", "headers": {"X-Key": "{{secret}}"},
            "body": [{"$each": "batch", "key": "{{secret}}", "values": {"{{tag}}": "{{value}}"}}],
            "confirm": "status", "streams": ["samples"],
        },
    }  # fmt: skip
    if field.plugin == "influx" and field.path == ("token",):
        bases["influx"] = {"url": http, "org": "plant", "bucket": "line"}
    assert field.plugin in bases, f"say how an uplink {field.plugin!r} is configured: it has a secret"
    document = {**bases[field.plugin], **beside.get((field.plugin, field.path[-1]), {})}
    inner = document
    for part in field.path[:-1]:
        inner = inner.setdefault(part, {})
    inner[field.path[-1]] = f"!secret {field.name}"
    return document


class Mirror:
    """Accepts, and answers with what it was sent: as a web server whose error page repeats the request."""

    def __init__(self) -> None:
        self.heard = b""
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        answering = []
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            answering.append(threading.Thread(target=self._answer, args=(connection,)))
            answering[-1].start()
        for thread in answering:
            thread.join()

    def _answer(self, connection: socket.socket) -> None:
        data = b""
        with connection:
            connection.settimeout(0.5)
            try:
                while part := connection.recv(65_536):
                    data += part
            except OSError:
                pass
            with self._lock:
                self.heard += data
            head = b"HTTP/1.1 400 Bad " + data[:100].replace(b"\r\n", b" ") + b"\r\n"
            body = b"you said: " + data
            with contextlib.suppress(OSError):
                connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


class SecureServer:
    """The simulated OPC UA server, in a thread: policies, users, a certificate of its own."""

    def __init__(self, user: str, password: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.protection = make_protection(URI, users={user: password}, anonymous=False)
        self._server = OpcUaServer(Process(1), 0, protection=self.protection)
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(30)
        self.link = f"opc.tcp://127.0.0.1:{self._server.port}"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def forms(secret: str) -> list[bytes]:
    """How it could have been written down."""
    data = secret.encode()
    found = {data, quote(secret).encode(), quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()}
    found |= {repr(secret)[1:-1].encode(), data.hex().encode(), data.hex(" ").encode()}
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + data)
        found.add(whole[4 if shift else 0 : -4])
    return [form for form in found if len(form) >= 6]


def leaks(data: bytes, secrets: dict[str, str]) -> list[str]:
    return [
        f"{name}: {data[max(0, at - 80) : at + 120]!r}"
        for name, secret in secrets.items()
        for form in forms(secret)
        if (at := data.find(form)) >= 0
    ]


class Plant:
    """An agent whose every secret is a canary. Each uplink type three times: refused, mirrored, served."""

    def __init__(self, folder: Path) -> None:
        self.secrets = {field.name: canary(field) for field in FIELDS}
        self.line = Line(folder, "modbus")
        self.park = Park(folder)
        self.mirror = Mirror()
        self.site = Site(folder / "site", None, flush="500ms")
        self.secure = SecureServer("lineside", self.secrets["opcua-password"])
        self._write()
        done = command("check", "--config", self.site.config)
        assert done.returncode == 0, done.stdout + done.stderr
        self.site.agent = Child(
            ["edge_agent", "run", "--config", str(self.site.config), "--log-level", "debug",
             "--log-format", "json"],
            self.site.log, ready=False,
        )  # fmt: skip

    def _write(self) -> None:
        config = self.site.config
        (config / "secrets").mkdir(mode=0o700)
        for name, secret in self.secrets.items():
            path = config / "secrets" / name
            path.write_text(secret, encoding="utf-8")
            path.chmod(0o600)
        self.site.press(self.line.link())
        for field in FIELDS:
            if field.group == registry.DRIVERS:
                self._devices(field)
        uplinks = [
            {"name": f"{field.name}-{kind}", "type": field.plugin, **uplink_for(field, port)}
            for field in FIELDS
            if field.group == registry.UPLINKS
            for kind, port in (("refused", free_port()), ("mirror", self.mirror.port))
        ]
        token = {"token": "!secret http-token"}
        uplinks.append({"name": "park", "type": "http", "url": self.park.url, **token})
        self.site.main["uplinks"] = uplinks
        self.site.write_main(language="zh")
        self._untag(config / "edge-agent.yaml")

    def _devices(self, field: Field) -> None:
        """Served, and refused by a server that has another password. A driver with another secret must be
        written here."""
        assert (field.plugin, field.path) == ("opcua", ("password",)), f"configure a device with {field}"
        pki = self.site.root / "pki"
        (pki / "trusted").mkdir(parents=True)
        (pki / "trusted" / "server.der").write_bytes(self.secure.protection.certificate)
        shared = {
            "driver": "opcua", "security_policy": "Basic256Sha256", "pki": str(pki), "poll": "500ms",
            "password": f"!secret {field.name}",
        }  # fmt: skip
        tags = [("running", _NODE, "bool")]
        self.site.device("served", tags, link=self.secure.link, user="lineside", **shared)
        other = self.secure.link.replace("127.0.0.1", "localhost")
        self.site.device("denied", tags, link=other, user="nobody", **shared)
        for name in ("served", "denied"):
            self._untag(self.site.config / "devices.d" / f"{name}.yaml")

    @staticmethod
    def _untag(path: Path) -> None:
        """YAML writes a text that begins with ! in quotes; here it is a tag."""
        text = path.read_text(encoding="utf-8")
        lines = [
            line.replace("'!secret", "!secret").rstrip("'") if "'!secret" in line else line
            for line in text.split("\n")
        ]
        path.write_text("\n".join(lines), encoding="utf-8")

    def close(self) -> None:
        try:
            self.site.close()
        finally:
            self.secure.close()
            self.mirror.close()
            self.line.close()
            self.park.close()


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    plant = Plant(tmp_path_factory.mktemp("canary"))
    try:
        eventually("it answers", lambda: plant.site.status()["agent"]["started_ns"], 60)
        eventually("the park has data", lambda: plant.park.report()["samples"], 60)
        eventually("the user is let in", lambda: plant.site.row("served")["state"] == "up", 60)
        eventually("and the other is not", lambda: plant.site.row("denied")["state"] == "refused", 60)
        names = {uplink["name"] for uplink in plant.site.main["uplinks"]} - {"park"}
        eventually("all others have failed", lambda: names <= _failed(plant.site), 90)
        yield plant
    finally:
        plant.close()


def _failed(site: Site) -> set[str]:
    return {uplink["name"] for uplink in site.status()["uplinks"] if not uplink["up"] and uplink["reason"]}


def clean(plant: Plant, what: str, data: bytes) -> None:
    found = leaks(data, plant.secrets)
    assert not found, f"{what} shows {found[:3]}"


def test_every_secret_is_in_use(plant: Plant) -> None:
    """Else what follows would prove nothing."""
    assert {f.plugin for f in FIELDS} >= {"opcua", "http", "influx", "mqtt", "sparkplug", "hj212"}
    for name in ("http-token", "http-secret", "influx-token", "mqtt-token", "hj212-pw"):
        secret = {name: plant.secrets[name]}
        eventually(f"{name} is sent", lambda known=secret: leaks(plant.mirror.heard, known), 60)


def test_the_search_finds(plant: Plant) -> None:
    for name, secret in plant.secrets.items():
        for written in (
            secret.encode(),
            b"x=" + quote(secret, safe="").encode(),
            json.dumps(secret).encode(),
        ):
            assert leaks(b"...." + written, {name: secret})


def test_the_log(plant: Plant) -> None:
    text = plant.site.log.read_bytes()
    assert b'"level": "debug"' in text
    clean(plant, "the log", text)


def test_pages(plant: Plant) -> None:
    for page in ("/", "/metrics", "/api/v1/status", "/api/v1/tags", "/api/v1/events?limit=200"):
        with urlopen(f"http://127.0.0.1:{plant.site.web_port}{page}", timeout=5) as reply:
            clean(plant, page, reply.read())


def test_processes(plant: Plant) -> None:
    agent = plant.site.agent
    assert agent is not None
    for pid in [agent.pid, *plant.site.children()]:
        for name in ("cmdline", "environ"):
            clean(plant, f"{name} of {pid}", Path(f"/proc/{pid}/{name}").read_bytes())


def test_files(plant: Plant) -> None:
    """Its state (store, journal, last good configuration), with and without its secrets' own folder."""
    own = plant.site.config / "secrets"
    assert (plant.site.state / "last-good.json").exists()
    seen = 0
    for path in sorted(plant.site.root.rglob("*")):
        if path.is_file() and own not in path.parents:
            clean(plant, str(path), path.read_bytes())
            seen += 1
    assert seen > 10
    kept = json.loads((plant.site.state / "last-good.json").read_bytes())["content"]["files"]
    for name, data in kept.items():
        clean(plant, f"last good {name}", base64.b64decode(data))


COMMANDS = (
    ("check",), ("check", "--json"), ("status",), ("status", "--json"), ("watch", "--once"),
    ("alarms", "list", "--all", "--json"), ("alarms", "history", "--json"), ("writes", "status", "--json"),
    ("buffer", "info", "--json"), ("buffer", "verify", "--json"), ("explain", "served", "--json"),
    ("explain", "press-1"), ("read", "denied"), ("read", "served", "--json"), ("counters", "list", "--json"),
    ("debug", "served", "--minutes", "0.03"),
    ("doctor", "--json"), ("doctor",), ("drivers", "--json"), ("schema",), ("version", "--json"),
)  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands(plant: Plant, words: tuple[str, ...]) -> None:
    done = command(*words, "--config", plant.site.config, timeout_s=120) if words[0] not in (
        "drivers", "schema", "version",
    ) else command(*words)  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.returncode != 2, f"{words}: {done.stderr}"
    assert done.stdout or done.stderr
    clean(plant, " ".join(words), (done.stdout + done.stderr).encode())


async def test_a_session_that_is_traced(plant: Plant) -> None:
    """Its opening is told without its content, in which the password is."""
    configuration = load(plant.site.config)
    device = next(found for found in configuration.devices if found.name == "served")
    link: Any = device.plugin.open_link(device.settings)
    told: list[tuple[str, bytes, str]] = []
    link.trace = lambda *row: told.append(row)
    await link.connect()
    await link.enrol(device.settings)
    await link.close()
    assert (">", b"", "ActivateSession: not recorded, it holds secrets") in told
    assert any(way == "<" and data for way, data, _ in told)
    clean(plant, "the trace", b"".join(data + remark.encode() for _, data, remark in told))


def test_export(plant: Plant, tmp_path: Path) -> None:
    out = tmp_path / "export.csv"
    done = command("buffer", "export", "--out", out, "--config", plant.site.config)
    data = done.stdout + done.stderr + (out.read_text(encoding="utf-8") if out.exists() else "")
    clean(plant, "the export", data.encode())


def _opened(bundle: Path) -> dict[str, bytes]:
    with tarfile.open(bundle) as archive:
        return {
            member.name.partition("/")[2]: file.read()
            for member in archive.getmembers()
            if (file := archive.extractfile(member)) is not None
        }


def test_the_support_bundle(plant: Plant, tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar.gz"
    done = command(
        "support", "--out", out, "--log", plant.site.log, "--config", plant.site.config, timeout_s=120
    )
    assert done.returncode == 0, done.stderr
    clean(plant, "support", (done.stdout + done.stderr).encode())
    parts = _opened(out)
    for name, data in parts.items():
        clean(plant, name, data)
    assert json.loads(parts["status.json"])["agent"]["started_ns"]
    assert b"!secret http-token" in parts["config/edge-agent.yaml"], "names of secrets help, and stay"


def test_a_secret_that_stands_openly(plant: Plant, tmp_path: Path) -> None:
    """In the configuration itself: neither check nor the bundle repeats it."""
    config = tmp_path / "config"
    (config / "devices.d").mkdir(parents=True)
    shapes = [f for f in FIELDS if f.group == registry.UPLINKS]
    uplinks = []
    for field in shapes:
        document = uplink_for(field, 9)
        inner = document
        for part in field.path[:-1]:
            inner = inner[part]
        inner[field.path[-1]] = plant.secrets[field.name]
        if field.plugin == "hj212":
            document["pw"] = plant.secrets["hj212-pw"]
        uplinks.append({"name": field.name, "type": field.plugin, **document})
    main = {"line": "x", "state_dir": str(tmp_path / "state"), "uplinks": uplinks}
    (config / "edge-agent.yaml").write_text(yaml.safe_dump(main, sort_keys=False), encoding="utf-8")
    for words in (("check",), ("check", "--json"), ("check", "--strict", "--lang", "zh")):
        done = command(*words, "--config", config)
        assert "W" in done.stdout + done.stderr
        clean(plant, " ".join(words), (done.stdout + done.stderr).encode())
    broken = (config / "edge-agent.yaml").read_text(encoding="utf-8")
    for text in (broken, broken.replace("type: http", "type: htpp"), broken + "\n  bad: [\n"):
        (config / "edge-agent.yaml").write_text(text, encoding="utf-8")
        done = command("check", "--config", config)
        clean(plant, "check", (done.stdout + done.stderr).encode())
        out = tmp_path / "bundle.tar.gz"
        done = command("support", "--out", out, "--config", config, timeout_s=120)
        assert done.returncode == 0, done.stderr
        for name, data in _opened(out).items():
            clean(plant, name, data)


def test_after_the_end(plant: Plant) -> None:
    """What it says in leaving, and what remains."""
    plant.site.reload()
    plant.site.stop(30)
    test_the_log(plant)
    test_files(plant)
