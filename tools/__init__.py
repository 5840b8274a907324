"""The programs that develop the project: the cluster, the demo, torture, benchmarks and generators."""
