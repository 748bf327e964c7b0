"""Lesions on skin: the PH2 dermoscopic pictures with the masks that dermatologists drew.

T. Mendonca, P. M. Ferreira, J. S. Marques, A. R. S. Marcal, J. Rozeira: PH2 - A dermoscopic image database for research and
benchmarking. EMBC 2013.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import ClassVar, Literal

from zoo.datasets.masks import MaskValues
from zoo.datasets.pictures import is_picture
from zoo.datasets.source import Record, Source, layout_error
from zoo.errors import DataError, shown

LABELS = ("background", "lesion")
DIAGNOSES = ("common nevus", "atypical nevus", "melanoma")
"""In the numbering of the table's column "Clinical Diagnosis"."""

OUTER, INNER = "PH2Dataset", "PH2 Dataset images"
TABLE = "PH2_dataset.txt"
COLUMN = "clinical diagnosis"
UNKNOWN = "diagnosis unknown"


class PH2(Source):
    """Pictures with a mask each, told apart by diagnosis; every part of a split gets its share of each.

    Args:
        root: the folder that holds `PH2Dataset/`, or that folder itself.
        unexpected: what becomes of mask values other than 0 and 255. `half`: from 128 on they count as lesion; `ignore`: losses and
            metrics pass over such pixels; `error`: the mask is bad.

    Raises:
        DataError: the layout is not there, or the table cannot be read.
    """

    title: ClassVar[str] = "PH2 (lesions on skin)"
    obtain: ClassVar[str] = (
        "PH2 is to be had from the ADDI project (https://www.fc.up.pt/addi/ph2%20database.html) for research and education, after "
        "registration; it may not be passed on. Unpack the archive into the folder."
    )
    layout: ClassVar[str] = f"""\
  {OUTER}/                                     (or its content directly in the root)
    {INNER}/
      IMD002/IMD002_Dermoscopic_Image/IMD002.bmp
      IMD002/IMD002_lesion/IMD002_lesion.bmp
      IMD002/IMD002_roi/...                      not read
    {TABLE}                            optional: the diagnoses
"""
    version: ClassVar[int] = 1

    def __init__(self, root: Path, unexpected: Literal["half", "ignore", "error"] = "half") -> None:
        folder = next((folder for folder in (root / OUTER, root) if (folder / INNER).is_dir()), None)
        if folder is None:
            raise layout_error(PH2, root, f"no folder {INNER}/")
        cases = [case for case in sorted((folder / INNER).iterdir()) if case.is_dir() and not case.name.startswith((".", "__"))]
        if not cases:
            raise layout_error(PH2, root, f"no folder in {INNER}/")
        diagnoses = read_table(folder / TABLE)
        records = [_record(case, diagnoses) for case in cases]
        values = MaskValues(len(LABELS), binary=True, unexpected=unexpected)
        super().__init__(root, LABELS, {"labelled": records}, notes=_notes(records, diagnoses), masks=values)

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw 200 pictures of skin with lesions of the three diagnoses, their masks and the table, in the real layout."""
        from zoo.datasets.drawn.ph2 import write

        write(root, seed)


def read_table(path: Path) -> dict[str, str]:
    """A picture's name -> its diagnosis, from the table of the data set; empty if there is no such file.

    Rows look like `|| IMD003 ||  ||  0 ||  0 | T | A | A | A | A || 4 ||`. Everything else in the file (legends) is passed over.

    Raises:
        DataError: the file is there and no row of it tells a diagnosis.
    """
    if not path.is_file():
        return {}
    found, column = {}, 3
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        cells = [cell.strip() for cell in line.split("||")]
        names = [cell.lower() for cell in cells]
        if COLUMN in names:
            column = names.index(COLUMN)
        elif len(cells) > column and cells[column] in ("0", "1", "2"):
            found[cells[1].upper()] = DIAGNOSES[int(cells[column])]
    if not found:
        raise DataError(
            f"{shown(path)}: no row tells a diagnosis; expected rows such as '|| IMD003 ||  || 0 || ...' with 0, 1 or 2 under Clinical "
            "Diagnosis. Fetch the file again, or remove it: the pictures are then read without diagnoses."
        )
    return found


def _record(case: Path, diagnoses: dict[str, str]) -> Record:
    name = case.name
    picture = _only_picture(case / f"{name}_Dermoscopic_Image", name)
    mask = _only_picture(case / f"{name}_lesion", f"{name}_lesion")
    return Record(picture, name, mask=mask, stratum=diagnoses.get(name.upper(), UNKNOWN) if diagnoses else None)


def _only_picture(folder: Path, stem: str) -> Path:
    """The picture in a folder, whatever its ending; where none is, the file that should be: the look at all files names it."""
    found = [path for path in sorted(folder.iterdir()) if is_picture(path)] if folder.is_dir() else []
    named = [path for path in found if path.stem.lower() == stem.lower()] or found
    return named[0] if len(named) == 1 else folder / f"{stem}.bmp"


def _notes(records: list[Record], diagnoses: dict[str, str]) -> list[str]:
    if not diagnoses:
        return [f"no {TABLE}: the diagnoses are not known, so parts and results are not divided by them"]
    counts = Counter(record.stratum for record in records)
    notes = [", ".join(f"{counts[diagnosis]} {diagnosis}" for diagnosis in (*DIAGNOSES, UNKNOWN) if counts[diagnosis])]
    missing = sorted(diagnoses.keys() - {record.id.upper() for record in records})
    if missing:
        notes.append(f"in {TABLE} and without pictures: {shown(', '.join(missing[:5]))}{' ...' if len(missing) > 5 else ''}")
    return notes
