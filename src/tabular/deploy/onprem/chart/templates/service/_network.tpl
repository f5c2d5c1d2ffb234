{{/*
Network policies. Everything of a release is shut by FULLNAME-default, in and out, but for DNS;
each part opens what it needs in a policy of its own, named as the part. The pattern:

  {{ include "tabular.policy" (dict "context" $ "component" "redis") }}
    ingress:
      - from: {{ include "tabular.peers" (dict "context" $ "components" (list "api" "worker")) | nindent 10 }}
        ports:
          - port: 6379
            protocol: TCP
    egress: []

all of it within `if .Values.networkPolicy.enabled`.
*/}}

{{/* The head of a policy, up to and with policyTypes; what follows is two spaces deep. */}}
{{- define "tabular.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "tabular.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tabular.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{/* Pods of this release, as peers. (dict "context" $ "components" (list "api" "worker")) */}}
{{- define "tabular.peers" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ .context.Chart.Name }}
      app.kubernetes.io/instance: {{ include "tabular.fullname" .context }}
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: In
        values: {{ .components | sortAlpha | toJson }}
{{- end -}}
