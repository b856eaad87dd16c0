"""Renderers: one interface, chosen by `renderer=`."""
