"""Simulated controllers: everything that makes objects of a lab cluster follow what is wanted of it, on lab time."""
