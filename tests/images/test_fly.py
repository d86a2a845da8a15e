"""`infra/fly/fly.toml` is one that Fly takes, and its worker has the time to drain that it counts on."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from quire.settings import Settings
from tests.images.dockerfile import ROOT
from tests.images.fly_rules import problems, seconds

FOLDER = ROOT / "infra" / "fly"
CONFIG: dict[str, Any] = tomllib.loads((FOLDER / "fly.toml").read_text(encoding="utf-8"))


def test_fly_takes_it():
    assert problems(CONFIG, FOLDER) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c.update(kill_timeot="5s"), "[] has no key kill_timeot"),
        (lambda c: c.update(kill_timeout="301s"), "kill_timeout"),
        (lambda c: c.update(kill_signal="TERM"), "kill_signal"),
        (lambda c: c["deploy"].update(strategy="rollin"), "deploy.strategy"),
        (lambda c: c["env"].update(CELERY_CONCURRENCY=2), "env.CELERY_CONCURRENCY"),
        (lambda c: c["vm"][0].update(memry="1gb"), "[vm] has no key memry"),
        (lambda c: c["restart"][0].update(policy="allways"), "restart.policy"),
        (lambda c: c["restart"][0].update(processes=["wroker"]), "no process group"),
        (lambda c: c["checks"]["alive"].update(interval="1s"), "checks.alive"),
        (lambda c: c["checks"]["alive"].update(type="https"), "checks.alive"),
        (lambda c: c["build"].update(dockerfile="Dokerfile"), "build.dockerfile"),
    ],
)
def test_mistakes_are_found(change: Callable[[dict[str, Any]], None], problem: str):
    config = copy.deepcopy(CONFIG)
    change(config)
    (found,) = problems(config, FOLDER)
    assert problem in found


def test_the_worker_has_drained_before_fly_kills_it():
    drain = float(CONFIG["env"]["QUIRE_DRAIN_SECONDS"])
    assert CONFIG["kill_signal"] == "SIGTERM"
    assert drain + 15 <= seconds(CONFIG["kill_timeout"])
    # A model's answer that is under way arrives before tasks are handed back.
    assert drain * 0.7 > Settings().quire_llm_timeout_seconds
    # Celery's other shutdowns would take the place of the worker's own.
    assert "REMAP_SIGTERM" not in CONFIG["env"]


def test_its_variables_are_read_and_hold_no_secret():
    fields = {name.upper(): field for name, field in Settings.model_fields.items()}
    assert set(CONFIG["env"]) <= set(fields)
    assert not [name for name in CONFIG["env"] if "SecretStr" in str(fields[name].annotation)]
    settings = Settings.model_validate({name.lower(): value for name, value in CONFIG["env"].items()})
    assert settings.consumed_queue == settings.default_queue != settings.ocr_queue


def test_it_is_always_on_and_watched_where_it_answers():
    # Fly starts and stops machines for services; this one has none.
    assert not {"services", "http_service"} & set(CONFIG)
    assert [each["policy"] for each in CONFIG["restart"]] == ["always"]
    port = int(CONFIG["env"]["QUIRE_METRICS_PORT"])
    assert {check["port"] for check in CONFIG["checks"].values()} | {each["port"] for each in CONFIG["metrics"]} == {
        port
    }
    assert [command for command in CONFIG["processes"].values() if "--beat" in command.split()]
