{{/* (dict "context" $ "database" 0) */}}
{{- define "tabular.redis.url" -}}
{{- $tls := .context.Values.tls.enabled -}}
{{- printf "%s://:{%s}@%s:6379/%d%s" (ternary "rediss" "redis" $tls) (include "tabular.secretFile" "cache-password") (include "tabular.component" (dict "context" .context "component" "redis")) .database (ternary "?ssl_ca_certs=/run/tls/ca.crt" "" $tls) -}}
{{- end -}}

{{/* What it holds may be lost: answers that are made again, counts of requests, wake-ups. */}}
{{- define "tabular.redis.configuration" -}}
bind * -::*
{{- if .Values.tls.enabled }}
port 0
tls-port 6379
tls-cert-file /run/tls/tls.crt
tls-key-file /run/tls/tls.key
tls-ca-cert-file /run/tls/ca.crt
tls-auth-clients no
{{- else }}
port 6379
{{- end }}
dir /data
save ""
appendonly no
maxmemory {{ .Values.redis.maxMemory }}
maxmemory-policy allkeys-lru
{{- end -}}
