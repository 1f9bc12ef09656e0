"""What the peers need, installed into ``var/interop`` and kept there as long as the pins stay the same."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "var" / "interop"
_INSTALL_S = 300


class Unavailable(Exception):
    """What is missing, why, and what would help."""


def python() -> Path:
    """The interpreter of an environment with the Python peers and nothing of ours."""
    lock, folder = HERE / "requirements.lock", FOLDER / "python"
    interpreter = folder / "bin" / "python"
    if not _is_current(folder, [lock]):
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)], FOLDER)
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--require-hashes", "-r", str(lock)], FOLDER)
        _mark(folder, [lock])
    return interpreter


def node() -> Path:
    """The folder whose ``node_modules`` hold the OPC UA peer."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        _install_node()
    pins, folder = [HERE / "node" / name for name in ("package.json", "package-lock.json")], FOLDER / "node"
    if not _is_current(folder, pins):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for pin in pins:
            shutil.copy(pin, folder)
        _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"], folder)
        _mark(folder, pins)
    return folder


def _install_node() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Unavailable("node and npm are not installed, and only root may install them (nodejs, npm)")
    _run(["apt-get", "-qq", "update"], HERE)
    _run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", "nodejs", "npm"], HERE)


def _run(command: Sequence[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_INSTALL_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]}: {error}") from error
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:5])}: {done.stderr.strip()[-500:]}")


def _digest(pins: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(pin.read_bytes() for pin in pins)).hexdigest()


def _is_current(folder: Path, pins: Sequence[Path]) -> bool:
    stamp = folder / "pins"
    return stamp.exists() and stamp.read_text(encoding="ascii") == _digest(pins)


def _mark(folder: Path, pins: Sequence[Path]) -> None:
    (folder / "pins").write_text(_digest(pins), encoding="ascii")
