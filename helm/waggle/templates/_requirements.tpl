{{/*
What no schema can say: the combinations that cannot work, each as a sentence
with what to do, in lines that begin with "- ".
*/}}
{{- define "waggle.problems" -}}
{{- $values := .Values }}
{{- $config := .Values.config }}
{{- $sources := include "waggle.sources" . | fromJsonArray }}

{{- if not (regexMatch "^[a-z][-a-z0-9]*$" (include "waggle.fullname" .)) }}
- the release is called {{ .Release.Name | quote }}, and so would its Services be, whose names begin with a letter and have no dots: choose another, or set fullnameOverride.
{{- end }}
{{- range $place := list "commonLabels" "podLabels" }}
{{- range $label := include "waggle.selectorLabels" $ | fromYaml | keys | sortAlpha }}
{{- if hasKey (get $values $place) $label }}
- {{ $place }} has {{ $label }}, by which Services find the pod: leave it out; nameOverride changes app.kubernetes.io/name.
{{- end }}
{{- end }}
{{- end }}

{{- if gt (int $values.replicaCount) 1 }}
- replicaCount is {{ $values.replicaCount }}, but the embedded store belongs to one process: set replicaCount to 1.
{{- end }}
{{- if $values.autoscaling.enabled }}
- autoscaling.enabled: the embedded store belongs to one process, so there is nothing to scale: set it to false, and raise resources instead.
{{- end }}

{{- $ports := list }}
{{- range $door, $port := dict "webhook" ":8080" "grpc" ":50051" "admin" ":8081" }}
{{- $listen := dig $door "listen" "" $config }}
{{- if not (regexMatch "^(0\\.0\\.0\\.0|\\[::\\])?:[1-9][0-9]*$" $listen) }}
- config.{{ $door }}.listen is {{ $listen | quote }}, where nothing outside the pod's own network finds it: write {{ $port | quote }}.
{{- else if has (include "waggle.port" $listen) $ports }}
- config.{{ $door }}.listen is {{ $listen | quote }}, the port of another door: give each its own, such as {{ $port | quote }}.
{{- else }}
{{- $ports = append $ports (include "waggle.port" $listen) }}
{{- $number := include "waggle.port" $listen | int }}
{{- if gt $number 65535 }}
- config.{{ $door }}.listen is {{ $listen | quote }}, which is no port: write {{ $port | quote }}.
{{- else if and (lt $number 1024) (not $values.podSecurityContext.sysctls) }}
- config.{{ $door }}.listen is {{ $listen | quote }}, a port that only root may listen on: write {{ $port | quote }}, and set service.{{ $door }}.port to {{ $number }}.
{{- end }}
{{- end }}
{{- end }}

{{- $names := list }}
{{- range $config.webhook.endpoints }}
{{- if has .name $names }}
- config.webhook.endpoints has two that are called {{ .name | quote }}: list the files of both in the signing_key_files of one, or rename one.
{{- end }}
{{- $names = append $names .name }}
{{- end }}

{{- if not $values.insecure }}
{{- if not (include "waggle.asksWho" .) }}
- config.security.access_file is missing, so everybody in the cluster could read every event: write /etc/waggle/access/access.yaml and name its Secret in access.secretName; or, for a trial where nobody else is, set insecure to true.
{{- end }}
{{- if not (dig "grpc" "tls" "" $config) }}
- config.grpc.tls is missing, so everybody on the way could read along: write certificate_file and key_file in /etc/waggle/tls/grpc and name their Secret in tls.grpc.secretName; or, for a trial where nobody else is, set insecure to true.
{{- end }}
{{- end }}
{{- if and (has (dig "grpc" "tls" "client_certificates" "off" $config) (list "optional" "required")) (not (dig "grpc" "tls" "client_ca_file" "" $config)) }}
- config.grpc.tls.client_certificates needs client_ca_file, who issues them: write /etc/waggle/tls/client-ca/ca.crt and name its Secret in tls.clientCa.secretName.
{{- else if and (eq (dig "grpc" "tls" "client_certificates" "off" $config) "off") (dig "grpc" "tls" "client_ca_file" "" $config) }}
- config.grpc.tls.client_ca_file has no effect while client_certificates is off: write optional or required, or leave it out.
{{- end }}
{{- if and (include "waggle.asksWho" .) (dig "grpc" "reflection" false $config) }}
- config.grpc.reflection asks nobody who they are, so it cannot be on together with config.security.access_file: leave it out.
{{- end }}

