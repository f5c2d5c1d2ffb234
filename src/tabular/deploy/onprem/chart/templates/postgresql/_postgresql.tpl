{{/* PostgreSQL: what its templates share. All take the root context. */}}

{{- define "tabular.postgresql.name" -}}
{{- include "tabular.component" (dict "context" . "component" "postgresql") -}}
{{- end -}}

{{/*
The folder of the data. Images up to 17 declare a volume at /var/lib/postgresql/data, and containerd
puts an empty one there that ends with the container.
*/}}
{{- define "tabular.postgresql.data" -}}
/var/lib/postgresql/tabular
{{- end -}}

{{/* The host that takes writes. */}}
{{- define "tabular.postgresql.host" -}}
{{- include "tabular.postgresql.name" . -}}
{{- if eq .Values.postgresql.operator "cloudnative-pg" -}}-rw{{- end -}}
{{- end -}}

{{- define "tabular.postgresql.instances" -}}
{{- $replication := .Values.postgresql.replication -}}
{{- add 1 (ternary ($replication.readReplicas | int) 0 $replication.enabled) -}}
{{- end -}}

{{/* "true" where members of our own fail over. */}}
{{- define "tabular.postgresql.failover" -}}
{{- $part := .Values.postgresql -}}
{{- if and $part.enabled (not $part.operator) $part.replication.failover.enabled (ge (include "tabular.postgresql.instances" . | int) 3) -}}true{{- end -}}
{{- end -}}

{{/*
Where members may be, as JSON. With a failover never two on one node: commits are on two of the three
that vote, and a node that is gone must not take both.
*/}}
{{- define "tabular.postgresql.affinity" -}}
{{- $affinity := deepCopy .Values.affinity -}}
{{- if and (include "tabular.postgresql.failover" .) .Values.postgresql.replication.failover.separateNodes -}}
{{- $selector := dict "matchLabels" (include "tabular.selector" (dict "context" . "component" "postgresql") | fromYaml) -}}
{{- $apart := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $selector -}}
{{- $pods := get $affinity "podAntiAffinity" | default dict -}}
{{- $key := "requiredDuringSchedulingIgnoredDuringExecution" -}}
{{- $pods = set $pods $key (append (get $pods $key | default list) $apart) -}}
{{- $affinity = set $affinity "podAntiAffinity" $pods -}}
{{- end -}}
{{- toJson $affinity -}}
{{- end -}}

{{/* The members, one a line: NAME HOST PORT. */}}
{{- define "tabular.postgresql.members" -}}
{{- $name := include "tabular.postgresql.name" . -}}
{{- range $index := until (include "tabular.postgresql.instances" . | int) }}
{{ $name }}-{{ $index }} {{ $name }}-{{ $index }}.{{ $name }}-headless.{{ $.Release.Namespace }}.svc 5432
{{- end }}
{{- end -}}

{{/* Operators make the passwords themselves, unless there is one. */}}
{{- define "tabular.postgresql.secrets" -}}
{{- $part := .Values.postgresql -}}
{{- $found := dict -}}
{{- if $part.auth.existingSecret -}}
{{- $_ := set $found "database-password" (dict "name" $part.auth.existingSecret "key" $part.auth.existingSecretKey) -}}
{{- else if eq $part.operator "cloudnative-pg" -}}
{{- $_ := set $found "database-password" (dict "name" (printf "%s-app" (include "tabular.postgresql.name" .)) "key" "password") -}}
{{- else if eq $part.operator "zalando" -}}
{{- $name := printf "%s.%s.credentials.postgresql.acid.zalan.do" (replace "_" "-" $part.auth.username) (include "tabular.postgresql.name" .) -}}
{{- $_ := set $found "database-password" (dict "name" $name "key" "password") -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{- define "tabular.postgresql.parameters" -}}
{{- range $name, $value := .Values.postgresql.settings }}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}
{{- $value = $value | int64 }}
{{- end }}
{{ $name }} = '{{ $value | toString | replace "'" "''" }}'
{{- end }}
{{- end -}}

