{{/* "true" where the platform's own backups are made. */}}
{{- define "tabular.backup.logical" -}}
{{- if and .Values.backup.enabled .Values.backup.logical.enabled -}}true{{- end -}}
{{- end -}}

{{/* "true" where they lie on a volume of the release. */}}
{{- define "tabular.backup.volume" -}}
{{- if and (include "tabular.backup.logical" .) (not .Values.backup.logical.destination) -}}true{{- end -}}
{{- end -}}

{{- define "tabular.backup.url" -}}
{{- .Values.backup.logical.destination | default "file:///backups" -}}
{{- end -}}

{{/* "true" where Velero copies the volumes. */}}
{{- define "tabular.backup.velero" -}}
{{- if and .Values.backup.enabled .Values.backup.velero.enabled -}}true{{- end -}}
{{- end -}}

{{/*
Annotations of a database's pod, as JSON: what Velero has it do before it copies its files. Files
that are copied one after the other while a server writes are no database; so with `fs` the server
writes a dump beside them, which is whole. A snapshot is of one moment, and the server goes on from
there as after a power cut; a checkpoint makes that short.
(dict "context" $ "container" "postgresql" "dump" "shell command" "checkpoint" "shell command, or none")
*/}}
{{- define "tabular.backup.annotations" -}}
{{- $found := dict -}}
{{- if include "tabular.backup.velero" .context -}}
{{- $command := ternary .checkpoint .dump (eq .context.Values.backup.velero.method "csi") -}}
{{- if $command -}}
{{- $_ := set $found "pre.hook.backup.velero.io/container" .container -}}
{{- $_ := set $found "pre.hook.backup.velero.io/command" (list "/bin/sh" "-c" $command | toRawJson) -}}
{{- $_ := set $found "pre.hook.backup.velero.io/on-error" "Fail" -}}
{{- $_ := set $found "pre.hook.backup.velero.io/timeout" "30m" -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}
