package helm

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

func TestIngressIsOffByDefault(t *testing.T) {
	wantNone[*networkingv1.Ingress](t, render(t))
}

func TestIngressTakesWebhooksAndNothingElse(t *testing.T) {
	ingress := find[*networkingv1.Ingress](t, render(t, `
ingress:
  enabled: true
  className: nginx
  annotations: {a: b}
  hosts: [one.example.com, two.example.com]
  tls: [{secretName: certificate, hosts: [one.example.com]}]
`), "waggle")
	if *ingress.Spec.IngressClassName != "nginx" || ingress.Annotations["a"] != "b" ||
		ingress.Spec.TLS[0].SecretName != "certificate" || len(ingress.Spec.Rules) != 2 {
		t.Errorf("the Ingress is %+v", ingress)
	}
	for _, rule := range ingress.Spec.Rules {
		if len(rule.HTTP.Paths) != 1 {
			t.Errorf("paths: %v", rule.HTTP.Paths)
		}
		path := rule.HTTP.Paths[0]
		if path.Path != "/webhooks" || *path.PathType != networkingv1.PathTypePrefix ||
			path.Backend.Service.Name != "waggle-webhook" || path.Backend.Service.Port.Name != "webhook" {
			t.Errorf("%s leads to %+v", rule.Host, path)
		}
	}
}
