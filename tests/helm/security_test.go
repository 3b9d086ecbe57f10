package helm

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// Beyond the Pod Security Standard (kubernetes_test.go).
func TestTheContainerIsHardened(t *testing.T) {
	objects := render(t)
	for _, spec := range []corev1.PodSpec{pod(t, objects), smokeTest(t, objects)} {
		if spec.HostNetwork || spec.HostPID || spec.HostIPC {
			t.Error("it is in a namespace of the node")
		}
		if user := *spec.SecurityContext.RunAsUser; user < 10000 || *spec.SecurityContext.RunAsGroup < 10000 {
			t.Errorf("it is user %d, who may be somebody on the node", user)
		}
		for _, container := range slices.Concat(spec.Containers, spec.InitContainers) {
			context := container.SecurityContext
			if !*context.ReadOnlyRootFilesystem || *context.AllowPrivilegeEscalation ||
				!slices.Equal(context.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(context.Capabilities.Add) != 0 {
				t.Errorf("%s: %+v", container.Name, context)
			}
			if container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero() ||
				container.Resources.Requests.Memory().IsZero() {
				t.Errorf("%s: %+v", container.Name, container.Resources)
			}
			if !slices.Contains([]corev1.PullPolicy{corev1.PullIfNotPresent, corev1.PullAlways}, container.ImagePullPolicy) {
				t.Errorf("%s is pulled %s", container.Name, container.ImagePullPolicy)
			}
		}
	}
	if *pod(t, objects).SecurityContext.FSGroupChangePolicy != corev1.FSGroupChangeOnRootMismatch {
		t.Error("each start walks through the volume")
	}
}

// With a read-only root, the volume and /tmp are all that is written to.
func TestWhatIsWritable(t *testing.T) {
	for _, mount := range container(t, render(t)).VolumeMounts {
		if !mount.ReadOnly && mount.MountPath != "/var/lib/waggle" && mount.MountPath != "/tmp" {
			t.Errorf("%s is writable", mount.MountPath)
		}
	}
	if tmp := volumeAt(t, pod(t, render(t)), "/tmp"); tmp.EmptyDir == nil || tmp.EmptyDir.SizeLimit.IsZero() {
		t.Errorf("/tmp is %+v", tmp)
	}
}

func TestThePlatformChoosesTheUser(t *testing.T) {
	context := pod(t, render(t, valueSets(t)["random-user"])).SecurityContext
	if context.RunAsUser != nil || context.RunAsGroup != nil || context.FSGroup != nil || !*context.RunAsNonRoot {
		t.Errorf("the context is %+v", context)
	}
}
