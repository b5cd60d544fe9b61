"""Tables, JSON, CSV, drawings and the page: what a simulation leaves for people and programs."""
