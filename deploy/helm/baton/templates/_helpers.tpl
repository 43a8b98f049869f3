{{- define "baton.version" -}}
{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "baton.image" -}}
{{ .Values.image.repository }}:{{ include "baton.version" . }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "baton.tracesPort" -}}
{{ regexFind "[0-9]+$" (urlParse .Values.traces.endpoint).host }}
{{- end }}

{{- define "baton.labels" -}}
app.kubernetes.io/name: baton
app.kubernetes.io/part-of: baton
app.kubernetes.io/version: {{ include "baton.version" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
