{{/*
What security adds to every pod of the service: private authorities, the authority of the
release's own TLS, the directory. Each is empty where nothing is set. They take the root context.
*/}}

{{/* Entries of `env`, as a YAML list. */}}
{{- define "tabular.trust.environment" -}}
{{- if include "tabular.ca" . }}
{{- range $name := list "AWS_CA_BUNDLE" "OTEL_EXPORTER_OTLP_CERTIFICATE" "REQUESTS_CA_BUNDLE" "SSL_CERT_FILE" }}
- name: {{ $name }}
  value: /run/trust/ca-bundle.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* The secret with the certificate that the host shows; empty where it is none of the release's to name. */}}
{{- define "tabular.hostSecret" -}}
{{- with .Values.ingress -}}
{{- if and .host (not $.Values.gateway.name) -}}
{{- .tls.secretName | default (ternary "" (printf "%s-tls" (include "tabular.fullname" $)) $.Values.route.enabled) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Settings by lower-case name, as JSON. */}}
{{- define "tabular.trust.settings" -}}
{{- $found := dict -}}
{{- $certificates := ternary (list "/run/tls/tls.crt" "/run/tls/ca.crt") list .Values.tls.enabled -}}
{{- if include "tabular.hostSecret" . -}}
{{- $certificates = append $certificates "/run/host/host.crt" -}}
{{- end -}}
{{- with $certificates -}}
{{- $_ := set $found "certificates" (join "," .) -}}
{{- end -}}
{{- with .Values.ldap -}}
{{- if .urls -}}
{{- $empty := list -}}
{{- range $key := list "bindDn" "existingSecret" "groupBase" "roleMap" "userBase" -}}
{{- if not (get $.Values.ldap $key) -}}
{{- $empty = append $empty (printf "ldap.%s" $key) -}}
{{- end -}}
{{- end -}}
{{- with $empty -}}
{{- fail (printf "ldap.urls is set, and %s %s empty: nobody could sign in. bindDn is the service's own name in the directory, existingSecret the secret with its password, userBase and groupBase where people and groups are, roleMap our role for a group" (join ", " .) (ternary "is" "are" (eq (len .) 1))) -}}
{{- end -}}
{{- $roles := list -}}
{{- range $group, $role := .roleMap -}}
{{- $roles = append $roles (printf "%s=%s" $group $role) -}}
{{- end -}}
{{- $given := dict
  "ldap_url" (join "," .urls)
  "ldap_bind_dn" .bindDn
  "ldap_bind_password" "file:/run/secrets/ldap/password"
  "ldap_user_base" .userBase
  "ldap_user_filter" .userFilter
  "ldap_group_base" .groupBase
  "ldap_group_filter" .groupFilter
  "ldap_role_map" (join ";" $roles)
  "ldap_timeout" (.timeout | toString) -}}
{{- if include "tabular.ca" $ -}}
{{- $_ := set $given "ldap_ca_file" "/run/trust/ca-bundle.crt" -}}
{{- end -}}
{{- range $name, $value := $given -}}
{{- if $value -}}
{{- $_ := set $found $name $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{- define "tabular.trust.volumes" -}}
{{- if include "tabular.ca" . }}
- name: trust
  emptyDir:
    sizeLimit: 10Mi
{{ include "tabular.ca.source" . }}
{{- end }}
{{- with include "tabular.tlsClientVolume" . }}
{{ . }}
{{- end }}
{{- with include "tabular.hostSecret" . }}
# For the alarm before its end; never its key. An issuer may not have made it yet.
- name: host
  secret:
    secretName: {{ . }}
    optional: true
    defaultMode: 288 # 0440, which YAML 1.2 would read as 440
    items:
      - key: tls.crt
        path: host.crt
{{- end }}
{{- if .Values.ldap.urls }}
- name: ldap
  secret:
    secretName: {{ .Values.ldap.existingSecret }}
    defaultMode: 288 # 0440, which YAML 1.2 would read as 440
    items:
      - key: {{ .Values.ldap.existingSecretKey }}
        path: password
{{- end }}
{{- end -}}

{{- define "tabular.trust.mounts" -}}
{{- if include "tabular.ca" . }}
- name: trust
  mountPath: /run/trust
  readOnly: true
{{- end }}
{{- with include "tabular.tlsMount" . }}
{{ . }}
{{- end }}
{{- if include "tabular.hostSecret" . }}
- name: host
  mountPath: /run/host
  readOnly: true
{{- end }}
{{- if .Values.ldap.urls }}
- name: ldap
  mountPath: /run/secrets/ldap
  readOnly: true
{{- end }}
{{- end -}}

{{/* The init container that joins the authorities, as a list item; it comes before all others. */}}
{{- define "tabular.trust.initContainer" -}}
{{- if include "tabular.ca" . -}}
- name: trust
  {{- include "tabular.imageLines" (dict "context" . "image" .Values.image) | nindent 2 }}
  command: [python, -m, tabular.infra.trust, /run/trust/ca-bundle.crt, /run/ca/ca.crt]
  securityContext:
    {{- include "tabular.containerSecurity" (dict "context" .) | nindent 4 }}
  resources:
    requests:
      cpu: 10m
      memory: 32Mi
    limits:
      memory: 128Mi
  volumeMounts:
    - name: trust
      mountPath: /run/trust
    - name: ca
      mountPath: /run/ca
      readOnly: true
{{- end -}}
{{- end -}}