{{/*
What a member must be started again for. The list of members is none of it: the scripts read it
anew, and one more replica is no reason to stop the primary.
*/}}
{{- define "tabular.postgresql.checksum" -}}
{{- $text := include "tabular.postgresql.configuration" . -}}
{{- range $file := list "common.sh" "start.sh" "alive.sh" "ready.sh" -}}
{{- $text = cat $text ($.Files.Get (printf "files/postgresql/%s" $file)) -}}
{{- end -}}
{{- sha256sum $text -}}
{{- end -}}

{{/* The same for operators, whose parameters are texts; their 100 connections are too few as well. */}}
{{- define "tabular.postgresql.parametersMap" -}}
{{- if not (hasKey .Values.postgresql.settings "max_connections") }}
max_connections: {{ include "tabular.maxConnections" . | quote }}
{{- end }}
{{- range $name, $value := .Values.postgresql.settings }}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}
{{- $value = $value | int64 }}
{{- end }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* Where members may be, for Zalando's operator, which knows no nodeSelector. */}}
{{- define "tabular.postgresql.nodeAffinity" -}}
{{- $affinity := deepCopy (.Values.affinity.nodeAffinity | default dict) -}}
{{- if .Values.nodeSelector -}}
{{- $key := "requiredDuringSchedulingIgnoredDuringExecution" -}}
{{- $wanted := list -}}
{{- range $label, $value := .Values.nodeSelector -}}
{{- $wanted = append $wanted (dict "key" $label "operator" "In" "values" (list (toString $value))) -}}
{{- end -}}
{{- $terms := list -}}
{{- range $term := dig $key "nodeSelectorTerms" (list dict) $affinity -}}
{{- $terms = append $terms (set $term "matchExpressions" (concat ($term.matchExpressions | default list) $wanted)) -}}
{{- end -}}
{{- $affinity = set $affinity $key (dict "nodeSelectorTerms" $terms) -}}
{{- end -}}
{{- toYaml $affinity -}}
{{- end -}}

{{/* CloudNativePG needs images of its own making, which have its tools. */}}
{{- define "tabular.postgresql.cnpgImage" -}}
{{- $image := .Values.postgresql.operatorImage -}}
{{- if not $image.tag -}}
{{- $image = set (deepCopy $image) "tag" (.Values.postgresql.version | toString) -}}
{{- end -}}
{{- include "tabular.image" (dict "context" . "image" $image) -}}
{{- end -}}

{{- define "tabular.postgresql.configuration" -}}
{{- /* What is kept for those that are away must not fill the disk, and stop the primary. */}}
{{- $fifth := max 64 (div (include "tabular.mebibytes" (.Values.postgresql.primary.persistence.size | toString) | int64) 5) -}}
listen_addresses = '*'
log_destination = 'stderr'
password_encryption = 'scram-sha-256'
# The failover and the replicas connect as well.
max_connections = '{{ include "tabular.maxConnections" . }}'
{{- if ge (regexFind "^[0-9]+" (.Values.postgresql.image.tag | toString) | int) 16 }}
reserved_connections = '10'
{{- end }}
wal_level = 'replica'
wal_log_hints = 'on'
max_wal_senders = '16'
max_replication_slots = '16'
wal_keep_size = '256MB'
max_slot_wal_keep_size = '{{ .Values.postgresql.replication.keepWal | default (printf "%dMB" (min 4096 $fifth)) }}'
{{- if lt $fifth 1024 }}
max_wal_size = '{{ $fifth }}MB'
{{- end }}
hot_standby = 'on'
# A member that is away is found out in seconds, and its successor soon followed.
wal_sender_timeout = '10s'
wal_receiver_timeout = '10s'
wal_retrieve_retry_interval = '1s'
{{- if include "tabular.postgresql.failover" . }}
# A commit is told to the client when one of the two other voters has it too.
synchronous_commit = 'on'
{{- $voters := list }}
{{- range $index := until 3 }}
{{- $voters = append $voters (printf "%q" (printf "%s-%d" (include "tabular.postgresql.name" $) $index)) }}
{{- end }}
synchronous_standby_names = 'ANY 1 ({{ join ", " $voters }})'
{{- end }}
{{- if .Values.tls.enabled }}
ssl = 'on'
ssl_ca_file = '/run/tls/ca.crt'
ssl_cert_file = '/run/tls/tls.crt'
ssl_key_file = '/run/tls/tls.key'
{{- end }}
{{- include "tabular.postgresql.parameters" . }}
{{- end -}}
