"""The parts that AWS is divided into: accounts, names and prices of one mean nothing in another.

Source: AWS General Reference, "Amazon Resource Names", on partitions. boto3 knows them too, but
compiling needs no boto3. Templates themselves say ``AWS::Partition`` and ``AWS::URLSuffix``.
"""

from __future__ import annotations

from tabular.errors import UnsupportedError

PUBLIC, CHINA, GOVERNMENT = "aws", "aws-cn", "aws-us-gov"
_STARTS = {"cn-": CHINA, "us-gov-": GOVERNMENT}
# The secret regions of the United States, those of its partners, the European Sovereign Cloud.
_OTHERS = ("us-iso", "eu-iso", "eusc-")
_PRICES = {
    CHINA: "AWS in China has prices of its own, in yuan, and this release has none of them",
    GOVERNMENT: "AWS GovCloud has prices of its own, and this release has none of them",
}


def partition(region: str) -> str:
    """The part of AWS that a region belongs to, as ARNs name it.

    Raises:
        UnsupportedError: one that nothing here was made for.
    """
    if region.startswith(_OTHERS):
        raise UnsupportedError(
            f"{region} is in a part of AWS whose names of services this release does not know",
            where="spec.region",
            hint="a region of aws, aws-cn or aws-us-gov, such as eu-west-1",
            code="refused.partition",
        )
    return next((found for start, found in _STARTS.items() if region.startswith(start)), PUBLIC)


def without_prices(region: str) -> str | None:
    """Why no price of a region can be known; None where one may be."""
    return _PRICES.get(partition(region))
