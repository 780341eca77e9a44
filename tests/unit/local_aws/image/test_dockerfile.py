"""The syntax of Dockerfiles."""

from __future__ import annotations

import pytest

from local_aws.image.dockerfile import DockerfileError, expand, read_stages


def test_continued_lines_and_comments_make_one_instruction() -> None:
    """A backslash joins lines, also across a comment."""
    [stage] = read_stages("FROM a\nRUN one \\\n  # why\n  && two\n")

    assert [(item.name, item.text.split(), item.line) for item in stage.instructions] == [
        ("FROM", ["a"], 1),
        ("RUN", ["one", "&&", "two"], 2),
    ]


def test_the_last_stage_is_built_unless_another_is_named() -> None:
    """The wanted stage comes last, by name or number; each has the ARG lines before the first FROM."""
    text = "ARG BASE=x\nFROM --platform=linux/amd64 ${BASE} AS First\nENV A=1\nFROM y\nENV B=2\n"

    first, second = read_stages(text)

    assert (first.names, first.base) == (["0", "first"], "${BASE}")
    assert [item.text for item in second.instructions] == ["BASE=x", "y", "B=2"]
    assert read_stages(text, "FIRST") == read_stages(text, "0") == [first]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("RUN x", "no FROM"),
        ("FROM a b", "line 1 .*FROM a b; expected FROM image"),
        ("FROM a\nFETCH b", "line 2 .* unknown instruction FETCH"),
        ("FROM a\nRUN cat <<EOF", "line 2 .* here-documents"),
    ],
)
def test_a_wrong_dockerfile_is_refused_with_its_line(text: str, reason: str) -> None:
    """The message says where and what."""
    with pytest.raises(DockerfileError, match=reason):
        read_stages(text)


def test_an_unknown_target_names_the_stages_there_are() -> None:
    """A wrong ``--target`` is answered with the right ones."""
    with pytest.raises(DockerfileError, match=r"'third' .* \['first'\]"):
        read_stages("FROM a AS first", "third")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A-${A}", "1-1"),
        ("${B:-2}", "2"),
        ("${A:-2}", "1"),
        ("${A:+yes}${B:+no}", "yes"),
        (r"\$A", "$A"),
        ("$B", ""),
    ],
)
def test_variables_are_put_in(text: str, value: str) -> None:
    """All forms that Dockerfiles know."""
    assert expand(text, {"A": "1"}) == value
