{{/*
What no schema can say: the combinations that cannot work, each as a sentence
with what to do, in lines that begin with "- ".
*/}}
{{- define "waggle.problems" -}}
{{- $values := .Values }}
{{- $config := .Values.config }}
{{- $sources := include "waggle.sources" . | fromJsonArray }}

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
{{- end }}
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
{{- if and $source.values (not (hasKey $source.values .)) }}
- config names {{ $source.folder }}{{ . }}, but {{ $source.path }}.values has no {{ . | quote }}.
{{- end }}
{{- end }}
{{- else if $source.values }}
- {{ $source.path }} has content, but config names no file in {{ $source.folder }}: name it there, or leave out {{ $source.path }}.
{{- else if and $source.secretName (has $source.path (list "tls.webhook" "tls.admin" "tls.clientCa" "jwks")) }}
- {{ $source.path }}.secretName is {{ $source.secretName | quote }}, but config names no file in {{ $source.folder }}: name it there, or leave out the Secret.
{{- end }}
{{- end }}

{{- if not (hasPrefix "/" (dig "store" "path" "" $config)) }}
- config.store.path is {{ dig "store" "path" "" $config | quote }}, which names no place for a volume: write /var/lib/waggle.
{{- end }}
{{- if and $values.persistence.existingClaim (not $values.persistence.enabled) }}
- persistence.existingClaim is {{ $values.persistence.existingClaim | quote }}, but persistence.enabled is false: set it to true, or leave out the claim.
{{- end }}
{{- $max := dig "store" "max_size" "10GiB" $config }}
{{- if and $values.persistence.enabled (not $values.persistence.existingClaim) (ge (include "waggle.mebibytes" $max | float64) (include "waggle.mebibytes" $values.persistence.size | float64)) }}
- config.store.max_size is {{ $max }}, and the volume is no larger: persistence.size is {{ $values.persistence.size }}; make it half as large again.
{{- end }}

{{- range $door := list "webhook" "grpc" }}
{{- $service := get $values.service $door }}
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
