"""Loading in a process of its own: the daemon asks, a child reads, checks and answers with frozen settings.

Reading 5,000 tags takes the best part of a second and 18 MB, and the loader's own modules another 10 MB. In a
child that costs the poll loop nothing, not even the interpreter's lock during a reload, and the memory is
given back when the child ends. The answer is a pickle on a pipe between two processes of the same program;
plug-ins travel by name. What could be loaded is also saved as last good here, before anything is applied.
"""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_agent.config.model import Configuration
from edge_agent.driver import DriverPlugin
from edge_agent.errors import ConfigurationError, LinesideError
from edge_agent.registry import DRIVERS, UPLINKS, load_driver, load_uplink, place_of
from edge_agent.settings import Problem, Record, Sealed
from edge_agent.uplink import UplinkPlugin

DEFAULT_STATE = "/var/lib/edge-agent"
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """``problems``: what is wrong with the files (Located), empty when they are in use. ``source``: current
    or last_good. ``not_saved``: why the snapshot for the next start could not be written, or empty."""

    configuration: Configuration
    problems: tuple[Problem, ...] = ()
    source: str = "current"
    not_saved: str = ""


async def load_apart(directory: Path, *, fall_back: bool) -> Loaded:
    """Reads the configuration in a child process. With ``fall_back`` the last good one stands in for files
    that cannot be used; without it, or when there is none, ConfigurationError is raised with the problems."""
    arguments = [str(directory), *(["--fall-back"] if fall_back else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge_agent.config.apart", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0 or not answer:
        raise LinesideError(
            f"reading the configuration ended with exit code {process.returncode}; see the log above"
        )
    loaded = _Unpickler(io.BytesIO(answer)).load()
    if isinstance(loaded, Loaded):
        return loaded
    raise ConfigurationError(loaded)


def main() -> None:
    """The child."""
    import argparse

    options = argparse.ArgumentParser()
    options.add_argument("directory", type=Path)
    options.add_argument("--fall-back", action="store_true")
    chosen = options.parse_args()
    answer = _read(chosen.directory, fall_back=chosen.fall_back)
    buffer = io.BytesIO()
    _Pickler(buffer, answer).dump(answer)
    sys.stdout.buffer.write(buffer.getvalue())


def _read(directory: Path, *, fall_back: bool) -> Loaded | tuple[Problem, ...]:
    from edge_agent.config import load

    try:
        configuration = load(directory)
    except ConfigurationError as error:
        found = _last_good(directory) if fall_back else None
        if found is None:
            return error.problems
        return Loaded(replace(found, files={}), error.problems, "last_good")
    return Loaded(replace(configuration, files={}), not_saved=_keep(configuration))


def _keep(configuration: Configuration) -> str:
    """The snapshot for the next start. A disk that refuses it must not keep the agent from running."""
    from edge_agent.config import save_last_good

    try:
        configuration.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_last_good(configuration, configuration.state_dir)
    except OSError as error:
        return f"{configuration.state_dir}: {error.strerror}"
    return ""


def _last_good(directory: Path) -> Configuration | None:
    from edge_agent.config import load_last_good

    for state_dir in _state_dirs(directory):
        try:
            return load_last_good(state_dir)
        except (ConfigurationError, OSError):
            continue
    return None


def _state_dirs(directory: Path) -> Iterator[Path]:
    """Where a snapshot may be: what systemd says, what the main file says if that much of it can be read,
    the default place."""
    import yaml

    told = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if told:
        yield Path(told)
    try:
        document = yaml.safe_load((directory / "edge-agent.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("state_dir"), str):
        yield directory / document["state_dir"]
    yield Path(DEFAULT_STATE)


class _Pickler(pickle.Pickler):
    """Plug-ins hold functions and classes of whoever wrote them: they go by kind, name and place.
    Numbers go by value, so that thousands of equal limits and delays become one object on the other side."""

    def __init__(self, file: io.BytesIO, answer: Loaded | tuple[Problem, ...]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._names: dict[int, tuple[str, ...]] = {}
        if isinstance(answer, Loaded):
            plugins = {id(d.plugin): (DRIVERS, d.driver) for d in answer.configuration.devices}
            plugins |= {id(u.plugin): (UPLINKS, u.type) for u in answer.configuration.uplinks}
            self._names = {key: (*found, place_of(*found)) for key, found in plugins.items()}

    def persistent_id(self, obj: object) -> tuple[str, ...] | None:
        if type(obj) is float:
            return "float", obj.hex()  # a number in here would be asked for its own name, for ever
        return self._names.get(id(obj)) if isinstance(obj, (DriverPlugin, UplinkPlugin)) else None

    def reducer_override(self, obj: Any) -> Any:
        """Models become records: the agent that receives them does not import pydantic."""
        from pydantic import BaseModel, SecretStr

        if isinstance(obj, BaseModel):
            return Record, ({name: getattr(obj, name) for name in type(obj).model_fields},)
        if isinstance(obj, SecretStr):
            return Sealed, (obj.get_secret_value(),)
        if isinstance(obj, (float, int)) and type(obj).__module__ == "edge_agent.keys":
            return (float, (float(obj),)) if isinstance(obj, float) else (int, (int(obj),))
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._numbers: dict[str, float] = {}

    def persistent_load(self, pid: Any) -> DriverPlugin | UplinkPlugin | float:
        kind, *rest = pid
        if kind == "float":
            return self._numbers.setdefault(rest[0], float.fromhex(rest[0]))
        return load_driver(*rest) if kind == DRIVERS else load_uplink(*rest)


if __name__ == "__main__":
    # As a module of that name the dataclass would be __main__.Loaded, which the parent does not know.
    from edge_agent.config import apart

    apart.main()
