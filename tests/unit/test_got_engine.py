"""GOT-OCR 2.0 with random weights: real loading, real generation, and every way in which a checkpoint can be wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.requirements import Requirement

from benchmarks.gpu.curve import Setup
from benchmarks.gpu.measure import measure
from ocr.engines import PageEngine, ReadRequest, create_engine
from ocr.engines.by_options import Engines
from ocr.engines.choose import engine_name
from ocr.engines.got import GotEngine, checkpoint
from ocr.engines.got.__main__ import main
from ocr.read import ReadOptions, read_pages
from quire.contracts import OcrOptions
from quire.errors import EngineUnavailable, OutOfMemory, PageTimeout
from quire.pages import PageImage, open_source
from quire.settings import Settings
from tests.got_models import write_checkpoint
from tests.pdfs import write_scanned_pdf

with_torch = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("transformers") is None,
    reason="needs torch and transformers: make test-got",
)
ROOT = Path(__file__).parents[2]
WORDS = 16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("got") / "checkpoint")


@pytest.fixture(scope="module")
def engine(model: Path) -> GotEngine:
    return got(model)


def got(model: Path, **settings: Any) -> GotEngine:
    chosen = {"quire_got_max_tokens": WORDS} | settings
    return GotEngine(Settings(quire_got_model_dir=model, **chosen), threads=1)


def noise(count: int, size: tuple[int, int] = (90, 70)) -> list[PageImage]:
    """Pages that differ."""
    random = np.random.default_rng(0)
    return [PageImage(number, random.integers(0, 255, (*size, 3), np.uint8)) for number in range(1, count + 1)]


@with_torch
def test_pages_have_text_and_markdown_and_no_places(engine: GotEngine):
    pages = noise(2)
    plain, formatted = (
        engine.recognize_pages(pages, ReadRequest(("en",), mode=mode)) for mode in ("text", "structure")
    )
    assert isinstance(engine, PageEngine)
    assert [page.text for page in plain] == [page.text for page in formatted] == engine.transcribe(pages)
    assert [page.markdown for page in formatted] == engine.transcribe(pages, formatted=True)
    assert [page.markdown for page in plain] != [page.markdown for page in formatted]
    assert all(page.lines == () and page.text for page in plain)
    assert plain[0].text != plain[1].text


@with_torch
def test_what_a_page_says_does_not_depend_on_its_batch(model: Path, engine: GotEngine):
    pages = [*noise(2), *noise(1, (40, 300))]
    together = got(model, paddleocr_page_batch=8)
    assert together.transcribe(pages) == engine.transcribe(pages)
    # Of pages of different sizes the prompts name different numbers, and are of different lengths.
    region = (1, 2, 30, 30)
    assert together.transcribe(pages, region=region) == [engine.transcribe([page], region=region)[0] for page in pages]


@with_torch
def test_pages_are_read_in_half_precision_as_on_a_gpu(model: Path, engine: GotEngine):
    halved = got(model, paddleocr_page_batch=2)
    loaded = halved._load()
    loaded.model.to(loaded.torch.bfloat16)
    assert all(halved.transcribe(noise(2)))
    assert halved.transcribe(noise(2)) != engine.transcribe(noise(2))


@with_torch
def test_a_region_and_several_pages_are_asked_for_as_such(engine: GotEngine, monkeypatch: pytest.MonkeyPatch):
    loaded = engine._load()
    prompts: list[str] = []
    generate = loaded.model.generate

    def listening(**inputs: Any) -> Any:
        prompts.append(loaded.processor.tokenizer.decode(inputs["input_ids"][0].tolist()))
        assert inputs["pixel_values"].shape[0] == prompts[-1].count("<imgpad>") // 256
        return generate(**inputs)

    monkeypatch.setattr(loaded.model, "generate", listening)
    pages = noise(3, (100, 200))
    engine.transcribe(pages[:1], region=(20, 10, 100, 50))
    assert engine.transcribe_together(pages, formatted=True) != engine.transcribe(pages[:1], formatted=True)[0]
    assert "[100, 100, 500, 500] OCR: " in prompts[0]
    assert " OCR with format across multi pages: " in prompts[1]
    assert prompts[1].count("<imgpad>") == 3 * 256


@with_torch
def test_a_part_of_a_page_is_one_line_around_everything(engine: GotEngine):
    (lines,) = engine.recognize(noise(1, (40, 30)), ["en"])
    assert [line.box for line in lines] == [((0, 0), (30, 0), (30, 40), (0, 40))]
    assert lines[0].text == " ".join(engine.transcribe(noise(1, (40, 30)))[0].split())
    assert engine.recognize([], ["en"]) == []


class Device:
    """Room for so many pages at once, in front of a real model."""

    def __init__(self, engine: GotEngine, room: int, patch: pytest.MonkeyPatch) -> None:
        loaded = engine._load()
        self.room, self.attempts, self._torch = room, list[int](), loaded.torch
        self._generate = loaded.model.generate
        patch.setattr(loaded.model, "generate", self.generate)

    def generate(self, **inputs: Any) -> Any:
        self.attempts.append(len(inputs["input_ids"]))
        if self.attempts[-1] > self.room:
            raise self._torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self._generate(**inputs)


@with_torch
def test_a_batch_that_does_not_fit_is_halved_and_the_next_one_begins_small(
    model: Path, engine: GotEngine, monkeypatch: pytest.MonkeyPatch
):
    large = got(model, paddleocr_page_batch=4)
    pages = noise(6)
    expected = engine.transcribe(pages)
    device = Device(large, 1, monkeypatch)
    assert large.transcribe(pages) == expected
    assert device.attempts == [4, 2, 1, 1, 1, 1, 1, 1]
    assert large.describe()["page_batch"] == 1


@with_torch
def test_a_page_that_does_not_fit_alone_is_named(model: Path, monkeypatch: pytest.MonkeyPatch):
    engine = got(model)
    device = Device(engine, 0, monkeypatch)
    with pytest.raises(OutOfMemory, match="Page 1 needs more memory"):
        engine.transcribe(noise(2))
    device.room = 1
    assert len(engine.transcribe(noise(2))) == 2


@with_torch
def test_pages_that_do_not_fit_together_are_an_error_that_says_so(model: Path, monkeypatch: pytest.MonkeyPatch):
    engine = got(model)
    device = Device(engine, 0, monkeypatch)
    with pytest.raises(OutOfMemory, match=r"2 pages together need more memory .* fewer"):
        engine.transcribe_together(noise(2))
    device.room = 1
    assert engine.transcribe_together(noise(2))


@with_torch
def test_an_answer_without_end_is_stopped_in_time(model: Path):
    hasty = got(model, quire_page_seconds=0.001, quire_got_max_tokens=30_000)
    started = time.monotonic()
    with pytest.raises(PageTimeout, match=r"Page 1 .*QUIRE_PAGE_SECONDS"):
        hasty.transcribe(noise(1))
    assert time.monotonic() - started < 5
    # What has ended by then is no error.
    hasty._loaded = replace(hasty._load(), end_ids=[*range(len(hasty._load().processor.tokenizer))])
    assert len(hasty.transcribe(noise(1))) == 1


@with_torch
def test_the_end_of_a_message_ends_an_answer(model: Path, engine: GotEngine, caplog: pytest.LogCaptureFixture):
    loaded = engine._load()
    assert loaded.processor.tokenizer.encode("<|im_end|>")[0] in loaded.end_ids
    (text,) = engine.transcribe(noise(1))
    assert f"Page 1: the text was cut off after {WORDS} tokens (QUIRE_GOT_MAX_TOKENS)" in caplog.text
    assert text not in caplog.text
    caplog.clear()
    stopping = got(model)
    # Whatever this network says first, it is an end.
    stopping._loaded = replace(loaded, end_ids=[*range(len(loaded.processor.tokenizer))])
    assert len(stopping.transcribe(noise(1))[0]) < len(text)
    assert not caplog.text


@with_torch
def test_nobody_is_asked_for_anything(model: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []

    def refuse(_: socket.socket, address: Any) -> None:
        asked.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *name, **_: refuse(socket.socket(), name))
    assert got(model).transcribe(noise(1))
    assert asked == []


@with_torch
def test_the_version_is_of_the_weights_the_floats_and_the_length(model: Path, tmp_path: Path):
    version = got(model).version
    assert version.endswith(f".fp32.{WORDS}")
    assert got(model, paddleocr_device="gpu:0").version.endswith(f".bf16.{WORDS}")
    other = write_checkpoint(tmp_path / "other", seed=8)
    assert got(other).version != version
    assert got(Path(shutil.copytree(model, tmp_path / "copy"))).version == version


@with_torch
def test_the_worker_names_it_and_answers_structure_with_it(model: Path, tmp_path: Path):
    named = Settings(ocr_engine="got", quire_model_dir=tmp_path, quire_got_max_tokens=WORDS)
    model.rename(tmp_path / checkpoint.NAME)
    try:
        assert (engine_name(named), engine_name(Settings(ocr_engine="got", quire_ocr_engine="lean"))) == ("got", "lean")
        engine = Engines(create_engine(named), named)
        engine.warm_up()
        pages = {mode: read(engine, tmp_path, mode=mode) for mode in ("text", "structure")}
        assert pages["text"].markdown != pages["structure"].markdown
        for page in pages.values():
            assert (page.detections, page.words, page.blocks, page.confidence) == ((), (), (), None)
            assert page.engine == f"got {engine.version}"
            assert page.text
            assert page.markdown
    finally:
        (tmp_path / checkpoint.NAME).rename(model)


def read(engine: Engines, folder: Path, **options: Any) -> Any:
    resolved = ReadOptions.resolve(OcrOptions(dpi=40, **options), Settings())
    with open_source(write_scanned_pdf(folder / "scan.pdf", 1)) as source:
        return next(read_pages(source, [1], resolved, engine.for_options(resolved)))


@with_torch
def test_a_command_reads_a_region_or_pages_together(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("QUIRE_GOT_MODEL_DIR", str(model))
    monkeypatch.setenv("QUIRE_GOT_MAX_TOKENS", "4")
    scan = str(write_scanned_pdf(tmp_path / "scan.pdf", 2))
    for arguments, pages in (
        ([], 2),
        (["--together", "--formatted"], 1),
        (["--pages", "2", "--region", "1,2,30,40"], 1),
        (["--region", "1,2,30,5000"], 2),
    ):
        assert main([scan, "--dpi", "40", *arguments]) == 0
        assert capsys.readouterr().out.count("\f") == pages - 1
    for nothing in ("30,40,1,2", "0,0,inf,inf", "0,0,nan,5", "1,2,3", "5000,0,6000,20"):
        assert main([scan, "--region", nothing]) == 2
        assert "--region" in capsys.readouterr().err


@with_torch
def test_the_gpu_benchmark_measures_it(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All of it but the GPU."""
    monkeypatch.setenv("QUIRE_GOT_MODEL_DIR", str(model))
    monkeypatch.setenv("QUIRE_GOT_MAX_TOKENS", "4")
    monkeypatch.setenv("PATH", str(tmp_path))
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    driver.chmod(0o755)
    pdf = write_scanned_pdf(tmp_path / "scan.pdf", 1)
    setup = Setup("got", 2)
    found = measure(setup, pdf=pdf, gpu=0, seconds=0.01, renderers=1, logs=tmp_path, on_gpu=False)
    assert (found.setup, found.page_batch, [reading.pages for reading in found.readings]) == (setup, 2, [2])


