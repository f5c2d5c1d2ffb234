{{/* Until the parts have their own files: what the service asks them. Remove what they define. */}}

{{- define "tabular.databaseUrl" -}}
{{- $password := include "tabular.secretFile" "database-password" -}}
{{- if .Values.postgresql.enabled -}}
{{- printf "postgresql+psycopg://%s:{%s}@%s:5432/%s" .Values.postgresql.auth.username $password (include "tabular.component" (dict "context" . "component" "postgresql")) .Values.postgresql.auth.database -}}
{{- else if .Values.mysql.enabled -}}
{{- printf "mysql+pymysql://%s:{%s}@%s:3306/%s" .Values.mysql.auth.username $password (include "tabular.component" (dict "context" . "component" "mysql")) .Values.mysql.auth.database -}}
{{- end -}}
{{- end -}}

{{- define "tabular.storageUrl" -}}
{{- if .Values.minio.enabled -}}
{{- printf "s3://%s/tabular?endpoint=http://%s:9000&region=us-east-1" .Values.minio.bucket (include "tabular.component" (dict "context" . "component" "minio")) -}}
{{- end -}}
{{- end -}}

{{- define "tabular.cacheUrl" -}}
{{- if .Values.redis.enabled -}}
{{- printf "redis://:{%s}@%s:6379/0" (include "tabular.secretFile" "cache-password") (include "tabular.component" (dict "context" . "component" "redis")) -}}
{{- end -}}
{{- end -}}

{{- define "tabular.queueUrl" -}}
{{- if .Values.rabbitmq.enabled -}}
{{- printf "amqp://%s:{%s}@%s:5672/" .Values.rabbitmq.username (include "tabular.secretFile" "queue-password") (include "tabular.component" (dict "context" . "component" "rabbitmq")) -}}
{{- else if .Values.redis.enabled -}}
{{- printf "redis://:{%s}@%s:6379/1" (include "tabular.secretFile" "cache-password") (include "tabular.component" (dict "context" . "component" "redis")) -}}
{{- end -}}
{{- end -}}

{{/* Rules of egress to the parts of this release, each "\n- to: …". */}}
{{- define "tabular.dataEgress" -}}
{{- $ports := dict "postgresql" 5432 "mysql" 3306 "minio" 9000 "redis" 6379 "rabbitmq" 5672 -}}
{{- range $part, $port := $ports }}
{{- if (get $.Values $part).enabled }}
- to:
    {{- include "tabular.peers" (dict "context" $ "components" (list $part)) | nindent 4 }}
  ports:
    - port: {{ $port }}
      protocol: TCP
{{- end }}
{{- end }}
{{- end -}}

{{/* Further sources of the projected volume of secrets; an init container that makes the bucket. */}}
{{- define "tabular.dataSecretItems" -}}
{{- end -}}
{{- define "tabular.bucketInitContainer" -}}
{{- end -}}

{{/* Secrets that parts have elsewhere than in the release's own, as JSON {key: {"name","key"}}. */}}
{{- define "tabular.partSecrets" -}}
{{- $found := dict -}}
{{- $engine := ternary .Values.postgresql .Values.mysql (not .Values.mysql.enabled) -}}
{{- with $engine.auth.existingSecret -}}
{{- $_ := set $found "database-password" (dict "name" . "key" ($engine.auth.existingSecretKey | default "password")) -}}
{{- end -}}
{{- with .Values.minio.existingSecret -}}
{{- $_ := set $found "storage-access-key" (dict "name" . "key" "root-user") -}}
{{- $_ := set $found "storage-secret-key" (dict "name" . "key" "root-password") -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}
