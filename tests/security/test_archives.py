"""Archives are not read at all: what they hide cannot leave them. The one zip that is opened, a wheel, gives one member by name."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from trained import run

import zoo
from security.hostile import Sample, cases, command, refusal

__all__ = ["run"]

NAME = "it-ran"


def _zip(name: str) -> Callable[[Path], bytes]:
    def make(outside: Path) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name.format(outside=outside), "it ran")
        return file.getvalue()

    return make


def _tar(*members: tuple[str, bytes, str]) -> Callable[[Path], bytes]:
    """Members as (name, type, target of a link); plain files get a content."""

    def make(outside: Path) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, kind, target in members:
                _add(archive, name.format(outside=outside), kind, target.format(outside=outside))
        return file.getvalue()

    return make


def _add(archive: tarfile.TarFile, name: str, kind: bytes, target: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, target, 0o755
    content = b"it ran" if kind == tarfile.REGTYPE else b""
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _past_the_filter(outside: Path) -> bytes:
    """A link whose real path is too long to be resolved: the filter takes it for harmless, the system follows it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        path, long = "", "d" * 247
        for step in "abcdefghijklmnop":  # short links to long folders, one in the other
            _add(archive, f"{path}{long}", tarfile.DIRTYPE)
            _add(archive, f"{path}{step}", tarfile.SYMTYPE, long)
            path += f"{long}/"
        end = "/".join("abcdefghijklmnop") + "/" + "l" * 254
        _add(archive, end, tarfile.SYMTYPE, "../" * 16)
        _add(archive, "way", tarfile.SYMTYPE, f"{end}/../{outside.name}")
        _add(archive, f"way/{NAME}", tarfile.REGTYPE)
    return file.getvalue()


def _bomb(outside: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("weights.safetensors", "w") as out:
        for _ in range(200):
            out.write(bytes(2**20))
    return file.getvalue()


KINDS: dict[str, Callable[[Path], bytes]] = {
    "a zip with `../`": _zip(f"../outside/{NAME}"),
    "a zip with an absolute path": _zip(f"{{outside}}/{NAME}"),
    "a zip that is a bomb": _bomb,
    "a tar with `../`": _tar((f"../outside/{NAME}", tarfile.REGTYPE, "")),
    "a tar with an absolute path": _tar((f"{{outside}}/{NAME}", tarfile.REGTYPE, "")),
    "a tar with a link out of it": _tar(("way", tarfile.SYMTYPE, "{outside}"), (f"way/{NAME}", tarfile.REGTYPE, "")),
    'a tar with links that pass `filter="data"` of Python 3.11.7': _past_the_filter,
}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "tar" in kind])
def test_the_samples_do_leave_their_folder_where_they_are_trusted(kind: str, tmp_path: Path) -> None:
    past = "pass" in kind
    if past and sys.version_info >= (3, 11, 13):
        pytest.skip("this Python's filter knows the links")
    folder, victim = tmp_path / "scratch" / "into", tmp_path / "scratch" / "outside"
    folder.mkdir(parents=True)
    victim.mkdir()
    with tarfile.open(fileobj=io.BytesIO(KINDS[kind](victim))) as archive:
        archive.extractall(folder, filter="data" if past else "fully_trusted")
    assert (victim / NAME).exists(), "the sample is harmless: it would prove nothing"


@cases(
    "Archives",
    *[
        Sample(what, "`zoo.load(FILE)`, packed or in a run", "refused unopened: what is read is named", make, "zoo pack RUN")
        for what, make in KINDS.items()
    ],
)
def test_archives_are_no_models(sample: Sample, run: Path, tmp_path: Path, outside: Path) -> None:
    content = sample.make(outside)
    for name in ("model.zip", "model.tar.gz", "model.zoo"):
        (tmp_path / name).write_bytes(content)
        refusal(lambda name=name: zoo.load(tmp_path / name), name, sample.says)
    (run / "weights.safetensors").write_bytes(content)
    refusal(lambda: zoo.load(run), "weights.safetensors", sample.says)


@cases(
    "Archives",
    *[Sample(what, "`data.root`, `zoo predict`", "refused unopened", make) for what, make in KINDS.items()],
    Sample(
        "a package of weights that is a bomb",
        "the weights' fetcher",
        "refused at 512 MB, nothing kept",
        test="tests/backbones/test_weights.py::test_a_package_that_is_a_bomb_is_refused",
    ),
    Sample(
        "a package of weights that is a source archive",
        "the weights' fetcher",
        "refused: nothing of it runs",
        test="tests/backbones/test_weights.py::test_a_source_package_is_never_run",
    ),
    Sample(
        "an IDX file that is a bomb",
        "`data.root` of `mnist` and `fashion_mnist`",
        "refused after a few megabytes",
        test="tests/datasets/test_idx.py::test_a_broken_file_is_named_before_memory_is_taken[bomb]",
    ),
    Sample(
        "an IDX file whose header promises a terabyte",
        "`data.root` of `mnist` and `fashion_mnist`",
        "refused before memory is taken",
        test="tests/datasets/test_idx.py::test_a_broken_file_is_named_before_memory_is_taken[too much promised]",
    ),
)
def test_archives_are_no_data(sample: Sample, run: Path, tmp_path: Path, outside: Path) -> None:
    file = tmp_path / "pictures.zip"
    file.write_bytes(sample.make(outside))
    refusal(lambda: command("describe", "image_folder", f"data.root={file}", "data.synthetic=never"), "pictures.zip", "is no folder")
    refusal(lambda: command("predict", run, file), "pictures.zip", "not a picture")
