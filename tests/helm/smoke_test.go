package helm

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func smokeTest(t *testing.T, objects manifests) corev1.PodSpec {
	t.Helper()
	return find[*corev1.Pod](t, objects, "waggle-test").Spec
}

// That it works, gateway_test.go shows.
func TestHelmTestIsNoPartOfTheRelease(t *testing.T) {
	objects := render(t)
	if annotations := find[*corev1.Pod](t, objects, "waggle-test").Annotations; annotations["helm.sh/hook"] != "test" {
		t.Errorf("the hook is %v", annotations)
	}
	spec := smokeTest(t, objects)
	if spec.RestartPolicy != corev1.RestartPolicyNever || *spec.ActiveDeadlineSeconds <= 0 {
		t.Error("it would go on for ever")
	}
}

func TestHelmTestSeesNoPrivateKey(t *testing.T) {
	for _, volume := range smokeTest(t, render(t, valueSets(t)["mutual-tls"])).Volumes {
		if volume.Name != "grpc-tls" && volume.Name != "webhook-tls" {
			continue
		}
		if len(volume.Secret.Items) != 1 || volume.Secret.Items[0].Key != "ca.crt" {
			t.Errorf("%s: %+v", volume.Name, volume.Secret)
		}
	}
}

func TestHelmTestShowsWhoItIs(t *testing.T) {
	for values, want := range map[string][]string{
		`{test: {token: {secretName: reader, key: bearer}}}`: {"--token-file=/token/bearer", "--tls-ca=/etc/waggle/tls/grpc/ca.crt"},
		valueSets(t)["mutual-tls"]: {"--tls-cert=/client-certificate/tls.crt", "--tls-key=/client-certificate/tls.key",
			"--tls-server-name=waggle.example.com"},
	} {
		args := smokeTest(t, render(t, values)).Containers[0].Args
		for _, arg := range want {
			if !slices.Contains(args, arg) {
				t.Errorf("no %s in %v", arg, args)
			}
		}
	}
	args := strings.Join(smokeTest(t, render(t, valueSets(t)["trial"])).Containers[0].Args, " ")
	if strings.Contains(args, "tls") || strings.Contains(args, "token") {
		t.Errorf("without access control: %s", args)
	}
}
