"""A release as a part of a Git repository from which a controller in the cluster deploys."""

from __future__ import annotations

from .argocd import argocd
from .flux import flux

__all__ = ["argocd", "flux"]