# --- Checkpoints that are none


def test_a_checkpoint_that_is_not_there_is_an_error_that_says_where_it_should_be(tmp_path: Path):
    with pytest.raises(EngineUnavailable, match=rf"no directory {tmp_path}/models/GOT-OCR-2.0-hf: .*models download"):
        GotEngine(Settings(quire_model_dir=tmp_path / "models")).warm_up()


def damaged(model: Path, folder: Path, name: str, content: bytes | None) -> Path:
    copy = folder / "damaged"
    shutil.copytree(model, copy)
    if content is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(content)
    return copy


@with_torch
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, "has no config.json"),
        ("model.safetensors", None, "has no model.safetensors or"),
        ("processor_config.json", None, "has no processor_config.json or preprocessor_config.json"),
        ("config.json", b"{", "kind None"),
        ("config.json", b'{"model_type": "GOT", "auto_map": {"AutoModel": "x.py"}}', "kind 'GOT', not 'got_ocr2'"),
        ("model.safetensors", b"\x00" * 100, "cannot be loaded"),
        ("model.safetensors", b"", "cannot be loaded"),
        ("tokenizer.json", b"[]", "cannot be loaded"),
        ("processor_config.json", b"[]", "cannot be loaded"),
        ("tokenizer_config.json", b"{", "cannot be loaded"),
        ("config.json", b'{"model_type": "got_ocr2", "text_config": {"model_type": "other"}}', "cannot be loaded"),
    ],
)
def test_a_damaged_checkpoint_is_named(model: Path, tmp_path: Path, name: str, content: bytes | None, message: str):
    with pytest.raises(EngineUnavailable, match=message) as raised:
        got(damaged(model, tmp_path, name, content)).transcribe(noise(1))
    assert "quire models download --engine got" in raised.value.message
    # transformers may name every model that it knows.
    assert len(raised.value.message) < 600


