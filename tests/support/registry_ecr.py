"""An ECR that tells what is in a real registry.

ECR is the table of answers, whose images are those that the registry holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.docker_registry import ask
from tests.support.fake_aws import AwsSays
from tests.support.fake_build import FakeBuild

if TYPE_CHECKING:
    from tests.support.fake_aws import FakeAws

__all__ = ["RegistryBackedEcr"]


class RegistryBackedEcr(FakeBuild):
    """ECR whose images lie in a registry on loopback.

    :param address: of the registry
    :param password: which the registry takes
    """

    def __init__(self, aws: FakeAws, address: str, password: str = "") -> None:
        super().__init__(aws)
        self.address = address
        self.password = password
        self.registry_endpoint = f"http://{address}"

    def digest(self, name: str, tag: str) -> str | None:
        """Return what the registry itself says."""
        status, digest = ask(self.address, f"/v2/{name}/manifests/{tag}", "HEAD", self.password)
        return str(digest) if status == 200 else None

    def _describe_images(self, **request: Any) -> dict[str, Any]:
        name = request["repositoryName"]
        if "imageIds" not in request:
            _, listed = ask(self.address, f"/v2/{name}/tags/list", password=self.password)
            for tag in listed.get("tags") or []:
                self.take(tag)
            shown = super()._describe_images(**request)["imageDetails"]
            known = ((each, self.digest(name, each["imageTags"][0])) for each in shown)
            return {"imageDetails": [{**each, "imageDigest": digest} for each, digest in known if digest]}
        tag = request["imageIds"][0]["imageTag"]
        digest = self.digest(name, tag)
        if digest is None:
            raise AwsSays("ImageNotFoundException", f"The image with imageId {tag} does not exist")
        return {"imageDetails": [{"imageDigest": digest, "imageTags": [tag]}]}
