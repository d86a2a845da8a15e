"""YAML of a file that may be anything: no more of it is built than a configuration has."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

# PaddleX's own file has some 8,000 bytes and 500 nodes.
MOST_BYTES: Final = 256 * 1024
MOST_NODES: Final = 20_000


class TooMuchYamlError(ValueError):
    """The file is larger than a configuration is, or would be once its aliases were followed."""


def load(path: Path) -> Any:
    """What the file says.

    Raises:
        OSError: it cannot be read.
        ValueError, yaml.YAMLError: it is no YAML, or too much of it.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise TooMuchYamlError(f"it has more than {MOST_BYTES} bytes")
    loader = yaml.SafeLoader(content.decode("utf-8"))
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _nodes(node, {}) > MOST_NODES:
            raise TooMuchYamlError(f"it has more than {MOST_NODES} values")
        return loader.construct_document(node)
    except RecursionError:
        raise TooMuchYamlError("it is nested too deeply") from None
    finally:
        loader.dispose()


def _nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """How many nodes there are with every alias followed, which is not done: each is counted once."""
    if id(node) in known:
        return known[id(node)]
    # Until it is counted: a node within itself has no end.
    known[id(node)] = MOST_NODES + 1
    count = 1
    if isinstance(node, yaml.SequenceNode):
        count += sum(_nodes(each, known) for each in node.value)
    elif isinstance(node, yaml.MappingNode):
        count += sum(_nodes(key, known) + _nodes(value, known) for key, value in node.value)
    known[id(node)] = count
    return count
