"""One table of requests, sent to a real API server and to the lab's: what a client sees must be the same."""
