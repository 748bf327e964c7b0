"""The known name that somebody may have meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def nearest(word: str, words: Iterable[str]) -> str:
    """` (did you mean ...?)`, or nothing when no word is near. Case, `_` and `-` do not count."""
    squashed = {name: _squash(name) for name in words}
    meant = _squash(word)
    begun = [name for name, known in squashed.items() if len(meant) > 2 and known.startswith(meant)]
    if begun:  # mobilenet_v2 -> mobilenetv2_100, not mobilenetv2_110d
        return _ask(min(begun, key=lambda name: (squashed[name] != meant, not _is_standard(name), len(name), name)))
    close = difflib.get_close_matches(meant, set(squashed.values()), n=20, cutoff=0.7)
    if not close:
        return ""
    ratios = {known: difflib.SequenceMatcher(None, meant, known).ratio() for known in close}
    among = [name for name, known in squashed.items() if known in ratios]
    return _ask(min(among, key=lambda name: (-ratios[squashed[name]], not _is_standard(name), name)))


def _squash(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _is_standard(name: str) -> bool:
    """Of equally near names the standard one: timm's width multiplier 1.0 is spelt _100."""
    return name.endswith("_100")


def _ask(name: str) -> str:
    return f" (did you mean `{name}`?)"
