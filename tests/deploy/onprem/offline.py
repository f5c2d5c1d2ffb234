"""The provider as another process makes it to compile, for which no cluster is asked."""

from __future__ import annotations

from pathlib import Path

from tabular.deploy.onprem.provider import OnPremKubernetesProvider
from tabular.deploy.provider import Provider, ProviderOptions


class Offline:
    """Compiles; no kubeconfig is looked for."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def provider(self) -> Provider:
        return OnPremKubernetesProvider(ProviderOptions())
