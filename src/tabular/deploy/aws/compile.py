"""From the portable spec to AWS: what is asked, what is given, what is refused.

A plain function of the spec and the region; it looks neither at an account nor at the clock.
Whether a region has a zone, an instance type or a version is asked by the engine's preview.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from tabular.deploy.aws.infrastructure.security.secrets import existing_parts
from tabular.deploy.aws.infrastructure.template import build
from tabular.deploy.aws.infrastructure.wanted import PRODUCTION, Capacity, Kind, Wanted
from tabular.deploy.aws.support import CAPABILITIES, CHOICES, KINDS
from tabular.deploy.aws.words import overrides, sizes
from tabular.deploy.aws.words.partitions import partition
from tabular.deploy.aws.words.tags import require_labels
from tabular.deploy.capability import require_choices, require_supported, without_noes
from tabular.deploy.spec import Deployment, asked
from tabular.deploy.stack import Stack
from tabular.deploy.target import Target
from tabular.errors import UnsupportedError, UsageError
from tabular.version import __version__

PROVIDER = "aws"
REPOSITORY = "inferloop-tabular"
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]")


def target_of(deployment: Deployment, region: str | None) -> Target:
    """Where the deployment goes.

    Args:
        deployment: the spec.
        region: what stands for a region that the spec does not name.

    Raises:
        UsageError: neither names one, or it is none.
        UnsupportedError: it is in a part of AWS that nothing here was made for.
    """
    found = deployment.spec.region or region
    if found is None:
        raise UsageError(
            "no region is named",
            where="spec.region",
            hint="`region: eu-west-1` in the file (portable: under spec), --region eu-west-1, "
            "AWS_REGION, or a region in your profile",
        )
    if not _REGION.fullmatch(found):
        raise UsageError(
            f"{found!r} is no region of AWS", where="spec.region", hint="such as eu-west-1"
        )
    partition(found)
    spec = deployment.spec
    return Target(PROVIDER, deployment.metadata.name, spec.environment, found, spec.account)


def compile_stack(deployment: Deployment, region: str | None) -> Stack:
    """Compile a spec for one region.

    Raises:
        UnsupportedError: it asks for what AWS, or this provider, does not give.
        UsageError: sizes that are not sold, or an override that nothing reads.
    """
    require_supported(PROVIDER, CAPABILITIES, without_noes(asked(deployment)))
    require_choices(PROVIDER, deployment.spec, CHOICES)
    _require_secrets(deployment)
    require_labels(deployment.metadata.labels)
    overrides.check(deployment.spec.overrides.get(PROVIDER, {}))
    _require_use(deployment)
    return build(wanted(deployment, target_of(deployment, region)))


def _require_secrets(deployment: Deployment) -> None:
    """Only what the service's role can read there may be referred to."""
    url = deployment.spec.database.url
    if url is not None:
        existing_parts(url, "spec.database.url")


def _require_use(deployment: Deployment) -> None:
    """An option of ours that nothing of the spec makes use of is a mistake."""
    spec = deployment.spec
    uses = {
        "hosted_zone_id": (spec.networking.domain is not None, "networking.domain"),
        "replica_bucket": (spec.storage.cross_region, "storage.cross_region: true"),
        "replica_key": (spec.storage.cross_region, "storage.cross_region: true"),
    }
    for name in sorted(spec.overrides.get(PROVIDER, {}).keys() & uses.keys()):
        used, by = uses[name]
        if not used:
            raise UsageError(
                f"{name} is said, and nothing makes use of it",
                where=f"{overrides.WHERE}.{name}",
                hint=f"set {by}, or leave it out",
            )


def wanted(deployment: Deployment, target: Target) -> Wanted:
    """The spec with everything filled in that it leaves open."""
    spec = deployment.spec
    compute = spec.compute
    kind: Kind = KINDS[compute.type or ("ec2" if compute.instance_type else "ecs-fargate")]
    if compute.gpu == "required" and kind != "ec2":
        raise UnsupportedError(
            f"{kind} has no graphics processors", where="spec.compute.gpu", hint="use type: ec2"
        )
    instance = _instance_type(deployment, kind)
    api = _capacity(deployment, kind)
    workers = max(1, compute.workers) if kind == "batch" else compute.workers
    return Wanted(
        deployment=deployment,
        target=target,
        kind=kind,
        api=api,
        workers=replace(
            api,
            desired=workers,
            minimum=workers,
            maximum=max(workers, compute.max_instances or workers),
        ),
        instance_type=instance,
        zones=_zones(deployment),
        image=_image(deployment),
        overrides=dict(spec.overrides.get(PROVIDER, {})),
    )


def _capacity(deployment: Deployment, kind: Kind) -> Capacity:
    compute = deployment.spec.compute
    floor = 2 if deployment.spec.ha else 1
    low = max(floor, compute.min_instances or compute.instances)
    high = max(low, compute.max_instances or compute.instances)
    desired = min(high, max(low, compute.instances))
    cpu, memory = compute.cpu, compute.memory
    if kind == "ecs-fargate":
        units, mib = sizes.fargate(cpu, memory)
    else:
        units = sizes.DEFAULT_CPU if cpu is None else int(cpu * sizes.CORE)
        mib = sizes.DEFAULT_MEMORY if memory is None else -(-memory // sizes.MIB)
    return Capacity(desired, low, high, units, mib)


def _instance_type(deployment: Deployment, kind: Kind) -> str:
    compute = deployment.spec.compute
    named = compute.instance_type
    if named is None:
        if kind not in ("ec2", "batch"):
            return ""
        return sizes.instance_type(compute.cpu, compute.memory, gpu=compute.gpu == "required")
    if kind not in ("ec2", "batch"):
        raise UnsupportedError(
            f"{kind} has no instances to choose",
            where="spec.compute.instance_type",
            hint="say cpu and memory, or type: ec2",
        )
    if not sizes.INSTANCE_TYPE.fullmatch(named):
        raise UsageError(
            f"{named!r} is no instance type",
            where="spec.compute.instance_type",
            hint="such as m6i.xlarge",
        )
    if sizes.ARM.match(named):
        raise UnsupportedError(
            f"{named} has ARM processors, and the image is made for x86-64",
            where="spec.compute.instance_type",
            hint="take the same size of m6i, c6i or r6i",
        )
    return named


def _zones(deployment: Deployment) -> int:
    networking = deployment.spec.networking
    if networking.network is not None:
        return len(networking.subnets)
    said = deployment.spec.compute.availability_zones
    if said == 1:
        raise UnsupportedError(
            "a load balancer and a database of AWS need subnets in two zones",
            where="spec.compute.availability_zones",
            hint="2 or more; one NAT gateway serves them all unless spec.ha is set",
        )
    return said or (3 if deployment.spec.environment == PRODUCTION else 2)


def _image(deployment: Deployment) -> str | dict[str, Any]:
    """What containers run: the image that is named, or ours from the account's own registry."""
    image = deployment.spec.image
    if image is None:
        host = "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}"
        return {"Fn::Sub": f"{host}/{REPOSITORY}:{__version__}"}
    if image.digest:
        return f"{image.repository}@{image.digest}"
    return f"{image.repository}:{image.tag or __version__}"
