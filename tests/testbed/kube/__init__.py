"""A real Kubernetes for tests: a control plane built from Debian's source, with fake nodes.

Fixtures: `kube` (one server a test session, shared by its processes), `kube_namespace`. What the
nodes do with a pod is said in `nodes`, what becomes of a claim in `volumes`.
"""
