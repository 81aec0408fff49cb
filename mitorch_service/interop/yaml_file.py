"""Reads small YAML files of other systems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mitorch_service.interop.foreign_run import DamagedRun
from mitorch_service.models.config.yaml_text import check_merges

_LONGEST = 1_000_000  # bytes


def read_yaml(path: Path) -> Any:
    """Returns the value in a YAML file; objects of Python become plain values. Raises DamagedRun, and OSError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if path.stat().st_size > _LONGEST:
        raise DamagedRun(f"{path.name} has more than {_LONGEST} bytes")
    content = path.read_bytes()
    try:
        check_merges(content.decode("utf-8", "replace"))
        return YAML(typ="safe").load(content)
    except (YAMLError, ValueError, TypeError, RecursionError) as error:  # TypeError: of keys that are lists
        raise DamagedRun(f"{path.name} is not YAML ({str(error).splitlines()[0]})") from error
