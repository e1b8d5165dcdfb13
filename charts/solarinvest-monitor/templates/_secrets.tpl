{{/* Which Secret holds what. Where none is told, and none is made for trying out, the message says what to do. */}}

{{- define "solarinvest.missing" -}}
{{- $create := printf "kubectl -n %s create secret generic" .Release.Namespace -}}
Not all that is needed is there.
{{- if not (or .Values.database.existingSecret .Values.postgres.demo.enabled) }}

- database.existingSecret is missing: there is no database. Make a Secret with its URL, and name it:
    {{ $create }} solarinvest-database --from-literal={{ .Values.database.existingSecretKey }}='postgresql://user:password@host:5432/database'
    --set database.existingSecret=solarinvest-database
  or, only to try it out: --set postgres.demo.enabled=true
{{- end }}
{{- if not (or .Values.redis.existingSecret .Values.valkey.demo.enabled) }}

- redis.existingSecret is missing: there is no queue server. Make a Secret with its URL, and name it:
    {{ $create }} solarinvest-redis --from-literal={{ .Values.redis.existingSecretKey }}='redis://:password@host:6379/0'
    --set redis.existingSecret=solarinvest-redis
  or, only to try it out: --set valkey.demo.enabled=true
{{- end }}
{{- if and .Values.api.enabled (not (or .Values.api.jwt.existingSecret .Values.postgres.demo.enabled)) }}

- api.jwt.existingSecret is missing: nothing signs the api's tokens. Make a Secret, and name it:
    {{ $create }} solarinvest-jwt --from-literal={{ .Values.api.jwt.existingSecretKey }}="$(openssl rand -hex 32)"
    --set api.jwt.existingSecret=solarinvest-jwt
  or run no api: --set api.enabled=false
{{- end }}
{{- end -}}

{{- define "solarinvest.databaseSecret" -}}
{{- if and .Values.database.existingSecret .Values.postgres.demo.enabled -}}
{{- fail "database.existingSecret and postgres.demo.enabled are both set: choose one database." -}}
{{- else if .Values.database.existingSecret -}}
{{- .Values.database.existingSecret -}}
{{- else if .Values.postgres.demo.enabled -}}
{{- include "solarinvest.name" (dict "root" . "component" "postgres") -}}
{{- else -}}
{{- fail (include "solarinvest.missing" .) -}}
{{- end -}}
{{- end -}}

{{- define "solarinvest.redisSecret" -}}
{{- if and .Values.redis.existingSecret .Values.valkey.demo.enabled -}}
{{- fail "redis.existingSecret and valkey.demo.enabled are both set: choose one queue server." -}}
{{- else if .Values.redis.existingSecret -}}
{{- .Values.redis.existingSecret -}}
{{- else if .Values.valkey.demo.enabled -}}
{{- include "solarinvest.name" (dict "root" . "component" "valkey") -}}
{{- else -}}
{{- fail (include "solarinvest.missing" .) -}}
{{- end -}}
{{- end -}}

{{- define "solarinvest.jwtSecret" -}}
{{- if .Values.api.jwt.existingSecret -}}
{{- .Values.api.jwt.existingSecret -}}
{{- else if .Values.postgres.demo.enabled -}}
{{- include "solarinvest.name" (dict "root" . "component" "jwt") -}}
{{- else -}}
{{- fail (include "solarinvest.missing" .) -}}
{{- end -}}
{{- end -}}

{{/*
(dict "root" $ "name" "solarinvest-postgres" "key" "password") ▶ what the Secret in the cluster holds under the key, else 40 random letters
and digits. So a password is made once and outlives every upgrade. What renders without a cluster (`helm template`) makes a new one each
time: this is for trying out.
*/}}
{{- define "solarinvest.kept" -}}
{{- $found := (lookup "v1" "Secret" .root.Release.Namespace .name).data | default dict -}}
{{- if hasKey $found .key -}}
{{- index $found .key | b64dec -}}
{{- else -}}
{{- randAlphaNum 40 -}}
{{- end -}}
{{- end -}}
