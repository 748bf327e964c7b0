"""docs/security.md and the suite name the same samples, and each has its test."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

from security.hostile import SUITE, Sample

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DOCUMENT = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- samples -->", "<!-- end of samples -->"


def suite() -> dict[str, list[Sample]]:
    """All samples: importing the tests enters them."""
    for file in sorted(HERE.glob("test_*.py")):
        importlib.import_module(f"security.{file.stem}")
    return SUITE


def table() -> str:
    """The tables as they stand in the document."""
    lines = []
    for kind, samples in sorted(suite().items()):
        lines += ["", f"### {kind}", "", "| what it is | where it is met | what happens |", "|---|---|---|"]
        lines += [f"| {_cell(sample.what)} | {_cell(sample.where)} | {_cell(sample.promise)} |" for sample in samples]
    return "\n".join([*lines, ""]).lstrip("\n")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def test_the_document_lists_the_suite() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    written = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert written == table().strip(), f"docs/security.md should say, between its marks:\n\n{table()}"


def test_no_row_stands_twice() -> None:
    rows = [(sample.what, sample.where) for samples in suite().values() for sample in samples]
    assert len(rows) > 100 and len(set(rows)) == len(rows)


def test_samples_of_other_folders_have_their_test() -> None:
    for sample in (sample for samples in suite().values() for sample in samples if sample.test):
        file, _, name = sample.test.partition("::")
        name, _, case = name.partition("[")
        source = (ROOT / file).read_text(encoding="utf-8")
        functions = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
        assert name in functions, sample.test
        assert f'"{case.rstrip("]")}"' in source or not case, sample.test
