"""The demo: the main job on this machine, as an ordinary user, told step by step (`make demo`)."""
