"""The provider as another process makes it to compile, for which AWS is not asked."""

from __future__ import annotations

from pathlib import Path

from tabular.deploy.aws.provider import AWSProvider
from tabular.deploy.provider import Provider, ProviderOptions


class Offline:
    """Compiles; boto3 is not even imported."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def provider(self) -> Provider:
        return AWSProvider(ProviderOptions())
