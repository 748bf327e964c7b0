"""Fetch a data set's own files, each checked by its SHA-256.

python -m zoo.download [NAME] [--to FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

MAX_BYTES = 2**30
"""Larger files are refused; the largest of those that are known has 26 MB."""

SECONDS = 15.0
"""How long a server may be silent."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the data set's folder, ready for `data.root`; without a name, what can be fetched."""
    parser = argparse.ArgumentParser(prog="zoo download", description="Fetch a data set's own files, each checked by its SHA-256.")
    parser.add_argument("name", nargs="?", help="of the data set, as in `data.name`; without it, what can be fetched is listed")
    parser.add_argument("--to", metavar="FOLDER", type=Path, help="default: $ZOO_DATA/NAME, where recipes look for it")
    arguments = parser.parse_args(argv)
    if arguments.name is None:
        print("\n".join(fetchable()))
        return 0

    from zoo import paths

    folder = arguments.to or paths.data() / arguments.name
    download(arguments.name, folder)
    print(folder)
    return 0


def fetchable() -> list[str]:
    """A line for each data set that can be fetched: its name and its title."""
    from zoo import registry

    names = [name for name in registry.names("datasets") if registry.attribute("datasets", name, "files")]
    width = max(map(len, names), default=0)
    return [f"{name:{width}}  {registry.attribute('datasets', name, 'title')}" for name in names]


def download(name: str, folder: Path) -> None:
    """Fetch the files of a data set that are not there yet.

    Args:
        name: of its source, whose class attributes say what to fetch: `files`, path -> SHA-256, and `mirrors`, addresses that hold them all
            under the last parts of their paths.
        folder: where its layout begins.

    Raises:
        RecipeError: there is no such source, or it has nothing to fetch.
        ZooError: a file cannot be fetched, or another one has its name.
    """
    from zoo import registry
    from zoo.errors import RecipeError, ZooError, shown

    registry.entry("datasets", name)
    files: Mapping[str, str] = registry.attribute("datasets", name, "files") or {}
    if not files:
        raise RecipeError(f"{name} has no download: {registry.load('datasets', name).obtain}")
    mirrors: Sequence[str] = registry.attribute("datasets", name, "mirrors")
    above = folder if folder.is_dir() else folder.parent
    try:
        for path, digest in files.items():
            problems = _have(folder / path, digest, [mirror + path.rpartition("/")[2] for mirror in mirrors])
            if problems:
                raise ZooError(
                    f"{path} cannot be fetched:\n" + "\n".join(f"  {shown(problem)}" for problem in problems) + "\n"
                    "Check the connection and give the command again: it goes on where it broke off. Or bring the files from another "
                    f"machine, as they are, into {shown(folder)}: {', '.join(files)}"
                )
    finally:
        _remove_empty(above, [folder / path for path in files])


def _have(target: Path, digest: str, urls: Sequence[str]) -> list[str]:
    """Fetch a file from the first address that has it, unless it is there; what is wrong with each address, if none has it.

    Raises:
        ZooError: there is another file of its name, which is left as it is; or it cannot be written.
    """
    from zoo.errors import ZooError, shown
    from zoo.files import unwritable
    from zoo.progress import say

    if target.is_file():
        found = _digest(target)
        if found != digest:
            raise ZooError(
                f"{shown(target)}: is another file than the one to be fetched (SHA-256 {found}, expected {digest}) and is left as it is: "
                "move it away if it is damaged, or give another folder with --to"
            )
        say(f"{shown(target)}: is there already")
        return []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(target.parent, error) from error
    problems = []
    for url in urls:
        if (problem := _fetch(url, target, digest)) is None:
            say(f"{shown(target)}: fetched")
            return []
        problems.append(f"{url}: {problem}")
    return problems


def _fetch(url: str, target: Path, digest: str) -> str | None:
    """Fetch a file; what went wrong, if it did."""
    import http.client

    from zoo import fetching

    def check(file: Path) -> None:
        if (found := _digest(file)) != digest:
            raise ValueError(f"what came has SHA-256 {found}, expected {digest}, and was not kept")

    fetching.refuse_open_ways(url)
    try:
        fetching.fetch_file(url, target, check, MAX_BYTES, SECONDS)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    return None


def _digest(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_empty(above: Path, files: Sequence[Path]) -> None:
    """The folders below `above` into which nothing came: where there is no `data.root`, recipes draw their data."""
    for file in files:
        for folder in file.parents:
            if folder == above:
                break
            with contextlib.suppress(OSError):  # it holds something
                folder.rmdir()


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("download", sys.argv[1:]))
