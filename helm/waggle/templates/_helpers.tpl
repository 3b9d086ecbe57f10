{{- define "waggle.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for the longest suffix, "-grpc-headless", and what a StatefulSet appends. */}}
{{- define "waggle.fullname" -}}
{{- $name := include "waggle.name" . }}
{{- if .Values.fullnameOverride }}
{{- $name = .Values.fullnameOverride }}
{{- else if not (contains $name .Release.Name) }}
{{- $name = printf "%s-%s" .Release.Name $name }}
{{- else }}
{{- $name = .Release.Name }}
{{- end }}
{{- $name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Immutable in a StatefulSet. */}}
{{- define "waggle.selectorLabels" -}}
app.kubernetes.io/name: {{ include "waggle.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "waggle.testLabels" -}}
app.kubernetes.io/name: {{ include "waggle.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: test
{{- end }}

{{/* What all objects have beside their name, instance and component. */}}
{{- define "waggle.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "waggle.labels" -}}
{{ include "waggle.selectorLabels" . }}
{{ include "waggle.commonLabels" . }}
{{- end }}

{{- define "waggle.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- define "waggle.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "waggle.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The port of an address of the configuration. */}}
{{- define "waggle.port" -}}
{{- regexFind "[0-9]+$" . }}
{{- end }}

{{/* A duration of the configuration in whole seconds. */}}
{{- define "waggle.seconds" -}}
{{- $units := dict "ns" 1e-9 "us" 1e-6 "ms" 1e-3 "s" 1.0 "m" 60.0 "h" 3600.0 }}
{{- $seconds := 0.0 }}
{{- range regexFindAll "[0-9.]+(ns|us|ms|s|m|h)" . -1 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- $seconds = addf $seconds (mulf (trimSuffix $unit . | float64) (get $units $unit)) }}
{{- end }}
{{- ceil $seconds }}
{{- end }}

{{/* A size of the configuration (10GiB) or of Kubernetes (10Gi, 10G) in MiB, rounded down. */}}
{{- define "waggle.mebibytes" -}}
{{- $units := dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 }}
{{- $text := . | toString | trimSuffix "B" }}
{{- if kindIs "float64" . }}{{ $text = printf "%.0f" . }}{{ end }}
{{- $number := regexFind "^[0-9.]+" $text }}
{{- divf (mulf (float64 $number) (get $units (trimPrefix $number $text))) 1048576.0 | floor }}
{{- end }}

{{/* The files that the configuration names, as a JSON array. */}}
{{- define "waggle.files" -}}
{{- $config := .Values.config }}
{{- $files := list }}
{{- range dig "webhook" "endpoints" list $config }}
{{- $files = concat $files .signing_key_files }}
{{- end }}
{{- range $door := list "webhook" "grpc" "admin" }}
{{- range $key := list "certificate_file" "key_file" "client_ca_file" }}
{{- $files = append $files (dig $door "tls" $key "" $config) }}
{{- end }}
{{- end }}
{{- $files = append $files (dig "security" "access_file" "" $config) }}
{{- $files = append $files (dig "security" "jwt" "jwks_file" "" $config) }}
{{- $files | compact | uniq | toJson }}
{{- end }}

{{/*
The Secrets that the chart knows, as a JSON array: where in the values each is
("path"), its volume ("volume"), its folder ("folder"), the files of it that the
configuration names ("files"), its content if it is given ("values"), and its
name ("secretName").
*/}}
{{- define "waggle.sources" -}}
{{- $fullname := include "waggle.fullname" . }}
{{- $access := dict "secretName" .Values.access.secretName "values" dict }}
{{- with .Values.access.principals }}
{{- $_ := set $access "values" (dict "access.yaml" (dict "principals" . | toYaml)) }}
{{- end }}
{{- $files := include "waggle.files" . | fromJsonArray }}
{{- $sources := list }}
{{- range list
  (list "signingKeys" "signing-keys" "signing-keys" .Values.signingKeys)
  (list "access" "access" "access" $access)
  (list "tls.webhook" "webhook-tls" "tls/webhook" .Values.tls.webhook)
  (list "tls.grpc" "grpc-tls" "tls/grpc" .Values.tls.grpc)
  (list "tls.admin" "admin-tls" "tls/admin" .Values.tls.admin)
  (list "tls.clientCa" "client-ca" "tls/client-ca" .Values.tls.clientCa)
  (list "jwks" "jwks" "jwks" .Values.jwks) }}
{{- $volume := index . 1 }}
{{- $folder := printf "/etc/waggle/%s/" (index . 2) }}
{{- $source := index . 3 }}
{{- $named := list }}
{{- range $files }}
{{- if hasPrefix $folder . }}{{ $named = append $named (trimPrefix $folder .) }}{{ end }}
{{- end }}
{{- $sources = append $sources (dict
  "path" (index . 0)
  "volume" $volume
  "folder" $folder
  "files" $named
  "values" $source.values
  "secretName" (ternary (printf "%s-%s" $fullname $volume) $source.secretName (not (empty $source.values)))) }}
{{- end }}
{{- toJson $sources }}
{{- end }}

{{/* Whether the gateway asks subscribers who they are. */}}
{{- define "waggle.asksWho" -}}
{{- dig "security" "access_file" "" .Values.config }}
{{- end }}

{{/*
Those of extraVolumeMounts that `helm test` needs, as a JSON array: with the key
that it signs with, or with what verifies a certificate.
*/}}
{{- define "waggle.testMounts" -}}
{{- $config := .Values.config }}
{{- $files := list (first (first $config.webhook.endpoints).signing_key_files) }}
{{- range $door := list "webhook" "grpc" }}
{{- $files = append $files (dig $door "tls" "certificate_file" "" $config) }}
{{- end }}
{{- $mounts := list }}
{{- range $mount := .Values.extraVolumeMounts }}
{{- range $files }}
{{- if hasPrefix (printf "%s/" (trimSuffix "/" $mount.mountPath)) . }}{{ $mounts = append $mounts $mount }}{{ end }}
{{- end }}
{{- end }}
{{- $mounts | uniq | toJson }}
{{- end }}

{{/* What the containers of `helm test` have in common; ends within volumeMounts. */}}
{{- define "waggle.testContainer" -}}
resources:
  requests: {cpu: 10m, memory: 32Mi}
  limits: {cpu: 500m, memory: 128Mi}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- with include "waggle.testMounts" . | fromJsonArray }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
