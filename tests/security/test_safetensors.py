"""A safetensors file whose header lies is refused before its lies are believed."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

from trained import run

import zoo
from security.hostile import Sample, cases, refusal, safetensors, sparse

__all__ = ["run"]

PACKED = "tests/test_packing.py::test_headers_that_lie"
TWO = {"dtype": "F32", "shape": [2]}


def _at(begin: int, end: int, **more: Any) -> dict[str, Any]:
    return {**TWO, "data_offsets": [begin, end], **more}


LIES: dict[str, bytes] = {
    "a tensor that ends behind the file": safetensors({"a": _at(0, 8)}),
    "overlapping tensors": safetensors({"a": _at(0, 8), "b": _at(4, 12)}, bytes(12)),
    "a tensor that ends before it begins": safetensors({"a": _at(8, 0)}, bytes(8)),
    "an offset of 2^63": safetensors({"a": _at(0, 2**63)}, bytes(8)),
    "a shape whose product overflows": safetensors({"a": _at(0, 8, shape=[2**40, 2**40])}, bytes(8)),
    "a negative shape": safetensors({"a": _at(0, 8, shape=[-2])}, bytes(8)),
    "an unknown type of numbers": safetensors({"a": _at(0, 8, dtype="EVIL")}, bytes(8)),
    "data that no tensor claims": safetensors({"a": _at(0, 8)}, bytes(80)),
    "a header nested 10,000 deep": safetensors(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "a header that is no UTF-8": safetensors(b"\xff\xfe{}"),
    "30,000 tensors": safetensors({str(number): _at(0, 0, shape=[0]) for number in range(30_000)}),
}


@cases(
    "Safetensors",
    *[Sample(what, "`zoo.load(RUN)`", "refused", content) for what, content in LIES.items()],
    *[
        Sample(what, "`zoo.load(FILE)`, packed", "refused", test=f"{PACKED}[{case}]")
        for what, case in (("a tensor that ends behind the file", "beyond"), ("overlapping tensors", "overlapping"), ("huge sizes", "huge"))
    ],
    Sample(
        "a pickle, lying shapes, wrong names",
        "`latent.safetensors` of a run, `zoo.load(RUN)`",
        "refused; the sentence names the file",
        test="tests/latent/test_imagine.py::test_a_damaged_code_space_is_refused_in_a_sentence",
    ),
    Sample(
        "a code space of another width than the network's",
        "`zoo edit`, `zoo sample`, of runs and packed files",
        "refused",
        test="tests/latent/test_imagine.py::test_a_code_space_of_another_width_is_not_used",
    ),
    Sample(
        "names that leave the folder",
        "an index, `zoo search`",
        "refused",
        test="tests/test_retrieval.py::test_damaged_files_are_refused[a name that leaves the folder]",
    ),
    Sample(
        "a covariance that is none",
        "an index, `zoo search`",
        "refused",
        test="tests/test_retrieval.py::test_damaged_files_are_refused[a covariance that is none]",
    ),
    Sample(
        "any other file",
        "an index, `zoo search`",
        "refused",
        test="tests/test_retrieval.py::test_other_files_are_refused",
    ),
    Sample(
        "a header of up to 2^64 bytes",
        "`zoo.load(FILE)`",
        "refused: 16 MB are the most",
        test="tests/test_packing.py::test_a_header_of_huge_length",
    ),
    Sample("a file that was cut", "`zoo.load(FILE)`", "refused", test="tests/test_packing.py::test_a_file_that_was_cut"),
    Sample(
        "a recipe inside that names a network larger than memory",
        "`zoo.load(FILE)`",
        "refused by its shapes, before it is built",
        test="tests/test_packing.py::test_networks_of_strangers_take_no_memory",
    ),
)
def test_lies_are_refused(sample: Sample, run: Path) -> None:
    (run / "weights.safetensors").write_bytes(sample.make)
    begun = time.monotonic()
    refusal(lambda: zoo.load(run), "weights.safetensors", "more than the 20,000" if "30,000" in sample.what else "")
    assert time.monotonic() - begun < 5


@cases("Safetensors", Sample("8 GB of zeros with a true header", "`zoo.load(RUN)`", "refused by its shapes, in no memory"))
def test_a_true_header_of_a_huge_tensor(sample: Sample, run: Path) -> None:
    file = run / "weights.safetensors"
    head = safetensors({"a": _at(0, 2**33, shape=[2**31])})
    sparse(file, len(head) + 2**33, head)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusal(lambda: zoo.load(run), str(run), "do not fit their recipe")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20, "a gigabyte or more was read"
