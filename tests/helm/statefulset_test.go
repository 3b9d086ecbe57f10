package helm

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

func gateway(t *testing.T, objects manifests) *appsv1.StatefulSet {
	t.Helper()
	return find[*appsv1.StatefulSet](t, objects, "waggle")
}

func pod(t *testing.T, objects manifests) corev1.PodSpec {
	t.Helper()
	return gateway(t, objects).Spec.Template.Spec
}

func container(t *testing.T, objects manifests) corev1.Container {
	t.Helper()
	return pod(t, objects).Containers[0]
}

func mountOf(container corev1.Container, path string) (corev1.VolumeMount, bool) {
	i := slices.IndexFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == path })
	if i < 0 {
		return corev1.VolumeMount{}, false
	}
	return container.VolumeMounts[i], true
}

func volumeAt(t *testing.T, spec corev1.PodSpec, path string) *corev1.Volume {
	t.Helper()
	mount, ok := mountOf(spec.Containers[0], path)
	if !ok {
		return nil
	}
	for i := range spec.Volumes {
		if spec.Volumes[i].Name == mount.Name {
			return &spec.Volumes[i]
		}
	}
	return nil
}

func TestOneStatefulSetOfOnePod(t *testing.T) {
	objects := render(t)
	set := gateway(t, objects)
	if *set.Spec.Replicas != 1 {
		t.Errorf("%d replicas", *set.Spec.Replicas)
	}
	if len(all[*appsv1.StatefulSet](objects)) != 1 {
		t.Error("several StatefulSets")
	}
	wantNone[*appsv1.Deployment](t, objects)
	wantNone[*autoscalingv2.HorizontalPodAutoscaler](t, objects)
	headless := find[*corev1.Service](t, objects, set.Spec.ServiceName)
	if headless.Spec.ClusterIP != corev1.ClusterIPNone {
		t.Errorf("the governing Service %s is not headless", headless.Name)
	}
	if set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
		t.Error("a pod that never becomes ready blocks the upgrade that mends it")
	}
}

func TestDataIsInAClaimOfThePodsOwn(t *testing.T) {
	objects := render(t, `{persistence: {storageClassName: fast, size: 20Gi, accessModes: [ReadWriteOncePod],
		annotations: {a: b}, labels: {c: d}}}`)
	claims := gateway(t, objects).Spec.VolumeClaimTemplates
	if len(claims) != 1 || claims[0].Name != "data" {
		t.Fatalf("claims: %v", claims)
	}
	claim := claims[0]
	if *claim.Spec.StorageClassName != "fast" || claim.Spec.Resources.Requests.Storage().String() != "20Gi" ||
		!slices.Equal(claim.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}) ||
		claim.Annotations["a"] != "b" || claim.Labels["c"] != "d" {
		t.Errorf("the claim is %+v", claim)
	}
	if mount, ok := mountOf(container(t, objects), "/var/lib/waggle"); !ok || mount.Name != "data" || mount.SubPath != "" {
		t.Errorf("mounted as %+v", mount)
	}
}

func TestTheClustersStorageClassByDefault(t *testing.T) {
	if class := gateway(t, render(t)).Spec.VolumeClaimTemplates[0].Spec.StorageClassName; class != nil {
		t.Errorf("the storage class is %q", *class)
	}
	class := gateway(t, render(t, `{persistence: {storageClassName: "-"}}`)).Spec.VolumeClaimTemplates[0].Spec.StorageClassName
	if class == nil || *class != "" {
		t.Errorf("the storage class of none is %v", class)
	}
}

func TestAnExistingClaim(t *testing.T) {
	objects := render(t, valueSets(t)["existing-claim"])
	if claims := gateway(t, objects).Spec.VolumeClaimTemplates; len(claims) != 0 {
		t.Errorf("claims of its own: %v", claims)
	}
	volume := volumeAt(t, pod(t, objects), "/data/events")
	if volume == nil || volume.PersistentVolumeClaim.ClaimName != "waggle-restored" {
		t.Errorf("the data is in %+v", volume)
	}
}

func TestATrialWithoutAVolume(t *testing.T) {
	objects := render(t, `{persistence: {enabled: false}}`)
	if claims := gateway(t, objects).Spec.VolumeClaimTemplates; len(claims) != 0 {
		t.Errorf("claims: %v", claims)
	}
	if volume := volumeAt(t, pod(t, objects), "/var/lib/waggle"); volume == nil || volume.EmptyDir == nil {
		t.Errorf("the data is in %+v", volume)
	}
}

// What a StatefulSet does not let an upgrade change stays the same.
func TestAnUpgradeOfTheChartChangesNothingImmutable(t *testing.T) {
	set := gateway(t, render(t, `{commonLabels: {team: platform}, podLabels: {a: b}}`))
	for place, labels := range map[string]map[string]string{
		"the selector": set.Spec.Selector.MatchLabels,
		"the claim":    set.Spec.VolumeClaimTemplates[0].Labels,
	} {
		for label := range labels {
			if strings.Contains(label, "version") || strings.Contains(label, "chart") || label == "team" || label == "a" {
				t.Errorf("%s has %s", place, label)
			}
		}
	}
	for label, value := range set.Spec.Selector.MatchLabels {
		if set.Spec.Template.Labels[label] != value {
			t.Errorf("the selector does not find the pod by %s", label)
		}
	}
}

func TestImage(t *testing.T) {
	for values, want := range map[string]string{
		`{}`:                    "waggle:0.1.0",
		`{image: {tag: "1.2"}}`: "waggle:1.2",
		`{image: {repository: registry.example.com/waggle, tag: "1.2",
			digest: "sha256:` + strings.Repeat("0a", 32) + `"}}`: "registry.example.com/waggle@sha256:" + strings.Repeat("0a", 32),
	} {
		objects := render(t, values)
		if got := container(t, objects).Image; got != want {
			t.Errorf("%s: %s", values, got)
		}
		smoke := smokeTest(t, objects)
		if smoke.Containers[0].Image != want || smoke.InitContainers[0].Image != want {
			t.Errorf("%s: helm test has another image", values)
		}
	}
	if secrets := pod(t, render(t, `{imagePullSecrets: [{name: registry}]}`)).ImagePullSecrets; len(secrets) != 1 || secrets[0].Name != "registry" {
		t.Errorf("imagePullSecrets: %v", secrets)
	}
}

func TestNames(t *testing.T) {
	for values, want := range map[string]string{
		`{fullnameOverride: events}`: "events",
		`{nameOverride: gateway}`:    "waggle-gateway",
		// With the longest suffix it is still a name.
		`{fullnameOverride: ` + strings.Repeat("a", 60) + `}`: strings.Repeat("a", 40),
	} {
		objects := render(t, values)
		find[*appsv1.StatefulSet](t, objects, want)
		find[*corev1.Service](t, objects, want+"-grpc-headless")
	}
}

func TestNamesThatAreNoTextToYAML(t *testing.T) {
	out, err := helm(t, []string{`{nameOverride: "true", fullnameOverride: waggle}`}, "template", "123", chart, "--kube-version", newest)
	if err != nil {
		t.Fatal(err)
	}
	labels := gateway(t, decode(t, out)).Spec.Template.Labels
	if labels["app.kubernetes.io/name"] != "true" || labels["app.kubernetes.io/instance"] != "123" {
		t.Errorf("labels: %v", labels)
	}
}
