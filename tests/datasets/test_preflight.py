"""The look at all files before the first epoch: what is broken is named, and it costs little."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from picture_files import broken_files, jpeg, lopsided, png, saved
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from zoo.datasets import preflight
from zoo.datasets.loaders import usable
from zoo.datasets.pictures import read_picture, shown
from zoo.datasets.source import Record, Source
from zoo.errors import DataError


def look(*paths: Path) -> preflight.Preflight:
    return preflight.check([Record(path, path.name, 0) for path in paths])


def with_thumbnail() -> bytes:
    """A JPEG whose EXIF data hold another whole JPEG, end mark and all."""
    return jpeg(exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\0\0\0\0\0\0" + jpeg((16, 16)))


def test_whole_files_are_counted_and_measured(tmp_path: Path) -> None:
    paths = [saved(tmp_path, lopsided(24, 16), f"a.{kind}") for kind in ("jpg", "png", "bmp", "gif", "webp", "tif", "ppm")]
    paths.append(saved(tmp_path, lopsided(40, 30), "b.png"))
    found = look(*paths)
    assert not found.bad
    assert (found.files, found.sizes) == (8, {(24, 16): 7, (40, 30): 1})
    assert found.bytes == sum(path.stat().st_size for path in paths)
    assert found.summary() == "8 pictures, 0 MB, 24x16 to 40x30 pixels"


def test_a_file_of_two_records_is_looked_at_once(tmp_path: Path) -> None:
    path = saved(tmp_path, lopsided(), "a.png")
    assert look(path, path).files == 1


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_every_broken_file_is_found(tmp_path: Path) -> None:
    broken, good = broken_files(tmp_path), saved(tmp_path, lopsided(), "good.png")
    found = look(good, *broken)
    assert set(found.bad) == set(broken)
    assert found.files == len(broken) + 1 and found.sizes.total() == 1
    for path, problem in found.bad.items():
        assert str(path) not in problem and "\n" not in problem


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["jpg", "progressive.jpg", "thumb.jpg", "png", "gif", "bmp", "webp", "tif", "ppm"])
def test_a_truncated_file_of_any_format_is_found(tmp_path: Path, kind: str, part: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8))
    path = saved(tmp_path, noise, f"a.{kind}", **({"progressive": True} if kind.startswith("prog") else {}))
    data = with_thumbnail() if kind.startswith("thumb") else path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert look(path).bad


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture(tmp_path: Path) -> None:
    data = with_thumbnail()
    behind_thumbnail = data.rfind(b"\xff\xda") + 500
    (tmp_path / "whole.jpg").write_bytes(data)
    (tmp_path / "cut.jpg").write_bytes(data[:behind_thumbnail])
    assert b"\xff\xd9" in data[:behind_thumbnail]
    assert list(look(tmp_path / "whole.jpg", tmp_path / "cut.jpg").bad) == [tmp_path / "cut.jpg"]


def test_a_text_that_names_the_end_is_not_the_end(tmp_path: Path) -> None:
    told = PngInfo()
    told.add_text("Comment", "IEND")
    path = saved(tmp_path, lopsided(30, 20), "a.png", pnginfo=told, compress_level=0)
    data = path.read_bytes()
    assert not look(path).bad and data.count(b"IEND") == 2
    path.write_bytes(data[: data.rfind(b"IEND") - 100])
    assert look(path).bad


def test_what_the_system_says_of_a_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(picture: Image.Image) -> tuple[int, int]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(preflight, "upright_size", failing)
    path = saved(tmp_path, lopsided(), "a.png")
    assert look(path).bad == {path: "Input/output error"}


@pytest.mark.parametrize("appended", [b"camera", b"\0" * 10_000, b"\xff\xda more"])
@pytest.mark.parametrize("content", [jpeg(), png(20, 10, b"\0" * 610)])
def test_things_behind_the_end_are_no_fault(tmp_path: Path, content: bytes, appended: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content + appended)
    assert not look(tmp_path / "a.jpg").bad


def test_whole_jpeg_and_png_files_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [saved(tmp_path, lopsided(), name) for name in ("a.jpg", "a.png", "two.jpg")]
    second = io.BytesIO()
    lopsided().save(second, "MPO", save_all=True, append_images=[lopsided()])  # what many telephones write
    (tmp_path / "two.jpg").write_bytes(second.getvalue())
    paths.append(tmp_path / "camera.jpg")
    paths[-1].write_bytes(jpeg() + b"what a camera appends" * 100)
    monkeypatch.setattr(preflight, "read_picture", lambda path: pytest.fail(f"{path} was decoded"))
    assert not look(*paths).bad


def test_it_is_quick(tmp_path: Path) -> None:
    data = jpeg((120, 90))
    paths = [tmp_path / f"{number}.jpg" for number in range(1000)]
    for path in paths:
        path.write_bytes(data)
    begun = time.perf_counter()
    look(*paths)
    assert 1000 / (time.perf_counter() - begun) > 500  # 4,000 a second are usual


def source_of(root: Path, *paths: Path) -> Source:
    return Source(root, ["a"], {"labelled": [Record(path, path.name, 0) for path in paths]})


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_files_error_names_all_of_them_and_the_way_out(tmp_path: Path) -> None:
    broken = broken_files(tmp_path)
    with pytest.raises(DataError) as error:
        usable(source_of(tmp_path, saved(tmp_path, lopsided(), "good.png"), *broken), "error")
    message = str(error.value)
    assert all(f"  {shown(path)}: " in message for path in broken)
    assert message.startswith(f"{len(broken)} files cannot be used:") and "data.bad_files=skip" in message
    assert len(message.splitlines()) == len(broken) + 2


def test_a_long_list_of_bad_files_is_cut(tmp_path: Path) -> None:
    bad = {tmp_path / f"{number}.jpg": "empty" for number in range(30)}
    message = str(preflight.bad_files_error(bad))
    assert "19.jpg" in message and "/20.jpg" not in message and "... and 10 more" in message


def test_bad_files_skip_leaves_them_out_and_says_so(tmp_path: Path) -> None:
    good, bad = saved(tmp_path, lopsided(), "good.png"), tmp_path / "sub" / "bad.jpg"
    bad.parent.mkdir()
    bad.write_bytes(b"")
    records, found, notes = usable(source_of(tmp_path, good, bad), "skip")
    assert [record.path for record in records["labelled"]] == [good]
    assert notes == ["1 bad file skipped (data.bad_files: skip): sub/bad.jpg (the file is empty (0 bytes))"]
    assert found.summary().endswith(", 1 bad")


def test_a_long_list_of_files_left_out_is_cut(tmp_path: Path) -> None:
    bad = {tmp_path / f"{number}.jpg": "empty" for number in range(5)}
    note = preflight.skipped_note(bad, tmp_path)
    assert note.startswith("5 bad files skipped") and note.endswith(
        ": 0.jpg (empty), 1.jpg (empty), 2.jpg (empty), 3.jpg (empty), 4.jpg (empty)"
    )
    note = preflight.skipped_note(bad | {tmp_path / "a" / "b.jpg": "empty", tmp_path / "c.jpg": "empty"}, tmp_path)
    assert note.endswith(", 4.jpg (empty), and 2 more")


def test_skipping_everything_is_an_error_that_names_files(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"bad\.jpg: the file is empty"):
        usable(source_of(tmp_path, tmp_path / "bad.jpg"), "skip")


def test_marks_tell_changed_files(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    seen = set()
    for shade in (0, 1, 2):  # pictures of one length
        noise = np.random.default_rng(0).integers(0, 255, (9, 9), np.uint8)
        noise[0, 0] = shade
        saved(tmp_path, Image.fromarray(noise), "a.png", compress_level=0)
        seen.add(look(path).marks[path])
    assert len(seen) == 3 and len({mark.split("-")[0] for mark in seen}) == 1
    assert read_picture(path).size == (9, 9)
