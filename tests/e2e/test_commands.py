"""The commands a person types, as they type them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from PIL import Image

from quire.cli.samples import BORN_DIGITAL_PAGE, PHOTO, make_samples
from quire.embedded.processes import free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, model_dir: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "models").symlink_to(model_dir)
    return folder


@contextmanager
def quire_up(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`quire up` in a session of its own; stopped at the end if it still runs."""
    command = [sys.executable, "-m", "quire.cli.main", "up", "--home", str(home), *arguments]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=90)


def test_up_reads_both_samples_and_draws_their_boxes(home: Path):
    with quire_up(home, "--once", "--port", str(free_port())) as process:
        output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    for line in (*PHOTO, *BORN_DIGITAL_PAGE):
        assert line in output
    overlays = [Path(path) for path in re.findall(r"boxes over the page: (\S+)", output)]
    assert [path.name for path in overlays] == ["sample-page-1.png", "sample-page-2.png", "photo-page-1.png"]
    for path in overlays:
        with Image.open(path) as image:
            assert len(set(image.convert("RGB").resize((300, 300)).getdata())) > 10


def test_up_keeps_serving_until_it_is_interrupted_and_leaves_nothing_behind(home: Path, tmp_path: Path):
    port = free_port()
    _, photo = make_samples(tmp_path / "mine")
    with quire_up(home, "--port", str(port), "--file", str(photo)) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Open http"):
                break
        assert any(PHOTO[0] in line for line in lines), lines
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 4
        # As a terminal does: to the whole foreground group.
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=90)
    assert "Draining" in output
    assert process.returncode == 0, output
    time.sleep(0.5)
    left = [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert left == []


def test_up_says_in_one_line_that_its_port_is_taken(home: Path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with quire_up(home, "--port", str(port)) as process:
            output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.splitlines()[-1] == (
        f"quire: invalid_settings: Port {port} is taken. Stop what uses it, or choose another one: make run PORT=8001"
    )
    assert "Traceback" not in output


def test_up_says_in_one_line_that_a_file_is_missing(home: Path):
    with quire_up(home, "--file", "missing.pdf") as process:
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "quire: usage: There is no file missing.pdf.\n")


def read_here(file: Path, model_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT / "apps" / "worker"), "QUIRE_MODEL_DIR": str(model_dir)}
    command = [sys.executable, "-m", "ocr", *arguments, str(file)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_one_document_can_be_read_without_any_server(tmp_path: Path, model_dir: Path):
    pdf, photo = make_samples(tmp_path)
    assert read_here(photo, model_dir).stdout.splitlines() == list(PHOTO)
    pages = [json.loads(line) for line in read_here(pdf, model_dir, "--format", "json").stdout.splitlines()]
    assert [page["source"] for page in pages] == ["ocr", "text_layer"]


def test_what_cannot_be_read_is_one_line_and_a_status(tmp_path: Path, model_dir: Path):
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4")
    answer = read_here(broken, model_dir)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith(f"{broken}: corrupt: ")
    assert len(answer.stderr.splitlines()) == 1
