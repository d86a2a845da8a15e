"""The first inferences of a process, which may be those of several threads: nothing has warmed the engine up."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.serverless.conftest import ROOT, WORKER

# OpenVINO makes a table the first time an array is handed to it. Two threads that meet there wait for each other, with
# the interpreter's lock held.
_FIRST_USE = """
import sys, threading
from ocr.engines.lean.network import _core
_core()
import openvino
sys.setswitchinterval(1e-6)
together = threading.Barrier(4)

def use():
    together.wait()
    openvino.Type.u8.to_dtype()

threads = [threading.Thread(target=use) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_meet_at_the_first_inference_do_not_wait_for_each_other():
    pytest.importorskip("openvino")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (WORKER, ROOT / "packages" / "shared")))}
    subprocess.run([sys.executable, "-c", _FIRST_USE], env=env, timeout=20, check=True)
