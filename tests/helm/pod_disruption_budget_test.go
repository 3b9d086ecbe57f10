package helm

import (
	"testing"

	policyv1 "k8s.io/api/policy/v1"
)

func TestPodDisruptionBudgetIsOffByDefault(t *testing.T) {
	wantNone[*policyv1.PodDisruptionBudget](t, render(t))
}

func TestPodDisruptionBudgetLetsANodeBeDrained(t *testing.T) {
	objects := render(t, `{podDisruptionBudget: {enabled: true}}`)
	budget := find[*policyv1.PodDisruptionBudget](t, objects, "waggle")
	if budget.Spec.MinAvailable != nil || budget.Spec.MaxUnavailable.IntVal != 1 {
		t.Errorf("the budget is %+v", budget.Spec)
	}
	if !selects(t, budget.Spec.Selector, gateway(t, objects).Spec.Template.Labels) {
		t.Error("it is not about the gateway")
	}
}
