"""AWS's price list at an address of its own, with prices that a test can tell from ours.

It speaks what botocore speaks with the real one; a client gets there by
``AWS_ENDPOINT_URL_PRICING``, whatever else it talks to.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Fifty US dollars for a core and an hour: no list that we ship comes near.
CORE, GB, SERVER, NODE = "50", "0.5", "0.25", "0.125"


@dataclass
class PriceList:
    """The running list.

    Attributes:
        url: where it answers.
        asked: service and filters of each question.
    """

    url: str
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """The variables with which any AWS client asks here for prices."""
        return {
            "AWS_ENDPOINT_URL_PRICING": self.url,
            "AWS_ACCESS_KEY_ID": "111122223333",
            "AWS_SECRET_ACCESS_KEY": "testbed-secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def _products(service: str, filters: Mapping[str, str]) -> Iterator[str]:
    """Usage types with their prices; none of what the list does not have."""
    named = filters.get("instanceType", "")
    offers = {
        "AmazonECS": {"EU-Fargate-vCPU-Hours:perCPU": CORE, "EU-Fargate-GB-Hours": GB},
        "AmazonRDS": {f"EU-InstanceUsage:{named}": SERVER, "EU-RDS:GP3-Storage": "0.2"},
        "AmazonElastiCache": {f"EU-NodeUsage:{named}": NODE},
        "AWSELB": {"EU-LoadBalancerUsage": "0.03", "EU-LCUUsage": "0.01"},
        "AmazonEC2": {"EU-NatGateway-Hours": "0.05", "EU-NatGateway-Bytes": "0.05"},
    }
    for usage, amount in offers.get(service, {}).items():
        yield json.dumps(
            {
                "product": {"sku": "S", "attributes": {"usagetype": usage}},
                "terms": {
                    "OnDemand": {
                        "S.T": {
                            "priceDimensions": {
                                "S.T.R": {"beginRange": "0", "pricePerUnit": {"USD": amount}}
                            }
                        }
                    }
                },
            }
        )


@contextlib.contextmanager
def price_list() -> Iterator[PriceList]:
    """Run it as long as the block does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            filters = {one["Field"]: one["Value"] for one in question["Filters"]}
            running.asked.append((question["ServiceCode"], filters))
            products = list(_products(question["ServiceCode"], filters))
            answer = json.dumps({"FormatVersion": "aws_v1", "PriceList": products}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = PriceList(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield running
        finally:
            server.shutdown()
