package helm

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestProbesDifferForAReason(t *testing.T) {
	gateway := container(t, render(t))
	for name, want := range map[string]struct {
		probe *corev1.Probe
		path  string
	}{
		"startup":   {gateway.StartupProbe, "/healthz"},
		"liveness":  {gateway.LivenessProbe, "/healthz"},
		"readiness": {gateway.ReadinessProbe, "/readyz"},
	} {
		get := want.probe.HTTPGet
		if get.Path != want.path || get.Port.StrVal != "admin" || get.Scheme != corev1.URISchemeHTTP {
			t.Errorf("%s asks %+v", name, get)
		}
	}
	// A store of the default size is checked in that time.
	if startup := gateway.StartupProbe; startup.PeriodSeconds*startup.FailureThreshold < 300 {
		t.Errorf("a start may take %d s", startup.PeriodSeconds*startup.FailureThreshold)
	}
	if gateway.ReadinessProbe.PeriodSeconds > gateway.LivenessProbe.PeriodSeconds {
		t.Error("it is restarted before traffic is kept away")
	}
}

func TestProbesAreSet(t *testing.T) {
	gateway := container(t, render(t, valueSets(t)["mutual-tls"], `
livenessProbe: {periodSeconds: 21, timeoutSeconds: 22, failureThreshold: 23}
readinessProbe: {periodSeconds: 31, timeoutSeconds: 32, failureThreshold: 33}
startupProbe: {periodSeconds: 41, timeoutSeconds: 42, failureThreshold: 43}
`))
	for want, probe := range map[int32]*corev1.Probe{20: gateway.LivenessProbe, 30: gateway.ReadinessProbe, 40: gateway.StartupProbe} {
		if probe.PeriodSeconds != want+1 || probe.TimeoutSeconds != want+2 || probe.FailureThreshold != want+3 {
			t.Errorf("the probe is %+v", probe)
		}
		if probe.HTTPGet.Scheme != corev1.URISchemeHTTPS {
			t.Error("it is not asked over TLS")
		}
	}
}

func TestThePodLastsForItsDraining(t *testing.T) {
	for values, want := range map[string]int64{
		`{}`: 2 + 30 + 10,
		`{config: {shutdown: {timeout: 1m30s}}, preStopSleepSeconds: 5}`: 5 + 90 + 10,
		`{config: {shutdown: {timeout: 1500ms}}}`:                        2 + 2 + 10,
		`{config: {shutdown: null}}`:                                     2 + 30 + 10,
		`{config: {shutdown: {timeout: 1h}}, preStopSleepSeconds: 0}`:    3600 + 10,
	} {
		if got := *pod(t, render(t, values)).TerminationGracePeriodSeconds; got != want {
			t.Errorf("%s: %d", values, got)
		}
	}
}

func TestPauseBeforeDraining(t *testing.T) {
	if hook := container(t, render(t)).Lifecycle.PreStop; hook.Sleep.Seconds != 2 {
		t.Errorf("the hook is %+v", hook)
	}
	if lifecycle := container(t, render(t, `{preStopSleepSeconds: 0}`)).Lifecycle; lifecycle != nil {
		t.Errorf("there is a hook: %+v", lifecycle)
	}
	text, err := template(t, "1.29")
	if err != nil {
		t.Fatal(err)
	}
	set := find[*appsv1.StatefulSet](t, decode(t, text), "waggle")
	if lifecycle := set.Spec.Template.Spec.Containers[0].Lifecycle; lifecycle != nil {
		t.Errorf("Kubernetes 1.29 does not know %+v", lifecycle)
	}
}
