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

{{/* Settings by lower-case name, as JSON. */}}
{{- define "tabular.trust.settings" -}}
{{- $found := dict -}}
{{- if .Values.tls.enabled -}}
{{- $_ := set $found "certificates" "/run/tls/tls.crt,/run/tls/ca.crt" -}}
{{- end -}}
{{- with .Values.ldap -}}
{{- if .urls -}}
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
{{- $_ := required "ldap.existingSecret is empty: name the secret that has the password of ldap.bindDn" .existingSecret -}}
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
