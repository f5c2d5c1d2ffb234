"""The file that `init` writes: small, valid, and with the next steps as comments."""

from __future__ import annotations

from tabular.deploy.spec.model import API_VERSION

STARTER = f"""\
# A deployment of inferloop-tabular. Check it with `inferloop-tabular validate`, see what each
# value ends up as with `inferloop-tabular config explain`, every key in docs/spec.md.
apiVersion: {API_VERSION}
kind: Deployment
metadata:
  name: {{name}}            # unique within provider, region and environment
spec:
  # Where it goes. Left out here, so that `--provider` decides; without that it is standalone
  # (this machine). This release brings standalone, aws and onprem; gcp and azure are right here
  # too, but need a plug-in.
  # provider: standalone
  environment: development  # production turns guards on: backups, deletion protection, ...

  compute:
    instances: 1            # API instances
    workers: 1              # workers that run jobs
    # cpu: 2                # cores for each, also 500m
    # memory: 4Gi           # Ki, Mi, Gi, Ti count in 1024s; k, M, G, T in 1000s
    # min_instances: 1      # scale between the two
    # max_instances: 4
    gpu: none               # none, optional or required

  storage:
    type: object            # the provider's own object store
    # size: 100Gi
    # versioning: true

  database:
    # type: postgresql      # one machine uses SQLite if this is left out
    # version: "16"         # in quotes: 14.10 without them is the number 14.1
    # size: 20Gi
    ha: false               # survive the loss of one database server

  # cache:
  #   type: redis
  # queue:
  #   type: native

  monitoring:
    enabled: true
    retention: 30d          # y, w, d, h, m (minutes), s

  backup:
    enabled: false
    # schedule: "0 2 * * *"
    # retention: 30d

  # networking:
  #   domain: data.example.com   # without one the service stays internal

  # policy:
  #   waivers:
  #     - rule: public-without-tls
  #       reason: TLS ends at the load balancer of the network team
  #       expires: 2027-01-31
"""


def starter(name: str) -> str:
    """The starting file for a deployment of this name.

    Args:
        name: a legal deployment name; the caller checks the result by loading it.
    """
    return STARTER.replace("{name}", name)
