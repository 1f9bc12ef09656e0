"""The alerts we ship: sound, proved by their own cases, and about metrics that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from edge_agent.metrics import names
from edge_agent.metrics.names import Name

FOLDER = Path(__file__).parents[3] / "config" / "prometheus"


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=50, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.tool("promtool")
def test_the_rules_are_sound() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", "edge-agent.rules.yml")


@pytest.mark.tool("promtool")
def test_every_case_of_the_rules_holds() -> None:
    promtool("test", "rules", "edge-agent.rules.test.yml")


@pytest.mark.tool("promtool")
def test_the_scrape_example_is_sound() -> None:
    promtool("check", "config", "prometheus.yml")


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    cases = yaml.safe_load((FOLDER / "edge-agent.rules.test.yml").read_text(encoding="utf-8"))
    fired = {
        case["alertname"] for test in cases["tests"] for case in test["alert_rule_test"] if case["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in rules()}


def test_every_alert_says_what_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule
        assert rule["annotations"]["summary"] and rule["annotations"]["description"], rule


def test_rules_speak_only_of_metrics_that_exist() -> None:
    declared = [value for value in vars(names).values() if isinstance(value, Name)]
    known = {name.name for name in [*declared, *names.BUFFER.values(), *names.STORE.values()]}
    text = "\n".join(rule["expr"] for rule in rules())
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"edgeagent_\w+", text)}
    assert used and used <= known


def rules() -> list[dict[str, dict[str, str]]]:
    groups = yaml.safe_load((FOLDER / "edge-agent.rules.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]
