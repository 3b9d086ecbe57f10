package helm

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestServiceMonitorIsOffByDefault(t *testing.T) {
	wantNone[*monitoringv1.ServiceMonitor](t, render(t))
}

func TestServiceMonitorReadsTheAdminDoorWithAToken(t *testing.T) {
	objects := render(t, `
serviceMonitor:
  enabled: true
  labels: {release: prometheus}
  interval: 15s
  scrapeTimeout: 5s
  token: {secretName: prometheus-token, key: bearer}
`)
	monitor := find[*monitoringv1.ServiceMonitor](t, objects, "waggle")
	if monitor.Labels["release"] != "prometheus" || len(monitor.Spec.Endpoints) != 1 {
		t.Errorf("the ServiceMonitor is %+v", monitor)
	}
	for _, service := range all[*corev1.Service](objects) {
		if found := selects(t, &monitor.Spec.Selector, service.Labels); found != (service.Name == "waggle-admin") {
			t.Errorf("it reads %s: %v", service.Name, found)
		}
	}
	endpoint := monitor.Spec.Endpoints[0]
	if endpoint.Port != "admin" || endpoint.Path != "/metrics" || *endpoint.Scheme != "http" ||
		endpoint.Interval != "15s" || endpoint.ScrapeTimeout != "5s" {
		t.Errorf("it reads %+v", endpoint)
	}
	if token := endpoint.Authorization.Credentials; token.Name != "prometheus-token" || token.Key != "bearer" {
		t.Errorf("the token is %+v", token)
	}
}

// The alerts go by the gateway's label of that name.
func TestServiceMonitorKeepsTheGatewaysEndpoint(t *testing.T) {
	endpoint := find[*monitoringv1.ServiceMonitor](t, render(t, valueSets(t)["mutual-tls"]), "waggle").Spec.Endpoints[0]
	if len(endpoint.RelabelConfigs) != 1 || endpoint.RelabelConfigs[0].Action != "labeldrop" || endpoint.RelabelConfigs[0].Regex != "endpoint" {
		t.Errorf("relabelings: %+v", endpoint.RelabelConfigs)
	}
}

func TestServiceMonitorOverTLS(t *testing.T) {
	endpoint := find[*monitoringv1.ServiceMonitor](t, render(t, valueSets(t)["mutual-tls"]), "waggle").Spec.Endpoints[0]
	if *endpoint.Scheme != "https" || *endpoint.TLSConfig.ServerName != "waggle-admin.default.svc" ||
		endpoint.TLSConfig.CA.Secret.Key != "ca.crt" {
		t.Errorf("it reads %+v", endpoint)
	}
}

func TestServiceMonitorWithoutAccessControl(t *testing.T) {
	endpoint := find[*monitoringv1.ServiceMonitor](t, render(t, valueSets(t)["trial"], `{serviceMonitor: {enabled: true}}`), "waggle").Spec.Endpoints[0]
	if endpoint.Authorization != nil {
		t.Errorf("it shows a token: %+v", endpoint.Authorization)
	}
}
