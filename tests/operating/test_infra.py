"""`docker-compose.yml` and the files of `infra/`: they say what they should, and name only what there is."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from quire.settings import Settings
from tests.operating.conftest import ROOT, System

INFRA = ROOT / "infra"
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
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


def test_it_is_what_compose_takes():
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_everything_that_has_to_run_is_a_service():
    wanted = {"redis", "postgres", "s3", "migrate", "api", "worker-ocr", "worker-default", "beat", "flower"}
    assert set(SERVICES) == wanted | {"prometheus", "grafana", "worker-gpu", "burst"}
    # What costs money, or needs a GPU, is asked for.
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert profiles == {"worker-gpu": ["gpu"], "burst": ["burst"]}
    needed = {name for service in SERVICES.values() for name in service.get("depends_on", ())}
    assert needed <= set(SERVICES)
    beats = [name for name, service in SERVICES.items() if {"-B", "--beat", "beat"} & set(service.get("command") or ())]
    assert beats == ["beat"]


def test_names_in_one_place_are_declared_in_another():
    mounted = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    named = {volume for volume in mounted if not volume.startswith(".")}
    assert named == set(COMPOSE["volumes"])
    assert all((ROOT / volume).exists() for volume in mounted - named)
    for service in SERVICES.values():
        build = service.get("build")
        assert build is None or (ROOT / build["dockerfile"]).is_file()


def test_images_of_others_are_pinned():
    for name, service in SERVICES.items():
        if "build" not in service:
            assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", service["image"]), name


def test_what_others_wait_for_says_when_it_is_well():
    waited = {
        name
        for service in SERVICES.values()
        if isinstance(needed := service.get("depends_on"), dict)
        for name, wait in needed.items()
        if wait["condition"] == "service_healthy"
    }
    assert waited == {"redis", "postgres", "s3"}
    for name in waited:
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_a_worker_has_the_time_to_drain():
    for name in ("worker-ocr", "worker-gpu", "worker-default"):
        grace = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert grace > Settings().quire_drain_seconds


def test_the_gpu_worker_gets_one():
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert SERVICES["worker-gpu"]["build"]["target"] == "pod"


def test_everybody_uses_the_same_bucket():
    for name in ("api", "worker-ocr", "worker-gpu", "worker-default", "burst"):
        environment = SERVICES[name]["environment"]
        assert environment["S3_ENDPOINT_URL"] == "${S3_ENDPOINT_URL:-http://s3:8333}"
        assert environment["S3_BUCKET"] == "${S3_BUCKET:-quire}"
    assert "-bucket=${S3_BUCKET:-quire}" in SERVICES["s3"]["command"]
    assert SERVICES["s3"]["environment"]["AWS_ACCESS_KEY_ID"] == "${S3_ACCESS_KEY_ID}"


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
        "worker-gpu": discovered["port"],
        "worker-default": discovered["port"],
    }


@pytest.mark.parametrize("name", ["api", "worker-ocr", "worker-gpu", "worker-default", "beat", "migrate", "burst"])
def test_the_variables_of_a_service_are_ones_that_are_read(name: str):
    assert set(SERVICES[name]["environment"]) <= {field.upper() for field in Settings.model_fields}


def test_nothing_listens_outside_of_this_machine_and_nothing_is_open():
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    # Compose refuses to start without these.
    required = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert required == {
        "POSTGRES_PASSWORD",
        "FLOWER_BASIC_AUTH",
        "GRAFANA_PASSWORD",
        "S3_ACCESS_KEY_ID",
        "S3_SECRET_ACCESS_KEY",
    }
    assert "FLOWER_BASIC_AUTH" in SERVICES["flower"]["environment"]


def test_the_example_has_every_variable_and_no_value_that_is_secret():
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.M))
    assert set(re.findall(r"\$\{(\w+)", TEXT)) - named <= {"OPENAI_BASE_URL", "OPENAI_MODEL"}
    for name in re.findall(r"\$\{(\w+):\?", TEXT):
        assert re.search(rf"^{name}=$", example, re.M)
