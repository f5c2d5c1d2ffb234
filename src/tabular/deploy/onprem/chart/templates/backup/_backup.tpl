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

{{/*
The affinity of pods that make backups, as JSON {"affinity"}. Their volume is one node's at a time,
so one that is begun by hand goes to the node of one that runs; the first of them goes anywhere.
*/}}
{{- define "tabular.backup.affinity" -}}
{{- $affinity := (include "tabular.data.affinity" (dict "context" . "component" "backup") | fromJson).affinity -}}
{{- if include "tabular.backup.volume" . -}}
{{- $peers := include "tabular.peers" (dict "context" . "components" (list "backup")) | fromYamlArray -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (first $peers).podSelector -}}
{{- $pods := get $affinity "podAffinity" | default dict -}}
{{- $must := get $pods "requiredDuringSchedulingIgnoredDuringExecution" | default list -}}
{{- $_ := set $pods "requiredDuringSchedulingIgnoredDuringExecution" (append $must $term) -}}
{{- $_ := set $affinity "podAffinity" $pods -}}
{{- end -}}
{{- toJson (dict "affinity" $affinity) -}}
{{- end -}}

{{/* "true" where Velero copies the volumes. */}}
{{- define "tabular.backup.velero" -}}
{{- if and .Values.backup.enabled .Values.backup.velero.enabled -}}true{{- end -}}
{{- end -}}

{{/* "true" where it copies them as files; else it takes snapshots of the storage. */}}
{{- define "tabular.backup.files" -}}
{{- if and (include "tabular.backup.velero" .) (eq .Values.backup.velero.method "fs") -}}true{{- end -}}
{{- end -}}

{{/*
Annotations of a pod, as JSON: which of its volumes Velero copies as files. What is not named is
scratch, some of it with secrets. (dict "context" $ "volumes" (list "data"))
*/}}
{{- define "tabular.backup.copied" -}}
{{- $found := dict -}}
{{- if include "tabular.backup.files" .context -}}
{{- $_ := set $found "backup.velero.io/backup-volumes" (join "," .volumes) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/*
Annotations of a database's pod, as JSON: what Velero has it do before its copy. Files that are
copied one after the other while a server writes are no database; so with `fs` the server writes a
dump, and that alone is copied. It lies on a volume of its own, for one that fills the disk of the
data stops the server; and it ends where it would leave the node less than the kubelet wants, which
evicts pods when 10 % are left. A snapshot is of one moment, and the server goes on from there as
after a power cut; a checkpoint makes that short.
(dict "context" $ "container" "postgresql" "dump" "command that prints it" "unless" "command that
succeeds where another member writes it, or none" "checkpoint" "command, or none")
*/}}
{{- define "tabular.backup.annotations" -}}
{{- $found := include "tabular.backup.copied" (dict "context" .context "volumes" (list "velero")) | fromJson -}}
{{- $command := "" -}}
{{- if include "tabular.backup.files" .context -}}
{{- $command = include "tabular.backup.dump" . -}}
{{- else if include "tabular.backup.velero" .context -}}
{{- $command = .checkpoint -}}
{{- end -}}
{{- if $command -}}
{{- $_ := set $found "pre.hook.backup.velero.io/container" .container -}}
{{- $_ := set $found "pre.hook.backup.velero.io/command" (list "bash" "-c" $command | toRawJson) -}}
{{- $_ := set $found "pre.hook.backup.velero.io/on-error" "Fail" -}}
{{- $_ := set $found "pre.hook.backup.velero.io/timeout" "4h" -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{- define "tabular.backup.dump" -}}
set -euo pipefail
cd /velero
rm -f dump dump.part
{{- with .unless }}
if {{ . }}; then exit 0; fi
{{- end }}
read -r free whole <<<"$(df -B1 --output=avail,size . | tail -n 1)"
room=$((free - whole * 15 / 100))
if [ "$room" -le 0 ] || ! { {{ .dump }} | head -c "$room" >dump.part; }; then
  rm -f dump.part
  echo "no dump: it failed, or $room bytes of the node's disk are not enough" >&2
  exit 1
fi
mv dump.part dump
{{- end -}}

{{/* Of a database's pod: where the dump is, as list items; nothing where there is none. */}}
{{- define "tabular.backup.dumpMount" -}}
{{- if include "tabular.backup.files" . -}}
- name: velero
  mountPath: /velero
{{- end -}}
{{- end -}}
{{- define "tabular.backup.dumpVolume" -}}
{{- if include "tabular.backup.files" . -}}
- name: velero
  emptyDir: {}
{{- end -}}
{{- end -}}
