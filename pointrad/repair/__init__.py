"""Masks put right: what a trained cloud says of each mask, and which masks differ from it most."""
