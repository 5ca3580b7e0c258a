"""Showing results: plots, diagrams and explorers."""
