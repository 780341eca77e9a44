"""The images that a Dockerfile names, and how they are pinned."""

from __future__ import annotations

import pytest

from sagemaker_byoc.dockerfile import named_images, pinned, unread_images


def names(text: str, target: str | None = None, **build_args: str) -> list[str]:
    """List the images that the wanted stage needs."""
    return [image.name for image in named_images(text, build_args, target) if image.needed]


FOUND = {
    "one": ("FROM python:3.12\n", ["python:3.12"]),
    "lower case, without a last line end": ("from python", ["python"]),
    "platform and stage name": ("FROM --platform=$BUILDPLATFORM python:3.12 AS build", ["python:3.12"]),
    "quotes": ('FROM "python:3.12"', ["python:3.12"]),
    "scratch": ("FROM scratch", []),
    "an ARG's default": ("ARG TAG=3.12\nFROM python:${TAG}", ["python:3.12"]),
    "an ARG of an ARG, with quotes": ("ARG V=3\nARG BASE='python' TAG=\"$V-slim\"\nFROM $BASE:$TAG", ["python:3-slim"]),
    "an ARG without value": ("ARG SUFFIX\nFROM python:3${SUFFIX}", ["python:3"]),
    "a name that only ARG could give": ("ARG BASE\nFROM ${BASE}", []),
    "a default in place": ("FROM python:${TAG:-3.11}", ["python:3.11"]),
    "an alternative in place": ("ARG GPU=1\nFROM torch${GPU:+-cuda}", ["torch-cuda"]),
    "what only the builder knows": ("FROM base-${TARGETARCH}", []),
    "an ARG after FROM": ("FROM python\nARG TAG=1\nFROM debian:$TAG", ["debian:"]),
    "a continued line": ("FROM \\\n  # why this one\n\n  python:3.12 \\\n  AS build\n", ["python:3.12"]),
    "another escape": ("# syntax=docker/dockerfile:1\n# escape=`\nFROM `\n python", ["python"]),
    "comments": ("# FROM perl\n  # FROM ruby\nFROM python\n", ["python"]),
    "Windows line ends": ("FROM python \\\r\n AS a\r\nRUN x\r\n", ["python"]),
    "stages": ("FROM golang AS build\nFROM build AS test\nFROM debian\nCOPY --from=Build /a /b", ["golang", "debian"]),
    "stages by number": ("FROM golang\nFROM debian\nCOPY --chown=1 --from=0 /a /b", ["golang", "debian"]),
    "the latest stage of a name": ("FROM a AS x\nFROM b AS x\nFROM x", ["b"]),
    "COPY from an image": ("FROM debian\nCOPY --from=nginx:1 /etc /etc", ["debian", "nginx:1"]),
    "a mount": ("FROM debian\nRUN --mount=type=bind,from=busybox:1,target=/b /b/ls", ["debian", "busybox:1"]),
    "a stage that nothing needs": ("FROM ruby AS docs\nFROM debian", ["debian"]),
    "a here-document": ("FROM debian\nRUN <<EOF cat\nFROM table\nEOF\nCOPY --from=nginx a b", ["debian", "nginx"]),
    "two here-documents": ("FROM a\nCOPY <<-'X' <<Y /\nFROM b\nX\nFROM c\nY\nCOPY --from=d e f", ["a", "d"]),
    "what only looks like one": ("FROM a\nRUN echo $((1<<2)) <<<word\nCOPY --from=b c d", ["a", "b"]),
    "a name that goes on": ("FROM py\\\n:3\\  \n-slim AS a\nCOPY --from=ng\\\ninx a b", ["py:3-slim", "nginx"]),
    "a byte order mark": ("\ufeffFROM python\n", ["python"]),
    "a byte order mark before a directive": ("\ufeff# escape=`\nFROM `\n python", ["python"]),
    "a cut value": ("ARG V=3.12\nFROM python:${V%.*}\n", []),
    "a value of a cut one": ("ARG V=3.12\nARG MAJOR=${V%.*}\nFROM python:$MAJOR\n", []),
    "a stage on a cut one": ("ARG V=3\nFROM python:${V/3/4} AS a\nFROM a\nFROM debian\nCOPY --from=a x y", ["debian"]),
    "nothing": ("", []),
}


@pytest.mark.parametrize("case", FOUND)
def test_the_images_are_found(case: str) -> None:
    """They are read as the builder reads them."""
    text, expected = FOUND[case]
    assert names(text) == expected


UNREAD = {
    "a cut value": ("ARG V=3\nFROM python:${V%.*} \\\n  AS a\n", ["FROM python:${V%.*} AS a"]),
    "what only the builder knows": ("FROM base-${TARGETARCH}\n", ["FROM base-${TARGETARCH}"]),
    "a line of another form": ("FROM python AS\n", ["FROM python AS"]),
    "a stage that nothing needs": ("FROM a:${V/1/2}\nFROM debian\n", []),
    "what can be read": ("ARG V=3\nFROM python:${V} AS a\nFROM a\nFROM scratch\n", []),
}


@pytest.mark.parametrize("case", UNREAD)
def test_lines_that_cannot_be_read_are_listed(case: str) -> None:
    """They are not asked about, so somebody has to be told."""
    text, expected = UNREAD[case]
    assert unread_images(text, {}) == expected


def test_a_name_that_goes_on_is_replaced_as_a_whole() -> None:
    """A byte order mark stays before it."""
    text = "\ufeffFROM --platform=x python\\\n:3 AS a\nRUN x\n"
    expected = "\ufeffFROM --platform=x python:3@sha256:1 AS a\nRUN x\n"
    assert pinned(text, {}, {"python:3": "python:3@sha256:1"}) == expected


def test_a_build_argument_wins_over_the_default() -> None:
    """Only where an ARG declares it."""
    text = "ARG BASE=python\nFROM ${BASE}\n"
    assert names(text, BASE="debian:12", OTHER="x") == ["debian:12"]
    assert names("FROM ${BASE:-python}", BASE="debian:12") == ["python"]


@pytest.mark.parametrize(
    ("target", "expected"), [("build", ["golang"]), ("0", ["golang"]), (None, ["debian"]), ("none", ["debian"])]
)
def test_a_target_needs_only_its_own_images(target: str | None, expected: list[str]) -> None:
    """Also one that is given as a number; one that does not exist is for the builder to refuse."""
    assert names("FROM golang AS Build\nFROM debian\n", target) == expected


def test_an_image_of_an_earlier_stage_is_listed_though_it_is_not_needed() -> None:
    """The classic builder builds that stage all the same, and must be let into its registry."""
    images = named_images("FROM ruby AS docs\nFROM debian AS last\nFROM perl\n", {}, "last")
    assert [(image.name, image.needed) for image in images] == [("ruby", False), ("debian", True)]


def test_only_the_names_are_replaced() -> None:
    """Everything else stays where it was, so that line numbers in messages are right."""
    text = "ARG TAG=3.12\nFROM --platform=linux/amd64 \\\n  python:${TAG} AS base # x\n"
    assert pinned(text, {}, {"python:3.12": "python:3.12@sha256:1"}) == text
    text = "ARG T=3\nFROM --platform=x \\\n  p:${T} AS a\nFROM p:3\nCOPY --from=a . .\nCOPY --from=q:1 a b\n"
    expected = (
        "ARG T=3\nFROM --platform=x \\\n  p:3@sha256:1 AS a\nFROM p:3@sha256:1\n"
        "COPY --from=a . .\nCOPY --from=q:1@sha256:2 a b\n"
    )
    assert pinned(text, {}, {"p:3": "p:3@sha256:1", "q:1": "q:1@sha256:2"}) == expected
