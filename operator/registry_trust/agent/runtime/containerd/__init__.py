"""containerd: the roots in `config_path` of its CRI plugin, by rules that differ between its versions.

1.6 to 2.1 read none without it, 2.2 and later have a default; from 2.1 on a list is taken for one directory, unless the
CRI plugin pulls by itself. A change counts when it starts. The tests ask
containerd 1.6.36, 1.7.35, 2.0.14, 2.1.9, 2.2.9, 2.3.4 and 2.4.2.
"""
