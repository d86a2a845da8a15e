"""`quire models`: what there is, downloads from a real HTTP server that breaks off and lies, and checksums."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ocr import prepare
from ocr.engines import choose, models
from ocr.engines.got import checkpoint
from ocr.engines.offline import find_model
from ocr.engines.paddle import TEXTLINE_MODEL
from ocr.engines.structure import pipeline_config
from ocr.model_store import catalogue, checksums
from ocr.model_store.__main__ import main
from ocr.model_store.catalogue import Model
from ocr.model_store.checksums import SUMS, parse_sums, verify
from ocr.model_store.fetching import fetch
from ocr.preparation import flattening, orientation
from ocr.preparation.flattening import Flattening
from ocr.preparation.orientation import Orientation
from quire.cli.checkout import worker_command
from quire.errors import EngineUnavailable, InvalidPayload, ModelDamaged, ModelsUnreachable
from quire.pages import PageImage
from quire.settings import Settings
from tests.model_hub import ModelHub, serving
from tests.structure_models import classifier, unwarper

WEIGHTS = bytes(range(97, 123)) * 4000
REPOSITORY = "stepfun-ai/GOT-OCR-2.0-hf"
PREPARATION = (orientation.MODEL, flattening.MODEL, TEXTLINE_MODEL)


def files() -> dict[str, bytes]:
    return {
        "config.json": b'{"model_type": "got_ocr2"}',
        "tokenizer.json": b"{}" * 600,
        "preprocessor_config.json": b"{}",
        "model.safetensors": WEIGHTS,
        "README.md": b"# GOT",
        "modeling.py": b"import os",
    }


@pytest.fixture
def hub() -> Iterator[ModelHub]:
    with serving(ModelHub({REPOSITORY: files()})) as running:
        yield running


@pytest.fixture
def settings(hub: ModelHub, tmp_path: Path) -> Settings:
    return Settings(hf_endpoint=hub.url, hf_hub_offline=False, quire_model_dir=tmp_path / "models")


def got(settings: Settings) -> Model:
    (model,) = catalogue.find(settings, "got")
    return model


def fetched(settings: Settings, base: str | None = None) -> bool:
    ((_, was_fetched),) = fetch(settings, [got(settings)], base)
    return was_fetched


def left(settings: Settings) -> set[str]:
    return {path.name for path in settings.quire_model_dir.iterdir()}


def test_a_model_comes_whole_and_once(hub: ModelHub, settings: Settings):
    assert verify(got(settings)).outcome == "missing"
    assert fetched(settings)
    place = settings.quire_model_dir / checkpoint.NAME
    assert {path.name: path.read_bytes() for path in place.iterdir() if path.name != SUMS} == {
        name: content for name, content in files().items() if Path(name).suffix in (".json", ".safetensors")
    }
    checkpoint.check(place)
    assert verify(got(settings)) == checksums.Verdict("ok", "4 files")
    hub.asked.clear()
    assert not fetched(settings)
    assert hub.asked == []
    assert left(settings) == {checkpoint.NAME, f".{checkpoint.NAME}.lock"}


def test_a_folder_over_http_will_do(hub: ModelHub, settings: Settings):
    assert fetched(settings.model_copy(update={"hf_hub_offline": True}), f"{hub.url}/folder/")
    assert verify(got(settings)).outcome == "ok"
    assert all(path.startswith("/folder/GOT-OCR-2.0-hf/") for path, _ in hub.asked)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on(hub: ModelHub, settings: Settings, ranges: bool):
    hub.broken_after, hub.ranges = len(WEIGHTS) // 2, ranges
    with pytest.raises(ModelsUnreachable, match=r"model\.safetensors cannot be reached \(RemoteProtocolError\)"):
        fetched(settings)
    assert not got(settings).is_here
    hub.broken_after = None
    hub.asked.clear()
    assert fetched(settings)
    assert verify(got(settings)).outcome == "ok"
    # Small files were there already.
    asked = [(path.rpartition("/")[2], part) for path, part in hub.asked if "/resolve/" in path]
    assert asked == [("model.safetensors", f"bytes={len(WEIGHTS) // 2}-")]


def test_a_download_goes_on_from_another_state_by_beginning_again(hub: ModelHub, settings: Settings):
    hub.broken_after = len(WEIGHTS) // 2
    with pytest.raises(ModelsUnreachable):
        fetched(settings)
    hub.broken_after = None
    newer = hub.repositories[REPOSITORY]["model.safetensors"] = WEIGHTS[::-1]
    del hub.repositories[REPOSITORY]["preprocessor_config.json"]
    hub.repositories[REPOSITORY]["processor_config.json"] = b"{}"
    assert fetched(settings)
    assert (got(settings).place / "model.safetensors").read_bytes() == newer
    assert not (got(settings).place / "preprocessor_config.json").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_not_what_was_announced_is_refused(hub: ModelHub, settings: Settings, name: str):
    hub.altered.add(name)
    with pytest.raises(ModelDamaged, match=rf"{name} is not the file that its source announces"):
        fetched(settings)
    assert not got(settings).is_here
    hub.altered.clear()
    assert fetched(settings)


def test_a_source_without_a_file_that_is_needed_is_refused(hub: ModelHub, settings: Settings):
    del hub.repositories[REPOSITORY]["tokenizer.json"]
    with pytest.raises(ModelDamaged, match=r"has no tokenizer\.json"):
        fetched(settings)
    assert not got(settings).is_here


@pytest.mark.parametrize("path", ["../outside.json", "/etc/quire.json", "a/../../b.json"])
def test_a_source_names_no_file_outside_of_the_model(hub: ModelHub, settings: Settings, path: str, tmp_path: Path):
    hub.repositories[REPOSITORY][path] = b"{}"
    for base in (None, f"{hub.url}/folder"):
        with pytest.raises(ModelsUnreachable, match="answered something else"):
            fetched(settings, base)
    assert {each.name for each in tmp_path.iterdir()} == {"models"}


def test_damage_is_found_and_mended(settings: Settings):
    fetched(settings)
    weights = got(settings).place / "model.safetensors"
    weights.write_bytes(WEIGHTS[:-1] + b"?")
    assert verify(got(settings)) == checksums.Verdict("damaged", "model.safetensors is not what was published")
    assert fetched(settings)
    assert weights.read_bytes() == WEIGHTS
    weights.unlink()
    assert verify(got(settings)).outcome == "missing"
    assert fetched(settings)


def test_sums_that_leave_out_a_file_that_is_needed_prove_nothing(settings: Settings):
    fetched(settings)
    sums = got(settings).place / SUMS
    lines = sums.read_text(encoding="utf-8").splitlines()
    sums.write_text("\n".join(line for line in lines if "safetensors" not in line), encoding="utf-8")
    assert verify(got(settings)) == checksums.Verdict("unknown", f"{SUMS} does not name model.safetensors")


def test_a_directory_that_was_not_downloaded_is_left_alone(settings: Settings):
    place = got(settings).place
    place.mkdir(parents=True)
    (place / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(EngineUnavailable, match=r"was not downloaded\. Move it away"):
        fetched(settings)
    for name, content in files().items():
        (place / name).write_bytes(content)
    assert verify(got(settings)).outcome == "unknown"
    assert not fetched(settings)
    assert (place / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_several_that_download_at_once_fetch_once(hub: ModelHub, settings: Settings):
    outcomes: list[bool] = []
    threads = [threading.Thread(target=lambda: outcomes.append(fetched(settings))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, False, False, True]
    assert sum(path.endswith("/model.safetensors") for path, _ in hub.asked) == 1


def test_nobody_there_nothing_there_and_not_allowed_are_errors_with_a_remedy(hub: ModelHub, settings: Settings):
    away = settings.model_copy(update={"hf_endpoint": "http://127.0.0.1:9"})
    with pytest.raises(ModelsUnreachable, match=r"cannot be reached \(ConnectError\).*--from URL.*copy the model"):
        fetched(away)
    hub.repositories.clear()
    with pytest.raises(ModelsUnreachable, match="answered 404"):
        fetched(settings)
    with pytest.raises(ModelsUnreachable, match="HF_HUB_OFFLINE forbids"):
        fetched(settings.model_copy(update={"hf_hub_offline": True}))


@pytest.mark.parametrize("text", ["", "abc  file", f"{'0' * 64}  ../file", f"{'g' * 64}  file", f"{'0' * 64}"])
def test_sums_that_are_none_are_refused(text: str):
    with pytest.raises(ValueError, match=r"no line of|no path below|empty"):
        parse_sums(text)


def test_sums_are_as_sha256sum_writes_them():
    assert parse_sums(f"{'0' * 64} *./a/b\n\n{'A' * 64}  c d\n") == {"a/b": "0" * 64, "c d": "a" * 64}


# --- What there is


def test_every_engine_and_language_has_its_models(tmp_path: Path):
    settings = Settings(quire_model_dir=tmp_path)
    found = catalogue.find(settings)
    assert {model.engine for model in found} == set(catalogue.ENGINES)
    assert len(catalogue.paddle_languages()) == 112
    for language in catalogue.paddle_languages():
        names = [model.name for model in found if model.engine == "paddleocr" and language in model.languages]
        assert names == list(models.names_for(language)), language
    # Kannada's are for Paddle only.
    assert {model.repository for model in catalogue.find(settings, "paddleocr", "ka")} == {
        "PaddlePaddle/PP-OCRv3_mobile_det",
        "PaddlePaddle/ka_PP-OCRv3_mobile_rec",
    }
    assert [model.name for model in catalogue.find(settings, "lean", "de")] == [
        "PP-OCRv6_det_small.onnx",
        "PP-OCRv6_rec_small.onnx",
    ]
    with pytest.raises(InvalidPayload, match="reads 'tlh'"):
        catalogue.find(settings, "lean", "tlh")
    with pytest.raises(InvalidPayload, match="no engine 'abacus'"):
        catalogue.find(settings, "abacus")


def test_what_the_settings_need(tmp_path: Path):
    def names(**more: Any) -> list[str]:
        return [model.name for model in catalogue.needed(Settings(quire_model_dir=tmp_path, **more))]

    bundled = ["PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"]
    assert names() == names(quire_ocr_engine="paddleocr") == bundled
    assert names(quire_models="download") == ["PP-OCRv6_medium_det", "PP-OCRv6_medium_rec", *PREPARATION]
    assert names(ocr_engine="got") == [checkpoint.NAME]


def test_an_image_that_downloads_models_has_those_of_the_options_too(tmp_path: Path):
    """No worker fetches them itself: without them a payload that asks for an option fails."""

    def prepared(**more: Any) -> dict[str, tuple[tuple[str, ...], ...]]:
        settings = Settings(quire_model_dir=tmp_path, quire_models="download", **more)
        return {model.name: model.needs for model in catalogue.needed(settings) if model.engine == "preparation"}

    onnx, paddle = prepared(), prepared(paddleocr_device="gpu:0")
    assert set(onnx) == set(paddle) == set(PREPARATION)
    assert {files for needs in onnx.values() for files in needs} == {("inference.yml",), ("inference.onnx",)}
    # The first two run on ONNX Runtime everywhere, the last one in PaddleOCR's pipeline.
    assert paddle[PREPARATION[0]] == paddle[PREPARATION[1]] == (("inference.yml",), ("inference.onnx",))
    assert paddle[PREPARATION[2]][1] == ("inference.json", "inference.pdmodel")
    assert prepared(quire_ocr_engine="got").keys() == onnx.keys()


def test_the_image_that_downloads_models_can_prepare_pages(
    hub: ModelHub, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What `python -m ocr.prepare` fetches is what the options find."""
    for name, folder in (
        (PREPARATION[0], classifier(tmp_path, PREPARATION[0], [1, 0, 0, 0])),
        (PREPARATION[1], unwarper(tmp_path)),
        (PREPARATION[2], classifier(tmp_path, PREPARATION[2], [1, 0])),
    ):
        hub.repositories[f"PaddlePaddle/{name}_onnx"] = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in ("PP-OCRv6_medium_det", "PP-OCRv6_medium_rec"):
        hub.repositories[f"PaddlePaddle/{name}_onnx"] = {"inference.yml": b"x: 1", "inference.onnx": b"x"}
    assert prepare.prepare_models(settings.model_copy(update={"quire_models": "download"}))
    page = PageImage(1, np.full((64, 64, 3), 255, np.uint8))
    assert Orientation(settings.quire_model_dir, 1).quarters(page)[0] == 0
    assert Flattening(settings.quire_model_dir, 1).grid(page).points.shape == (45, 31, 2)
    assert find_model(settings.quire_model_dir, PREPARATION[2], ("inference.onnx",)) is not None


