"""The commands as people type them: what they print, where, how they end, and that the light ones are light."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo import paths
from zoo.__main__ import COMMANDS, main
from zoo.progress import Progress, clock, track

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "torchvision", "timm", "torchmetrics", "matplotlib", "sklearn", "scipy", "numpy", "PIL", "pytorch_lightning", "mmengine"}
LIGHT = HEAVY | {"pydantic", "yaml"}


def zoo(*words: str, cwd: Path = ROOT, python: tuple[str, ...] = ("-m", "zoo")) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *python, *words], cwd=cwd, capture_output=True, text=True, check=False)


# ---------------------------------------------------------------- the front door


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said and what in said for name, what in COMMANDS.items())


def test_every_command_has_a_module_and_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: zoo {name}")


def test_an_unknown_command_suggests(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian", "x"]) == 2
    said = capsys.readouterr()
    assert "no command 'trian' (did you mean `train`?); expected one of train, evaluate" in said.err
    assert said.out == ""


def test_three_ways_to_call() -> None:
    one = zoo("check", "image_folder")
    other = zoo("image_folder", python=("-m", "zoo.check"))
    assert one.stdout == other.stdout == "image_folder: fine\n"
    assert one.returncode == other.returncode == 0
    assert zoo("--version").stdout.startswith("zoo 0.")
    script = Path(sys.executable).with_name("zoo")
    if script.exists():
        assert subprocess.run([script, "check", "image_folder"], cwd=ROOT, capture_output=True, text=True, check=True).stdout == one.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["train"],
        ["train", "--check"],
        ["check"],
        ["check", "train.lr=1"],
        ["train", "--nonsense"],
        ["list", "nonsense"],
        ["new"],
        ["train", "--resume", "x", "--check"],
        ["train", "image_folder", "--resume", "x"],
    ],
)
def test_wrong_arguments_end_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert f"zoo {words[0]}: error: " in capsys.readouterr().err


# ---------------------------------------------------------------- check, train --check, --print


def test_a_bad_recipe_ends_with_2_and_makes_no_run(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("data: image_folder\nbackbone: mobilnetv2\ntask: classification\ntrain:\n  epohcs: 3\n")
    for words in (["train", str(file), "train.lr=x"], ["train", "--check", str(file), "train.lr=x"], ["check", str(file), "train.lr=x"]):
        ended = zoo(*words)
        assert ended.returncode == 2
        assert ended.stdout == ""
        lines = ended.stderr.splitlines()
        assert lines[0] == f"zoo {words[0]}:"
        assert lines[1].startswith(f"{file}:2:1: unknown name `mobilnetv2` in `backbone` (did you mean `mobilenetv2_100`?)")
        assert lines[2].startswith(f"{file}:5:3: unknown key `train.epohcs` (did you mean `epochs`?)")
        assert lines[3].startswith("command line, `train.lr=x`: ")
        assert "Traceback" not in ended.stderr
    assert list(home.iterdir()) == []


def test_a_recipe_that_is_not_there_ends_with_2(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("train", "check", "describe"):
        assert main([command, "simpsons_mobilnetv2"]) == 2
        assert "no such recipe (did you mean `simpsons_mobilenetv2`?)" in capsys.readouterr().err
    assert main(["train", str(home)]) == 2
    assert "a folder, not a recipe" in capsys.readouterr().err
    assert list(home.iterdir()) == []


def test_check_says_all_of_all_recipes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("seed: -1\ndata: image_folder\nbackbone: resnet18\ntask: classification\n")
    assert main(["check", str(tmp_path / "one.yaml"), "image_folder", str(tmp_path / "two.yaml"), "train.epochs=0"]) == 2
    said = capsys.readouterr()
    assert said.err.count(".yaml:1:1: `seed`: expected at least 0, found -1") == 2
    assert said.err.count("command line, `train.epochs=0`") == 3


def test_check_and_print_train_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--check", "image_folder", "train.epochs=3"]) == 0
    assert capsys.readouterr().out == "image_folder: fine\n"
    assert main(["train", "image_folder", "--print", "train.epochs=3"]) == 0
    said = capsys.readouterr().out
    assert "\n  epochs: 3\n" in said
    assert "\n    weight_decay: 0.01\n" in said  # a default
    (home / "again.yaml").write_text(said)
    assert main(["train", "--print", str(home / "again.yaml")]) == 0
    assert capsys.readouterr().out == said
    assert [file.name for file in home.iterdir()] == ["again.yaml"]


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "zoo recipe"


# ---------------------------------------------------------------- new


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "homeworks"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_new_copies_a_recipe_with_its_head(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "my_homework", "--from", "simpsons_mobilenetv2"]) == 0
    assert capsys.readouterr().out == "recipes/my_homework.yaml\n"
    old = (ROOT / "recipes" / "simpsons_mobilenetv2.yaml").read_text(encoding="utf-8")
    new = (folder / "recipes" / "my_homework.yaml").read_text(encoding="utf-8")
    assert new == old.replace("recipes/simpsons_mobilenetv2.yaml", "recipes/my_homework.yaml")
    assert "python -m zoo.train recipes/my_homework.yaml\n" in new
    assert main(["check", "my_homework"]) == 0


def test_new_has_its_own_name_in_all_commands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = "#   python -m zoo.predict old --video site.mp4\n#   python -m zoo.predict older\n#   python -m zoo.sample old\n# an old house\n"
    (folder / "old.yaml").write_text(head + "data: image_folder\nbackbone: resnet18\ntask: classification\n")
    assert main(["new", "mine2", "--from", "old.yaml"]) == 0
    text = (folder / "recipes" / "mine2.yaml").read_text()
    assert text.startswith(head.replace("predict old ", "predict mine2 ").replace("sample old\n", "sample mine2\n"))
    capsys.readouterr()


def test_new_elsewhere_and_from_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "old.yaml").write_text(
        '# zoo.load("old"), recipes/old.yaml, recipes/old.yaml.txt\ndata: image_folder\nbackbone: resnet18\ntask: classification\n'
    )
    assert main(["new", "mine", "--from", "old.yaml", "--to", r"a\1/b"]) == 0
    assert (folder / r"a\1/b/mine.yaml").read_text().startswith(r'# zoo.load("mine"), a\1/b/mine.yaml, ')
    capsys.readouterr()


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "a-b", "a.yaml", "ä", "a\n", "--from"])
def test_new_refuses_names(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["new", name])
    except SystemExit as ended:  # argparse's, for what looks like an option
        code = int(str(ended.code))
    assert code == 2
    assert list(folder.iterdir()) == []


def test_new_overwrites_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "simpsons_mobilenetv2"]) == 2
    assert "'simpsons_mobilenetv2': this recipe exists already (" in capsys.readouterr().err
    (folder / "other").mkdir()
    (folder / "other" / "mine.yaml").write_text("mine")
    assert main(["new", "mine", "--to", "other"]) == 1
    assert "other/mine.yaml: cannot be written: File exists; choose another name" in capsys.readouterr().err
    assert (folder / "other" / "mine.yaml").read_text() == "mine"
    (folder / "file").write_text("")
    assert main(["new", "mine", "--to", "file"]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_new_needs_a_recipe_that_is_right(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "mine", "--from", "image_foldr"]) == 2
    assert "did you mean `image_folder`?" in capsys.readouterr().err
    (folder / "bad.yaml").write_text("seed: x\n")
    assert main(["new", "mine", "--from", "bad.yaml"]) == 2
    assert "bad.yaml:1:1: `seed`: expected a whole number" in capsys.readouterr().err
    assert not (folder / "recipes").exists()


# ---------------------------------------------------------------- list


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("backbones", "mobilenetv2_100"),
        ("backbones", "se_resnet18"),
        ("tasks", "classification"),
        ("datasets", "simpsons"),
        ("engines", "loop"),
        ("transforms", "flip"),
    ],
)
def test_list_one_a_line(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind]) == 0
    assert name in capsys.readouterr().out.splitlines()
    assert main(["list", kind, name]) == 0
    assert all(name in line for line in capsys.readouterr().out.splitlines())
    assert main(["list", kind, "qqq"]) == 0
    assert capsys.readouterr().out == f"no {kind} with 'qqq' here\n"


def test_list_recipes_with_their_questions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["image_folder", "What is in these pictures?"] in lines


def test_list_runs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "runs"]) == 0
    assert capsys.readouterr().out == "no runs here\n"
    kept = {
        "a": '{"val/accuracy": 0.51234, "synthetic": true, "seconds": 3, "val/text": "x"}',
        "b": '{"val/accuracy": 0.5, "synthetic": false}',
        "c": None,
        "d": "{",
        "e": "[1]",
        "f": "\xff",
    }
    for name, metrics in kept.items():
        folder = home / "runs" / "mine" / name
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text("")
        if metrics is not None:
            (folder / "metrics.json").write_text(metrics, encoding="latin-1")
    (home / "runs" / "mine" / "no_run").mkdir()
    assert main(["list", "runs"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "mine:a  synthetic  val/accuracy 0.5123",
        "mine:b  real  val/accuracy 0.5",
        "mine:c  not finished",
        "mine:d  not finished",
        "mine:e  metrics.json is broken",
        "mine:f  not finished",
    ]


@pytest.mark.parametrize("kind", ["backbones", "tasks"])  # more than a buffer, and less
def test_a_closed_pipe_is_no_error(kind: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "zoo", "list", kind]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 0
    process.stderr.close()


# ---------------------------------------------------------------- light


LIGHTEST = [["--help"], ["list"], ["list", "runs"]]
LIGHTER = [
    *(["list", "backbones"], ["schema"], ["check", "simpsons_mobilenetv2", "mpii_activity"], ["train", "--check", "simpsons_mobilenetv2"]),
    *([name, "--help"] for name in COMMANDS),
]
PROBE = """
import contextlib, io, json, sys
from zoo.__main__ import main
found = {}
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(words)
        except SystemExit as ended:
            code = ended.code
    found[" ".join(words)] = code, sorted({module.partition(".")[0] for module in sys.modules})
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, list[str]]]:
    """Of each command its exit code and the packages that are there after it, in one process, the lightest commands first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_HOME", str(tmp_path_factory.mktemp("empty")))
        ended = zoo(json.dumps([*LIGHTEST, *LIGHTER]), python=("-c", PROBE))
    assert ended.returncode == 0, ended.stderr
    found: dict[str, tuple[int, list[str]]] = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize("words", [*LIGHTEST, *LIGHTER], ids=" ".join)
def test_light_commands(words: list[str], imported: dict[str, tuple[int, list[str]]]) -> None:
    """What they cost in seconds: tests/benchmarks/startup.py."""
    code, packages = imported[" ".join(words)]
    assert code == 0
    assert "zoo" in packages
    assert not set(packages) & (LIGHT if words in LIGHTEST else HEAVY)


def test_importing_zoo_is_light() -> None:
    ended = zoo(python=("-c", "import sys, zoo; zoo.list_recipes(); print(*sys.modules)"))
    assert not {module.partition(".")[0] for module in ended.stdout.split()} & LIGHT
    assert "zoo" in ended.stdout.split()


# ---------------------------------------------------------------- folders


def test_where_things_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "project" / "deep" / "deeper"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    monkeypatch.setenv("ZOO_HOME", "")
    monkeypatch.setenv("ZOO_DATA", "")
    (tmp_path / "project" / "runs").mkdir()
    assert paths.home() == tmp_path / "project"
    assert paths.runs() == tmp_path / "project" / "runs"
    assert paths.data() == tmp_path / "project" / "data"
    monkeypatch.chdir("/")
    assert paths.home() == Path("/")
    monkeypatch.chdir(inner)
    monkeypatch.setenv("ZOO_HOME", "here")
    assert paths.data() == inner / "here" / "data"
    monkeypatch.setenv("ZOO_DATA", "~/there")
    assert paths.data() == Path(os.path.expanduser("~/there"))


def test_recipes_of_the_current_folder_come_first(folder: Path) -> None:
    (folder / "recipes").mkdir()
    (folder / "recipes" / "image_folder.yaml").write_text("")
    assert paths.recipes()["image_folder"] == folder / "recipes" / "image_folder.yaml"
    assert paths.recipes()["mpii_activity"] == ROOT.resolve() / "recipes" / "mpii_activity.yaml"


# ---------------------------------------------------------------- progress


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.9, "1 h 00 min"),
        (7805, "2 h 10 min"),
        (float("inf"), "inf s"),
    ],
)
def test_clock(seconds: float, said: str) -> None:
    assert clock(seconds) == said


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time that progress sees."""
    seconds = [0.0]
    monkeypatch.setattr("zoo.progress.time.monotonic", lambda: seconds[0])
    return lambda value: seconds.__setitem__(0, value)


def test_short_work_is_silent_and_long_work_says_a_line_now_and_then(
    now: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("files", 100, "files", start=10) as bar:
        for second in range(1, 31):
            now(second)
            bar.advance(2, "loss 1")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "files 14/100 files, 2.0/s, 43 s left  loss 1",
        "files 34/100 files, 2.0/s, 33 s left  loss 1",
        "files 54/100 files, 2.0/s, 23 s left  loss 1",
    ]
    assert list(track("ab", "x", 2)) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_a_terminal_sees_one_line_that_goes_away(
    now: Callable[[float], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("epoch", 10) as bar:
        now(5)
        bar.advance(5)
    said = capsys.readouterr().err
    assert said == "\r\x1b[2K[##########..........] epoch 5/10 it, 1.0/s, 5 s left\r\x1b[2K"
