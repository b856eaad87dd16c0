"""Captures: posed views with their masks, and the layouts they are loaded from."""
