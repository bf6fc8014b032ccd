"""Long proofs, run by ``make proof``: what ``make test`` samples, at length. Their figures go to docs/proof.md."""
