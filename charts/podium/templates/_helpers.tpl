{{- define "podium.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- /* 52 leaves room for the longest suffix of a name that must be a DNS label. */ -}}
{{- .Values.fullnameOverride | default $name | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- /* Each release has a lease of its own: two in one namespace must not wait for each other. */ -}}
{{- define "podium.lease" -}}
{{ include "podium.fullname" . }}-operator
{{- end }}

{{- define "podium.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "podium.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end }}

{{- define "podium.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* The chart's own labels win over common ones: selectors and uninstalls depend on them. */ -}}
{{- define "podium.labels" -}}
{{ include "podium.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- range $key, $value := .Values.commonLabels }}
{{- if not (has $key (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart")) }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Two pods of one node would go with it together. Of an update only the pods of the new version are counted. */ -}}
{{- define "podium.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "podium.selector" . | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}

{{- define "podium.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end }}

{{- /* The served namespaces as a JSON list, because a template can only return text. */ -}}
{{- define "podium.namespaces" -}}
{{- if .Values.clusterWide }}["*"]{{ else }}{{ .Values.namespaces | default (list .Release.Namespace) | toJson }}{{ end -}}
{{- end }}

{{- /* Where an admission policy of the chart is in force. */ -}}
{{- define "podium.inServedNamespaces" -}}
validationActions: [Deny]
{{- if not .Values.clusterWide }}
matchResources:
  namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values:
          {{- include "podium.namespaces" . | fromJsonArray | toYaml | nindent 10 }}
{{- end }}
{{- end }}

{{- /* All that the operator may do with the objects of a namespace. No rule names Secrets: trials mount their own. */ -}}
{{- define "podium.rules" -}}
{{ .Files.Get "files/rules.yaml" }}{{ if .Values.publish.enabled }}
{{- .Files.Get "files/publishing-rules.yaml" | required "files/publishing-rules.yaml is missing in the chart: the operator would be told to publish without the right to" }}{{- end }}{{- end }}

{{- /* NAMESPACE=HOST,… in the order of the namespaces. */ -}}
{{- define "podium.hosts" -}}
{{- $rules := list -}}
{{- range $namespace, $hosts := . -}}
{{- range $hosts -}}
{{- $rules = append $rules (printf "%s=%s" $namespace .) -}}
{{- end -}}
{{- end -}}
{{- join "," $rules -}}
{{- end }}

{{- define "podium.subject" -}}
- kind: ServiceAccount
  name: {{ include "podium.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* What the schema cannot say in clear words. */ -}}
{{- define "podium.check" -}}
{{- if and .Values.clusterWide .Values.namespaces }}{{ fail "namespaces must be empty when clusterWide is true" }}{{ end -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) }}{{ fail "replicaCount above 1 needs leaderElection.enabled=true: two operators must not act at once" }}{{ end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) }}{{ fail "metrics.serviceMonitor.enabled needs metrics.service.enabled=true; metrics.podMonitor works without" }}{{ end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled }}{{ fail "metrics.serviceMonitor and metrics.podMonitor would count everything twice: enable one" }}{{ end -}}
{{- if and .Values.runs.refuseExec (not .Values.runs.protect) }}{{ fail "runs.refuseExec needs runs.protect=true: who may not exec could still make the pod" }}{{ end -}}
{{- if and .Values.runs.refuseExec .Values.clusterWide }}{{ fail "runs.refuseExec would refuse exec into every pod of the cluster: name the namespaces instead of clusterWide=true" }}{{ end -}}
{{- end }}
