package helm

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

func TestServiceAccountOfItsOwnWithoutAToken(t *testing.T) {
	objects := render(t, `{serviceAccount: {annotations: {a: b}}}`)
	account := find[*corev1.ServiceAccount](t, objects, "waggle")
	if *account.AutomountServiceAccountToken || account.Annotations["a"] != "b" {
		t.Errorf("the account is %+v", account)
	}
	spec := pod(t, objects)
	if spec.ServiceAccountName != "waggle" || *spec.AutomountServiceAccountToken {
		t.Errorf("the pod has the token of %s", spec.ServiceAccountName)
	}
	wantNone[*rbacv1.Role](t, objects)
	wantNone[*rbacv1.ClusterRole](t, objects)
}

func TestServiceAccountWithAToken(t *testing.T) {
	objects := render(t, `{serviceAccount: {automountToken: true, name: events}}`)
	if !*find[*corev1.ServiceAccount](t, objects, "events").AutomountServiceAccountToken || !*pod(t, objects).AutomountServiceAccountToken {
		t.Error("there is no token")
	}
}

func TestServiceAccountOfSomebodyElse(t *testing.T) {
	for values, want := range map[string]string{
		`{serviceAccount: {create: false, name: gateways}}`: "gateways",
		`{serviceAccount: {create: false}}`:                 "default",
	} {
		objects := render(t, values)
		wantNone[*corev1.ServiceAccount](t, objects)
		if got := pod(t, objects).ServiceAccountName; got != want {
			t.Errorf("%s: %s", values, got)
		}
	}
}
