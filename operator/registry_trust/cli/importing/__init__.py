"""`registry-trust import`: from what nodes have today to the objects that give them the same trust."""
