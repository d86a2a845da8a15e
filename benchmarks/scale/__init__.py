"""How far Quire scales: leases, a million waiting documents, fairness and queueing."""
