"""The node agent: keeps one node's certificate directories as the bundle says, and reports; standard library only."""
