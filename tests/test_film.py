"""Sheets of the same codes become a film: in the order of epochs, evenly chosen, whole or not at all; what is no sheet is named."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import png
from PIL import Image, ImageSequence

from zoo.errors import ZooError
from zoo.film import MOST_FRAMES, sheet, write_film


def grey(folder: Path, epoch: int, value: int, size: tuple[int, int] = (160, 120)) -> Path:
    """A sheet of one shade."""
    folder.mkdir(exist_ok=True)
    path = folder / f"epoch_{epoch:04d}.png"
    Image.new("L", size, value).save(path)
    return path


def frames(path: Path) -> list[tuple[int, int]]:
    """Of each frame the shade of the sheet and the milliseconds it is shown."""
    with Image.open(path) as picture:
        assert picture.format == "GIF" and picture.info["loop"] == 0
        found = [np.asarray(frame.convert("L"))[-40, 40] for frame in ImageSequence.Iterator(picture)]
        lengths = [frame.info["duration"] for frame in ImageSequence.Iterator(picture)]
    return list(zip(map(int, found), lengths, strict=True))


# ---------------------------------------------------------------- sheets


def test_a_sheet_shows_the_pictures_row_by_row() -> None:
    shades = torch.tensor([20.0, 80, 130, 180, 230])[:, None, None, None].expand(5, 1, 64, 64)
    image = Image.open(io.BytesIO(sheet(shades / 255)))
    assert image.mode == "L" and image.size == (600, 402), "three columns, two rows, enlarged three times"
    pixels = np.asarray(image)
    centres = [int(pixels[100 + 198 * (place // 3), 100 + 198 * (place % 3)]) for place in range(6)]
    assert centres == [20, 80, 130, 180, 230, 255]
    assert pixels[0, 0] == pixels[100, 201] == 255, "white between them"


def test_a_sheet_keeps_colours_and_shows_what_is_not_finite() -> None:
    colours = torch.tensor([[1.0, 0, 0], [0, 0.5, 2], [torch.nan, torch.inf, -1]])[:, :, None, None].expand(3, 3, 8, 4)
    image = Image.open(io.BytesIO(sheet(colours.bfloat16())))
    pixels = np.asarray(image)
    assert image.mode == "RGB" and max(image.size) > 400
    high, wide = pixels.shape[0] // 2, pixels.shape[1] // 2
    centres = [tuple(map(int, pixels[down, along])) for down, along in ((high // 2, wide // 2), (high // 2, wide + wide // 2))]
    assert centres == [(255, 0, 0), (0, 128, 255)]
    assert pixels[high + high // 2, wide // 2].tolist() == [0, 0, 0]


def test_large_pictures_are_not_enlarged() -> None:
    assert Image.open(io.BytesIO(sheet(torch.zeros(4, 3, 256, 256)))).size == (518, 518)
    assert Image.open(io.BytesIO(sheet(torch.zeros(1, 1, 300, 700)))).size == (700, 300)


# ---------------------------------------------------------------- films


def test_epochs_come_in_their_order_and_the_last_is_held(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for epoch, value in ((12345, 200), (2, 50), (9999, 150), (1, 0), (10, 100)):
        grey(tmp_path / "snapshots", epoch, value)
    assert write_film(tmp_path / "snapshots", tmp_path / "film.gif") == 5
    assert frames(tmp_path / "film.gif") == [(0, 500), (50, 500), (100, 500), (150, 500), (200, 2500)]
    assert capsys.readouterr().err == ""


def test_many_epochs_are_evenly_chosen(tmp_path: Path) -> None:
    for epoch in range(250):
        grey(tmp_path / "many", epoch, epoch, (50, 60))
    assert write_film(tmp_path / "many", tmp_path / "film.gif") == MOST_FRAMES == 60
    found = frames(tmp_path / "film.gif")
    assert [found[0], found[-1]] == [(0, 160), (249, 2500)]
    assert set(np.diff([value for value, _ in found])) == {4, 5} and {length for _, length in found[:-1]} == {160}


def test_one_epoch_is_a_still_and_none_is_no_film(tmp_path: Path) -> None:
    to = tmp_path / "film.gif"
    assert write_film(tmp_path / "missing", to) == 0
    grey(tmp_path / "one", 1, 77).rename(tmp_path / "kept.png")
    assert write_film(tmp_path / "one", to) == 0 and not to.exists()
    grey(tmp_path / "one", 1, 77)
    assert write_film(tmp_path / "one", to) == 1
    assert frames(to) == [(77, 2500)]


def test_colours_survive_and_the_epoch_stands_above(tmp_path: Path) -> None:
    colours = torch.rand(9, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(9, 3, 32, 32)
    (tmp_path / "epochs").mkdir()
    for epoch in (3, 4):
        (tmp_path / "epochs" / f"epoch_{epoch:04d}.png").write_bytes(sheet(colours / (5 - epoch)))
    assert write_film(tmp_path / "epochs", tmp_path / "film.gif") == 2
    with Image.open(tmp_path / "film.gif") as picture:
        first, last = (np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(picture))
    below = np.asarray(Image.open(io.BytesIO(sheet(colours)))).astype(int)
    assert last.shape[1:] == below.shape[1:] and last.shape[0] == below.shape[0] + 28
    assert np.abs(last[28:] - below).mean() < 3
    assert np.abs(first[:22] - last[:22]).max() > 100, "the numbers differ"
    assert (first[:22].max(2) < 100).sum() > 50, "dark letters"
    dark = [(strip[25].max(1) < 160).mean() for strip in (first, last)]
    assert dark == pytest.approx([3 / 4, 1], abs=0.01), "how far the training is"


def test_a_huge_sheet_becomes_a_frame_of_usual_size(tmp_path: Path) -> None:
    grey(tmp_path / "huge", 1, 9, (2000, 1000))
    assert write_film(tmp_path / "huge", tmp_path / "film.gif") == 1
    assert Image.open(tmp_path / "film.gif").size == (768, 384 + 28)


# ---------------------------------------------------------------- what is no sheet


@pytest.mark.parametrize(
    "name", ["epoch_1.png", "epoch_0002.PNG", "xepoch_0002.png", "epoch_0002.png.gif", "epoch_00002.png", "epoch_٠٠٠٢.png"]
)
def test_other_names_are_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    grey(tmp_path / "odd", 1, 10)
    Image.new("L", (160, 120), 99).save(tmp_path / "odd" / "other", "PNG")
    (tmp_path / "odd" / "other").rename(tmp_path / "odd" / name)
    assert write_film(tmp_path / "odd", tmp_path / "film.gif") == 1
    said = capsys.readouterr().err
    assert f"not in the film, as only epoch_0001.png and so on are: {name}\n" in said


def test_of_many_other_files_three_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grey(tmp_path / "odd", 1, 10)
    for name in ("a", "b\nc", "d", "e", "f"):
        (tmp_path / "odd" / name).touch()
    write_film(tmp_path / "odd", tmp_path / "film.gif")
    assert capsys.readouterr().err.endswith(": a, b\\nc, d and 2 more\n")


def test_broken_lying_and_linked_sheets_are_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "odd"
    whole = [grey(folder, epoch, 10 * epoch) for epoch in (1, 9)]
    content = whole[0].read_bytes()
    noise = np.random.default_rng(0).integers(256, size=(120, 160), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "epoch_0002.png")
    cut = (folder / "epoch_0002.png").read_bytes()[:9000]
    (folder / "epoch_0002.png").write_bytes(cut)
    (folder / "epoch_0003.png").symlink_to(whole[0])
    (folder / "epoch_0004.png").write_bytes(png(60_000, 60_000))
    (folder / "epoch_0005.png").write_bytes(png(5000, 9))
    Image.new("L", (160, 120), 200).save(folder / "epoch_0006.png", "JPEG")
    Image.new("RGB", (160, 120), "red").save(folder / "epoch_0007.png")
    grey(folder, 8, 80, (160, 121))
    assert write_film(folder, tmp_path / "film.gif") == 2
    assert [value for value, _ in frames(tmp_path / "film.gif")] == [10, 90]
    said = capsys.readouterr().err.splitlines()
    reasons = (
        "epoch_0002.png: broken or truncated",
        "epoch_0003.png: a link; expected the file itself",
        "epoch_0004.png: Image size (3600000000 pixels)",
        "epoch_0005.png: PNG of 5000x9 pixels; expected a PNG of at most 4096x4096",
        "epoch_0006.png: JPEG of 160x120 pixels; expected a PNG",
        "epoch_0007.png: 160x120 pixels in colour; the sheets before it are of 160x120 pixels in grey",
        "epoch_0008.png: 160x121 pixels in grey; the sheets before it are",
    )
    assert len(said) == len(reasons)
    for line, reason in zip(said, reasons, strict=True):
        assert reason in line and line.endswith("; left out of the film")
    assert whole[0].read_bytes() == content


def test_a_linked_folder_is_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grey(tmp_path / "epochs", 1, 10)
    (tmp_path / "link").symlink_to(tmp_path / "epochs")
    assert write_film(tmp_path / "link", tmp_path / "film.gif") == 0
    assert "link: a link; no film is made of it" in capsys.readouterr().err


def test_a_film_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grey(tmp_path / "epochs", 1, 10)
    to = tmp_path / "films" / "film.gif"
    to.parent.mkdir()
    to.write_bytes(b"before")

    def full(self: Path, other: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(ZooError, match=r"cannot be written .No space left on device.: free the disk"):
            write_film(tmp_path / "epochs", to)
    assert to.read_bytes() == b"before" and list(to.parent.iterdir()) == [to]
    write_film(tmp_path / "epochs", to)
    assert frames(to) == [(10, 2500)] and list(to.parent.iterdir()) == [to]


def test_equal_sheets_make_equal_films(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        grey(tmp_path / "epochs", epoch, 50)
    made = []
    for name in ("a.gif", "b.gif"):
        assert write_film(tmp_path / "epochs", tmp_path / name) == 3
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1] and len(frames(tmp_path / "a.gif")) == 3, "a frame each, as the epoch differs"
