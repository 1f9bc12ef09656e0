"""What `fault` tells a line that runs, over its control port."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

_TIMEOUT_S = 5.0


class NotObeyed(Exception):
    """Nobody is there, or the line says why it will not; the text tells."""


def send(port: int, order: Mapping[str, Any]) -> None:
    """One order to the control port of this machine. Raises NotObeyed."""
    url = f"http://127.0.0.1:{port}/control"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, json.dumps(order).encode(), method="POST")
    try:
        opener.open(request, timeout=_TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        with error:
            raise NotObeyed(json.load(error)["error"]) from error
    except OSError as error:
        raise NotObeyed(f"no simulated line has its control port at {port}: {error}") from error
