{{/* What the operator is told of exporters and of Prometheus. */}}
{{- define "ballast.readingsEnvironment" -}}
{{- with .Values.exporter -}}
- {name: BALLAST_EXPORTER_IMAGE, value: {{ if .enabled }}{{ .image.repository }}{{ with .image.tag }}:{{ . }}{{ end }}{{ else }}""{{ end }}}
{{- if .enabled }}
- {name: BALLAST_EXPORTER_PULL_POLICY, value: {{ .image.pullPolicy }}}
- {name: BALLAST_EXPORTER_CPU, value: {{ .resources.cpu | quote }}}
- {name: BALLAST_EXPORTER_MEMORY, value: {{ .resources.memory | quote }}}
- {name: BALLAST_EXPORTER_POLL_SECONDS, value: {{ include "ballast.environmentValue" .pollSeconds }}}
- {name: BALLAST_EXPORTER_ANNOTATIONS, value: {{ include "ballast.annotated" (dict "root" $ "value" .annotations) | default "false" | quote }}}
{{- end }}
{{- end }}
{{- with .Values.prometheus }}
- {name: BALLAST_LOST_READING_SECONDS, value: {{ include "ballast.environmentValue" .lostReadingSeconds }}}
- {name: BALLAST_TELEMETRY_STALE_SECONDS, value: {{ include "ballast.environmentValue" .staleSeconds }}}
{{- if .url }}
- {name: BALLAST_PROMETHEUS_URL, value: {{ .url | quote }}}
- {name: BALLAST_TELEMETRY_SECONDS, value: {{ include "ballast.environmentValue" .telemetrySeconds }}}
{{- if .tokenSecret.name }}
- {name: BALLAST_PROMETHEUS_TOKEN_FILE, value: /etc/ballast/prometheus/token}
{{- end }}
{{- if or .caSecret.name .caConfigMap.name }}
- {name: BALLAST_PROMETHEUS_CA_FILE, value: /etc/ballast/prometheus/ca.crt}
{{- end }}
{{- with .headers }}
- {name: BALLAST_PROMETHEUS_HEADERS, value: {{ toJson . | quote }}}
{{- end }}
{{- with .labels }}
- {name: BALLAST_PROMETHEUS_LABELS, value: {{ toJson . | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The files that asking Prometheus takes, as sources of a projected volume. */}}
{{- define "ballast.prometheusFiles" -}}
{{- with .Values.prometheus -}}
{{- if and .caSecret.name .caConfigMap.name }}
{{- fail "prometheus.caSecret and prometheus.caConfigMap are both named: name the one that holds the authorities" }}
{{- end }}
{{- if .url }}
{{- with .tokenSecret }}{{ if .name }}
- secret: {name: {{ .name | quote }}, items: [{key: {{ .key | quote }}, path: token}]}
{{- end }}{{ end }}
{{- with .caSecret }}{{ if .name }}
- secret: {name: {{ .name | quote }}, items: [{key: {{ .key | quote }}, path: ca.crt}]}
{{- end }}{{ end }}
{{- with .caConfigMap }}{{ if .name }}
- configMap: {name: {{ .name | quote }}, items: [{key: {{ .key | quote }}, path: ca.crt}]}
{{- end }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
