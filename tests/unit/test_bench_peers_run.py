"""`python -m benchmarks.peers` as a person runs it, with the real engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]


def test_one_receipt_two_rounds_and_two_systems(receipts: Path, model_dir: Path, tmp_path: Path):
    output = tmp_path / "peers.json"
    command = [sys.executable, "-m", "benchmarks.peers", "--systems", "quire,rapidocr", "--corpora", "receipts"]
    options = ["--receipts", "1", "--rounds", "2", "--output", str(output)]
    env = os.environ | {"QUIRE_MODEL_DIR": str(model_dir), "QUIRE_TEST_DATA": str(receipts.parent)}
    done = subprocess.run(
        [*command, *options], cwd=ROOT, env=env, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    corpus = json.loads(output.read_text())["corpora"]["receipts"]
    keys = ["quire-balanced-1", "quire-balanced-8", "quire-balanced-processes", "rapidocr"]
    assert list(corpus["systems"]) == keys
    for system in corpus["systems"].values():
        assert system["missing"] is None
        assert system["versions"]
        assert system["summary"]["words"]["f1"] > 0.8
        assert system["summary"]["same_in_every_round"] is True
        # The reference was not among the systems.
        assert system["summary"]["ratio_to_reference"] is None
    # Each round begins with another system.
    assert [list(turns) for turns in corpus["rounds"]] == [keys, [*keys[1:], keys[0]]]
    both = [corpus["systems"][key]["summary"]["words"] for key in keys[:2]]
    assert both[0] == both[1]
    drawn = ET.parse(output.with_suffix(".svg"))
    assert len([e for e in drawn.iter() if e.tag.endswith("circle")]) == 2 * len(keys)
