"""YAML text -> plain values and places (zoo/document.py)."""

import math
from pathlib import Path
from typing import Any

import pytest

from zoo.document import COMMAND_LINE, MAX_BYTES, Document, Place, Problem, UnreadableError, dump, parse, read_text, shown


def value(text: str) -> Any:
    return parse(f"value: {text}\n", "r.yaml").values["value"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[
            (word, word)
            for word in (
                "no",
                "yes",
                "on",
                "off",
                "y",
                "N",
                "No",
                "1:30",
                "2021-01-01",
                "0x10",
                "1_000",
                "=",
                "e5",
                "1e",
                ".",
                "infinity",
                "nan",
            )
        ],
        *[("1e-3", 0.001), ("1E3", 1000.0), ("1.", 1.0), (".5", 0.5), ("-.5e-1", -0.05), ("+1e2", 100.0), ("-.inf", -math.inf)],
        *[
            ("7", 7),
            ("-7", -7),
            ("010", 10),
            ("08", 8),
            ("0", 0),
            ("true", True),
            ("FALSE", False),
            ("null", None),
            ("~", None),
            ("", None),
        ],
        *[('"1e-3"', "1e-3"), ("'true'", "true"), ('""', ""), ("|\n  7", "7\n"), (">\n  a\n  b", "a b\n")],
        *[("[1, a]", (1, "a")), ("[]", ()), ("{}", {}), ("{a: {b: 1}}", {"a": {"b": 1}})],
    ],
)
def test_scalars_are_what_people_expect(text: str, expected: Any) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


def test_nan_and_numbers_of_thousands_of_digits_are_floats() -> None:
    assert math.isnan(value(".nan"))
    assert value("9" * 5000) == math.inf  # Python refuses to make an int of so many digits


def test_every_key_and_item_has_its_place() -> None:
    document = parse("a: 1\nb:\n  c: [x, yy]\n  d:\n    - e: 2\n", "r.yaml")
    places = {path: place.text for path, place in document.marks.items()}
    assert places[("a",)] == "r.yaml:1:1"
    assert places[("b", "c")] == "r.yaml:3:3"
    assert places[("b", "c", 1)] == "r.yaml:3:10"
    assert places[("b", "d", 0, "e")] == "r.yaml:5:7"
    assert document.where(("b", "c", "nothing", "here")).text == "r.yaml:3:3"


def test_duplicate_keys_are_all_named() -> None:
    document = parse("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", "r.yaml")
    assert [str(problem) for problem in document.problems] == [
        "r.yaml:4:3: `c` stands twice: first at r.yaml:3:3; keep one",
        "r.yaml:5:1: `a` stands twice: first at r.yaml:1:1; keep one",
    ]
    assert document.values == {"a": 1, "b": {"c": 1}}


def refused(text: str) -> str:
    with pytest.raises(UnreadableError) as caught:
        parse(text, "r.yaml")
    return str(caught.value)


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOMB, "r.yaml:1:4: anchors and aliases (&, *) are not read"),
        ("a: &x 1\n", "r.yaml:1:4: anchors"),
        ("a:\n  <<: *x\n", "r.yaml:2:7: anchors"),
        ("a: !!str 1\n", "r.yaml:1:4: tags (tag:yaml.org,2002:str) are not read"),
        ("a: !own {b: 1}\n", "r.yaml:1:4: tags (!own)"),
        ("[" * 10_000, "r.yaml:1:13: nested deeper than 12 levels"),
        ("[" * 10_000 + "]" * 10_000, "r.yaml:1:13: nested deeper"),
        ("".join(" " * n + "a:\n" for n in range(200)), "r.yaml:13:13: nested deeper"),
        ("- a\n- b\n", 'r.yaml:1:1: expected sections such as `data:` and `train:`, found ["a", "b"]'),
        ("hello\n", 'r.yaml:1:1: expected sections such as `data:` and `train:`, found "hello"'),
        ("a: 1\n---\nb: 1\n", "r.yaml:2:1: expected a single document in the stream but found another document: take the line `---` out"),
        ("a:\n\tb: 1\n", "r.yaml:2:1: while scanning for the next token found character '\\t'"),
        ("a: b: c\n", "r.yaml:1:5: mapping values are not allowed here: a text that holds `: ` needs quotes"),
        ("a:\n  b: 1\n c: 2\n", "r.yaml:3:2: while parsing a block mapping"),
        ("a: {b: 1\n", "r.yaml:2:1: while parsing a flow mapping"),
        ("a: x\ny: \x07\n", "r.yaml:2:4: the character '\\x07' is not allowed"),
    ],
    ids=lambda text: text[:20],
)
def test_refused_with_place_and_reason(text: str, expected: str) -> None:
    assert refused(text).startswith(expected)


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!!python/object/new:os.system", "!<tag:yaml.org,2002:python/object/apply:os.system>"]
)
def test_tags_run_nothing(tag: str, tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    text = f"{tag} ['touch {sentinel}']"
    assert "are not read" in refused(f"a: {text}\n")
    document = parse("a: 1\n", "r.yaml")
    document.change(f"a={text}", 0)
    assert "are not read" in document.problems[0].message
    assert not sentinel.exists()


def test_merge_keys_are_plain_keys() -> None:
    assert parse("a:\n  <<: {b: 1}\n", "r.yaml").values == {"a": {"<<": {"b": 1}}}


def test_a_key_is_a_word() -> None:
    document = parse("? [a, b]\n: 1\nc: 2\n", "r.yaml")
    assert [str(problem) for problem in document.problems] == ["r.yaml:1:3: a key is a single word"]
    assert document.values == {"c": 2}


def test_empty_text_has_no_values() -> None:
    assert parse("", "r.yaml").values == parse("# only a comment\n", "r.yaml").values == {}
    assert parse("", "r.yaml").where(("data",)).text == "r.yaml:1:1"


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(b"a: 1\n" * 60_000)  # 300 KB
    with pytest.raises(ValueError, match="larger than 64 KB"):
        read_text(file)
    file.write_bytes(b"#" * MAX_BYTES)
    assert len(read_text(file)) == MAX_BYTES
    file.write_bytes("a: é".encode("latin-1"))
    with pytest.raises(ValueError, match=r"not UTF-8 text \(byte 3\)"):
        read_text(file)
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert parse(read_text(file), "r.yaml").values == {"a": 1, "b": 2}


def changed(text: str, *words: str) -> Document:
    document = parse(text, "r.yaml")
    for number, word in enumerate(words):
        document.change(word, number)
    return document


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a.b=1e-3", 0.001),
        ("a.b = 3", 3),
        ("a.b=", None),
        ("a.b=no", "no"),
        ("a.b=what: that #1", "what: that #1"),  # plain text stands as it is, also where YAML has signs for it
        ("a.b=x=y", "x=y"),
        ("a.b=1\nc: 2", "1\nc: 2"),
        ("a.b=--- x", "--- x"),
        ("a.b='1'", "1"),
        ('a.b="#"', "#"),
        ("a.b=[1, [x]]", (1, ("x",))),
        ("a.b={c: 1}", {"c": 1}),
    ],
)
def test_changes_are_values_as_in_a_file(word: str, expected: Any) -> None:
    document = changed("a: {b: old}\n", word)
    assert document.problems == []
    assert document.values == {"a": {"b": expected}}
    assert document.where(("a", "b")).text.startswith("command line, `a.b")
    assert document.where(("a",)).text == "r.yaml:1:1"


