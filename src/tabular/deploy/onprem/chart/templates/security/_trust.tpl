{{/*
What security adds to every pod of the service: a private authority, the directory's settings.
Each is empty where nothing is set. They take the root context.
*/}}

{{/* Entries of `env`, as a YAML list; settings (lower case) as JSON; volumes; mounts. */}}
{{- define "tabular.trust.environment" -}}
{{- end -}}
{{- define "tabular.trust.settings" -}}
{}
{{- end -}}
{{- define "tabular.trust.volumes" -}}
{{- end -}}
{{- define "tabular.trust.mounts" -}}
{{- end -}}
