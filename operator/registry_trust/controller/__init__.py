"""The operator: watches the cluster with kopf, compiles, and writes bundle, statuses and Events."""
