{{/* What stands under `metadata` of an object: (dict "root" $ "name" …), and on request namespace, component (the process
that it belongs to), labels and annotations of its own, which win over the common ones. */}}
{{- define "registry-trust.metadata" -}}
name: {{ .name }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- merge (dict) (.labels | default dict) (include "registry-trust.componentLabels" . | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The labels of every object. Names are fixed, not made from the release: a cluster has one of each. */}}
{{- define "registry-trust.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/name" "registry-trust"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/part-of" "registry-trust"
  "app.kubernetes.io/managed-by" .Release.Service }}
{{- merge $own (.Values.commonLabels | default dict) | toYaml }}
{{- end }}

{{/* The labels of a namespace whose pods keep to a level of Pod Security. */}}
{{- define "registry-trust.podSecurity" -}}
pod-security.kubernetes.io/enforce: {{ . }}
pod-security.kubernetes.io/audit: {{ . }}
pod-security.kubernetes.io/warn: {{ . }}
{{- end }}

{{/* The labels by which one process's pods are found: (dict "root" $ "component" "agent"). They never change. */}}
{{- define "registry-trust.selectorLabels" -}}
app.kubernetes.io/name: registry-trust
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The labels of its pods, with those of the values. Not the chart's own version: that would restart them where nothing
changed for them. */}}
{{- define "registry-trust.podLabels" -}}
{{- $own := include "registry-trust.selectorLabels" . | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/version" .root.Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/part-of" "registry-trust" }}
{{- merge $own (.podLabels | default dict) (.root.Values.commonLabels | default dict) | toYaml }}
{{- end }}

{{/* All labels of an object, also of one that belongs to one process. */}}
{{- define "registry-trust.componentLabels" -}}
{{ include "registry-trust.labels" .root }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "registry-trust.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Where a path of the node is in the agent's container. Kubernetes refuses a colon in a mountPath. */}}
{{- define "registry-trust.mountPath" -}}
/host/{{ .under }}{{ .path | replace ":" "+" }}
{{- end }}

{{/* The service account's token, the cluster's CA and the namespace. Asked for explicitly, because the token that
Kubernetes mounts by itself is good for a year. */}}
{{- define "registry-trust.tokenVolume" -}}
name: api-access
projected:
  defaultMode: 0440
  sources:
  - serviceAccountToken:
      path: token
      expirationSeconds: 3600
  - configMap:
      name: kube-root-ca.crt
      items:
      - key: ca.crt
        path: ca.crt
  - downwardAPI:
      items:
      - path: namespace
        fieldRef:
          fieldPath: metadata.namespace
{{- end }}

{{- define "registry-trust.tokenFolder" -}}
/var/run/secrets/kubernetes.io/serviceaccount
{{- end }}

{{/* What the operator's and the cleanup's containers may do: nothing but run. */}}
{{- define "registry-trust.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "registry-trust.restrictedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* What all pods have in common: their service account, no token that they don't ask for, and what the values say. */}}
{{- define "registry-trust.podBasics" -}}
serviceAccountName: {{ .serviceAccount }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Where the pods go that need no node of their own: the operator's, and those of hooks. */}}
{{- define "registry-trust.operatorPlace" -}}
{{- if eq (toString .Values.operator.hostUsers) "false" }}
hostUsers: false
{{- end }}
nodeSelector:
  {{- merge (dict "kubernetes.io/os" "linux") .Values.operator.nodeSelector | toYaml | nindent 2 }}
{{- with concat (include "registry-trust.startupToleration" . | fromYamlArray) .Values.operator.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Whoever removes the startup taint, or is waited for, runs where it still is. */}}
{{- define "registry-trust.startupToleration" -}}
{{- if .Values.operator.removeStartupTaint }}
- key: registrytrust.io/not-ready
  operator: Exists
{{- else }}
[]
{{- end }}
{{- end }}

{{/* A cluster has room for one installation. What is there is only known to `helm install` and `helm upgrade`, not to
`helm template`. */}}
{{- define "registry-trust.refuseSecondInstallation" -}}
{{- $name := "registry-trust-operator" }}
{{- $found := lookup "rbac.authorization.k8s.io/v1" "ClusterRoleBinding" "" $name }}
{{- if $found }}
{{- $annotations := $found.metadata.annotations | default dict }}
{{- $namespace := "" }}
{{- range $found.subjects }}
{{- if and (eq .kind "ServiceAccount") (eq .name $name) }}
{{- $namespace = $namespace | default .namespace }}
{{- end }}
{{- end }}
{{- $release := get $annotations "meta.helm.sh/release-name" }}
{{- $instance := get ($found.metadata.labels | default dict) "app.kubernetes.io/instance" }}
{{- if and (not $release) (eq $namespace .Release.Namespace) $instance (ne $instance .Release.Name) }}
{{- printf "this cluster already has registry-trust, applied as %q; Helm can take it over under that name only, because the selectors of its pods have it: helm install %s --take-ownership --namespace %s" $instance $instance $namespace | fail }}
{{- end }}
{{- if or (and $release (ne $release .Release.Name)) (and $namespace (ne $namespace .Release.Namespace)) }}
{{- $how := ternary (printf "helm uninstall %s --namespace %s" $release $namespace) "delete its objects" (ne $release "") }}
{{- printf "this cluster already has registry-trust, in namespace %s (ClusterRoleBinding %s), and has room for one. To change it, upgrade that installation. To replace it, uninstall it first: %s; the files stay on the nodes" $namespace $name $how | fail }}
{{- end }}
{{- end }}
{{- end }}
