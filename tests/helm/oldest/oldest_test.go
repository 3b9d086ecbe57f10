// Package oldest reads what the chart makes for the oldest Kubernetes that it
// is for with the types of that one, in a module of its own.
package oldest

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const chart = "../../../helm/waggle"

var strict = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

func TestTheOldestKubernetesKnowsEveryField(t *testing.T) {
	sets, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(sets) == 0 {
		t.Fatalf("%d value sets: %v", len(sets), err)
	}
	for _, set := range sets {
		t.Run(filepath.Base(set), func(t *testing.T) {
			out, err := exec.Command(os.Getenv("WAGGLE_TEST_HELM"), "template", "waggle", chart,
				"--kube-version", "1.25", "--values", set).Output()
			if err != nil {
				t.Fatal(err)
			}
			read := 0
			documents := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(string(out))))
			for {
				document, err := documents.Read()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				switch _, _, err := strict.Decode(document, nil, nil); {
				case runtime.IsNotRegisteredError(err), runtime.IsMissingKind(err):
					// An operator's own kind; a comment without an object.
				case err != nil:
					t.Errorf("%v in\n%s", err, document)
				default:
					read++
				}
			}
			if read < 7 {
				t.Errorf("only %d objects", read)
			}
		})
	}
}
