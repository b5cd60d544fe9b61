{{- define "ballast.selector" -}}
app.kubernetes.io/name: ballast
app.kubernetes.io/component: operator
{{- end }}

{{- define "ballast.agent.selector" -}}
app.kubernetes.io/name: ballast
app.kubernetes.io/component: agent
{{- end }}

{{- define "ballast.uninstall.selector" -}}
app.kubernetes.io/name: ballast
app.kubernetes.io/component: uninstall
{{- end }}

{{/* What every object of the release carries, beside what selects it. */}}
{{- define "ballast.release" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "ballast.labels" -}}
{{ include "ballast.selector" . }}
{{ include "ballast.release" . }}
{{- end }}

{{- define "ballast.agent.labels" -}}
{{ include "ballast.agent.selector" . }}
{{ include "ballast.release" . }}
{{- end }}

{{- define "ballast.uninstall.labels" -}}
{{ include "ballast.uninstall.selector" . }}
{{ include "ballast.release" . }}
{{- end }}

{{/* Annotations of what exists only while the release is uninstalled; what failed stays, for its log. */}}
{{- define "ballast.uninstall.hook" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* A number as people write it: Helm reads all as floating point, and prints a large one as 1e+06. */}}
{{- define "ballast.environmentValue" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{ int64 . | quote }}
{{- else -}}
{{ . | quote }}
{{- end -}}
{{- end }}

{{/* Whether there are PodMonitors, or PrometheusRules: as told, or where the cluster has the kind. Empty for no. */}}
{{- define "ballast.podMonitors" -}}
{{- if eq (toString .Values.podMonitor.enabled) "auto" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/PodMonitor" }}true{{ end -}}
{{- else if .Values.podMonitor.enabled }}true{{ end -}}
{{- end }}

{{- define "ballast.rules" -}}
{{- if eq (toString .Values.rules.enabled) "auto" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/PrometheusRule" }}true{{ end -}}
{{- else if .Values.rules.enabled }}true{{ end -}}
{{- end }}

{{/* Whether pods are found by annotations, of `value`: both ways at once would scrape them twice. Empty for no. */}}
{{- define "ballast.annotated" -}}
{{- if eq (toString .value) "auto" -}}
{{- if not (include "ballast.podMonitors" .root) }}true{{ end -}}
{{- else if .value }}true{{ end -}}
{{- end }}