@with_torch
def test_weights_that_end_too_early_are_refused(model: Path, tmp_path: Path):
    content = (model / "model.safetensors").read_bytes()
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        got(damaged(model, tmp_path, "model.safetensors", content[:-5000])).transcribe(noise(1))


@with_torch
def test_weights_without_all_tensors_are_refused_instead_of_guessed(model: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    copy = damaged(model, tmp_path, "unused", b"")
    tensors = load_file(copy / "model.safetensors")
    tensors.pop(next(name for name in tensors if "vision" in name))
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineUnavailable, match="lack 1 of the model's tensors"):
        got(copy).transcribe(noise(1))


@with_torch
def test_weights_of_another_size_are_refused(model: Path, tmp_path: Path):
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["text_config"]["intermediate_size"] = 65
    copy = damaged(model, tmp_path, "config.json", json.dumps(config).encode())
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        got(copy).transcribe(noise(1))


@with_torch
@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("processor_config.json", {"processor_class": "LlavaProcessor"}, "a LlavaProcessor prepares"),
        ("processor_config.json", {"image_processor": {"size": {"height": 128, "width": 128}}}, "128 pixels .* 256"),
        ("config.json", {"image_token_index": 3}, "token 5 .* 3"),
        ("tokenizer_config.json", {"pad_token": None, "eos_token": None}, "no token to pad with"),
    ],
)
def test_files_of_different_models_are_refused(
    model: Path, tmp_path: Path, name: str, changes: dict[str, Any], message: str
):
    """Each loads by itself; together they would fail at the first page."""
    content = json.loads((model / name).read_text(encoding="utf-8"))
    for key, change in changes.items():
        content[key] = content[key] | change if isinstance(change, dict) else change
    copy = damaged(model, tmp_path, name, json.dumps(content).encode())
    with pytest.raises(EngineUnavailable, match=f"do not belong together.*{message}.*models download"):
        got(copy).warm_up()


