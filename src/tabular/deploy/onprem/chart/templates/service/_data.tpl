{{/*
The volume of the service. Where objects are files it has them, and every pod of the service
mounts it; else it is room for the workers' large temporary files, and nobody else needs it.
*/}}

{{- define "tabular.data.claim" -}}
{{- .Values.persistence.existingClaim | default (include "tabular.component" (dict "context" . "component" "data")) -}}
{{- end -}}

{{/* "true" where a component mounts it. (dict "context" $ "component" "api") */}}
{{- define "tabular.data.mounted" -}}
{{- if and .context.Values.persistence.enabled (or (eq .component "worker") (include "tabular.storesFiles" .context)) -}}true{{- end -}}
{{- end -}}

{{/* "true" where several pods of a settled release share it; not those of a rolling update. */}}
{{- define "tabular.data.shared" -}}
{{- $pods := .Values.workers.replicas | int -}}
{{- if include "tabular.storesFiles" . -}}
{{- $pods = add $pods (ternary (.Values.autoscaling.maxReplicas | int) (.Values.replicaCount | int) .Values.autoscaling.enabled) -}}
{{- end -}}
{{- if gt ($pods | int) 1 -}}true{{- end -}}
{{- end -}}

{{/* Its access mode. */}}
{{- define "tabular.data.mode" -}}
{{- $own := .Values.persistence -}}
{{- $shared := include "tabular.data.shared" . -}}
{{- $mode := $own.accessMode | default (ternary "ReadWriteMany" "ReadWriteOnce" (and (eq $shared "true") (not $own.sameNode))) -}}
{{- if and $shared (eq $mode "ReadWriteOncePod") -}}
{{- fail "persistence.accessMode is ReadWriteOncePod, and several pods share the volume: use ReadWriteMany with a class that has it (NFS, CephFS)" -}}
{{- end -}}
{{- if and $shared (eq $mode "ReadWriteOnce") (not $own.sameNode) -}}
{{- fail "persistence.accessMode is ReadWriteOnce, and several pods share the volume, which may be on several nodes: use ReadWriteMany with a class that has it (NFS, CephFS), or an object store (minio.enabled=true or storage.url) and one worker, or persistence.sameNode=true to keep all of them on one node" -}}
{{- end -}}
{{- $mode -}}
{{- end -}}

{{/* The strategy of a Deployment. A volume of one node cannot be on a second one meanwhile. */}}
{{- define "tabular.strategy" -}}
{{- $values := .context.Values -}}
{{- $alone := false -}}
{{- if include "tabular.data.mounted" . -}}
{{- $mode := include "tabular.data.mode" .context -}}
{{- $alone = or (eq $mode "ReadWriteOncePod") (and (eq $mode "ReadWriteOnce") (not $values.persistence.sameNode)) -}}
{{- end -}}
{{- if $alone -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate:
  {{- if and (eq .component "worker") $values.gpu.enabled }}
  # There may be no free GPU for one more.
  maxSurge: 0
  maxUnavailable: 1
  {{- else }}
  maxSurge: 1
  maxUnavailable: 0
  {{- end }}
{{- end -}}
{{- end -}}

{{/* The affinity of API and workers, as JSON {"affinity"}: all on one node with sameNode. */}}
{{- define "tabular.data.affinity" -}}
{{- $affinity := deepCopy .context.Values.affinity -}}
{{- if and .context.Values.persistence.sameNode (include "tabular.data.mounted" .) -}}
{{- $peers := include "tabular.peers" (dict "context" .context "components" (list "api" "worker")) | fromYamlArray -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (first $peers).podSelector -}}
{{- $pods := get $affinity "podAffinity" | default dict -}}
{{- $must := get $pods "requiredDuringSchedulingIgnoredDuringExecution" | default list -}}
{{- $_ := set $pods "requiredDuringSchedulingIgnoredDuringExecution" (append $must $term) -}}
{{- $_ := set $affinity "podAffinity" $pods -}}
{{- end -}}
{{- toJson (dict "affinity" $affinity) -}}
{{- end -}}
