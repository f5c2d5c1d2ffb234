"""A deployment as a stack of Docker Swarm: what `docker stack deploy` takes, and a script for it.

Basic, and said to be: a swarm has no volumes that move, so what has data stays on one labelled
node; it publishes without TLS, so nothing is published unless somebody asks for it.
"""

from __future__ import annotations

from tabular.deploy.capability import FieldsError, require_choices, require_supported, without_noes
from tabular.deploy.export.naming import shortened
from tabular.deploy.export.portable import portable
from tabular.deploy.export.swarm.script import deploy_script, readme
from tabular.deploy.export.swarm.stack import DESCRIPTION, PUBLISH, STACK, publish, stack_file
from tabular.deploy.export.swarm.support import CAPABILITIES, CHOICES, NAME, in_part
from tabular.deploy.export.yaml_text import as_yaml
from tabular.deploy.spec import Deployment, asked, canonical
from tabular.deploy.stack import canonical_json
from tabular.deploy.standalone.compile import image_of, queue_settings
from tabular.deploy.standalone.compose import build_compose
from tabular.deploy.standalone.template import CACHE_MEMORY, Wanted
from tabular.deploy.target import Target
from tabular.errors import UnsupportedError
from tabular.version import __version__

# A name of a config has 64 characters, and ours adds what it is and a version.
_LONGEST = 40
DEFAULT_IMAGE = f"inferloop/tabular:{__version__}"
_WORDS = "Written by `inferloop-tabular export`; README.md says how to use it."


def swarm(deployment: Deployment) -> dict[str, bytes]:
    """The files.

    Raises:
        UnsupportedError: the spec asks for what a swarm does not give.
    """
    _require_supported(deployment)
    require_choices(NAME, deployment.spec, CHOICES)
    if deployment.spec.compute.workers < 1 or deployment.spec.compute.instances < 1:
        raise UnsupportedError(
            f"{NAME} runs one container of a kind at least",
            where="spec.compute",
            hint=f"to stop a deployment use `docker stack rm {stack_name(deployment)}`",
        )
    wanted = _wanted(deployment)
    containers = portable(build_compose(wanted, image_of(deployment) or DEFAULT_IMAGE))
    name = stack_name(deployment)
    description = canonical_json(canonical(deployment)) + b"\n"
    file = stack_file(name, containers, deployment.spec.compute, description)
    return {
        "README.md": readme(name, containers) + in_part(deployment).encode(),
        STACK: as_yaml(file, words=_WORDS),
        PUBLISH: as_yaml(publish(), words=_WORDS),
        DESCRIPTION: description,
        "deploy.sh": deploy_script(name, containers),
    }


def _require_supported(deployment: Deployment) -> None:
    try:
        require_supported(NAME, CAPABILITIES, without_noes(asked(deployment)))
    except FieldsError as error:  # whose hint is for a provider
        hint = "remove them, or deploy to Kubernetes: --provider onprem"
        raise FieldsError(error.message, hint=hint, provider=NAME, fields=error.fields) from None


def stack_name(deployment: Deployment) -> str:
    """Name of the stack: with it begin the names of everything in the swarm."""
    return shortened(f"{deployment.metadata.name}-{deployment.spec.environment}", _LONGEST)


def _wanted(deployment: Deployment) -> Wanted:
    spec = deployment.spec
    cache = spec.cache if spec.cache and spec.cache.type != "memory" else None
    return Wanted(
        target=Target(NAME, deployment.metadata.name, spec.environment),
        runtime="container",
        database="postgresql",
        cache=cache is not None,
        cache_memory=(cache.size if cache else None) or CACHE_MEMORY,
        settings=queue_settings(deployment),
        spec=canonical(deployment),
    )
