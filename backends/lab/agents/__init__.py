"""What runs in the pods of a lab: answers of exec and logs, derived from packets, certificates, settings and time."""
