"""Boxes of COCO, and of any data set with a JSON file of that form.

T.-Y. Lin and others: Microsoft COCO: Common Objects in Context. ECCV 2014.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from zoo.datasets.annotations import MissingLayoutError, coco
from zoo.datasets.annotations.listing import listed
from zoo.datasets.source import Source, layout_error


class COCODetection(Source):
    """A JSON file for each part, kept as train, val and test, or one for all. What is `iscrowd` is ignored. Outlines are not read.

    Args:
        root: the folder that holds `annotations/` and the folders of pictures, or one JSON beside its pictures.
        parts: `own`: the data set's own; `split`: train and val together are divided anew by `split`.
        classes: those that are learnt, in their order; () for all, in the file's order.
        merge: classes that count as one, each as "new=old+old" ("vehicle=car+bus").
        others: what boxes of other classes are: `ignore`: what is found there is neither right nor wrong; `background`: nothing.
        bad_boxes: what becomes of faults of annotations. `error`: all are named; `mend` (COCO's own files have a few boxes without height):
            boxes that reach out are cut, others dropped, and pictures of another size than the file says left out.
        unpaired: what becomes of annotations without picture.
        group_by: where the photo's name ends in the names of pictures that were cut from one, such as "__": they stay together in a split.

    Raises:
        DataError: the layout is not there, or annotations are faulty.
        RecipeError: an option names what is not there.
    """

    title: ClassVar[str] = "COCO, detection"
    obtain: ClassVar[str] = (
        "COCO is to be had from https://cocodataset.org (2017: train 18 GB, val 1 GB, annotations 240 MB); its pictures are Flickr's, "
        "under Flickr's terms. Unpack the archives into the folder."
    )
    layout: ClassVar[str] = """\
  annotations/instances_train2017.json  instances_val2017.json
  train2017/000000000009.jpg  ...       (or images/train2017/)
  val2017/000000000139.jpg  ...
  or <root>/annotations.json  <root>/images/1.jpg ...
"""
    version: ClassVar[int] = 1

    def __init__(
        self,
        root: Path,
        parts: Literal["own", "split"] = "own",
        classes: tuple[str, ...] = (),
        merge: tuple[str, ...] = (),
        others: Literal["ignore", "background"] = "ignore",
        bad_boxes: Literal["error", "mend"] = "mend",
        unpaired: Literal["error", "skip"] = "error",
        group_by: str = "",
    ) -> None:
        try:
            found = coco.read(root)
        except MissingLayoutError as error:
            raise layout_error(COCODetection, root, error.what) from None
        if parts == "split":
            found.rejoin()
        listing = listed(found, classes, merge, others, bad_boxes, unpaired, group_by)
        super().__init__(root, listing.labels, listing.records, listing.groups, notes=listing.notes)

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw a dozen building sites in the layout of 2017: a JSON and a folder for train and val, some persons as crowds."""
        from zoo.datasets.drawn.coco_detection import write

        write(root, seed)
