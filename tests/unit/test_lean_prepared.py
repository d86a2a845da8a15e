"""The lean engine's files: made once, by whoever comes first, from the wheel or directories; and who chooses it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pytest
import yaml
from onnx import helper

from ocr.engines.choose import create_engine, engine_name
from ocr.engines.lean import LeanEngine, graphs, loading
from ocr.engines.lean.files import model_files
from ocr.engines.lean.network import OpenVinoNetwork
from ocr.engines.lean.prepared import ModelFiles, prepare
from ocr.engines.models import BUNDLED_DETECTION, BUNDLED_RECOGNITION, wheel_models
from quire.errors import EngineUnavailable
from quire.settings import Settings
from tests.pdfs import TEXTS, page_of, written

ROOT = Path(__file__).parents[2]
WHEEL = model_files(Settings())
PREPARE = """
import sys
from pathlib import Path
from ocr.engines.lean.files import model_files
from ocr.engines.lean.prepared import prepare
from quire.settings import Settings
print(prepare(model_files(Settings()), "latin", "openvino", Path(sys.argv[1]), precise=False).recognition)
"""
READ = """
import sys
from ocr.engines.lean import LeanEngine
from quire.settings import Settings
from tests.pdfs import TEXTS, page_of, written
engine = LeanEngine(Settings(quire_model_dir=sys.argv[1]), 2)
lines = engine.recognize([page_of(written(TEXTS[:2], 28, (560, 180))[0])], ["en"])[0]
print(*sorted(line.text for line in lines), sep="\\n")
"""
LOADED = """
import sys
from pathlib import Path
from ocr.engines.lean import LeanEngine
from quire.settings import Settings
LeanEngine(Settings(quire_model_dir=sys.argv[1]), 1).warm_up()
print(*sorted({"onnx", "paddle", "paddlex", "paddleocr", "onnxruntime"} & sys.modules.keys()))
"""

AFFINITIES = """
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from ocr.engines.lean import LeanEngine
from quire.settings import Settings
from tests.pdfs import TEXTS, page_of, written
threads = int(sys.argv[2])
whole = os.sched_getaffinity(0)
engine = LeanEngine(Settings(quire_model_dir=sys.argv[1]), threads)
engine.warm_up()
pages = [page_of(written(TEXTS[:4], 28, (560, 300))[0])] * 3
reading = threading.Thread(target=lambda: [engine.recognize(pages, ["en"]) for _ in range(3)])
seen, bound = set(), set()
reading.start()
while reading.is_alive():
    for task in map(int, os.listdir("/proc/self/task")):
        with suppress(ProcessLookupError):
            seen.add(task)
            if os.sched_getaffinity(task) != whole:
                bound.add(task)
