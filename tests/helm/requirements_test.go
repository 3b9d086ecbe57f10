package helm

import (
	"strings"
	"testing"
)

// Each is refused with a sentence that names the value and what to do.
func TestImpossibleCombinations(t *testing.T) {
	for values, want := range map[string][]string{
		`{replicaCount: 2}`:               {"replicaCount is 2", "embedded store belongs to one process", "set replicaCount to 1"},
		`{autoscaling: {enabled: true}}`:  {"autoscaling.enabled", "embedded store belongs to one process"},
		`{tls: {grpc: {secretName: ""}}}`: {"/etc/waggle/tls/grpc/tls.crt", "name one in tls.grpc.secretName"},
		`{config: {webhook: {tls: {certificate_file: /etc/waggle/tls/webhook/tls.crt, key_file: /etc/waggle/tls/webhook/tls.key}}}}`: {
			"/etc/waggle/tls/webhook/tls.crt", "name one in tls.webhook.secretName"},
		`{signingKeys: {secretName: ""}}`:             {"/etc/waggle/signing-keys/bindbee", "name one in signingKeys.secretName"},
		`{access: {secretName: ""}}`:                  {"/etc/waggle/access/access.yaml", "access.secretName"},
		`{tls: {webhook: {secretName: certificate}}}`: {"tls.webhook.secretName is \"certificate\"", "config names no file in /etc/waggle/tls/webhook/"},
		`{signingKeys: {values: {other: key}}}`:       {"signingKeys.values has no \"bindbee\""},
		`{jwks: {values: {jwks.json: "{}"}}}`:         {"jwks has content", "/etc/waggle/jwks/"},
		`{config: {webhook: {endpoints: [{name: a, signing_key_files: [/etc/keys/a]}]}}}`: {
			"/etc/keys/a, which is in no volume", "/etc/waggle/signing-keys/", "extraVolumeMounts"},
		`{config: {grpc: {tls: null}}}`:                                                 {"config.grpc.tls is missing", "insecure"},
		`{config: {security: null}}`:                                                    {"config.security.access_file is missing", "insecure"},
		`{config: {grpc: {tls: {client_certificates: required}}}}`:                      {"client_certificates needs client_ca_file", "tls.clientCa.secretName"},
		`{config: {grpc: {listen: "127.0.0.1:50051"}}}`:                                 {"config.grpc.listen is \"127.0.0.1:50051\"", "write \":50051\""},
		`{config: {admin: {listen: "localhost:8081"}}}`:                                 {"config.admin.listen", "write \":8081\""},
		`{config: {webhook: {listen: ":0"}}}`:                                           {"config.webhook.listen", "write \":8080\""},
		`{config: {webhook: {listen: ":8081"}}}`:                                        {"the port of another door"},
		`{config: {store: {path: waggle-data}}}`:                                        {"config.store.path", "/var/lib/waggle"},
		`{config: {store: {max_size: 15GiB}}}`:                                          {"config.store.max_size is 15GiB", "persistence.size is 15Gi"},
		`{persistence: {size: 10G}}`:                                                    {"config.store.max_size is 10GiB", "persistence.size is 10G"},
		`{persistence: {enabled: false, existingClaim: data}}`:                          {"persistence.existingClaim", "persistence.enabled"},
		`{service: {webhook: {externalTrafficPolicy: Local}}}`:                          {"service.webhook.externalTrafficPolicy", "ClusterIP"},
		`{service: {grpc: {type: NodePort, loadBalancerSourceRanges: [192.0.2.0/24]}}}`: {"service.grpc.loadBalancerSourceRanges", "NodePort"},
		`{ingress: {enabled: true}}`:                                                    {"ingress.hosts is empty"},
		`{httpRoute: {enabled: true}}`:                                                  {"httpRoute.parentRefs is empty"},
		`{serviceMonitor: {enabled: true}}`:                                             {"serviceMonitor.token.secretName"},
	} {
		got := refused(t, values)
		if !strings.Contains(got, "these values cannot work:\n- ") {
			t.Errorf("%s: not by a sentence: %s", values, got)
		}
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: no %q in %s", values, part, got)
			}
		}
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	got := refused(t, `{replicaCount: 3, ingress: {enabled: true}}`)
	if strings.Count(got, "\n- ") != 2 {
		t.Error(got)
	}
}
