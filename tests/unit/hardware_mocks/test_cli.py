"""``python -m hardware_mocks`` as the processes that tests and `demo` start."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
ANY_PORTS = ["--modbus-port=0", "--s7-port=0", "--opcua-port=0", "--control-port=0"]
PARK_PORTS = ["--park-port=0", "--park-control-port=0"]


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "hardware_mocks", *arguments, stdout=pipe, stderr=pipe
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(20):
            ready = json.loads(await child.stdout.readline() or b"{}")
        yield child, ready
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def end(child: asyncio.subprocess.Process, number: signal.Signals) -> tuple[int, str, str, float]:
    began = asyncio.get_running_loop().time()
    child.send_signal(number)
    out, err = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode(), asyncio.get_running_loop().time() - began


async def accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:  # reset: it stood in the queue of a port that was closing
        return False
    writer.transport.abort()
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_all_is_ready_with_one_line_and_ends_quietly(number: signal.Signals) -> None:
    async with running("all", *ANY_PORTS, *PARK_PORTS) as (child, ready):
        assert set(ready) == {"modbus", "s7", "opcua", "control", "park", "park_control"}
        assert [name for name, port in ready.items() if not await accepts(port)] == []
        _, open_connection = await asyncio.open_connection("127.0.0.1", ready["modbus"])
        code, out, err, took_s = await end(child, number)
        open_connection.transport.abort()
    assert (code, out, err) == (0, "", "")
    assert took_s < 3  # 2 s, and what a busy machine adds


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["line", *ANY_PORTS], {"modbus", "s7", "opcua", "control"}),
        (["modbus", "--port=0", "--control-port=0"], {"modbus", "control"}),
        (["s7", "--port=0", "--control-port=0"], {"s7", "control"}),
        (["opcua", "--port=0", "--control-port=0"], {"opcua", "control"}),
        (["park", *PARK_PORTS], {"park", "park_control"}),
        (["bench-modbus", "--port=0", "--control-port=0", "--devices=4"], {"modbus", "control", "ports"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
async def test_every_command_tells_its_ports(arguments: list[str], names: set[str]) -> None:
    async with running(*arguments) as (child, ready):
        assert set(ready) == names
        ports = ready.pop("ports", [])
        assert all([await accepts(port) for port in [*ready.values(), *ports]])
        assert (await end(child, signal.SIGTERM))[:3] == (0, "", "")


async def test_the_excursion_schedule_is_set_on_the_command_line() -> None:
    options = ["--excursion-first-s=0.3", "--excursion-length-s=0.5", "--excursion-period-s=100", "--seed=9"]
    async with running("modbus", "--port=0", "--control-port=0", *options) as (_, ready):
        seen = []
        async with aiohttp.ClientSession() as http, asyncio.timeout(20):
            while not seen or seen[-1]["time_s"] < 1.2:
                async with http.get(f"http://127.0.0.1:{ready['control']}/state") as response:
                    seen.append((await response.json())["process"])
                await asyncio.sleep(0.02)
    high = [state["time_s"] for state in seen if state["pressure_mpa"] > 0.5]
    assert high
    assert all(0.3 < time_s < 1.2 for time_s in high)


async def told(*arguments: str) -> tuple[int | None, str]:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "hardware_mocks", *arguments, stderr=pipe
    )
    _, err = await child.communicate()
    return child.returncode, err.decode()


async def test_a_person_changes_the_process_and_the_mood_from_the_command_line() -> None:
    async with running("all", *ANY_PORTS, *PARK_PORTS) as (_, ready), aiohttp.ClientSession() as http:
        line, park = f"--control-port={ready['control']}", f"--park-control-port={ready['park_control']}"
        assert await told("set", "pressure_setpoint_mpa", "0.53", line) == (0, "")
        async with http.get(f"http://127.0.0.1:{ready['control']}/state") as response:
            assert (await response.json())["process"]["pressure_setpoint_mpa"] == 0.53
        assert await told("mood", "reject", "--device=press-1", "--times=2", park) == (0, "")
        async with http.get(f"http://127.0.0.1:{ready['park_control']}/report") as response:
            assert (await response.json())["mode"] == "reject"
        code, why = await told("mood", "angry", park)
        assert code == 1 and "'angry' is not one of" in why
        code, why = await told("set", "colour", "1", line)
        assert code == 1 and "'colour'" in why


async def test_a_taken_port_is_one_sentence_not_a_traceback() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running("s7", f"--port={port}", "--control-port=0") as (child, ready):
        _, err = await child.communicate()
    server.close()
    await server.wait_closed()
    assert ready == {}
    assert child.returncode == 1
    assert "cannot start" in err.decode()
    assert str(port) in err.decode()
    assert "Traceback" not in err.decode()


async def test_with_parent_it_ends_when_the_parent_is_killed(until: Until) -> None:
    script = textwrap.dedent("""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-m", "hardware_mocks", *sys.argv[1:]],
                                 stdout=subprocess.PIPE)
        print(child.pid, child.stdout.readline().decode(), flush=True)
        child.wait()
    """)
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        *("modbus", "--port=0", "--control-port=0", "--with-parent"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid, _, ready = (await parent.stdout.readline()).decode().partition(" ")
    port = json.loads(ready)["modbus"]
    assert await accepts(port)
    parent.kill()
    await parent.wait()
    try:

        async def gone() -> bool:
            return not await accepts(port)

        await until(gone)
    finally:
        if _is_hardware_mocks(int(pid)):
            os.kill(int(pid), signal.SIGKILL)


def _is_hardware_mocks(pid: int) -> bool:
    try:
        return b"hardware_mocks" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def test_help_names_every_command() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hardware_mocks", "--help", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert child.returncode == 0
    for name in ("line", "modbus", "s7", "opcua", "park", "all", "bench-modbus"):
        assert f"  {name} " in out.decode()


async def test_fault_switches_a_line_that_runs_and_says_what_it_cannot() -> None:
    async with running("s7", "--port=0", "--control-port=0") as (_, ready):
        control = f"--control-port={ready['control']}"
        for server, kind, code, words in (("s7", "put_get_off", 0, ""), ("s7", "parity", 1, "not one of"),
                                          ("modbus", "silent", 1, "must be one of s7")):  # fmt: skip
            async with running("fault", server, kind, control) as (child, _):
                _, err = await child.communicate()
            assert (child.returncode, words in err.decode()) == (code, True), err
