"""What one kind of mistake is: its code, its cause and its cure, in both languages."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.settings import Text


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of mistake. ``texts`` gives its cause and its cure with the placeholders filled."""

    code: str
    en: str
    zh: str
    cure_en: str
    cure_zh: str

    @property
    def warning(self) -> bool:
        return self.code.startswith("W-")

    def texts(self, values: dict[str, object]) -> tuple[Text, Text]:
        en = {key: _say(value, "en") for key, value in values.items()}
        zh = {key: _say(value, "zh") for key, value in values.items()}
        return (
            Text(self.en.format(**en), self.zh.format(**zh)),
            Text(self.cure_en.format(**en).strip(), self.cure_zh.format(**zh).strip()),
        )


def _say(value: object, language: str) -> object:
    return value.say(language) if isinstance(value, Text) else value
