"""The doctor: explains one node by what is on it and what the cluster says; reads only, by the standard library."""
