"""Azure Resource Manager as the lab has it: REST JSON documents behind an HTTP server on loopback."""
