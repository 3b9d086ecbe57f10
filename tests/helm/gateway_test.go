package helm

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// certificate is one that is good for every door and for a subscriber.
func certificate(t *testing.T) (crt, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		DNSNames:              []string{"audit.internal", "waggle.example.com"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

const token = "token-of-the-test"

// node is a folder in which the volumes of a pod are, under their paths.
type node struct {
	root        string
	secrets     map[string]map[string]string
	configs     map[string]map[string]string
	annotations map[string]string
	standIns    map[string]string
}

func newNode(t *testing.T, objects manifests) *node {
	t.Helper()
	crt, key := certificate(t)
	smoke := find[*corev1.Pod](t, objects, "waggle-test")
	n := &node{t.TempDir(), map[string]map[string]string{}, map[string]map[string]string{}, smoke.Annotations, map[string]string{
		"tls.crt": crt, "ca.crt": crt, "tls.key": key,
		"token": token,
		"jwks.json": `{"keys": [{"kty": "EC", "kid": "1", "use": "sig", "alg": "ES256", "crv": "P-256",
			"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`,
		"access.yaml": fmt.Sprintf("principals:\n- name: test\n  token_sha256: [%x]\n  allow: {}\n",
			sha256.Sum256([]byte(token))),
	}}
	for _, secret := range all[*corev1.Secret](objects) {
		n.secrets[secret.Name] = secret.StringData
	}
	for _, config := range all[*corev1.ConfigMap](objects) {
		n.configs[config.Name] = config.Data
	}
	return n
}

// place gives a text with the paths of a container as they are on the node.
// Files of Secrets that the chart does not make get stand-ins.
func (n *node) place(t *testing.T, spec corev1.PodSpec, container corev1.Container, text string) string {
	t.Helper()
	for _, mount := range container.VolumeMounts {
		var content map[string]string
		for _, volume := range spec.Volumes {
			switch {
			case volume.Name != mount.Name:
			case volume.ConfigMap != nil:
				content = n.configs[volume.ConfigMap.Name]
			case volume.Secret != nil:
				content = n.secrets[volume.Secret.SecretName]
			case volume.DownwardAPI != nil:
				item := volume.DownwardAPI.Items[0]
				annotation := strings.TrimSuffix(strings.TrimPrefix(item.FieldRef.FieldPath, "metadata.annotations['"), "']")
				content = map[string]string{item.Path: n.annotations[annotation]}
			}
		}
		files := regexp.MustCompile(regexp.QuoteMeta(mount.MountPath) + `/([-._a-z0-9]+)`)
		for _, match := range files.FindAllStringSubmatch(text, -1) {
			file, ok := content[match[1]]
			if !ok {
				file, ok = n.standIns[match[1]]
			}
			if !ok {
				file = "key-of-the-test"
			}
			write(t, filepath.Join(n.root, match[0]), file)
		}
		text = regexp.MustCompile(`(^|[ ="])`+regexp.QuoteMeta(mount.MountPath)+`(/|"|\n|$)`).
			ReplaceAllString(text, "${1}"+n.root+mount.MountPath+"${2}")
	}
	return text
}

// configure writes the gateway's configuration and gives its arguments.
func (n *node) configure(t *testing.T, objects manifests, change func(string) string) []string {
	t.Helper()
	spec := pod(t, objects)
	container := spec.Containers[0]
	var args []string
	for _, arg := range container.Args {
		args = append(args, n.place(t, spec, container, arg))
	}
	write(t, args[2], change(n.place(t, spec, container, configOf(t, objects))))
	return args
}

// checkConfig has the gateway judge the configuration that it would get.
func checkConfig(t *testing.T, objects manifests) {
	t.Helper()
	args := newNode(t, objects).configure(t, objects, func(config string) string { return config })
	args = append([]string{"check-config", args[2]}, args[3:]...)
	if _, err := run(t, program(t, "WAGGLE_TEST_BINARY"), args...); err != nil {
		t.Errorf("%v\n%s", err, configOf(t, objects))
	}
}

func TestTheGatewayTakesEveryConfiguration(t *testing.T) {
	for name, values := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			checkConfig(t, render(t, values, "fullnameOverride: waggle"))
		})
	}
}

// serve runs the gateway as the pod does, on ports of loopback, until the test
// ends. It gives the doors' addresses.
func serve(t *testing.T, args []string) map[string]string {
	t.Helper()
	command := exec.Command(program(t, "WAGGLE_TEST_BINARY"), args...)
	command.Env = environment()
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		var line map[string]any
		if json.Unmarshal(lines.Bytes(), &line) == nil && line["event"] == "serving" {
			doors := map[string]string{}
			for _, door := range []string{"webhook", "grpc", "admin"} {
				doors[door] = line[door].(string)
			}
			go func() {
				for lines.Scan() {
				}
			}()
			return doors
		}
		t.Log(lines.Text())
	}
	t.Fatal("it does not serve")
	return nil
}

// The pod's own arguments, probes and files, and then those of the pod of
// `helm test`, with nothing but addresses and folders exchanged.
func TestHelmTestFindsItsWebhook(t *testing.T) {
	for name, values := range map[string]string{
		"trial":      valueSets(t)["trial"],
		"minimal":    valueSets(t)["minimal"],
		"mutual-tls": valueSets(t)["mutual-tls"],
	} {
		t.Run(name, func(t *testing.T) {
			objects := render(t, values)
			n := newNode(t, objects)
			listen := regexp.MustCompile(`listen: .*`)
			doors := serve(t, n.configure(t, objects, func(config string) string {
				return listen.ReplaceAllString(config, `listen: "127.0.0.1:0"`)
			}))

			gateway := container(t, objects)
			client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
			for _, probe := range []*corev1.Probe{gateway.StartupProbe, gateway.LivenessProbe, gateway.ReadinessProbe} {
				url := strings.ToLower(string(probe.HTTPGet.Scheme)) + "://" + doors["admin"] + probe.HTTPGet.Path
				response, err := client.Get(url)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", url, response.Status)
				}
			}

			spec := smokeTest(t, objects)
			step := func(container corev1.Container) string {
				var args []string
				for _, arg := range container.Args {
					arg = n.place(t, spec, container, arg)
					for door, port := range map[string]string{"webhook": "8080", "grpc": "50051"} {
						arg = strings.Replace(arg, "waggle-"+door+".default.svc:"+port, doors[door], 1)
					}
					args = append(args, arg)
				}
				out, err := run(t, program(t, "WAGGLE_TEST_BINARY"), args...)
				if err != nil {
					t.Fatalf("%v\n%v", args, err)
				}
				return out
			}
			if out := step(spec.InitContainers[0]); !strings.Contains(out, `"duplicate":false`) {
				t.Errorf("sent: %s", out)
			}
			if out := step(spec.Containers[0]); !strings.Contains(out, "waggle_helm_test") || strings.Count(out, "\n") != 1 {
				t.Errorf("read back: %s", out)
			}
		})
	}
}
