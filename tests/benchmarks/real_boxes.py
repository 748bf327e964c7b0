"""Real pictures with boxes, by zoo's CenterNet and by MMDetection's at an equal budget: for docs/results.csv, by hand.

    python tests/benchmarks/real_boxes.py cutouts FOLDER [--write] [key=value ...]
    python tests/benchmarks/real_boxes.py trees FOLDER [--mmdet] [--write] [key=value ...]

`cutouts`: FOLDER holds images/ and masks/ of 200 things on grounds; the box is the mask's; 160 pictures train, 20 validate, 20 test.
`trees`: FOLDER holds images/ and annotations/ of tiles of four photos; of the photo with most tiles four validate and the others train,
those of the other photos are the test. --mmdet: with the extra `zoo[mmdet]`, the same by MMDetection's CenterNet.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from PIL import Image

from zoo import bench
from zoo.datasets.annotations import Object, voc
from zoo.train import train

METRICS = ("test/map50", "test/map")
SCHEDULE = [
    "data.synthetic=never",
    "data.name=voc_detection",
    "data.others=ignore",
    "data.classes=[]",
    "train.batch_size=8",
    "train.lr=1e-3",
]
BUDGETS = {
    "cutouts": ["data.size=192", "data.repeat=4", "train.epochs=12"],
    "trees": ["data.size=256", "data.repeat=16", "train.epochs=12"],
}


def cutouts(folder: Path, to: Path) -> dict[str, list[str]]:
    """VOC's XML with the box of each mask -> names by part."""
    (to / "annotations").mkdir()
    names = []
    for mask in sorted((folder / "masks").iterdir()):
        with Image.open(mask) as picture:
            box = picture.convert("L").point(lambda value: 255 * (value > 127)).getbbox()
            thing = (Object("thing", tuple(map(float, box))),) if box else ()
            (to / "annotations" / f"{mask.stem}.xml").write_bytes(voc.spell(mask.name, picture.size, thing))
        names.append(mask.stem)
    return {"train": names[:160], "val": names[160:180], "test": names[180:]}


def trees(folder: Path, to: Path) -> dict[str, list[str]]:
    """A link to the annotations -> names by part: the test is of other photos than those that train."""
    (to / "annotations").symlink_to(folder.resolve() / "annotations")
    photos = defaultdict(list)
    for file in sorted((folder / "annotations").iterdir()):
        photos[file.stem.partition("__")[0]].append(file.stem)
    largest = max(photos, key=lambda photo: len(photos[photo]))
    others = [name for photo, names in photos.items() if photo != largest for name in names]
    return {"train": photos[largest][4:], "val": photos[largest][:4], "test": others}


def main() -> None:
    """Lay the pictures out, train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("cutouts", "trees"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("changes", nargs="*", metavar="key=value")
    parser.add_argument("--mmdet", action="store_true", help="by MMDetection's CenterNet")
    parser.add_argument("--write", action="store_true", help="append to docs/results.csv")
    arguments = parser.parse_intermixed_args()
    recipe = "hardhat_centernet_mmdet" if arguments.mmdet else "hardhat_centernet"
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        parts = {"cutouts": cutouts, "trees": trees}[arguments.which](arguments.folder, root)
        (root / "images").symlink_to(arguments.folder.resolve() / "images")
        (root / voc.LISTS).mkdir(parents=True)
        for part, names in parts.items():
            (root / voc.LISTS / f"{part}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        begun = time.process_time()
        run = train(recipe, [f"data.root={os.fspath(root)}", *SCHEDULE, *BUDGETS[arguments.which], *arguments.changes])
        seconds = time.process_time() - begun
    told = ", ".join(f"{part} {len(names)}" for part, names in parts.items())
    for metric in METRICS:
        print(f"{recipe} {arguments.which} ({told}): {metric} {run.metrics[metric]:.4f}, {seconds:.0f} s of CPU", flush=True)
        if arguments.write:
            note = f"{arguments.which}: {told}; {' '.join(arguments.changes)}"
            bench.append(recipe, "real", f"{metric}_of_{arguments.which}", run.metrics[metric], seconds, note)


if __name__ == "__main__":
    main()
