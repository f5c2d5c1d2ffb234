{{/*
Where the parts of this release are, and what their clients need: URLs, secrets, ways through the
network. All take the root context, and are empty where there is no such part.
*/}}

{{- define "tabular.databaseUrl" -}}
{{- $values := .Values -}}
{{- $password := include "tabular.secretFile" "database-password" -}}
{{- if and $values.postgresql.enabled $values.mysql.enabled -}}
{{- fail "postgresql.enabled and mysql.enabled are both true: the service has one database" -}}
{{- else if $values.postgresql.enabled -}}
{{- $tls := ternary "?sslmode=verify-full&sslrootcert=/run/tls/ca.crt" "" $values.tls.enabled -}}
{{- printf "postgresql+psycopg://%s:{%s}@%s:5432/%s%s" $values.postgresql.auth.username $password (include "tabular.postgresql.host" .) $values.postgresql.auth.database $tls -}}
{{- else if $values.mysql.enabled -}}
{{- $tls := ternary "?ssl_ca=/run/tls/ca.crt" "" $values.tls.enabled -}}
{{- printf "mysql+pymysql://%s:{%s}@%s:3306/%s%s" $values.mysql.auth.username $password (include "tabular.component" (dict "context" . "component" "mysql")) $values.mysql.auth.database $tls -}}
{{- end -}}
{{- end -}}

{{- define "tabular.storageUrl" -}}
{{- if .Values.minio.enabled -}}
{{- $scheme := ternary "https" "http" .Values.tls.enabled -}}
{{- $tls := ternary "&ca=/run/tls/ca.crt" "" .Values.tls.enabled -}}
{{- printf "s3://%s/tabular?endpoint=%s://%s:9000&region=us-east-1%s" .Values.minio.bucket $scheme (include "tabular.minio.host" .) $tls -}}
{{- end -}}
{{- end -}}

{{- define "tabular.cacheUrl" -}}
{{- if .Values.redis.enabled -}}
{{- include "tabular.redis.url" (dict "context" . "database" 0) -}}
{{- end -}}
{{- end -}}

{{- define "tabular.queueUrl" -}}
{{- if .Values.rabbitmq.enabled -}}
{{- $scheme := ternary "amqps" "amqp" .Values.tls.enabled -}}
{{- $tls := ternary "?ssl_ca_certs=/run/tls/ca.crt" "" .Values.tls.enabled -}}
{{- printf "%s://%s:{%s}@%s:%s/%s" $scheme .Values.rabbitmq.auth.username (include "tabular.secretFile" "queue-password") (include "tabular.component" (dict "context" . "component" "rabbitmq")) (include "tabular.rabbitmq.port" .) $tls -}}
{{- else if .Values.redis.enabled -}}
{{- include "tabular.redis.url" (dict "context" . "database" 1) -}}
{{- end -}}
{{- end -}}

