"""`hub.json` and `tests.json` have the shape that RunPod's publishing guide gives them, and name what there is."""

from __future__ import annotations

import json
import re
from typing import Any

from quire.contracts import OcrPagePayload, OcrPayload
from quire.queues import OCR_TASKS
from quire.settings import Settings
from tests.images.dockerfile import ROOT, Dockerfile

FOLDER = ROOT / "infra" / "runpod"
HUB: dict[str, Any] = json.loads((FOLDER / "hub.json").read_text(encoding="utf-8"))
TESTS: dict[str, Any] = json.loads((FOLDER / "tests.json").read_text(encoding="utf-8"))
CUDA = re.compile(r"\d+\.\d+")
KINDS = {"string", "number", "boolean", "huggingface"}


def test_runpod_finds_them_in_the_folder_that_it_looks_in():
    for name in ("hub.json", "tests.json", "Dockerfile", "README.md"):
        assert (ROOT / ".runpod" / name).samefile(FOLDER / name)


def test_the_listing_is_complete():
    assert {"title", "description", "type", "category", "config"} <= set(HUB)
    assert (HUB["type"], HUB["category"]) == ("serverless", "image")
    config = HUB["config"]
    assert {"runsOn", "containerDiskInGb", "gpuCount", "gpuIds", "allowedCudaVersions", "env"} == set(config)
    assert config["runsOn"] == "GPU"
    assert isinstance(config["containerDiskInGb"], int)
    assert config["gpuCount"] == 1
    assert re.fullmatch(r"[A-Z]+_\d+(_PRO)?(,-?[\w ]+)*", config["gpuIds"])


def test_its_variables_are_read_and_hold_no_secret():
    names = [each["key"] for each in HUB["config"]["env"]]
    assert len(names) == len(set(names))
    assert set(names) <= {field.upper() for field in Settings.model_fields}
    for each in HUB["config"]["env"]:
        given = each["input"]
        assert given["type"] in KINDS
        assert {"name", "description"} <= set(given)
        secret = "SecretStr" in str(Settings.model_fields[each["key"].lower()].annotation)
        assert not (secret and "default" in given), each["key"]
        if "options" in given:
            assert given["default"] in {option["value"] for option in given["options"]}
        if "default" in given:
            Settings.model_validate({each["key"].lower(): given["default"]})


def test_drivers_that_cannot_run_the_image_are_left_out():
    (base,) = (base for base in Dockerfile("infra/runpod/Dockerfile").bases() if "cuda" in base)
    built = tuple(int(part) for part in re.search(r":(\d+)\.(\d+)", base).groups())
    for versions in (HUB["config"]["allowedCudaVersions"], TESTS["config"]["allowedCudaVersions"]):
        assert all(CUDA.fullmatch(version) for version in versions)
        assert min(tuple(map(int, version.split("."))) for version in versions) == built


def test_the_tests_are_jobs_that_the_handler_takes():
    assert {"tests", "config"} == set(TESTS)
    assert {"gpuTypeId", "gpuCount"} <= set(TESTS["config"])
    assert {each["input"]["task"] for each in TESTS["tests"]} == set(OCR_TASKS)
    for each in TESTS["tests"]:
        assert set(each) == {"name", "input", "timeout"}
        assert set(each["input"]) == {"task", "payload"}
        model = OcrPagePayload if each["input"]["task"] == "tasks.ocr_page" else OcrPayload
        model.model_validate(each["input"]["payload"])
