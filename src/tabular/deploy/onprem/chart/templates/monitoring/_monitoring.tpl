{{/* "true" where Prometheus and Grafana of the release's own run. */}}
{{- define "tabular.monitoring.own" -}}
{{- if and .Values.monitoring.enabled (not .Values.monitoring.operator) -}}true{{- end -}}
{{- end -}}

{{/* "true" where somebody is to be told of alarms by an Alertmanager of the release's own. */}}
{{- define "tabular.monitoring.tells" -}}
{{- if and (include "tabular.monitoring.own" .) .Values.monitoring.alertmanager.webhooks -}}true{{- end -}}
{{- end -}}

{{/* The alert rules, as a map with `groups`. */}}
{{- define "tabular.monitoring.rules" -}}
{{- if .Values.monitoring.rules.groups -}}
{{- toYaml .Values.monitoring.rules -}}
{{- else -}}
{{- .Files.Get "files/monitoring/alerts.yml" -}}
{{- end -}}
{{- end -}}

{{/* The dashboards by name, as JSON: those of the chart under those of the values. */}}
{{- define "tabular.monitoring.dashboards" -}}
{{- $found := dict -}}
{{- range $path, $content := .Files.Glob "files/monitoring/*.json" -}}
{{- $_ := set $found (base $path | trimSuffix ".json") ($content | toString) -}}
{{- end -}}
{{- range $name, $text := .Values.monitoring.dashboards -}}
{{- $_ := set $found $name $text -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/*
What is scraped. Addresses come from DNS and not from the API server, so Prometheus needs no
rights in the cluster. The service's own labels win, as in the rules of other providers.
*/}}
{{- define "tabular.monitoring.scrape" -}}
{{- $fullname := include "tabular.fullname" . -}}
{{- $labels := list
  (dict "target_label" "environment" "replacement" .Values.environment)
  (dict "target_label" "provider" "replacement" "onprem")
  (dict "target_label" "region" "replacement" .Release.Namespace) -}}
{{- $jobs := list -}}
{{- range $job, $where := dict "inferloop-tabular" (list "http" "api-metrics") "inferloop-tabular-workers" (list "metrics" "worker-metrics") -}}
{{- $service := include "tabular.component" (dict "context" $ "component" (last $where)) -}}
{{- $name := printf "_%s._tcp.%s.%s.svc" (first $where) $service $.Release.Namespace -}}
{{- $jobs = append $jobs (dict
  "job_name" $job
  "honor_labels" true
  "metrics_path" "/metrics"
  "dns_sd_configs" (list (dict "names" (list $name) "type" "SRV" "refresh_interval" "15s"))
  "relabel_configs" $labels) -}}
{{- end -}}
{{- $global := dict
  "scrape_interval" .Values.monitoring.interval
  "evaluation_interval" .Values.monitoring.interval
  "external_labels" (dict "deployment" $fullname "namespace" .Release.Namespace) -}}
{{- $config := dict
  "global" $global
  "rule_files" (list "alerts.yml")
  "scrape_configs" (concat $jobs .Values.monitoring.scrapeConfigs) -}}
{{- if include "tabular.monitoring.tells" . -}}
{{- $managers := list (dict "static_configs" (list (dict "targets" (list (printf "%s:9093" (include "tabular.component" (dict "context" $ "component" "alertmanager"))))))) -}}
{{- $_ := set $config "alerting" (dict "alertmanagers" $managers) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
