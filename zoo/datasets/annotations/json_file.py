"""A JSON file of a stranger: what it holds, or a sentence about why it is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.datasets.annotations import number, read_bytes, told

DIGITS = 40
"""More are of no whole number that a picture has; Python refuses to read thousands of them, so what is longer is read as a float."""


def read(path: Path, most: int) -> tuple[dict[str, Any], list[str]]:
    """The object that a file holds, and the keys that stand twice in one object of it, of which the last counts.

    NaN and infinity are read, which JSON does not have: whoever takes numbers out refuses these one by one.

    Raises:
        ValueError: the file cannot be read, has more than `most` bytes, or holds no JSON object.
    """
    return parse(read_bytes(path, most))


def parse(content: bytes) -> tuple[dict[str, Any], list[str]]:
    """As `read`, of a file's content."""
    twice: list[str] = []

    def joined(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        whole = dict(pairs)
        if len(whole) < len(pairs):
            keys = [key for key, _ in pairs]
            twice.extend(key for key in whole if keys.count(key) > 1)
        return whole

    data = loaded(content, object_pairs_hook=joined, parse_int=_whole)
    if not isinstance(data, dict):
        raise ValueError(f"{told(data)}, expected a JSON object")
    return data, twice


def loaded(content: bytes, **hooks: Any) -> Any:
    """What JSON holds, by the hooks of `json.loads`; raises ValueError, with a sentence, for whatever cannot be read."""
    try:
        return json.loads(content, **hooks)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except MemoryError as error:
        raise ValueError("it takes more memory than there is") from error
    except ValueError as error:  # UnicodeDecodeError is one
        raise ValueError(f"no JSON ({str(error)[:200]})") from error


def _whole(text: str) -> float:
    return int(text) if len(text) <= DIGITS else float(text)


def real(value: object) -> float:
    """A coordinate or size that is written as a number.

    Raises:
        ValueError: it is something else, not finite, or too large for pixels; the value is named.
    """
    if isinstance(value, str):
        raise ValueError(f"the text {told(value)} is no number")
    return number(value)
