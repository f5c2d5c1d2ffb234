"""A release of the chart in the words of the tools that people already have."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tabular.deploy.onprem.export.gitops import argocd, flux
from tabular.deploy.onprem.export.helm import helm
from tabular.deploy.onprem.export.k8s import k8s
from tabular.deploy.onprem.export.terraform import terraform
from tabular.deploy.stack import Stack

FORMATS: Mapping[str, Callable[[Stack], Mapping[str, bytes]]] = {
    "terraform": terraform,
    "k8s": k8s,
    "helm": helm,
    "gitops/argocd": argocd,
    "gitops/flux": flux,
}
