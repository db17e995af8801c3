"""The template language: from one line of text to a list of arguments."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memori.neuro.command.fields import TemplateError
from memori.neuro.command.template import parse

texts = st.text(st.characters(exclude_characters="\0")).filter(lambda text: text[:1] != "-")


@given(texts)
def test_any_text_is_one_argument(text: str) -> None:
    """Blanks, quotes, braces, semicolons and line breaks in a value split and expand nothing."""
    assert ["tool", text, "end"] == parse("tool {value} end").fill({"value": text})


@given(texts)
def test_any_text_is_one_argument_inside_another(text: str) -> None:
    """The same holds where the field is only a part of its argument."""
    assert ["tool", f"--in={text}"] == parse("tool --in={value}").fill({"value": text})


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1))
def test_quoted_words_are_split_as_a_shell_would(words: list[str]) -> None:
    """What shlex quotes, braces doubled, comes back word for word."""
    line = "tool " + " ".join(shlex.quote(word) for word in words)
    template = parse(line.replace("{", "{{").replace("}", "}}"))
    assert shlex.split(line) == template.fill({})


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("t {a}", {"a": 1}, ["t", "1"]),
        ("t {a}", {"a": 1e-05}, ["t", "1e-05"]),
        ("t {a}", {"a": -0.5}, ["t", "-0.5"]),
        ("t {a}", {"a": "-5"}, ["t", "-5"]),
        ("t {a}", {"a": ["x y", 2]}, ["t", "x y", "2"]),
        ("t {a}", {"a": []}, ["t"]),
        ("t -i{a}", {"a": ["x", "y"]}, ["t", "-ix", "-iy"]),
        ("t {a:x}", {"a": [4, 2, 1]}, ["t", "4x2x1"]),
        ("t -c '[{a:,},1e-6]'", {"a": [4, 2]}, ["t", "-c", "[4,2,1e-6]"]),
        ("t {a.stem}_m{a.suffix}", {"a": "/d/x.nii.gz"}, ["t", "x_m.nii.gz"]),
        ("t {{a}} b}}c", {}, ["t", "{a}", "b}c"]),
        ("t 'a b' \"c d\" e\\ f ''", {}, ["t", "a b", "c d", "e f", ""]),
        ("t -m MI[{a},1,32]", {"a": "f.nii"}, ["t", "-m", "MI[f.nii,1,32]"]),
        ("t {a}[0..3]", {"a": "e+orig"}, ["t", "e+orig[0..3]"]),
        ("t -expr 'a*step(b-{k})'", {"k": 3}, ["t", "-expr", "a*step(b-3)"]),
        ("t \\\n  -x\n  {a}", {"a": 1}, ["t", "-x", "1"]),
        ("t [-m {a}]", {"a": "mask"}, ["t", "-m", "mask"]),
        ("t [-m {a}]", {"a": None}, ["t"]),
        ("t [-m {a}]", {"a": False}, ["t"]),
        ("t [-m {a}]", {"a": 0}, ["t", "-m", "0"]),
        ("t [-m {a}]", {"a": []}, ["t"]),
        ("t [-v]", {"v": True}, ["t", "-v"]),
        ("t [-v]", {"v": False}, ["t"]),
        ("t [--no-clean]", {"no_clean": True}, ["t", "--no-clean"]),
        ("t [-v {verbose}]", {"verbose": True}, ["t", "-v"]),
        ("t [-r {a} {b}]", {"a": 1, "b": None}, ["t"]),
        ("t [{extra}]", {"extra": "x"}, ["t", "x"]),
        ("t [-m 'MI[{a},{b}]']", {"a": 1, "b": 2}, ["t", "-m", "MI[1,2]"]),
        ("t {a: str}", {"a": "-anything"}, ["t", "-anything"]),
    ],
)
def test_values_become_arguments(
    template: str, values: dict[str, object], expected: list[str]
) -> None:
    """Each word of the language, by example."""
    assert expected == parse(template).fill(values)


@pytest.mark.parametrize(
    ("text", "default", "kind"),
    [
        ("{a=0.5}", 0.5, None),
        ("{a = nearest}", "nearest", None),
        ("{a: float = 1}", 1, "float"),
        ("{a: str = 5}", "5", "str"),
        ("{a='x } y'}", "x } y", None),
        ("{a=(1, 2)}", [1, 2], None),
        ("{a=None}", None, None),
    ],
)
def test_defaults_are_read_as_python_reads_them(text: str, default: object, kind: object) -> None:
    """A default is a Python literal, or else text."""
    field = parse(f"t {text}").fields["a"]
    assert (default, kind) == (field.default, field.kind)


@pytest.mark.parametrize(
    "line",
    [
        "t a | grep b", "t a > out.txt", "t a >out.txt", "t a 2>&1", "t < in", "t a && u b", "t; u",
        "t a;", "t a &", "t $HOME/x", "t ${FSLDIR}/x", 't "$HOME/x"', "t $(date)", "t `date`",
    ],
)  # fmt: skip
def test_what_asks_for_a_shell_is_refused(line: str) -> None:
    """There is no shell, and the author of such a line expects one."""
    with pytest.raises(TemplateError, match="memori starts none"):
        parse(line)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("t 'a | b' '$HOME' \"x > y\"", ["t", "a | b", "$HOME", "x > y"]),
        ("t a[0..$] -x+1 a>b", ["t", "a[0..$]", "-x+1", "a>b"]),
    ],
)
def test_what_is_quoted_or_means_nothing_to_a_shell_passes(line: str, expected: list[str]) -> None:
    """AFNI's selectors and expressions in quotes reach the tool as they are."""
    assert expected == parse(line).fill({})


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("", "begins with the name of a program"),
        ("[-v] t", "begins with the name of a program"),
        ("t {a", "no '}' closes"),
        ("t a}", "single '}'"),
        ("t 'a", "not closed"),
        ("t [-m {a}", "no ']' closes"),
        ("t [-m {a} [-n {b}]]", "two groups"),
        ("t [{a},{b},1]", "does not begin with an option"),
        ("t [1000x500,1e-6]", "does not begin with an option"),
        ("t [-a {x}]y", "follows the ']'"),
        ("t [-4D]", "makes no Python name"),
        ("t {in}", "word of Python"),
        ("t {a: flot}", "no kind"),
        ("t {a.stm}", "stem, suffix, name"),
        ("t {a: int = x}", "expected int"),
        ("t {a=1} {a=2}", "two defaults"),
        ("t {a: int} {a: str}", "two kinds"),
        ("t {a b}", "no field"),
    ],
)
def test_faults_of_a_template_are_named(line: str, match: str) -> None:
    """Each fault is found when the stage is made, with the remedy."""
    with pytest.raises(TemplateError, match=match):
        parse(line)


