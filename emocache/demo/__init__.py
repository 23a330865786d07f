"""A small emotional corpus, spoken by a synthesiser: what `emocache demo` runs on."""
