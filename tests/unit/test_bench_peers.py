"""What `python -m benchmarks.peers` makes of what it measures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import cold_start
from benchmarks.arguments import one_of, positive
from benchmarks.child import ChildEnded
from benchmarks.cold_start import ColdStart, import_seconds
from benchmarks.corpora import Corpus
from benchmarks.peer_rounds import Comparison, Turn, compare, turned
from benchmarks.peers_report import PeersReport
from benchmarks.peers_summary import Spread, summarize
from benchmarks.systems.base import Absent, PageResult
from benchmarks.systems.catalog import NAMES, PRESETS, Entry, entries
from benchmarks.systems.process import Pass, SystemProcess

CORPUS = Corpus("two", "two pages", (Path("a.png"), Path("b.png")), ("A B", "C"))
ENTRIES = {name: Entry(f"The {name}", "as it is", (name,)) for name in ("mine", "paddleocr", "other")}


def turn(wall: float, texts: list[str] | None = None, *, cpu: float = 1.0, peak: float = 100.0) -> Turn:
    read = texts or ["A B", "C"]
    return Turn(Pass(wall, cpu, 50.0, peak, read, [f"digest of {text}" for text in read]), 0.25)


def comparison(*rounds: dict[str, Turn], missing: dict[str, str] | None = None) -> Comparison:
    return Comparison(CORPUS, ENTRIES, missing=missing or {}, rounds=list(rounds))


def test_ratio_is_the_median_of_each_rounds_own():
    # Medians over all rounds would say 2 / 1; within the rounds it was 2, 0.5 and 4.
    rounds = [
        {"mine": turn(1), "paddleocr": turn(2)},
        {"mine": turn(2), "paddleocr": turn(1)},
        {"mine": turn(0.5), "paddleocr": turn(2)},
    ]
    mine, reference = summarize(comparison(*rounds))
    assert mine.speed == Spread(2, 1, 4)
    assert mine.ratio == Spread(2, 0.5, 4)
    assert reference.ratio == Spread(1, 1, 1)


def test_without_the_reference_there_is_no_ratio():
    (summary,) = summarize(comparison({"mine": turn(1)}))
    assert summary.ratio is None


def test_cpu_is_per_page_and_peak_the_greatest():
    rounds = [{"mine": turn(1, cpu=cpu, peak=peak)} for cpu, peak in ((2, 300), (8, 200), (4, 250))]
    (summary,) = summarize(comparison(*rounds))
    assert (summary.cpu, summary.peak, summary.others) == (2, 300, 0.25)


def test_words_are_scored_against_the_truth_of_their_page():
    (summary,) = summarize(comparison({"mine": turn(1, ["A X", "C"])}))
    assert (summary.score.matched, summary.score.read, summary.score.expected) == (2, 3, 3)
    (summary,) = summarize(comparison({"mine": turn(1, ["C", "A B"])}))
    assert summary.score.matched == 0


def test_a_system_that_reads_otherwise_in_a_later_round_is_not_repeatable():
    same, other = turn(1), turn(1, ["A B", "D"])
    assert [s.repeatable for s in summarize(comparison({"mine": same}, {"mine": same}))] == [True]
    assert [s.repeatable for s in summarize(comparison({"mine": same}, {"mine": other}))] == [False]


def test_a_system_that_missed_a_round_has_no_summary():
    both = {"mine": turn(1), "other": turn(1)}
    found = summarize(comparison(both, {"mine": turn(1)}, missing={"other": "it ended"}))
    assert [summary.key for summary in found] == ["mine"]
    assert summarize(comparison()) == []


def test_every_system_is_first_once():
    assert [turned("abc", number) for number in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]
    assert turned([], 1) == []


def test_a_corpus_has_a_truth_for_each_page():
    with pytest.raises(ValueError, match="2 pages and 1 ground truths"):
        Corpus("", "", CORPUS.images, ("A",))


def report() -> PeersReport:
    measured = comparison({"mine": turn(1), "paddleocr": turn(2)}, missing={"other": "not installed"})
    start = ColdStart("a start", [3.0, 1.0, 2.0], 0.5, 2.0)
    machine = {"cores": 2, "cpu": "some", "python": "3", "date": "today"}
    return PeersReport(machine, [measured], [start])


def test_report_has_systems_rounds_and_cold_starts():
    content = report().to_json()
    corpus = content["corpora"]["two"]
    assert corpus["systems"]["mine"]["summary"]["ratio_to_reference"] == {"median": 2.0, "least": 2.0, "most": 2.0}
    assert corpus["systems"]["mine"]["summary"]["words"]["f1"] == 1.0
    assert corpus["systems"]["other"]["missing"] == "not installed"
    assert corpus["systems"]["other"]["summary"] is None
    assert corpus["rounds"][0]["paddleocr"]["wall_seconds"] == 2
    assert content["cold_starts"][0] == {
        "title": "a start",
        "first_page_seconds": 2.0,
        "starts": [3.0, 1.0, 2.0],
        "import_seconds": 0.5,
        "import_share": 0.25,
    }


def test_report_saves_its_plot_beside_the_numbers(tmp_path: Path):
    numbers, picture = report().save(tmp_path / "new" / "peers.json")
    assert json.loads(numbers.read_text()) == report().to_json()
    assert picture == tmp_path / "new" / "peers.svg"
    drawn = picture.read_text()
    assert "The mine: 2, 1.0000" in drawn
    assert "The other" not in drawn


@pytest.mark.parametrize(("missing", "shown"), [("not installed", "not installed"), ("it ended:\nOops", "failed")])
def test_the_table_has_a_row_for_a_system_that_is_missing(missing: str, shown: str):
    content = PeersReport(report().machine, [comparison({"mine": turn(1)}, missing={"other": missing})], [])
    with (console := Console(width=132)).capture() as capture:
        content.show(console)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capture.get().splitlines() if "│" in line]
    assert [row[:2] for row in rows] == [["The mine", "2.00"], ["The paddleocr", "not measured"], ["The other", shown]]


def test_quire_is_three_systems_for_each_preset():
    found = entries(["quire", "tesseract"], ["fast", "accurate"])
    ways = ("1", "8", "processes")
    assert list(found) == [f"quire-{preset}-{way}" for preset in ("fast", "accurate") for way in ways] + ["tesseract"]
    assert [found[key].environment for key in ("quire-fast-1", "quire-accurate-8")] == [
        {"QUIRE_OCR_PRESET": "fast"},
        {"QUIRE_OCR_PRESET": "accurate"},
    ]
    # One curve for each way of reading, through all presets.
    assert found["quire-fast-1"].series == found["quire-accurate-1"].series != found["quire-accurate-8"].series


def test_titles_are_unique():
    found = entries(NAMES, PRESETS)
    assert len({entry.title for entry in found.values()}) == len(found) == 13


def test_digest_is_of_text_and_boxes_and_not_of_their_order():
    one, other = ("A", [[0, 0], [1, 1]]), ("B", [[2, 2], [3, 3]])
    assert PageResult.of_lines([one, other]).digest == PageResult.of_lines([other, one]).digest
    assert PageResult.of_lines([one]).digest != PageResult.of_lines([("A", [[0, 0], [1, 2]])]).digest
    assert PageResult.of_lines([one]).digest != PageResult.of_lines([("a", one[1])]).digest
    assert PageResult.of_lines([one, other]).text == "A\nB"


def test_a_system_that_is_not_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (entry,) = entries(["tesseract"]).values()
    with SystemProcess(entry, tmp_path / "log", tmp_path) as process, pytest.raises(Absent, match="not installed"):
        process.wait_until_loaded()


def write_tesseract(folder: Path, read: str) -> None:
    """A program of that name whose reading is these shell commands."""
    folder.mkdir(exist_ok=True)
    program = folder / "tesseract"
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "tesseract 9.9" && exit\n{read}\n')
    program.chmod(0o755)


def test_a_system_that_fails_is_missing_and_the_others_go_on(tmp_path: Path):
    calls = tmp_path / "calls"
    write_tesseract(tmp_path / "good", "echo A")
    # The page before the rounds, then two pages a round: it fails in the second round.
    failing = f"echo x >> {calls}\nset -- $(while read each; do echo $each; done < {calls})\n[ $# -lt 4 ] && echo A"
    write_tesseract(tmp_path / "bad", failing)
    systems = {
        name: Entry(name, "", ("tesseract",), {"PATH": str(tmp_path / name)}) for name in ("bad", "good", "absent")
    }
    said: list[str] = []
    measured = compare(CORPUS, systems, 3, folder=tmp_path, model_dir=tmp_path, say=said.append)
    assert [list(turns) for turns in measured.rounds] == [["bad", "good"], ["good"], ["good"]]
    assert measured.missing["absent"] == "not installed"
    assert "CalledProcessError" in measured.missing["bad"]
    assert [summary.key for summary in summarize(measured)] == ["good"]
    assert said[:3] == ["bad: loaded", "good: loaded", "absent: not installed"]


def test_tesseract_is_asked_for_each_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_tesseract(tmp_path, 'echo "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))
    (entry,) = entries(["tesseract"]).values()
    with SystemProcess(entry, tmp_path / "log", tmp_path) as process:
        assert process.wait_until_loaded() == {"tesseract": "9.9"}
        run = process.read([tmp_path / "a.png", tmp_path / "b.png"])
    assert run.texts == [f"{tmp_path / name} stdout --psm 6\n" for name in ("a.png", "b.png")]
    assert run.wall > 0
    assert run.peak > 1


def test_a_process_that_ends_shows_the_end_of_its_log(tmp_path: Path):
    with SystemProcess(Entry("", "", ("nonsense",)), tmp_path / "log", tmp_path) as process:
        with pytest.raises(ChildEnded, match=r"nonsense ended:(.|\n)*There is no system 'nonsense'"):
            process.wait_until_loaded()
        with pytest.raises(ChildEnded):
            process.read([])


def test_imports_are_added_up_without_counting_any_twice():
    trace = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       100 |        100 |   inner\n"
        "import time:      2900 |       3000 | outer\n"
        "2026-01-01 a line of a log\n"
    )
    assert import_seconds(trace) == pytest.approx(0.003)


@pytest.mark.parametrize("value", ["0", "-1"])
def test_counts_are_positive(value: str):
    with pytest.raises(argparse.ArgumentTypeError):
        positive(value)


def test_names_are_separated_by_commas_and_known():
    parse = one_of(("a", "b"))
    assert parse("b, a,b") == ("b", "a")
    with pytest.raises(argparse.ArgumentTypeError, match="not c"):
        parse("a,c")
    with pytest.raises(argparse.ArgumentTypeError, match="nothing"):
        parse(",")


def test_cold_starts_find_what_the_title_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found: list[list[str]] = []

    def start(image: Path, environment: dict[str, str], *options: str, log: Any = None) -> float:
        kept = Path(environment["QUIRE_MODEL_DIR"])
        found.append(sorted(path.name for path in kept.rglob("*") if path.is_file()))
        (kept / cold_start.COMPILE_CACHE).mkdir(parents=True, exist_ok=True)
        (kept / "model").touch()
        (kept / cold_start.COMPILE_CACHE / "blob").touch()
        if log is not None:
            log.write(b"import time: 250000 | 250000 | all\n")
        return 1.0

    monkeypatch.setattr(cold_start, "first_page_seconds", start)
    starts = cold_start.cold_starts(tmp_path / "page.png", tmp_path, 2)
    # Two starts and the one that counts imports, of each kind.
    assert found == [[]] * 3 + [["model"]] * 3 + [["blob", "model"]] * 3
    assert [each.seconds for each in starts] == [[1.0, 1.0]] * 3
    assert [each.import_share for each in starts] == [0.25] * 3


def test_a_command_that_fails_is_no_cold_start(tmp_path: Path):
    with pytest.raises(RuntimeError, match=r"nothing\.pdf failed:\n"):
        cold_start.first_page_seconds(tmp_path / "nothing.pdf", {})
