"""The way to the parks is cut, slow, silent, or leads to somebody else: F38 to F43."""

from __future__ import annotations

import re
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.faults.certificates import Authority
from tests.faults.parks import Receiver
from tests.faults.scene import Plan, Scene
from tests.faults.stage import Scenario, Stage
from tests.faults.toxics import HEALTHY, Toxic
from tests.plant.processes import eventually

LIVE_WITHIN_S = 2.0
STATUS_AGE_S = 0.3  # of an answer of the agent: a drain that falls between two looks is not faster than this
DRAIN_FACTOR = 10.0
TRIES_PER_MIN = 2
HEAD_OF_LINE_S = 60.0
TIMEOUT_S = 5.0  # of the uplinks of `parks`
CONFIRM_S = 60.0


# -- F38


def outage(stage: Stage) -> None:
    away_s = stage.either(30.0, 600.0)
    stage.did(f"parks away for {away_s:g} s at 10 devices x 4 tags x 20 Hz, then back one after the other")
    with Scene(stage.folder, Plan(flush="500ms", poll="50ms", units=10)) as scene:
        scene.start()
        scene.flows()
        scene.each("down")
        down_s, begin = _read(scene), time.monotonic()
        time.sleep(away_s)
        live_rate = (_read(scene) - down_s) / (time.monotonic() - begin)
        stage.told("live samples/s", live_rate)
        for name, park in scene.parks.items():
            park.do("ok")
            watch = _Drain(scene, name, park)
            stage.told(f"backlog {name} samples", watch.backlog)
            watch.run(60 + away_s)
            factor = watch.rate / live_rate if watch.rate is not None else None
            if park.kind == "sparkplug":  # its historian may be slow: HTTP, MQTT, HJ 212 are held to it
                stage.told(f"drain / live rate, {name}", factor)
            else:
                stage.at_least(f"drain / live rate, {name}", factor, DRAIN_FACTOR)
            stage.at_most(f"live delay p99 s, {name}", watch.live_p99_s, LIVE_WITHIN_S)
        scene.settle()
        stage.judge(scene)


def _read(scene: Scene) -> int:
    return int(scene.site.status()["totals"]["samples_read"])


class _Drain:
    """From the first confirmation to the end of the backlog. ``rate``: samples confirmed per second, with the
    live ones. ``live_p99_s``: age of the newest sample at its arrival: it was read before its commit, so its
    delay after the commit is less."""

    def __init__(self, scene: Scene, name: str, park: Receiver) -> None:
        self._scene = scene
        self._name = name
        self._park = park
        self.backlog = self._row()["pending_samples"]
        self.rate: float | None = None
        self.live_p99_s: float | None = None

    def _row(self) -> dict[str, Any]:
        row: dict[str, Any] = self._scene.buffer()["uplinks"][self._name]
        return row

    def run(self, within_s: float) -> None:
        seen: list[tuple[float, int, int]] = []
        ages: list[float] = []
        newest_us = self._park.newest_us()
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            row = self._row()
            waiting = self._scene.waiting(self._name, row)
            seen.append((time.monotonic(), row["acknowledged_samples"], waiting))
            now_us = self._park.newest_us()
            if now_us > newest_us:
                ages.append(time.time() - now_us / 1e6)
                newest_us = now_us
            if waiting <= 2 * self._scene.plan.units + 1 and len(ages) > 3:
                break
            time.sleep(0.02)
        moved = [index for index in range(1, len(seen)) if seen[index][1] > seen[index - 1][1]]
        done = next(
            (i for i, (_, _, waiting) in enumerate(seen) if waiting <= 2 * self._scene.plan.units + 1), None
        )
        if moved and done is not None:
            first = moved[0] - 1
            self.rate = (seen[done][1] - seen[first][1]) / (seen[done][0] - seen[first][0] + STATUS_AGE_S)
        if ages:
            self.live_p99_s = sorted(ages)[-1 - len(ages) // 100]


# -- F39


def lost_answers(stage: Stage) -> None:
    hold_s = stage.either(8.0, 60.0)
    stage.did(f"for {hold_s:g} s parks take everything and every answer is lost on the way")
    with Scene(stage.folder, Plan(uplink_keys={})) as scene:
        scene.start()
        scene.flows()
        scene.each("lose_answers")
        time.sleep(hold_s)
        scene.each("ok")
        time.sleep(1)
        for park in scene.parks.values():
            park.proxy.use(Toxic(swallow_answers=True))
        time.sleep(hold_s)
        for park in scene.parks.values():
            park.proxy.use(HEALTHY)
        scene.settle()
        found = stage.judge(scene)
        stage.at_least("units that came again", min(a.repeated for a in found), 1)


# -- F40


def half_open(stage: Stage) -> None:
    rounds = stage.either(1, 5)
    stage.did("packets of the connections that stand are dropped without a word (nft), then let through")
    with Scene(stage.folder) as scene:
        scene.start()
        scene.flows()
        slowest: dict[str, float] = defaultdict(float)
        for _ in range(rounds):
            ports = ", ".join(str(park.proxy.port) for park in scene.parks.values())
            _nft(f"tcp dport {{ {ports} }} drop", f"tcp sport {{ {ports} }} drop")
            begin = time.monotonic()
            left = set(scene.parks)
            while left and time.monotonic() < begin + 3 * TIMEOUT_S:
                for row in scene.site.status()["uplinks"]:
                    if row["name"] in left and not row["up"]:
                        left.discard(row["name"])
                        slowest[row["name"]] = max(slowest[row["name"]], time.monotonic() - begin)
                time.sleep(0.05)
            for name in left:
                slowest[name] = 3 * TIMEOUT_S
            _nft()
            scene.flows(60)
        for name, seconds in slowest.items():
            stage.at_most(f"detected after s, {name}", seconds, 1.5 * TIMEOUT_S)
        scene.settle()
        stage.judge(scene)


def _nft(*rules: str) -> None:
    """These rules for what comes in, and no others; without any, everything passes."""
    chain = ["chain in {", "type filter hook input priority 0;", *rules, "}"]
    text = "\n".join(["flush ruleset", "table inet faults {", *chain, "}", ""])
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)


