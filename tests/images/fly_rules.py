"""What Fly's command line refuses in a `fly.toml`, as a function: its own check needs an account.

After `internal/appconfig` of flyctl: the names of each section's keys, the values of those with few, and the limits of
times.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_KEYS: Final[dict[str, set[str]]] = {
    "": {
        "app", "primary_region", "kill_signal", "kill_timeout", "swap_size_mb", "console_command", "experimental",
        "build", "deploy", "env", "processes", "mounts", "http_service", "services", "checks", "files",
        "host_dedication_id", "machine_config", "container", "machine_checks", "restart", "vm", "statics", "metrics",
    },
    "build": {
        "builder", "args", "buildpacks", "image", "settings", "builtin", "dockerfile", "ignorefile", "build-target",
    },
    "deploy": {
        "strategy", "max_unavailable", "wait_timeout", "release_command", "release_command_timeout",
        "release_command_vm", "seed_command",
    },
    "vm": {"size", "memory", "memory_mb", "cpus", "cpu_kind", "gpus", "gpu_kind", "host_dedication_id", "processes"},
    "restart": {"policy", "retries", "processes"},
    "checks": {
        "type", "port", "method", "path", "protocol", "interval", "timeout", "grace_period", "headers",
        "tls_skip_verify", "tls_server_name", "processes",
    },
    "metrics": {"port", "path", "https", "processes"},
}  # fmt: skip
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIGNALS: Final = {"SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGSTOP"}


def problems(config: Mapping[str, Any], folder: Path) -> list[str]:
    """A sentence for each thing that is wrong; `folder` is where the file lies."""
    return [*_unknown_keys(config), *_values(config), *_checks(config), *_groups(config), *_files(config, folder)]


def seconds(duration: str | int) -> float:
    """A duration in seconds: "5m", "1m30s", or a number."""
    if isinstance(duration, int):
        return float(duration)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", duration)
    if "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is no duration")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _sections(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each table with fixed keys, by the name of its kind."""
    yield "", config
    for kind in ("build", "deploy"):
        yield kind, config.get(kind, {})
    for kind in ("vm", "restart", "metrics"):
        found = config.get(kind, [])
        yield from ((kind, each) for each in ([found] if isinstance(found, dict) else found))
    yield from (("checks", check) for check in config.get("checks", {}).values())


def _unknown_keys(config: Mapping[str, Any]) -> Iterator[str]:
    for kind, section in _sections(config):
        yield from (f"[{kind}] has no key {key}" for key in section if key not in _KEYS[kind])


def _values(config: Mapping[str, Any]) -> Iterator[str]:
    if not re.fullmatch(r"[a-z0-9-]+", str(config.get("app", ""))):
        yield "app: small letters, digits and dashes"
    if config.get("kill_signal", "SIGINT") not in _SIGNALS:
        yield "kill_signal"
    if not 0 < seconds(config.get("kill_timeout", "5s")) <= 300:
        yield "kill_timeout: at most 300 s"
    deploy = config.get("deploy", {})
    if deploy.get("strategy", "rolling") not in ("rolling", "immediate", "canary", "bluegreen"):
        yield "deploy.strategy"
    if float(deploy.get("max_unavailable", 0.33)) <= 0:
        yield "deploy.max_unavailable"
    seconds(deploy.get("wait_timeout", "5m"))
    yield from (f"env.{name} is no text" for name, value in config.get("env", {}).items() if not isinstance(value, str))
    policies = [each.get("policy") for kind, each in _sections(config) if kind == "restart"]
    yield from ("restart.policy" for policy in policies if policy not in ("always", "never", "on-failure"))


def _checks(config: Mapping[str, Any]) -> Iterator[str]:
    for name, check in config.get("checks", {}).items():
        if check.get("type") not in ("http", "tcp") or not isinstance(check.get("port"), int):
            yield f"checks.{name}: a type, http or tcp, and a port"
        if seconds(check.get("interval", "15s")) < 2 or seconds(check.get("timeout", "2s")) > 60:
            yield f"checks.{name}: an interval of 2 s at least, a timeout of 60 s at most"
        seconds(check.get("grace_period", "1s"))


def _groups(config: Mapping[str, Any]) -> Iterator[str]:
    processes = config.get("processes", {"app": ""})
    for command in processes.values():
        shlex.split(command)
    for kind, section in _sections(config):
        named = section.get("processes", ()) if kind else ()
        yield from (f"[{kind}] names {group}, which is no process group" for group in named if group not in processes)


def _files(config: Mapping[str, Any], folder: Path) -> Iterator[str]:
    named = config.get("build", {}).get("dockerfile")
    if named and not (folder / named).is_file():
        yield f"build.dockerfile: there is no {named}"
