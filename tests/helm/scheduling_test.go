package helm

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

func TestNothingIsScheduledSpeciallyByDefault(t *testing.T) {
	spec := pod(t, render(t))
	if spec.PriorityClassName != "" || spec.NodeSelector != nil || spec.Tolerations != nil || spec.Affinity != nil ||
		spec.TopologySpreadConstraints != nil {
		t.Errorf("the pod is %+v", spec)
	}
	if annotations := gateway(t, render(t)).Spec.Template.Annotations; len(annotations) != 1 {
		t.Errorf("annotations: %v", annotations)
	}
}

func TestScheduling(t *testing.T) {
	set := find[*appsv1.StatefulSet](t, render(t, valueSets(t)["scheduling"]), "events")
	template := set.Spec.Template
	spec := template.Spec
	if spec.PriorityClassName != "high" || spec.NodeSelector["disktype"] != "ssd" || spec.Tolerations[0].Key != "dedicated" ||
		spec.Affinity.NodeAffinity == nil {
		t.Errorf("the pod is %+v", spec)
	}
	spread := spec.TopologySpreadConstraints[0]
	if spread.TopologyKey != "topology.kubernetes.io/zone" || !selects(t, spread.LabelSelector, template.Labels) {
		t.Errorf("it spreads by %+v", spread)
	}
	if template.Labels["cost-center"] != "42" || template.Labels["team"] != "platform" ||
		template.Annotations["example.com/restarted"] != "2025-01-31" {
		t.Errorf("the pod is %+v", template.ObjectMeta)
	}
}

func TestASpreadByDefaultsAlone(t *testing.T) {
	spread := pod(t, render(t, `{topologySpreadConstraints: [{}]}`)).TopologySpreadConstraints
	if len(spread) != 1 || spread[0].LabelSelector == nil {
		t.Errorf("it spreads by %+v", spread)
	}
}

func TestASpreadOfSomebodyElses(t *testing.T) {
	spread := pod(t, render(t, `
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: zone
    whenUnsatisfiable: DoNotSchedule
    labelSelector: {matchLabels: {a: b}}
`)).TopologySpreadConstraints[0]
	if !selects(t, spread.LabelSelector, map[string]string{"a": "b"}) {
		t.Errorf("it spreads by %+v", spread)
	}
}

func TestCommonLabelsAreOnEveryObject(t *testing.T) {
	for _, object := range render(t, valueSets(t)["production"], `{commonLabels: {team: platform}}`) {
		labels := labelsOf(t, object)
		if labels["team"] != "platform" || labels["app.kubernetes.io/instance"] != "waggle" || labels["app.kubernetes.io/managed-by"] != "Helm" {
			t.Errorf("%T %s has the labels %v", object, nameOf(t, object), labels)
		}
	}
}

func TestExtraVolumes(t *testing.T) {
	spec := pod(t, render(t, `
extraVolumes: [{name: more, emptyDir: {}}]
extraVolumeMounts: [{name: more, mountPath: /more}]
`))
	if volume := volumeAt(t, spec, "/more"); volume == nil || volume.EmptyDir == nil {
		t.Errorf("/more is %+v", volume)
	}
}
