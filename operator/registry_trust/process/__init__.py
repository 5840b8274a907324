"""What both processes need of the system, with the standard library alone: pages over HTTP, memory kept private."""
