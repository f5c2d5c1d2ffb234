{{/*
Secrets are files below /run/secrets/tabular, and whatever needs one says so by a reference such
as {file:/run/secrets/tabular/database-password}. Which keys a pod mounts is read from the
references in its environment, so the two cannot differ.
*/}}

{{- define "tabular.secretName" -}}
{{- .Values.secrets.existingSecret | default (printf "%s-secrets" (include "tabular.fullname" .)) -}}
{{- end -}}

{{/*
Refuses to make what is made once, where what there is cannot be looked at: at the next rendering
there would be other passwords than the databases have, and another key than rows and backups. A
namespace that is only just made has no account yet; a cluster always has that of its own system.
*/}}
{{- define "tabular.mustLook" -}}
{{- if not .Values.secrets.generate -}}
{{- if not (lookup "v1" "ServiceAccount" .Release.Namespace "default") -}}
{{- if not (lookup "v1" "Namespace" "" "kube-system") -}}
{{- fail "the chart would make secrets or a certificate, and is rendered without a cluster (helm template, Argo CD), so it would make others each time: name secrets.existingSecret, and tls.existingSecret with tls.enabled; `inferloop-tabular export --format gitops` does so. For a rendering that is thrown away set secrets.generate=true" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A reference to a secret, as a setting. "database-password" */}}
{{- define "tabular.secretFile" -}}
file:/run/secrets/tabular/{{ . }}
{{- end -}}

{{/*
Which Secret has a key, and as which key there, as JSON {"name","key"}.
(dict "context" $ "key" "database-password") `secrets.from` may name another Secret for each key.
*/}}
{{- define "tabular.secretSource" -}}
{{- $found := dict "name" (include "tabular.secretName" .context) "key" .key -}}
{{- $parts := include "tabular.partSecrets" .context | fromJson -}}
{{- $other := get .context.Values.secrets.from .key | default (get $parts .key) -}}
{{- with $other -}}
{{- $found = dict "name" .name "key" (.key | default $.key) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* An `env` entry's valueFrom for what cannot read files. (dict "context" $ "key" "storage-access-key") */}}
{{- define "tabular.secretKeyRef" -}}
secretKeyRef:
  {{- include "tabular.secretSource" . | fromJson | toYaml | nindent 2 }}
{{- end -}}

{{/*
The volume `secrets` with the given keys. (dict "context" $ "keys" (list "secret-key"))
Mount it read-only at /run/secrets/tabular.
*/}}
{{- define "tabular.secretVolume" -}}
name: secrets
projected:
  defaultMode: 288 # 0440, which YAML 1.2 would read as 440
  sources:
    {{- $by := dict }}
    {{- range $key := .keys | uniq | sortAlpha }}
    {{- $source := include "tabular.secretSource" (dict "context" $.context "key" $key) | fromJson }}
    {{- $item := dict "key" $source.key "path" $key }}
    {{- $_ := set $by $source.name (append (get $by $source.name | default list) $item) }}
    {{- end }}
    {{- range $name, $items := $by }}
    - secret:
        name: {{ $name }}
        items:
          {{- toYaml $items | nindent 10 }}
    {{- end }}
{{- end -}}

{{/* The keys that a text refers to, as JSON {"keys": […]}. */}}
{{- define "tabular.secretKeysIn" -}}
{{- $keys := list -}}
{{- range regexFindAll "file:/run/secrets/tabular/[A-Za-z0-9._-]+" . -1 -}}
{{- $keys = append $keys (trimPrefix "file:/run/secrets/tabular/" .) -}}
{{- end -}}
{{- toJson (dict "keys" ($keys | uniq | sortAlpha)) -}}
{{- end -}}
