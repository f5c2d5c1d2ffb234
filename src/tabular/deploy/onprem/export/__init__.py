"""A release of the chart in the words of the tools that people already have."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tabular.deploy.stack import Stack

from .gitops import argocd, flux
from .helm import helm
from .k8s import k8s
from .terraform import terraform

FORMATS: Mapping[str, Callable[[Stack], Mapping[str, bytes]]] = {
    "terraform": terraform,
    "k8s": k8s,
    "helm": helm,
    "gitops/argocd": argocd,
    "gitops/flux": flux,
}