print(len(seen), len(bound))
"""


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    path = ":".join(str(ROOT / folder) for folder in ("packages/shared", "apps/worker", ""))
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read(engine: LeanEngine) -> list[str]:
    image, _ = written(TEXTS[:2], 28, (560, 180))
    return sorted(line.text for line in engine.recognize([page_of(image)], ["en"])[0])


def directory(folder: Path, graph: Path) -> Path:
    """A folder with a network as PaddleX exports it."""
    folder.mkdir()
    shutil.copyfile(graph, folder / "inference.onnx")
    return folder


def stripped(folder: Path, description: object = None) -> Path:
    """The recogniser without metadata; its characters in `inference.yml`."""
    model = onnx.load(str(WHEEL.recognition))
    characters = graphs.characters_of(model)
    del model.metadata_props[:]
    folder.mkdir()
    onnx.save(model, str(folder / "inference.onnx"))
    if description is None:
        description = {"Global": {"model_name": "mine"}, "PostProcess": {"character_dict": characters}}
    (folder / "inference.yml").write_text(yaml.safe_dump(description, allow_unicode=True), encoding="utf-8")
    return folder


def test_two_processes_may_prepare_at_once(tmp_path):
    processes = [started(PREPARE, str(tmp_path)) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    assert Path(answers[0][0].strip()).is_file()
    (folder,) = (tmp_path / "lean").iterdir()
    assert {path.name for path in folder.iterdir()} >= {"recognition.xml", "recognition.bin", "description.json"}


def test_two_processes_may_load_for_the_first_time_at_once(expected, tmp_path):
    processes = [started(READ, str(tmp_path)) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert [output.splitlines() for output, _ in answers] == [expected, expected]


def test_what_is_prepared_is_made_once_and_loaded_without_what_made_it(model_dir):
    first = prepare(WHEEL, "latin", "openvino", model_dir, precise=False)
    made = first.recognition.stat().st_mtime_ns
    assert prepare(WHEEL, "latin", "openvino", model_dir, precise=False).recognition.stat().st_mtime_ns == made
    process = started(LOADED, str(model_dir))
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert output.strip() == ""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
@pytest.mark.parametrize("threads", [1, 2])
def test_no_thread_is_bound_to_a_core_while_it_reads(threads, model_dir):
    """Each process would choose the first cores, and several of them the same ones."""
    process = started(AFFINITIES, str(model_dir), str(threads))
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    seen, bound = map(int, output.split())
    assert seen > threads
    assert bound == 0


def test_each_script_runtime_and_precision_has_files_of_its_own(model_dir):
    made = [
        prepare(WHEEL, "latin", "openvino", model_dir, precise=False),
        prepare(WHEEL, "latin", "openvino", model_dir, precise=True),
        prepare(WHEEL, "latin", "onnxruntime", model_dir, precise=False),
        prepare(WHEEL, "all", "onnxruntime", model_dir, precise=False),
    ]
    assert len({prepared.recognition.parent for prepared in made}) == 4
    assert [prepared.recognition.suffix for prepared in made] == [".xml", ".onnx", ".onnx", ".onnx"]
    assert len(made[3].classes) > len(made[2].classes)
    for name in ("guard", "head"):
        paths: list[Path | None] = [getattr(prepared, name) for prepared in made]
        assert [path and path.parent for path in paths[:3]] == [prepared.recognition.parent for prepared in made[:3]]
        # With all characters there is nothing to guard.
        assert paths[3] is None


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_model_folder_that_cannot_be_written_is_refused_with_the_remedy(below, tmp_path):
    (tmp_path / "file").touch()
    engine = LeanEngine(Settings(quire_model_dir=tmp_path / "file" / below), 1)
    with pytest.raises(EngineUnavailable, match=r"cannot be written to QUIRE_MODEL_DIR \(.*file"):
        engine.warm_up()


def test_a_failed_preparation_leaves_nothing_behind(tmp_path):
    broken = ModelFiles(WHEEL.detection, WHEEL.detection)
    with pytest.raises(EngineUnavailable):
        prepare(broken, "latin", "openvino", tmp_path, precise=True)
    assert list((tmp_path / "lean").iterdir()) == []


def test_missing_models_are_named(tmp_path):
    missing = ModelFiles(tmp_path / "det.onnx", WHEEL.recognition)
    with pytest.raises(EngineUnavailable, match=r"det\.onnx cannot be read: No such file"):
        prepare(missing, "latin", "openvino", tmp_path, precise=True)


@pytest.mark.parametrize(
    "damage", ["description.json", "recognition.onnx", "detection.onnx", "guard.onnx", "head.onnx"]
)
@pytest.mark.parametrize("how", ["truncated", "missing"])
def test_damaged_files_are_made_again_or_refused_by_name(damage, how, model_dir, tmp_path):
    made = prepare(WHEEL, "latin", "openvino", model_dir, precise=True).recognition.parent
    copy = tmp_path / "lean" / made.name
    shutil.copytree(made, copy)
    if how == "truncated":
        content = (copy / damage).read_bytes()
        (copy / damage).write_bytes(content[: len(content) // 2])
    else:
        (copy / damage).unlink()
    settings = Settings(quire_model_dir=tmp_path, quire_ocr_preset="accurate")
    complaint = refusal(settings)
    assert complaint is None or damage in complaint or str(copy) in complaint


def refusal(settings: Settings) -> str | None:
    """Why the networks cannot be loaded; None if they can."""
    try:
        loading.load(settings, "latin", 1, precise=True)
    except EngineUnavailable as error:
        return str(error)
    return None


def test_damaged_files_of_the_runtime_are_made_again(expected, model_dir, tmp_path):
    """OpenVINO keeps what it compiled; a process that was killed may leave half of it."""
    shutil.copytree(model_dir / "lean", tmp_path / "lean")
    compiled = list((tmp_path / "lean" / "compiled").iterdir())
    assert compiled
    for path in compiled:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    # In a process of its own, because it may be the end of it.
    process = started(READ, str(tmp_path))
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert expected == output.splitlines()


@pytest.fixture(scope="module")
def expected(model_dir: Path) -> list[str]:
    """What is read with the wheel's models."""
    found = read(LeanEngine(Settings(quire_model_dir=model_dir), 2))
    assert found == sorted(TEXTS[:2])
    return found


