package helm

import (
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func TestHTTPRouteIsOffByDefault(t *testing.T) {
	wantNone[*gatewayv1.HTTPRoute](t, render(t))
}

func TestHTTPRouteTakesWebhooksAndNothingElse(t *testing.T) {
	route := find[*gatewayv1.HTTPRoute](t, render(t, valueSets(t)["gateway-api"], `{service: {webhook: {port: 80}}}`), "waggle")
	parent := route.Spec.ParentRefs[0]
	if parent.Name != "public" || *parent.Namespace != "gateways" || *parent.SectionName != "https" {
		t.Errorf("the parent is %+v", parent)
	}
	if len(route.Spec.Hostnames) != 2 || route.Annotations["example.com/owner"] != "platform" || len(route.Spec.Rules) != 1 {
		t.Errorf("the route is %+v", route)
	}
	rule := route.Spec.Rules[0]
	if len(rule.Matches) != 1 || *rule.Matches[0].Path.Type != gatewayv1.PathMatchPathPrefix || *rule.Matches[0].Path.Value != "/webhooks" {
		t.Errorf("it takes %+v", rule.Matches)
	}
	if backend := rule.BackendRefs[0]; backend.Name != "waggle-webhook" || *backend.Port != 80 {
		t.Errorf("it leads to %+v", backend)
	}
}
