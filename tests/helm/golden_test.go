package helm

import (
	"path/filepath"
	"testing"
)

// What an operator gets by the defaults: every change of it is to be looked at.
func TestGolden(t *testing.T) {
	text, err := template(t, newest)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, filepath.Join("testdata", "defaults.golden.yaml"), text)
}

func TestLint(t *testing.T) {
	for name, values := range valueSets(t) {
		if out, err := helm(t, []string{values}, "lint", "--strict", chart); err != nil {
			t.Errorf("%s: %s%v", name, out, err)
		}
	}
}

func TestPackageHasAllThatIsNeeded(t *testing.T) {
	dir := t.TempDir()
	if _, err := helm(t, nil, "package", chart, "--destination", dir); err != nil {
		t.Fatal(err)
	}
	packages, err := filepath.Glob(dir + "/waggle-*.tgz")
	if err != nil || len(packages) != 1 {
		t.Fatalf("%v: %v", packages, err)
	}
	values := []string{valueSets(t)["production"]}
	got, err := helm(t, values, "template", "waggle", packages[0], "--kube-version", newest)
	if err != nil {
		t.Fatal(err)
	}
	want, err := template(t, newest, values...)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Error("the package renders something else than its sources")
	}
}