def test_models_in_directories_read_as_those_of_the_wheel(expected, model_dir, tmp_path):
    settings = Settings(
        paddleocr_det_model_dir=directory(tmp_path / "det", WHEEL.detection),
        paddleocr_rec_model_dir=directory(tmp_path / "my_rec", WHEEL.recognition),
        quire_model_dir=tmp_path / "models",
    )
    engine = LeanEngine(settings, 2)
    assert read(engine) == expected
    # Folders may have the same name: the content tells.
    assert re.fullmatch(r"my_rec-[0-9a-f]{8}", engine.describe()["models"])
    assert engine.describe()["models"] in engine.version


def test_characters_may_come_from_the_description(expected, tmp_path):
    settings = Settings(paddleocr_rec_model_dir=stripped(tmp_path / "rec"), quire_model_dir=tmp_path)
    assert read(LeanEngine(settings, 2)) == expected


@pytest.mark.parametrize(
    ("description", "complaint"),
    [
        ({"Global": {}}, r"inference\.yml does not say PostProcess\.character_dict"),
        ({"PostProcess": None}, r"inference\.yml does not say PostProcess\.character_dict"),
        (["a"], r"inference\.yml does not say PostProcess\.character_dict"),
        ({"PostProcess": {"character_dict": ["a", "b"]}}, r"18710 classes apart, but 3 are named"),
    ],
    ids=["nothing", "empty", "a list", "too few"],
)
def test_a_description_without_the_characters_is_refused(description, complaint, tmp_path):
    settings = Settings(paddleocr_rec_model_dir=stripped(tmp_path / "rec", description), quire_model_dir=tmp_path)
    with pytest.raises(EngineUnavailable, match=complaint):
        LeanEngine(settings, 1).warm_up()


def test_a_recogniser_without_characters_anywhere_is_refused(tmp_path):
    folder = stripped(tmp_path / "rec")
    (folder / "inference.yml").unlink()
    with pytest.raises(EngineUnavailable, match="18710 classes apart, but 1 are named"):
        LeanEngine(Settings(paddleocr_rec_model_dir=folder, quire_model_dir=tmp_path), 1).warm_up()