def test_models_that_the_operator_gives_are_not_looked_for_elsewhere(tmp_path: Path):
    given: dict[str, Any] = {"paddleocr_det_model_dir": tmp_path / "det", "paddleocr_rec_model_dir": tmp_path / "rec"}
    ways: tuple[dict[str, Any], ...] = (
        {"quire_cpu_engine": "paddle"},
        {"paddleocr_device": "gpu:0"},
        {"quire_ocr_engine": "paddleocr"},
    )
    for more in ways:
        assert catalogue.needed(Settings(quire_model_dir=tmp_path, **given, **more)) == []


def test_an_engine_of_ones_own_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Adding an engine is a file and a line in `choose.ENGINES`; what models it has is its own affair."""
    own = Settings(quire_model_dir=tmp_path, quire_ocr_engine="stripes")
    with pytest.raises(EngineUnavailable, match="no engine 'stripes'"):
        catalogue.needed(own)
    monkeypatch.setitem(choose.ENGINES, "stripes", "somewhere:Stripes")
    assert catalogue.needed(own) == []
    assert prepare.prepare_models(own) == str(tmp_path)


def test_a_graph_of_paddle_is_nothing_without_its_weights(tmp_path: Path):
    settings = Settings(quire_model_dir=tmp_path, quire_cpu_engine="paddle")
    (model, _) = catalogue.find(settings, "paddleocr", "ka")
    model.place.mkdir(parents=True)
    for name in ("inference.yml", "inference.json"):
        (model.place / name).write_text("{}", encoding="utf-8")
    assert not model.is_here
    # PaddleOCR would take it from there, so a download to another place would not help.
    with pytest.raises(EngineUnavailable, match="Move it away first"):
        list(fetch(settings, [model]))
    (model.place / "inference.pdiparams").write_bytes(b"x")
    assert model.is_here


def test_models_of_a_configuration_are_where_it_says(tmp_path: Path):
    config = yaml.safe_load(yaml.safe_dump(pipeline_config.load(Settings(quire_model_dir=tmp_path))))
    layout = config["SubModules"]["LayoutDetection"]
    layout["model_dir"] = "models/layout"
    del config["SubPipelines"]["TableRecognition"]["SubPipelines"]
    path = tmp_path / "PP-StructureV3.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    settings = Settings(quire_model_dir=tmp_path, paddleocr_pipeline_config=path)

    def model(name: str) -> Model:
        return next(model for model in catalogue.find(settings, "structure") if model.name == name)

    assert (model(layout["model_name"]).place, model(layout["model_name"]).repository) == (
        tmp_path / "models" / "layout",
        None,
    )
    with pytest.raises(EngineUnavailable, match=r"layout is missing or incomplete.*PADDLEOCR_PIPELINE_CONFIG"):
        list(fetch(settings, [model(layout["model_name"])]))
    assert not [each for each in catalogue.find(settings, "structure") if each.name == "None"]
    # Any form that is here will do; the one that is fetched is ONNX.
    name = config["SubModules"]["RegionDetection"]["model_name"]
    assert model(name).place.name == f"{name}_onnx"
    (tmp_path / name).mkdir()
    for file in ("inference.yml", "inference.json", "inference.pdiparams"):
        (tmp_path / name / file).write_text("{}", encoding="utf-8")
    assert (model(name).place, model(name).is_here) == (tmp_path / name, True)


def test_a_configuration_that_has_pages_prepared_needs_models_for_it(tmp_path: Path):
    config = yaml.safe_load(yaml.safe_dump(pipeline_config.load(Settings(quire_model_dir=tmp_path))))
    path = tmp_path / "PP-StructureV3.yaml"
    settings = Settings(quire_model_dir=tmp_path, paddleocr_pipeline_config=path)
    for switches, expected in (
        ({"use_doc_preprocessor": False}, set()),
        ({"use_doc_preprocessor": True}, {orientation.MODEL, flattening.MODEL}),
        ({"use_doc_preprocessor": True, "use_doc_unwarping": False}, {orientation.MODEL}),
    ):
        path.write_text(yaml.safe_dump(config | switches), encoding="utf-8")
        purposes = {model.purpose: model.name for model in catalogue.needed(settings)}
        assert {purposes[each] for each in ("DocOrientationClassify", "DocUnwarping") if each in purposes} == expected


def test_the_models_of_the_wheel_are_those_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Settings(quire_model_dir=tmp_path)
    assert [verify(model).outcome for model in catalogue.find(settings, "lean")] == ["ok", "ok"]
    wheel = shutil.copytree(models.wheel_models(), tmp_path / "wheel")
    (wheel / models.BUNDLED_DETECTION[1]).write_bytes(b"damaged")
    monkeypatch.setattr(models, "wheel_models", lambda: wheel)
    detection, recognition = catalogue.find(settings, "lean")
    assert (verify(detection).outcome, verify(recognition).outcome) == ("damaged", "ok")
    with pytest.raises(ModelDamaged, match="Install the package"):
        list(fetch(settings, [detection]))
    (wheel / models.BUNDLED_DETECTION[1]).unlink()
    with pytest.raises(EngineUnavailable, match="Install the package"):
        list(fetch(settings, [detection]))


# --- Commands


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", settings.hf_endpoint)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("QUIRE_MODEL_DIR", str(settings.quire_model_dir))
    monkeypatch.setenv("QUIRE_OCR_ENGINE", "got")


@pytest.mark.usefixtures("environment")
def test_the_commands_say_what_they_found(hub: ModelHub, settings: Settings, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, "--json"])
        captured = capsys.readouterr()
        outcome = json.loads(captured.out)["outcome"] if captured.out else ""
        return status, outcome, captured.err

    assert run("list", "--engine", "got") == (0, "missing", "")
    assert run("verify", "--engine", "got") == (1, "missing", "")
    assert run("download") == (0, "fetched", "")
    assert run("download") == (0, "here", "")
    assert run("verify", "--engine", "got") == (0, "ok", "")
    (got(settings).place / "config.json").write_text("{}", encoding="utf-8")
    assert run("verify", "--engine", "got") == (1, "damaged", "")
    hub.repositories.clear()
    status, _, error = run("download")
    assert (status, error.startswith("quire: models_unreachable: ")) == (3, True)
    assert main(["list", "--engine", "got"]) == 0
    assert "GOT-OCR-2.0-hf" in capsys.readouterr().out


@pytest.mark.usefixtures("environment")
def test_an_image_fetches_what_its_engine_needs(settings: Settings, capsys: pytest.CaptureFixture[str]):
    assert prepare.main() == 0
    assert capsys.readouterr().out.strip() == str(settings.quire_model_dir)
    assert verify(got(settings)).outcome == "ok"


@pytest.mark.usefixtures("environment")
def test_a_folder_that_cannot_be_looked_into_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("QUIRE_MODEL_DIR", str(tmp_path / ("m" * 300)))
    for command in ("list", "verify", "download"):
        assert main([command, "--engine", "got"]) == 1
        assert capsys.readouterr().err.startswith("quire: engine_unavailable: ")


@pytest.mark.usefixtures("environment")
def test_a_disk_that_is_full_is_an_error_and_what_has_come_is_kept(hub: ModelHub, settings: Settings):
    command, environment = worker_command("ocr.model_store", "download")
    # Files of 512 bytes times 60 at most stand for a disk: the weights are longer.
    full = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 60; exec "$@"', "sh", *command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (full.returncode, full.stdout) == (1, "")
    assert full.stderr.startswith("quire: engine_unavailable: GOT-OCR-2.0-hf cannot be written to ")
    assert "QUIRE_MODEL_DIR" in full.stderr
    hub.asked.clear()
    assert fetched(settings)
    assert [part for path, part in hub.asked if path.endswith(".safetensors")] != [None]
    assert verify(got(settings)).outcome == "ok"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_place_that_is_no_folder_is_left_alone(settings: Settings, tmp_path: Path, kind: str):
    place = got(settings).place
    place.parent.mkdir()
    if kind == "file":
        place.write_text("mine", encoding="utf-8")
    else:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "config.json").write_text("mine", encoding="utf-8")
        place.symlink_to(tmp_path / "mine")
    with pytest.raises(EngineUnavailable, match=r"Move it away first"):
        fetched(settings)
    assert (place if kind == "file" else place / "config.json").read_text(encoding="utf-8") == "mine"


@pytest.mark.usefixtures("environment")
def test_a_process_that_is_killed_while_it_downloads_leaves_the_rest_to_the_others(hub: ModelHub, settings: Settings):
    hub.pause = threading.Event()
    command, environment = worker_command("ocr.model_store", "download")

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True)

    with start() as first:
        assert hub.waiting.wait(60)
        with start() as second, start() as third:
            first.kill()
            hub.pause.set()
            outcomes = [each.communicate(timeout=60)[0].partition(" ")[0] for each in (second, third)]
    assert sorted(outcomes) == ["fetched", "here"]
    assert verify(got(settings)).outcome == "ok"
    first_part, *more = [part for path, part in hub.asked if path.endswith("/model.safetensors")]
    assert first_part is None
    assert [part is not None and part.startswith("bytes=") for part in more] == [True]


@pytest.mark.usefixtures("environment")
def test_an_interrupted_download_has_no_traceback(hub: ModelHub):
    hub.pause = threading.Event()
    command, environment = worker_command("ocr.model_store", "download")
    with subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True) as running:
        assert hub.waiting.wait(60)
        running.send_signal(signal.SIGINT)
        _, error = running.communicate(timeout=60)
    hub.pause.set()
    assert (running.returncode, error) == (130, "")


@pytest.mark.usefixtures("environment")
def test_quire_models_is_that_command(hub: ModelHub):
    command, environment = worker_command("quire.cli.main", "models", "download", "--from", f"{hub.url}/folder")
    run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.split()[:3]) == (0, ["fetched", "got", "GOT-OCR-2.0-hf"])
    command[-1] = "http://127.0.0.1:9"
    shutil.rmtree(Path(os.environ["QUIRE_MODEL_DIR"]))
    run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr.startswith("quire: models_unreachable: ")) == (3, True)
