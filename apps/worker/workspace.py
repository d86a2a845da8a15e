"""Makes `quire` importable from a checkout in which it was not installed.

`pip install -r requirements.txt` cannot install `packages/shared` as well: pip takes no local directory among
requirements with hashes. Import this before `quire`.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("quire") is None:
    sys.path.append(str(Path(__file__).resolve().parents[2] / "packages" / "shared"))