{{- range $file := include "waggle.files" . | fromJsonArray }}
{{- $held := false }}
{{- range $sources }}
{{- if hasPrefix .folder $file }}{{ $held = true }}{{ end }}
{{- end }}
{{- range $values.extraVolumeMounts }}
{{- if hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) $file }}{{ $held = true }}{{ end }}
{{- end }}
{{- if not $held }}
- config names the file {{ $file }}, which is in no volume: put it into the folder of a Secret that the chart mounts ({{ range $i, $s := $sources }}{{ if $i }}, {{ end }}{{ $s.folder }}{{ end }}), or mount one by extraVolumes and extraVolumeMounts.
{{- end }}
{{- end }}
{{- range $source := $sources }}
{{- if $source.files }}
{{- if not $source.secretName }}
- config names {{ $source.folder }}{{ first $source.files }}, but no Secret has it: name one in {{ $source.path }}.secretName.
{{- end }}
{{- range $source.files }}
{{- if contains "/" . }}
- config names {{ $source.folder }}{{ . }}, but a Secret has no folders: write {{ $source.folder }}{{ base . }}.
{{- else if and $source.values (not (hasKey $source.values .)) }}
- config names {{ $source.folder }}{{ . }}, but {{ $source.path }}.values has no {{ . | quote }}.
{{- end }}
{{- end }}
{{- else if $source.values }}
- {{ $source.path }} has content, but config names no file in {{ $source.folder }}: name it there, or leave out {{ $source.path }}.
{{- else if and $source.secretName (has $source.path (list "tls.webhook" "tls.admin" "tls.clientCa" "jwks")) }}
- {{ $source.path }}.secretName is {{ $source.secretName | quote }}, but config names no file in {{ $source.folder }}: name it there, or leave out the Secret.
{{- end }}
{{- end }}

{{- $path := dig "store" "path" "" $config | clean }}
{{- if or (not (hasPrefix "/" $path)) (has $path (list "/" "/tmp" "/etc" "/etc/waggle")) (hasPrefix "/etc/waggle/" $path) }}
- config.store.path is {{ $config.store.path | quote }}, which is no place for a volume: write /var/lib/waggle.
{{- end }}
{{- if and $values.persistence.existingClaim (not $values.persistence.enabled) }}
- persistence.existingClaim is {{ $values.persistence.existingClaim | quote }}, but persistence.enabled is false: set it to true, or leave out the claim.
{{- end }}
{{- $max := dig "store" "max_size" "10GiB" $config }}
{{- if and $values.persistence.enabled (not $values.persistence.existingClaim) (ge (include "waggle.mebibytes" $max | float64) (include "waggle.mebibytes" $values.persistence.size | float64)) }}
- config.store.max_size is {{ toYaml $max }}, and the volume is no larger: persistence.size is {{ $values.persistence.size }}; make it half as large again.
{{- end }}

{{- $taken := list "data" "tmp" "config" "webhook" "token" "client-certificate" }}
{{- $folders := list $path "/tmp" "/etc/waggle/config" }}
{{- range $sources }}
{{- $taken = append $taken .volume }}
{{- if .files }}{{ $folders = append $folders (trimSuffix "/" .folder) }}{{ end }}
{{- end }}
{{- range $values.extraVolumes }}
{{- if has .name $taken }}
- extraVolumes has one that is called {{ .name | quote }}, as one of the chart's own: rename it.
{{- end }}
{{- $taken = append $taken .name }}
{{- end }}
{{- range $values.extraVolumeMounts }}
{{- if not (has .name $taken) }}
- extraVolumeMounts names the volume {{ .name | quote }}, which extraVolumes does not have: add it there.
{{- end }}
{{- if has (clean .mountPath) $folders }}
- extraVolumeMounts has {{ .mountPath }}, where the chart mounts a volume of its own: choose another place, and name that in config.
{{- end }}
{{- end }}

{{- range $door := list "webhook" "grpc" }}
{{- $service := get $values.service $door }}
{{- $addresses := false }}
{{- range get $values.networkPolicy $door }}
{{- if hasKey . "ipBlock" }}{{ $addresses = true }}{{ end }}
{{- end }}
{{- if and $values.networkPolicy.enabled (ne $service.type "ClusterIP") (not $addresses) }}
- service.{{ $door }}.type is {{ $service.type }}, but networkPolicy.{{ $door }} lets in pods alone: add the addresses that come from outside, such as {ipBlock: {cidr: 192.0.2.0/24}}.
{{- end }}
{{- if and $service.externalTrafficPolicy (eq $service.type "ClusterIP") }}
- service.{{ $door }}.externalTrafficPolicy has no effect with the type ClusterIP: leave it out, or set the type to LoadBalancer or NodePort.
{{- end }}
{{- if and $service.loadBalancerSourceRanges (ne $service.type "LoadBalancer") }}
- service.{{ $door }}.loadBalancerSourceRanges has no effect with the type {{ $service.type }}: leave it out, or set the type to LoadBalancer.
{{- end }}
{{- end }}
{{- if and $values.ingress.enabled (not $values.ingress.hosts) }}
- ingress.enabled: ingress.hosts is empty: name the host that Bindbee posts to.
{{- end }}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) }}
- httpRoute.enabled: httpRoute.parentRefs is empty: name the Gateway that Bindbee posts to.
{{- end }}
{{- if and $values.serviceMonitor.enabled (include "waggle.asksWho" .) (not $values.serviceMonitor.token.secretName) }}
- serviceMonitor.enabled: the gateway shows its metrics to a principal with the capability admin: name the Secret of its token in serviceMonitor.token.secretName.
{{- end }}
{{- end }}
