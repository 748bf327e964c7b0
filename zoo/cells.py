"""Texts from outside in CSV files that people open: a spreadsheet takes a text that begins with `=` for a formula and runs it.

Such a text gets an apostrophe in front, which spreadsheets know as the mark of a text. Numbers stay as they are, and `bare` gives
back exactly what was guarded.
"""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def is_formula(cell: object) -> bool:
    """Whether a spreadsheet might compute this cell, or would if apostrophes were taken off."""
    if not isinstance(cell, str) or not _FORMULA.match(cell):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return False


def guarded(cell: object) -> object:
    """The cell as it is written: `=1+1` -> `'=1+1`, and `'=1+1` -> `''=1+1`, so that nothing is lost."""
    return f"'{cell}" if is_formula(cell) else cell


def bare(cell: str) -> str:
    """What was guarded."""
    return cell[1:] if cell.startswith("'") and is_formula(cell) else cell
