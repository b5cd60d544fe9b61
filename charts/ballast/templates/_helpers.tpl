{{- define "ballast.selector" -}}
app.kubernetes.io/name: ballast
app.kubernetes.io/component: operator
{{- end }}

{{- define "ballast.labels" -}}
{{ include "ballast.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* A number as people write it: Helm reads all as floating point, and prints a large one as 1e+06. */}}
{{- define "ballast.environmentValue" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{ int64 . | quote }}
{{- else -}}
{{ . | quote }}
{{- end -}}
{{- end }}
