"""Pascal VOC's form: an XML file for each picture.

M. Everingham and others: The Pascal Visual Object Classes (VOC) Challenge, IJCV 2010. The challenge counts pixels from 1 and its boxes
include their last pixel; other tools write corners between pixels in the same elements. What COCO knows besides is kept in elements of
its own (`iscrowd`, `area`, `segmentation`), which other readers pass over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from zoo.datasets.annotations import Annotated, Annotation, MissingLayoutError, Object, class_name, number, read_bytes, size_of, told
from zoo.datasets.annotations.folders import PART_NAMES, Pair, find, listed_names, paired
from zoo.errors import DataError, shown
from zoo.progress import track

Convention = Literal["auto", "between", "inclusive"]

PICTURES, ANNOTATIONS, LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
ORDER = "classes.txt"
"""Names of classes, one a line, in their order: not VOC's own, but without it the order would be lost."""

MOST_BYTES, MOST_DEPTH, MOST_ELEMENTS = 8_000_000, 20, 100_000


class _Plain(ElementTree.TreeBuilder):
    """Builds the tree of a small plain document: without declarations of entities, so that none can be expanded or fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = self.elements = 0

    def start(self, tag: str, attrs: dict[str, str]) -> ElementTree.Element:
        self.depth, self.elements = self.depth + 1, self.elements + 1
        if self.depth > MOST_DEPTH or self.elements > MOST_ELEMENTS:
            raise ValueError(f"elements nested deeper than {MOST_DEPTH}, or more than {MOST_ELEMENTS:,}")
        return super().start(tag, attrs)

    def end(self, tag: str) -> ElementTree.Element:
        self.depth -= 1
        return super().end(tag)

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ValueError("it declares a document type, which may hold or fetch anything; remove <!DOCTYPE ...>")


def parse(content: bytes, inclusive: bool = False) -> tuple[tuple[int, int] | None, list[Object], list[str]]:
    """An annotation: the picture's size if it is told, the objects, and what is wrong with others.

    Args:
        content: of the XML file.
        inclusive: pixels are counted from 1 and boxes include their last pixel, as in the challenge's own files.

    Raises:
        ValueError: it is no annotation at all.
    """
    try:
        parser = ElementTree.XMLParser(target=_Plain())
        parser.feed(content)
        tree = parser.close()
    except (ElementTree.ParseError, LookupError) as error:  # an encoding that is not known is a LookupError
        raise ValueError(f"no XML ({error})") from error
    if tree.tag != "annotation":
        raise ValueError(f"its root is <{shown(tree.tag[:40])}>, expected <annotation>")
    objects, faults = [], []
    for place, element in enumerate(tree.findall("object"), 1):
        try:
            objects.append(_object(element, inclusive))
        except ValueError as error:
            faults.append(f"object {place}: {error} (mended: dropped)")
    return size_of(tree.findtext("size/width"), tree.findtext("size/height")), objects, faults


def _object(element: ElementTree.Element, inclusive: bool) -> Object:
    name = class_name(element.findtext("name"))
    box = element.find("bndbox")
    if box is None:
        raise ValueError(f"{told(name)} has no <bndbox>")
    left, top, right, bottom = (_coordinate(box, side) for side in ("xmin", "ymin", "xmax", "ymax"))
    area = element.findtext("area")
    return Object(
        name,
        (left - inclusive, top - inclusive, right, bottom),
        difficult=_flag(element, "difficult"),
        crowd=_flag(element, "iscrowd"),
        truncated=_flag(element, "truncated"),
        occluded=_flag(element, "occluded"),
        pose=_pose(element.findtext("pose") or ""),
        area=None if area is None else number(area),
        segmentation=_outline(element.findtext("segmentation")),
    )


def _coordinate(box: ElementTree.Element, side: str) -> float:
    try:
        return number(box.findtext(side))
    except ValueError as error:
        raise ValueError(f"{side}: {error}") from error


def _flag(element: ElementTree.Element, tag: str) -> bool:
    return (element.findtext(tag) or "").strip().lower() in ("1", "true", "yes")


def _pose(text: str) -> str:
    word = text.strip()
    return "" if word == "Unspecified" or len(word) > 100 or not word.isprintable() else word


def _outline(text: str | None) -> object:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("its <segmentation> is no JSON") from error


def spell(name: str, size: tuple[int, int], objects: tuple[Object, ...], inclusive: bool = False) -> bytes:
    """The XML of an annotation, as LabelImg lays it out; `parse` gives the same back."""
    root = ElementTree.Element("annotation")
    _add(root, "filename", name)
    extent = ElementTree.SubElement(root, "size")
    for tag, value in zip(("width", "height", "depth"), (*size, 3), strict=True):
        _add(extent, tag, value)
    _add(root, "segmented", 0)
    for one in objects:
        _add_object(ElementTree.SubElement(root, "object"), one, inclusive)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode").encode() + b"\n"


def _add_object(element: ElementTree.Element, one: Object, inclusive: bool) -> None:
    _add(element, "name", one.name)
    _add(element, "pose", one.pose or "Unspecified")
    for tag, flag in {"truncated": one.truncated, "occluded": one.occluded, "difficult": one.difficult}.items():
        _add(element, tag, int(flag))
    if one.crowd:
        _add(element, "iscrowd", 1)
    if one.area is not None:
        _add(element, "area", one.area)
    if one.segmentation is not None:
        _add(element, "segmentation", json.dumps(one.segmentation))
    box = ElementTree.SubElement(element, "bndbox")
    left, top, right, bottom = one.corners
    for tag, side in zip(("xmin", "ymin", "xmax", "ymax"), (left + inclusive, top + inclusive, right, bottom), strict=True):
        _add(box, tag, int(side) if side == int(side) else side)


def _add(element: ElementTree.Element, tag: str, value: object) -> None:
    ElementTree.SubElement(element, tag).text = str(value)


def read(root: Path, corners: Convention = "auto", year: int | None = None) -> Annotated:
    """A development kit (`VOC<year>/JPEGImages`, `Annotations`), or folders `images` and `annotations`, perhaps in train, val and test.

    The lists in `ImageSets/Main` make the parts; without lists they are in folders, or there are none.

    Args:
        root: the folder that holds `VOCdevkit/`, `VOC<year>/`, or the pictures' and annotations' folders.
        corners: what the numbers mean; `auto`: those of a development kit are inclusive, others lie between pixels.
        year: of the development kit; None for the newest.

    Raises:
        MissingLayoutError: the folders are not there.
        DataError: a list names what is no name, or two lists the same.
    """
    kit, notes = _kit(root, year)
    folders = {"labelled": (kit / PICTURES, kit / ANNOTATIONS)} if kit else find(root, "annotations")
    inclusive = corners == "inclusive" or (corners == "auto" and kit is not None)
    top = kit or root
    pairs = {part: paired(images, annotations, ".xml") for part, (images, annotations) in folders.items()}
    parts = {part: [_annotation(top, *one, inclusive) for one in _tracked(both)] for part, both in pairs.items()}
    unlabelled: list[Path] = []
    lists = {part: listed_names(top / LISTS / f"{part}.txt") for part in ("train", "val", "trainval", "test")}
    if "labelled" in parts and (lists["train"] or lists["trainval"]):
        parts, unlabelled, more = _by_lists(parts["labelled"], lists)
        notes += more
    order = _order(top / ORDER)
    found = {one.name for part in parts.values() for annotation in part for one in annotation.objects}
    return Annotated(top, (*order, *sorted(found - set(order))), parts, unlabelled, notes=notes)


def _tracked(pairs: list[Pair]) -> Iterable[Pair]:
    return track(pairs, "reading annotations", len(pairs), "files")


def _kit(root: Path, year: int | None) -> tuple[Path | None, list[str]]:
    """The folder of one year of the challenge, and a note if there are others."""
    if (root / ANNOTATIONS).is_dir() and (root / PICTURES).is_dir():
        return root, []
    wanted = "VOC????" if year is None else f"VOC{year}"
    tops = [folder for above in (root / "VOCdevkit", root) for folder in above.glob(wanted)]
    found = sorted((folder for folder in tops if (folder / ANNOTATIONS).is_dir()), key=lambda folder: folder.name)
    if not found:
        if year is not None:
            raise MissingLayoutError(root, f"no folder {wanted}/{ANNOTATIONS}/")
        return None, []
    others = ", ".join(folder.name for folder in found[:-1])
    return found[-1], [f"{found[-1].name} is read, {others} not: data.year says which"] if others else []


def _annotation(top: Path, name: str, picture: Path | None, file: Path | None, inclusive: bool) -> Annotation:
    if file is None:
        return Annotation(name, name, picture, state="absent")
    where = shown(file.relative_to(top).as_posix())
    try:
        size, objects, faults = parse(read_bytes(file, MOST_BYTES), inclusive)
    except ValueError as error:
        return Annotation(name, where, picture, faults=(f"{error} (mended: its picture is left out)",), state="unreadable")
    return Annotation(name, where, picture, size, tuple(objects), tuple(faults))


def _by_lists(everything: list[Annotation], lists: dict[str, list[str]]) -> tuple[dict[str, list[Annotation]], list[Path], list[str]]:
    """The parts that lists make, pictures to be predicted, and notes. Pictures that no list names are left out."""
    known = {str(Path(one.name).with_suffix("")) if one.picture else one.name: one for one in everything}
    if both := set(lists["train"]) & set(lists["val"]):
        raise DataError(f"{LISTS}: train.txt and val.txt both name {shown(min(both))}, so that val would measure what was learnt by heart")
    chosen = {"train": lists["train"], "val": lists["val"]}
    if not (lists["train"] and lists["val"]):
        chosen = {"labelled": list(dict.fromkeys([*lists["trainval"], *lists["train"], *lists["val"]]))}
    parts = {
        part: [known.get(name) or Annotation(name, f"{LISTS}: {shown(name)}", None) for name in names] for part, names in chosen.items()
    }
    tests = [known[name] for name in lists["test"] if name in known and known[name].picture]
    gone = len(lists["test"]) - len(tests)
    notes = [f"test.txt: {gone} of {len(lists['test'])} pictures are not there and left out"] if gone else []
    if tests and all(one.state != "absent" for one in tests):
        return parts | {"test": tests}, [], notes
    return parts, [one.picture for one in tests if one.picture], notes


def _order(path: Path) -> list[str]:
    """The classes that a file names, one a line; [] if there is no such file."""
    if not path.is_file():
        return []
    try:
        lines = read_bytes(path, MOST_BYTES).decode("utf-8", "replace").splitlines()
        return list(dict.fromkeys(class_name(line) for line in lines if line.strip()))
    except ValueError as error:
        raise DataError(f"{shown(path)}: {error}") from error


def place(part: str, name: str) -> str:
    """Where the picture of a part lies in a data set that is written."""
    return f"images/{name}" if part == "labelled" else f"{part}/images/{name}"


def write(root: Path, found: Annotated, inclusive: bool = False) -> None:
    """Write the annotations of pictures that lie where `place` says: `annotations/<name>.xml`, and the order of classes."""
    assert set(found.parts) <= {"labelled", *PART_NAMES}
    (root / ORDER).write_text("".join(f"{name}\n" for name in found.labels), encoding="utf-8")
    for part, pictures in found.parts.items():
        for one in pictures:
            file = (root / place(part, one.name).replace("images/", "annotations/", 1)).with_suffix(".xml")
            file.parent.mkdir(parents=True, exist_ok=True)
            assert one.size is not None
            file.write_bytes(spell(one.name, one.size, one.objects, inclusive))
