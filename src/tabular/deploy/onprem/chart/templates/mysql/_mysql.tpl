{{- define "tabular.mysql.configuration" -}}
[mysqld]
character-set-server = utf8mb4
skip-name-resolve
skip-external-locking
max_connections = {{ include "tabular.maxConnections" . }}
# There is no replica to read it, and 30 days of it fill the disk.
skip-log-bin
{{- if .Values.tls.enabled }}
require_secure_transport = ON
ssl_ca = /run/tls/ca.crt
ssl_cert = /run/tls/tls.crt
ssl_key = /run/tls/tls.key
{{- end }}
{{- range $name, $value := .Values.mysql.settings }}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}
{{- $value = $value | int64 }}
{{- end }}
{{ $name }} = {{ $value }}
{{- end }}
{{- end -}}
