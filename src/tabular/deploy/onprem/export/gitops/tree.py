"""The repository, as far as both controllers read it: where things lie, and what is the same.

Every deployment has folders of its own below its environment, so that many share one repository,
and all of one version share the chart. Values are the overlay as a whole: what an environment is
like is read in one file, and no base of another one changes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tabular.deploy.export.naming import shortened
from tabular.deploy.export.yaml_text import as_yaml
from tabular.deploy.onprem.export import secrets
from tabular.deploy.onprem.export.release import VALUES, Release, chart_files
from tabular.deploy.onprem.names import CHART_NAME
from tabular.deploy.stack import Stack
from tabular.errors import UsageError

BASE = "apps/base"
CHART_PATH = f"{BASE}/{CHART_NAME}"
SEALED, CERTIFICATE = "sealed-secret.yaml", "sealed-certificate.yaml"
# Flux labels what it applies with the name of the Kustomization, and a label has 63 characters.
_LONGEST = 63 - len("-infrastructure")
_PRINTED = ("--dry-run=client", "--output=yaml")
_SEAL = "kubeseal --format yaml >"
# A file that goes missing from the repository must not take the data with it.
_KEEP = {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}


@dataclass(frozen=True)
class Tree:
    """The part of the repository that one release is.

    Attributes:
        release: what is deployed.
        repository: URL of the repository; None where it is the controller's own.
        branch: of it.
    """

    release: Release
    repository: str | None
    branch: str

    @classmethod
    def of(cls, stack: Stack) -> Tree:
        """The tree of a stack, whose spec says where the repository is."""
        onprem: Mapping[str, Any] = stack.spec.get("spec", {}).get("onprem") or {}
        said = onprem.get("gitops") or {}
        return cls(Release.of(stack), said.get("repository"), said.get("branch", "main"))

    @property
    def own(self) -> str:
        """The folders of this release below those of all."""
        return f"{self.release.environment}/{self.release.name}"

    @property
    def cluster(self) -> str:
        """What the controller itself is told."""
        return f"clusters/{self.own}"

    @property
    def infrastructure(self) -> str:
        """What must be there before the release is."""
        return f"infrastructure/{self.own}"

    @property
    def overlay(self) -> str:
        """What this release says."""
        return f"apps/overlays/{self.own}"

    @property
    def id(self) -> str:
        """Name of the controller's objects; those of all releases are in one namespace."""
        return shortened(f"{self.release.name}-{self.release.environment}", _LONGEST)

    @property
    def scaled(self) -> tuple[tuple[str, str], ...]:
        """Kind and name of what an autoscaler gives its number of pods."""
        targets = (
            one["spec"]["scaleTargetRef"]
            for one in self.release.objects
            if one["kind"] == "HorizontalPodAutoscaler"
        )
        return tuple(sorted((one["kind"], one["name"]) for one in targets))

    def needs_repository(self, flavour: str) -> str:
        """The repository's URL.

        Raises:
            UsageError: the spec does not say it.
        """
        if self.repository is None:
            raise UsageError(
                f"{flavour} has to be told which repository it deploys from",
                where="spec.onprem.gitops.repository",
                hint="gitops: {repository: https://git.example.com/team/deploy.git}",
            )
        return self.repository

    def common(self) -> dict[str, bytes]:
        """What both controllers take as it is."""
        namespace = self.release.namespace_object
        namespace["metadata"]["annotations"] = dict(_KEEP)
        return {
            **{
                f"{self.cluster}/{name}": content
                for name, content in secrets.helpers(self.release).items()
                if name == secrets.CERTIFICATES
            },
            f"{self.infrastructure}/namespace.yaml": as_yaml(namespace),
            **chart_files(CHART_PATH),
            f"{self.overlay}/{VALUES}": as_yaml(self.release.values),
        }

    def secrets(self) -> str:
        """What the README says of the secret."""
        release = self.release
        certificate = secrets.certificate(release, self._sealing_certificate())
        rest = certificate + secrets.others(release)
        if release.by_operator:
            return secrets.by_operator(release) + rest
        make = secrets.create(release, *_PRINTED)
        command = f"{make} \\\n  | {_SEAL} {self.infrastructure}/{SEALED}"
        return _SEALED.format(
            secret=release.secret,
            command=secrets.indented(command),
            given=secrets.given(release),
            rest=rest,
        )

    def _sealing_certificate(self) -> str:
        script = " ".join(["sh", f"{self.cluster}/{secrets.CERTIFICATES}", *_PRINTED])
        return f"{script} \\\n  | {_SEAL} {self.infrastructure}/{CERTIFICATE}"


_SEALED = """\
No secret is in these files. Everything refers to the secret `{secret}`. With Sealed Secrets in the
cluster, make it once, sealed for that cluster, and commit it; an export never touches it:

{command}{given}
Keep a copy of `secret-key` where your backups are: without it they cannot be used. The External
Secrets operator can make it from a vault instead: `externalSecrets` in
`spec.overrides.onprem.values`, and export again.
{rest}"""


def readme(tree: Tree, flavour: str, start: str) -> bytes:
    """The README of a release, in its folder of the cluster."""
    text = _README.format(
        id=tree.release.stack.target.id,
        flavour=flavour,
        cluster=tree.cluster,
        infrastructure=tree.infrastructure,
        chart=CHART_PATH,
        overlay=tree.overlay,
        values=VALUES,
        secrets=tree.secrets(),
        start=start,
        word={"Argo CD": "argocd", "Flux": "flux"}[flavour],
    )
    return text.encode()


_README = """\
# {id} by {flavour}

| | |
|---|---|
| `{cluster}/` | what {flavour} is told |
| `{infrastructure}/` | the namespace, and what else must be there first |
| `{chart}/` | the chart, in the one version that is deployed |
| `{overlay}/{values}` | what this deployment says |

## Secrets

{secrets}
## Start

{start}
## Change, and find drift

Change the spec, export again, and commit what differs: {flavour} brings the cluster to what the
repository says, and puts back what somebody changed by hand. Whether the repository is what the
spec says, CI asks with

    inferloop-tabular export SPEC.yaml --format gitops --flavour {word} --check .

which lists the files that differ and exits with 1 if there are any. Everything here is written by
the export, byte for byte the same each time, but what you put beside it is left alone.

Two deployments of different versions of `inferloop-tabular` in one repository would have to share
the chart: export them together, or keep them in repositories of their own.
"""
