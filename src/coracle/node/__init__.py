"""One cloud on one host: chooses drivers, joins parts, starts, stops and cleans up."""
