{{/* The labels of every object. Names are fixed, not made from the release: a cluster has one of each. */}}
{{- define "registry-trust.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: registry-trust
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: registry-trust
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The labels by which one process's pods are found: (dict "root" $ "component" "agent"). They never change. */}}
{{- define "registry-trust.selectorLabels" -}}
app.kubernetes.io/name: registry-trust
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The labels of its pods. Not the chart's own version: that would restart them where nothing changed for them. */}}
{{- define "registry-trust.podLabels" -}}
{{ include "registry-trust.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: registry-trust
{{- end }}

{{/* All labels of an object that belongs to one process. */}}
{{- define "registry-trust.componentLabels" -}}
{{ include "registry-trust.labels" .root }}
app.kubernetes.io/component: {{ .component }}
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
{{- if or (and $release (ne $release .Release.Name)) (and $namespace (ne $namespace .Release.Namespace)) }}
{{- $how := ternary (printf "helm uninstall %s --namespace %s" $release $namespace) "delete its objects" (ne $release "") }}
{{- printf "this cluster already has registry-trust, in namespace %s (ClusterRoleBinding %s), and has room for one. To change it, upgrade that installation. To replace it, uninstall it first: %s; the files stay on the nodes" $namespace $name $how | fail }}
{{- end }}
{{- end }}
{{- end }}
