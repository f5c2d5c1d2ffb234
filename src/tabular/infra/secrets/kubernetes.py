"""``k8s:``: a Kubernetes secret, by the service account of the pod.

What a pod has mounted is read with ``file:``; this is for secrets that are not mounted, and for
those that must be read again without waiting for the kubelet.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path

from tabular.errors import ConfigError
from tabular.infra.secrets import read_secret_file
from tabular.infra.secrets.parts import malformed, silent
from tabular.infra.secrets.rest import get_json

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REFERENCE = re.compile(r"(?:([a-z0-9-]{1,63})/)?([a-z0-9.-]{1,253})/([A-Za-z0-9._-]{1,253})\Z")


def resolve(reference: str, environ: Mapping[str, str], account: Path = ACCOUNT) -> str:
    """The key of a secret: ``[NAMESPACE/]NAME/KEY``, in the pod's own namespace by default.

    Args:
        reference: without its scheme.
        environ: has the API server's place, as in every pod.
        account: the folder of the service account.

    Raises:
        ConfigError: not in a pod, no such secret or key, or no right to it.
        UnavailableError: the API server does not answer.
    """
    where = f"k8s:{reference}"
    form = _REFERENCE.match(reference)
    if form is None:
        raise malformed(where, "k8s:[NAMESPACE/]NAME/KEY")
    host = environ.get("KUBERNETES_SERVICE_HOST")
    if not host:
        raise ConfigError("this does not run in a pod of Kubernetes", where=where)
    namespace = form[1] or read_secret_file(account / "namespace", where=where)
    server = f"[{host}]" if ":" in host else host
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    found = get_json(
        f"https://{server}:{port}/api/v1/namespaces/{namespace}/secrets/{form[2]}",
        read_secret_file(account / "token", where=where),
        where,
        "the pod's service account (it needs `get` on this secret)",
        ca_file=str(account / "ca.crt"),
    )
    data = found.get("data") or {}
    if form[3] not in data:
        raise ConfigError(f"the secret has no key {form[3]!r}", where=where)
    try:
        return base64.b64decode(data[form[3]], validate=True).decode()
    except (TypeError, binascii.Error, UnicodeDecodeError) as error:
        raise silent(where, "the value is no text") from error
