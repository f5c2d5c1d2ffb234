"""A release as a part of a Git repository from which a controller in the cluster deploys."""

from __future__ import annotations

from tabular.deploy.onprem.export.gitops.argocd import argocd
from tabular.deploy.onprem.export.gitops.flux import flux

__all__ = ["argocd", "flux"]
