"""Docker's ignore rules, case by case as its documentation and its pattern matcher have them."""

from __future__ import annotations

import pytest

from sagemaker_byoc.dockerignore import Dockerignore
from sagemaker_byoc.errors import BuildContextError

LEFT_OUT = [
    ("*.md", "README.md"),
    ("*/temp*", "somedir/temporary.txt"),
    ("*/*/temp*", "somedir/subdir/temporary.txt"),
    ("temp?", "tempa"),
    ("**/*.go", "main.go"),
    ("**/*.go", "a/b/c/main.go"),
    ("**/.git", "sub/.git/config"),
    ("/build", "build/output"),
    ("./build/", "build/output"),
    ("build//x/../y", "build/y"),
    ("docs", "docs/index.md"),
    ("docs/**", "docs/index.md"),
    ("a/**/z", "a/z"),
    ("a/**/z", "a/b/c/z"),
    ("**", "any/thing"),
    ("**cache", "a/pip-cache"),
    ("[a-c]at", "bat"),
    ("[^a-c]at", "rat"),
    (r"a\*b", "a*b"),
    ("a+b(1).txt", "a+b(1).txt"),
    ("  padded  ", "padded"),
    ("\ufeffwith-mark", "with-mark"),
    ("*\n!keep/me\nkeep/me", "keep/me"),
]

KEPT = [
    ("*.md", "docs/README.md"),
    ("*/temp*", "temporary.txt"),
    ("temp?", "temp"),
    ("temp?", "temp/a"),
    ("docs/**", "docs"),
    ("a/**/z", "az"),
    ("[^a-c]at", "bat"),
    (r"a\*b", "axb"),
    ("a.b", "axb"),
    ("# comment", "# comment"),
    ("", "anything"),
    ("*.md\n!README.md", "README.md"),
    ("*\n!src", "src/main.py"),
    ("docs\n!docs/keep.md", "docs/keep.md"),
    ("*\n! spaced", "spaced"),
]


@pytest.mark.parametrize(("text", "path"), LEFT_OUT)
def test_docker_leaves_it_out(text: str, path: str) -> None:
    """What Docker's rules exclude is not part of the context."""
    assert Dockerignore(text).ignores(path)


@pytest.mark.parametrize(("text", "path"), KEPT)
def test_docker_keeps_it(text: str, path: str) -> None:
    """What Docker's rules let through, or bring back, is part of the context."""
    assert not Dockerignore(text).ignores(path)


@pytest.mark.parametrize("line", ["!", "! ", "[a-z"])
def test_a_line_that_is_no_pattern_is_named_by_its_number(line: str) -> None:
    """The message says which line of the file to repair."""
    with pytest.raises(BuildContextError, match="line 2"):
        Dockerignore(f"fine\n{line}\n")
