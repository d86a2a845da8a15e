"""What a killed process leaves on disk is gone when the next one starts; what a living one uses is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from quire.scratch import remove_abandoned, scratch_folder
from quire.settings import Settings

LEAVE = """
import os, sys
from pathlib import Path
from quire.scratch import scratch_folder
from quire.settings import Settings
with scratch_folder(Settings(quire_runtime_dir=Path(sys.argv[1]))) as folder:
    (folder / "source").write_bytes(b"a document")
    print(folder, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_is_removed(tmp_path: Path):
    settings = Settings(quire_runtime_dir=tmp_path)
    killed = subprocess.run([sys.executable, "-c", LEAVE, str(tmp_path)], capture_output=True, text=True, check=False)
    left = Path(killed.stdout.strip())
    assert (left / "source").read_bytes() == b"a document"
    with scratch_folder(settings) as mine:
        remove_abandoned(settings)
        assert not left.exists()
        assert mine.is_dir()
    assert not mine.exists()


def test_folders_of_other_machines_are_left_alone(tmp_path: Path):
    foreign = tmp_path / "files" / "another_machine-1-abc"
    foreign.mkdir(parents=True)
    remove_abandoned(Settings(quire_runtime_dir=tmp_path))
    assert foreign.is_dir()
