{{- define "tabular.rabbitmq.port" -}}
{{- ternary 5671 5672 .Values.tls.enabled -}}
{{- end -}}

{{- define "tabular.rabbitmq.configuration" -}}
{{- if .Values.tls.enabled }}
listeners.tcp = none
listeners.ssl.default = 5671
ssl_options.cacertfile = /run/tls/ca.crt
ssl_options.certfile = /run/tls/tls.crt
ssl_options.keyfile = /run/tls/tls.key
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
{{- else }}
listeners.tcp.default = 5672
{{- end }}
default_user = {{ .Values.rabbitmq.auth.username }}
default_user_tags.administrator = true
loopback_users = none
log.console = true
log.console.level = warning
disk_free_limit.absolute = 256MB
{{- /* It sees the memory of the node, and would be ended before it holds up those that send. */}}
{{- with dig "limits" "memory" "" .Values.rabbitmq.resources }}
vm_memory_high_watermark.absolute = {{ div (mul 6 (include "tabular.mebibytes" (toString .) | int64)) 10 }}MiB
{{- end }}
{{- end -}}
