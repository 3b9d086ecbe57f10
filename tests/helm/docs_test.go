package helm

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

const (
	tableBegin = "<!-- values: made of values.yaml by tests/helm/run -update -->\n"
	tableEnd   = "<!-- end of values -->\n"
)

// A value of values.yaml with the comment before it.
type documented struct {
	path, byDefault, comment string
}

// values lists the keys of a mapping. One with a comment that begins with "--"
// is a value; one without is a group of values.
func values(t *testing.T, path string, mapping *yaml.Node) []documented {
	t.Helper()
	var found []documented
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name := strings.TrimPrefix(path+"."+key.Value, ".")
		comment := strings.ReplaceAll(strings.ReplaceAll(key.HeadComment, "\n# ", " "), "# ", "")
		if text, ok := strings.CutPrefix(comment, "-- "); ok {
			byDefault, err := yaml.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			json, err := sigsyaml.YAMLToJSON(byDefault)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, documented{name, string(json), text})
		} else if value.Kind == yaml.MappingNode && len(value.Content) > 0 {
			found = append(found, values(t, name, value)...)
		} else {
			t.Errorf("values.yaml says nothing of %s: write a comment that begins with \"# -- \"", name)
		}
	}
	return found
}

func TestEveryValueIsInTheReadme(t *testing.T) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(read(t, chart+"/values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| value | default | what it is |\n| --- | --- | --- |\n")
	for _, value := range values(t, "", document.Content[0]) {
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", value.path, strings.ReplaceAll(value.byDefault, "|", "\\|"), value.comment)
	}
	readme := read(t, chart+"/README.md")
	before, rest, found := strings.Cut(readme, tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		t.Fatalf("README.md has no place for the table: %s", tableBegin)
	}
	compare(t, chart+"/README.md", before+tableBegin+table.String()+tableEnd+after)
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Kubernetes and the gateway accept every example of values in the README.
func TestExamplesOfTheReadme(t *testing.T) {
	blocks := yamlBlock.FindAllStringSubmatch(read(t, chart+"/README.md"), -1)
	if len(blocks) < 3 {
		t.Fatalf("%d examples", len(blocks))
	}
	for i, block := range blocks {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			objects := render(t, block[1])
			for _, object := range objects {
				for _, problem := range problems(t, object) {
					t.Error(problem)
				}
			}
			checkConfig(t, objects)
		})
	}
}
