{{/*
TLS between the pods of the release. One certificate, with the names of every service, is in one
secret: ca.crt, tls.crt, tls.key. Every helper yields nothing where tls.enabled is false, and takes
the root context.
*/}}

{{- define "tabular.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (include "tabular.component" (dict "context" . "component" "internal-tls")) -}}
{{- end -}}

{{/* Of a server: the volume `tls`; root owns the key and the pod's group reads it, as PostgreSQL wants. */}}
{{- define "tabular.tlsVolume" -}}
{{- if .Values.tls.enabled -}}
- name: tls
  secret:
    secretName: {{ include "tabular.tlsSecret" . }}
    defaultMode: 288 # 0440, which YAML 1.2 would read as 440
    items:
      - key: ca.crt
        path: ca.crt
      - key: tls.crt
        path: tls.crt
      - key: tls.key
        path: tls.key
{{- end -}}
{{- end -}}

{{/* Of a client: the same without the key. */}}
{{- define "tabular.tlsClientVolume" -}}
{{- if .Values.tls.enabled -}}
- name: tls
  secret:
    secretName: {{ include "tabular.tlsSecret" . }}
    defaultMode: 288 # 0440, which YAML 1.2 would read as 440
    items:
      - key: ca.crt
        path: ca.crt
      - key: tls.crt
        path: tls.crt
{{- end -}}
{{- end -}}

{{- define "tabular.tlsMount" -}}
{{- if .Values.tls.enabled -}}
- name: tls
  mountPath: /run/tls
  readOnly: true
{{- end -}}
{{- end -}}

{{/*
Lines of a liveness probe in sh that have a server take a certificate that was renewed: the files of
a volume are changed by a new link of the kubelet's. One that the server refuses leaves it as it is,
and is tried again by the next probe. (dict "context" $ "mark" "/data/tls" "command" "shell command")
*/}}
{{- define "tabular.tlsReload" -}}
{{- if .context.Values.tls.enabled -}}
now=$(readlink /run/tls/..data)
if [ "$now" != "$(cat {{ .mark }} 2>/dev/null)" ] && {{ .command }} >/dev/null 2>&1; then
  echo "$now" >{{ .mark }}
fi
{{ end -}}
{{- end -}}

{{/*
Annotations of a pod that trusts the certificate, as JSON: it is replaced when cert-manager takes
over, whose authority is another one. Renewed, both stay of the authority that they are of.
*/}}
{{- define "tabular.tlsMaker" -}}
{{- $found := dict -}}
{{- if and .Values.tls.enabled .Values.tls.certManager.enabled (not .Values.tls.existingSecret) -}}
{{- $_ := set $found "inferloop.io/tls" (printf "cert-manager %s" .Values.tls.certManager.issuer.name | trim) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Annotations of a server's pod, as JSON: it is replaced with its certificate. */}}
{{- define "tabular.tlsAnnotations" -}}
{{- $found := include "tabular.tlsMaker" . | fromJson -}}
{{- if and .Values.tls.enabled .Values.tls.checksum -}}
{{- $_ := set $found "checksum/tls" .Values.tls.checksum -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* The names that the certificate is for, as JSON {"names": […]}. */}}
{{- define "tabular.tlsNames" -}}
{{- $names := list "localhost" -}}
{{- range $component := list "api" "postgresql" "postgresql-read" "postgresql-headless" "postgresql-rw" "postgresql-ro" "postgresql-r" "postgresql-repl" "mysql" "mysql-headless" "minio" "minio-headless" "minio-hl" "redis" "redis-headless" "rabbitmq" "rabbitmq-headless" -}}
{{- $name := include "tabular.component" (dict "context" $ "component" $component) -}}
{{- range $suffix := list "" (printf ".%s" $.Release.Namespace) (printf ".%s.svc" $.Release.Namespace) (printf ".%s.svc.cluster.local" $.Release.Namespace) -}}
{{- $names = append $names (printf "%s%s" $name $suffix) -}}
{{- if or (hasSuffix "-headless" $component) (hasSuffix "-hl" $component) -}}
{{- $names = append $names (printf "*.%s%s" $name $suffix) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson (dict "names" $names) -}}
{{- end -}}
