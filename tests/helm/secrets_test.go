package helm

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestSecretsAreNamedByDefault(t *testing.T) {
	objects := render(t)
	wantNone[*corev1.Secret](t, objects)
	spec := pod(t, objects)
	for folder, secret := range map[string]string{
		"/etc/waggle/signing-keys": "waggle-signing-keys",
		"/etc/waggle/access":       "waggle-access",
		"/etc/waggle/tls/grpc":     "waggle-grpc-tls",
	} {
		if volume := volumeAt(t, spec, folder); volume == nil || volume.Secret.SecretName != secret {
			t.Errorf("%s is %+v", folder, volume)
		}
	}
	for _, folder := range []string{"/etc/waggle/tls/webhook", "/etc/waggle/tls/admin", "/etc/waggle/tls/client-ca", "/etc/waggle/jwks"} {
		if volume := volumeAt(t, spec, folder); volume != nil {
			t.Errorf("%s is there, and no file of it is named", folder)
		}
	}
}

func TestSecretsAreFoldersForTheGatewayAlone(t *testing.T) {
	for name, values := range valueSets(t) {
		objects := render(t, values, "fullnameOverride: waggle")
		spec := pod(t, objects)
		for _, volume := range spec.Volumes {
			if volume.Secret == nil {
				continue
			}
			if *volume.Secret.DefaultMode != 0o440 {
				t.Errorf("%s: %s has mode %o", name, volume.Name, *volume.Secret.DefaultMode)
			}
			if len(volume.Secret.Items) != 0 || (volume.Secret.Optional != nil && *volume.Secret.Optional) {
				t.Errorf("%s: only a part of %s is there", name, volume.Name)
			}
			for _, mount := range spec.Containers[0].VolumeMounts {
				// A file of a subPath would never change.
				if mount.Name == volume.Name && (mount.SubPath != "" || !mount.ReadOnly) {
					t.Errorf("%s: %s is mounted as %+v", name, volume.Name, mount)
				}
			}
		}
	}
}

func TestSecretsFromValues(t *testing.T) {
	objects := render(t, `
signingKeys: {values: {bindbee: secret-key}}
access:
  principals:
    - name: payroll
      token_sha256: ["`+strings.Repeat("0", 63)+`1"]
      allow: {}
tls: {grpc: {values: {tls.crt: certificate, tls.key: key}}}
`)
	if keys := find[*corev1.Secret](t, objects, "waggle-signing-keys"); keys.StringData["bindbee"] != "secret-key" {
		t.Errorf("signing keys: %v", keys.StringData)
	}
	access := find[*corev1.Secret](t, objects, "waggle-access").StringData["access.yaml"]
	if !strings.Contains(access, "name: payroll") || !strings.HasPrefix(access, "principals:\n") ||
		!strings.Contains(access, strings.Repeat("0", 63)+"1") {
		t.Errorf("access: %s", access)
	}
	if tls := find[*corev1.Secret](t, objects, "waggle-grpc-tls"); tls.StringData["tls.key"] != "key" {
		t.Errorf("TLS: %v", tls.StringData)
	}
	for _, config := range all[*corev1.ConfigMap](objects) {
		for _, text := range config.Data {
			if strings.Contains(text, "secret-key") {
				t.Errorf("a key is in the ConfigMap %s", config.Name)
			}
		}
	}
}

func TestSecretsOfAnotherName(t *testing.T) {
	spec := pod(t, render(t, valueSets(t)["mutual-tls"]))
	for folder, secret := range map[string]string{
		"/etc/waggle/tls/webhook":   "waggle-webhook-tls",
		"/etc/waggle/tls/admin":     "waggle-admin-tls",
		"/etc/waggle/tls/client-ca": "subscribers-ca",
		"/etc/waggle/access":        "waggle-access",
	} {
		if volume := volumeAt(t, spec, folder); volume == nil || volume.Secret.SecretName != secret {
			t.Errorf("%s is %+v", folder, volume)
		}
	}
}

func TestSecretsOfADriver(t *testing.T) {
	spec := pod(t, render(t, valueSets(t)["mounted-secrets"]))
	if volume := volumeAt(t, spec, "/mnt/vault"); volume == nil || volume.CSI == nil {
		t.Errorf("/mnt/vault is %+v", volume)
	}
	if slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == "signing-keys" }) {
		t.Error("a Secret is mounted that nothing names")
	}
}