@pytest.mark.parametrize(
    ("line", "value", "match"),
    [
        ("t {a}", None, "optional group"),
        ("t {a}", True, "optional group"),
        ("t {a}", {"x": 1}, "type dict"),
        ("t {a}", [[1]], "type list"),
        ("t {a}", "x\0y", "no argument"),
        ("t {a}", "-rf", "begins with '-'"),
        ("t {a}", ["ok", "--help"], "begins with '-'"),
        ("t [-m {a}]", "-rf", "begins with '-'"),
        ("t {a: int}", 1.5, "expected int"),
        ("t {a: float}", "x", "expected float"),
        ("t {a: Path}", "/no/such/file", "no such file"),
    ],
)
def test_values_that_cannot_stand_are_refused(line: str, value: object, match: str) -> None:
    """A value that makes no argument, or would be taken for an option, is an error."""
    with pytest.raises(TemplateError, match=match):
        parse(line).fill({"a": value})


def test_a_kind_holds_for_each_place_of_a_field() -> None:
    """Text that is told once to be no path is none anywhere in the command."""
    line = "t {a: str} --x={a} [-y {a}] {b} {b: list}"
    filled = parse(line).fill({"a": "n", "b": ["n"]}, lambda text: f"/here/{text}")
    assert ["t", "n", "--x=n", "-y", "n", "/here/n", "/here/n"] == filled
