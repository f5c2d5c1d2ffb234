"""How to make the secret that an export refers to: commands, and a file to fill in.

Words for people, and not a script: who makes a secret should see what it is, and may have a vault
that does it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tabular.deploy.onprem.names import INSTANCE, tls_secret_name
from tabular.deploy.onprem.secrets.certificates import names_of
from tabular.deploy.onprem.secrets.secret_keys import Needed

from .release import Release

EXAMPLE, CERTIFICATES = "secrets.env.example", "certificates.sh"

# The authority's key goes along, as the engine has it there: a deploy of ours can then renew it.
_SCRIPT = """\
#!/bin/sh
# Makes the certificate with which the pods speak to each other, valid for a year.
# Options go to `kubectl create secret`. To renew: delete the secret, run this again, and restart
# the pods.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -new -x509 -key ca.key -days 3650 -subj "/CN={name} pods' authority" -out ca.crt
openssl ecparam -name prime256v1 -genkey -noout -out tls.key
openssl req -new -key tls.key -subj "/CN={name} pods" -out tls.csr
cat > names <<'END'
basicConstraints=critical,CA:false
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=IP:127.0.0.1,\\
{names}
END
openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 \\
  -extfile names -out tls.crt 2>said || {{ cat said >&2; exit 1; }}
kubectl create secret generic {secret} --namespace {namespace} --type=kubernetes.io/tls \\
  --from-file=ca.crt --from-file=tls.crt --from-file=tls.key --from-file=ca.key "$@"
"""


def create(release: Release, *options: str) -> str:
    """The command that makes the secret, and generates what can be.

    A shell passes on as empty what a program gives that is not there: so that one is asked first.
    """
    head = [
        "openssl version >/dev/null && kubectl create secret generic",
        release.secret,
        "--namespace",
        release.namespace,
    ]
    literals = [f"  --from-literal={one.key}={_shell(one)}" for one in release.needed]
    return " \\\n".join([" ".join([*head, *options]), *literals])


def commands(release: Release) -> str:
    """Make the namespace and the secret; an error where they are there already, nothing changes."""
    return "\n".join(
        [
            f"kubectl create namespace {release.namespace}",
            create(release),
            f"kubectl label secret {release.secret} --namespace {release.namespace} "
            f"{INSTANCE}={release.name}",
        ]
    )


def section(release: Release) -> str:
    """What a README says of the secret."""
    rest = certificate(release, f"sh {CERTIFICATES}") + others(release)
    if release.by_operator:
        return by_operator(release) + rest
    return (
        f"No secret is in these files. Everything refers to the secret `{release.secret}`,\n"
        "which you make once and which no later apply changes:\n\n"
        f"{indented(commands(release))}{given(release)}"
        f"\n`{EXAMPLE}` has the same keys to fill in, for `--from-env-file`. Keep a copy\n"
        "of `secret-key` where your backups are: without it they cannot be used.\n"
        f"{rest}"
    )


def by_operator(release: Release) -> str:
    """The same where an operator makes it."""
    return (
        f"No secret is in these files. The secret `{release.secret}` is made by the External\n"
        "Secrets operator, from the entry that its object names; the entry has the properties\n"
        f"{', '.join(f'`{one.key}`' for one in release.needed)}.\n"
    )


def certificate(release: Release, command: str) -> str:
    """The paragraph of a README on the certificate of the pods, "" where somebody else makes it."""
    if not release.needs_certificate:
        return ""
    return (
        f"\nThe pods speak TLS with each other; the secret `{tls_secret_name(release.name)}` has\n"
        "their certificate. It is valid for a year, and `cert-manager` in\n"
        f"`spec.onprem.operators` would renew it by itself:\n\n{indented(command)}"
    )


def helpers(release: Release) -> dict[str, bytes]:
    """What lies beside a README to make the secrets with."""
    found = {} if release.by_operator else {EXAMPLE: example(release)}
    if release.needs_certificate:
        found[CERTIFICATES] = _script(release)
    return found


def _script(release: Release) -> bytes:
    names = names_of(release.objects, release.namespace)
    text = _SCRIPT.format(
        name=release.name,
        namespace=release.namespace,
        secret=tls_secret_name(release.name),
        names=",\\\n".join(f"DNS:{one}" for one in names),
    )
    return text.encode()


def example(release: Release) -> bytes:
    """The file to fill in."""
    lines = [
        "# Fill in a copy, and:",
        f"#   kubectl create secret generic {release.secret} --namespace {release.namespace} \\",
        "#     --from-env-file=secrets.env",
        "# The copy belongs into no repository.",
        *(line for one in release.needed for line in _lines(one)),
    ]
    return ("\n".join(lines) + "\n").encode()


def variable(one: Needed) -> str:
    """Name of the variable of a shell that a given value is taken from."""
    return one.key.upper().replace("-", "_").replace(".", "_")


def indented(text: str) -> str:
    """A block of code in Markdown."""
    return "".join(f"    {line}\n" for line in text.splitlines())


def given(release: Release) -> str:
    """The sentence of a README on what cannot be generated."""
    said = [f"`{variable(one)}`" for one in release.needed if not one.generated]
    return f"\nSet first what is yours to say: {', '.join(said)}.\n" if said else ""


def others(release: Release) -> str:
    """The paragraph of a README on further secrets."""
    if not release.others:
        return ""
    lines = "".join(
        f"- `{name}`{f' with {keys}' if (keys := ', '.join(f'`{key}`' for key in found)) else ''}\n"
        for name, found in release.others.items()
    )
    return f"\nThese are yours, and must be there too:\n\n{lines}"


def _shell(one: Needed) -> str:
    value = f"$({_openssl(one)})" if one.generated else f"${{{variable(one)}:?}}"
    return f'"{value}"'


def _openssl(one: Needed) -> str:
    return f"openssl rand -hex {one.length // 2}"


def _lines(one: Needed) -> Iterator[str]:
    yield f"# {_openssl(one)}" if one.generated else "# yours"
    yield f"{one.key}="
