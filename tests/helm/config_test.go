package helm

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func configOf(t *testing.T, objects manifests) string {
	t.Helper()
	name := volumeAt(t, pod(t, objects), "/etc/waggle/config").ConfigMap.Name
	return find[*corev1.ConfigMap](t, objects, name).Data["waggle.yaml"]
}

func TestTheConfigurationIsThatOfTheValues(t *testing.T) {
	objects := render(t, `{config: {grpc: {max_streams: 1000000, max_stream_age: 0s}, webhook: {max_body_size: 2MiB}, log: null}}`)
	var config map[string]map[string]any
	if err := yaml.UnmarshalStrict([]byte(configOf(t, objects)), &config); err != nil {
		t.Fatal(err)
	}
	if config["grpc"]["max_streams"] != 1e6 || config["grpc"]["max_stream_age"] != "0s" ||
		config["webhook"]["max_body_size"] != "2MiB" {
		t.Errorf("the configuration is %v", config)
	}
	if !strings.Contains(configOf(t, objects), "max_streams: 1000000\n") {
		t.Errorf("a large number is written otherwise: %s", configOf(t, objects))
	}
	if _, ok := config["log"]; ok {
		t.Error("null takes nothing away")
	}
	args := strings.Join(container(t, objects).Args, " ")
	if args != "serve --config /etc/waggle/config/waggle.yaml" {
		t.Errorf("it is started by %s", args)
	}
}

func TestEveryKeyOfTheExampleIsAccepted(t *testing.T) {
	var example map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "../../docs/waggle.example.yaml")), &example); err != nil {
		t.Fatal(err)
	}
	// Where a pod listens, and which files there are, is another thing.
	for _, door := range []string{"webhook", "grpc", "admin"} {
		delete(example[door].(map[string]any), "listen")
	}
	delete(example["webhook"].(map[string]any), "endpoints")
	delete(example["grpc"].(map[string]any), "reflection")
	delete(example["store"].(map[string]any), "path")
	values, err := yaml.Marshal(map[string]any{"config": example})
	if err != nil {
		t.Fatal(err)
	}
	render(t, string(values))
}

func TestOnlyTheConfigurationRestartsThePod(t *testing.T) {
	checksum := func(values string) string {
		return gateway(t, render(t, values)).Spec.Template.Annotations["checksum/config"]
	}
	before := checksum(`{signingKeys: {values: {bindbee: one}}}`)
	if before == "" {
		t.Fatal("there is no checksum")
	}
	if checksum(`{signingKeys: {values: {bindbee: two}}}`) != before {
		t.Error("a key restarts the pod")
	}
	if checksum(`{config: {log: {level: warn}}, signingKeys: {values: {bindbee: one}}}`) == before {
		t.Error("the configuration does not restart the pod")
	}
}

func TestInsecureIsAFlagAndOffByDefault(t *testing.T) {
	if args := container(t, render(t)).Args; strings.Contains(strings.Join(args, " "), "insecure") {
		t.Errorf("the default is %v", args)
	}
	args := container(t, render(t, `{insecure: true}`)).Args
	if args[len(args)-1] != "--insecure" {
		t.Errorf("it is started by %v", args)
	}
}

// The gateway takes variables that begin with WAGGLE_ for settings.
func TestNoEnvironment(t *testing.T) {
	for name, values := range valueSets(t) {
		objects := render(t, values, "fullnameOverride: waggle")
		for _, spec := range []corev1.PodSpec{pod(t, objects), smokeTest(t, objects)} {
			if spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
				t.Errorf("%s: Services become variables", name)
			}
			for _, container := range append(spec.Containers, spec.InitContainers...) {
				if len(container.Env) != 0 || len(container.EnvFrom) != 0 {
					t.Errorf("%s: variables: %v %v", name, container.Env, container.EnvFrom)
				}
			}
		}
	}
}

func TestTheVersionIsTheProgramsOwn(t *testing.T) {
	var chartFile struct{ AppVersion string }
	if err := yaml.Unmarshal([]byte(read(t, chart+"/Chart.yaml")), &chartFile); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, program(t, "WAGGLE_TEST_BINARY"), "--version")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(strings.TrimSpace(out), chartFile.AppVersion) {
		t.Errorf("the chart is for %s; the program says %s", chartFile.AppVersion, out)
	}
}