# -- F41


def strangers(stage: Stage) -> None:
    """Each case has an uplink of its own; then the right certificate comes, and everything is delivered."""
    watch_s = stage.either(62.0, 300.0)
    folder = stage.folder / "tls"
    ours, theirs = Authority(folder / "ours"), Authority(folder / "theirs")
    good = ours.server("good")
    expired, other = ours.server("expired", expired=True), ours.server("other", "park.example")
    ancient, stranger = ours.ancient("ancient"), theirs.server("stranger")
    cases: dict[str, tuple[str, Any]] = {
        "expired": ("http", expired), "tls-1-0": ("http", ancient), "wrong-name": ("http", other),
        "unknown-ca": ("http", stranger), "plain-server": ("http", None), "revoked": ("http", good),
        "mqtt-expired": ("mqtt", expired), "mqtt-unknown-ca": ("mqtt", stranger),
        "influx-wrong-name": ("influx", other), "sparkplug-expired": ("sparkplug", expired),
    }  # fmt: skip
    stage.did(
        f"{', '.join(cases)}: watched for {watch_s:g} s, then set right; HJ 212, without TLS, beside them"
    )
    plan = Plan(uplinks=[*((name, kind) for name, (kind, _) in cases.items()), ("hj212", "hj212")])
    with Scene(stage.folder, plan) as scene:
        for name, (_, certificate) in cases.items():
            scene.parks[name].proxy.secure(certificate)
        entries = scene.site.main["uplinks"]
        for entry in entries:
            if entry["name"] in cases:
                url = entry["url"].replace("http:", "https:").replace("mqtt:", "mqtts:")
                entry |= {"url": url, "ca_file": str(ours.ca)}
        scene.site.write_main(uplinks=entries)
        scene.parks["revoked"].do("denied")
        begin = time.monotonic()
        scene.start()
        begin = time.monotonic()
        time.sleep(watch_s)
        for name in cases:
            park = scene.parks[name]
            opened = [t for t in park.proxy.opened if t >= begin - 2]
            worst = max((sum(t <= other < t + 60 for other in opened) for t in opened), default=0)
            stage.at_most(f"tries/min {name}", worst, TRIES_PER_MIN)
        rows = {row["name"]: row for row in scene.site.status()["uplinks"]}
        stage.is_("said to be up", [name for name, row in rows.items() if row["up"]], ["hj212"])
        denied = {e["source"] for e in scene.site.events("uplink_denied")}
        stage.is_("alarms", len(denied), len(cases))
        for name in cases:
            scene.parks[name].proxy.secure(good)
            scene.parks[name].do("ok")
        scene.site.write_main(uplinks=entries)
        scene.flows(130)
        scene.settle()
        clear = sum(park.proxy.clear_bytes for park in scene.parks.values())
        stage.is_("plaintext bytes", clear, 0)
        stage.judge(scene)


