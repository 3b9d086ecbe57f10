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

// Another one's claim might be held by the gateway's node.
func TestHelmTestMountsOfExtraVolumesWhatItNeeds(t *testing.T) {
	spec := smokeTest(t, render(t, `
config: {webhook: {endpoints: [{name: bindbee, signing_key_files: [/mnt/vault/bindbee]}]}}
extraVolumes: [{name: vault, emptyDir: {}}, {name: backup, persistentVolumeClaim: {claimName: backup}}]
extraVolumeMounts: [{name: vault, mountPath: /mnt/vault}, {name: backup, mountPath: /backup}]
`))
	named := func(name string) bool {
		return slices.ContainsFunc(spec.Volumes, func(volume corev1.Volume) bool { return volume.Name == name })
	}
	if _, mounted := mountOf(spec.InitContainers[0], "/mnt/vault"); !mounted || !named("vault") {
		t.Errorf("the key is in none of %+v", spec.Volumes)
	}
	if _, mounted := mountOf(spec.Containers[0], "/backup"); mounted || named("backup") {
		t.Errorf("the backup is one of %+v", spec.Volumes)
	}
}
