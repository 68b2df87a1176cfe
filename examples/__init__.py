"""Small programs on the engine alone: what a first hour with it looks like."""
