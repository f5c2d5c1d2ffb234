{{/*
The service's containers: API, workers, migrations and jobs are one image with another command,
told the same. (dict "context" $ "component" "api"); "backup" is a component like these.
*/}}

{{/* Settings by lower-case name, as JSON; lists are joined, whole numbers stay whole. */}}
{{- define "tabular.settings" -}}
{{- $values := .context.Values -}}
{{- $found := dict
  "provider" "onprem"
  "region" .context.Release.Namespace
  "environment" $values.environment
  "release" ($values.deployment.release | default (.context.Release.Revision | toString))
  "host" "*"
  "database_url" (include "tabular.url.database" .context)
  "storage_url" (include "tabular.url.storage" .context)
  "cache_url" (include "tabular.url.cache" .context)
  "queue_url" (include "tabular.url.queue" .context)
  "secret_key" (include "tabular.secretFile" "secret-key") -}}
{{- if eq .component "api" -}}
{{- $_ := set $found "admin_key" (include "tabular.secretFile" "admin-key") -}}
{{- $_ := set $found "port" "8000" -}}
{{- else if eq .component "worker" -}}
{{- $_ := set $found "metrics_port" "9464" -}}
{{- end -}}
{{- $found = merge (include "tabular.trust.settings" .context | fromJson) $found -}}
{{- range $name, $value := $values.settings -}}
{{- if kindIs "slice" $value -}}
{{- $value = join "," $value -}}
{{- else if and (kindIs "float64" $value) (eq (floor $value) $value) -}}
{{- $value = $value | int64 -}}
{{- end -}}
{{- $_ := set $found $name ($value | toString) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* The list of `env`. */}}
{{- define "tabular.environment" -}}
{{- range $name, $value := include "tabular.settings" . | fromJson }}
- name: TABULAR_{{ $name | upper }}
  value: {{ $value | quote }}
{{- end }}
{{- if include "tabular.storageKeys" .context }}
{{- $own := include "tabular.minio.serves" .context }}
- name: AWS_ACCESS_KEY_ID
  {{- if $own }}
  value: tabular-service
  {{- else }}
  valueFrom:
    {{- include "tabular.secretKeyRef" (dict "context" .context "key" "storage-access-key") | nindent 4 }}
  {{- end }}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    {{- include "tabular.secretKeyRef" (dict "context" .context "key" (ternary "storage-password" "storage-secret-key" (eq $own "true"))) | nindent 4 }}
{{- end }}
{{- if and (eq .component "worker") (include "tabular.data.mounted" .) (not (include "tabular.storesFiles" .context)) }}
- name: TMPDIR
  value: /data/tmp
{{- end }}
{{- include "tabular.trust.environment" .context }}
{{- end -}}

{{- define "tabular.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: secrets
  mountPath: /run/secrets/tabular
  readOnly: true
{{- if include "tabular.data.mounted" . }}
- name: data
  mountPath: /data
{{- end }}
{{- include "tabular.trust.mounts" .context }}
{{- end -}}

{{- define "tabular.volumes" -}}
{{- $keys := include "tabular.secretKeysIn" (include "tabular.settings" .) | fromJson -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .context.Values.tmpSize }}
- {{ include "tabular.secretVolume" (dict "context" .context "keys" $keys.keys) | nindent 2 | trim }}
{{- if include "tabular.data.mounted" . }}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "tabular.data.claim" .context }}
{{- end }}
{{- include "tabular.trust.volumes" .context }}
{{- end -}}

{{/*
What each of the service's containers says but its name, command, resources and probes; optional:
"env", further items of it.
*/}}
{{- define "tabular.serviceContainer" -}}
{{ include "tabular.imageLines" (dict "context" .context "image" .context.Values.image) }}
securityContext:
  {{- include "tabular.containerSecurity" . | nindent 2 }}
env:
  {{- include "tabular.environment" . | trim | nindent 2 }}
  {{- with .env }}
  {{- . | trim | nindent 2 }}
  {{- end }}
volumeMounts:
  {{- include "tabular.mounts" . | trim | nindent 2 }}
{{- end -}}
