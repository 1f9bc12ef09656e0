"""What a run must have reached: a comparison that never meets a state proves nothing about it."""

from __future__ import annotations

from collections.abc import Mapping

TROUBLES = [
    "waiting", "stale", "bad", "bad_comm", "bad_device", "undefined",
    "uncertain", "uncertain_stopped", "uncertain_estimated",
]  # fmt: skip
GROUPS: dict[str, list[str]] = {
    "state": ["in", "out", "unknown", "suppressed"],
    "letter": list("ABCDEFGHI"),
    "limit": ["lolo", "low", "high", "hihi", "rise", "fall", "state", "bad_input"],
    "reason": [
        *TROUBLES, "not_a_number", "implausible_range", "implausible_slope", "frozen",
        "target waiting", "target stale", "target bad_comm", "target uncertain",
        "when waiting", "when stale", "when bad_comm", "when uncertain",
    ],
    "accepted": ["ack", "reset", "shelve", "unshelve", "suppress", "unsuppress", "silence"],
    "refused": ["ack", "reset", "shelve", "unshelve", "suppress", "unsuppress"],
    "output": [f"{tag} {on}" for tag in ("a.horn", "a.lamp", "b.beacon", "b.bell") for on in ("on", "off")],
    "alarm_raised in": list("GHI"),
    "alarm_returned in": list("GHI"),
}  # fmt: skip
SINGLE = [
    "excursion_begin", "excursion_end", "window_unknown", "window_known", "window_suppressed",
    "window_unsuppressed", "alarm_raised", "alarm_returned", "alarm_acknowledged", "alarm_reset",
    "alarm_shelved",
    "alarm_unshelved", "alarm_suppressed", "alarm_unsuppressed", "alarm_out_of_service", "alarm_in_service",
    "alarm_realarmed", "alarm_removed", "annunciated", "first-out", "restarts", "crashes", "reloads",
]  # fmt: skip


def missing(seen: Mapping[str, int]) -> list[str]:
    wanted = [f"{group} {name}" for group, names in GROUPS.items() for name in names]
    return [what for what in [*wanted, *SINGLE] if not seen.get(what)]


def table(seen: Mapping[str, int]) -> str:
    rows = [
        f"{group + ':':18}" + ", ".join(f"{name} {seen.get(f'{group} {name}', 0)}" for name in names)
        for group, names in GROUPS.items()
    ]
    return "\n".join([*rows, "events and steps:  " + ", ".join(f"{n} {seen.get(n, 0)}" for n in SINGLE)])
