"""Boxes of Pascal VOC, and of any data set with an XML file of that form for each picture.

M. Everingham, L. Van Gool, C. K. I. Williams, J. Winn, A. Zisserman: The Pascal Visual Object Classes (VOC) Challenge. IJCV 2010.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from zoo.datasets.annotations import MissingLayoutError, voc
from zoo.datasets.annotations.listing import listed
from zoo.datasets.source import Source, layout_error


class VOCDetection(Source):
    """A development kit of the challenge, or folders `images` and `annotations`; what is `difficult` is ignored.

    The lists train, val and test in `ImageSets/Main` are kept as parts, and so are folders of these names.

    Args:
        root: the folder that holds `VOCdevkit/`, `VOC<year>/`, or the folders of pictures and annotations.
        year: of the development kit; None for the newest that is there.
        corners: what the numbers mean. `inclusive`: pixels are counted from 1, and a box includes its last; `between`: corners between
            pixels; `auto`: inclusive in a development kit, between in other folders.
        parts: `own`: the data set's own; `split`: train and val together are divided anew by `split`.
        classes: those that are learnt, in their order; () for all that are found, by name.
        merge: classes that count as one, each as "new=old+old" ("vehicle=car+bus").
        others: what boxes of other classes are: `ignore`: what is found there is neither right nor wrong; `background`: nothing.
        bad_boxes: what becomes of faults of annotations. `error`: all are named; `mend`: boxes that reach out are cut, inverted ones
            turned, others dropped, and pictures whose annotation cannot be used left out.
        unpaired: what becomes of pictures without annotation and annotations without picture. `empty`: such pictures hold nothing.
        group_by: where the photo's name ends in the names of pictures that were cut from one, such as "__": they stay together in a split.

    Raises:
        DataError: the layout is not there, or annotations are faulty.
        RecipeError: an option names what is not there.
    """

    title: ClassVar[str] = "Pascal VOC, detection"
    obtain: ClassVar[str] = (
        "Pascal VOC is to be had from http://host.robots.ox.ac.uk/pascal/VOC/ (VOC2007: 870 MB); its pictures are Flickr's, under "
        "Flickr's terms. Unpack the archives into the folder. Any pictures of your own with XML files, as LabelImg writes them, will do."
    )
    layout: ClassVar[str] = f"""\
  VOCdevkit/VOC2007/               (or VOC2012, or the folder VOC2007/ or its content directly in the root)
    {voc.PICTURES}/000005.jpg
    {voc.ANNOTATIONS}/000005.xml
    {voc.LISTS}/train.txt  val.txt  (or trainval.txt; test.txt optional)
  or <root>/images/1.jpg  <root>/annotations/1.xml ...
  or <root>/train/images/1.jpg  <root>/train/annotations/1.xml  <root>/val/images/2.jpg ...
"""
    version: ClassVar[int] = 1

    def __init__(
        self,
        root: Path,
        year: Literal[2005, 2006, 2007, 2008, 2009, 2010, 2011, 2012] | None = None,
        corners: Literal["auto", "inclusive", "between"] = "auto",
        parts: Literal["own", "split"] = "own",
        classes: tuple[str, ...] = (),
        merge: tuple[str, ...] = (),
        others: Literal["ignore", "background"] = "ignore",
        bad_boxes: Literal["error", "mend"] = "error",
        unpaired: Literal["error", "skip", "empty"] = "error",
        group_by: str = "",
    ) -> None:
        try:
            found = voc.read(root, corners, year)
        except MissingLayoutError as error:
            raise layout_error(VOCDetection, root, error.what) from None
        if parts == "split":
            found.rejoin()
        listing = listed(found, classes, merge, others, bad_boxes, unpaired, group_by)
        super().__init__(root, listing.labels, listing.records, listing.groups, notes=listing.notes)

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw a dozen building sites in the layout of VOC2007: inclusive boxes, small things difficult, lists of train and val."""
        from zoo.datasets.drawn.voc_detection import write

        write(root, seed)
