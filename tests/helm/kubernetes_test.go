package helm

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podapi "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	podsecurity "k8s.io/pod-security-admission/api"
	podsecuritypolicy "k8s.io/pod-security-admission/policy"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Kubernetes' own types, with the defaults and conversions that its API server
// has, and those of the operators whose objects the chart makes.
var scheme = func() *runtime.Scheme {
	scheme := legacyscheme.Scheme
	for _, add := range []func(*runtime.Scheme) error{monitoringv1.AddToScheme, gatewayv1.Install} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return scheme
}()

// Refuses fields that are not known and those that are there twice.
var strict = serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()

func decode(t *testing.T, text string) manifests {
	t.Helper()
	var objects manifests
	documents := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		if isEmpty(string(document)) {
			continue
		}
		object, _, err := strict.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		objects = append(objects, object)
	}
}

func isEmpty(document string) bool {
	for line := range strings.Lines(document) {
		line = strings.TrimSpace(line)
		if line != "" && line != "---" && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}

// problems are what an API server would refuse the object for.
func problems(t *testing.T, versioned runtime.Object) field.ErrorList {
	t.Helper()
	versioned = versioned.DeepCopyObject()
	switch versioned.(type) {
	case *monitoringv1.ServiceMonitor, *monitoringv1.PrometheusRule, *gatewayv1.HTTPRoute:
		return nil // Their rules are in the operators' own hooks.
	}
	scheme.Default(versioned)
	object, err := scheme.ConvertToVersion(versioned, runtime.InternalGroupVersioner)
	if err != nil {
		t.Fatal(err)
	}
	if namespaced, ok := object.(metav1.Object); ok {
		namespaced.SetNamespace("default")
	}
	switch object := object.(type) {
	case *apps.StatefulSet:
		return appsvalidation.ValidateStatefulSet(object, appsvalidation.StatefulSetValidationOptions{},
			podapi.GetValidationOptionsFromPodTemplate(&object.Spec.Template, nil))
	case *core.Pod:
		return corevalidation.ValidatePodCreate(object,
			podapi.GetValidationOptionsFromPodSpecAndMeta(&object.Spec, nil, &object.ObjectMeta, nil))
	case *core.Service:
		// What the API server allocates before it checks.
		if object.Spec.ClusterIP != "" {
			object.Spec.ClusterIPs = []string{object.Spec.ClusterIP}
		}
		if object.Spec.Type == core.ServiceTypeLoadBalancer &&
			object.Spec.ExternalTrafficPolicy == core.ServiceExternalTrafficPolicyLocal {
			object.Spec.HealthCheckNodePort = 30000
		}
		return corevalidation.ValidateServiceCreate(object)
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(object)
	case *core.Secret:
		return corevalidation.ValidateSecret(object)
	case *core.ServiceAccount:
		return corevalidation.ValidateServiceAccount(object)
	case *networking.Ingress:
		return networkingvalidation.ValidateIngressCreate(object)
	case *networking.NetworkPolicy:
		return networkingvalidation.ValidateNetworkPolicy(object, networkingvalidation.NetworkPolicyValidationOptions{})
	case *policy.PodDisruptionBudget:
		return policyvalidation.ValidatePodDisruptionBudget(object, policyvalidation.PodDisruptionBudgetValidationOptions{})
	}
	t.Fatalf("nothing here checks a %T", object)
	return nil
}

// Also of Kubernetes before the newest: the chart leaves out there what is not
// known, and the newest still reads all that it was.
func TestKubernetesAcceptsEveryValueSet(t *testing.T) {
	for name, values := range valueSets(t) {
		for _, kubernetes := range []string{oldest, newest} {
			t.Run(name+"/"+kubernetes, func(t *testing.T) {
				text, err := template(t, kubernetes, values)
				if err != nil {
					t.Fatal(err)
				}
				seen := map[string]bool{}
				for _, object := range decode(t, text) {
					kind := object.GetObjectKind().GroupVersionKind().String()
					id := kind + nameOf(t, object)
					if seen[id] {
						t.Errorf("%s is there twice", id)
					}
					seen[id] = true
					for _, problem := range problems(t, object) {
						t.Errorf("%s: %v", id, problem)
					}
				}
			})
		}
	}
}

func TestPassesThePodSecurityStandardRestricted(t *testing.T) {
	evaluator, err := podsecuritypolicy.NewEvaluator(podsecuritypolicy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	check := func(t *testing.T, meta *metav1.ObjectMeta, spec *corev1.PodSpec) {
		t.Helper()
		result := podsecuritypolicy.AggregateCheckResults(evaluator.EvaluatePod(restricted, meta, spec))
		if !result.Allowed {
			t.Errorf("%s: %s: %s", meta.Name, result.ForbiddenReason(), result.ForbiddenDetail())
		}
	}
	for name, values := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			objects := render(t, values)
			for _, set := range all[*appsv1.StatefulSet](objects) {
				check(t, &set.Spec.Template.ObjectMeta, &set.Spec.Template.Spec)
			}
			for _, pod := range all[*corev1.Pod](objects) {
				check(t, &pod.ObjectMeta, &pod.Spec)
			}
		})
	}
}

// The checks themselves: they refuse what they should.
func TestKubernetesRefusesWhatIsWrong(t *testing.T) {
	objects := render(t)
	set := find[*appsv1.StatefulSet](t, objects, "waggle")
	set.Spec.Template.Spec.Containers[0].ReadinessProbe.TimeoutSeconds = -1
	set.Spec.Template.Spec.Containers[0].VolumeMounts[0].Name = "nowhere"
	if found := problems(t, set); len(found) < 2 {
		t.Errorf("only %v", found)
	}
	if _, _, err := strict.Decode([]byte("apiVersion: v1\nkind: ConfigMap\nmetdata: {}\n"), nil, nil); err == nil {
		t.Error("an unknown field was read")
	}
}
