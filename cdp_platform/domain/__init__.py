"""The field's nouns: frozen values and enums, standard library only."""
