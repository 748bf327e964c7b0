"""How many wrong labels and planted copies the doctor finds in real pictures, by hand (a minute a seed).

    python tests/benchmarks/doctor.py FOLDER_OF_CLASSES --weights TORCH_HOME [--seeds 5] [--keep FOLDER]

Of a copy of the folder, divided into train and val (a fifth), 20 labels are changed and 10 training pictures are planted in val: saved
again as JPEG, made smaller, cropped a little and brightened. `--strong` plants them changed a lot more. Counted are the changed labels in
the list of the page (at most 40) and in the quarantine, the planted copies, and pairs that were not planted.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import tempfile
from pathlib import Path

from PIL import Image, ImageEnhance

from zoo.curation.diagnosis import quarantine
from zoo.datasets.pictures import is_picture, read_picture
from zoo.doctor import doctor
from zoo.pages.diagnosis_page import MOST

LABELS, COPIES = 20, 10


def planted(picture: Image.Image, dice: random.Random, strong: bool) -> bytes:
    """A copy: 2 to 4 % (strong: 5) off a side or all round, 0.7 to 0.95 (0.6 to 0.9) of the size, 5 to 12 % (20) brighter, a JPEG."""
    part, scale = (dice.uniform(0.02, 0.05 if strong else 0.04), dice.uniform(0.6, 0.9) if strong else dice.uniform(0.7, 0.95))
    width, height = round(picture.width * part), round(picture.height * part)
    place = dice.choice((0.0, 0.5, 1.0))
    left, top = round(width * place), round(height * place)
    picture = picture.crop((left, top, picture.width - width + left, picture.height - height + top))
    picture = picture.resize((max(8, round(picture.width * scale)), max(8, round(picture.height * scale))), Image.Resampling.LANCZOS)
    picture = ImageEnhance.Brightness(picture).enhance(dice.uniform(1.05, 1.20 if strong else 1.12))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=dice.randint(50, 85))
    return file.getvalue()


def make(source: Path, root: Path, seed: int, strong: bool) -> tuple[set[str], set[tuple[str, str]]]:
    """Write the set; the ids of records with a changed label, and the ids of pairs that were planted (train, val)."""
    dice = random.Random(seed)
    classes = sorted(folder.name for folder in source.iterdir() if folder.is_dir())
    of = {name: sorted(file for file in (source / name).iterdir() if is_picture(file)) for name in classes}
    files = [file for mine in of.values() for file in mine]
    changed = set(dice.sample(files, LABELS))
    held = {file for name in classes for file in dice.sample(of[name], len(of[name]) // 5)}
    wrong, where = set(), {}
    for file in files:
        label = dice.choice([name for name in classes if name != file.parent.name]) if file in changed else file.parent.name
        id = f"{'val' if file in held else 'train'}/{label}/{file.parent.name}_{file.name}"
        where[file] = id
        (root / id).parent.mkdir(parents=True, exist_ok=True)
        (root / id).write_bytes(file.read_bytes())
        wrong |= {id} if file in changed else set()
    pairs = set()
    for file in dice.sample(sorted(set(files) - held - changed), COPIES):
        id = f"val/{file.parent.name}/planted_{file.stem}.jpg"
        (root / id).write_bytes(planted(read_picture(file), dice, strong))
        pairs.add((where[file], id))
    return wrong, pairs


def measure(source: Path, root: Path, out: Path, seed: int, strong: bool = False) -> dict[str, int]:
    """What was found of what was planted."""
    wrong, pairs = make(source, root, seed, strong)
    found, _ = doctor("image_folder", [f"data.root={root}", f"split.seed={seed}", "data.workers=0", "train.device=cpu"], out)
    listed = [found.records[issue.row].id for issue in found.issues]
    left_out = {row.id for row in quarantine(found) if row.reason == "likely wrong label"}
    told = {tuple(sorted((found.records[copy.first].id, found.records[copy.second].id))) for copy in found.across()}
    return {
        f"labels in the first {MOST}": len(wrong & set(listed[:MOST])),
        "labels quarantined": len(wrong & left_out),
        "of": len(left_out),
        "copies": len(pairs & told),
        "false pairs across": len(told - pairs),
        "false pairs within": len(found.within()),
    }


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", required=True, help="TORCH_HOME that holds MobileNetV2's ImageNet weights")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--strong", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder for the pages and the sets")
    given = parser.parse_args()
    os.environ["TORCH_HOME"] = os.path.abspath(given.weights)
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(given.seeds):
            place = (given.keep or Path(scratch)).resolve() / str(seed)
            found = measure(given.folder, place / "set", place, seed, given.strong)
            print(f"seed {seed}: {', '.join(f'{name} {count}' for name, count in found.items())}", flush=True)


if __name__ == "__main__":
    main()
