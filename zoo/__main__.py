"""`zoo <command>` and `python -m zoo <command>`: finds the command's module and runs it; imports nothing heavy for help."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

COMMANDS = {
    "train": "train a recipe, measure it and write its report",
    "evaluate": "measure a trained run again, perhaps on other data",
    "probe": "measure what an embedding knows, by nearest neighbours and logistic regression",
    "doctor": "look a data set over: bad files, copies, likely wrong labels, odd pictures",
    "mine": "find what to collect or label next, by a run's errors and doubts",
    "capture": "record pictures of one class from a camera, a video or a folder",
    "predict": "predict pictures, a folder, a video or a camera; write a submission",
    "sample": "draw pictures that a model makes up",
    "reconstruct": "reconstruct or denoise pictures",
    "edit": "strengthen or weaken attributes of a picture",
    "interpolate": "draw the way from one picture to another",
    "plane": "lay the codes of pictures out in a plane",
    "index": "index a folder of pictures, to search it",
    "search": "find the pictures of an index that are most like another",
    "report": "write a run's report again",
    "study": "train a recipe under several changes, and compare them in one report",
    "replay": "find the step, the pictures and the layer that made a run diverge",
    "list": "list recipes, runs, backbones, tasks, datasets, engines, transforms",
    "download": "fetch the files of a data set, checked by their SHA-256",
    "describe": "say what a recipe will do: model, parameters, cost, data",
    "check": "check recipes and say all that is wrong with them",
    "schema": "print the JSON Schema of recipes, for editors",
    "new": "start a homework: copy a recipe under a new name",
    "convert": "convert annotations of boxes between VOC, COCO and YOLO",
    "pack": "make one file of a run, to share",
    "bench": "for people who work on zoo: measure recipes in full, write their cards",
}


def main(argv: Sequence[str] | None = None) -> int:
    """The console command `zoo`."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        print("usage: zoo <command> ...   (each command explains itself with --help)\n")
        print("\n".join(f"  {name:{width}}  {what}" for name, what in COMMANDS.items()))
        return 0
    if words[0] == "--version":
        from zoo import __version__

        print(f"zoo {__version__}")
        return 0
    if words[0] not in COMMANDS:
        from zoo.nearest import nearest

        print(f"zoo: no command {words[0]!r}{nearest(words[0], COMMANDS)}; expected one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return run_command(words[0], words[1:])


def run_command(name: str, words: Sequence[str]) -> int:
    """Run a command; errors made for people become one message and an exit code.

    0 done, 2 bad recipe or arguments, 3 bad data, 4 diverged, 75 stopped on time, 130 and 143 interrupted but saved, 1 anything else.
    """
    from zoo.errors import ZooError
    from zoo.ranks import ranks

    # Read when torch is loaded. Threads that wait by spinning starve each other as soon as anything else wants a core: on two cores
    # a step beside a busy neighbour took about three times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    me = ranks()
    if me.world > 1:  # its wrapper for several devices warns of a search for unused weights, which some batches do need
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    _log_to_stderr()
    try:
        code: int = importlib.import_module(f"zoo.{name}").main(list(words))
        sys.stdout.flush()  # here, so that a closed pipe is met below and not at exit
    except ZooError as error:
        if me.first or not error.common:
            who = f"zoo {name}:" if me.first else f"zoo {name}, rank {me.rank} of {me.world}:"
            # Several lines each begin with their own place, which editors jump to.
            print(who, error, sep="\n" if "\n" in str(error) else " ", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        if me.first:
            print(f"zoo {name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `zoo list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _log_to_stderr() -> None:
    import logging

    log = logging.getLogger("zoo")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
