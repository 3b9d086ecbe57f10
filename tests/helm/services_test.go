package helm

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestEachDoorHasItsService(t *testing.T) {
	objects := render(t)
	ports := map[string]int32{}
	for _, port := range container(t, objects).Ports {
		ports[port.Name] = port.ContainerPort
	}
	template := gateway(t, objects).Spec.Template
	for name, want := range map[string]int32{
		"webhook": 8080, "grpc": 50051, "grpc-headless": 50051, "admin": 8081,
	} {
		service := find[*corev1.Service](t, objects, "waggle-"+name)
		port := service.Spec.Ports[0]
		if port.Port != want || ports[port.TargetPort.StrVal] != want {
			t.Errorf("%s: %+v of %v", name, port, ports)
		}
		if service.Spec.Type != corev1.ServiceTypeClusterIP && service.Spec.ClusterIP != corev1.ClusterIPNone {
			t.Errorf("%s is a %s", name, service.Spec.Type)
		}
		selector := labels.SelectorFromSet(service.Spec.Selector)
		if !selector.Matches(labels.Set(template.Labels)) {
			t.Errorf("%s does not find the gateway", name)
		}
		if selector.Matches(labels.Set(find[*corev1.Pod](t, objects, "waggle-test").Labels)) {
			t.Errorf("%s finds the pod of helm test", name)
		}
	}
}

func TestPortsFollowTheConfiguration(t *testing.T) {
	objects := render(t, valueSets(t)["load-balancer"])
	service := find[*corev1.Service](t, objects, "waggle-webhook")
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.Spec.Ports[0].Port != 443 ||
		service.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal ||
		service.Spec.LoadBalancerSourceRanges[0] != "192.0.2.0/24" ||
		service.Annotations["example.com/load-balancer"] != "external" {
		t.Errorf("the Service is %+v", service)
	}
	if port := container(t, objects).Ports[0]; port.Name != "webhook" || port.ContainerPort != 8443 {
		t.Errorf("the port is %+v", port)
	}
}

func TestServicesSayWhatIsSpoken(t *testing.T) {
	for values, want := range map[string]map[string]string{
		valueSets(t)["trial"]:      {"webhook": "http", "grpc": "kubernetes.io/h2c", "grpc-headless": "kubernetes.io/h2c", "admin": "http"},
		valueSets(t)["mutual-tls"]: {"webhook": "https", "grpc": "https", "grpc-headless": "https", "admin": "https"},
	} {
		objects := render(t, values)
		for name, protocol := range want {
			if got := *find[*corev1.Service](t, objects, "waggle-"+name).Spec.Ports[0].AppProtocol; got != protocol {
				t.Errorf("%s speaks %s", name, got)
			}
		}
	}
}
