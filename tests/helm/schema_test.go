package helm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

const schemaFile = chart + "/values.schema.json"

type jsonObject = map[string]any

// The types of other APIs that values are passed to as they are.
var passedOn = []any{
	corev1.Affinity{}, corev1.LocalObjectReference{}, corev1.PodSecurityContext{},
	corev1.ResourceRequirements{}, corev1.SecurityContext{}, corev1.Toleration{},
	corev1.TopologySpreadConstraint{}, corev1.Volume{}, corev1.VolumeMount{},
	networkingv1.IngressTLS{}, networkingv1.NetworkPolicyPeer{},
	monitoringv1.TLSConfig{}, gatewayv1.ParentReference{},
}

// goDefinitions adds the closed schemas of Go types with JSON tags.
type goDefinitions jsonObject

var scalars = map[reflect.Type]jsonObject{
	reflect.TypeFor[resource.Quantity]():  {"type": []string{"number", "string"}},
	reflect.TypeFor[intstr.IntOrString](): {"type": []string{"integer", "string"}},
	reflect.TypeFor[metav1.Time]():        {"type": "string"},
	reflect.TypeFor[metav1.FieldsV1]():    {"type": "object"},
}

func (d goDefinitions) of(t *testing.T, typ reflect.Type) jsonObject {
	if scalar, ok := scalars[typ]; ok {
		return scalar
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return d.of(t, typ.Elem())
	case reflect.String:
		return jsonObject{"type": "string"}
	case reflect.Bool:
		return jsonObject{"type": "boolean"}
	case reflect.Int32, reflect.Int64:
		return jsonObject{"type": "integer"}
	case reflect.Slice:
		return jsonObject{"type": "array", "items": d.of(t, typ.Elem())}
	case reflect.Map:
		return jsonObject{"type": "object", "additionalProperties": d.of(t, typ.Elem())}
	case reflect.Struct:
		name := path.Base(path.Dir(typ.PkgPath())) + "." + path.Base(typ.PkgPath()) + "." + typ.Name()
		if _, ok := d[name]; !ok {
			properties := jsonObject{}
			d[name] = jsonObject{"type": "object", "additionalProperties": false, "properties": properties}
			d.fields(t, typ, properties)
		}
		return jsonObject{"$ref": "#/definitions/" + name}
	}
	t.Fatalf("no schema for %v", typ)
	return nil
}

func (d goDefinitions) fields(t *testing.T, typ reflect.Type, properties jsonObject) {
	for i := range typ.NumField() {
		field := typ.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" && field.Anonymous {
			d.fields(t, field.Type, properties)
		} else {
			properties[name] = d.of(t, field.Type)
		}
	}
}

// How the gateway writes what is text to its schema, told by the default.
var formats = []struct {
	byDefault *regexp.Regexp
	schema    jsonObject
}{
	{regexp.MustCompile(`^[0-9]+(ms|s|m|h)$`),
		jsonObject{"type": "string", "pattern": `^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|ms|s|m|h))+)$`}},
	{regexp.MustCompile(`^[0-9]+[KMGT]iB$`),
		jsonObject{"type": []string{"integer", "string"}, "minimum": 0, "pattern": `^[0-9]+([KMGT]iB)?$`}},
	{regexp.MustCompile(`:[0-9]+$`), jsonObject{"type": "string"}},
}

// textDefinitions adds the schemas of a message's texts, by message and field,
// as the example has them.
func textDefinitions(messages map[string]*descriptorpb.DescriptorProto, name string, example, found jsonObject) {
	for _, field := range messages[name].Field {
		switch value := example[field.GetName()].(type) {
		case jsonObject:
			textDefinitions(messages, field.GetTypeName(), value, found)
		case string:
			for _, format := range formats {
				if format.byDefault.MatchString(value) {
					found[name+"."+field.GetName()] = format.schema
				}
			}
		}
	}
}

