package helm

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
)

// discovery is what `helm install --dry-run=client` asks an API server for,
// by path: its version, and which kinds there are.
func discovery() map[string]any {
	groups := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList"}}
	answers := map[string]any{
		"/version": version.Info{Major: "1", Minor: "37", GitVersion: "v1.37.0"},
		"/api":     metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}},
	}
	for _, group := range scheme.PrioritizedVersionsAllGroups() {
		resources := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList"}, GroupVersion: group.String()}
		for kind := range scheme.KnownTypes(group) {
			resources.APIResources = append(resources.APIResources,
				metav1.APIResource{Name: strings.ToLower(kind) + "s", Kind: kind, Namespaced: true})
		}
		if group.Group == "" {
			answers["/api/"+group.Version] = resources
			continue
		}
		answers["/apis/"+group.String()] = resources
		versions := []metav1.GroupVersionForDiscovery{{GroupVersion: group.String(), Version: group.Version}}
		groups.Groups = append(groups.Groups, metav1.APIGroup{Name: group.Group, Versions: versions})
	}
	answers["/apis"] = groups
	return answers
}

// notes are what `helm install` says in the end.
func notes(t *testing.T, values ...string) string {
	t.Helper()
	answers := discovery()
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		answer, ok := answers[request.URL.Path]
		if !ok {
			http.NotFound(writer, request)
			return
		}
		writer.Header().Set("Content-Type", "application/json")
		json.NewEncoder(writer).Encode(answer)
	}))
	defer server.Close()
	out, err := helm(t, values, "install", "waggle", chart, "--dry-run=client", "--disable-openapi-validation",
		"--namespace", "events", "--kube-apiserver", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, notes, _ := strings.Cut(out, "NOTES:\n")
	return notes
}

func TestNotesTellTheNextStep(t *testing.T) {
	for values, want := range map[string][]string{
		`{}`: {
			"create secret generic waggle-signing-keys --from-file=bindbee",
			"create secret generic waggle-access --from-file=access.yaml",
			"create secret generic waggle-grpc-tls --from-file=tls.crt --from-file=tls.key --from-file=ca.crt",
			"kubectl -n events rollout status statefulset/waggle",
			"helm -n events test waggle",
			"http://waggle-webhook.events.svc:8080/webhooks/bindbee",
			"--tls-server-name waggle-grpc.events.svc --token-file token",
			"WARNING: networkPolicy.enabled is false",
		},
		valueSets(t)["production"]:                                {"https://waggle.example.com/webhooks/bindbee", "waggle.dev/subscriber=true"},
		valueSets(t)["gateway-api"]:                               {"https://waggle.example.com/webhooks/production", "https://waggle.example.org/webhooks/production"},
		`{ingress: {enabled: true, hosts: [waggle.example.com]}}`: {"WARNING: ingress.tls is empty"},
		valueSets(t)["trial"]:                                     {"WARNING: insecure is set", "WARNING: persistence.enabled is false"},
	} {
		got := notes(t, values)
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("no %q in\n%s", part, got)
			}
		}
	}
}

func TestNotesOfProductionWarnOfNothing(t *testing.T) {
	if got := notes(t, valueSets(t)["production"]); got == "" || strings.Contains(got, "WARNING") {
		t.Error(got)
	}
}

func TestNotesTellNoSecret(t *testing.T) {
	got := notes(t, valueSets(t)["trial"])
	if got == "" || strings.Contains(got, "whsec_demo_3f9c0a7e5b") || strings.Contains(got, "create secret") {
		t.Error(got)
	}
}
