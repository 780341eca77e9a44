"""Runs the local AWS from the command line until it is told to stop: ``python -m local_aws --help``."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from local_aws.assembly import Backing, LocalAws
from local_aws.backing import ENGINES, DockerSettings, EngineError, make_backing
from local_aws.reach import LOOPBACK, check_host_name, check_listen_address
from local_aws.sagemaker.fleet_maker import DEFAULT_STARTUP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local_aws.cloud import Cloud

_MEGABYTE = 1024 * 1024
_LEAST_MEGABYTES = 6
"""Source: Docker, "Resource constraints"."""

_DESCRIPTION = """\
An AWS on this machine that really runs SageMaker training and hosting containers.

Point any AWS client at it with AWS_ENDPOINT_URL and any keys, for example:

    export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
    aws sagemaker list-training-jobs --region us-east-1

It listens on loopback only, keeps its state in memory and ends its containers when it ends.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    if options.state_dir is not None:
        return _serve(options, options.state_dir, ended)
    with tempfile.TemporaryDirectory(prefix="local-aws-", ignore_cleanup_errors=True) as directory:
        return _serve(options, Path(directory), ended)


def _serve(options: argparse.Namespace, state_dir: Path, ended: threading.Event) -> int:
    def backing(cloud: Cloud) -> Backing:
        cache_dir = options.cache_dir or cloud.state_dir / "cache"
        memory_bytes = options.container_memory_mb and options.container_memory_mb * _MEGABYTE
        docker = DockerSettings(
            options.registry, options.docker_build_options, memory_bytes, options.registry_from_here
        )
        return make_backing(options.engine, cloud, cache_dir, docker)

    try:
        aws = LocalAws(
            backing,
            state_dir,
            port=options.port,
            listen=options.listen,
            host_names=options.host_names,
            region=options.region,
            stop_grace_seconds=options.stop_grace_seconds,
            startup_timeout_seconds=options.startup_timeout_seconds,
        )
    except (OSError, EngineError) as error:
        print(f"The local AWS cannot start: {error}", file=sys.stderr)
        return 1
    with aws:
        _announce(options, aws)
        ended.wait()
    return 0


def _announce(options: argparse.Namespace, aws: LocalAws) -> None:
    address = aws.cloud.endpoint_url
    print(f"local AWS ready at {address} (region {options.region}, engine {aws.engine_name})", flush=True)
    if options.ready_file is not None:
        # Renamed into place, so that whoever waits for the file never reads half of it.
        draft = options.ready_file.with_name(f"{options.ready_file.name}.draft")
        draft.write_text(json.dumps({"endpoint_url": address, "region": options.region}), encoding="utf-8")
        draft.replace(options.ready_file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local_aws", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=_port, default=4566, help="TCP port; 0 takes a free one (%(default)s)")
    _add_reach(parser)
    parser.add_argument("--region", default="us-east-1", help="region of every resource (%(default)s)")
    parser.add_argument("--state-dir", type=Path, help="directory for files of services; a temporary one by default")
    parser.add_argument(
        "--cache-dir",
        type=Path,
        help="directory for what is worth keeping between lives, such as images' Python environments",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="process",
        help="what runs containers (%(default)s); auto takes docker when an engine answers, and process otherwise",
    )
    parser.add_argument(
        "--registry",
        type=_address,
        default="127.0.0.1:5000",
        metavar="HOST:PORT",
        help="Docker registry from which the docker engine pulls (%(default)s)",
    )
    parser.add_argument(
        "--registry-from-here",
        type=_address,
        metavar="HOST:PORT",
        help="the same registry as the local AWS reaches it, when that is not as the engine does",
    )
    parser.add_argument(
        "--docker-build-options",
        type=shlex.split,
        default=[],
        metavar="OPTIONS",
        help="added to every docker build of CodeBuild, for example '--build-arg BASE_IMAGE=mirror/python:3.12'",
    )
    parser.add_argument(
        "--container-memory-mb",
        type=_megabytes,
        help="memory after which the kernel kills a container of the docker engine; all of the machine's by default",
    )
    parser.add_argument(
        "--stop-grace-seconds",
        type=_seconds,
        default=120.0,
        help="time between SIGTERM and SIGKILL when a training job is stopped (%(default)s, as on AWS)",
    )
    parser.add_argument(
        "--startup-timeout-seconds",
        type=_seconds,
        default=DEFAULT_STARTUP_SECONDS,
        help="time for a serving container to become healthy (%(default)s, as on AWS)",
    )
    parser.add_argument("--ready-file", type=Path, help="JSON file to write when requests are answered")
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="warning")
    return parser


def _add_reach(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        type=_checked(check_listen_address),
        default=LOOPBACK,
        metavar="ADDRESS",
        help="address to listen on; other than loopback only inside a container (%(default)s)",
    )
    parser.add_argument(
        "--host-name",
        type=_checked(check_host_name),
        action="append",
        default=[],
        dest="host_names",
        metavar="NAME",
        help="name to answer to besides localhost; containers reach it by the first one; repeatable",
    )


def _checked(check: Callable[[str], str]) -> Callable[[str], str]:
    """Let argparse show what a check says, which of a ValueError it does not."""

    def checked(text: str) -> str:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:
        message = f"{number} is no TCP port; give 0 to 65535"
        raise argparse.ArgumentTypeError(message)
    return number


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not (host and port.isdecimal()):
        message = f"{text!r} is no address of a registry; give host:port, for example 127.0.0.1:5000"
        raise argparse.ArgumentTypeError(message)
    return text


def _megabytes(text: str) -> int:
    number = int(text)
    if number < _LEAST_MEGABYTES:
        message = f"{number} MB is less than a container of Docker can have; give {_LEAST_MEGABYTES} or more"
        raise argparse.ArgumentTypeError(message)
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        message = f"{text} is no number of seconds; give 0 or more"
        raise argparse.ArgumentTypeError(message)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