// The closed schemas of the gateway's own files.
func protoDefinitions(t *testing.T) jsonObject {
	t.Helper()
	out := filepath.Join(t.TempDir(), "descriptors")
	if _, err := run(t, "protoc", "--proto_path=../../proto", "--descriptor_set_out="+out,
		"waggle/config/v1/config.proto", "waggle/config/v1/access.proto"); err != nil {
		t.Fatal(err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal([]byte(read(t, out)), &set); err != nil {
		t.Fatal(err)
	}
	messages := map[string]*descriptorpb.DescriptorProto{}
	for _, file := range set.File {
		for _, message := range file.MessageType {
			messages["."+file.GetPackage()+"."+message.GetName()] = message
		}
	}
	var example jsonObject
	if err := yaml.Unmarshal([]byte(read(t, "../../docs/waggle.example.yaml")), &example); err != nil {
		t.Fatal(err)
	}
	texts := jsonObject{}
	textDefinitions(messages, ".waggle.config.v1.Config", example, texts)

	definitions := jsonObject{}
	for _, file := range set.File {
		// A name may be a number. What is compared as text, such as the digest of
		// a token, may not: 1e5 would not be what was written.
		text := jsonObject{"type": "string"}
		if strings.HasSuffix(file.GetName(), "/config.proto") {
			text = jsonObject{"type": []string{"integer", "string"}}
		}
		for _, message := range file.MessageType {
			name := file.GetPackage() + "." + message.GetName()
			properties := jsonObject{}
			for _, field := range message.Field {
				var schema jsonObject
				switch field.GetType() {
				case descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
					schema = jsonObject{"$ref": "#/definitions/" + strings.TrimPrefix(field.GetTypeName(), ".")}
				case descriptorpb.FieldDescriptorProto_TYPE_BOOL:
					schema = jsonObject{"type": "boolean"}
				case descriptorpb.FieldDescriptorProto_TYPE_UINT32:
					schema = jsonObject{"type": "integer", "minimum": 0}
				case descriptorpb.FieldDescriptorProto_TYPE_STRING:
					schema = text
					if format, ok := texts["."+name+"."+field.GetName()]; ok {
						schema = format.(jsonObject)
					}
				default:
					t.Fatalf("no schema for %v", field)
				}
				if field.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED {
					schema = jsonObject{"type": "array", "items": schema}
				}
				properties[field.GetName()] = schema
			}
			definitions[name] = jsonObject{"type": "object", "additionalProperties": false, "properties": properties}
		}
	}
	return definitions
}

func readSchema(t *testing.T) jsonObject {
	t.Helper()
	var schema jsonObject
	if err := json.Unmarshal([]byte(read(t, schemaFile)), &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

// What values.schema.json says of other APIs' objects and of the gateway's
// files is what these say of themselves.
func TestSchemaIsThatOfKubernetesAndOfTheGateway(t *testing.T) {
	schema := readSchema(t)
	definitions := goDefinitions{}
	for name, definition := range schema["definitions"].(jsonObject) {
		if !strings.Contains(name, ".") {
			definitions[name] = definition
		}
	}
	for _, value := range passedOn {
		definitions.of(t, reflect.TypeOf(value))
	}
	maps.Copy(definitions, protoDefinitions(t))
	schema["definitions"] = definitions

	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		t.Fatal(err)
	}
	compare(t, schemaFile, text.String())
}

// compare is for files that -update writes anew.
func compare(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		write(t, file, want)
		return
	}
	if got := read(t, file); got != want {
		line := 0
		gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
		for line < len(gotLines) && line < len(wantLines) && gotLines[line] == wantLines[line] {
			line++
		}
		t.Errorf("%s is not what it should be from line %d on; look at what this changes, and commit it: "+
			"tests/helm/run -update", file, line+1)
	}
}

func TestSchemaIsClosedAtEveryLevel(t *testing.T) {
	var check func(place string, schema any)
	check = func(place string, schema any) {
		switch schema := schema.(type) {
		case []any:
			for i, item := range schema {
				check(fmt.Sprintf("%s[%d]", place, i), item)
			}
		case jsonObject:
			_, closed := schema["additionalProperties"]
			// Helm's own, and what Kubernetes leaves open.
			open := place == ".properties.global" || strings.HasSuffix(place, ".meta.v1.FieldsV1")
			if schema["type"] == "object" && !closed && !open && !strings.HasSuffix(place, ".fieldsV1") {
				t.Errorf("%s is open", place)
			}
			if closed && schema["additionalProperties"] == true {
				t.Errorf("%s is open", place)
			}
			for key, value := range schema {
				check(place+"."+key, value)
			}
		}
	}
	check("", readSchema(t))
}

func TestSchemaRefusesWhatIsNotKnown(t *testing.T) {
	for values, want := range map[string]string{
		"replicas: 1":                                                          "'replicas'",
		"image: {name: waggle}":                                                "'name'",
		"config: {webhook: {max_body: 1MiB}}":                                  "'max_body'",
		"config: {webhook: {endpoints: []}}":                                   "/config/webhook/endpoints",
		"config: {webhook: {endpoints: [{name: a}]}}":                          "'signing_key_files'",
		"config: {grpc: {tls: {ca: a}}}":                                       "'ca'",
		"config: {grpc: {max_streams: many}}":                                  "/config/grpc/max_streams",
		"config: {grpc: {tls: {key_file: null}}}":                              "'key_file'",
		"config: {grpc: {tls: {client_certificates: off}}}":                    "'off', 'optional', 'required'",
		"config: {webhook: {listen: 8080}}":                                    "/config/webhook/listen",
		"config: {webhook: {endpoints: [{name: A, signing_key_files: [/a]}]}}": "/config/webhook/endpoints/0/name",
		"config: {store: {max_age: 30d}}":                                      "/config/store/max_age",
		"config: {store: {max_size: 10GB}}":                                    "/config/store/max_size",
		"config: {shutdown: {timeout: 30}}":                                    "/config/shutdown/timeout",
		"config: {log: {level: verbose}}":                                      "'debug', 'info', 'warn', 'error'",
		"config: {security: {jwt: {issuer: a, audience: b}}}":                  "'jwks_file'",
		"ingress: {hosts: [\"https://waggle.example.com\"]}":                   "/ingress/hosts/0",
		"config: null":                                                 "'config'",
		"service: {admin: {type: LoadBalancer}}":                       "'type'",
		"service: {grpc: {port: 0}}":                                   "/service/grpc/port",
		"persistence: {accessModes: [ReadWriteMany]}":                  "/persistence/accessModes",
		"tolerations: [{keys: a}]":                                     "'keys'",
		"affinity: {podAffinity: {required: []}}":                      "'required'",
		"extraVolumes: [{name: a, hostpath: {path: /}}]":               "'hostpath'",
		"networkPolicy: {grpc: [{namespaces: {}}]}":                    "'namespaces'",
		"access: {principals: [{name: a, token_sha256: [123]}]}":       "/access/principals/0/token_sha256/0",
		"access: {principals: [{name: a, allow: {}, capability: []}]}": "'capability'",
		"tls: {grpc: {secretName: Not_A_Name}}":                        "/tls/grpc/secretName",
		"livenessProbe: {httpGet: {path: /}}":                          "'httpGet'",
	} {
		if got := refused(t, values); !strings.Contains(got, want) {
			t.Errorf("%s: %s", values, got)
		}
	}
}

// With a typo in a key of the chart's own, none is left out in silence either.
func TestSchemaDemandsEveryKeyOfTheChart(t *testing.T) {
	var check func(place string, schema jsonObject)
	check = func(place string, schema jsonObject) {
		properties, _ := schema["properties"].(jsonObject)
		if properties == nil || place == ".config" {
			return
		}
		var required []string
		for _, name := range schema["required"].([]any) {
			required = append(required, name.(string))
		}
		for name, property := range properties {
			if name != "global" && !slices.Contains(required, name) {
				t.Errorf("%s.%s can be taken away by null", place, name)
			}
			check(place+"."+name, property.(jsonObject))
		}
	}
	check("", readSchema(t))
}