{{/* Secrets that have a key instead of the release's own, as JSON {key: {"name","key"}}. */}}
{{- define "tabular.partSecrets" -}}
{{- $values := .Values -}}
{{- $found := dict -}}
{{- if $values.postgresql.enabled -}}
{{- $found = include "tabular.postgresql.secrets" . | fromJson -}}
{{- else if $values.mysql.enabled -}}
{{- with $values.mysql.auth.existingSecret -}}
{{- $_ := set $found "database-password" (dict "name" . "key" $values.mysql.auth.existingSecretKey) -}}
{{- end -}}
{{- end -}}
{{- if and $values.minio.enabled $values.minio.existingSecret -}}
{{- $_ := set $found "storage-access-key" (dict "name" $values.minio.existingSecret "key" "root-user") -}}
{{- $_ := set $found "storage-secret-key" (dict "name" $values.minio.existingSecret "key" "root-password") -}}
{{- end -}}
{{- if and $values.redis.enabled $values.redis.auth.existingSecret -}}
{{- $_ := set $found "cache-password" (dict "name" $values.redis.auth.existingSecret "key" $values.redis.auth.existingSecretKey) -}}
{{- end -}}
{{- if and $values.rabbitmq.enabled $values.rabbitmq.auth.existingSecret -}}
{{- $_ := set $found "queue-password" (dict "name" $values.rabbitmq.auth.existingSecret "key" $values.rabbitmq.auth.existingSecretKey) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Rules of egress to the parts, each "\n- to: …". Pods of operators have the labels of these. */}}
{{- define "tabular.dataEgress" -}}
{{- $values := .Values -}}
{{- $ports := dict "postgresql" 5432 "mysql" 3306 "minio" 9000 "redis" 6379 "rabbitmq" (include "tabular.rabbitmq.port" . | int) -}}
{{- $foreign := dict -}}
{{- if eq $values.postgresql.operator "cloudnative-pg" -}}
{{- $_ := set $foreign "postgresql" (dict "cnpg.io/cluster" (include "tabular.component" (dict "context" . "component" "postgresql"))) -}}
{{- else if eq $values.postgresql.operator "zalando" -}}
{{- $_ := set $foreign "postgresql" (dict "cluster-name" (include "tabular.component" (dict "context" . "component" "postgresql"))) -}}
{{- end -}}
{{- if $values.minio.operator -}}
{{- $_ := set $foreign "minio" (dict "v1.min.io/tenant" (include "tabular.component" (dict "context" . "component" "minio"))) -}}
{{- end -}}
{{- range $part, $port := $ports }}
{{- if (get $values $part).enabled }}
- to:
    {{- with get $foreign $part }}
    - podSelector:
        matchLabels:
          {{- toYaml . | nindent 10 }}
    {{- else }}
    {{- include "tabular.peers" (dict "context" $ "components" (list $part)) | nindent 4 }}
    {{- end }}
  ports:
    - port: {{ $port }}
      protocol: TCP
{{- end }}
{{- end }}
{{- end -}}

{{/* The pods that use the parts: those of the service, and of its backups. */}}
{{- define "tabular.clients" -}}
{{- include "tabular.peers" (dict "context" . "components" (list "api" "worker" "backup")) -}}
{{- end -}}

{{/*
A budget that lets one pod at a time be evicted. (dict "context" $ "component" "minio")
Where there is one pod only, a node is emptied nevertheless: its volume goes with it.
*/}}
{{- define "tabular.budget" -}}
{{- if .context.Values.podDisruptionBudget.enabled }}
---
apiVersion: {{ include "tabular.api.disruption" .context }}
kind: PodDisruptionBudget
metadata:
  {{- include "tabular.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "tabular.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{/*
Annotations of what is the data itself, as a claim is, or what its operator deletes the volumes with:
neither a Helm release nor Argo CD nor Flux takes it along, also where the release no longer has it.
As JSON.
*/}}
{{- define "tabular.kept" -}}
{{- dict "helm.sh/resource-policy" "keep" "argocd.argoproj.io/sync-options" "Prune=false,Delete=false" "kustomize.toolkit.fluxcd.io/prune" "disabled" | toJson -}}
{{- end -}}

{{/* What a size, such as 20Gi, is in MiB. */}}
{{- define "tabular.mebibytes" -}}
{{- $units := dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- divf (mulf (trimSuffix $unit . | float64) (get $units $unit)) 1048576.0 | int64 -}}
{{- end -}}

{{/* Connections that a database takes: more than the pools of many API pods open, of up to 30 each. */}}
{{- define "tabular.maxConnections" -}}
400
{{- end -}}

{{/*
A claim template. (dict "context" $ "component" "minio" "name" "data" "persistence" $persistence)
Nothing in it may ever change, so it has the labels of the selector alone.
*/}}
{{- define "tabular.claim" -}}
metadata:
  name: {{ .name }}
  labels:
    {{- include "tabular.selector" . | nindent 4 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with include "tabular.storageClass" (dict "context" .context "class" .persistence.storageClass) }}
  {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .persistence.size }}
{{- end -}}

{{/*
A Service of a part. (dict "context" $ "component" "redis" "port" 6379 "portName" "redis"),
optional: "name", "headless", "selector" (a dict beside the component's; false: none at all).
*/}}
{{- define "tabular.partService" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "tabular.metadata" . | nindent 2 }}
spec:
  type: ClusterIP
  {{- if .headless }}
  clusterIP: None
  publishNotReadyAddresses: true
  {{- end }}
  ports:
    - name: {{ .portName }}
      port: {{ .port | int }}
      targetPort: {{ .portName }}
      protocol: TCP
  {{- if not (eq (toString .selector) "false") }}
  selector:
    {{- include "tabular.selector" . | nindent 4 }}
    {{- with .selector }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end -}}
