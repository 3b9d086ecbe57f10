package helm

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestNetworkPolicyIsOffByDefault(t *testing.T) {
	wantNone[*networkingv1.NetworkPolicy](t, render(t))
}

// selects tells whether a selector is there and matches.
func selects(t *testing.T, selector *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	if selector == nil {
		return false
	}
	matcher, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return matcher.Matches(labels.Set(of))
}

func TestNetworkPolicyLetsInWhoIsListed(t *testing.T) {
	objects := render(t, `{networkPolicy: {enabled: true}}`)
	policy := find[*networkingv1.NetworkPolicy](t, objects, "waggle")
	if !selects(t, &policy.Spec.PodSelector, gateway(t, objects).Spec.Template.Labels) {
		t.Error("it is not about the gateway")
	}
	if !slices.Equal(policy.Spec.PolicyTypes, []networkingv1.PolicyType{"Ingress", "Egress"}) || len(policy.Spec.Egress) != 0 {
		t.Errorf("something is let out: %+v", policy.Spec)
	}
	smoke := find[*corev1.Pod](t, objects, "waggle-test").Labels
	doors := map[string]bool{}
	for _, rule := range policy.Spec.Ingress {
		door := rule.Ports[0].Port.StrVal
		doors[door] = true
		if len(rule.Ports) != 1 || len(rule.From) == 0 {
			t.Errorf("%s is open: %+v", door, rule)
		}
		for namespace, want := range map[string]string{"ingress-nginx": "webhook", "monitoring": "admin", "payroll": "grpc"} {
			of := map[string]string{"kubernetes.io/metadata.name": namespace}
			if namespace == "payroll" {
				of["waggle.dev/subscriber"] = "true"
			}
			in := slices.ContainsFunc(rule.From, func(peer networkingv1.NetworkPolicyPeer) bool {
				return selects(t, peer.NamespaceSelector, of)
			})
			if in != (want == door) {
				t.Errorf("%s comes to %s: %v", namespace, door, in)
			}
		}
		tests := slices.ContainsFunc(rule.From, func(peer networkingv1.NetworkPolicyPeer) bool {
			return peer.NamespaceSelector == nil && selects(t, peer.PodSelector, smoke)
		})
		if tests != (door != "admin") {
			t.Errorf("helm test comes to %s: %v", door, tests)
		}
	}
	if len(doors) != 3 {
		t.Errorf("doors: %v", doors)
	}
}

// A rule with an empty list would let everybody in.
func TestNetworkPolicyOfNobody(t *testing.T) {
	policy := find[*networkingv1.NetworkPolicy](t, render(t, `{networkPolicy: {enabled: true, webhook: [], grpc: [], admin: []}}`), "waggle")
	if len(policy.Spec.Ingress) != 2 {
		t.Errorf("rules: %+v", policy.Spec.Ingress)
	}
	for _, rule := range policy.Spec.Ingress {
		if len(rule.From) != 1 || rule.From[0].PodSelector == nil || rule.From[0].NamespaceSelector != nil {
			t.Errorf("%+v lets in more than helm test", rule)
		}
	}
}
