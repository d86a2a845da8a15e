"""The GPU benchmark where there is no GPU: what it says, how it counts, and its parts that need none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.child import Child
from benchmarks.gpu.__main__ import NO_ENGINE, NO_GPU, setups
from benchmarks.gpu.curve import Point, Reading, Setup, enough
from benchmarks.gpu.measure import measure, point_of
from benchmarks.gpu.nvidia import Gpu, NoGpu, Sample, Sampler, Usage, find_gpus, parse_gpu, parse_sample, summarise
from benchmarks.gpu.pages import Host, batches, write_pages
from benchmarks.gpu.reader import Job, read_for
from benchmarks.gpu.structure import write_config
from ocr.engines import opencv_alias
from quire.pages import open_source
from quire.settings import Settings
from tests.pdfs import write_scanned_pdf
from tests.structured_pages import report_models

ROOT = Path(__file__).parents[2]
ONE_GPU = "echo '0, NVIDIA Test, 24564, 550.54'"


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to put a program that is taken for the driver's; it is the only one on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder / "nvidia-smi"


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(output: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = ":".join(str(ROOT / folder) for folder in ("packages/shared", "apps/worker"))
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--output", str(output), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def point(rate: float, batch: int = 1, **more: Any) -> Point:
    return Point(Setup("paddleocr", batch), (Reading(round(rate * 10), 10.0),), None, **more)


def test_without_a_driver_it_says_so_and_ends(tmp_path: Path, nvidia_smi: Path):
    done = run(tmp_path / "gpu.json")
    assert done.returncode == NO_GPU == 3
    assert done.stderr == "No GPU to measure on: There is no nvidia-smi: no NVIDIA driver is installed.\n"
    assert not (tmp_path / "gpu.json").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'No devices were found'", "No devices were found"),
        ("echo 'could not communicate with the driver'; exit 9", "could not communicate with the driver"),
    ],
)
def test_a_driver_without_a_gpu_is_no_gpu(nvidia_smi: Path, script: str, said: str):
    write_program(nvidia_smi, script)
    with pytest.raises(NoGpu, match=said):
        find_gpus()


def test_a_gpu_that_is_not_there_is_named(tmp_path: Path, nvidia_smi: Path):
    write_program(nvidia_smi, ONE_GPU)
    done = run(tmp_path / "gpu.json", "--gpu", "3")
    assert (done.returncode, done.stderr) == (NO_GPU, "No GPU to measure on: there is no GPU 3, only 0.\n")


def test_engines_that_cannot_use_the_gpu_say_why_and_nothing_is_saved(
    tmp_path: Path, nvidia_smi: Path, model_dir: Path
):
    """With the paddlepaddle of requirements.txt, which is built for the CPU, and without the checkpoint of GOT-OCR."""
    write_program(nvidia_smi, ONE_GPU)
    done = run(
        tmp_path / "gpu.json",
        "--engines",
        "paddleocr,got",
        "--pages",
        "1",
        "--seconds",
        "1",
        QUIRE_MODEL_DIR=str(model_dir),
    )
    assert done.returncode == NO_ENGINE, done.stderr
    for engine, said in (
        ("paddleocr", "install paddlepaddle-gpu"),
        ("got", "there is no directory .*GOT-OCR-2.0-hf"),
    ):
        lines = [line for line in done.stdout.splitlines() if line.startswith(f"{engine}, ")]
        # The other batches would fail the same way.
        assert [bool(re.search(said, line)) for line in lines] == [True], engine
    assert not (tmp_path / "gpu.json").exists()


def test_a_gpu_is_read_from_the_drivers_list():
    assert parse_gpu("1, NVIDIA L4, 23034, 550.54.15") == Gpu(1, "NVIDIA L4", 23034, "550.54.15")


@pytest.mark.parametrize("line", ["", "No devices were found", "0, NVIDIA L4", "x, NVIDIA L4, 23034, 550"])
def test_another_line_is_no_gpu(line: str):
    assert parse_gpu(line) is None


def test_a_sample_is_read():
    assert parse_sample("87, 10240\n") == Sample(87, 10240)


@pytest.mark.parametrize("line", ["", "[N/A], 10240", "87", "87, 10, 4"])
def test_a_sample_without_its_values_is_left_out(line: str):
    assert parse_sample(line) is None


def test_samples_come_to_a_mean_and_a_maximum():
    samples = [Sample(0, 100), Sample(50, 400), Sample(100, 300)]
    assert summarise(samples) == Usage(utilisation=50, memory=400, samples=3)
    assert summarise([]) is None


def test_a_sampler_collects_until_it_is_stopped(nvidia_smi: Path):
    write_program(nvidia_smi, "echo '[N/A], 1'; while :; do echo '40, 1000'; echo '60, 2000'; /bin/sleep 0.02; done")
    with Sampler(0) as sampler:
        deadline = time.monotonic() + 10
        while (sampler.usage() is None or len(sampler._samples) < 6) and time.monotonic() < deadline:
            time.sleep(0.01)
    usage = sampler.usage()
    assert usage is not None
    assert usage.samples >= 6
    assert 40 <= usage.utilisation <= 60
    assert usage.memory == 2000
    assert sampler._process.poll() is not None


def test_the_rate_of_several_processes_is_the_sum():
    both = Point(Setup("paddleocr", 4, processes=2), (Reading(100, 10.0), Reading(60, 12.0)), None)
    assert both.rate == pytest.approx(15)
    assert both.to_json()["pages_per_second"] == 15


@pytest.mark.parametrize(
    ("rates", "batch"),
    [
        ({1: 10.0}, 1),
        ({1: 10.0, 2: 18.0, 4: 30.0, 8: 31.0, 16: 31.5}, 4),
        ({1: 10.0, 2: 18.0, 4: 30.0, 8: 33.0, 16: 20.0}, 8),
        ({1: 10.0, 2: 10.0, 4: 10.0}, 1),
    ],
)
def test_the_smallest_batch_that_is_as_good_as_the_best_is_enough(rates: dict[int, float], batch: int):
    points = [point(rate, size) for size, rate in rates.items()]
    assert enough(points).setup.batch == batch
    assert enough(points[::-1]).setup.batch == batch


def test_a_row_says_where_memory_made_the_batch_smaller():
    assert point(12.5, 32, page_batch=8).cells() == ["1", "32 (memory: 8)", "before", "12.50", "-", "-"]
    used = Point(Setup("lean", 4, 2, "others"), (Reading(125, 10.0),), Usage(91.4, 10240, 99))
    assert used.cells() == ["2", "4", "others", "12.50", "91 %", "10,240 MiB"]


def test_processes_and_rendering_are_measured_with_the_batch_that_is_enough():
    rates = {1: 10.0, 2: 20.0, 4: 20.1}
    measured: list[Point] = []
    asked: list[Setup] = []
    for setup in setups("paddleocr", list(rates), [1, 2], measured):
        asked.append(setup)
        measured.append(point(rates[setup.batch], setup.batch))
    assert [(setup.batch, setup.processes, setup.host) for setup in asked] == [
        (1, 1, "before"),
        (2, 1, "before"),
        (4, 1, "before"),
        (2, 2, "before"),
        (2, 1, "same"),
        (2, 1, "others"),
        (2, 2, "same"),
        (2, 2, "others"),
    ]


def test_an_engine_without_a_single_point_is_asked_for_nothing_more():
    assert [setup.batch for setup in setups("lean", [1, 2], [1, 2], [])] == [1, 2]


def test_answers_of_processes_become_a_point():
    answers = [
        {"pages": 40, "seconds": 10.0004, "engine": {"page_batch": 8}},
        {"pages": 20, "seconds": 10.0, "engine": {"page_batch": 4}},
    ]
    found = point_of(Setup("paddleocr", 8, 2), answers, Sampler(0))
    assert found.readings == (Reading(40, 10.0), Reading(20, 10.0))
    assert (found.page_batch, found.usage) == (4, None)
    other = point_of(Setup("lean", 8), [{"pages": 1, "seconds": 1.0, "engine": {}}], Sampler(0))
    assert other.page_batch is None


def test_whole_batches_are_read_until_the_time_is_over():
    read: list[int] = []

    def slowly(batch: Any) -> None:
        time.sleep(0.05)
        read.append(len(batch))

    answer = read_for(0.12, iter([[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]), slowly)  # type: ignore[list-item]
    assert answer["pages"] == sum(read) > 2
    assert 0.12 <= answer["seconds"] < 1
    assert read_for(0, iter([[1, 2, 3]]), slowly)["pages"] == 3  # type: ignore[list-item]


def test_the_pages_are_of_one_size_and_different(tmp_path: Path):
    write_pages(tmp_path / "pages.pdf", 2)
    with open_source(tmp_path / "pages.pdf") as source:
        assert source.page_count == 2
        one, other = source.image(1, 150), source.image(2, 150)
    assert one.pixels.shape == other.pixels.shape
    assert not np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("host", ["same", "others"])
def test_pages_are_the_same_wherever_they_are_rendered(tmp_path: Path, host: Host):
    pdf = tmp_path / "pages.pdf"
    write_pages(pdf, 2)
    with closing(batches(pdf, 3, "before")) as before, closing(batches(pdf, 3, host, 2)) as elsewhere:
        for expected, rendered in islice(zip(before, elsewhere, strict=False), 2):
            assert [page.number for page in rendered] == [page.number for page in expected]
            assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(expected, rendered, strict=True))


def test_a_process_reads_with_the_engine_it_was_told(tmp_path: Path, model_dir: Path):
    pdf = write_scanned_pdf(tmp_path / "pages.pdf", 1)
    job = Job("lean", str(pdf), batch=1, host="before", renderers=1, on_gpu=False)
    environment = {"QUIRE_OCR_ENGINE": "lean", "PADDLEOCR_DEVICE": "cpu", "QUIRE_MODEL_DIR": str(model_dir)}
    arguments = json.dumps(asdict(job))
    with Child("benchmarks.gpu.reader", arguments, log=tmp_path / "log", environment=environment) as child:
        assert child.ask({"seconds": None}) == {"ready": True}
        answer = child.ask({"seconds": 0.01})
    assert (answer["pages"], answer["engine"]["engine"]) == (1, "lean")
    assert answer["seconds"] > 0.01


@pytest.mark.filterwarnings("ignore")
def test_pages_are_measured_with_pp_structurev3(tmp_path: Path, nvidia_smi: Path, monkeypatch: pytest.MonkeyPatch):
    """All of it but the GPU, with small models in place of those that see the layout."""
    opencv_alias.install()
    write_program(nvidia_smi, "while :; do echo '40, 1000'; /bin/sleep 0.02; done")
    (tmp_path / "models").mkdir()
    own = report_models(tmp_path / "models")
    config = yaml.safe_load(own.read_text(encoding="utf-8"))
    config["SubModules"]["LayoutDetection"]["model_dir"] = "PP-DocLayout_plus-L"
    own.write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.setenv("PADDLEOCR_PIPELINE_CONFIG", str(own))
    monkeypatch.setenv("QUIRE_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("QUIRE_MODELS", "bundled")
    (tmp_path / "written").mkdir()
    written = yaml.safe_load(write_config(Settings(), 3, tmp_path / "written").read_text(encoding="utf-8"))
    assert (written["batch_size"], written["SubPipelines"]["GeneralOCR"]["batch_size"]) == (3, 3)
    layout = written["SubModules"]["LayoutDetection"]
    assert (layout["batch_size"], layout["model_dir"]) == (3, str(tmp_path / "models" / "PP-DocLayout_plus-L"))
    pdf = write_scanned_pdf(tmp_path / "pages.pdf", 1)
    setup = Setup("structure", 2)
    found = measure(setup, pdf=pdf, gpu=0, seconds=0.01, renderers=1, logs=tmp_path, on_gpu=False)
    assert (found.setup, [reading.pages for reading in found.readings]) == (setup, [2])
    assert found.usage is not None


def test_a_process_that_would_read_on_the_cpu_does_not_pass_for_one_on_the_gpu(tmp_path: Path, model_dir: Path):
    job = Job("lean", "unused.pdf", batch=1, host="before", renderers=1)
    environment = {"QUIRE_OCR_ENGINE": "lean", "PADDLEOCR_DEVICE": "cpu", "QUIRE_MODEL_DIR": str(model_dir)}
    arguments = json.dumps(asdict(job))
    with Child("benchmarks.gpu.reader", arguments, log=tmp_path / "log", environment=environment) as child:
        assert child.ask({"seconds": None}) == {"unavailable": "lean reads on cpu here."}
