// Writes protobuf-go.json: objects as the official Go library encodes them, in protobuf and in JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	authv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
)

type fixture struct {
	Name   string          `json:"name"`
	Base64 []byte          `json:"base64"`
	Object json.RawMessage `json:"object"`
}

func main() {
	t := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	mt := metav1.NewMicroTime(time.Date(2026, 1, 2, 3, 4, 5, 123456000, time.UTC))
	yes, no := true, false
	g := int64(30)
	bg := metav1.DeletePropagationBackground
	rv := "77"
	meta := metav1.ObjectMeta{Name: "full", GenerateName: "full-", Namespace: "team-ü", SelfLink: "/x", UID: "u-1", ResourceVersion: "9007199254740993", Generation: 3,
		CreationTimestamp: t, DeletionTimestamp: &t, DeletionGracePeriodSeconds: &g,
		Labels: map[string]string{"app": "x", "__proto__": "y", "empty": ""}, Annotations: map[string]string{"note": "läng\nre", "a/b": "c"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "fission.io/v1", Kind: "Function", Name: "f", UID: "u-2", Controller: &yes, BlockOwnerDeletion: &no}, {APIVersion: "v1", Kind: "ConfigMap", Name: "c", UID: "u-3"}},
		Finalizers:      []string{"a.io/x", "b.io/y"},
		ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: "Update", APIVersion: "v1", Time: &t, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:data":{}}`)}}},
	}
	u := meta.UID
	objs := []struct {
		n string
		o runtime.Object
	}{
		{"configmap with everything", &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: meta, Immutable: &no, Data: map[string]string{"a": "1", "empty": "", "constructor": "c"}, BinaryData: map[string][]byte{"b": {0, 255, 1}}}},
		{"secret with everything", &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: "s"}, Immutable: &yes, Data: map[string][]byte{"k": []byte("väl"), "none": {}}, StringData: map[string]string{"p": "q"}, Type: corev1.SecretTypeTLS}},
		{"namespace with status", &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "n"}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive, Conditions: []corev1.NamespaceCondition{{Type: "X", Status: "True", LastTransitionTime: t, Reason: "r", Message: "m"}}}}},
		{"event with series", &corev1.Event{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}, ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "d"},
			InvolvedObject: corev1.ObjectReference{Kind: "Function", Namespace: "d", Name: "f", UID: "u", APIVersion: "fission.io/v1", ResourceVersion: "5", FieldPath: "spec.x"}, Reason: "Prepared", Message: "ok", Source: corev1.EventSource{Component: "c", Host: "h"},
			FirstTimestamp: t, LastTimestamp: t, Count: 7, Type: "Normal", EventTime: mt, Series: &corev1.EventSeries{Count: 3, LastObservedTime: mt}, Action: "Act", Related: &corev1.ObjectReference{Kind: "Package", Name: "p"}, ReportingController: "fissium.io/x", ReportingInstance: "i"}},
		{"event with negative count", &corev1.Event{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}, ObjectMeta: metav1.ObjectMeta{Name: "e2", Namespace: "d"}, Count: -1}},
		{"event before 1970", &corev1.Event{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}, ObjectMeta: metav1.ObjectMeta{Name: "e3", Namespace: "d"}, FirstTimestamp: metav1.NewTime(time.Date(1960, 1, 1, 0, 0, 1, 0, time.UTC))}},
		{"delete options", &metav1.DeleteOptions{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}, GracePeriodSeconds: &g, Preconditions: &metav1.Preconditions{UID: &u, ResourceVersion: &rv}, OrphanDependents: &no, PropagationPolicy: &bg, DryRun: []string{"All"}}},
		{"access review of a resource", &authv1.SelfSubjectAccessReview{TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"}, Spec: authv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authv1.ResourceAttributes{Namespace: "n", Verb: "get", Group: "fission.io", Version: "v1", Resource: "functions", Subresource: "status", Name: "x",
			FieldSelector: &authv1.FieldSelectorAttributes{RawSelector: "a=b"}, LabelSelector: &authv1.LabelSelectorAttributes{Requirements: []metav1.LabelSelectorRequirement{{Key: "k", Operator: "In", Values: []string{"v", "w"}}}}}}}},
		{"access review of a path", &authv1.SelfSubjectAccessReview{TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"}, Spec: authv1.SelfSubjectAccessReviewSpec{NonResourceAttributes: &authv1.NonResourceAttributes{Path: "/healthz", Verb: "get"}}}},
		{"status", &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Message: "m", Reason: "NotFound", Code: 404, Details: &metav1.StatusDetails{Name: "n", Group: "g", Kind: "k", UID: "u", RetryAfterSeconds: 3, Causes: []metav1.StatusCause{{Type: "FieldValueInvalid", Message: "bad", Field: "spec"}}}}},
	}
	s := runtime.NewScheme()
	ser := protobuf.NewSerializer(s, s)
	var out []fixture
	for _, o := range objs {
		f, err := os.CreateTemp("", "x")
		if err != nil {
			panic(err)
		}
		if err := ser.Encode(o.o, f); err != nil {
			panic(fmt.Sprint(o.n, err))
		}
		f.Close()
		b, _ := os.ReadFile(f.Name())
		os.Remove(f.Name())
		j, _ := json.Marshal(o.o)
		out = append(out, fixture{o.n, b, j})
	}
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	e.Encode(out)
}
