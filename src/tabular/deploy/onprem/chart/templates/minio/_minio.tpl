{{/* MinIO. All take the root context. */}}

{{- define "tabular.minio.host" -}}
{{- include "tabular.component" (dict "context" . "component" "minio") -}}
{{- if .Values.minio.operator -}}-hl{{- end -}}
{{- end -}}

{{- define "tabular.minio.drives" -}}
{{- ternary (.Values.minio.drivesPerNode | int) 1 (eq .Values.minio.mode "distributed") -}}
{{- end -}}

{{- define "tabular.minio.servers" -}}
{{- ternary (.Values.minio.replicas | int) 1 (eq .Values.minio.mode "distributed") -}}
{{- end -}}

{{/*
Refuses what is no erasure set: MinIO divides its disks into sets of one size, at most 16, each
spread evenly over the servers. It would run with 2 or 3 servers, but with one of them away there
is nowhere to write to, which is what a distributed store is for.
*/}}
{{- define "tabular.minio.check" -}}
{{- if eq .Values.minio.mode "distributed" -}}
{{- $servers := .Values.minio.replicas | int -}}
{{- $drives := mul $servers (.Values.minio.drivesPerNode | int) | int -}}
{{- if lt $servers 4 -}}
{{- fail (printf "minio.replicas is %d: a distributed store needs 4 servers or more, since fewer cannot be written to while one is away; set minio.replicas=4 or minio.mode=standalone" $servers) -}}
{{- end -}}
{{- $legal := dict -}}
{{- range $size := untilStep 4 17 1 -}}
{{- if and (eq (mod $drives $size) 0) (or (eq (mod $size $servers) 0) (eq (mod $servers $size) 0)) -}}
{{- $_ := set $legal "size" $size -}}
{{- end -}}
{{- end -}}
{{- if not $legal.size -}}
{{- fail (printf "minio.replicas times minio.drivesPerNode is %d disks, which do not divide into even sets of 4 to 16; 4, 6, 8, 12 or 16 servers with one disk each do" $drives) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The place of every disk, as MinIO writes it. */}}
{{- define "tabular.minio.volumes" -}}
{{- $drives := include "tabular.minio.drives" . | int -}}
{{- $path := ternary "/data0" (printf "/data{0...%d}" (sub $drives 1)) (eq $drives 1) -}}
{{- if eq .Values.minio.mode "distributed" -}}
{{- $name := include "tabular.component" (dict "context" . "component" "minio") -}}
{{- $scheme := ternary "https" "http" .Values.tls.enabled -}}
{{- printf "%s://%s-{0...%d}.%s-headless.%s.svc:9000%s" $scheme $name (sub (include "tabular.minio.servers" . | int) 1) $name .Release.Namespace $path -}}
{{- else -}}
{{- $path -}}
{{- end -}}
{{- end -}}

{{/* "true" where the service's store is the MinIO of this release. */}}
{{- define "tabular.minio.serves" -}}
{{- if and .Values.minio.enabled (not .Values.storage.url) -}}true{{- end -}}
{{- end -}}

{{/*
An init container: of the API it makes the bucket and the service's user as MinIO's administrator,
or finds them there; a worker's waits for them with the user's own keys.
(dict "context" $ "component" "api")
*/}}
{{- define "tabular.bucketInitContainer" -}}
{{- if include "tabular.minio.serves" .context -}}
- name: bucket
  {{- $administrator := "" }}
  {{- if eq .component "api" }}
  {{- $administrator = include "tabular.minio.administrator" .context }}
  {{- end }}
  {{- include "tabular.serviceContainer" (merge (dict "env" $administrator) .) | nindent 2 }}
  {{- if $administrator }}
  command: [python, -m, tabular.deploy.onprem.bucket]
  {{- else }}
  command: [python, -m, tabular.deploy.onprem.bucket, --wait]
  {{- end }}
  resources:
    {{- include "tabular.resources" .context.Values.resources | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* The administrator's name and password, as items of `env`. Takes the root context. */}}
{{- define "tabular.minio.administrator" -}}
{{- range $name, $key := dict "MINIO_ROOT_USER" "storage-access-key" "MINIO_ROOT_PASSWORD" "storage-secret-key" }}
- name: {{ $name }}
  valueFrom:
    {{- include "tabular.secretKeyRef" (dict "context" $ "key" $key) | nindent 4 }}
{{- end }}
{{- end -}}
