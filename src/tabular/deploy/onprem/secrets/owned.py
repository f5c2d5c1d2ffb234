"""What a deployment owns by its stack: its Secrets, which are rendered nowhere, and what is."""

from __future__ import annotations

from collections.abc import Iterable

from tabular.deploy.onprem.names import secret_name, tls_secret_name
from tabular.deploy.onprem.rendered.objects import Object, resource_of
from tabular.deploy.stack import Resource

from . import certificates
from .secret_keys import needed_secrets


def index(objects: Iterable[Object], name: str) -> tuple[Resource, ...]:
    """All that a deployment owns by its stack: its Secrets, then what is rendered.

    Args:
        objects: as rendered.
        name: of the deployment.
    """
    rendered = tuple(objects)
    own = [secret_of(rendered, secret_name(name))]
    if certificates.is_wanted(name, rendered):
        own.append(certificate_of(name))
    return (*own, *(resource_of(one) for one in rendered))


def secret_of(objects: Iterable[Object], secret: str) -> Resource:
    """The Secret of a deployment, which is rendered nowhere, as a plan lists it."""
    keys = [one.key for one in needed_secrets(objects, secret)]
    return Resource(f"Secret/{secret}", "v1 Secret", {"keys": keys}, stateful=True)


def certificate_of(name: str) -> Resource:
    """The Secret with the certificate of TLS between pods; a new one does as well."""
    return Resource(f"Secret/{tls_secret_name(name)}", "v1 Secret", {"keys": ["tls.crt"]})
