{{/* Environment variables, by what a role reads (docs/configuration.md). */}}

{{- define "solarinvest.env.common" -}}
- name: LOG_LEVEL
  value: {{ .Values.logLevel }}
- name: METRICS_HOST
  value: 0.0.0.0
- name: METRICS_PORT
  value: "9100"
{{- end -}}

{{/* (dict "root" $ "component" "worker") */}}
{{- define "solarinvest.env.database" -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "solarinvest.databaseSecret" .root }}
      key: {{ ternary "url" (get .root.Values.database.roleKeys .component | default .root.Values.database.existingSecretKey) .root.Values.postgres.demo.enabled }}
{{- end -}}

{{- define "solarinvest.env.redis" -}}
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "solarinvest.redisSecret" . }}
      key: {{ ternary "url" .Values.redis.existingSecretKey .Values.valkey.demo.enabled }}
{{- end -}}

{{/* The same for operator and workers: the one claims no more than the others may ask. */}}
{{- define "solarinvest.env.limits" -}}
{{- range $brand := list "solis" "huawei" "goodwe" "dele" }}
{{- with (index $.Values.workers $brand).limits }}
{{- if .requestsPerMinute }}
- name: LIMIT_{{ upper $brand }}_REQUESTS_PER_MINUTE
  value: {{ int .requestsPerMinute | quote }}
{{- end }}
{{- if .concurrency }}
- name: LIMIT_{{ upper $brand }}_CONCURRENCY
  value: {{ int .concurrency | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
