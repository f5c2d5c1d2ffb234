"""The price book of AWS: from a resource of CloudFormation to what it costs a month.

Unit prices come from dated files that are shipped (`table`) or from AWS's own price list
(`live`). What no unit price is known of is unpriced, with the reason, and never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Self

from platformdirs import user_cache_path

from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.prices import alternatives as ways
from tabular.deploy.aws.prices import compute, data, network, operations
from tabular.deploy.aws.prices.bill import Bill, NoPriceError
from tabular.deploy.aws.prices.free import FREE
from tabular.deploy.aws.prices.live import REGION, LiveRates
from tabular.deploy.aws.prices.table import Rates, shipped
from tabular.deploy.aws.prices.usage import Usage
from tabular.deploy.cost import Alternative, LineItem, Unpriced
from tabular.deploy.stack import Resource, Stack

__all__ = ["PRICED", "AwsPrices", "Usage"]

PRICED: Mapping[str, Callable[[Resource, Bill], Iterable[LineItem]]] = {
    "AWS::AutoScaling::AutoScalingGroup": compute.auto_scaling_group,
    "AWS::Backup::BackupVault": data.backup_vault,
    "AWS::Batch::ComputeEnvironment": compute.compute_environment,
    "AWS::Budgets::Budget": operations.budget,
    "AWS::CertificateManager::Certificate": operations.certificate,
    "AWS::CloudWatch::Alarm": operations.alarm,
    "AWS::CloudWatch::CompositeAlarm": operations.composite_alarm,
    "AWS::CloudWatch::Dashboard": operations.dashboard,
    "AWS::EC2::EIP": network.address,
    "AWS::EC2::FlowLog": network.flow_log,
    "AWS::EC2::NatGateway": network.nat_gateway,
    "AWS::EC2::VPCEndpoint": network.endpoint,
    "AWS::EC2::Volume": compute.volume,
    "AWS::ECR::Repository": data.registry,
    "AWS::ECS::Cluster": compute.cluster,
    "AWS::ECS::Service": compute.service,
    "AWS::ElastiCache::ReplicationGroup": data.cache,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": network.load_balancer,
    "AWS::KMS::Key": operations.key,
    "AWS::Lambda::Function": compute.function,
    "AWS::Logs::LogGroup": data.log_group,
    "AWS::Logs::MetricFilter": operations.metric_filter,
    "AWS::RDS::DBInstance": data.database,
    "AWS::Route53::HealthCheck": network.health_check,
    "AWS::Route53::HostedZone": network.hosted_zone,
    "AWS::S3::Bucket": data.bucket,
    "AWS::SNS::Topic": operations.topic,
    "AWS::SQS::Queue": operations.queue,
    "AWS::SSM::Parameter": operations.parameter,
    "AWS::SecretsManager::Secret": operations.secret,
    "AWS::WAFv2::WebACL": network.web_acl,
}


class AwsPrices:
    """Prices of AWS.

    Args:
        rates: unit prices; the shipped ones if None.
        usage: what is assumed of the use of the deployment.
    """

    def __init__(self, rates: Rates | None = None, usage: Usage | None = None) -> None:
        self._rates = rates or shipped()
        self._usage = usage or Usage()

    @classmethod
    def live(cls, session: Session, folder: Path | None = None) -> Self:
        """Prices as AWS has them today, asked when they are needed.

        Args:
            session: the credentials to ask with.
            folder: where answers are remembered for some days; the cache of the user if None.
        """
        connect = partial(session.client, "pricing", REGION)
        return cls(LiveRates(connect, folder or user_cache_path("inferloop-tabular"), shipped()))

    def price(self, resource: Resource, stack: Stack) -> Iterable[LineItem] | Unpriced:
        """Line items of a resource; see `PriceBook.price`.

        Raises:
            TabularError: live prices are wanted and AWS does not give them.
        """
        if resource.type in FREE:
            return ()
        count = PRICED.get(resource.type)
        if count is None:
            return Unpriced(resource.id, f"there is no price of {resource.type}")
        region = stack.target.region or ""
        reason = self._rates.unknown(region)
        if reason is not None:
            return Unpriced(resource.id, reason)
        try:
            return tuple(count(resource, self._bill(stack, region)))
        except NoPriceError as error:
            return Unpriced(resource.id, str(error))

    def alternatives(self, resource: Resource, stack: Stack) -> tuple[Alternative, ...]:
        """What a machine or database would cost as spot or with a commitment of one year.

        Estimates, shown beside the price and never added to it; nothing where there is no price.
        """
        try:
            return tuple(ways.alternatives(resource, self._bill(stack, stack.target.region or "")))
        except NoPriceError:
            return ()

    def _bill(self, stack: Stack, region: str) -> Bill:
        return Bill(stack, region, self._rates, self._usage)
