"""What people should know of a configuration before they apply it: README.md beside it."""

from __future__ import annotations

from collections.abc import Iterator

from tabular.deploy.aws.account.stacks import stack_name
from tabular.deploy.aws.export.terraform.configuration import Configuration
from tabular.deploy.stack import Stack

HANDOVER = "handover.json"

_NEW = """\
    terraform init
    terraform plan
    terraform apply

It makes a deployment of its own, beside one that `inferloop-tabular deploy` made. To take over one
that runs, export it without naming a file: then `imports.tf` says what is there already.
"""
_ADOPTED = """\
`imports.tf` takes over what runs. First let Terraform have it:

    terraform init
    terraform plan     # everything is imported, and nothing is destroyed or replaced
    terraform apply

Then let CloudFormation go of it, or the next `inferloop-tabular deploy` or `destroy` would still
change it. `{handover}` is the stack's template with every resource retained:

    aws cloudformation update-termination-protection --region {region} \\
      --no-enable-termination-protection --stack-name {stack}
    aws cloudformation deploy --region {region} --stack-name {stack} \\
      --template-file {handover} --s3-bucket A_BUCKET_OF_YOURS --capabilities CAPABILITY_IAM
    aws cloudformation delete-stack --region {region} --stack-name {stack}

The plan may show changes in place of settings that Terraform alone knows and AWS does not tell:
how long a deleted key or secret can be had back (`deletion_window_in_days`,
`recovery_window_in_days`), the name of the last snapshot, how instances are refreshed, how long
Terraform waits. They change nothing at AWS. Whatever else it shows, look at before you apply.
"""
_SECRETS_NEW = """\
No secret is in these files, in a plan or in the state. Passwords and keys are made in Secrets
Manager by the apply that makes their secret, and handed to the database and the cache as write-only
arguments, which Terraform forgets. Programs read them from Secrets Manager with their own role.

Later plans and applies need `secretsmanager:GetSecretValue` on the secret of the database and of
the cache. After such a secret was changed, raise `secrets_version` to hand it on.
"""
_SECRETS_ADOPTED = """\
No secret is in these files, in a plan or in the state. The secrets that run keep their values:
Terraform knows the secrets but not what is in them, and leaves the passwords of the database and
the cache alone.
"""
_STATE = """\
The state does have what is no secret and still nobody else's business: names, addresses, policies
and the settings of the programs, in which secrets are named by their ARN. Keep it in an encrypted
backend; none is written here, since where is yours to say.
"""
_WITHOUT = {
    "AWS::SecretsManager::SecretTargetAttachment": "writes the address of the database into its "
    "secret; the programs read the password there and nothing else, so it is left out",
    "AWS::CloudWatch::Dashboard": "has tags, which the provider gives to no dashboard",
    "AWS::AutoScaling::AutoScalingGroup": "has CloudFormation wait for a signal of each instance; "
    "Terraform waits until as many are healthy as are desired, and a boot script's call of "
    "`cfn-signal` goes nowhere",
}


def readme(stack: Stack, made: Configuration) -> bytes:
    """The file."""
    name, region = stack_name(stack.target), stack.target.region
    start = _ADOPTED.format(handover=HANDOVER, stack=name, region=region) if stack.ids else _NEW
    secrets = _SECRETS_ADOPTED if stack.ids else _SECRETS_NEW
    parts = [
        f"# {stack.target.id} in Terraform\n",
        "Every resource of the CloudFormation stack, for the provider `hashicorp/aws`.\n",
        f"## Use\n\n{start}",
        f"## Secrets and the state\n\n{secrets}\n{_STATE}",
        "## What differs\n\n" + "".join(f"- {one}\n" for one in _differences(stack, made)),
    ]
    return "\n".join(parts).encode()


def _differences(stack: Stack, made: Configuration) -> Iterator[str]:
    yield "What holds data has `prevent_destroy`: take it away to have Terraform delete that."
    yield "Changes are not undone when one of them fails, as CloudFormation does; apply again."
    if stack.ids:
        for pieces in made.pieces.values():
            for piece in pieces:
                if piece.running is None:
                    yield f"`{piece.address}` has no id to import it by; a plan shows it as new."
    else:
        yield "Names that nobody has to give are made up by the provider, as they were by AWS."
    resources = stack.template["Resources"]
    for type_, words in _WITHOUT.items():
        found = sorted(name for name, one in resources.items() if one["Type"] == type_)
        if found:
            yield f"{', '.join(f'`{name}`' for name in found)} ({type_}) {words}."
