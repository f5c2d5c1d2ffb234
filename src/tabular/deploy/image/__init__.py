"""The platform's container image: the same for containers on one machine and for every cloud.

code        what goes in         staging     the build context, byte for byte the same
builder     podman or docker     publishing  getting it to where a cloud takes it from
"""
