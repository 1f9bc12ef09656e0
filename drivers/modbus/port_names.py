"""Which name of a serial port stays when adapters are plugged in anew."""

from __future__ import annotations

from pathlib import Path

BY_ID = Path("/dev/serial/by-id")


def lasting_name(device: str, folder: Path | None = None) -> Path | None:
    """The name below ``/dev/serial/by-id`` that stands for this port on this computer; None where there is
    none, such as for a port of another computer."""
    folder = folder or BY_ID
    try:
        names = sorted(folder.iterdir())
    except OSError:
        return None
    meant = Path(device).resolve()
    return next((name for name in names if name.resolve() == meant), None)
