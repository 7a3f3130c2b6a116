"""The commands of the package models."""
