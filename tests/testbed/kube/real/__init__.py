"""A node whose pods really run: kubelet, containerd and runc, as root, in namespaces of their own.

`machine` is what tests use. Everything of the node, the control plane too, runs as the children of
one process in namespaces for processes, mounts and network, so that all of it is gone with that
process: containers, mounts, interfaces and firewall rules. Pods reach each other and Services by
name, and nothing outside.
"""
