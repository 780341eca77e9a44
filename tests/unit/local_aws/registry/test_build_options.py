"""The label that tells with which options an image was built."""

from __future__ import annotations

import pytest

from local_aws.registry.build_options import build_label, is_of_other_options


@pytest.mark.parametrize(
    ("built_with", "looked_at_with", "is_other"),
    [([], [], False), (["--pull"], ["--pull"], False), ([], ["--pull"], True), (["--pull"], [], True)],
)
def test_only_an_image_of_the_same_options_is_taken(
    built_with: list[str], looked_at_with: list[str], is_other: bool
) -> None:
    """No options are options, too."""
    name, _, value = build_label(built_with).partition("=")

    assert is_of_other_options({name: value}, looked_at_with) is is_other


def test_an_image_that_was_built_elsewhere_is_taken() -> None:
    """Nothing is known of its options, and they were somebody's own."""
    assert not is_of_other_options({"maintainer": "me"}, ["--pull"])


def test_the_label_does_not_tell_the_options() -> None:
    """A proxy's password may be among them, and an image is for others to read."""
    assert "secret" not in build_label(["--build-arg", "PROXY=http://me:secret@proxy"])