@with_torch
@pytest.mark.parametrize("token", ["<imgpad>", "<|im_end|>"])
def test_a_tokenizer_that_lacks_a_mark_is_refused(model: Path, tmp_path: Path, token: str):
    content = (model / "tokenizer.json").read_bytes().replace(token.encode(), b"<other>")
    with pytest.raises(EngineUnavailable, match=rf"do not belong together.*{re.escape(token)}.*models download"):
        got(damaged(model, tmp_path, "tokenizer.json", content)).warm_up()


@with_torch
def test_a_gpu_that_is_not_there_is_an_error(model: Path):
    with pytest.raises(EngineUnavailable, match=r"gpu:9 .*sees \d+ GPUs"):
        got(model, paddleocr_device="gpu:9").transcribe(noise(1))


def test_without_its_packages_the_engine_names_the_file_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("config.json", "tokenizer.json", "processor_config.json", "model.safetensors"):
        (tmp_path / name).write_text('{"model_type": "got_ocr2"}', encoding="utf-8")
    monkeypatch.setitem(sys.modules, "torch", None)
    engine = create_engine(Settings(quire_ocr_engine="got", quire_got_model_dir=tmp_path))
    with pytest.raises(EngineUnavailable, match=r"torch is missing.*requirements-got\.txt"):
        engine.warm_up()


def test_nobody_else_imports_torch():
    """What a worker imports for another engine."""
    assert imported("import ocr.engines, ocr.engines.by_options, ocr.engines.got") == []


def imported(code: str) -> list[str]:
    program = f"{code}\nimport sys\nprint(*sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    run = [sys.executable, "-c", program]
    path = ["apps/worker", "packages/shared", os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(path)}
    return subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT, env=environment).stdout.split()


# --- Requirements


def test_what_tests_run_is_what_workers_install():
    """`requirements-got-cpu.txt` has the versions of `requirements-got.txt`, with hashes, and no second copies."""
    pins = {name: pinned(f"apps/worker/{name}") for name in ("requirements-got.txt", "requirements-got-cpu.txt")}
    tested, installed = pins["requirements-got-cpu.txt"], pins["requirements-got.txt"]
    assert set(tested) == {"torch", "transformers"}
    assert all(hashes for _, hashes in tested.values())
    assert tested["transformers"] == installed["transformers"]
    assert tested["torch"][0] == f"{installed['torch'][0]}+cpu"


def pinned(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes by package."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    found = re.findall(r"^([a-z0-9-]+)==(\S+)(.*)$", text, re.MULTILINE)
    return {package: (version, frozenset(re.findall(r"sha256:[0-9a-f]{64}", rest))) for package, version, rest in found}


@with_torch
def test_the_environment_has_all_that_torch_and_transformers_ask_for():
    """They are installed without what they ask for, which requirements.txt has."""
    for package in ("torch", "transformers"):
        assert metadata.version(package) == pinned("apps/worker/requirements-got-cpu.txt")[package][0]
        for requirement in map(Requirement, metadata.requires(package) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert metadata.version(requirement.name) in requirement.specifier, requirement