@pytest.mark.parametrize("variable", ["PADDLEOCR_DET_MODEL_DIR", "PADDLEOCR_REC_MODEL_DIR"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_directory_without_a_graph_is_refused_with_its_variable(variable, exists, tmp_path):
    if exists:
        (tmp_path / "given").mkdir()
        (tmp_path / "given" / "inference.pdmodel").touch()
    settings = Settings(**{variable.lower(): tmp_path / "given"}, quire_model_dir=tmp_path)
    complaint = r".*given has no inference\.onnx" if exists else "there is no directory .*given"
    with pytest.raises(EngineUnavailable, match=f"{variable}: {complaint}"):
        LeanEngine(settings, 1).warm_up()


def test_a_network_of_another_kind_in_a_directory_is_refused(tmp_path):
    folder = directory(tmp_path / "det", WHEEL.recognition)
    with pytest.raises(EngineUnavailable, match=r"inference\.onnx is not a DB text detector"):
        LeanEngine(Settings(paddleocr_det_model_dir=folder, quire_model_dir=tmp_path), 1).warm_up()


def test_another_network_than_the_calibrated_one_is_read_in_floats(tmp_path):
    """Ranges hold for the very network they were measured on."""
    model = onnx.load(str(WHEEL.detection))
    model.metadata_props.append(onnx.StringStringEntryProto(key="retrained", value="yes"))
    onnx.save(model, str(tmp_path / "det.onnx"))
    prepared = prepare(
        ModelFiles(tmp_path / "det.onnx", WHEEL.recognition), "latin", "openvino", tmp_path, precise=False
    )
    assert (prepared.detection.suffix, prepared.recognition.suffix) == (".onnx", ".xml")


def test_a_fully_named_recogniser_gets_no_second_space(tmp_path):
    """Characters that already name the space are as many as there are classes."""
    model = onnx.load(str(WHEEL.recognition))
    named = graphs.characters_of(model)
    del model.metadata_props[:]
    helper.set_model_props(model, {"character": "\n".join([*named, " "])})
    onnx.save(model, str(tmp_path / "rec.onnx"))
    prepared = prepare(
        ModelFiles(WHEEL.detection, tmp_path / "rec.onnx"), "latin", "onnxruntime", tmp_path, precise=True
    )
    assert prepared.characters == ["", *named, " "]


def test_a_recogniser_without_a_space_reads_none(tmp_path):
    """Its last class, the space, is a letter to it."""
    folder = stripped(tmp_path / "rec")
    named = graphs.characters_of(onnx.load(str(WHEEL.recognition)))
    described = {"PostProcess": {"character_dict": [*named, "ɏ"]}}
    (folder / "inference.yml").write_text(yaml.safe_dump(described, allow_unicode=True), encoding="utf-8")
    engine = LeanEngine(Settings(paddleocr_rec_model_dir=folder, quire_model_dir=tmp_path), 2)
    assert read(engine) == sorted(text.replace(" ", "ɏ") for text in TEXTS[:2])


@pytest.mark.parametrize(
    "settings",
    [
        Settings(paddleocr_use_gpu=True),
        Settings(paddleocr_device="gpu:1"),
        Settings(quire_cpu_engine="paddle"),
        Settings(quire_models="download"),
        Settings(paddleocr_enable_hpi=True),
        Settings(paddleocr_cls_model_dir=Path("cls")),
    ],
    ids=lambda settings: ",".join(sorted(settings.model_fields_set)),
)
def test_what_only_paddleocr_has_leads_to_it_unless_the_engine_is_named(settings):
    assert engine_name(settings) == "paddleocr"
    for named in ("lean", "paddleocr"):
        assert engine_name(settings.model_copy(update={"quire_ocr_engine": named})) == named


def test_the_networks_are_those_of_the_wheel():
    assert (WHEEL.detection, WHEEL.recognition) == (
        wheel_models() / BUNDLED_DETECTION[1],
        wheel_models() / BUNDLED_RECOGNITION[1],
    )


def test_otherwise_the_lean_engine_reads():
    assert engine_name(Settings()) == "lean"
    assert engine_name(Settings(quire_models="bundled", paddleocr_device="cpu", quire_ocr_preset="fast")) == "lean"
    assert engine_name(Settings(paddleocr_det_model_dir=Path("det"), paddleocr_rec_model_dir=Path("rec"))) == "lean"
    assert create_engine(Settings()).name == "lean"
    assert create_engine(Settings(quire_ocr_engine="paddleocr")).name == "paddleocr"


def test_the_version_tells_apart_what_decides_the_text():
    presets = [LeanEngine(Settings(quire_ocr_preset=name), 1).version for name in ("fast", "balanced", "accurate")]
    assert len(set(presets)) == 3
    assert all("openvino" in version and "PP-OCRv6_rec_small" in version for version in presets)


def test_the_description_names_runtime_device_and_preset(model_dir):
    engine = LeanEngine(Settings(quire_model_dir=model_dir, quire_ocr_threads=1))
    described = engine.describe()
    assert {name: described[name] for name in ("engine", "runtime", "device", "threads", "preset", "loaded")} == {
        "engine": "lean",
        "runtime": "openvino",
        "device": "cpu",
        "threads": 1,
        "preset": "balanced",
        "loaded": [],
    }


def test_one_process_at_a_time_writes_the_compile_cache(model_dir: Path, tmp_path: Path):
    prepared = prepare(WHEEL, "latin", "openvino", model_dir, precise=False)
    loaded = threading.Event()

    def load() -> None:
        assert prepared.guard is not None
        OpenVinoNetwork(prepared.guard, threads=1, streams=1, cache=tmp_path, batch_pixels=1, kept=0)
        loaded.set()

    with (tmp_path / ".lock").open("w") as lock, ThreadPoolExecutor(1) as executor:
        fcntl.flock(lock, fcntl.LOCK_EX)
        loading = executor.submit(load)
        assert not loaded.wait(2)
        assert not list(tmp_path.glob("*.blob"))
        fcntl.flock(lock, fcntl.LOCK_UN)
        loading.result(timeout=60)
    assert list(tmp_path.glob("*.blob"))
