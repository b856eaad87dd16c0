"""Tests of what makes captures of photographs."""