# -- F42


def poison(stage: Stage) -> None:
    """At every park that can refuse, three stored segments that it will never take."""
    stage.did("three stored segments are answered with 400 for ever")
    with Scene(stage.folder, Plan(flush="250ms")) as scene:
        scene.each("down")
        scene.start()
        eventually("a backlog", lambda: scene.pending() >= 24, 40)
        buffer = scene.buffer()
        head, epoch = buffer["head"], buffer["epoch"]
        chosen = [f"samples/{epoch}/{head - n}" for n in (3, 9, 15)]
        for park in scene.parks.values():
            if "poison" in park.faults:
                park.do("poison", keys=chosen)
            else:
                park.do("ok")
        begin = time.monotonic()
        scene.flows(HEAD_OF_LINE_S + 10)
        eventually("the rest is delivered", lambda: scene.pending() <= 5, HEAD_OF_LINE_S + 10)
        stage.at_most("head of line s", time.monotonic() - begin, HEAD_OF_LINE_S)
        scene.settle()
        found = stage.judge(scene)
        with_poison = [a for a in found if "poison" in scene.parks[a.uplink].faults]
        shares = {a.uplink: a.quarantined for a in with_poison}
        stage.at_least("quarantined samples", min(shares.values()), 3)
        stage.at_most("quarantined samples, most", max(shares.values()), 3 * 4 * 12)


# -- F43


def poor(stage: Stage) -> None:
    hold_s = stage.either(15.0, 120.0)
    stage.did(
        f"2 s round trip, 10 kB/s, slices of 50 bytes, half of the packets lost (nft), {hold_s:g} s each"
    )
    with Scene(stage.folder, Plan(uplink_keys={})) as scene:
        scene.start()
        scene.flows()
        before_mb = _rss_mb(scene.pid)
        worst_mb = 0.0
        toxics = {
            "2 s round trip": Toxic(delay_s=1.0),
            "10 kB/s": Toxic(bytes_per_s=10_000),
            "slices": Toxic(slice_bytes=50, delay_s=0.001),
        }
        for name, toxic in toxics.items():
            for park in scene.parks.values():
                park.proxy.use(toxic)
            stage.at_least(f"goodput %, {name}", _goodput(scene, hold_s), 10)
            worst_mb = max(worst_mb, _rss_mb(scene.pid))
        for park in scene.parks.values():
            park.proxy.use(HEALTHY)
        ports = ", ".join(str(park.proxy.port) for park in scene.parks.values())
        _nft(f"tcp dport {{ {ports} }} numgen random mod 2 == 0 counter drop")
        stage.at_least("goodput %, half lost", _goodput(scene, 2 * hold_s), 1)
        worst_mb = max(worst_mb, _rss_mb(scene.pid))
        stage.at_least("packets dropped", _dropped(), 20)
        _nft()
        scene.flows(60)
        scene.settle()
        stage.at_most("RSS growth MB", worst_mb - before_mb, 20)
        stage.judge(scene)


def _dropped() -> int:
    """By the rule that counts."""
    text = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    return sum(int(count) for count in re.findall(r"counter packets (\d+)", text))


def _goodput(scene: Scene, seconds: float) -> float:
    """Of what was read meanwhile, how much was confirmed; the worst of the uplinks."""
    before, read = scene.buffer()["uplinks"], _read(scene)
    time.sleep(seconds)
    after, more = scene.buffer()["uplinks"], _read(scene) - read
    shares = [int(after[n]["acknowledged_samples"] - before[n]["acknowledged_samples"]) for n in scene.parks]
    return 100 * min(shares) / max(1, more)


def _rss_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


SCENARIOS = (
    Scenario("F38", "platform away for long", outage, alone=True, limit_s=1800),
    Scenario("F39", "answers lost", lost_answers),
    Scenario("F40", "half-open connection", half_open, spaces=("net",), tools=("nft", "ip")),
    Scenario(
        "F41",
        "refused, revoked, expired, too old, somebody else",
        strangers,
        tools=("openssl",),
        limit_s=900,
        lasts_s=130,
    ),
    Scenario("F42", "poison", poison),
    Scenario("F43", "poor link", poor, spaces=("net",), tools=("nft", "ip"), limit_s=1200, lasts_s=90),
)
