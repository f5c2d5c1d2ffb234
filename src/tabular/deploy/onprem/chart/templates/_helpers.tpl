{{/*
What every template shares: names, labels, images, the restricted security of pods, placement.
A helper takes either the root context, or a dict whose "context" is it.
*/}}

{{- define "tabular.fullname" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name -}}
{{- if gt (len $name) 53 -}}
{{- fail (printf "the name %q has %d characters; Kubernetes allows 53 here, since what belongs to it gets longer names: choose a shorter one" $name (len $name)) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/*
The name of a part's objects. (dict "context" $ "component" "api") Kubernetes makes longer names and
labels of that of a StatefulSet or CronJob, so the release's name gives up its end for a hash in
them if it is long. What is known by its name outside keeps all of it. `names.part_name` says the
same.
*/}}
{{- define "tabular.component" -}}
{{- $release := include "tabular.fullname" .context -}}
{{- if and (gt (len $release) 39) (not (has .component (list "api" "worker" "data" "deployment" "default" "test"))) -}}
{{- $release = printf "%s-%s" (regexReplaceAll "-+$" ($release | trunc 30) "") ($release | sha256sum | trunc 8) -}}
{{- end -}}
{{- printf "%s-%s" $release .component -}}
{{- end -}}

{{/* The server's version without "v": as given, or as asked. */}}
{{- define "tabular.kube" -}}
{{- $given := .Values.kubeVersion | toString | trimPrefix "v" -}}
{{- $given | default (.Capabilities.KubeVersion.Version | trimPrefix "v") -}}
{{- end -}}

{{/* "true" or "". (dict "context" $ "version" "1.23") Vendors' suffixes, as in 1.28.4+k3s1 or 1.27-gke, do not count. */}}
{{- define "tabular.kubeAtLeast" -}}
{{- $found := regexFind "^[0-9]+\\.[0-9]+" (include "tabular.kube" .context) -}}
{{- if semverCompare (printf ">=%s.0" .version) (printf "%s.0" $found) -}}true{{- end -}}
{{- end -}}

{{/* What a selector selects by; never changes. (dict "context" $ "component" "api") */}}
{{- define "tabular.selector" -}}
app.kubernetes.io/name: {{ .context.Chart.Name }}
app.kubernetes.io/instance: {{ include "tabular.fullname" .context }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/*
Labels of an object. (dict "context" $ "component" "api") Not for pods, which would be replaced with
each version of the chart, databases and all; nor for volumeClaimTemplates, which cannot change.
*/}}
{{- define "tabular.labels" -}}
{{- $own := include "tabular.selector" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" (.context.Chart.AppVersion | toString) -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .context.Release.Service -}}
{{- $_ := set $own "app.kubernetes.io/part-of" .context.Chart.Name -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .context.Chart.Name .context.Chart.Version | replace "+" "_") -}}
{{- merge $own (include "tabular.texts" .context.Values.commonLabels | fromJson) | toYaml -}}
{{- end -}}

{{/* A dict with its values as text, as JSON: 1 and true are labels too. */}}
{{- define "tabular.texts" -}}
{{- $all := dict -}}
{{- range $key, $value := . -}}
{{- $_ := set $all $key ($value | toString) -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{/*
The metadata of an object but its namespace. (dict "context" $ "component" "api"), optional:
"name" instead of FULLNAME-COMPONENT, "annotations" (dict) beside commonAnnotations.
*/}}
{{- define "tabular.metadata" -}}
name: {{ .name | default (include "tabular.component" .) }}
labels:
  {{- include "tabular.labels" . | nindent 2 }}
{{- $annotations := merge (dict) (.annotations | default dict) .context.Values.commonAnnotations -}}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The metadata of a pod. (dict "context" $ "component" "api"), optional: "annotations" (dict),
"labels" (dict). Whoever changes secrets sets secrets.checksum, and the pods are replaced.
*/}}
{{- define "tabular.podMetadata" -}}
{{- $values := .context.Values -}}
{{- $own := include "tabular.selector" . | fromYaml -}}
labels:
  {{- merge $own (.labels | default dict) (include "tabular.texts" $values.podLabels | fromJson) (include "tabular.texts" $values.commonLabels | fromJson) | toYaml | nindent 2 }}
{{- $annotations := merge (dict) (.annotations | default dict) -}}
{{- if $values.secrets.checksum -}}
{{- $_ := set $annotations "checksum/secrets" $values.secrets.checksum -}}
{{- end -}}
{{- $annotations = merge $annotations $values.podAnnotations $values.commonAnnotations -}}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
An image's reference. (dict "context" $ "image" (dict "repository" … "tag" … "digest" …))
A digest wins over a tag; no tag is the application's version. `imageRegistry` takes the place of
the registry that the repository names, or of the default one.
*/}}
{{- define "tabular.image" -}}
{{- $repository := required "image.repository is empty" .image.repository -}}
{{- with .context.Values.imageRegistry -}}
{{- $parts := splitList "/" $repository -}}
{{- $host := first $parts -}}
{{- if and (gt (len $parts) 1) (or (contains "." $host) (contains ":" $host) (eq $host "localhost")) -}}
{{- $parts = rest $parts -}}
{{- end -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (join "/" $parts) -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.image.tag | default .context.Chart.AppVersion | toString) -}}
{{- end -}}
{{- end -}}

