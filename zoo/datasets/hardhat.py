"""Hard hats on building sites: pictures in which heads, helmets and some of the persons are boxed.

Kaggle's andrewmvd/hard-hat-detection. Persons are labelled only in part (M. Otgonbold and others: SHEL5K, Sensors 22, 2022, labels the same
pictures anew for that reason), so by default they are no class.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from zoo.datasets.annotations import MissingLayoutError, voc
from zoo.datasets.annotations.listing import listed
from zoo.datasets.source import Source, layout_error

LABELS = ("helmet", "head", "person")


class HardHat(Source):
    """Pictures with an XML file each, in Pascal VOC's form with corners between pixels.

    Args:
        root: the folder that holds `images/` and `annotations/`.
        classes: those that are learnt, in their order; () for all.
        merge: classes that count as one, each as "new=old+old" ("any=helmet+head").
        others: what boxes of other classes are: `ignore`: what is found there is neither right nor wrong; `background`: nothing.
        bad_boxes: what becomes of faults of annotations. `error`: all are named; `mend`: boxes that reach out are cut, inverted ones
            turned, others dropped, and pictures whose annotation cannot be used left out.
        unpaired: what becomes of pictures without annotation and annotations without picture. `empty`: such pictures hold nothing.
        group_by: where the photo's name ends in the names of pictures that were cut from one, such as "__": they stay together in a split.

    Raises:
        DataError: the layout is not there, or annotations are faulty.
        RecipeError: an option names what is not there.
    """

    title: ClassVar[str] = "hard hats (Kaggle)"
    obtain: ClassVar[str] = (
        "The data set is to be had from https://www.kaggle.com/datasets/andrewmvd/hard-hat-detection (5,000 pictures, CC0). "
        "Unpack the archive into the folder."
    )
    layout: ClassVar[str] = """\
  images/hard_hat_workers0.png  ...
  annotations/hard_hat_workers0.xml  ...
"""
    version: ClassVar[int] = 1

    def __init__(
        self,
        root: Path,
        classes: tuple[str, ...] = ("helmet", "head"),
        merge: tuple[str, ...] = (),
        others: Literal["ignore", "background"] = "ignore",
        bad_boxes: Literal["error", "mend"] = "error",
        unpaired: Literal["error", "skip", "empty"] = "error",
        group_by: str = "",
    ) -> None:
        try:
            found = voc.read(root, "between")
        except MissingLayoutError as error:
            raise layout_error(HardHat, root, error.what) from None
        listing = listed(found, classes, merge, others, bad_boxes, unpaired, group_by, LABELS)
        super().__init__(root, listing.labels, listing.records, listing.groups, notes=listing.notes)

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw building sites with heads and helmets, and other round and yellow things, in the real layout."""
        from zoo.datasets.drawn.hardhat import write

        write(root, seed)
