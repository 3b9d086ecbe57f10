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
		`{config: {grpc: {tls: null}}}`:                            {"config.grpc.tls is missing", "insecure"},
		`{config: {security: null}}`:                               {"config.security.access_file is missing", "insecure"},
		`{config: {grpc: {tls: {client_certificates: required}}}}`: {"client_certificates needs client_ca_file", "tls.clientCa.secretName"},
		`{config: {grpc: {listen: "127.0.0.1:50051"}}}`:            {"config.grpc.listen is \"127.0.0.1:50051\"", "write \":50051\""},
		`{config: {admin: {listen: "localhost:8081"}}}`:            {"config.admin.listen", "write \":8081\""},
		`{config: {webhook: {listen: ":0"}}}`:                      {"config.webhook.listen", "write \":8080\""},
		`{config: {webhook: {listen: ":8081"}}}`:                   {"the port of another door"},
		`{config: {webhook: {listen: ":70000"}}}`:                  {"config.webhook.listen", "is no port"},
		`{config: {webhook: {listen: ":443"}}}`:                    {"only root may listen", "service.webhook.port to 443"},
		`{config: {webhook: {endpoints: [{name: a, signing_key_files: [/etc/waggle/signing-keys/a]}, {name: a, signing_key_files: [/etc/waggle/signing-keys/b]}]}}}`: {
			"two that are called \"a\""},
		`{config: {webhook: {endpoints: [{name: a, signing_key_files: [/etc/waggle/signing-keys/new/a]}]}}}`: {
			"/etc/waggle/signing-keys/new/a", "write /etc/waggle/signing-keys/a"},
		`{config: {grpc: {tls: {client_ca_file: /etc/waggle/tls/client-ca/ca.crt}}}, tls: {clientCa: {secretName: ca}}}`: {
			"client_ca_file has no effect", "write optional or required"},
		`{config: {grpc: {reflection: true}}}`: {"config.grpc.reflection", "leave it out"},
		`{config: {store: {path: /tmp/}}}`:     {"config.store.path is \"/tmp/\"", "/var/lib/waggle"},
		`{commonLabels: {app.kubernetes.io/name: a}, podLabels: {app.kubernetes.io/component: a}}`: {
			"commonLabels has app.kubernetes.io/name", "podLabels has app.kubernetes.io/component"},
		`{extraVolumes: [{name: data, emptyDir: {}}]}`:          {"extraVolumes", "\"data\"", "rename it"},
		`{extraVolumeMounts: [{name: more, mountPath: /more}]}`: {"extraVolumeMounts", "\"more\"", "extraVolumes does not have"},
		`{extraVolumes: [{name: more, emptyDir: {}}], extraVolumeMounts: [{name: more, mountPath: /etc/waggle/access/}]}`: {
			"extraVolumeMounts has /etc/waggle/access/", "choose another place"},
		`{networkPolicy: {enabled: true}, service: {webhook: {type: LoadBalancer}}}`:    {"networkPolicy.webhook lets in pods alone", "ipBlock"},
		`{config: {store: {path: waggle-data}}}`:                                        {"config.store.path", "/var/lib/waggle"},
		`{config: {store: {max_size: 16106127360}}}`:                                    {"config.store.max_size is 16106127360", "persistence.size is 15Gi"},
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

func TestNamesOfReleasesThatCannotBe(t *testing.T) {
	for _, name := range []string{"1st", "waggle.events"} {
		_, err := helm(t, nil, "template", name, chart)
		if err == nil || !strings.Contains(err.Error(), "the release is called \""+name+"\"") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := helm(t, []string{"fullnameOverride: waggle"}, "template", name, chart); err != nil {
			t.Errorf("%s, otherwise called: %v", name, err)
		}
	}
}

// What only some of it makes impossible.
func TestCombinationsThatWork(t *testing.T) {
	for _, values := range []string{
		`{config: {webhook: {listen: ":443"}}, podSecurityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "0"}]}}`,
		`{networkPolicy: {enabled: true, webhook: [{ipBlock: {cidr: 192.0.2.0/24}}]}, service: {webhook: {type: LoadBalancer}}}`,
		`{config: {store: {max_age: 720h30m, max_size: 1073741824}, shutdown: {timeout: 1.5h}, stream: {linger: "0"}}}`,
	} {
		for _, object := range render(t, values) {
			for _, problem := range problems(t, object) {
				t.Errorf("%s: %v", values, problem)
			}
		}
	}
}

func TestKubernetesThatIsTooOld(t *testing.T) {
	if _, err := template(t, "1.24"); err == nil || !strings.Contains(err.Error(), "kubeVersion: >=1.25.0") {
		t.Errorf("1.24: %v", err)
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	got := refused(t, `{replicaCount: 3, ingress: {enabled: true}}`)
	if strings.Count(got, "\n- ") != 2 {
		t.Error(got)
	}
}
