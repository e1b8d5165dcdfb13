{{/* Names and labels. A component is operator, worker, api, migrate, postgres, valkey or test; a worker has a brand too. */}}

{{- define "solarinvest.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if or (contains $name .Release.Name) (contains "solarinvest" .Release.Name) -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "component" "worker" "brand" "solis") ▶ what a selector may use: never changes over the life of a release. */}}
{{- define "solarinvest.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .brand }}
monitor.solarinvest.info/brand: {{ . }}
{{- end }}
{{- end -}}

{{- define "solarinvest.labels" -}}
{{ include "solarinvest.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* (dict "root" $ "component" "worker" "brand" "solis") ▶ solarinvest-worker-solis */}}
{{- define "solarinvest.name" -}}
{{- list (include "solarinvest.fullname" .root) .component .brand | compact | join "-" -}}
{{- end -}}

{{/* (dict "root" $ "component" "worker" "brand" "solis") ▶ the lines of metadata that every object has. */}}
{{- define "solarinvest.metadata" -}}
name: {{ include "solarinvest.name" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "solarinvest.labels" . | nindent 2 }}
{{- end -}}

{{/* (dict "image" .Values.image "tag" "0.1.0") ▶ the reference of an image. */}}
{{- define "solarinvest.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .tag) -}}
{{- end -}}
{{- end -}}

{{- define "solarinvest.operatorServiceAccount" -}}
{{- .Values.operator.serviceAccount.name | default (ternary (include "solarinvest.name" (dict "root" . "component" "operator")) "default" .Values.operator.serviceAccount.create) -}}
{{- end -}}

{{- define "solarinvest.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "solarinvest.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}
