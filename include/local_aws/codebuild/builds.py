"""The API of builds.

Owns all builds, their numbers and the answers of their operations. Must not know how a build runs.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from local_aws.codebuild.project import (
    Projects,
    check_artifacts,
    check_logs,
    check_source,
    check_variables,
    invalid_input,
    next_token,
    read_token,
    refuse_members,
)
from local_aws.codebuild.record import BuildRecord
from local_aws.codebuild.run import BuildRun, Workplace
from local_aws.errors import AwsError
from local_aws.process.register import ProcessRegister
from local_aws.sagemaker.log_stream import LogStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.cloud import Cloud
    from local_aws.codebuild.docker_tool import DockerTool
    from local_aws.service import Operation, Request, Response

__all__ = ["Builds"]

_PAGE = 100
_TOKEN_SECONDS = 300.0
"""How long an idempotency token counts (API reference, StartBuild)."""
_END_SECONDS = 10.0
"""How long a stopped build may take to upload the end of its log and to remove its files."""
_MISSING_HERE = {
    "secondarySourcesOverride": "put everything into one source",
    "secondarySourcesVersionOverride": "put everything into one source",
    "secondaryArtifactsOverride": "upload files with commands of the buildspec",
    "sourceVersion": "give the object its own key",
    "debugSessionEnabled": "leave it out",
}
_BIN = Path(__file__).with_name("bin")
_PASSED_ON = ("HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "XDG_CONFIG_HOME")
_PASSED_ON_PREFIXES = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@dataclass
class _Build:
    record: BuildRecord
    run: BuildRun
    request: Request
    thread: threading.Thread | None = None
    started: float = field(default_factory=time.monotonic)


class Builds:
    """All builds.

    :param projects: what they are builds of
    :param docker: what ``docker`` is in builds
    """

    def __init__(self, cloud: Cloud, projects: Projects, docker: DockerTool) -> None:
        self._cloud = cloud
        self._projects = projects
        self._docker = docker
        self._directory = cloud.state_dir / "builds"
        self._register = ProcessRegister(self._directory / "running")
        self._builds: dict[str, _Build] = {}
        self._lock = threading.Lock()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name."""
        return {
            "StartBuild": self._start,
            "BatchGetBuilds": self._batch_get,
            "ListBuildsForProject": self._list,
            "StopBuild": self._stop,
        }

    def reap(self) -> None:
        """Kill what an earlier life of this state directory left running."""
        self._register.reap()

    def close(self) -> None:
        """End every running build, and wait until its files are removed."""
        with self._lock:
            builds = list(self._builds.values())
        for build in builds:
            build.run.stop()
        for build in builds:
            if build.thread is not None:
                build.thread.join(_END_SECONDS)

    def _start(self, request: Request) -> Response:
        project = self._projects.get(request["projectName"].rpartition("/")[2])
        source = _source(project, request)
        check_source(source)
        _check_overrides(request)
        with self._lock:
            known = self._known(request)
            if known is not None:
                return {"build": known.record.describe()}
            build = self._make(project, request, source)
            self._builds[build.record.build_id] = build
            build.thread = build.run.start()
        return {"build": build.record.describe()}

    def _known(self, request: Request) -> _Build | None:
        """Return the build that an equal request with the same token started a moment ago."""
        token = request.get("idempotencyToken")
        for build in self._builds.values():
            is_recent = time.monotonic() - build.started < _TOKEN_SECONDS
            if token and is_recent and build.request.get("idempotencyToken") == token:
                if build.request != request:
                    raise invalid_input("Idempotency token was already used with other parameters")
                return build
        return None

    def _make(self, project: dict[str, Any], request: Request, source: dict[str, Any]) -> _Build:
        identity = str(uuid.uuid4())
        name = project["name"]
        timeout = request.get("timeoutInMinutesOverride", project["timeoutInMinutes"])
        variables = _joined(
            project["environment"].get("environmentVariables", []), request.get("environmentVariablesOverride", [])
        )
        log_names = _log_names(request.get("logsConfigOverride", project.get("logsConfig", {})), name, identity)
        record = BuildRecord(
            {
                "id": f"{name}:{identity}",
                "arn": self._cloud.arn("codebuild", f"build/{name}:{identity}"),
                "buildNumber": 1
                + sum(build.record.describe()["projectName"] == name for build in self._builds.values()),
                "projectName": name,
                "source": source,
                "artifacts": {"location": ""},
                "cache": project["cache"],
                "environment": {**_environment(project, request), "environmentVariables": variables},
                "serviceRole": request.get("serviceRoleOverride", project["serviceRole"]),
                "logs": self._logs(*log_names),
                "timeoutInMinutes": timeout,
                "queuedTimeoutInMinutes": project["queuedTimeoutInMinutes"],
                "initiator": "local",
                "encryptionKey": project["encryptionKey"],
            }
        )
        own = {variable["name"]: variable["value"] for variable in variables}
        place = Workplace(
            self._cloud,
            self._register,
            LogStream(self._cloud, *log_names),
            self._directory / identity,
            self._variables(record.describe(), self._directory / identity),
            own,
            source,
            timeout,
        )
        return _Build(record, BuildRun(record, place), request)

    def _logs(self, group: str, stream: str) -> dict[str, Any]:
        region = self._cloud.region
        # The console wants its own escapes in the fragment: `$25` for the `%` of a doubly quoted name.
        place = "/log-events/".join(quote(quote(part, safe="")).replace("%", "$") for part in (group, stream))
        link = f"https://console.aws.amazon.com/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{place}"
        return {
            "groupName": group,
            "streamName": stream,
            "deepLink": link,
            "cloudWatchLogsArn": self._cloud.arn("logs", f"log-group:{group}:log-stream:{stream}"),
            "cloudWatchLogs": {"status": "ENABLED"},
        }

    def _variables(self, build: Mapping[str, Any], directory: Path) -> dict[str, str]:
        """Return what every command of a build has, besides its own variables and those of the buildspec."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
        }
        image = build["environment"]["image"]
        return {
            **kept,
            **self._cloud.credentials(),
            "PATH": os.pathsep.join([str(_BIN), os.environ.get("PATH", os.defpath)]),
            # The build talks to the local AWS itself, whatever proxy its downloads need.
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "AWS_REGION": self._cloud.region,
            "AWS_DEFAULT_REGION": self._cloud.region,
            "CODEBUILD_BUILD_ID": build["id"],
            "CODEBUILD_BUILD_ARN": build["arn"],
            "CODEBUILD_BUILD_NUMBER": str(build["buildNumber"]),
            "CODEBUILD_BUILD_IMAGE": image,
            "CODEBUILD_INITIATOR": build["initiator"],
            "CODEBUILD_KMS_KEY_ID": build["encryptionKey"],
            "CODEBUILD_LOG_PATH": build["logs"]["streamName"],
            "CODEBUILD_PROJECT_ARN": self._cloud.arn("codebuild", f"project/{build['projectName']}"),
            "CODEBUILD_START_TIME": str(round(time.time() * 1000)),
            "CODEBUILD_CI": "true",
            "LOCAL_AWS_PYTHON": sys.executable,
            "LOCAL_AWS_SOURCE": str(_BIN.parents[2]),
            "LOCAL_AWS_DOCKER": self._docker.module,
            "LOCAL_AWS_LOGINS": str(directory / "logins"),
            "DOCKER_CONFIG": str(directory / "docker"),
            **self._docker.variables,
        }

    def _batch_get(self, request: Request) -> Response:
        wanted = [name.rpartition("build/")[2] for name in request["ids"]]
        with self._lock:
            found = [self._builds[name].record for name in wanted if name in self._builds]
            missing = [name for name in wanted if name not in self._builds]
        return {"builds": [record.describe() for record in found], "buildsNotFound": missing}

    def _list(self, request: Request) -> Response:
        name = self._projects.get(request["projectName"].rpartition("/")[2])["name"]
        with self._lock:
            ids = [key for key, build in self._builds.items() if build.record.describe()["projectName"] == name]
        if request.get("sortOrder", "DESCENDING") == "DESCENDING":
            ids.reverse()
        page = ids[read_token(request) :]
        return {"ids": page[:_PAGE], "nextToken": next_token(request, page, _PAGE)}

    def _stop(self, request: Request) -> Response:
        identity = request["id"].rpartition("build/")[2]
        with self._lock:
            build = self._builds.get(identity)
        if build is None:
            message = f"Build cannot be found: {self._cloud.arn('codebuild', f'build/{identity}')}"
            raise AwsError("ResourceNotFoundException", message)
        build.run.stop()
        return {"build": build.record.describe()}


def _source(project: Mapping[str, Any], request: Request) -> dict[str, Any]:
    source = dict(project["source"])
    for member, override in (
        ("type", "sourceTypeOverride"),
        ("location", "sourceLocationOverride"),
        ("buildspec", "buildspecOverride"),
    ):
        if override in request:
            source[member] = request[override]
    return source


def _check_overrides(request: Request) -> None:
    check_variables(request.get("environmentVariablesOverride", []))
    check_artifacts(request.get("artifactsOverride", {"type": "NO_ARTIFACTS"}))
    check_logs(request.get("logsConfigOverride", {}))
    refuse_members(request, _MISSING_HERE)


def _environment(project: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Return the environment as the build shows it; commands run on this machine whatever it says."""
    environment = dict(project["environment"])
    for member in ("image", "type", "computeType", "privilegedMode"):
        override = f"{'environmentType' if member == 'type' else member}Override"
        if override in request:
            environment[member] = request[override]
    return environment


def _log_names(logs: Mapping[str, Any], project_name: str, identity: str) -> tuple[str, str]:
    """Return log group and stream; a stream name from the request is the first part of it, as on AWS.

    :param logs: ``LogsConfig``
    """
    cloud_watch = logs.get("cloudWatchLogs", {})
    group = cloud_watch.get("groupName", f"/aws/codebuild/{project_name}")
    return group, "/".join([*filter(None, [cloud_watch.get("streamName")]), identity])


def _joined(*variables: Any) -> list[dict[str, str]]:
    """Return the variables of several lists; a later one of the same name wins."""
    return list({variable["name"]: variable for group in variables for variable in group}.values())