def test_a_change_below_a_short_form_keeps_the_name() -> None:
    assert changed("a: {schedule: cosine}\n", "a.schedule.final=0.1").values == {"a": {"schedule": {"name": "cosine", "final": 0.1}}}


def test_a_change_forgets_the_places_of_what_it_replaces() -> None:
    document = changed("a:\n  b: [1, 2]\n", "a.b=[3]")
    assert document.where(("a", "b", 0)).text == "command line, `a.b=[3]`"


@pytest.mark.parametrize("word", ["a", "=1", ".=1", "a..b=1", ".a=1", ""])
def test_words_that_are_no_changes(word: str) -> None:
    (problem,) = changed("a: 1\n", word).problems
    assert str(problem) == f"command line, `{word}`: expected key=value, such as train.epochs=3"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a={", "expected the node content"),
        ("a=[" + "[" * 10_000, "nested deeper"),
        ("a=*x", "anchors"),
        ("a={b: 1, b: 2}", "stands twice"),
    ],
)
def test_broken_changes_change_nothing(word: str, expected: str) -> None:
    document = changed("a: 1\n", word)
    assert document.values == {"a": 1}
    (problem,) = document.problems
    assert expected in problem.message
    assert len(str(problem)) < 300


def test_places_sort_files_by_number_before_the_command_line() -> None:
    places = [
        Place(COMMAND_LINE, 1, "b"),
        Place(COMMAND_LINE, 0, "z"),
        Place(10, 1, "r:10:1"),
        Place(9, 2, "r:9:2"),
        Place(9, 10, "r:9:10"),
    ]
    assert [place.text for place in sorted(places)] == ["r:9:2", "r:9:10", "r:10:1", "z", "b"]


def test_messages_cannot_command_the_terminal() -> None:
    text = str(Problem(Place(1, 1, "r.yaml:1:1"), "unknown key `\x1b[2J\u202e\n`"))
    assert text == "r.yaml:1:1: unknown key `\\x1b[2J\\u202e\\n`"


def test_shown_is_short_and_in_the_words_of_a_recipe() -> None:
    assert [shown(found) for found in (True, None, "x", (1, "a"), {"a": 1})] == ["true", "null", '"x"', '[1, "a"]', '{"a": 1}']
    assert len(shown("x" * 10_000)) == 80


def test_dump_is_read_back() -> None:
    words = [
        "no",
        "1e3",
        "1e-3",
        "08",
        "1:30",
        "2021-01-01",
        "",
        "null",
        "~",
        "true",
        "a: b",
        "#",
        " x ",
        "é😀",
        "a\nb",
        "0x10",
        "=",
        "<<",
        "*a",
        "!b",
        "\0",
        "\u202e",
        "x" * 300,
    ]
    values: dict[str, Any] = {
        "words": tuple(words),
        "numbers": (1e-5, 1e22, 1.0, 3, -0.1),
        "rest": (None, True, {}, ()),
        **{word: word for word in words},
    }
    assert (
        parse(dump({key: list(inner) if isinstance(inner, tuple) else inner for key, inner in values.items()}), "r.yaml").values == values
    )
