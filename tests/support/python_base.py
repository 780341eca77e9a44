"""A base image with a Python and little else, since a base of hundreds of megabytes takes half a minute to push.

Owns the cut: the interpreter, its standard library, the shared libraries that these load, and a few programs.
"""

from __future__ import annotations

import io
import os
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import docker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["context", "python_base"]

_DOCKERFILE = """\
ARG BASE_IMAGE=python:3.12-slim
FROM ${BASE_IMAGE} AS whole
LABEL made-for=%(name)s
COPY cut.py /cut.py
RUN python3 /cut.py /cut
FROM scratch
LABEL made-for=%(name)s
ENV PATH=/usr/local/bin:/usr/bin:/bin
COPY --from=whole /cut /
"""

_CUT = """\
import ctypes, http.server, json, os, pathlib, random, shutil, subprocess, sys, sysconfig

root = pathlib.Path(sys.argv[1])
LEFT_OUT = ("test", "tests", "*-packages", "idlelib", "tkinter", "ensurepip", "config-*", "lib2to3", "pydoc_data")

def place(path):
    target = root / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target

root.mkdir()
for entry in pathlib.Path("/").iterdir():
    if entry.is_symlink():
        place(entry).symlink_to(os.readlink(entry))
        place(entry).resolve().mkdir(parents=True, exist_ok=True)
for name in ("python3", "env", "sh", "sleep", "cat", "chown"):
    found = shutil.which(name)
    shutil.copy(os.path.realpath(found), place(os.path.realpath(os.path.dirname(found))) / name)
library = sysconfig.get_path("stdlib")
shutil.copytree(library, place(library), ignore=shutil.ignore_patterns(*LEFT_OUT))
loaded = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line and "lib-dynload" not in line}
for real in map(pathlib.Path, loaded):
    for name in real.parent.iterdir():
        if name.resolve() == real:
            shutil.copy(real, place(name))
loader = pathlib.Path("/lib64")
if loader.is_dir():
    shutil.copytree(loader.resolve(), place(loader.resolve()), dirs_exist_ok=True)
for name in ("/etc/passwd", "/etc/ld.so.cache"):
    shutil.copy(name, place(name))
place("/tmp").mkdir(mode=0o1777)
"""


@contextmanager
def python_base(name: str) -> Iterator[str]:
    """Make the image out of ``BASE_IMAGE``, yield its name, and at the end remove it with all that came of it.

    :param name: of the image, without a tag; also its label, which images made on top of it inherit
    """
    client = docker.from_env()
    base = {"BASE_IMAGE": os.environ["BASE_IMAGE"]} if "BASE_IMAGE" in os.environ else {}
    files = {"Dockerfile": _DOCKERFILE % {"name": name}, "cut.py": _CUT}
    steps = list(
        client.api.build(
            fileobj=context(files), custom_context=True, tag=name, buildargs=base, rm=True, forcerm=True, decode=True
        )
    )
    try:
        assert not [step["error"] for step in steps if "error" in step], steps[-5:]
        yield name
    finally:
        for image in client.api.images(filters={"label": f"made-for={name}"}, quiet=True):
            client.api.remove_image(image, force=True)
        client.close()


def context(files: Mapping[str, str]) -> io.BytesIO:
    """Return a build context; a file whose first line names an interpreter is executable."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755 if text.startswith("#!") else 0o644
            tar.addfile(member, io.BytesIO(content))
    buffer.seek(0)
    return buffer
