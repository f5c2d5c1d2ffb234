{{/*
Network policies. Everything of a release is shut by FULLNAME-default, in and out, but for DNS;
each part opens what it needs in a policy of its own, named as the part. The pattern:

  {{ include "tabular.policy" (dict "context" $ "component" "redis") }}
    ingress:
      - from: {{ include "tabular.peers" (dict "context" $ "components" (list "api" "worker")) | nindent 10 }}
        ports:
          - port: 6379
            protocol: TCP
    egress: []

all of it within `if .Values.networkPolicy.enabled`.
*/}}

{{/* The head of a policy, up to and with policyTypes; what follows is two spaces deep. */}}
{{- define "tabular.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "tabular.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tabular.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{/* Pods of this release, as peers. (dict "context" $ "components" (list "api" "worker")) */}}
{{- define "tabular.peers" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ .context.Chart.Name }}
      app.kubernetes.io/instance: {{ include "tabular.fullname" .context }}
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: In
        values: {{ .components | sortAlpha | toJson }}
{{- end -}}

{{/*
A rule of egress to the cluster's DNS. OpenShift's listens elsewhere, and policies see the pods'
ports. The label with a namespace's name is there from 1.21 on; before, it may be any namespace.
A node's own cache is at an address and no pod.
*/}}
{{- define "tabular.dnsEgress" -}}
{{- $dns := .Values.networkPolicy.dns -}}
{{- $namespace := ternary "openshift-dns" $dns.namespace (and .Values.openshift (eq $dns.namespace "kube-system")) -}}
- to:
    {{- if and $namespace (include "tabular.kubeAtLeast" (dict "context" . "version" "1.21")) }}
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ $namespace }}
    {{- else }}
    - namespaceSelector: {}
    {{- end }}
    {{- range $dns.cidrs }}
    - ipBlock:
        cidr: {{ . | quote }}
    {{- end }}
  ports:
    {{- range $port := ternary (list 53 5353) (list 53) .Values.openshift }}
    {{- range $protocol := list "UDP" "TCP" }}
    - port: {{ $port }}
      protocol: {{ $protocol }}
    {{- end }}
    {{- end }}
{{- end -}}

{{/*
Egress of the service's pods: to the release's parts, to the ports of others that settings name,
and what values add. (dict "context" $ "component" "api")
*/}}
{{- define "tabular.serviceEgress" -}}
{{- include "tabular.dataEgress" .context | trim }}
{{- $values := .context.Values.networkPolicy }}
{{- $named := include "tabular.externalPorts" . | fromJson }}
{{- $outside := concat ($named.outside | default list) $values.externalPorts | uniq }}
{{- if and $outside $values.externalCidrs }}
- to:
    {{- range $values.externalCidrs }}
    - ipBlock:
        cidr: {{ . | quote }}
    {{- end }}
  ports:
    {{- range $outside }}
    - port: {{ . | int }}
      protocol: TCP
    {{- end }}
{{- end }}
{{- range $namespace, $ports := $named.inside }}
- to:
    {{- if not (include "tabular.kubeAtLeast" (dict "context" $.context "version" "1.21")) }}
    - namespaceSelector: {}
    {{- else }}
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ $namespace }}
    {{- end }}
  ports:
    {{- range $ports | uniq }}
    - port: {{ . | int }}
      protocol: TCP
    {{- end }}
{{- end }}
{{- with $values.egress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The ports of the URLs among the settings that are not of this release's parts, as JSON
{"outside": […], "inside": {namespace: […]}}: hosts such as db.NAMESPACE.svc are pods, which an
address of a policy is not for every network plugin. What is in braces or before an @ is no port; a
URL without one has its scheme's.
*/}}
{{- define "tabular.externalPorts" -}}
{{- $usual := dict "postgresql" 5432 "postgresql+psycopg" 5432 "mysql" 3306 "mysql+pymysql" 3306 "redis" 6379 "rediss" 6379 "memcached" 11211 "amqp" 5672 "amqps" 5671 "ldap" 389 "ldaps" 636 "http" 80 "https" 443 "s3" 443 "gs" 443 "az" 443 "sqs" 443 "gcpubsub" 443 "azureservicebus" 443 -}}
{{- $cloud := list "s3" "gs" "az" "sqs" "gcpubsub" "azureservicebus" -}}
{{- $values := .context.Values -}}
{{- $own := .context.Release.Namespace -}}
{{- $settings := omit (include "tabular.settings" . | fromJson) "database_url" "storage_url" "cache_url" "queue_url" -}}
{{- $texts := list $values.database.url $values.cache.url $values.queue.url -}}
{{- with $values.storage.url -}}
{{- $texts = append $texts (regexFind "endpoint=[^&]+" . | trimPrefix "endpoint=" | default .) -}}
{{- end -}}
{{- range $name := keys $settings | sortAlpha -}}
{{- $texts = concat $texts (splitList "," (get $settings $name)) -}}
{{- end -}}
{{- $outside := list -}}
{{- $inside := dict -}}
{{- range $text := $texts -}}
{{- $bare := regexReplaceAll "\\{[^}]*\\}" (trim $text) "" -}}
{{- $scheme := regexFind "^[a-z][a-z0-9+]*://" $bare | trimSuffix "://" -}}
{{- if and $scheme (hasKey $usual $scheme) -}}
{{- $hosts := regexReplaceAll "^[a-z][a-z0-9+]*://([^/?#]*@)?" $bare "" | regexFind "^[^/?#]+" -}}
{{- range $host := splitList "," $hosts -}}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" | default (get $usual $scheme) | int -}}
{{- $name := regexReplaceAll ":[0-9]+$" $host "" -}}
{{- $namespace := regexReplaceAll "^[^.]+[.]([^.]+)[.]svc([.].*)?$" $name "${1}" -}}
{{- if has $scheme $cloud -}}
{{- $outside = append $outside $port -}}
{{- else if ne $namespace $name -}}
{{- $_ := set $inside $namespace (append (get $inside $namespace | default list) $port) -}}
{{- else if regexMatch "^[a-z0-9-]+$" $name -}}
{{- $_ := set $inside $own (append (get $inside $own | default list) $port) -}}
{{- else -}}
{{- $outside = append $outside $port -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson (dict "outside" ($outside | uniq) "inside" $inside) -}}
{{- end -}}
