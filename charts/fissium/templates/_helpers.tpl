{{- define "fissium.labels" -}}
app.kubernetes.io/name: fissium
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: fissium
{{- end }}

{{/* The environment that every role of the control plane reads. */}}
{{- define "fissium.env" -}}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
- name: FISSIUM_IMAGE
  value: {{ .Values.image | quote }}
- name: FISSIUM_NAMESPACES
  value: {{ join "," .Values.namespaces | quote }}
- name: FISSIUM_LOG_LEVEL
  value: {{ .Values.logLevel | quote }}
{{- if .Values.internalAuthSecret }}
- name: FISSION_INTERNAL_AUTH_SECRET
  valueFrom: { secretKeyRef: { name: {{ .Values.internalAuthSecret | quote }}, key: secret } }
- name: FISSION_INTERNAL_AUTH_SECRET_OLD
  valueFrom: { secretKeyRef: { name: {{ .Values.internalAuthSecret | quote }}, key: oldSecret, optional: true } }
{{- end }}
{{- end }}

{{- define "fissium.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "fissium.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "fissium.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: { matchLabels: { svc: {{ . }} } }
{{- end }}

{{- define "fissium.pod" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
enableServiceLinks: false
securityContext:
  {{- include "fissium.podSecurity" . | nindent 2 }}
{{- end }}

{{/* What the controller may do with the resources of a namespace, or of all. */}}
{{- define "fissium.controllerRules" -}}
- apiGroups: [fission.io]
  resources: [environments, functions, packages, httptriggers, timetriggers, messagequeuetriggers, kuberneteswatchtriggers]
  verbs: [get, list, watch]
- apiGroups: [fission.io]
  resources: [httptriggers]
  verbs: [create, patch, delete]
- apiGroups: [fission.io]
  resources: [packages]
  verbs: [patch, update]
- apiGroups: [fission.io]
  resources: [environments/status, functions/status, packages/status, httptriggers/status, timetriggers/status, messagequeuetriggers/status, kuberneteswatchtriggers/status]
  verbs: [get, patch, update]
# Read to tell what functions name, and to hand on to their pods the right to read just that.
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get, list, watch]
{{- if .Values.internalAuthSecret }}
# The keys of each namespace's own, for its fetchers and builders.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, patch]
{{- end }}
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch, update]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [get, create, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [get, patch, update]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch, update, delete]
{{- end }}

{{- define "fissium.routerRules" -}}
- apiGroups: [fission.io]
  resources: [environments, functions, httptriggers]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
{{- end }}

{{- define "fissium.storageRules" -}}
- apiGroups: [fission.io]
  resources: [packages]
  verbs: [get, list, watch]
{{- end }}