{{/* Lines `image:` and `imagePullPolicy:` of a container. (dict "context" $ "image" $map) */}}
{{- define "tabular.imageLines" -}}
image: {{ include "tabular.image" . | quote }}
imagePullPolicy: {{ .image.pullPolicy | default .context.Values.image.pullPolicy }}
{{- end -}}

{{/* "true" where the server's restricted profile, or OpenShift's SCC, lets a pod name its seccomp profile: SCC restricted does so from OpenShift 4.11, which is 1.24. */}}
{{- define "tabular.seccomp" -}}
{{- if or (not .Values.openshift) (include "tabular.kubeAtLeast" (dict "context" . "version" "1.24")) -}}true{{- end -}}
{{- end -}}

{{/*
securityContext of a pod. (dict "context" $ "user" 10001 "group" 10001); both are 10001 if left
out. OpenShift assigns ids itself and refuses fixed ones.
*/}}
{{- define "tabular.podSecurity" -}}
runAsNonRoot: true
{{- if not .context.Values.openshift }}
{{- $user := .user | default 10001 | int64 }}
{{- $group := .group | default $user | int64 }}
runAsUser: {{ $user }}
runAsGroup: {{ $group }}
fsGroup: {{ $group }}
{{- end }}
fsGroupChangePolicy: OnRootMismatch
{{- if include "tabular.seccomp" .context }}
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- end -}}

{{/* securityContext of a container; what is to be written is mounted. */}}
{{- define "tabular.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/*
What every pod says of itself beside its containers and volumes, two spaces deep.
(dict "context" $ "component" "api"), optional: "user", "group"; "own" with nodeSelector,
tolerations, affinity and priorityClassName that win over the chart's; "serviceAccount".
Service links are off: they would set variables such as TABULAR_API_PORT, which are no settings.
*/}}
{{- define "tabular.pod" -}}
serviceAccountName: {{ .serviceAccount | default (include "tabular.serviceAccount" .context) }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "tabular.podSecurity" . | nindent 2 }}
{{- with .context.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- include "tabular.placement" . }}
{{- end -}}

{{- define "tabular.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "tabular.fullname" .) -}}
{{- end -}}

{{/*
Where a part's pods go. (dict "context" $ "component" "api"), optional "own" as in `tabular.pod`.
Begins with a line break, or is empty. Spreading prefers and does not insist: a cluster of one
node, or with a zone away, still runs it.
*/}}
{{- define "tabular.placement" -}}
{{- $values := .context.Values -}}
{{- $own := .own | default dict -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" -}}
{{- with get $own $key | default (get $values $key) }}
{{- dict $key . | toYaml | nindent 0 }}
{{- end -}}
{{- end -}}
{{- if $values.topologySpread.enabled }}
topologySpreadConstraints:
  {{- $selector := include "tabular.selector" . }}
  {{- range $key := $values.topologySpread.keys }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/*
The line storageClassName, or nothing, which is the cluster's default class; "-" is "no class",
for volumes made by hand. (dict "context" $ "class" .Values.x.storageClass)
*/}}
{{- define "tabular.storageClass" -}}
{{- $class := .class | default .context.Values.storageClass -}}
{{- if eq $class "-" -}}
storageClassName: ""
{{- else if $class -}}
storageClassName: {{ $class | quote }}
{{- end -}}
{{- end -}}

{{/* The sha256 of anything, as text; for annotations that make pods be replaced. */}}
{{- define "tabular.hash" -}}
{{- toJson . | sha256sum -}}
{{- end -}}

{{/* apiVersions that differ by server. */}}
{{- define "tabular.api.disruption" -}}
{{- ternary "policy/v1" "policy/v1beta1" (eq "true" (include "tabular.kubeAtLeast" (dict "context" . "version" "1.21"))) -}}
{{- end -}}
{{- define "tabular.api.autoscaling" -}}
{{- ternary "autoscaling/v2" "autoscaling/v2beta2" (eq "true" (include "tabular.kubeAtLeast" (dict "context" . "version" "1.23"))) -}}
{{- end -}}
{{- define "tabular.api.cronjob" -}}
{{- ternary "batch/v1" "batch/v1beta1" (eq "true" (include "tabular.kubeAtLeast" (dict "context" . "version" "1.21"))) -}}
{{- end -}}

{{/*
A container's resources, from a map of them. Amounts are written as texts: server-side apply
refuses numbers where a server's schema says text, as 1.20's does.
*/}}
{{- define "tabular.resources" -}}
{{- range $kind, $amounts := . }}
{{ $kind }}:
  {{- range $name, $amount := $amounts }}
  {{- if and (kindIs "float64" $amount) (eq (floor $amount) $amount) }}
  {{ $name }}: {{ $amount | int64 | quote }}
  {{- else if not (kindIs "invalid" $amount) }}
  {{ $name }}: {{ $amount | toString | quote }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}
