{{/*
The parts that the service stands on, as URLs: others that are named, else those of this release,
whose own files say where they are (tabular.databaseUrl and so on, "" where there is none).
*/}}

{{- define "tabular.url.database" -}}
{{- if .Values.database.url -}}
{{- .Values.database.url -}}
{{- else if .Values.database.urlSecretKey -}}
{{- include "tabular.secretFile" .Values.database.urlSecretKey -}}
{{- else -}}
{{- $own := include "tabular.databaseUrl" . -}}
{{- if not $own -}}
{{- fail "no database: set postgresql.enabled=true (or mysql.enabled=true) for one of this release, or database.url for another" -}}
{{- end -}}
{{- $own -}}
{{- end -}}
{{- end -}}

{{- define "tabular.url.storage" -}}
{{- $own := .Values.storage.url | default (include "tabular.storageUrl" .) -}}
{{- if $own -}}
{{- $own -}}
{{- else if .Values.persistence.enabled -}}
file:///data/objects
{{- else -}}
{{- fail "no place for tables and models: set minio.enabled=true for a store of this release, storage.url for another, or persistence.enabled=true with a class whose volumes many pods can write to" -}}
{{- end -}}
{{- end -}}

{{- define "tabular.url.cache" -}}
{{- .Values.cache.url | default (include "tabular.cacheUrl" .) | default "memory://" -}}
{{- end -}}

{{/*
Without a broker nothing wakes workers of other pods: each looks into the database every two
seconds, which is what makes jobs be found anyway. A folder would wake no other machine's.
*/}}
{{- define "tabular.url.queue" -}}
{{- .Values.queue.url | default (include "tabular.queueUrl" .) | default "memory://tabular" -}}
{{- end -}}

{{/* "true" where objects are files on the volume. */}}
{{- define "tabular.storesFiles" -}}
{{- if hasPrefix "file:" (include "tabular.url.storage" .) -}}true{{- end -}}
{{- end -}}

{{/* "true" where the store wants an access key: MinIO does, and another's if storage.credentials. */}}
{{- define "tabular.storageKeys" -}}
{{- $url := include "tabular.url.storage" . -}}
{{- if and (hasPrefix "s3://" $url) (or (not .Values.storage.url) .Values.storage.credentials) -}}true{{- end -}}
{{- end -}}
