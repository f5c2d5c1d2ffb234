{{/*
The parts that the service stands on, as URLs: those of this release, or others that are named.
A setting that is empty is none.
*/}}

{{- define "tabular.databaseUrl" -}}
{{- $values := .Values -}}
{{- $password := include "tabular.secretFile" "database-password" -}}
{{- if $values.database.url -}}
{{- $values.database.url -}}
{{- else if $values.database.urlSecretKey -}}
{{- include "tabular.secretFile" $values.database.urlSecretKey -}}
{{- else if $values.postgresql.enabled -}}
{{- printf "postgresql+psycopg://%s:{%s}@%s:5432/%s" $values.postgresql.auth.username $password (include "tabular.component" (dict "context" . "component" "postgresql")) $values.postgresql.auth.database -}}
{{- else if $values.mysql.enabled -}}
{{- printf "mysql+pymysql://%s:{%s}@%s:3306/%s" $values.mysql.auth.username $password (include "tabular.component" (dict "context" . "component" "mysql")) $values.mysql.auth.database -}}
{{- else -}}
{{- fail "no database: set postgresql.enabled=true (or mysql.enabled=true) for one of this release, or database.url for another" -}}
{{- end -}}
{{- end -}}

{{- define "tabular.storageUrl" -}}
{{- $values := .Values -}}
{{- if $values.storage.url -}}
{{- $values.storage.url -}}
{{- else if $values.minio.enabled -}}
{{- printf "s3://%s/tabular?endpoint=http://%s:9000&region=us-east-1" $values.minio.bucket (include "tabular.component" (dict "context" . "component" "minio")) -}}
{{- else if $values.persistence.enabled -}}
file:///data/objects
{{- else -}}
{{- fail "no place for tables and models: set minio.enabled=true for a store of this release, storage.url for another, or persistence.enabled=true with a class that many pods can write to" -}}
{{- end -}}
{{- end -}}

{{- define "tabular.cacheUrl" -}}
{{- $values := .Values -}}
{{- if $values.cache.url -}}
{{- $values.cache.url -}}
{{- else if $values.redis.enabled -}}
{{- printf "redis://:{%s}@%s:6379/0" (include "tabular.secretFile" "cache-password") (include "tabular.component" (dict "context" . "component" "redis")) -}}
{{- else -}}
memory://
{{- end -}}
{{- end -}}

{{/*
Without a broker nothing wakes workers of other pods: each looks into the database every two
seconds, which is what makes jobs be found anyway. A folder would wake no other machine's.
*/}}
{{- define "tabular.queueUrl" -}}
{{- $values := .Values -}}
{{- if $values.queue.url -}}
{{- $values.queue.url -}}
{{- else if $values.rabbitmq.enabled -}}
{{- printf "amqp://%s:{%s}@%s:5672/" $values.rabbitmq.username (include "tabular.secretFile" "queue-password") (include "tabular.component" (dict "context" . "component" "rabbitmq")) -}}
{{- else if $values.redis.enabled -}}
{{- printf "redis://:{%s}@%s:6379/1" (include "tabular.secretFile" "cache-password") (include "tabular.component" (dict "context" . "component" "redis")) -}}
{{- else -}}
memory://tabular
{{- end -}}
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

{{/* "true" where the store wants an access key: MinIO does, and another's if storage.credentials. */}}
{{- define "tabular.storageKeys" -}}
{{- $url := include "tabular.storageUrl" . -}}
{{- if and (hasPrefix "s3://" $url) (or (not .Values.storage.url) .Values.storage.credentials) -}}true{{- end -}}
{{- end -}}
