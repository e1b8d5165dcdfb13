{{/* What the pods of all roles have in common. */}}

{{/*
(dict "root" $ "own" .Values.operator) ▶ the role's settings, with those of every pod joined in: lists are joined, mappings merged, a
single value of the role wins.
*/}}
{{- define "solarinvest.settings" -}}
{{- $all := .root.Values -}}
{{- $own := .own -}}
{{- $settings := deepCopy $own -}}
{{- range list "podAnnotations" "podLabels" "nodeSelector" "affinity" -}}
{{- $_ := set $settings . (mergeOverwrite (deepCopy (get $all . | default dict)) (get $own . | default dict)) -}}
{{- end -}}
{{- range list "tolerations" "topologySpreadConstraints" "extraEnv" "extraVolumes" "extraVolumeMounts" -}}
{{- $_ := set $settings . (concat (get $all . | default list) (get $own . | default list)) -}}
{{- end -}}
{{- $_ := set $settings "priorityClassName" (get $own "priorityClassName" | default $all.priorityClassName) -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* As Pod Security's level "restricted" wants it, and no file of the image can be changed. */}}
{{- define "solarinvest.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The user's id ▶ the security context of a pod. */}}
{{- define "solarinvest.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
# PostgreSQL refuses data that its group may write to.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* (dict "root" $ "component" "worker" "brand" "solis" "settings" …) ▶ metadata of a pod. */}}
{{- define "solarinvest.podMetadata" -}}
labels:
  {{- include "solarinvest.selectorLabels" . | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  {{- with .settings.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := dict -}}
{{- if and .root.Values.monitoring.annotations (ne .component "migrate") -}}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" "9100" "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- with mergeOverwrite $annotations .settings.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "component" "worker" "settings" …) ▶ where a pod runs, and as whom. */}}
{{- define "solarinvest.podSpec" -}}
{{- $isOperator := eq .component "operator" -}}
serviceAccountName: {{ ternary (include "solarinvest.operatorServiceAccount" .root) (include "solarinvest.serviceAccount" .root) $isOperator }}
# Only the operator speaks with Kubernetes.
automountServiceAccountToken: {{ $isOperator }}
# A Service named `api` in this namespace would otherwise set API_PORT.
enableServiceLinks: false
securityContext:
  {{- include "solarinvest.podSecurity" 10001 | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 64Mi
  {{- with .settings.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* (dict "root" $ "settings" …) ▶ what every container of our image has. */}}
{{- define "solarinvest.container" -}}
image: {{ include "solarinvest.image" (dict "image" .root.Values.image "tag" .root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- include "solarinvest.containerSecurity" . | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- with .settings.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/*
(dict "root" $ "component" "worker" "brand" "solis" "own" <its values> "args" (list "worker") "env" <text>) ▶ the Deployment of a role,
its disruption budget and the Service by which its metrics are found. A pod begins once the schema is this version's; the pods before it
go on until then, so an upgrade interrupts nothing.
*/}}
{{- define "solarinvest.role" -}}
{{- $settings := include "solarinvest.settings" . | fromYaml -}}
{{- $part := merge (dict "settings" $settings) . -}}
{{- $isApi := eq .component "api" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "solarinvest.metadata" . | nindent 2 }}
spec:
  replicas: {{ int $settings.replicas }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- include "solarinvest.selectorLabels" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  template:
    metadata:
      {{- include "solarinvest.podMetadata" $part | nindent 6 }}
    spec:
      {{- include "solarinvest.podSpec" $part | nindent 6 }}
      topologySpreadConstraints:
        {{- if $settings.topologySpreadConstraints }}
        {{- toYaml $settings.topologySpreadConstraints | nindent 8 }}
        {{- else }}
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "solarinvest.selectorLabels" . | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      terminationGracePeriodSeconds: {{ int $settings.terminationGracePeriodSeconds }}
      initContainers:
        - name: wait-for-schema
          args: [migrate, --check, --timeout, {{ int .root.Values.migrate.timeoutSeconds | quote }}]
          env:
            {{- include "solarinvest.env.common" .root | nindent 12 }}
            {{- include "solarinvest.env.database" . | nindent 12 }}
          resources:
            {{- toYaml .root.Values.migrate.resources | nindent 12 }}
          {{- include "solarinvest.container" $part | nindent 10 }}
      containers:
        - name: {{ .component }}
          args: {{ toJson .args }}
          env:
            {{- include "solarinvest.env.common" .root | nindent 12 }}
            {{- include "solarinvest.env.database" . | nindent 12 }}
            {{- .env | nindent 12 }}
            {{- with $settings.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: metrics
              containerPort: 9100
            {{- if $isApi }}
            - name: http
              containerPort: 8080
            {{- end }}
          # Slow to start is not dead: importing alone takes seconds on a busy node.
          startupProbe:
            httpGet:
              path: /healthz
              port: metrics
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 60
          # Red once a loop has not come round: a server that is away is no reason to be killed, nor is a minute on a node that is too busy.
          livenessProbe:
            httpGet:
              path: /healthz
              port: metrics
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet:
              {{- if $isApi }}
              path: /api/v1/health
              port: http
              {{- else }}
              path: /readyz
              port: metrics
              {{- end }}
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 3
          {{- if $isApi }}
          lifecycle:
            preStop:
              # Until every node has stopped sending requests here.
              sleep:
                seconds: 5
          {{- end }}
          resources:
            {{- toYaml $settings.resources | nindent 12 }}
          {{- include "solarinvest.container" $part | nindent 10 }}
{{- if .root.Values.podDisruptionBudgets.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "solarinvest.metadata" . | nindent 2 }}
spec:
  # One at a time, and never none: with a single copy `minAvailable: 1` would block a drain for ever.
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "solarinvest.selectorLabels" . | nindent 6 }}
{{- end }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "solarinvest.metadata" . | nindent 2 }}
    monitor.solarinvest.info/metrics: "true"
  {{- if $isApi }}
  {{- with $settings.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
spec:
  {{- if $isApi }}
  type: {{ $settings.service.type }}
  {{- else }}
  # For finding pods, not for balancing among them. Those that are not ready are of most interest.
  clusterIP: None
  publishNotReadyAddresses: true
  {{- end }}
  selector:
    {{- include "solarinvest.selectorLabels" . | nindent 4 }}
  ports:
    - name: metrics
      port: 9100
      targetPort: metrics
    {{- if $isApi }}
    - name: http
      port: {{ int $settings.service.port }}
      targetPort: http
    {{- end }}
{{- end -}}
