"""An app of the AWS CDK that synthesizes the same template.

It includes the template instead of rewriting it as constructs: what is deployed stays the same to
the property, and every resource can be got at and changed in code from there on.
"""

from __future__ import annotations

from tabular.deploy.aws.account.stacks import stack_name
from tabular.deploy.stack import Stack

_APP = '''"""The deployment {target} as an app of the AWS CDK.

    pip install -r requirements.txt
    cdk diff        # against what runs: no differences
    cdk deploy      # goes on with the stack that runs, from here on by the CDK
"""

import aws_cdk as cdk
from aws_cdk import cloudformation_include as include
from constructs import Construct


class TabularStack(cdk.Stack):
    """Everything of one deployment."""

    def __init__(self, scope: Construct, id: str, **rest) -> None:
        super().__init__(scope, id, **rest)
        # template.get_resource("Bucket") and so on give each resource, to change it here.
        self.template = include.CfnInclude(self, "Template", template_file="template.json")


app = cdk.App()
TabularStack(
    app,
    "{stack}",
    stack_name="{stack}",
    env=cdk.Environment(region="{region}"),
    synthesizer=cdk.LegacyStackSynthesizer(),
)
app.synth()
'''
_JSON = '{\n  "app": "python app.py",\n  "versionReporting": false\n}\n'
_REQUIREMENTS = "aws-cdk-lib>=2.150\nconstructs>=10\n"


def app(stack: Stack) -> dict[str, bytes]:
    """The app, what it needs, and the template."""
    name, target = stack_name(stack.target), stack.target
    text = _APP.format(target=target.id, stack=name, region=target.region)
    return {
        "app.py": text.encode(),
        "cdk.json": _JSON.encode(),
        "requirements.txt": _REQUIREMENTS.encode(),
        "template.json": stack.to_bytes(),
    }
