"""AWS as the lab has it: moto in a thread, behind a gate that adds what moto does not do."""
