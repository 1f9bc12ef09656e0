"""``doctor`` for servers that take line protocol: as over HTTP, at the address where lines are written."""

from __future__ import annotations

import base64
from typing import Any

from edge_agent.uplinks.http.doctor import HttpDoctor
from edge_agent.uplinks.http.exchange import header_text
from edge_agent.uplinks.influx.uplink import write_url


class InfluxDoctor(HttpDoctor):
    def asks(self, settings: Any) -> tuple[dict[str, str], str]:
        url = write_url(settings)
        if settings.token is not None:
            scheme = "Bearer" if settings.bucket is None else "Token"
            return {
                "Authorization": f"{scheme} {header_text(settings.token.get_secret_value(), 'token')}"
            }, url
        if settings.user is None:
            return {}, url
        secret = "" if settings.password is None else settings.password.get_secret_value().strip()
        pair = base64.b64encode(f"{settings.user}:{secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}, url
