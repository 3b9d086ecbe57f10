{{/*
The gateway's pod, for any kind of workload: a dict of the chart's context,
"root", and a volume named "data", "dataVolume", unless the workload brings one.
*/}}
{{- define "waggle.podTemplate" -}}
{{- $root := .root }}
{{- with .root }}
{{- $sources := include "waggle.sources" . | fromJsonArray }}
{{- $config := .Values.config }}
{{- $scheme := ternary "HTTPS" "HTTP" (hasKey $config.admin "tls") }}
{{- $sleeps := and (gt (int .Values.preStopSleepSeconds) 0) (semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version) }}
metadata:
  annotations:
    # Of the configuration only: the Secrets' files are read again when they
    # change.
    checksum/config: {{ toYaml $config | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "waggle.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "waggle.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automountToken }}
  # A Service called "waggle" would set WAGGLE_ variables, which the gateway
  # takes for settings.
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  # The pause before SIGTERM, the gateway's own draining, and what is left.
  terminationGracePeriodSeconds: {{ add (int .Values.preStopSleepSeconds) (include "waggle.seconds" (dig "shutdown" "timeout" "30s" $config) | int) 10 }}
  containers:
    - name: waggle
      image: {{ include "waggle.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - serve
        - --config
        - /etc/waggle/config/waggle.yaml
        {{- if .Values.insecure }}
        - --insecure
        {{- end }}
      ports:
        - name: webhook
          containerPort: {{ include "waggle.port" $config.webhook.listen }}
        - name: grpc
          containerPort: {{ include "waggle.port" $config.grpc.listen }}
        - name: admin
          containerPort: {{ include "waggle.port" $config.admin.listen }}
      # The doors open once the store has been opened and checked, which takes
      # its time after a crash: until then nothing else probes.
      startupProbe:
        httpGet: {path: /healthz, port: admin, scheme: {{ $scheme }}}
        {{- toYaml .Values.startupProbe | nindent 8 }}
      # Not /readyz: a full disk is not mended by a restart, and subscribers are
      # still served.
      livenessProbe:
        httpGet: {path: /healthz, port: admin, scheme: {{ $scheme }}}
        {{- toYaml .Values.livenessProbe | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: admin, scheme: {{ $scheme }}}
        {{- toYaml .Values.readinessProbe | nindent 8 }}
      {{- if $sleeps }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ .Values.preStopSleepSeconds }}
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - name: data
          mountPath: {{ $config.store.path }}
        - name: tmp
          mountPath: /tmp
        - name: config
          mountPath: /etc/waggle/config
          readOnly: true
        {{- range $sources }}
        {{- if .files }}
        - name: {{ .volume }}
          mountPath: {{ trimSuffix "/" .folder }}
          readOnly: true
        {{- end }}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- with $.dataVolume }}
    - name: data
      {{- toYaml . | nindent 6 }}
    {{- end }}
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    - name: config
      configMap:
        name: {{ include "waggle.fullname" . }}
    {{- range $sources }}
    {{- if .files }}
    - name: {{ .volume }}
      secret:
        secretName: {{ .secretName }}
        # For the owner and fsGroup: the gateway warns of secrets that everybody
        # may read.
        defaultMode: 0440
    {{- end }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- $own := dict "labelSelector" (dict "matchLabels" (include "waggle.selectorLabels" $root | fromYaml)) }}
    {{- range $spread := . }}
    {{- if not (hasKey $spread "labelSelector") }}{{ $spread = merge dict $spread $own }}{{ end }}
    - {{- toYaml $spread | nindent 6 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
