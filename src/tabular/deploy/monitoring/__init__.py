"""What a monitoring system is to be told, compiled from the spec: plain functions, same bytes.

promql      queries from metric, aggregation and labels
grafana     dashboards               alerts      rules of Prometheus
scrape      what Prometheus scrapes  collector   what an OpenTelemetry collector passes on
"""

from __future__ import annotations
