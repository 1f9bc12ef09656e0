"""Headers that a person configured, with their placeholders filled."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.uplinks.http.exchange import header_text
from edge_agent.uplinks.templates.words import SAMPLES, About, Place, parts, text_of


def headers_of(headers: Mapping[str, str], about: About) -> dict[str, str]:
    """Denied, without showing it, where a header would hold what HTTP cannot carry: a secret, or the name of
    the line in Chinese."""
    place = Place(about, [])
    return {
        name: header_text(
            "".join(
                before + (text_of(SAMPLES[word][1](place)) if word else "") for before, word in parts(text)
            ),
            f"header {name}",
        )
        for name, text in headers.items()
    }
