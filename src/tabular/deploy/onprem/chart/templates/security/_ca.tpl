{{/*
Private authorities, trusted beside the public ones by every pod that calls others.

Python's libraries take one file each, so an init container joins the public ones with ours. What
is written in Go reads a folder beside its own file, so it only gets ours.
*/}}

{{/* "true" where there are any. */}}
{{- define "tabular.ca" -}}
{{- if or .Values.ca.bundle .Values.ca.existingConfigMap .Values.ca.existingSecret -}}true{{- end -}}
{{- end -}}

{{/* The volume `ca`: the private ones as they were given, as a list item. */}}
{{- define "tabular.ca.source" -}}
- name: ca
  {{- if .Values.ca.existingSecret }}
  secret:
    secretName: {{ .Values.ca.existingSecret }}
    defaultMode: 288 # 0440, which YAML 1.2 would read as 440
  {{- else }}
  configMap:
    name: {{ .Values.ca.existingConfigMap | default (include "tabular.component" (dict "context" . "component" "ca")) }}
  {{- end }}
    items:
      - key: {{ ternary "ca.crt" .Values.ca.key (and (not .Values.ca.existingConfigMap) (not .Values.ca.existingSecret)) }}
        path: ca.crt
{{- end -}}

{{/* Of a pod whose program is written in Go: each is a list, empty where there are none. */}}
{{- define "tabular.ca.goEnvironment" -}}
{{- if include "tabular.ca" . -}}
- name: SSL_CERT_DIR
  value: /etc/ssl/certs:/run/ca
{{- end -}}
{{- end -}}
{{- define "tabular.ca.goMounts" -}}
{{- if include "tabular.ca" . -}}
- name: ca
  mountPath: /run/ca
  readOnly: true
{{- end -}}
{{- end -}}
{{- define "tabular.ca.goVolumes" -}}
{{- if include "tabular.ca" . -}}
{{ include "tabular.ca.source" . }}
{{- end -}}
{{- end -}}
