"""How results are shown to people: tables, pictures and JSON."""
