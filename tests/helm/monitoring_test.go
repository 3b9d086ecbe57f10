package helm

import (
	"encoding/json"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"
)

func TestPrometheusRuleIsOffByDefault(t *testing.T) {
	wantNone[*monitoringv1.PrometheusRule](t, render(t))
}

func TestPrometheusRuleIsTheProjectsAlerts(t *testing.T) {
	rule := find[*monitoringv1.PrometheusRule](t, render(t, `{prometheusRule: {enabled: true, labels: {release: prometheus}}}`), "waggle")
	if rule.Labels["release"] != "prometheus" {
		t.Errorf("labels: %v", rule.Labels)
	}
	var want monitoringv1.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict([]byte(read(t, "../../monitoring/alerts.yaml")), &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Groups) == 0 || !equality.Semantic.DeepEqual(rule.Spec, want) {
		t.Errorf("the rules are %+v", rule.Spec)
	}
}

func TestDashboardIsOffByDefault(t *testing.T) {
	for _, config := range all[*corev1.ConfigMap](render(t)) {
		if config.Name == "waggle-dashboard" {
			t.Error("there is a dashboard")
		}
	}
}

func TestDashboardIsTheProjects(t *testing.T) {
	config := find[*corev1.ConfigMap](t, render(t, `{dashboard: {enabled: true, annotations: {folder: Gateways}}}`), "waggle-dashboard")
	if config.Labels["grafana_dashboard"] != "1" || config.Annotations["folder"] != "Gateways" {
		t.Errorf("the sidecar does not find %+v", config.ObjectMeta)
	}
	text := config.Data["waggle.json"]
	if text != read(t, "../../monitoring/dashboard.json") {
		t.Error("it is another dashboard")
	}
	var dashboard struct{ Panels []any }
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil || len(dashboard.Panels) == 0 {
		t.Errorf("%d panels: %v", len(dashboard.Panels), err)
	}
}
