// Package helm tests the chart in helm/waggle. What `helm template` makes of
// values is read by Kubernetes' own types and checks (kubernetes_test.go); the
// gateway reads the configuration in it and serves with it (gateway_test.go).
//
// WAGGLE_TEST_HELM and WAGGLE_TEST_BINARY name the programs. With -update the
// golden files, the README's table and the generated part of the schema are
// written anew.
package helm

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
)

const chart = "../../helm/waggle"

// The Kubernetes whose types and checks these are, and the oldest that the
// chart is for.
const (
	newest = "1.37"
	oldest = "1.25"
)

var update = flag.Bool("update", false, "write anew what is generated")

func program(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s names no program: run ctest -L helm", variable)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// environment is this process's without what the gateway would take for
// settings, and Helm for a cluster.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "WAGGLE_") || strings.HasPrefix(variable, "KUBE") || strings.HasPrefix(variable, "HELM_")
	})
}

// run returns what the program writes to standard output, or an error with
// what it writes to standard error.
func run(t *testing.T, path string, args ...string) (string, error) {
	t.Helper()
	command := exec.Command(path, args...)
	command.Env = environment()
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, problems.String())
	}
	return out.String(), nil
}

// helm runs it on values, each a YAML text.
func helm(t *testing.T, values []string, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for i, text := range values {
		path := filepath.Join(dir, fmt.Sprintf("%d.yaml", i))
		write(t, path, text)
		args = append(args, "--values", path)
	}
	return run(t, program(t, "WAGGLE_TEST_HELM"), args...)
}

func template(t *testing.T, kubernetes string, values ...string) (string, error) {
	t.Helper()
	return helm(t, values, "template", "waggle", chart, "--kube-version", kubernetes)
}

// manifests are the objects of a rendered chart.
type manifests []runtime.Object

// render gives what the newest Kubernetes reads.
func render(t *testing.T, values ...string) manifests {
	t.Helper()
	text, err := template(t, newest, values...)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

// refused gives the sentence with which the values are refused.
func refused(t *testing.T, values string) string {
	t.Helper()
	text, err := template(t, newest, values)
	if err == nil {
		t.Fatalf("was rendered:\n%s", text)
	}
	return err.Error()
}

func nameOf(t *testing.T, object runtime.Object) string {
	t.Helper()
	accessor, err := meta.Accessor(object)
	if err != nil {
		t.Fatal(err)
	}
	return accessor.GetName()
}

func labelsOf(t *testing.T, object runtime.Object) map[string]string {
	t.Helper()
	accessor, err := meta.Accessor(object)
	if err != nil {
		t.Fatal(err)
	}
	return accessor.GetLabels()
}

func all[T runtime.Object](objects manifests) []T {
	var found []T
	for _, object := range objects {
		if typed, ok := object.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

func find[T runtime.Object](t *testing.T, objects manifests, name string) T {
	t.Helper()
	for _, object := range all[T](objects) {
		if nameOf(t, object) == name {
			return object
		}
	}
	t.Fatalf("there is no %T %s", *new(T), name)
	panic("unreachable")
}

func wantNone[T runtime.Object](t *testing.T, objects manifests) {
	t.Helper()
	for _, object := range all[T](objects) {
		t.Errorf("there is a %T %s", object, nameOf(t, object))
	}
}

// valueSets are those of the chart, by name.
func valueSets(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string]string{}
	for _, file := range files {
		sets[strings.TrimSuffix(filepath.Base(file), "-values.yaml")] = read(t, file)
	}
	if len(sets) < 10 {
		t.Fatalf("%d value sets", len(sets))
	}
	return sets
}
