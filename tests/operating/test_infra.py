"""The files of `infra/`: they say what they should, and name only what there is."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
import yaml

from quire.settings import Settings
from tests.operating.conftest import ROOT, System

INFRA = ROOT / "infra"
COMPOSE: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DASHBOARD: dict[str, Any] = json.loads((INFRA / "grafana" / "dashboards" / "quire.json").read_text(encoding="utf-8"))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_every_metric_of_the_dashboard_is_served(system: System):
    served = system.get("/metrics").text + httpx.get(f"{system.metrics_url}/metrics").text
    families = set(re.findall(r"^# TYPE (\w+)", served, re.M))
    families |= {f"{name}{suffix}" for name in families for suffix in ("_bucket", "_count", "_sum")}
    named = {name for expression in EXPRESSIONS for name in re.findall(r"\bquire_\w+", expression)}
    assert len(named) >= 10
    assert named <= families


def test_panels_use_the_data_source_that_is_provisioned():
    provisioned = yaml.safe_load((INFRA / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    (source,) = provisioned["datasources"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"


def test_everything_that_has_to_run_is_a_service():
    wanted = {"redis", "postgres", "migrate", "api", "worker-ocr", "worker-default"}
    assert set(SERVICES) == wanted | {"flower", "prometheus", "grafana"}
    needed = {name for service in SERVICES.values() for name in service.get("depends_on", ())}
    assert needed <= set(SERVICES)
    beats = [name for name, service in SERVICES.items() if "-B" in (service.get("command") or ())]
    assert beats == ["worker-default"]


def test_prometheus_asks_the_services_that_serve_metrics():
    config = yaml.safe_load((INFRA / "prometheus" / "prometheus.yml").read_text())
    api, workers = config["scrape_configs"]
    assert api["static_configs"] == [{"targets": ["api:8000"]}]
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert api["authorization"] == {"type": "Bearer", "credentials_file": f"/run/secrets/{secret}"}
    assert COMPOSE["secrets"][secret] == {"environment": "QUIRE_METRICS_KEY"}
    (discovered,) = workers["dns_sd_configs"]
    assert {name: SERVICES[name]["environment"]["QUIRE_METRICS_PORT"] for name in discovered["names"]} == {
        "worker-ocr": discovered["port"],
        "worker-default": discovered["port"],
    }


@pytest.mark.parametrize("name", ["api", "worker-ocr", "worker-default"])
def test_the_variables_of_a_service_are_ones_that_are_read(name: str):
    known = {field.upper() for field in Settings.model_fields} | {"CELERY_CONCURRENCY"}
    assert set(SERVICES[name]["environment"]) <= known


def test_nothing_listens_outside_of_this_machine_and_nothing_is_open():
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    # Compose refuses to start without these.
    text = (INFRA / "compose.yaml").read_text()
    for variable in ("POSTGRES_PASSWORD", "FLOWER_BASIC_AUTH", "GRAFANA_PASSWORD"):
        assert re.search(rf"\$\{{{variable}:\?", text)
    assert "FLOWER_BASIC_AUTH" in SERVICES["flower"]["environment"]


@pytest.mark.parametrize("app", ["api", "worker"])
def test_images_copy_what_there_is_and_run_as_nobody_special(app: str):
    lines = (ROOT / "apps" / app / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY") and "--from" not in line]
    assert copied
    assert all((ROOT / path).exists() for paths in copied for path in paths)
    assert "USER quire" in lines
    (install,) = (line for line in lines if "pip install" in line)
    assert {"--require-hashes", "--no-deps"} <= set(install.split())
    assert any(line.startswith("HEALTHCHECK") for line in lines)
